"""Shares of snapshots: each row is in one of them, whatever the files are, and in the same one each time."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import WriterProperties, write_deltalake

from practicus_assets.engines.parcels import packed, unpacked
from practicus_assets.engines.shares import SnapshotShare
from practicus_assets.engines.splits import Split
from practicus_assets.errors import CommitConflict, DeclarationError, VersionGone
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.layers.layered import layers_of
from practicus_assets.lake.partitions.scope import Scope
from tests.kit import partitions, write

Numbers = list[int]


def shares(whole: Snapshot, count: int, by: str | None = None, **options: bool) -> list[SnapshotShare]:
    return [SnapshotShare(whole, Split(index, count), by, **options) for index in range(count)]


def numbers(share: Snapshot, predicate: str | None = None) -> Numbers:
    return [row["n"] for row in share.to_arrow(["n"], predicate).to_pylist()]


def all_of(parts: Sequence[Snapshot], predicate: str | None = None) -> Numbers:
    return sorted(number for part in parts for number in numbers(part, predicate))


@pytest.fixture
def filled(table: Table) -> Table:
    """Return a table of seven files and three partitions, one of which is large."""
    write(table, "a", *range(40))
    for first in (100, 200, 300):
        write(table, "b", *range(first, first + 7), mode="append")
    write(table, "c", 500)
    return table


ALL = [*range(40), *range(100, 107), *range(200, 207), *range(300, 307), 500]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 64, 200])
def test_each_row_is_in_one_share(filled: Table, count: int) -> None:
    whole = Snapshot.of(filled)
    parts = shares(whole, count)
    assert all_of(parts) == ALL
    assert [len(numbers(part)) for part in parts] == [part.row_count for part in parts]
    assert max(part.row_count or 0 for part in parts) - min(part.row_count or 0 for part in parts) <= 1
    assert all_of(shares(whole, count, "n")) == ALL
    assert all_of(shares(whole, count, has_predicate=True), "n < 105") == [n for n in ALL if n < 105]


def test_a_share_reads_the_rows_of_its_own_row_groups(table: Table) -> None:
    rows = pa.table({"n": pa.array(range(1000)), "t": [f"text {i}" for i in range(1000)]})
    write_deltalake(table.uri, rows, writer_properties=WriterProperties(max_row_group_size=100))
    [path] = Path(table.uri).glob("*.parquet")
    assert pq.ParquetFile(path).num_row_groups == 10
    parts = shares(Snapshot.of(table), 7)
    assert [numbers(part) for part in parts] == [
        list(range(1000 * k // 7, 1000 * (k + 1) // 7)) for k in range(7)
    ]


def test_shares_of_partitions_and_of_no_row_are_those_rows(filled: Table) -> None:
    some = Snapshot.of(filled, scope=partitions("b", "c"))
    assert all_of(shares(some, 4)) == ALL[40:]
    assert all_of(shares(some, 4, "p")) == ALL[40:]
    assert all_of(shares(some.without_rows(), 4)) == []
    assert all_of(shares(some.without_rows(), 4, "n")) == []
    by_key = [part.by_partition() for part in shares(some, 2)]
    assert [sorted(parts) for parts in by_key] == [["b", "c"]] * 2
    assert all_of([parts["b"] for parts in by_key]) == ALL[40:61]


def test_all_rows_of_a_value_are_in_one_share_of_every_table(filled: Table, tmp_path: Path) -> None:
    other = Table.at(f"{tmp_path}/other", ["u"])
    rows = pa.table({"n": pa.array([5, 5, 300, 500], pa.int32()), "p": ["a", "a", "b", "c"]})
    write_deltalake(other.uri, rows)
    for by in ("n", "p"):
        ours, theirs = shares(Snapshot.of(filled), 3, by), shares(Snapshot.of(other), 3, by)
        for one, two in zip(ours, theirs, strict=True):
            values = {row[by] for row in one.to_arrow().to_pylist()}
            assert {row[by] for row in two.to_arrow().to_pylist()} <= values


def test_a_share_by_a_partition_column_opens_no_file_of_others(filled: Table) -> None:
    parts = shares(Snapshot.of(filled), 2, "p")
    with_a = next(part for part in parts if 0 in numbers(part))
    other = next(part for part in parts if part is not with_a)
    expected = numbers(other)
    for info in filled.files_in("p=a"):
        filled.delete(info.path.strip("/"))
    assert numbers(other) == expected
    with pytest.raises(VersionGone):
        numbers(with_a)


@pytest.mark.parametrize("by", [None, "n"])
def test_nested_columns_and_layers_are_shared_by_hashes(
    filled: Table, tmp_path: Path, by: str | None
) -> None:
    write(filled, "d", 600, 601, 602, nested=[{"x": 1}, {"x": 2}, None])
    parts = shares(Snapshot.of(filled), 3, by)
    assert all_of(parts) == [*ALL, 600, 601, 602]
    assert [part.row_count for part in parts] == [None] * 3
    own = Table.at(f"{tmp_path}/own", ["t"])
    layered, _ = layers_of(own.open_if_exists(), filled.open(), Scope())
    assert all_of(shares(layered, 3, by)) == [*ALL, 600, 601, 602]


def test_a_snapshot_that_was_sent_is_the_same_version_or_an_error(filled: Table) -> None:
    content = packed(Snapshot.of(filled, scope=partitions("b")), {})
    write(filled, "b", 9)
    assert all_of(shares(unpacked(content, {}), 2)) == ALL[40:61]
    shutil.rmtree(filled.uri)
    for number in range(5):
        write(filled, "b", number)
    with pytest.raises(CommitConflict, match="another table was put in the place"):
        unpacked(content, {})


def test_a_predicate_and_sql_that_would_need_rows_of_others_are_refused(filled: Table) -> None:
    [part, _] = shares(Snapshot.of(filled), 2)
    with pytest.raises(DeclarationError, match="predicate 'n > 3' is for a snapshot that splits divide"):
        part.to_arrow(predicate="n > 3")
    with pytest.raises(DeclarationError, match="no table for SQL"):
        part.sql("SELECT * FROM t")


def test_a_column_that_files_do_not_have_yet_is_null_in_their_shares(filled: Table) -> None:
    write(filled, "c", 501, extra=["x"])
    rows = [row for part in shares(Snapshot.of(filled), 4) for row in part.to_arrow().to_pylist()]
    assert len(rows) == len(ALL)
    assert [row["n"] for row in rows if row["extra"] == "x"] == [501]
