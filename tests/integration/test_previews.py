"""Previews of what a commit wrote: the rows that its process still has are those that its files hold."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from practicus_assets.assets.report.preview import partition_previews, preview
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.transactions.commit import Commit
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.transaction import Transaction
from tests.integration.exports import rows_of_each_type

NESTED = pa.table(
    {
        "id": [1, 2, 3],
        "tags": [["a", None], None, []],
        "place": [{"x": 1, "y": None}, None, {"x": 2, "y": "z"}],
        "prices": pa.array([[("a", 1)], None, []], pa.map_(pa.string(), pa.int64())),
    }
)


def made(table: Table, rows: pa.Table | pa.RecordBatchReader, *days: str) -> tuple[Commit, Snapshot]:
    """Commit rows, of these days if there are any."""
    scope = Scope.of(days, ["day"]) if days else Scope()
    transaction = Transaction(table, scope, WriteOptions(partition_by=["day"] if days else []))
    commit = transaction.write(rows)
    return commit, Snapshot(transaction.at(commit), scope)


@pytest.mark.parametrize("rows", [rows_of_each_type(), NESTED], ids=["plain", "nested"])
def test_rows_in_memory_look_like_those_of_the_file(tmp_path: Path, rows: pa.Table) -> None:
    commit, snapshot = made(Table.from_uri(tmp_path / "t"), rows)
    assert len(commit.heads) == 1
    for count in (2, 5):
        assert preview(snapshot, count, commit.heads) == preview(snapshot, count)


def test_partitions_look_the_same_from_memory_with_fewer_rows_or_more_than_are_shown(tmp_path: Path) -> None:
    days = ["a"] * 2 + ["b"] * 40 + ["c d"] * 5
    table = Table.from_uri(tmp_path / "t")
    commit, snapshot = made(table, pa.table({"day": days, "n": range(47)}), "a", "b", "c d", "empty")
    read = partition_previews(table, snapshot, 5, {})
    assert partition_previews(table, snapshot, 5, commit.heads) == read
    assert [str(text.md_str).count("\n") - 1 for text in read.values()] == [2, 5, 5, -1]
    for path in tmp_path.rglob("*.parquet"):
        path.unlink()
    assert partition_previews(table, snapshot, 5, commit.heads) == read


def test_a_short_file_beside_others_is_read_with_them(tmp_path: Path) -> None:
    table = Table.from_uri(tmp_path / "t")
    made(table, pa.table({"n": [1, 2]}))
    transaction = Transaction(table, Scope(), WriteOptions(mode="append"))
    commit = transaction.write(pa.table({"n": [3]}))
    shown = preview(Snapshot(transaction.at(commit), Scope()), 5, commit.heads)
    assert sorted(str(shown.md_str).splitlines()[2:]) == ["| 1 |", "| 2 |", "| 3 |"]


def test_large_values_are_not_kept_in_memory(tmp_path: Path) -> None:
    rows = pa.table({"n": [1, 2], "text": ["x" * 100_000, "y"]})
    commit, snapshot = made(Table.from_uri(tmp_path / "t"), rows)
    assert not commit.heads
    assert preview(snapshot, 5, commit.heads) == preview(snapshot, 5)


def test_what_is_kept_of_many_partitions_is_bounded_and_the_others_are_read(tmp_path: Path) -> None:
    days = [f"d{number:04}" for number in range(400) for _ in range(5)]
    rows = pa.table({"day": days, "text": [f"{number:04}" * 750 for number in range(len(days))]})
    commit, snapshot = made(Table.from_uri(tmp_path / "t"), rows, *dict.fromkeys(days))
    assert 0 < sum(head.nbytes for head in commit.heads.values()) <= 4 << 20
    assert 0 < len(commit.heads) < 400
    read = partition_previews(Table.from_uri(tmp_path / "t"), snapshot, 5, {})
    assert partition_previews(Table.from_uri(tmp_path / "t"), snapshot, 5, commit.heads) == read


def test_a_lake_that_shows_no_rows_keeps_none(tmp_path: Path) -> None:
    table = replace(Table.from_uri(tmp_path / "t"), sample_rows=0)
    commit, _ = made(table, pa.table({"n": [1, 2]}))
    assert not commit.heads
