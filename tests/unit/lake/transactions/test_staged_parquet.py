"""Files that an engine wrote, as the rows of a table: DuckDB and polars write, the transaction commits."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.engine_files.staged_parquet import StagedParquet
from practicus_assets.lake.transactions.options import Mode, WriteOptions
from practicus_assets.lake.transactions.transaction import Transaction
from tests.kit import parquet_files, partitions, read

Engine = Callable[[str, str], None]  # writes the rows of a query below a place

ROWS = (
    "SELECT * FROM (VALUES ('a', 1, 1.5::DECIMAL(12, 2)), ('b/ c', 2, NULL), ('b/ c', 3, 2)) t(p, n, amount)"
)


def by_duckdb(query: str, uri: str) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({query}) TO '{uri}' (FORMAT parquet, PARTITION_BY (p))")


def by_polars(query: str, uri: str) -> None:
    rows(query).lazy().sink_parquet(pl.PartitionBy(uri, key="p"), mkdir=True)


def rows(query: str) -> pl.DataFrame:
    with duckdb.connect() as connection:
        frame: pl.DataFrame = pl.DataFrame(connection.sql(query))
    return frame


def begin(table: Table, *keys: str, mode: Mode = "replace", **more: Any) -> Transaction:
    merge_keys = ["n"] if mode == "merge" else []
    options = WriteOptions(partition_by=["p"], mode=mode, merge_keys=merge_keys)
    return Transaction(table, partitions(*keys) if keys else None, options, **more)


@pytest.mark.parametrize("engine", [by_duckdb, by_polars])
@pytest.mark.parametrize("keys", [(), ("a", "b/ c")], ids=["whole", "partitions"])
def test_files_of_an_engine_have_the_fingerprints_of_the_same_rows_in_memory(
    table: Table, engine: Engine, keys: tuple[str, ...]
) -> None:
    in_memory = begin(Table(table.name, table.uri + "-2"), *keys).write(rows(ROWS))
    transaction = begin(table, *keys)
    staged = transaction.staging()
    engine(ROWS, staged.uri)
    commit = transaction.write(staged)
    assert commit.fingerprints == in_memory.fingerprints
    assert (commit.version, commit.rows, commit.files) == (0, 3, 2)
    assert read(table) == read(table.uri + "-2")
    assert pl.read_delta(table.uri).select("p", "n", "amount").sort("n").equals(rows(ROWS).sort("n"))


def test_a_place_of_an_engine_is_an_empty_folder_whose_options_are_not_shown(table: Table) -> None:
    lake = Table(table.name, table.uri, {"AWS_SECRET_ACCESS_KEY": "hidden"})
    staged = begin(lake).staging()
    assert list(Path(staged.uri).iterdir()) == []
    assert "hidden" not in repr(staged)
    assert staged == StagedParquet(staged.uri)
    assert parquet_files(table) == set()
