"""Transactions that are cut: several processes stage parts, one commits all of them."""

import multiprocessing
import pickle
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from practicus_assets.errors import (
    AuditFailed,
    CommitConflict,
    DataRefused,
    DeclarationError,
    OutOfScope,
    SchemaMismatch,
    VersionGone,
)
from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.contracts.rule import TableRule
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.options import Mode, WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction
from tests.kit import partitions, table_of

Read = Callable[[Table], list[dict[str, Any]]]
Files = Callable[[Table], set[str]]
T = TypeVar("T")


def begin(
    table: Table,
    *keys: str,
    mode: Mode = "replace",
    contract: Contract | None = None,
    provenance: Provenance | None = None,
) -> Transaction:
    merge_keys = ["p", "n"] if mode == "merge" else []
    options = WriteOptions(partition_by=["p"], mode=mode, merge_keys=merge_keys)
    scope = partitions(*keys) if keys else None
    return Transaction(table, scope, options, contract=contract, provenance=provenance)


def copied(thing: T) -> T:
    copy: T = pickle.loads(pickle.dumps(thing))  # noqa: S301 our own
    return copy


# --- Many processes, one commit -----------------------------------------------------------------------------


@pytest.mark.process
def test_parts_that_processes_stage_land_in_one_commit(table: Table, rows: Read) -> None:
    begin(table).write(table_of("a", 0))
    parts = [table_of(key, *range(number, number + 3)) for key in "ab" for number in (0, 10)]
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        transaction = begin(table, "a", "b", contract=Contract({"n": Column("int64", minimum=0)}))
        staged = list(pool.map(transaction.stage, parts))
    assert [part.rows for part in staged] == [3, 3, 3, 3]
    assert rows(table) == [{"p": "a", "n": 0}]
    commit = transaction.commit(*staged)
    assert (commit.version, commit.rows, commit.partition_rows) == (1, 12, {"a": 6, "b": 6})
    assert rows(table) == sorted(pa.concat_tables(parts).to_pylist(), key=repr)


@pytest.mark.parametrize("mode", ["replace", "append", "merge"])
def test_parts_have_the_fingerprints_and_audits_of_one_write(table: Table, mode: Mode, rows: Read) -> None:
    other = Table(table.name, table.uri + "-whole")
    contract = Contract({"n": Column("int64", minimum=2, severity="WARN")}, rows=(1, 5))
    first = pa.concat_tables([table_of("a", 1, 2), table_of("b", 3)])
    parts = [table_of("a", 1, 5), table_of("b", 6)]
    for place in (table, other):
        begin(place).write(first)
    transaction = begin(table, mode=mode, contract=contract)
    cut = transaction.commit(*[copied(copied(transaction).stage(part)) for part in parts])
    whole = begin(other, mode=mode, contract=contract).write(pa.concat_tables(parts))
    assert (cut.fingerprint, cut.fingerprints) == (whole.fingerprint, whole.fingerprints)
    assert list(cut.audits) == list(whole.audits)
    assert cut.rows == whole.rows
    assert rows(table) == rows(other)


# --- Audits are judged on the whole -------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_a_key_that_is_in_two_parts_is_seen(
    table: Table, rows: Read, parquet_files: Files, mode: Mode
) -> None:
    begin(table).write(table_of("a", 7))
    files = parquet_files(table)
    transaction = begin(table, "a", mode=mode, contract=Contract(unique=[["p", "n"]]))
    parts = [transaction.stage(table_of("a", 1, 2)), transaction.stage(table_of("a", 2, 3))]
    with pytest.raises(AuditFailed, match=r"p_n_unique.*1 bad row.*Nothing was written\.$"):
        transaction.commit(*map(copied, parts))
    assert rows(table) == [{"p": "a", "n": 7}]
    assert parquet_files(table) == files


def test_a_merge_key_that_is_in_two_parts_is_refused(table: Table) -> None:
    transaction = begin(table, mode="merge")
    parts = [transaction.stage(table_of("a", 1, 2)), transaction.stage(table_of("a", 2))]
    with pytest.raises(DataRefused, match="more than one row for 1 merge key"):
        transaction.commit(*parts)


def test_a_rule_on_all_rows_sees_those_of_every_part(table: Table) -> None:
    seen: list[int] = []

    def ten_rows(rows: pa.Table) -> bool:
        seen.append(rows.num_rows)
        return bool(rows.num_rows == 10)

    transaction = begin(table, contract=Contract(rules=[TableRule("ten_rows", ten_rows)]))
    transaction.commit(*[transaction.stage(table_of("a", *numbers)) for numbers in (range(4), range(6))])
    assert seen == [10]


def test_bad_rows_of_all_parts_are_counted_and_a_few_of_them_shown(table: Table) -> None:
    transaction = begin(table, contract=Contract({"n": Column("int64", minimum=10, severity="WARN")}))
    parts = [transaction.stage(table_of("a", *range(4))) for _ in range(3)]
    [_, audit] = transaction.commit(*parts).audits
    assert (audit.bad_rows, len(audit.sample)) == (12, 5)


# --- What is not committed ----------------------------------------------------------------------------------


def test_parts_of_an_attempt_that_lost_are_refused_and_their_files_deleted(
    table: Table, rows: Read, parquet_files: Files
) -> None:
    begin(table).write(table_of("a", 1))
    lost, won = begin(table, "a"), begin(table, "a", "b")
    parts = [lost.stage(table_of("a", 2)), lost.stage(table_of("a", 3))]
    won.commit(won.stage(table_of("b", 4)), won.stage(table_of("a", 5)))
    files = parquet_files(table)
    with pytest.raises(CommitConflict, match=r"committed the same scope.*Nothing was written\.$"):
        lost.commit(*parts)
    assert rows(table) == [{"p": "a", "n": 5}, {"p": "b", "n": 4}]
    assert len(parquet_files(table)) == len(files) - 2


def test_parts_of_another_attempt_are_refused_and_their_files_stay(
    table: Table, parquet_files: Files
) -> None:
    work = Provenance("run", "step", 1)
    first = begin(table, "a", provenance=work)
    part = first.stage(table_of("a", 1))
    again = begin(table, "a", provenance=Provenance("run", "step", 2))
    with pytest.raises(DeclarationError, match=r"staged for another attempt.*Nothing was written\.$"):
        again.commit(again.stage(table_of("a", 1)), part)
    assert first.commit(part).version == 0


def test_a_part_is_committed_once(table: Table, rows: Read) -> None:
    transaction = begin(table)
    part = transaction.stage(table_of("a", 1))
    with pytest.raises(DeclarationError, match="twice"):
        transaction.commit(part, copied(part))
    transaction.commit(part)
    with pytest.raises(DeclarationError, match="twice"):
        transaction.commit(part)
    assert rows(table) == [{"p": "a", "n": 1}]
    with pytest.raises(DeclarationError, match="no part"):
        begin(table).commit()


def test_of_a_task_that_was_tried_twice_one_part_is_committed(table: Table, rows: Read) -> None:
    transaction = begin(table)
    once, twice = (transaction.stage(table_of("a", 1), part="task 7") for _ in range(2))
    with pytest.raises(DeclarationError, match="task 7"):
        transaction.commit(once, twice)
    transaction.commit(once)
    assert rows(table) == [{"p": "a", "n": 1}]


def test_a_copy_of_the_transaction_that_commits_again_deletes_nothing_that_landed(
    table: Table, rows: Read, parquet_files: Files
) -> None:
    begin(table).write(table_of("a", 0))
    transaction = begin(table)
    copy = copied(transaction)
    part = transaction.stage(table_of("a", 1))
    transaction.commit(part)
    files = parquet_files(table)
    with pytest.raises(CommitConflict):
        copy.commit(part)
    assert parquet_files(table) == files
    assert rows(table) == [{"p": "a", "n": 1}]


def test_a_second_commit_that_fails_before_it_looks_deletes_nothing_that_landed(
    table: Table, rows: Read, parquet_files: Files
) -> None:
    begin(table).write(table_of("a", 1))
    transaction = begin(table, mode="merge")
    one, two = copied((transaction, [transaction.stage(table_of("a", 2))])), copied(transaction)
    part = copied(one[1])
    one[0].commit(*one[1])
    DeltaTable(table.uri).vacuum(0, enforce_retention_duration=False, dry_run=False)
    files = parquet_files(table)
    with pytest.raises(VersionGone) as caught:  # the old rows of the merge are gone
        two.commit(*part)
    assert "Nothing was written" not in str(caught.value)
    assert parquet_files(table) == files
    assert rows(table) == [{"p": "a", "n": 1}, {"p": "a", "n": 2}]


def test_a_pickled_transaction_does_not_take_another_table_for_its_own(table: Table, rows: Read) -> None:
    for number in (1, 2):
        begin(table).write(table_of("a", number))
    pickled = pickle.dumps(begin(table))
    shutil.rmtree(table.uri)
    for number in (10, 20):
        begin(table).write(table_of("a", number))
    with pytest.raises(CommitConflict, match="another table was put in the place"):
        pickle.loads(pickled)  # noqa: S301 our own
    assert rows(table) == [{"p": "a", "n": 20}]


def test_parts_with_other_columns_are_refused_and_nothing_is_written(
    table: Table, parquet_files: Files
) -> None:
    transaction = begin(table)
    parts = [transaction.stage(table_of("a", 1)), transaction.stage(table_of("a", 1, x=[1.5]))]
    with pytest.raises(
        SchemaMismatch, match=r"parts have different columns.*x: double.*Nothing was written\.$"
    ):
        transaction.commit(*parts)
    assert parquet_files(table) == set()


def test_a_part_with_rows_outside_the_scope_is_refused_where_it_is_staged(
    table: Table, parquet_files: Files
) -> None:
    with pytest.raises(OutOfScope, match=r"outside the scope.*Nothing was written\.$"):
        copied(begin(table, "a")).stage(table_of("b", 1))
    assert parquet_files(table) == set()


def test_parts_that_are_given_up_can_be_discarded(table: Table, parquet_files: Files) -> None:
    transaction = begin(table)
    parts = [transaction.stage(table_of(key, 1)) for key in "ab"]
    assert len(parquet_files(table)) == 2
    transaction.discard(*parts)
    assert parquet_files(table) == set()


def test_a_retry_of_work_that_landed_discards_what_it_staged(table: Table, parquet_files: Files) -> None:
    begin(table, provenance=Provenance("run", "step", 1)).write(table_of("a", 1))
    again = begin(table, provenance=Provenance("run", "step", 2))
    commit = again.commit(again.stage(table_of("a", 1)))
    assert (commit.recovered, commit.version) == (True, 0)
    assert len(parquet_files(table)) == 1


# --- What was staged ----------------------------------------------------------------------------------------


def test_staged_rows_are_read_back_in_the_order_and_types_of_the_table(table: Table) -> None:
    data = pa.table({"p": ["a", "b", "a"], "n": pa.array([1, 2, 3], pa.int64())})
    staged = begin(table).stage(data)
    assert staged.scan(table, ["p"]).schema == data.schema
    assert staged.scan(table, ["p"]).read_all().to_pydict() == {"p": ["a", "a", "b"], "n": [1, 3, 2]}
    assert staged.scan(table, ["p"], ["p"]).read_all().to_pydict() == {"p": ["a", "a", "b"]}
    assert staged.scan(table, ["p"], ["n"]).read_all().to_pydict() == {"n": [1, 3, 2]}
