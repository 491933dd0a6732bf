import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from practicus_assets.errors import DeclarationError
from practicus_assets.sources.connection_file import read_connection_file

SECRET = "s3cr3t-of-nobody"  # noqa: S105 nobody's
DATABASE = {
    "connection_type": "POSTGRESQL",
    "db_host": "db.example.com",
    "db_name": "shop",
    "db_port": 5433,
    "user": "reader",
    "password": SECRET,
    "sql_query": "SELECT id, amount FROM orders",
}
BUCKET = {
    "connection_type": "S3",
    "aws_access_key_id": "reader",
    "aws_secret_access_key": SECRET,
    "aws_session_token": None,
    "endpoint_url": "https://store.example.com",
    "s3_bucket": "landing",
    "s3_keys": ["orders/2026.parquet"],
}
FILE = {"connection_type": "WORKER_FILE", "file_path": "/data/orders.csv"}

NO_COUNTERPART = [
    "REDSHIFT",
    "SNOWFLAKE",
    "SQLITE",
    "MSSQL",
    "ORACLE",
    "HIVE",
    "ATHENA",
    "TRINO",
    "DREMIO",
    "HANA",
]
NO_COUNTERPART += ["TERADATA", "DB2", "DYNAMODB", "COCKROACHDB", "CLOUDERA", "ELASTICSEARCH", "OPENSEARCH"]
NO_COUNTERPART += ["CUSTOM_DB", "IN_MEMORY"]


def written(folder: Path, content: Any, name: str = "orders_conn.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def refused(folder: Path, content: Any) -> str:
    path = written(folder, content)
    with pytest.raises(DeclarationError) as error:
        read_connection_file(path)
    assert str(path) in str(error.value)
    assert SECRET not in str(error.value) + repr(error.value)
    return str(error.value).replace(str(path), "FILE")


def test_a_connection_is_read_with_the_fields_that_are_given(tmp_path: Path) -> None:
    connection = read_connection_file(
        written(tmp_path, {**DATABASE, "uuid": "None", "filter": "", "column_list": None, "chunk_size": 1000})
    )
    assert connection.connection_type == "POSTGRESQL"
    assert connection.table_name == "orders"
    assert connection.columns == ()
    assert dict(connection.fields) == {k: v for k, v in DATABASE.items() if k != "connection_type"}


@pytest.mark.parametrize("content", [DATABASE, BUCKET, FILE], ids=lambda content: content["connection_type"])
def test_no_credential_is_in_the_repr_of_a_connection_file(tmp_path: Path, content: dict[str, Any]) -> None:
    connection = read_connection_file(written(tmp_path, content))
    assert SECRET not in f"{connection!r} {connection}"


def test_a_port_may_be_written_as_text(tmp_path: Path) -> None:
    assert read_connection_file(written(tmp_path, {**DATABASE, "db_port": "5433"})).fields["db_port"] == 5433


def test_columns_are_kept_in_their_order(tmp_path: Path) -> None:
    connection = read_connection_file(written(tmp_path, {**FILE, "column_list": ["b", "a"]}))
    assert connection.columns == ("b", "a")


@pytest.mark.parametrize(
    ("query", "table"),
    [
        ("SELECT * FROM public.orders", "public.orders"),
        ("select *\n from orders ;", "orders"),
        ("SELECT * FROM orders WHERE id > 1", None),
        ("SELECT * FROM orders o", None),
        ("SELECT id FROM orders", None),
        ('SELECT * FROM "Orders"', None),
    ],
)
def test_a_query_for_all_of_a_table_is_known_as_the_table(
    tmp_path: Path, query: str, table: str | None
) -> None:
    assert read_connection_file(written(tmp_path, {**DATABASE, "sql_query": query})).whole_table == table


def test_a_login_is_taken_from_the_declaration_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "other")
    path = written(tmp_path, {**DATABASE, "password": None})
    password = dg.EnvVar("SHOP_PASSWORD")
    assert read_connection_file(path, {"password": password}).fields["password"] is password


def test_a_credential_of_another_name_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    path = written(tmp_path, DATABASE)
    with pytest.raises(DeclarationError, match=r"name 'pasword', which .* Did you mean password\?"):
        read_connection_file(path, {"pasword": SECRET})


@pytest.mark.parametrize("kind", NO_COUNTERPART)
def test_a_type_without_counterpart_is_named_with_what_to_do(tmp_path: Path, kind: str) -> None:
    message = refused(tmp_path, {**DATABASE, "connection_type": kind})
    assert message.startswith(f"FILE is a connection of type {kind}, which has no counterpart here. ")
    assert message.endswith("Sources are read from POSTGRESQL, MYSQL, S3, LOCAL_FILE, WORKER_FILE.")


def test_an_unknown_type_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    message = refused(tmp_path, {**DATABASE, "connection_type": "POSTGRES"})
    assert message == "FILE is a connection of the unknown type 'POSTGRES'. Did you mean POSTGRESQL?"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(
            {**DATABASE, "filter": "amount > 1"},
            (
                "FILE has a filter, whose language is AI Studio's own. Write it as WHERE into its "
                "sql_query, and remove it here."
            ),
            id="a filter of a query",
        ),
        pytest.param(
            {**FILE, "filter": "amount > 1"},
            (
                "FILE has a filter, whose language is AI Studio's own. Write it in an asset's function, and "
                "remove it here."
            ),
            id="a filter of a file",
        ),
        pytest.param(
            {**DATABASE, "sampling_method": "TOP", "sample_size": 1000},
            (
                "FILE asks for a sample of the rows, by sampling_method, and a source gives all of them. "
                'Write "sampling_method": "ALL", and take a sample in the function of an asset.'
            ),
            id="a sampling method",
        ),
        pytest.param(
            {**DATABASE, "sample_size": 1000},
            (
                "FILE asks for a sample of the rows, by sample_size, and a source gives all of them. Write "
                '"sampling_method": "ALL", and take a sample in the function of an asset.'
            ),
            id="a sample size",
        ),
        pytest.param(
            {**DATABASE, "db_hots": "x"},
            "FILE has the field 'db_hots', which nothing here reads. Did you mean db_host?",
            id="a misspelt field",
        ),
        pytest.param(
            {**DATABASE, "db_port": 70000},
            "the field db_port of FILE is not a number from 1 to 65,535. Export the connection again.",
            id="a port out of range",
        ),
        pytest.param(
            {**DATABASE, "password": 1234},
            "the field password of FILE is not a text. Export the connection again.",
            id="a password that is a number",
        ),
        pytest.param(
            {**BUCKET, "s3_keys": "orders/2026.parquet"},
            "the field s3_keys of FILE is not a list of keys. Export the connection again.",
            id="keys that are no list",
        ),
        pytest.param(
            {**DATABASE, "column_list": "id"},
            "FILE has a column_list that is no list of names. Write a list of texts.",
            id="columns that are no list",
        ),
        pytest.param(
            {**DATABASE, "sql_query": None},
            "FILE has no sql_query, so that nobody knows what to read. Write it: SELECT * FROM the table.",
            id="no query",
        ),
        pytest.param(
            {**DATABASE, "sql_query": "", "target_table_name": "orders"},
            (
                "FILE says where a table is written, and not what is read: it has no sql_query. Export "
                "the table with export_asset(…); a source needs the file whose name has no _save."
            ),
            id="a file that says where to write",
        ),
        pytest.param(
            {**DATABASE, "user": ""},
            (
                "FILE is a connection of type POSTGRESQL, and lacks the field 'user'. Give the login with "
                "credentials={…}."
            ),
            id="no user",
        ),
        pytest.param(
            {"connection_type": "MYSQL", "uuid": "6f2c", "sql_query": "SELECT 1"},
            (
                "FILE refers to a connection of the catalog of Practicus by its uuid, and has no db_host "
                "and no db_name and no user itself. Write these fields into the file, and give the login "
                "with credentials={…}."
            ),
            id="a reference into the catalog",
        ),
        pytest.param(
            {**BUCKET, "s3_keys": []},
            "FILE is a connection of type S3, and lacks the field 's3_keys'. Export the connection again.",
            id="no keys",
        ),
        pytest.param(
            {"worker_size": "Small", "refresh_token": SECRET},
            (
                "FILE is no connection file: it has no connection_type. A worker's configuration is "
                "another file; AI Studio exports connections as <table>_conn.json."
            ),
            id="a worker file",
        ),
        pytest.param(
            f'{{"password": "{SECRET}", }}',
            (
                "FILE is no JSON: Expecting property name enclosed in double quotes in line 1, column 34. "
                "Export the connection again."
            ),
            id="no JSON",
        ),
    ],
)
def test_what_cannot_be_read_as_it_is_meant_is_refused_by_name(
    tmp_path: Path, content: Any, message: str
) -> None:
    assert refused(tmp_path, content) == message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match=r"there is no connection file .*orders_conn\.json"):
        read_connection_file(tmp_path / "orders_conn.json")


def test_a_sampling_that_takes_all_rows_is_none(tmp_path: Path) -> None:
    sampled = {**DATABASE, "sampling_method": "ALL", "sample_size": 1000}
    assert "sample_size" not in read_connection_file(written(tmp_path, sampled)).fields
