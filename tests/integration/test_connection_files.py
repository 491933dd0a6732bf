"""Connection files of Practicus AI as sources of real runs; no credential of them is shown anywhere."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
import pytest
from deltalake.fs import DeltaStorageHandler

from practicus_assets import Source, build_source_sensor, table_asset
from practicus_assets.errors import DeclarationError, SourceFailed
from tests.integration.bench import Bench, errors
from tests.integration.ticks import Ticks
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.seaweedfs import SeaweedFS

WRONG = "nobody-has-this-password"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    with PostgreSQL() as running:
        running.execute("CREATE TABLE orders (n int, amount numeric(10, 2))")
        running.execute("INSERT INTO orders SELECT n, n * 1.5 FROM generate_series(1, 3) n")
        yield running


@pytest.fixture
def database(server: PostgreSQL) -> dict[str, Any]:
    return {
        "connection_type": "POSTGRESQL",
        "db_host": server.host,
        "db_port": server.port,
        "db_name": "postgres",
        "user": server.user,
        "password": server.password,
        "sql_query": "SELECT * FROM orders",
        "sampling_method": "ALL",
    }


@pytest.fixture
def store(seaweedfs: SeaweedFS) -> pyarrow.fs.FileSystem:
    return pyarrow.fs.PyFileSystem(DeltaStorageHandler(seaweedfs.root_uri, seaweedfs.storage_options()))


@pytest.fixture
def bucket(seaweedfs: SeaweedFS, store: pyarrow.fs.FileSystem) -> dict[str, Any]:
    table = pa.table({"n": [1, 2, 3], "amount": [1.5, 3.0, 4.5]})
    pq.write_table(table, "landing/orders [1].parquet", filesystem=store)
    return {
        "connection_type": "S3",
        "endpoint_url": seaweedfs.endpoint,
        "aws_region": "us-east-1",
        "aws_access_key_id": seaweedfs.access_key,
        "aws_secret_access_key": seaweedfs.secret_key,
        "s3_bucket": seaweedfs.root_uri.removeprefix("s3://"),
        "s3_keys": ["landing/orders [1].parquet"],
    }


@table_asset
def copy(orders: pd.DataFrame) -> pd.DataFrame:
    return orders


def written(folder: Path, content: dict[str, Any]) -> Path:
    path = folder / "orders_conn.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def everything(bench: Bench, source: Source, result: dg.ExecuteInProcessResult) -> str:
    """Return all that anyone could see of a source and of a run that read it."""
    events = [repr(entry) for entry in bench.instance.all_logs(result.run_id)]
    snapshot = bench.instance.get_job_snapshot(str(result.dagster_run.job_snapshot_id))
    relation = source.relation
    texts = [*events, repr(snapshot), repr(source), repr(source.declaration), repr(relation), str(relation)]
    return "\n".join([*texts, repr(relation.system), repr(source.metadata_by_key), errors(result)])


@pytest.mark.postgresql
@pytest.mark.parametrize("query", ["SELECT * FROM orders", "SELECT amount, n FROM orders WHERE n > 0"])
def test_a_table_or_query_of_postgresql_is_read_and_no_credential_shown(
    bench: Bench, tmp_path: Path, database: dict[str, Any], query: str
) -> None:
    source = Source.from_connection_file(written(tmp_path, {**database, "sql_query": query}))
    result = bench.run([source, copy])
    assert [(n, str(amount)) for n, amount in bench.rows("copy", "n", "amount")] == [
        (1, "1.50"),
        (2, "3.00"),
        (3, "4.50"),
    ]
    assert database["password"] not in everything(bench, source, result)


def test_a_table_of_mysql_is_read_and_no_credential_shown(
    bench: Bench, tmp_path: Path, mariadb: MariaDB
) -> None:
    mariadb.execute("CREATE DATABASE shop")
    mariadb.execute("CREATE TABLE Orders AS SELECT 1 AS n, 1.50 AS amount", database="shop")
    content = {
        "connection_type": "MYSQL",
        "db_host": mariadb.host,
        "db_port": mariadb.port,
        "db_name": "shop",
        "user": mariadb.user,
        "password": mariadb.password,
        "sql_query": "SELECT * FROM Orders",
    }
    source = Source.from_connection_file(written(tmp_path, content))
    result = bench.run([source, copy])
    assert [(n, str(amount)) for n, amount in bench.rows("copy", "n", "amount")] == [(1, "1.50")]
    assert mariadb.password not in everything(bench, source, result)


@pytest.mark.postgresql
def test_a_wrong_password_is_told_and_not_shown(
    bench: Bench, tmp_path: Path, database: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    source = Source.from_connection_file(written(tmp_path, {**database, "password": WRONG}))
    result = bench.run([source, copy], fails=True)
    assert "password" in errors(result)
    assert WRONG not in everything(bench, source, result) + "".join(capfd.readouterr())
    sensor = build_source_sensor([source])
    with pytest.raises(SourceFailed) as failure, dg.build_sensor_context(bench.instance) as context:
        sensor.evaluate_tick(context)
    assert WRONG not in str(failure.value)


@pytest.mark.postgresql
def test_only_the_listed_columns_are_read(bench: Bench, tmp_path: Path, database: dict[str, Any]) -> None:
    source = Source.from_connection_file(written(tmp_path, {**database, "column_list": ["amount"]}))
    bench.run([source, copy])
    assert bench.frame("copy").columns.tolist() == ["amount"]
    source = Source.from_connection_file(written(tmp_path, {**database, "column_list": ["amuont"]}))
    result = bench.run([source, copy], fails=True)
    assert "orders has no column 'amuont', to be selected from it. Did you mean amount?" in errors(result)


@pytest.mark.postgresql
def test_a_password_may_come_from_the_environment(
    bench: Bench, tmp_path: Path, database: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", database.pop("password"))
    path = written(tmp_path, database)
    source = Source.from_connection_file(path, credentials={"password": dg.EnvVar("SHOP_PASSWORD")})
    bench.run([source, copy])
    assert len(bench.rows("copy")) == 3


def test_an_object_in_a_bucket_is_read_and_no_credential_shown(
    bench: Bench, tmp_path: Path, bucket: dict[str, Any]
) -> None:
    source = Source.from_connection_file(written(tmp_path, bucket))
    result = bench.run([source, copy])
    assert bench.rows("copy", "n") == [(1,), (2,), (3,)]
    seen = everything(bench, source, result)
    assert bucket["aws_secret_access_key"] not in seen
    assert bucket["aws_access_key_id"] not in seen


def test_a_wrong_secret_key_is_told_and_not_shown(
    bench: Bench, tmp_path: Path, bucket: dict[str, Any]
) -> None:
    source = Source.from_connection_file(written(tmp_path, {**bucket, "aws_secret_access_key": WRONG}))
    result = bench.run([source, copy], fails=True)
    assert "orders" in errors(result)
    assert WRONG not in everything(bench, source, result)


@pytest.mark.parametrize("name", ["orders.csv", "orders [a] {b} *.csv", "_orders.csv"])
@pytest.mark.parametrize("relative", [True, False], ids=["relative", "absolute"])
def test_a_file_is_read_whatever_its_name(
    bench: Bench,
    tmp_path: Path,
    name: str,
    relative: bool,  # noqa: FBT001 a parameter of the test
) -> None:
    (tmp_path / name).write_text("n,city\n1,Bonn\n", encoding="utf-8")
    (tmp_path / f"other {name}").write_text("n,city\n2,Köln\n", encoding="utf-8")
    place = name if relative else str(tmp_path / name)
    source = Source.from_connection_file(
        written(tmp_path, {"connection_type": "LOCAL_FILE", "file_path": place})
    )
    bench.run([source, copy])
    assert bench.rows("copy", "n", "city") == [("1", "Bonn")]


def test_options_of_a_source_are_taken(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": [1]}), tmp_path / "orders.parquet")
    path = written(tmp_path, {"connection_type": "WORKER_FILE", "file_path": "orders.parquet"})
    source = Source.from_connection_file(path, "sales", group_name="shop", owners=["team:shop"])
    assert source.key == dg.AssetKey("sales")
    assert source.group_names_by_key == {source.key: "shop"}
    with pytest.raises(
        DeclarationError, match=r"Source has no parameter 'group'\. Did you mean group_name\?"
    ):
        Source.from_connection_file(path, group="shop")


def test_a_folder_is_refused(tmp_path: Path, bucket: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match=r"names the folder 'orders/', and not which files of it"):
        Source.from_connection_file(written(tmp_path, {**bucket, "s3_keys": ["a.csv", "orders/"]}))


def test_several_objects_are_read_as_one_and_observed_when_one_of_them_changes(
    bench: Bench, tmp_path: Path, bucket: dict[str, Any], store: pyarrow.fs.FileSystem
) -> None:
    second = "landing/more.parquet"
    pq.write_table(pa.table({"amount": [6.0], "n": [4]}), second, filesystem=store)
    content = {**bucket, "s3_keys": [*bucket["s3_keys"], second]}
    source = Source.from_connection_file(written(tmp_path, content))
    bench.run([source, copy])
    assert bench.rows("copy", "n", "amount") == [(1, 1.5), (2, 3.0), (3, 4.5), (4, 6.0)]
    ticks = Ticks(bench.instance, source)
    assert list(ticks.tick()) == ["orders"]
    assert ticks.tick() == {}
    pq.write_table(pa.table({"amount": [6.0, 7.0], "n": [4, 5]}), second, filesystem=store)
    assert list(ticks.tick()) == ["orders"]
    pq.write_table(pa.table({"n": ["4"]}), second, filesystem=store)
    result = bench.run([source, copy], fails=True)
    assert "landing/more.parquet has the columns n (string), and " in errors(result)
