from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from practicus_assets.errors import SchemaMismatch, UnsupportedTable
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.lake.upkeep.compaction import compact
from practicus_assets.lake.upkeep.verify import verify_files
from tests.kit import partitions, write

Read = Callable[[Table], list[dict[str, Any]]]


def append(table: Table, p: str, *numbers: int, **columns: Any) -> None:
    write(table, p, *numbers, mode="append", **columns)


@pytest.fixture
def scattered(table: Table) -> Table:
    for number in range(4):
        append(table, "a b/%é", number)
        append(table, "b", number)
    append(table, "one", 1)
    return table


def test_small_files_become_one_a_partition_in_one_commit_with_the_same_rows(
    scattered: Table, rows: Read
) -> None:
    before, version = rows(scattered), scattered.open().version
    done = compact(scattered)
    assert (done.partitions, done.files_before, done.files_after) == (2, 8, 2)
    assert rows(scattered) == before
    assert len(scattered.open().files()) == 3
    assert scattered.open().version == version + 1
    assert verify_files(scattered, rows=True).problems == ()


def test_a_second_compaction_has_nothing_to_do(scattered: Table) -> None:
    compact(scattered)
    version = scattered.open().version
    assert compact(scattered).partitions == 0
    assert scattered.open().version == version


def test_a_dry_run_only_counts(scattered: Table, parquet_files: Callable[[Table], set[str]]) -> None:
    before, version = parquet_files(scattered), scattered.open().version
    done = compact(scattered, dry_run=True)
    assert (done.partitions, done.files_before, done.files_after) == (2, 8, None)
    assert (parquet_files(scattered), scattered.open().version) == (before, version)


def test_large_files_are_left_alone(scattered: Table) -> None:
    assert compact(scattered, target_bytes=100).partitions == 0


def test_a_writer_that_began_before_lands_after(scattered: Table, rows: Read) -> None:
    writer = Transaction(scattered, partitions("b"), WriteOptions(partition_by=["p"]))
    compact(scattered)
    writer.write(pa.table({"p": ["b"], "n": [99]}))
    assert [row["n"] for row in rows(scattered) if row["p"] == "b"] == [99]
    assert len(rows(scattered)) == 6


def test_partitions_that_a_writer_replaced_meanwhile_are_left_to_it(
    scattered: Table, rows: Read, parquet_files: Callable[[Table], set[str]]
) -> None:
    replaced = False

    def replace(done: int, _total: int) -> None:
        nonlocal replaced
        if done == 1 and not replaced:
            replaced = True
            row = pa.table({"p": ["b"], "n": [99]})
            Transaction(scattered, partitions("b"), WriteOptions(partition_by=["p"])).write(row)
            append(scattered, "a b/%é", 7)

    files = parquet_files(scattered)
    done = compact(scattered, progress=replace)
    assert (done.partitions, done.overtaken) == (1, 1)
    assert [row["n"] for row in rows(scattered) if row["p"] == "b"] == [99]
    assert sorted(row["n"] for row in rows(scattered) if row["p"] == "a b/%é") == [0, 1, 2, 3, 7]
    assert len(parquet_files(scattered) - files) == 3  # the writer's two and the compaction's one


def test_appends_and_compactions_at_once_lose_and_double_nothing(table: Table, rows: Read) -> None:
    append(table, "a", -1)

    def write(first: int) -> None:
        for number in range(first, first + 15):
            append(table, "a", number)

    def tidy() -> None:
        for _ in range(15):
            compact(table)

    with ThreadPoolExecutor() as pool:
        work = [pool.submit(write, 0), pool.submit(write, 100), pool.submit(tidy), pool.submit(tidy)]
    for done in work:
        done.result()
    expected = sorted([-1, *range(15), *range(100, 115)])
    assert sorted(row["n"] for row in rows(table)) == expected
    compact(table)
    assert len(table.open().files()) == 1


def test_a_foreign_overwrite_beside_it_does_not_bring_rows_back(scattered: Table, rows: Read) -> None:
    handle = scattered.open()
    compact(scattered)
    try:
        write_deltalake(handle, pa.table({"p": ["b"], "n": [5]}), mode="overwrite", predicate="p = 'b'")
    except Exception:  # noqa: BLE001 whether delta-rs lets it land is its own affair
        assert len([row for row in rows(scattered) if row["p"] == "b"]) == 4
    else:
        assert [row["n"] for row in rows(scattered) if row["p"] == "b"] == [5]


def test_z_order_sorts_rows_along_the_curve_once(table: Table, rows: Read) -> None:
    x = [number % 32 for number in range(1024)]
    y = [number // 32 for number in range(1024)]
    append(table, "a", *x, m=y)
    before = rows(table)
    assert compact(table, order_by=["n", "m"]).partitions == 1
    assert rows(table) == before
    [path] = [Path(table.uri, file.path) for file in table.open().files()]
    stored = pq.read_table(path)
    for start in range(0, 1024, 64):  # each aligned 64 rows of the curve are a square of 8 by 8
        part = stored.slice(start, 64)
        for column in ("n", "m"):
            values = part[column].to_pylist()
            assert max(values) - min(values) == 7
    assert compact(table, order_by=["n", "m"]).partitions == 0
    append(table, "a", 1, m=[1])
    assert compact(table, order_by=["n", "m"]).partitions == 1


def test_z_order_takes_text_nulls_and_times(table: Table, rows: Read) -> None:
    times = pa.array([None, 5, 1, 3], pa.timestamp("us", "UTC"))
    append(table, "a", 4, 3, 2, 1, s=["x", None, "y", "a"], t=times)
    before = rows(table)
    compact(table, order_by=["s", "t"])
    assert rows(table) == before


def test_a_column_that_cannot_be_sorted_by_is_refused(scattered: Table) -> None:
    with pytest.raises(SchemaMismatch, match=r"no columns 'p' and 'q' to order by"):
        compact(scattered, order_by=["p", "q"])


def test_files_that_never_had_a_new_column_stay_without_it(scattered: Table, rows: Read) -> None:
    append(scattered, "one", 2, m=["x"])
    before = rows(scattered)
    compact(scattered)
    assert rows(scattered) == before
    assert verify_files(scattered, partitions("one", "b"), rows=True).problems == ()


def test_partitions_of_null_are_left_alone(table: Table, rows: Read) -> None:
    write_deltalake(table.uri, pa.table({"p": [None, "a"], "n": [1, 1]}), partition_by=["p"])
    write_deltalake(table.uri, pa.table({"p": [None, "a"], "n": [2, 2]}), mode="append")
    before = rows(table)
    assert compact(table).partitions == 1
    assert rows(table) == before


def test_a_log_that_is_wrong_about_rows_ends_it(scattered: Table, parquet_files: Any) -> None:
    entry = Path(scattered.uri, "_delta_log", f"{1:020}.json")
    entry.write_text(entry.read_text().replace(r"\"numRecords\": 1", r"\"numRecords\": 5"))
    files = parquet_files(scattered)
    with pytest.raises(UnsupportedTable, match="practicus-assets verify t"):
        compact(scattered)
    assert parquet_files(scattered) == files


def test_tables_with_features_that_are_not_honoured_are_refused(table: Table) -> None:
    properties = {
        "delta.enableDeletionVectors": "true",
        "delta.minReaderVersion": "3",
        "delta.minWriterVersion": "7",
    }
    DeltaTable.create(table.uri, pa.schema([("n", pa.int64())]), configuration=properties)
    with pytest.raises(UnsupportedTable):
        compact(table)
