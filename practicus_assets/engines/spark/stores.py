"""Stores: how the server of an engine reaches tables that lie in S3, which its environment alone tells it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from practicus_assets.engines.spark.spark_connect import ServerKind
from practicus_assets.errors import UnsupportedTable, naming
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table_folder import TableFolder
from practicus_assets.lake.layers.listed_files import listed_files

_S3 = ("s3", "s3a")
_GLOB = "*?[]{}\\"
# another name for the same, so that the credentials' own requests do not go to the store
_SAME = {"endpoint_url": "endpoint", "endpoint_url_s3": "endpoint", "token": "session_token"}
_OF_ENDPOINT = ("AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")
_OF_TOKEN = ("AWS_SESSION_TOKEN", "AWS_TOKEN")
_OF_ROLES = {"iam_role_arn", "s3_assume_role_arn"}
_OF_COMMITS = {  # and of how often delta-rs asks again
    *("bucket", "bucket_name", "conditional_put", "copy_if_not_exists", "force_credential_load"),
    *("iam_role_session_name", "max_retries", "mount_allow_unsafe_rename", "object_store_concurrency_limit"),
    *("retry_timeout", "s3_allow_unsafe_rename", "s3_locking_provider", "s3_role_session_name"),
}
_REGION = "us-east-1"  # what delta-rs takes where none is said
_ADVICE = "Leave out engine=, or write with the engine through StagedParquet."


def tables_of(value: Any) -> Iterator[TableFolder]:
    """Yield the tables of an input: a snapshot, snapshots by partition, or None.

    Raises:
        UnsupportedTable: if the rows of a snapshot are not those of a list of files.

    """
    if isinstance(value, Snapshot):
        yield listed_files(value)[0].table
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from tables_of(part)


def variables_of(tables: Iterable[TableFolder]) -> dict[str, str]:
    """Return the variables by which Sail reaches the stores of tables; none if all are folders.

    Raises:
        UnsupportedTable: if two tables are reached in different ways, of which a server knows one, or one in
            a way that Sail does not know.

    """
    known: tuple[TableFolder, dict[str, str]] | None = None
    for table in tables:
        if table.local_path is not None:
            continue
        variables = _variables(table)
        if known is None:
            known = table, variables
        elif variables != known[1]:
            with naming(table.name):
                raise UnsupportedTable(
                    f"its storage options are other ones than those of {known[0].name}, and the server of an "
                    "engine has one set of them.",
                    "Let both lakes have the same storage_options, or read it in an asset without engine.",
                )
    return known[1] if known is not None else {}


def with_variables(environment: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which storage options take the place of what it says of the same."""
    replaced = {*variables}
    if "AWS_ENDPOINT" in variables:
        replaced |= {*_OF_ENDPOINT}
    if "AWS_ACCESS_KEY_ID" in variables or "AWS_SESSION_TOKEN" in variables:
        replaced |= {*_OF_TOKEN}  # one of the environment belongs to another key
    merged = {name: value for name, value in environment.items() if name not in replaced} | {**variables}
    if not merged.keys().isdisjoint(_OF_ENDPOINT):
        merged.setdefault("AWS_REGION", merged.get("AWS_DEFAULT_REGION", _REGION))
    return merged


def uri_of(place: str, kind: ServerKind) -> str:
    """Return a file's place as a server takes it for one file.

    Sail decodes URIs; Hadoop does not, and takes wildcards in them.

    Raises:
        UnsupportedTable: for a store that the server does not reach, and for a name that would be taken for
            a pattern.

    """
    scheme, separator, rest = place.partition("://")
    if separator and scheme not in _S3:
        raise UnsupportedTable(
            f"it lies in a store of {scheme}://, and engines are given lakes in folders and in S3 only.",
            _ADVICE,
        )
    if kind == "sail":
        return f"{scheme}://{quote(rest)}" if separator else "file://" + quote(place)
    if separator:
        raise UnsupportedTable(
            "it lies in S3, and Apache Spark is given lakes in folders only: to reach S3, a server must have "
            "hadoop-aws and the AWS SDK among its jars, which the package pyspark has not.",
            'Write server="sail", or write with a server that has them through StagedParquet.',
        )
    if any(character in _GLOB for character in place):
        raise UnsupportedTable(
            f"the file {place} has one of the characters {_GLOB} in its name, which Apache Spark takes for a "
            "pattern.",
            'Write server="sail".',
        )
    return "file://" + place


def _variables(table: TableFolder) -> dict[str, str]:
    options = {name.lower().removeprefix("aws_"): value for name, value in table.storage_options.items()}
    roles = sorted(_OF_ROLES & options.keys())
    if roles:
        with naming(table.name):
            raise UnsupportedTable(
                f"its storage options have AWS_{roles[0].upper()}, and Sail does not assume a role.",
                "Give the worker the role itself, such as by its service account or a profile of AWS.",
            )
    return {
        f"AWS_{_SAME.get(name, name).upper()}": value
        for name, value in sorted(options.items())
        if name not in _OF_COMMITS and not name.startswith("backoff_config.")
    }
