import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from practicus_assets.errors import CommitConflict, RollbackRefused, SchemaMismatch, VersionGone
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.transactions.commit import Commit
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.lake.upkeep.compaction import compact
from practicus_assets.lake.upkeep.rollback import carry_out, plan_rollback
from tests.kit import partitions, write

Read = Callable[[Table], list[dict[str, Any]]]


ALL = partitions("a", "b", "c")


def back(table: Table, to: int, within: Scope = ALL, *, whole: bool = True, **options: Any) -> Commit | None:
    planned = plan_rollback(table, to, within, whole=whole)
    return carry_out(table, planned, Provenance(), **options) if planned.scope is not None else None


def test_only_what_changed_since_goes_back_in_one_new_commit(table: Table, rows: Read) -> None:
    write(table, "a", 1)
    write(table, "b", 2)
    write(table, "a", 9)
    before = {file.path for file in table.open().files() if file.values["p"] == "b"}
    commit = back(table, 1)
    assert commit is not None
    assert (commit.version, list(commit.fingerprints)) == (3, ["a"])
    assert rows(table) == [{"p": "a", "n": 1}, {"p": "b", "n": 2}]
    assert {file.path for file in table.open().files() if file.values["p"] == "b"} == before


def test_only_the_given_partitions_go_back(table: Table, rows: Read) -> None:
    for p in ("a", "b"):
        write(table, p, 1)
    for p in ("a", "b"):
        write(table, p, 9)
    back(table, 1, partitions("a"), whole=False)
    assert rows(table) == [{"p": "a", "n": 1}, {"p": "b", "n": 9}]


def test_a_partition_that_was_not_there_is_emptied(table: Table, rows: Read) -> None:
    write(table, "a", 1)
    write(table, "b", 2)
    back(table, 0)
    assert rows(table) == [{"p": "a", "n": 1}]


def test_several_commits_are_undone_only_if_told(table: Table, rows: Read) -> None:
    for number in (1, 2, 3):
        write(table, "a", number)
    write(table, "b", 7)
    with pytest.raises(RollbackRefused, match=r"undo 2 commits: version 2 .*version 1 .*Nothing was written"):
        back(table, 0, partitions("a"), whole=False)
    assert table.open().version == 3
    back(table, 0, partitions("a"), whole=False, undo_newer=True)
    assert rows(table) == [{"p": "a", "n": 1}, {"p": "b", "n": 7}]


def test_commits_of_other_partitions_and_compactions_are_not_undone(table: Table, rows: Read) -> None:
    write(table, "a", 1)
    write(table, "b", 2)
    write(table, "b", 3, mode="append")
    write(table, "a", 9)
    compact(table)
    planned = plan_rollback(table, 2, ALL, whole=True)
    assert [version.version for version in planned.undone] == [3]
    assert str(planned.scope) == "a"
    back(table, 2)
    assert rows(table) == [{"p": "a", "n": 1}, {"p": "b", "n": 2}, {"p": "b", "n": 3}]


def test_what_is_as_it_was_is_left_alone(table: Table) -> None:
    write(table, "a", 1)
    write(table, "a", 2, mode="append")
    compact(table)
    assert back(table, 1) is None
    write(table, "a", 9)
    assert back(table, 1) is not None
    assert back(table, 1) is None  # a rollback to the same version is no newer commit
    assert table.open().version == 4


def test_a_rollback_can_be_rolled_back(table: Table, rows: Read) -> None:
    write(table, "a", 1)
    write(table, "a", 2)
    back(table, 0)
    back(table, 1)
    assert rows(table) == [{"p": "a", "n": 2}]


def test_a_commit_between_the_plan_and_the_rollback_is_a_conflict(table: Table, rows: Read) -> None:
    write(table, "a", 1)
    write(table, "a", 2)
    planned = plan_rollback(table, 0, ALL, whole=True)
    write(table, "b", 5)
    write(table, "a", 3)
    with pytest.raises(CommitConflict, match=r"version 3 was committed after the rollback was planned at 1"):
        carry_out(table, planned, Provenance())
    assert rows(table) == [{"p": "a", "n": 3}, {"p": "b", "n": 5}]


def test_a_commit_to_another_partition_meanwhile_is_none(table: Table, rows: Read) -> None:
    write(table, "a", 1)
    write(table, "a", 2)
    planned = plan_rollback(table, 0, ALL, whole=True)
    write(table, "b", 5)
    carry_out(table, planned, Provenance())
    assert rows(table) == [{"p": "a", "n": 1}, {"p": "b", "n": 5}]


def test_columns_that_came_since_stay_and_are_null_in_partitions_that_go_back(
    table: Table, rows: Read
) -> None:
    write(table, "a", 1)
    write(table, "b", 2)
    write(table, "a", 9, m=["x"])
    back(table, 1)
    assert rows(table) == [{"p": "a", "n": 1, "m": None}, {"p": "b", "n": 2, "m": None}]


NESTED = {  # a column of a first version, and of the next
    "struct": ({"x": 1}, {"x": 9, "y": "new"}),
    "list of structs": ([{"x": 1}, None], [{"y": "new", "x": 9}]),
    "struct in a struct": ({"in": {"x": 1}}, {"in": {"x": 9, "y": [1]}, "z": 1}),
}


@pytest.mark.parametrize("kind", NESTED)
def test_fields_that_came_since_stay_and_are_null_in_partitions_that_go_back(
    kind: str, table: Table, rows: Read
) -> None:
    first, then = NESTED[kind]
    write(table, "a", 1, s=[first])
    write(table, "b", 2, s=[None])
    write(table, "a", 9, s=[then])
    now = table.open().schema
    back(table, 1, partitions("a", "b"), whole=False)
    assert table.open().schema == now
    type_ = now.field("s").type
    assert rows(table) == [
        {"p": "a", "n": 1, "s": pa.scalar(first, type_).as_py()},
        {"p": "b", "n": 2, "s": None},
    ]


def test_partitions_do_not_go_back_to_where_a_field_had_another_type_or_is_gone(table: Table) -> None:
    changed = {"a": {"x": 1, "y": "later"}, "b": {"x": "text"}, "c": {"y": 1}}
    for version, struct in enumerate(changed.values()):
        rows = pa.table({"p": ["a"], "s": pa.array([struct])})
        options = WriteOptions(partition_by=["p"], on_schema_change="replace")
        assert Transaction(table, options=options).write(rows).version == version
    for version in (0, 1):
        with pytest.raises(SchemaMismatch, match=r"column 's' of t changed"):
            back(table, version, partitions("a"), whole=False)


def test_a_whole_table_goes_back_with_its_columns(table: Table, rows: Read) -> None:
    Transaction(table).write(pa.table({"n": [1], "gone": ["x"]}))
    Transaction(table, options=WriteOptions(on_schema_change="replace")).write(pa.table({"n": ["text"]}))
    back(table, 0, Scope())
    assert rows(table) == [{"n": 1, "gone": "x"}]
    assert table.open().schema.field(0).type == pa.int64()


def test_partitions_do_not_go_back_over_a_change_of_their_columns(table: Table, rows: Read) -> None:
    Transaction(table, options=WriteOptions(partition_by=["p"])).write(
        pa.table({"p": ["a", "b"], "n": [1, 2]})
    )
    changed = pa.table({"p": ["a", "b"], "n": ["one", "two"]})
    Transaction(table, options=WriteOptions(partition_by=["p"], on_schema_change="replace")).write(changed)
    with pytest.raises(SchemaMismatch, match=r"column 'n' of t changed"):
        back(table, 0, partitions("a"), whole=False)
    back(table, 0)
    assert rows(table) == [{"p": "a", "n": 1}, {"p": "b", "n": 2}]


def test_rows_outside_of_the_known_partitions_make_the_whole_table_go_back(table: Table, rows: Read) -> None:
    write(table, "a", 1)
    write_deltalake(table.uri, pa.table({"p": ["elsewhere"], "n": [5]}), mode="append")
    back(table, 0)
    assert rows(table) == [{"p": "a", "n": 1}]


def test_a_commit_of_another_writer_is_undone_too(table: Table, rows: Read) -> None:
    write(table, "a", 1, 2)
    DeltaTable(table.uri).delete("n = 2")
    [undone] = plan_rollback(table, 0, ALL, whole=True).undone
    assert undone.operation == "delete"
    back(table, 0)
    assert rows(table) == [{"p": "a", "n": 1}, {"p": "a", "n": 2}]


def test_files_that_were_vacuumed_away_end_it_and_nothing_is_written(
    table: Table, parquet_files: Callable[[Table], set[str]]
) -> None:
    write(table, "a", 1)
    write(table, "a", 2)
    [old] = [name for name in parquet_files(table) if name not in str(table.open().files())]
    Path(table.uri, old).unlink()
    with pytest.raises(VersionGone):
        back(table, 0)
    assert table.open().version == 1
    assert len(parquet_files(table)) == 1


@pytest.mark.process
def test_a_vacuum_beside_it_leaves_the_rows_that_came_back(table: Table, rows: Read) -> None:
    write(table, "a", 1)
    write(table, "a", 2)
    back(table, 0)
    vacuum = "import sys, deltalake; deltalake.DeltaTable(sys.argv[1]).vacuum(0, False, False, full=True)"
    subprocess.run([sys.executable, "-c", vacuum, table.uri], check=True)
    assert rows(table) == [{"p": "a", "n": 1}]
