from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from practicus_assets.errors import TableNotFound
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.upkeep.compaction import compact
from practicus_assets.lake.upkeep.retention import checkpoint
from practicus_assets.lake.upkeep.verify import Verification, verify_files
from tests import kit
from tests.kit import as_of_an_older_release, partitions

SCOPE = partitions("a", "b")


@pytest.fixture
def filled(table: Table) -> Table:
    for p, numbers in (("a", [1, 2, 3]), ("b", [7])):
        write(table, p, *numbers)
    return table


def write(table: Table, p: str, *numbers: int, **options: Any) -> None:
    kit.write(table, p, *numbers, s=["x"] * len(numbers), **options)


def kinds(verification: Verification) -> list[str]:
    return [problem.kind for problem in verification.problems]


def a_file(table: Table, p: str = "a") -> Path:
    [path] = Path(table.uri, f"p={p}").glob("*.parquet")
    return path


@pytest.mark.parametrize("rows", [False, True])
def test_a_whole_table_has_nothing_to_tell(filled: Table, *, rows: bool) -> None:
    write(filled, "a", 4, mode="append")
    compact(filled)
    checkpoint(filled)
    write(filled, "b", 8, 9)
    found = verify_files(filled, SCOPE, rows=rows)
    assert found.problems == ()
    assert (found.version, found.entries, found.files, found.rows) == (4, 5, 2, 6)
    assert (found.older_files, found.orphans) == (3, 0)


@pytest.mark.parametrize("rows", [False, True])
def test_a_missing_file_is_found(filled: Table, *, rows: bool) -> None:
    a_file(filled).unlink()
    verification = verify_files(filled, SCOPE, rows=rows)
    assert "missing file" in kinds(verification)
    assert verification.problems[0].subject.startswith("p=a/part-")


def test_a_file_of_another_size_or_that_is_no_parquet_is_found(filled: Table) -> None:
    path = a_file(filled)
    good = path.read_bytes()
    path.write_bytes(good[:-5])
    assert kinds(verify_files(filled)) == ["damaged file"]
    path.write_bytes(b"\0" * len(good))
    assert kinds(verify_files(filled)) == ["damaged file"]


def test_a_file_with_other_rows_than_the_log_says_is_found(filled: Table) -> None:
    path = a_file(filled)
    pq.write_table(pa.table({"n": pa.array([1], pa.int64()), "s": ["x"]}), path)
    entry = Path(filled.uri, "_delta_log", f"{0:020}.json")
    size = entry.read_text().split('"size":')[1].split(",")[0]
    entry.write_text(entry.read_text().replace(f'"size":{size}', f'"size":{path.stat().st_size}'))
    [problem] = verify_files(filled).problems
    assert (problem.kind, problem.text) == ("rows", "it has 1 row, and the log says 3.")


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize(
    ("true", "false", "says"),
    [
        (r"\"minValues\": {\"n\": 1", r"\"minValues\": {\"n\": 2", "n has the value 1, below 2"),
        (r"\"maxValues\": {\"n\": 3", r"\"maxValues\": {\"n\": 2", "n has the value 3, above 2"),
        (r"\"nullCount\": {\"n\": 0", r"\"nullCount\": {\"n\": 1", "n has 0 nulls, not 1"),
    ],
)
def test_statistics_that_hide_rows_are_found(
    filled: Table, true: str, false: str, says: str, *, rows: bool
) -> None:
    entry = Path(filled.uri, "_delta_log", f"{0:020}.json")
    assert true in entry.read_text()
    entry.write_text(entry.read_text().replace(true, false))
    [problem] = verify_files(filled, SCOPE, rows=rows).problems
    assert problem.kind == "statistics"
    assert says in problem.text


def test_rows_that_are_not_those_that_were_committed_are_found_when_rows_are_read(filled: Table) -> None:
    path = a_file(filled)
    before = pq.read_table(path)
    other = before.set_column(0, "n", pa.array([1, 3, 3], pa.int64()))
    sizes = [path.stat().st_size]
    pq.write_table(other, path, compression="zstd", compression_level=1, store_schema=False)
    sizes.append(path.stat().st_size)
    entry = Path(filled.uri, "_delta_log", f"{0:020}.json")
    entry.write_text(entry.read_text().replace(f'"size":{sizes[0]}', f'"size":{sizes[1]}'))
    assert kinds(verify_files(filled, SCOPE)) == []
    [problem] = verify_files(filled, SCOPE, rows=True).problems
    assert (problem.kind, problem.subject) == ("content", "a")


def test_a_column_that_came_later_is_no_change_of_older_partitions(filled: Table) -> None:
    write(filled, "b", 8, later=["y"])
    assert verify_files(filled, SCOPE, rows=True).problems == ()


def test_rows_are_compared_with_a_fingerprint_that_an_older_release_recorded(filled: Table) -> None:
    rows = Snapshot.of(filled, scope=partitions("a")).to_arrow()
    as_of_an_older_release(filled, 0, rows)
    assert verify_files(filled, SCOPE, rows=True).problems == ()
    as_of_an_older_release(filled, 0, rows.slice(1))
    [problem] = verify_files(filled, SCOPE, rows=True).problems
    assert (problem.kind, problem.subject) == ("content", "a")


def test_a_hole_in_the_log_and_a_damaged_entry_are_found(filled: Table) -> None:
    write(filled, "a", 5)
    checkpoint(filled)
    log = Path(filled.uri, "_delta_log")
    (log / f"{1:020}.json").unlink()
    (log / f"{0:020}.json").write_text('{"add": ')
    found = [problem for problem in verify_files(filled).problems if problem.kind == "log"]
    assert "no entry is there of version 1." in found[0].text
    assert found[1].subject == f"{0:020}.json"


def test_a_damaged_checkpoint_and_a_pointer_to_none_are_found(filled: Table) -> None:
    checkpoint(filled)
    log = Path(filled.uri, "_delta_log")
    [path] = log.glob("*.checkpoint.parquet")
    good = path.read_bytes()
    path.write_bytes(b"PAR1" + b"\0" * 100)
    assert any(problem.subject == path.name for problem in verify_files(filled).problems)
    path.unlink()
    assert any(problem.subject == "_last_checkpoint" for problem in verify_files(filled).problems)
    path.write_bytes(good)
    assert verify_files(filled).problems == ()


def test_a_log_that_begins_late_without_a_checkpoint_is_found(filled: Table) -> None:
    Path(filled.uri, "_delta_log", f"{0:020}.json").unlink()
    verification = verify_files(filled)
    assert verification.version is None
    assert "it begins at version 1, and no checkpoint holds what was before." in verification.problems[0].text
    assert "cannot be opened" in verification.problems[-1].text


def test_orphans_are_counted_and_are_no_fault(
    filled: Table, parquet_files: Callable[[Table], set[str]]
) -> None:
    pq.write_table(pa.table({"n": [1]}), Path(filled.uri, "p=a", "part-left.parquet"))
    inner = Table.at(filled.uri, ["inner"])
    write(inner, "a", 1)
    found = verify_files(filled)
    assert (found.orphans, found.problems) == (1, ())
    assert len(parquet_files(filled)) == 4


def test_tables_of_other_writers_are_verified_too(table: Table) -> None:
    rows = {
        "t": pa.array([1_700_000_000_123_456], pa.timestamp("us", "UTC")),
        "d": pa.array([1.5]),
        "day": pa.array([19_000], pa.date32()),
        "s": ["ä" * 50],
        "p": ["a b/%é"],
    }
    write_deltalake(table.uri, pa.table(rows), partition_by=["p"])
    for each in (False, True):
        assert verify_files(table, rows=each).problems == ()


def test_there_is_nothing_to_verify_without_a_table(table: Table) -> None:
    with pytest.raises(TableNotFound):
        verify_files(table)
