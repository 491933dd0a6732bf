import pyarrow as pa
import pytest
from deltalake import write_deltalake

from practicus_assets.errors import VersionGone
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.options import Mode, WriteOptions
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.lake.upkeep.compaction import compact
from practicus_assets.lake.upkeep.diff import diff_versions
from tests.kit import partitions


def write(table: Table, p: str, rows: list[dict[str, object]], mode: Mode = "replace") -> None:
    data = pa.Table.from_pylist([{"p": p, **row} for row in rows])
    Transaction(table, partitions(p), WriteOptions(partition_by=["p"], mode=mode)).write(data)


def test_only_partitions_whose_rows_differ_are_shown_with_the_rows(table: Table) -> None:
    write(table, "a", [{"n": 1}, {"n": 1}, {"n": 2}])
    write(table, "b", [{"n": 7}])
    write(table, "a", [{"n": 1}, {"n": 3}])
    found = diff_versions(table, 1, 2)
    [change] = found.partitions
    assert change.partition == {"p": "a"}
    assert (change.rows_before, change.rows_after, change.lost, change.gained) == (3, 2, 2, 1)
    assert sorted(row["n"] for row in found.lost) == [1, 2]
    assert [row["n"] for row in found.gained] == [3]
    assert (found.before.rows, found.after.rows) == (4, 3)


def test_new_columns_are_told_and_rows_are_compared_by_those_of_both(table: Table) -> None:
    write(table, "a", [{"n": 1}])
    write(table, "a", [{"n": 1, "m": "x"}])
    found = diff_versions(table, 0, 1)
    assert set(found.after.columns) - set(found.before.columns) == {"m"}
    assert set(found.compared) == {"p", "n"}
    assert (found.partitions, found.rewritten) == ((), 1)


def test_a_compaction_changes_no_rows(table: Table) -> None:
    write(table, "a", [{"n": 1}])
    write(table, "a", [{"n": 2}], "append")
    compact(table)
    found = diff_versions(table, 1, 2)
    assert (found.partitions, found.rewritten) == ((), 1)
    assert (found.before.files, found.after.files) == (2, 1)


def test_samples_are_as_many_as_asked_for(table: Table) -> None:
    write(table, "a", [{"n": number} for number in range(50)])
    write(table, "a", [])
    found = diff_versions(table, 0, 1, samples=3)
    assert (len(found.lost), len(found.gained), found.partitions[0].lost) == (3, 0, 50)
    assert diff_versions(table, 0, 1, samples=0).lost == ()


def test_a_table_without_partitions_and_of_another_writer_is_compared(table: Table) -> None:
    write_deltalake(table.uri, pa.table({"n": [1, 2]}))
    write_deltalake(table.uri, pa.table({"n": [2, 3]}), mode="append")
    [change] = diff_versions(table, 0, 1).partitions
    assert (change.partition, change.lost, change.gained) == ({}, 0, 2)


def test_a_file_that_was_vacuumed_away_is_named(table: Table) -> None:
    write(table, "a", [{"n": 1}])
    write(table, "a", [{"n": 2}])
    [old] = table.open(0).files()
    assert table.delete(old.path)
    with pytest.raises(VersionGone, match=r"^t: the file p=a/part-.* is gone"):
        diff_versions(table, 0, 1)
