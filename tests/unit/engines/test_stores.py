"""Stores of an engine: what the environment of its server says, and how it is told of a file."""

import pytest

from practicus_assets.engines.spark.stores import uri_of, variables_of, with_variables
from practicus_assets.errors import UnsupportedTable
from practicus_assets.lake.delta.table_folder import TableFolder

OPTIONS = {
    "aws_access_key_id": "me",
    "SECRET_ACCESS_KEY": "hunter2",
    "endpoint_url": "http://127.0.0.1:1",
    "AWS_ALLOW_HTTP": "true",
}
VARIABLES = {
    "AWS_ACCESS_KEY_ID": "me",
    "AWS_SECRET_ACCESS_KEY": "hunter2",
    "AWS_ENDPOINT": "http://127.0.0.1:1",
    "AWS_ALLOW_HTTP": "true",
}


def table(name: str, options: dict[str, str], uri: str = "s3://lake") -> TableFolder:
    return TableFolder(name, f"{uri}/{name}", options)


def test_storage_options_are_variables_in_each_of_their_spellings() -> None:
    other = {
        "AWS_ACCESS_KEY_ID": "me",
        "aws_secret_access_key": "hunter2",
        "aws_endpoint": "http://127.0.0.1:1",
    }
    tables = [
        table("folder", {}, "/lake"),
        table("a", OPTIONS),
        table("b", {**other, "allow_http": "true", "max_retries": "0", "AWS_CONDITIONAL_PUT": "etag"}),
    ]
    assert variables_of(tables) == VARIABLES
    assert variables_of(tables[:1]) == {}


def test_tables_that_one_server_cannot_reach_are_refused_without_their_secrets() -> None:
    with pytest.raises(
        UnsupportedTable, match=r"b: its storage options are other ones than those of a"
    ) as raised:
        variables_of([table("a", OPTIONS), table("b", {**OPTIONS, "aws_access_key_id": "you"})])
    assert "hunter2" not in str(raised.value)
    with pytest.raises(UnsupportedTable, match="AWS_S3_ASSUME_ROLE_ARN, and Sail does not assume a role"):
        variables_of([table("a", {"AWS_S3_ASSUME_ROLE_ARN": "arn"})])


def test_options_take_the_place_of_the_environments_of_the_same_meaning() -> None:
    environment = {
        "PATH": "/bin",
        "AWS_ENDPOINT_URL": "http://other",
        "AWS_ENDPOINT_URL_S3": "http://other",
        "AWS_ACCESS_KEY_ID": "other",
        "AWS_SESSION_TOKEN": "of another key",
    }
    merged = with_variables(environment, VARIABLES)
    assert merged == {"PATH": "/bin", **VARIABLES, "AWS_REGION": "us-east-1"}
    assert with_variables({"AWS_REGION": "eu-west-1"}, VARIABLES)["AWS_REGION"] == "eu-west-1"
    assert with_variables({"PATH": "/bin"}, {}) == {"PATH": "/bin"}


def test_places_are_spelled_as_the_server_takes_them() -> None:
    assert uri_of("s3://lake/t/p=a b%2Fc/0.parquet", "sail") == "s3://lake/t/p%3Da%20b%252Fc/0.parquet"
    assert uri_of("/lake/t/é#/0.parquet", "sail") == "file:///lake/t/%C3%A9%23/0.parquet"
    assert uri_of("/lake/t/a b%2F/0.parquet", "spark") == "file:///lake/t/a b%2F/0.parquet"


@pytest.mark.parametrize(
    ("place", "kind", "words"),
    [
        ("s3://lake/t", "spark", "a server must have hadoop-aws"),
        ("az://lake/t", "sail", "a store of az://, and engines are given lakes in folders and in S3 only"),
        ("gs://lake/t", "spark", "a store of gs://"),
        ("/lake/t*/0.parquet", "spark", "takes for a pattern"),
    ],
)
def test_places_that_a_server_does_not_reach_are_refused(place: str, kind: str, words: str) -> None:
    with pytest.raises(UnsupportedTable, match=words):
        uri_of(place, kind)  # type: ignore[arg-type] # a parameter
