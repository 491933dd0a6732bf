import pytest

from practicus_assets import redaction
from practicus_assets.doctor import probe
from practicus_assets.redaction import is_secret, may_be_secret, redacted

SECRETS = ["DB_PASSWORD", "PGPASSWORD", "MYSQL_PWD", "FTP_PASSWD", "aws_secret_access_key", "API_KEY"]
SECRETS += ["GITHUB_TOKEN", "azure_storage_account_key", "google_credentials"]


@pytest.mark.parametrize("name", SECRETS)
def test_what_a_declaration_is_refused_for_is_hidden_in_texts_too(name: str) -> None:
    assert is_secret(name, "")
    assert may_be_secret(name)
    assert redacted("the password hunter2 is wrong", {name: "hunter2"}) == "the password *** is wrong"


@pytest.mark.parametrize("name", ["PARTITION_KEY", "KAFKA_CLIENT_ID", "SASL_MECHANISM", "OAUTH_URL"])
def test_a_name_in_doubt_is_hidden_in_texts_and_no_reason_to_refuse_a_declaration(name: str) -> None:
    assert not is_secret(name, "day")
    assert may_be_secret(name)


@pytest.mark.parametrize("name", ["AWS_REGION", "timeout", "DAGSTER_HOME"])
def test_other_settings_are_shown(name: str) -> None:
    assert redacted("in eu-central-1", {name: "eu-central-1"}) == "in eu-central-1"


def test_logins_in_urls_are_secrets_in_any_setting() -> None:
    assert is_secret("DATABASE", "postgresql://me:hunter2@db/x")
    assert redacted("postgresql://me:hunter2@db/x", {}) == "postgresql://***@db/x"


def test_a_secret_is_hidden_as_a_url_has_it_too() -> None:
    assert redacted("?sig=a%2Fb%3D%3D", {"azure_sas": "a/b=="}) == "?sig=***"


def test_the_probe_which_runs_without_the_package_hides_by_the_same_names() -> None:
    assert (probe.HIDDEN_NAMES, probe.SHORTEST_SECRET) == (redaction.HIDDEN_NAMES, redaction.SHORTEST_SECRET)
