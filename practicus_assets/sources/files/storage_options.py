"""Storage options: those that delta-rs takes, so that a lake and a source are reached by the same ones."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from practicus_assets.errors import DeclarationError, did_you_mean
from practicus_assets.sources.credentials import Credential, revealed


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_S3 = _names(
    """
    access_key_id allow_http bucket bucket_name checksum_algorithm conditional_put
    container_authorization_token_file container_credentials_full_uri
    container_credentials_relative_uri copy_if_not_exists default_region disable_bulk_delete
    disable_tagging endpoint endpoint_url endpoint_url_s3 endpoint_url_sts endpoint_url_dynamodb
    force_credential_load iam_role_arn iam_role_session_name imdsv1_fallback metadata_endpoint
    profile region request_payer role_arn role_session_name s3_allow_unsafe_rename
    s3_assume_role_arn s3_express s3_locking_provider s3_role_session_name secret_access_key
    server_side_encryption session_token skip_signature sse_bucket_key_enabled
    sse_customer_key_base64 sse_kms_key_id token unsigned_payload virtual_hosted_style_request
    web_identity_token_file
    """
)
_GOOGLE = _names(
    """
    application_credentials base_url bearer_token bucket bucket_name service_account
    service_account_key service_account_path skip_signature
    """
)
_AZURE = _names(
    """
    access_key account_key account_name allow_http authority_host authority_id client_id
    client_secret container_name credential_type disable_tagging encryption_key endpoint
    fabric_cluster_identifier fabric_session_token fabric_token_service_url fabric_workload_host
    federated_token_file identity_endpoint master_key msi_endpoint msi_resource_id object_id sas_key
    sas_token skip_signature tenant_id token use_azure_cli use_emulator use_fabric_endpoint
    """
)
_CLIENT = _names(
    """
    allow_http allow_invalid_certificates connect_timeout default_content_type
    disable_system_certificates http1_only http2_keep_alive_interval http2_keep_alive_timeout
    http2_keep_alive_while_idle http2_max_frame_size http2_only pool_idle_timeout
    pool_max_idle_per_host proxy_ca_certificate proxy_excludes proxy_url randomize_addresses
    read_timeout timeout user_agent max_retries retry_timeout backoff_config.init_backoff
    backoff_config.max_backoff backoff_config.base object_store_concurrency_limit
    mount_allow_unsafe_rename
    """
)
_PREFIXED = {"aws": _S3, "google": _GOOGLE, "azure": _AZURE, "azure_storage": _AZURE}
NAMES = frozenset(
    {
        *_CLIENT,
        *(name for names in _PREFIXED.values() for name in names),
        *(f"{prefix}_{name}" for prefix, names in _PREFIXED.items() for name in names),
    }
)


def refuse_unknown_options(options: object) -> None:
    """Raise DeclarationError for options that delta-rs would ignore, or that are no texts."""
    if not isinstance(options, Mapping):
        raise DeclarationError(
            f"storage_options is a {type(options).__name__}.",
            'Write a mapping from names to texts, e.g. {"AWS_REGION": "eu-west-1"}.',
        )
    for name, value in options.items():
        if not isinstance(name, str) or name.lower() not in NAMES:
            raise DeclarationError(
                f"there is no storage option {name!r}.",
                did_you_mean(name, _shown(str(name)), "They are those of the lake's storage_options."),
            )
        if not isinstance(value, Credential):
            raise DeclarationError(
                f"the storage option {name!r} is a {type(value).__name__}.",
                "Write its value as text, or where it is: dg.EnvVar(…), or the Path of a mounted secret.",
            )


def revealed_options(options: Mapping[str, Credential], address: str) -> Mapping[str, str]:
    """Return the options with the values of variables and files.

    Raises:
        DeclarationError: for a variable that is not set, or a file that cannot be read.

    """
    return MappingProxyType(
        {name: revealed(value, f"storage option {name} of {address}") for name, value in options.items()}
    )


def _shown(name: str) -> Iterable[str]:
    """Return the names that exist, in the case that the given one has."""
    return (known.upper() if name.isupper() else known for known in sorted(NAMES))
