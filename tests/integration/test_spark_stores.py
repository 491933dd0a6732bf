"""Spark Connect on lakes in S3: Sail alone reaches them, by its environment; Apache Spark is refused."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from practicus_assets import (
    DeltaIOManager,
    EngineFailed,
    Snapshot,
    SparkConnect,
    StoreFailed,
    TableNotFound,
    UnsupportedTable,
    VersionGone,
    table_asset,
)
from practicus_assets.engines.spark.server import Server
from practicus_assets.engines.spark.stores import variables_of
from practicus_assets.lake.delta.table_folder import TableFolder
from tests.integration.spark import ROWS, DataFrame, given, servers_of, version_of
from tests.servers.seaweedfs import SeaweedFS

pytestmark = [pytest.mark.slow, pytest.mark.process]


@pytest.fixture
def lake(seaweedfs: SeaweedFS) -> DeltaIOManager:
    root = f"{seaweedfs.root_uri}/{uuid.uuid4()}/a lake"
    return DeltaIOManager(root_uri=root, storage_options=seaweedfs.storage_options())


@pytest.fixture(scope="module")
def engine(seaweedfs: SeaweedFS) -> Iterator[SparkConnect]:
    reached = TableFolder("any", seaweedfs.root_uri, seaweedfs.storage_options())
    with Server("sail", variables_of([reached])) as server:
        yield SparkConnect(address=server.address)


def run(lake: DeltaIOManager, *assets: Any, **options: Any) -> dg.ExecuteInProcessResult:
    return dg.materialize([given, *assets], resources={"io_manager": lake}, **options)


def opened(lake: DeltaIOManager, name: str) -> Snapshot:
    return Snapshot.open(f"{lake.root_uri}/{name}", storage_options=dict(lake.storage_options))


def test_a_table_on_s3_has_the_fingerprint_from_one_process_and_no_secret_is_seen(
    lake: DeltaIOManager, engine: SparkConnect, seaweedfs: SeaweedFS, capfd: pytest.CaptureFixture[str]
) -> None:
    commands: list[bytes] = []
    others = servers_of(os.getpid())
    before = dict(os.environ)

    @table_asset(partition_by=["shop"])
    def here(given: Any) -> Any:
        return given

    @table_asset(partition_by=["shop"], engine=SparkConnect())
    def there(given: DataFrame) -> DataFrame:
        commands.extend(
            Path(f"/proc/{pid}/cmdline").read_bytes() for pid in servers_of(os.getpid()) if pid not in others
        )
        return given

    @table_asset(engine=engine)
    def again(there: DataFrame) -> DataFrame:
        return there.select(*ROWS.column_names)

    result = run(lake, here, there, again)
    assert version_of(result, "there") == version_of(result, "here")
    assert opened(lake, "again").to_arrow().sort_by("id").drop(["ratio"]) == ROWS.drop(["ratio"])
    assert len(commands) == 1
    shown = "".join([*map(bytes.decode, commands), *capfd.readouterr(), repr(result.all_events)])
    assert seaweedfs.secret_key not in shown
    assert {k: v for k, v in os.environ.items() if k.startswith("AWS_")} == {
        k: v for k, v in before.items() if k.startswith("AWS_")
    }
    assert servers_of(os.getpid()) == others


def test_an_object_that_vanishes_while_it_is_read_ends_the_step(
    lake: DeltaIOManager, engine: SparkConnect
) -> None:
    @table_asset(engine=engine)
    def orders(given: DataFrame) -> DataFrame:
        folder = opened(lake, "given")._at.table
        for file in folder.files_in():
            folder.delete(file.path)
        return given

    with pytest.raises((VersionGone, EngineFailed), match=r"deleted while|(?i:not found)"):
        run(lake, orders)
    with pytest.raises(TableNotFound):
        opened(lake, "orders")


def test_a_store_that_refuses_the_servers_key_is_told_without_its_secret(
    lake: DeltaIOManager, seaweedfs: SeaweedFS
) -> None:
    """The engine reads with the lake's own options, and may not write: the store's word is told."""

    @table_asset(engine=SparkConnect())
    def orders(given: DataFrame) -> DataFrame:
        return given.select("id")

    run(lake, selection=[given])
    reader = DeltaIOManager(root_uri=lake.root_uri, storage_options=seaweedfs.reader_options())
    with pytest.raises((EngineFailed, StoreFailed)) as raised:
        run(reader, orders, selection=[orders])
    assert str(raised.value).startswith("orders")
    assert not {key for key in seaweedfs.reader.values() if key in str(raised.value)}


def test_lakes_that_one_server_does_not_reach_are_refused_before_one_starts(
    lake: DeltaIOManager, seaweedfs: SeaweedFS
) -> None:
    @table_asset(engine=SparkConnect(), ins={"given": dg.AssetIn(input_manager_key="reading")})
    def orders(given: DataFrame) -> DataFrame:
        return given

    @table_asset(engine=SparkConnect("spark", "sc://127.0.0.1:1"))
    def totals() -> DataFrame:
        raise AssertionError

    run(lake, selection=[given])
    reading = DeltaIOManager(root_uri=lake.root_uri, storage_options=seaweedfs.reader_options())
    with pytest.raises(
        UnsupportedTable, match="given: its storage options are other ones than those of orders"
    ):
        dg.materialize(
            [given, orders], resources={"io_manager": lake, "reading": reading}, selection=[orders]
        )
    with pytest.raises(UnsupportedTable, match=r"totals: .* a server must have hadoop-aws"):
        run(lake, totals, selection=[totals])


def test_an_input_in_a_folder_and_an_output_on_s3_are_one_step(
    lake: DeltaIOManager, engine: SparkConnect, tmp_path: Path
) -> None:
    @table_asset(engine=engine, ins={"given": dg.AssetIn(input_manager_key="folder")})
    def orders(given: DataFrame) -> DataFrame:
        return given.select("id")

    folder = DeltaIOManager(root_uri=str(tmp_path))
    run(folder, selection=[given])
    dg.materialize([given, orders], resources={"io_manager": lake, "folder": folder}, selection=[orders])
    assert opened(lake, "orders").row_count == ROWS.num_rows
