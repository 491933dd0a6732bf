"""What a transaction promises, one promise a test."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, Field, TableFeatures, write_deltalake
from deltalake.exceptions import DeltaError
from deltalake.schema import PrimitiveType

from practicus_assets.errors import (
    AuditFailed,
    CommitConflict,
    CommitStateUnknown,
    DataRefused,
    DeclarationError,
    OutOfScope,
    SchemaMismatch,
    UnsupportedTable,
    VersionGone,
)
from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.delta.record import InputVersion
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.transactions.landing import Landing
from practicus_assets.lake.transactions.options import Mode, WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction
from tests.kit import as_of_an_older_release, commit_info, log, partitions, table_of

Read = Callable[[Table], list[dict[str, Any]]]
Files = Callable[[Table], set[str]]
MODES: list[Mode] = ["replace", "append", "merge"]


def begin(
    table: Table,
    scope: Scope | None = None,
    mode: Mode = "replace",
    contract: Contract | None = None,
    provenance: Provenance | None = None,
    **more: Any,
) -> Transaction:
    if mode == "merge":
        more.setdefault("merge_keys", ["p", "n"])
    options = WriteOptions(partition_by=["p"], mode=mode, **more)
    return Transaction(table, scope, options, contract=contract, provenance=provenance)


def row(p: str, n: int, **more: Any) -> dict[str, Any]:
    return {"p": p, "n": n, **more}


def streamed(data: pa.Table) -> Iterator[pa.RecordBatch]:
    yield from data.to_batches()


def record(table: Table, version: int) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(commit_info(table, version)["practicus_assets"])
    return parsed


def race(root: Path, mode: str, partitions: list[str]) -> list[str]:
    """Start a process for each partition, let them go at the same moment, and return their results."""
    script = Path(__file__).with_name("writer.py")
    processes = [
        subprocess.Popen(
            [sys.executable, script, str(root), mode, key],
            cwd=Path(__file__).parents[4],
            env={"PYTHONPATH": str(Path(__file__).parents[4])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for key in partitions
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    return [process.communicate(timeout=60)[0].strip() for process in processes]


# --- Scope --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_rows_outside_the_scope_are_refused_and_nothing_is_written(
    table: Table, rows: Read, parquet_files: Files, mode: Mode
) -> None:
    begin(table).write(pa.concat_tables([table_of("a", 1), table_of("b", 2)]))
    files = parquet_files(table)
    with pytest.raises(
        OutOfScope, match=r"t \[a\]: the output has 1 row outside the scope.*'b'.*Nothing was written\.$"
    ):
        begin(table, partitions("a"), mode).write(pa.concat_tables([table_of("a", 3), table_of("b", 4)]))
    assert rows(table) == [row("a", 1), row("b", 2)]
    assert parquet_files(table) == files


def test_a_partitioned_write_touches_no_other_partition_even_while_columns_change(
    table: Table, rows: Read
) -> None:
    begin(table).write(pa.concat_tables([table_of("a", 1), table_of("b", 2), table_of("c", 3)]))
    begin(table, partitions("a", "c")).write(table_of("a", 9).append_column("x", pa.array([True])))
    assert rows(table) == [row("a", 9, x=True), row("b", 2, x=None)]


def test_an_empty_output_empties_exactly_its_partitions(table: Table, rows: Read) -> None:
    begin(table).write(pa.concat_tables([table_of("a", 1), table_of("b", 2)]))
    commit = begin(table, partitions("a")).write(table_of("a"))
    assert commit.partition_rows == {"a": 0}
    assert rows(table) == [row("b", 2)]


def test_a_generator_without_batches_takes_its_columns_from_the_table(table: Table, rows: Read) -> None:
    begin(table).write(pa.concat_tables([table_of("a", 1), table_of("b", 2)]))
    begin(table, partitions("b")).write(iter(()))
    assert rows(table) == [row("a", 1)]


def test_a_generator_without_batches_and_a_table_without_columns_is_refused(table: Table) -> None:
    with pytest.raises(SchemaMismatch, match="has no columns"):
        begin(table).write(iter(()))


def test_a_scope_of_partitions_without_partitions_is_refused() -> None:
    with pytest.raises(DeclarationError):
        Scope(("p",), ())


def test_a_scope_on_columns_that_are_no_partition_columns_is_refused(table: Table) -> None:
    with pytest.raises(DeclarationError, match="partition_by"):
        Transaction(table, partitions("a"), WriteOptions(partition_by=["q"]))
    with pytest.raises(DeclarationError, match="partition_by"):
        Transaction(table, partitions("a"))
    with pytest.raises(DeclarationError, match="partition_by"):
        Transaction(table, partitions("a"), WriteOptions(partition_by="p"))


def test_partition_columns_other_than_the_tables_are_refused(table: Table) -> None:
    begin(table).write(table_of("a", 1))
    with pytest.raises(DeclarationError, match=r"partitioned by \['p'\]"):
        Transaction(table, options=WriteOptions(partition_by=["n"]))
    with pytest.raises(DeclarationError, match=r"partitioned by \['p'\]"):
        Transaction(table)


def test_partition_columns_of_a_table_that_was_created_meanwhile_are_looked_at_too(
    table: Table, parquet_files: Files
) -> None:
    late = Transaction(table, options=WriteOptions(partition_by=["n"], mode="append"))
    begin(table).write(table_of("a", 1))
    files = parquet_files(table)
    with pytest.raises(DeclarationError, match=r"partitioned by \['p'\].*Nothing was written\.$"):
        late.write(table_of("a", 2))
    assert parquet_files(table) == files


def test_a_partition_column_is_filled_in_where_the_scope_has_one_value_for_it(
    table: Table, rows: Read
) -> None:
    begin(table, partitions("a")).write(pa.table({"n": [1]}))
    assert rows(table) == [row("a", 1)] or rows(table) == [{"n": 1, "p": "a"}]
    with pytest.raises(OutOfScope, match="more than one value"):
        begin(table, partitions("a", "b")).write(pa.table({"n": [1]}))


@pytest.mark.parametrize("value", [None, "", "__HIVE_DEFAULT_PARTITION__", "x" * 256])
def test_a_partition_value_that_no_folder_can_hold_is_refused(
    table: Table, parquet_files: Files, value: str | None
) -> None:
    begin(table).write(table_of("a", 1))
    files = parquet_files(table)
    with pytest.raises(OutOfScope, match=r"Nothing was written\.$"):
        begin(table).write(pa.table({"p": ["b", value], "n": [1, 2]}))
    assert parquet_files(table) == files


def test_columns_that_cannot_partition_are_refused(table: Table) -> None:
    for values in ([1.5], [b"x"], [[1]]):
        with pytest.raises(SchemaMismatch, match="cannot be partitioned"):
            Transaction(table, options=WriteOptions(partition_by=["p"])).write(
                pa.table({"p": values, "n": [1]})
            )


def test_a_table_of_partition_columns_alone_is_refused(table: Table) -> None:
    says = (
        r"no column besides the partition column 'p', and a table needs one\. Return a further .*Nothing was"
    )
    for data in (pa.table({"p": ["a"]}), pa.table({"p": pa.array([], pa.string())})):
        with pytest.raises(DataRefused, match=says) as refused:
            Transaction(table, options=WriteOptions(partition_by=["p"])).write(data)
        assert type(refused.value) is DataRefused  # a SchemaMismatch would fail the contract's schema check
    assert table.open_if_exists() is None


# --- Compare and swap ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_late_attempt_is_refused_and_told_who_superseded_it(table: Table, rows: Read, mode: Mode) -> None:
    begin(table).write(table_of("a", 1))
    zombie = begin(table, partitions("a"), mode, provenance=Provenance("run-1", "s", 1))
    begin(table, partitions("a"), provenance=Provenance("run-2", "s", 3)).write(table_of("a", 2))
    with pytest.raises(
        CommitConflict, match=r"run run-2, step 's', attempt 3 .* version 1, .* version 0"
    ) as error:
        zombie.write(table_of("a", 3))
    assert str(error.value).endswith("Run again on fresh inputs. Nothing was written.")
    assert rows(table) == [row("a", 2)]


def test_two_attempts_that_both_create_the_table_do_not_both_land(table: Table, rows: Read) -> None:
    one, other = begin(table, partitions("a")), begin(table, partitions("a"))
    one.write(table_of("a", 1))
    with pytest.raises(CommitConflict):
        other.write(table_of("a", 1))
    assert rows(table) == [row("a", 1)]


@pytest.mark.parametrize("mode", MODES)
def test_a_retry_finds_the_commit_that_was_not_reported_even_after_others(
    table: Table, rows: Read, mode: Mode
) -> None:
    first = begin(table, None, mode, provenance=Provenance("run", "s", 1)).write(table_of("a", 1))
    begin(table, None, "append").write(table_of("b", 2))
    again = begin(table, None, mode, provenance=Provenance("run", "s", 2))
    found = again.write(table_of("a", 1))
    assert (found.recovered, found.version, found.fingerprint) == (True, first.version, first.fingerprint)
    assert found == again.landed
    assert DeltaTable(table.uri).version() == 1
    assert rows(table) == [row("a", 1), row("b", 2)]


def test_another_scope_of_the_same_run_and_step_is_other_work(table: Table, rows: Read) -> None:
    for key in ("a", "b"):
        commit = begin(table, partitions(key), provenance=Provenance("run", "s")).write(table_of(key, 1))
        assert not commit.recovered
    assert rows(table) == [row("a", 1), row("b", 1)]


def test_a_retry_whose_log_entry_was_cleaned_up_says_so(table: Table) -> None:
    begin(table, provenance=Provenance("run", "s", 1)).write(table_of("a", 1))
    begin(table, None, "append").write(table_of("a", 2))
    DeltaTable(table.uri).create_checkpoint()
    (Path(table.uri) / "_delta_log" / f"{0:020}.json").unlink()
    with pytest.raises(VersionGone, match="landed as version 0"):
        begin(table, provenance=Provenance("run", "s", 2))


@pytest.mark.parametrize("mode", MODES)
def test_an_earlier_attempt_of_the_same_run_that_wakes_up_is_refused(
    table: Table, rows: Read, mode: Mode
) -> None:
    begin(table).write(table_of("a", 1))
    zombie = begin(table, None, mode, provenance=Provenance("run", "s", 1))
    begin(table, None, mode, provenance=Provenance("run", "s", 2)).write(table_of("a", 2))
    before = rows(table)
    with pytest.raises(CommitConflict, match="attempt 2"):
        zombie.write(table_of("a", 2))
    assert rows(table) == before


@pytest.mark.process
def test_a_first_write_by_twelve_processes_succeeds_in_all(tmp_path: Path, table: Table, rows: Read) -> None:
    keys = [f"k{number}" for number in range(12)]
    assert race(tmp_path / "lake", "replace", keys) == ["landed"] * 12
    assert sorted((r["p"], r["n"]) for r in rows(table)) == sorted((k, n) for k in keys for n in (1, 2, 3))
    assert DeltaTable(table.uri).version() == 11


@pytest.mark.process
def test_appends_and_replaces_by_processes_at_once_double_and_lose_nothing(
    tmp_path: Path, table: Table, rows: Read
) -> None:
    assert race(tmp_path / "lake", "append", ["k"] * 4) == ["landed"] * 4
    assert len(rows(table)) == 12
    results = race(tmp_path / "lake", "replace", ["k"] * 3)
    assert set(results) <= {"landed", "conflict"}
    assert "landed" in results
    assert len(rows(table)) == 3


def test_disjoint_partitions_begun_at_once_all_land(table: Table, rows: Read) -> None:
    begin(table).write(table_of("a", 1))
    attempts = {key: begin(table, partitions(key)) for key in ("a", "b", "c")}
    for key, attempt in attempts.items():
        attempt.write(table_of(key, 2))
    assert rows(table) == [row("a", 2), row("b", 2), row("c", 2)]


@pytest.mark.parametrize("mode", MODES)
def test_a_whole_table_replace_conflicts_with_everything(table: Table, mode: Mode) -> None:
    begin(table).write(table_of("z", 1))
    whole, other = begin(table), begin(table, partitions("a"), mode)
    other.write(table_of("a", 1))
    with pytest.raises(CommitConflict):
        whole.write(table_of("a", 2))
    whole, other = begin(table), begin(table, partitions("a"), mode)
    whole.write(table_of("a", 3))
    with pytest.raises(CommitConflict):
        other.write(table_of("a", 4))


def test_an_append_beside_an_append_lands(table: Table, rows: Read) -> None:
    begin(table).write(table_of("a", 1))
    one, other = begin(table, None, "append"), begin(table, partitions("a"), "append")
    one.write(table_of("a", 2))
    other.write(table_of("a", 3))
    assert rows(table) == [row("a", 1), row("a", 2), row("a", 3)]


def test_an_append_beside_an_append_conflicts_where_keys_must_be_unique(table: Table) -> None:
    contract = Contract(unique=[["n"]])
    begin(table).write(table_of("a", 1))
    one, other = (begin(table, None, "append", contract=contract) for _ in range(2))
    one.write(table_of("a", 2))
    with pytest.raises(CommitConflict):
        other.write(table_of("a", 2))


@pytest.mark.parametrize("mode", MODES)
def test_another_writer_without_our_metadata_conflicts_inside_the_scope_only(
    table: Table, rows: Read, mode: Mode
) -> None:
    begin(table).write(pa.concat_tables([table_of("a", 1), table_of("b", 2)]))
    inside, outside = begin(table, partitions("a"), mode), begin(table, partitions("b"), mode)
    write_deltalake(table.uri, table_of("a", 7), mode="overwrite", predicate="p = 'a'")
    with pytest.raises(CommitConflict, match=r"another writer \(WRITE, delta-rs.*version 1"):
        inside.write(table_of("a", 8))
    outside.write(table_of("b", 9))
    assert row("a", 7) in rows(table)
    assert row("b", 9) in rows(table)


def test_an_append_of_another_writer_conflicts_with_a_replace_and_not_with_an_append(table: Table) -> None:
    begin(table).write(table_of("a", 1))
    replace, append = begin(table, partitions("a")), begin(table, partitions("a"), "append")
    write_deltalake(table.uri, table_of("a", 7), mode="append")
    append.write(table_of("a", 8))
    with pytest.raises(CommitConflict):
        replace.write(table_of("a", 9))


def test_a_delete_whose_log_entry_does_not_say_where_conflicts(table: Table) -> None:
    begin(table).write(pa.concat_tables([table_of("a", 1), table_of("b", 2)]))
    late = begin(table, partitions("b"))
    write_deltalake(table.uri, table_of("a", 3), mode="overwrite", predicate="p = 'a'")
    path = Path(table.uri) / "_delta_log" / f"{1:020}.json"
    actions = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for action in actions:
        action.get("remove", {}).pop("partitionValues", None)
    path.write_text("\n".join(map(json.dumps, actions)), encoding="utf-8")
    with pytest.raises(CommitConflict):
        late.write(table_of("b", 3))


def test_compaction_meanwhile_is_no_conflict(table: Table, rows: Read) -> None:
    for number in (1, 2, 3):
        begin(table, None, "append").write(table_of("a", number))
    late, appended = begin(table, partitions("a")), begin(table, partitions("a"), "append")
    DeltaTable(table.uri).optimize.compact()
    appended.write(table_of("a", 4))
    begin(table, partitions("b")).write(table_of("b", 5))
    with pytest.raises(CommitConflict):
        late.write(table_of("a", 6))  # because of the append, whose rows it does not know
    late = begin(table, partitions("a"))
    DeltaTable(table.uri).optimize.compact()
    late.write(table_of("a", 7))
    assert rows(table) == [row("a", 7), row("b", 5)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("partition_by", [["p"], []])
def test_a_transaction_beside_a_schema_change_lands_with_the_column_of_the_other(
    table: Table, rows: Read, mode: Mode, partition_by: list[str]
) -> None:
    Transaction(table, options=WriteOptions(partition_by=partition_by)).write(table_of("a", 1))
    keys = ["p", "n"] if mode == "merge" else []
    late = Transaction(table, options=WriteOptions(partition_by=partition_by, mode=mode, merge_keys=keys))
    DeltaTable(table.uri).alter.add_columns(Field("x", PrimitiveType("long")))
    late.write(table_of("a", 2).append_column("y", pa.array(["new"])))
    assert row("a", 2, x=None, y="new") in rows(table)
    assert DeltaTable(table.uri).version() == 2


def test_a_column_that_another_writer_made_of_another_type_conflicts(
    table: Table, parquet_files: Files
) -> None:
    begin(table).write(table_of("a", 1))
    late = begin(table, partitions("b"))
    begin(table, partitions("a"), "append").write(table_of("a", 1).append_column("x", pa.array([1])))
    files = parquet_files(table)
    with pytest.raises(CommitConflict, match=r"changed the column 'x'.*Nothing was written\.$"):
        late.write(streamed(table_of("b", 1).append_column("x", pa.array(["text"]))))
    assert parquet_files(table) == files


def test_a_table_that_was_replaced_by_another_of_the_same_name_conflicts(
    table: Table, tmp_path: Path
) -> None:
    begin(table).write(table_of("a", 1))
    late = begin(table, partitions("a"))
    Path(table.uri).rename(tmp_path / "old")
    begin(table).write(table_of("b", 1))
    with pytest.raises(CommitConflict, match="no longer says"):
        late.write(table_of("a", 2))


# --- What may have landed is not deleted --------------------------------------------------------------------


def answer(monkeypatch: pytest.MonkeyPatch, *, lands: bool, then: Callable[[], None] = lambda: None) -> None:
    """Let the store answer with an error, whether the commit lands or not."""
    real = Landing._commit

    def swap(*arguments: Any) -> None:
        if lands:
            real(*arguments)
        monkeypatch.setattr(Landing, "_commit", real)
        then()
        with arguments[0]._table.failures.committing(1):
            raise DeltaError("timeout")

    monkeypatch.setattr(Landing, "_commit", swap)


def test_an_unclear_answer_after_a_commit_that_landed_is_success(
    table: Table, rows: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(table).write(table_of("a", 1))
    answer(monkeypatch, lands=True)
    assert begin(table, None, "append").write(table_of("a", 2)).version == 1
    assert rows(table) == [row("a", 1), row("a", 2)]


def test_an_unclear_answer_is_cleared_up_even_if_others_committed_the_scope_since(
    table: Table, rows: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = Contract(unique=[["n"]])
    begin(table).write(table_of("a", 1))

    def other() -> None:
        begin(table, None, "append").write(table_of("a", 3))

    answer(monkeypatch, lands=True, then=other)
    commit = begin(table, None, "append", contract=contract).write(table_of("a", 2))
    assert commit.version == 1
    assert rows(table) == [row("a", 1), row("a", 2), row("a", 3)]


def test_an_unclear_answer_before_anything_landed_keeps_the_files_and_says_so(
    table: Table, parquet_files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(table).write(table_of("a", 1))
    answer(monkeypatch, lands=False)
    with pytest.raises(CommitStateUnknown, match="ended with DeltaError: timeout") as error:
        begin(table).write(table_of("a", 2))
    assert "Nothing was written" not in str(error.value)
    assert len(parquet_files(table)) == 2


# --- Equal output -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", [Scope(), partitions("a")])
def test_equal_rows_in_memory_commit_nothing_and_leave_no_file(
    table: Table, parquet_files: Files, scope: Scope
) -> None:
    first = begin(table, scope).write(table_of("a", 1, 2))
    files = parquet_files(table)
    again = begin(table, scope).write(table_of("a", 2, 1).to_pandas())
    assert (again.changed, again.version, again.fingerprint) == (False, 0, first.fingerprint)
    assert parquet_files(table) == files
    assert DeltaTable(table.uri).version() == 0


def test_equal_rows_are_known_by_the_log_without_reading_any(table: Table) -> None:
    for key in ("a", "b"):
        begin(table, partitions(key)).write(table_of(key, 1, 2))
    for path in Path(table.uri).glob("p=*/*.parquet"):
        pq.write_table(pa.table({"n": [8, 9]}), path)
    assert not begin(table, partitions("b")).write(table_of("b", 2, 1)).changed
    assert begin(table, partitions("b")).write(table_of("b", 2, 2)).changed


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"PAR1")])
def test_equal_rows_replace_a_file_that_is_gone_or_damaged(
    table: Table, rows: Read, damage: Callable[[Path], object]
) -> None:
    begin(table).write(table_of("a", 1))
    [path] = Path(table.uri).glob("p=a/*.parquet")
    damage(path)
    assert begin(table).write(table_of("a", 1)).changed
    assert rows(table) == [{"p": "a", "n": 1}]


def test_equal_rows_are_read_where_the_log_does_not_tell_them(table: Table) -> None:
    begin(table).write(table_of("a", 1, 2))
    as_of_an_older_release(table, 0, table_of("a", 1, 2))
    assert not begin(table).write(table_of("a", 2, 1)).changed
    write_deltalake(table.uri, table_of("b", 3), mode="append")
    assert not begin(table, partitions("b")).write(table_of("b", 3)).changed
    assert not begin(table).write(pa.concat_tables([table_of("b", 3), table_of("a", 2, 1)])).changed
    begin(table, partitions("c")).write(table_of("c", 4, later=["x"]))
    later = pa.nulls(2, pa.string())
    assert not begin(table, partitions("a")).write(table_of("a", 1, 2, later=later)).changed
    assert begin(table, partitions("a")).write(table_of("a", 1, 3, later=later)).changed


def test_an_equal_empty_output_commits_nothing(table: Table) -> None:
    begin(table).write(table_of("a"))
    assert not begin(table).write(table_of("a")).changed
    assert not Transaction(Table(table.name, table.uri + "2")).write(table_of("a")).version
    assert not Transaction(Table(table.name, table.uri + "2")).write(table_of("a")).changed


def test_equal_rows_on_a_second_attempt_leave_an_empty_commit_that_fences_the_first_off(
    table: Table, rows: Read, parquet_files: Files
) -> None:
    begin(table).write(table_of("a", 1))
    files = parquet_files(table)
    zombie = begin(table, partitions("a"), provenance=Provenance("run", "s", 1))
    again = begin(table, partitions("a"), provenance=Provenance("run", "s", 2)).write(table_of("a", 1))
    assert (again.changed, again.version) == (False, 1)
    assert not [action for action in log(table, 1) if "add" in action or "remove" in action]
    with pytest.raises(CommitConflict, match="attempt 2"):
        zombie.write(table_of("a", 5))
    assert rows(table) == [row("a", 1)]
    assert parquet_files(table) == files


def test_minus_zero_is_another_value_than_zero_and_a_new_column_is_a_change(table: Table) -> None:
    Transaction(table).write(pa.table({"x": [0.0]}))
    assert Transaction(table).write(pa.table({"x": [-0.0]})).changed
    assert Transaction(table).write(pa.table({"x": [-0.0], "y": pa.array([None], pa.int8())})).changed


# --- Failures -----------------------------------------------------------------------------------------------


def test_a_failed_audit_leaves_nothing_visible_and_no_file(
    table: Table, rows: Read, parquet_files: Files
) -> None:
    begin(table).write(table_of("a", 1))
    files = parquet_files(table)
    contract = Contract({"n": Column("int64", minimum=2)})
    with pytest.raises(AuditFailed, match=r"^t \[b\]: the contract is broken.*Nothing was written\.$"):
        begin(table, partitions("b"), contract=contract).write(streamed(table_of("b", 1)))
    assert rows(table) == [row("a", 1)]
    assert parquet_files(table) == files
    assert not (Path(table.uri) / "p=b").exists()


def test_a_failed_first_write_leaves_no_folder(table: Table) -> None:
    with pytest.raises(AuditFailed):
        begin(table, contract=Contract({"n": Column("int64", minimum=2)})).write(table_of("b", 1))
    assert not Path(table.uri).exists()


class AuthorError(Exception):
    pass


def test_an_error_in_the_authors_generator_comes_out_as_it_is_and_leaves_no_file(
    table: Table, rows: Read, parquet_files: Files
) -> None:
    begin(table).write(table_of("a", 1))
    files = parquet_files(table)
    problem = AuthorError("mine")

    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(300):
            yield from table_of(f"k{number % 100}", *range(100)).to_batches()
        raise problem

    with pytest.raises(AuthorError) as error:
        begin(table).write(batches())
    assert error.value is problem
    assert rows(table) == [row("a", 1)]
    assert parquet_files(table) == files


# --- Merges -------------------------------------------------------------------------------------------------


def test_a_merge_replaces_rows_of_equal_keys_and_keeps_the_others(table: Table, rows: Read) -> None:
    old = pa.table({"p": ["a", "a", "b"], "n": [1, 2, 1], "v": ["old"] * 3})
    begin(table).write(old)
    new = pa.table({"p": ["a", "a"], "n": [2, 3], "v": ["new"] * 2})
    begin(table, partitions("a"), "merge").write(new)
    expected = [row("a", 1, v="old"), row("a", 2, v="new"), row("a", 3, v="new"), row("b", 1, v="old")]
    assert rows(table) == expected
    begin(table, partitions("a"), "merge", delete_unmatched=True).write(new)
    assert rows(table) == expected[1:]


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        (
            "insert",
            {},
            [row("a", 1, k="old"), row("a", 2, k="old"), row("a", 3, k="new"), row("b", 9, k="old")],
        ),
        ("update", {}, [row("a", 1, k="old"), row("a", 2, k="new"), row("b", 9, k="old")]),
        ("update", {"delete_unmatched": True}, [row("a", 2, k="new"), row("b", 9, k="old")]),
    ],
    ids=["insert", "update", "update, and delete the others"],
)
def test_a_merge_takes_only_the_new_rows_of_its_kind(
    table: Table, rows: Read, kind: str, options: dict[str, Any], expected: list[dict[str, Any]]
) -> None:
    begin(table).write(pa.table({"p": ["a", "a", "b"], "n": [1, 2, 9], "k": ["old"] * 3}))
    data = pa.concat_tables([table_of("a", 2, k=["new"]), table_of("a", 3, k=["new"])])
    commit = begin(table, partitions("a"), "merge", merge_kind=kind, **options).write(data)
    assert rows(table) == expected
    assert commit.rows == len(expected) - 1
    begin(table, partitions("a"), "merge", merge_kind=kind, **options).write(data)
    assert rows(table) == expected


@pytest.mark.parametrize(("kind", "expected"), [("insert", [row("a", 1)]), ("update", [])])
def test_the_first_merge_of_a_kind_creates_the_table(
    table: Table, rows: Read, kind: str, expected: list[dict[str, Any]]
) -> None:
    begin(table, partitions("a"), "merge", merge_kind=kind).write(table_of("a", 1))
    assert rows(table) == expected


def test_two_parts_that_insert_one_key_are_refused(table: Table) -> None:
    transaction = begin(table, partitions("a"), "merge", merge_kind="insert")
    parts = [transaction.stage(table_of("a", 1)) for _ in range(2)]
    with pytest.raises(DataRefused, match="more than one row for 1 merge key"):
        transaction.commit(*parts)


def test_the_rules_of_an_insert_judge_the_rows_that_are_taken(table: Table, rows: Read) -> None:
    begin(table).write(table_of("a", 1, k=["old"]))
    contract = Contract({"k": Column("string", allowed=["old", "new"])})
    data = table_of("a", 1, 2, k=["bad", "new"])
    begin(table, partitions("a"), "merge", contract, merge_kind="insert").write(data)
    assert rows(table) == [row("a", 1, k="old"), row("a", 2, k="new")]


def test_a_merge_widens_keys_and_gives_old_rows_nulls_in_new_columns(table: Table, rows: Read) -> None:
    Transaction(table).write(pa.table({"n": pa.array([1, 2], pa.int32())}))
    merge = Transaction(table, options=WriteOptions(mode="merge", merge_keys=["n"]))
    merge.write(pa.table({"n": pa.array([2, 1 << 40], pa.int64()), "k": ["x", "y"]}))
    assert rows(table) == [{"n": 1, "k": None}, {"n": 1 << 40, "k": "y"}, {"n": 2, "k": "x"}]
    Transaction(table, options=WriteOptions(mode="merge", merge_keys=["z"])).write(
        pa.table({"n": [5], "k": ["w"], "z": [1]})  # a key that old rows do not have matches none of them
    )
    assert len(rows(table)) == 4


@pytest.mark.parametrize(
    ("keys", "error", "words"),
    [
        ({"n": [1, 1]}, DataRefused, "more than one row for 1 merge key"),
        ({"n": [1, None]}, DataRefused, "nulls in the merge key"),
        ({"n": [1.5, float("nan")]}, SchemaMismatch, "cannot be compared"),
        ({"n": [[1], [2]]}, SchemaMismatch, "cannot be compared"),
        ({"m": [1, 2]}, SchemaMismatch, "lacks the merge key"),
    ],
)
def test_merge_keys_that_identify_no_row_are_refused(
    table: Table, keys: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        Transaction(table, options=WriteOptions(mode="merge", merge_keys=["n"])).write(pa.table(keys))


# --- Schema changes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("partition_by", [["p"], []])
def test_a_new_column_of_naive_times_can_be_added_to_an_old_table(
    table: Table, rows: Read, mode: Mode, partition_by: list[str]
) -> None:
    Transaction(table, options=WriteOptions(partition_by=partition_by)).write(table_of("a", 1))
    keys = ["n"] if mode == "merge" else []
    noon = datetime(2021, 1, 1, 12)  # noqa: DTZ001
    data = table_of("a", 2).append_column("at", pa.array([noon], pa.timestamp("us")))
    Transaction(table, options=WriteOptions(partition_by=partition_by, mode=mode, merge_keys=keys)).write(
        data
    )
    assert row("a", 2, at=noon) in rows(table)
    Transaction(table, options=WriteOptions(partition_by=partition_by, mode=mode, merge_keys=keys)).write(
        data.set_column(1, "n", [[3]])
    )
    assert row("a", 3, at=noon) in rows(table)


@pytest.mark.parametrize("partition_by", [["p"], []])
def test_a_replaced_schema_drops_columns_and_changes_types(
    table: Table, rows: Read, partition_by: list[str]
) -> None:
    Transaction(table, options=WriteOptions(partition_by=partition_by)).write(
        table_of("a", 1).append_column("x", pa.array([1]))
    )
    after = pa.table({"p": ["a"], "n": ["text"]})
    with pytest.raises(DataRefused):
        Transaction(table, options=WriteOptions(partition_by=partition_by)).write(after)
    Transaction(table, options=WriteOptions(partition_by=partition_by, on_schema_change="replace")).write(
        after
    )
    assert rows(table) == [{"p": "a", "n": "text"}]


def test_a_replaced_schema_where_rows_stay_is_refused(table: Table) -> None:
    begin(table).write(table_of("a", 1))
    with pytest.raises(SchemaMismatch, match="would change rows"):
        begin(table, partitions("a"), on_schema_change="replace").write(table_of("a", 1))


# --- Provenance ---------------------------------------------------------------------------------------------


def test_a_commit_says_who_made_it_from_what_and_tells_no_secret(tmp_path: Path) -> None:
    options = {"AWS_SECRET_ACCESS_KEY": "hunter2hunter2"}
    table = Table.at(str(tmp_path), ["t"], options)
    work = Provenance("run", "step", 2, "sales/t", "v7", [InputVersion("orders", 41)])
    contract = Contract({"n": Column("int64")}, unique=[["n"]])
    commit = begin(table, partitions("a"), provenance=work, contract=contract).write(table_of("a", 1, 2))
    found = record(table, commit.version)
    assert found["run_id"] == "run"
    assert found["step"] == "step"
    assert found["attempt"] == 2
    assert found["asset_key"] == "sales/t"
    assert found["code_version"] == "v7"
    assert found["inputs"] == [{"table": "orders", "version": 41, "table_id": "", "scope": None}]
    assert found["contract_digest"] == contract.digest
    assert found["scope"] == {"columns": ["p"], "parts": [["a"]]}
    assert found["fingerprints"] == dict(commit.fingerprints)
    assert commit.partition_rows == {"a": 2}
    assert "hunter2" not in json.dumps(log(table, 0))


# --- Protocol -----------------------------------------------------------------------------------------------


def test_tables_with_features_that_would_not_be_honoured_are_refused(table: Table) -> None:
    begin(table).write(table_of("a", 1))
    late = begin(table, partitions("a"))
    DeltaTable(table.uri).alter.add_feature(
        TableFeatures.DeletionVectors, allow_protocol_versions_increase=True
    )
    with pytest.raises(UnsupportedTable, match="eletionVectors"):
        begin(table)
    with pytest.raises(UnsupportedTable, match=r"eletionVectors.*Nothing was written\.$"):
        late.write(table_of("a", 2))


def test_a_table_that_is_append_only_is_appended_to_and_nothing_else(table: Table, rows: Read) -> None:
    write_deltalake(
        table.uri, table_of("a", 1), partition_by=["p"], configuration={"delta.appendOnly": "true"}
    )
    begin(table, None, "append").write(table_of("a", 2))
    begin(table, partitions("a"), "append").write(table_of("a", 3, x=[True]))
    assert rows(table) == [row("a", n, x=True if n == 3 else None) for n in (1, 2, 3)]
    for mode in ("replace", "merge"):
        with pytest.raises(
            UnsupportedTable, match=r"delta\.appendOnly.*mode=\"append\".*Nothing was written"
        ):
            begin(table, None, mode)  # type: ignore[arg-type]


def test_a_table_that_becomes_append_only_meanwhile_loses_no_row(table: Table, rows: Read) -> None:
    begin(table).write(table_of("a", 1))
    late = begin(table, partitions("a"))
    DeltaTable(table.uri).alter.set_table_properties({"delta.appendOnly": "true"})
    with pytest.raises(UnsupportedTable, match=r"delta\.appendOnly.*Nothing was written"):
        late.write(table_of("a", 2))
    assert rows(table) == [row("a", 1)]


def test_work_that_landed_is_found_though_the_table_became_append_only_since(table: Table) -> None:
    first = begin(table, provenance=Provenance("run", "s", 1)).write(table_of("a", 1))
    DeltaTable(table.uri).alter.set_table_properties({"delta.appendOnly": "true"})
    again = begin(table, provenance=Provenance("run", "s", 2)).write(table_of("a", 1))
    assert (again.recovered, again.version) == (True, first.version)


def test_tables_with_constraints_are_refused(tmp_path: Path) -> None:
    table = Table.at(str(tmp_path), ["t"])
    write_deltalake(table.uri, table_of("a", 1))
    DeltaTable(table.uri).alter.add_constraint({"positive": "n > 0"})
    with pytest.raises(UnsupportedTable, match=r"delta\.constraints\.positive"):
        Transaction(table)


def test_nulls_in_a_column_that_is_not_null_are_refused(tmp_path: Path) -> None:
    table = Table.at(str(tmp_path), ["t"])
    schema = pa.schema([pa.field("n", pa.int64(), nullable=False)])
    write_deltalake(table.uri, pa.table({"n": [1]}, schema=schema))
    with pytest.raises(DataRefused, match="NOT NULL"):
        Transaction(table).write(pd.DataFrame({"n": pd.array([1, None], "Int64")}))
    Transaction(table).write(pa.table({"n": [2]}))
    assert not DeltaTable(table.uri).schema().fields[0].nullable


def test_a_batch_larger_than_ours_is_split_and_rows_are_numbered_through(table: Table) -> None:
    numbers = pa.record_batch({"n": pa.array(range(300_000), pa.int64())})
    commit = Transaction(table).write(iter([numbers]))
    assert commit.rows == 300_000
    late = datetime(2021, 1, 1, tzinfo=UTC)
    times = pa.array([late] * 299_999 + [None], pa.timestamp("us", "UTC"))
    bad = pa.record_batch({"n": pa.array([1.0] * 299_999 + [1.5]), "at": times})
    with pytest.raises(DataRefused, match=r"row 299999: 1\.5"):
        Transaction(table).write(iter([bad]))


@pytest.mark.parametrize("name", [".a.b", "[0]", "a.b", "../x"])
def test_merge_keys_and_unique_columns_may_have_names_that_look_like_paths(
    table: Table, rows: Read, name: str
) -> None:
    contract = Contract(unique=[[name]])
    Transaction(table, contract=contract).write(pa.table({name: [1, 2], "v": ["old", "old"]}))
    merge = Transaction(table, options=WriteOptions(mode="merge", merge_keys=[name]), contract=contract)
    merge.write(pa.table({name: [2, 3], "v": ["new", "new"]}))
    assert [(r[name], r["v"]) for r in rows(table)] == [(1, "old"), (2, "new"), (3, "new")]
    for mode, keys in (("replace", []), ("merge", [name])):
        with pytest.raises(DataRefused):
            Transaction(table, options=WriteOptions(mode=mode, merge_keys=keys), contract=contract).write(  # type: ignore[arg-type]
                pa.table({name: [5, 5], "v": ["x", "y"]})
            )
