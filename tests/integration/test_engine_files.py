"""Tables whose rows an engine writes: DuckDB and polars, in runs of assets and on S3."""

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import polars as pl
import pyarrow.fs
import pytest
from fsspec.implementations.arrow import ArrowFSWrapper

import practicus_assets
from practicus_assets import (
    Contract,
    DataRefused,
    DeclarationError,
    DeltaIOManager,
    Snapshot,
    StagedParquet,
    table_asset,
)
from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.testing import run_table
from tests.kit import read
from tests.servers.seaweedfs import SeaweedFS


class _OfS3(ArrowFSWrapper):  # type: ignore[misc] # fsspec has no types
    protocol = "s3"


DAYS = dg.StaticPartitionsDefinition(["a", "b/ c", "d"])
QUERY = "SELECT * FROM (VALUES ('a', 1), ('b/ c', 2), ('b/ c', 3)) t(p, n)"


def lake(tmp_path: Path) -> DeltaIOManager:
    return DeltaIOManager(root_uri=str(tmp_path))


def left(tmp_path: Path) -> list[str]:
    """Return the names of what is below the places of engines."""
    return sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("staged-*/**/*"))


def test_a_function_gets_a_place_and_its_engine_writes_partitions_there(tmp_path: Path) -> None:
    @table_asset(
        partitions_def=DAYS,
        partition_by="p",
        backfill_policy=dg.BackfillPolicy.single_run(),
        contract=Contract({"n": Column("int32", minimum=1)}),
    )
    def made(context: dg.AssetExecutionContext, staged: StagedParquet) -> StagedParquet:
        keys = ", ".join(f"'{key}'" for key in context.partition_keys)
        with duckdb.connect() as connection:
            query = f"SELECT * FROM ({QUERY}) WHERE p IN ({keys})"
            connection.execute(f"COPY ({query}) TO '{staged.uri}' (FORMAT parquet, PARTITION_BY (p))")
        return staged

    @table_asset
    def total(made: Snapshot, staged: StagedParquet) -> dg.MaterializeResult[StagedParquet]:
        with duckdb.connect() as connection:
            connection.execute(f"COPY (SELECT sum(n) AS n FROM made) TO '{staged.uri}/x.parquet'")
        return dg.MaterializeResult(value=staged, metadata={"by": "DuckDB"})

    tags = {"dagster/asset_partition_range_start": "a", "dagster/asset_partition_range_end": "b/ c"}
    result = dg.materialize([made], tags=tags, resources={"io_manager": lake(tmp_path)})
    checks = result.get_asset_check_evaluations()
    assert checks
    assert all(check.passed for check in checks)
    assert read(tmp_path / "made", "p, n") == [
        {"p": "a", "n": 1},
        {"p": "b/ c", "n": 2},
        {"p": "b/ c", "n": 3},
    ]
    result = dg.materialize([made, total], selection=[total], resources={"io_manager": lake(tmp_path)})
    [event] = result.get_asset_materialization_events()
    assert event.materialization.metadata["by"].value == "DuckDB"
    assert [int(row["n"]) for row in read(tmp_path / "total")] == [6]


def test_a_function_that_fails_or_returns_something_else_leaves_no_file(tmp_path: Path) -> None:
    mode = ""

    @table_asset
    def made(staged: StagedParquet) -> Any:
        pl.DataFrame({"n": [1]}).write_parquet(f"{staged.uri}/x.parquet")
        if mode == "raise":
            raise RuntimeError("the engine died")
        if mode == "no file":
            Path(staged.uri, "x.parquet").unlink()
        return {"rows": pl.scan_parquet(f"{staged.uri}/*.parquet"), "nothing": None}.get(mode, staged)

    @table_asset
    def yielding(staged: StagedParquet) -> Iterator[Any]:
        pl.DataFrame({"n": [1]}).write_parquet(f"{staged.uri}/x.parquet")
        yield staged
        yield dg.AssetObservation("elsewhere")

    for mode in ("raise", "no file", "nothing", "rows"):
        result = dg.materialize([made], resources={"io_manager": lake(tmp_path)}, raise_on_error=False)
        assert result.success == (mode == "rows")
        assert left(tmp_path) == []
    assert dg.materialize([yielding], resources={"io_manager": lake(tmp_path)}).success
    assert read(tmp_path / "made") == read(tmp_path / "yielding") == [{"n": 1}]


def test_run_table_takes_the_files_of_a_folder(tmp_path: Path) -> None:
    @table_asset(partition_by="p")
    def made(staged: StagedParquet) -> StagedParquet:
        with duckdb.connect() as connection:
            connection.execute(f"COPY ({QUERY}) TO '{staged.uri}' (FORMAT parquet, PARTITION_BY (p))")
        return staged

    run = run_table(made, {"staged": StagedParquet(tmp_path)})
    assert sorted(run.to_pandas()["n"]) == [1, 2, 3]
    assert (tmp_path / "p=a").exists()


def test_a_direct_call_takes_any_place(tmp_path: Path) -> None:
    @table_asset
    def made(staged: StagedParquet) -> StagedParquet:
        pl.DataFrame({"n": [1]}).write_parquet(f"{staged.uri}/x.parquet")
        return staged

    place = StagedParquet(str(tmp_path))
    assert made(place) == place
    assert [path.name for path in tmp_path.iterdir()] == ["x.parquet"]


def test_a_table_whose_rows_are_not_the_files_as_they_are_is_refused_where_it_is_declared() -> None:
    def made(staged: StagedParquet) -> StagedParquet:
        return staged

    for options in (
        {"mode": "history", "history_keys": ["n"], "sequence_by": "at"},
        {"mode": "merge", "merge_keys": ["n"], "merge_kind": "update"},
        {"contract": Contract({"n": Column("int64", minimum=0, severity="QUARANTINE")})},
    ):
        with pytest.raises(DeclarationError, match="the function takes StagedParquet, and"):
            table_asset(**options)(made)  # type: ignore[call-overload] # of many kinds


def test_a_plain_asset_has_no_place_for_an_engine(tmp_path: Path) -> None:
    @dg.asset
    def made() -> Any:
        return StagedParquet(tmp_path / "elsewhere")

    with pytest.raises(DataRefused, match="is no place of this attempt"):
        dg.materialize([made], resources={"io_manager": lake(tmp_path)})


def test_the_blocks_of_the_page_run(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")

    @table_asset(name="orders", partition_by="day")
    def source() -> pl.DataFrame:
        return pl.DataFrame({"day": ["a", "a", "b"], "shop": ["x", "y", "x"], "amount": [1.0, 2.0, 4.0]})

    names = {**{name: getattr(practicus_assets, name) for name in practicus_assets.__all__}, "pl": pl}
    names["duckdb"] = duckdb
    section = page.partition("## An engine writes")[2].partition("\n## ")[0]
    for code in re.findall(r"^```python\n(.*?)^```$", section, re.DOTALL | re.MULTILINE):
        exec(compile(code, "docs/scale.md", "exec"), names)  # noqa: S102 our own page
    assets = [source, names["sales"], names["shops"]]
    assert dg.materialize(assets, resources={"io_manager": lake(tmp_path)}).success
    assert [row["amount"] for row in read(tmp_path / "sales", "day, shop, amount")] == [1.0, 2.0, 4.0]
    assert {row["shop"] for row in read(tmp_path / "shops")} == {"x", "y"}


# --- On S3 --------------------------------------------------------------------------------------------------


@pytest.fixture
def table(seaweedfs: SeaweedFS) -> Table:
    return Table.from_uri(f"{seaweedfs.root_uri}/{uuid.uuid4()}", seaweedfs.storage_options())


@pytest.fixture
def connection(seaweedfs: SeaweedFS) -> Iterator[duckdb.DuckDBPyConnection]:
    """Return DuckDB with a file system for S3: its own is an extension that it loads from the internet."""
    options = seaweedfs.storage_options()
    store = pyarrow.fs.S3FileSystem(
        access_key=options["AWS_ACCESS_KEY_ID"],
        secret_key=options["AWS_SECRET_ACCESS_KEY"],
        region=options["AWS_REGION"],
        endpoint_override=seaweedfs.endpoint,
        allow_bucket_creation=False,
    )
    with duckdb.connect() as opened:
        opened.register_filesystem(_OfS3(store))
        yield opened


def test_engines_write_partitions_below_a_prefix_of_s3(
    table: Table, connection: duckdb.DuckDBPyConnection
) -> None:
    in_memory = Transaction(
        Table.from_uri(f"{table.uri}-2", table.storage_options), None, WriteOptions(partition_by=["p"])
    ).write(pl.DataFrame(connection.sql(QUERY)))
    for engine in ("polars", "DuckDB"):
        transaction = Transaction(table, None, WriteOptions(partition_by=["p"]))
        staged = transaction.staging()
        assert staged.storage_options == table.storage_options
        if engine == "polars":
            options = dict(staged.storage_options)
            target = pl.PartitionBy(staged.uri, key="p")
            pl.DataFrame(connection.sql(QUERY)).lazy().sink_parquet(target, storage_options=options)
        else:
            query = f"{QUERY} UNION ALL SELECT 'd', 4"
            connection.execute(f"COPY ({query}) TO '{staged.uri}' (FORMAT parquet, PARTITION_BY (p))")
        commit = transaction.write(staged)
        assert (commit.fingerprint == in_memory.fingerprint) == (engine == "polars")
    assert [(row["p"], row["n"]) for row in read(table, "p, n")] == [
        ("a", 1),
        ("b/ c", 2),
        ("b/ c", 3),
        ("d", 4),
    ]
    assert pl.read_delta(table.uri, storage_options=dict(table.storage_options)).height == 4
