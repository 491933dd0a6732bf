"""Histories: the same table from the same rows, in whatever order they come, and what is refused."""

import datetime as dt
import pickle
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from practicus_assets.errors import (
    AuditFailed,
    CommitConflict,
    DataRefused,
    DeclarationError,
    OutOfScope,
    SchemaMismatch,
)
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.contracts.rule import RowRule
from practicus_assets.lake.delta.log import entries
from practicus_assets.lake.delta.origins import Changes, newest_changes
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.transactions import transaction
from practicus_assets.lake.transactions.commit import Commit
from practicus_assets.lake.transactions.effect import Durations
from practicus_assets.lake.transactions.history import rows as history_rows
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.lake.upkeep.rollback import carry_out, plan_rollback
from practicus_assets.testing.memory import MemoryTable
from practicus_assets.testing.rehearsal import Rehearsal
from tests.kit import partitions, read
from tests.unit.lake.transactions.histories import (
    LISTS,
    OPTIONS,
    Given,
    expected,
    expected_of_lists,
    given_rows,
    rows_of,
    table_of,
)

REPLACE = WriteOptions(partition_by=["p"], on_schema_change="replace")
WHOLE = WriteOptions(mode="history", history_keys=["id"], sequence_by="t", apply_as_deletes="gone")


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table.at(str(tmp_path), ["t"])


def begin(table: Table, p: str, run: str = "", **options: Any) -> Transaction:
    who = Provenance(run_id=run, step="s") if run else None
    return Transaction(table, partitions(p), OPTIONS, provenance=who, **options)


def give(table: Table, p: str, *rows: Given) -> Commit:
    return begin(table, p).write(table_of(p, rows))


def history(table: Table) -> list[Any]:
    return rows_of(read(table))


def dated(*rows: tuple[Any, Any, Any], **columns: Any) -> pa.Table:
    ids, times, values = zip(*rows, strict=True)
    return pa.table({"id": ids, "at": times, "v": values, **columns})


def kept(*runs: pa.Table, **options: Any) -> list[dict[str, Any]]:
    table = MemoryTable.named("t")
    for rows in runs:
        how = WriteOptions(mode="history", history_keys=["id"], sequence_by="at", **options)
        Rehearsal(table, None, how).write(rows)
    return sorted(Snapshot.of(table).to_arrow().to_pylist(), key=lambda row: (row["id"], row["valid_from"]))


# The same table from the same rows


@settings(max_examples=25, deadline=None, derandomize=True)
@given(runs=st.lists(st.tuples(st.sampled_from("abc"), given_rows), min_size=1, max_size=6))
def test_a_history_is_that_of_the_newest_rows_of_each_partition_in_any_order(
    runs: list[tuple[str, list[Given]]],
) -> None:
    table = MemoryTable.named("t")
    newest: dict[str, list[Given]] = {}
    for p, rows in runs:
        newest[p] = rows
        Rehearsal(table, partitions(p), OPTIONS).write(table_of(p, rows))
        assert rows_of(Snapshot.of(table).to_arrow().to_pylist()) == expected(newest)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(runs=st.lists(given_rows, min_size=1, max_size=5))
def test_without_partitions_the_newest_row_of_each_key_and_time_counts_in_any_order(
    runs: list[list[Given]],
) -> None:
    table = MemoryTable.named("t")
    newest: dict[tuple[int, int], Given] = {}
    for rows in runs:
        newest |= {row[:2]: row for row in rows}
        Rehearsal(table, None, WHOLE).write(table_of("", rows))
    assert rows_of(Snapshot.of(table).to_arrow().to_pylist()) == expected({"": newest.values()})


@settings(max_examples=12, deadline=None, derandomize=True)
@given(rows=given_rows, cuts=st.lists(st.integers(0, 6), max_size=3), data=st.data())
def test_however_rows_are_grouped_and_ordered_in_runs_the_history_is_one(
    rows: list[Given], cuts: list[int], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(rows))
    ends = [0, *sorted(cuts), len(shuffled)]
    table = MemoryTable.named("t")
    for start, end in pairwise(ends):
        Rehearsal(table, None, WHOLE).write(table_of("", shuffled[start:end]))
    assert rows_of(Snapshot.of(table).to_arrow().to_pylist()) == expected({"": rows})


listed = st.dictionaries(st.integers(0, 2), st.sampled_from(["A", "B"]), max_size=3)


def at(time: int, said: dict[int, str]) -> list[Given]:
    """Return the rows of a list."""
    return [(key, time, value) for key, value in said.items()]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    runs=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 4), listed), min_size=1, max_size=7),
    slice_rows=st.sampled_from([2, 1 << 21]),
)
def test_a_history_of_lists_is_that_of_the_newest_list_of_each_partition_in_any_order(
    runs: list[tuple[str, int, dict[int, str]]], slice_rows: int
) -> None:
    table = MemoryTable.named("t")
    newest: dict[str, list[Given]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history_rows, "_SLICE_ROWS", slice_rows)
        for p, time, said in runs:
            newest[p] = at(time, said)
            Rehearsal(table, partitions(p), LISTS).write(table_of(p, newest[p]))
            assert rows_of(Snapshot.of(table).to_arrow().to_pylist()) == expected_of_lists(newest)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(runs=st.lists(st.tuples(st.integers(0, 3), listed), min_size=1, max_size=6))
def test_without_partitions_the_newest_list_of_each_time_counts_in_any_order(
    runs: list[tuple[int, dict[int, str]]],
) -> None:
    table = MemoryTable.named("t")
    how = WriteOptions(mode="history", history_keys=["id"], sequence_by="t", delete_unmatched=True)
    newest: dict[int, list[Given]] = {}
    for time, said in runs:
        newest |= {time: at(time, said)} if said else {}  # an empty list does not say of which time it is
        Rehearsal(table, None, how).write(table_of("", at(time, said)))
        every = {"": [row for rows in newest.values() for row in rows]}
        assert rows_of(Snapshot.of(table).to_arrow().to_pylist()) == expected_of_lists(every)


def test_a_key_that_a_list_lacks_ends_there_and_begins_anew_where_one_has_it_again() -> None:
    table = MemoryTable.named("t")
    lists = {"1": {7: "A", 8: "X"}, "3": {7: "A", 8: "X"}, "2": {8: "X"}}
    found = []
    for p, said in lists.items():
        rows = table_of(p, at(int(p), said))
        commit = Rehearsal(table, partitions(p), LISTS).write(rows)
        found.append([row[2:] for row in rows_of(Snapshot.of(table).to_arrow().to_pylist()) if row[1] == 7])
    assert found == [
        [(1, "A", None)],
        [(1, "A", None), (3, "A", 3)],
        [(1, "A", 2), (3, "A", None)],  # the list of the 2nd came late
    ]
    assert commit.versions == {"opened": 1, "closed": 1, "changed": 0, "withdrawn": 0, "unchanged": 1}


def test_a_list_whose_rows_are_of_several_times_is_refused(table: Table) -> None:
    rows = table_of("1", [(7, 1, "A"), (8, 2, "B")])
    with pytest.raises(DataRefused, match="the rows of partition 1 have several 't', and delete_unmatched"):
        Transaction(table, partitions("1"), LISTS).write(rows)
    whole = WriteOptions(mode="history", history_keys=["id"], sequence_by="t", delete_unmatched=True)
    with pytest.raises(DataRefused, match="the rows of a run have several 't'"):
        Transaction(table, None, whole).write(rows)
    both = table_of("1", [(7, 1, "A")]), table_of("2", [(7, 2, "B")])
    Transaction(table, partitions("1", "2"), LISTS).write(pa.concat_tables(both))
    assert history(table) == [("1", 7, 1, "A", 2), ("2", 7, 2, "B", None)]


def test_two_lists_at_once_both_land_and_end_what_the_other_lacks(table: Table) -> None:
    runs = {p: Transaction(table, partitions(p), LISTS) for p in "123"}
    said = {"1": {7: "A", 8: "X"}, "2": {8: "X"}, "3": {7: "A"}}
    for p in "312":
        runs[p].write(table_of(p, at(int(p), said[p])))
    assert history(table) == expected_of_lists({p: at(int(p), rows) for p, rows in said.items()})


@pytest.mark.parametrize(("first", "then"), [(OPTIONS, LISTS), (LISTS, OPTIONS)], ids=["changes", "lists"])
def test_a_history_of_changes_becomes_none_of_lists_nor_back_before_it_was_replaced(
    table: Table, first: WriteOptions, then: WriteOptions
) -> None:
    def given(p: str, how: WriteOptions, *rows: Given) -> None:
        Transaction(table, partitions(p), how).write(table_of(p, rows))

    given("1", first, (7, 10, "A"))
    given("2", first, (8, 11, "B"))
    DeltaTable(table.uri).alter.set_table_properties({"delta.logRetentionDuration": "interval 90 days"})
    was, files = history(table), {*Path(table.uri).rglob("*.parquet")}
    kinds = ("lists", "changes") if first.delete_unmatched else ("changes", "lists")
    refusal = rf"^t \[3\]: the table is a history of {kinds[0]} since version 1 or before, and "
    with pytest.raises(DeclarationError, match=refusal) as refused:
        given("3", then, (7, 20, "A"), (8, 20, "B"))
    assert refused.value.nothing_written
    assert kinds[1] in str(refused.value)
    assert (history(table), {*Path(table.uri).rglob("*.parquet")}) == (was, files)
    given("3", first, (7, 20, "A"), (8, 20, "B"))
    Transaction(table, None, REPLACE).write(table_of("1", [(7, 10, "A")]))
    given("4", then, (7, 20, "A"))
    with pytest.raises(DeclarationError, match=f"a history of {kinds[1]} since version 5"):
        given("3", first, (7, 20, "A"))


def test_a_history_that_was_rolled_back_is_of_the_kind_that_it_had_then(table: Table) -> None:
    give(table, "1", (7, 1, "A"))
    Transaction(table, None, REPLACE).write(table_of("1", [(7, 1, "A")]))
    Transaction(table, partitions("2"), LISTS).write(table_of("2", [(7, 2, "A")]))
    carry_out(table, plan_rollback(table, 0, Scope(), whole=True), Provenance(), undo_newer=True)
    with pytest.raises(DeclarationError, match="a history of changes since version 0"):
        Transaction(table, partitions("2"), LISTS).write(table_of("2", [(7, 2, "A")]))
    give(table, "2", (7, 2, "A"))


def test_a_list_may_be_partitioned_by_the_column_that_says_its_time() -> None:
    table = MemoryTable.named("t")
    how = WriteOptions(
        partition_by=["at"], mode="history", history_keys=["id"], sequence_by="at", delete_unmatched=True
    )
    for day, ids in (("2", [7]), ("1", [7, 8])):
        Rehearsal(table, partitions(day, column="at"), how).write(
            pa.table({"at": [day] * len(ids), "id": ids})
        )
    rows = Snapshot.of(table).to_arrow().to_pylist()
    ends = {(row["id"], row["valid_from"]): row["valid_to"] for row in rows}
    assert ends == {(7, "1"): None, (7, "2"): "2", (8, "1"): "2"}


def test_a_history_read_in_slices_of_keys_is_the_same(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(key, time, "AB"[(key * time) % 2]) for key in range(7) for time in range(5)]
    monkeypatch.setattr(history_rows, "_SLICE_ROWS", 4)
    give(table, "b", *rows[::2])
    give(table, "a", *rows[1::2])
    assert history(table) == expected({"a": rows[1::2], "b": rows[::2]})


def test_late_rows_split_the_version_that_they_fall_into(table: Table) -> None:
    give(table, "1", (7, 1, "A"))
    give(table, "3", (7, 3, "A"))
    assert history(table) == [("1", 7, 1, "A", None), ("3", 7, 3, "A", 3)]
    commit = give(table, "2", (7, 2, "B"))
    assert history(table) == [("1", 7, 1, "A", 2), ("2", 7, 2, "B", 3), ("3", 7, 3, "A", None)]
    assert commit.versions == {"opened": 2, "closed": 1, "changed": 0, "withdrawn": 0, "unchanged": 0}


def test_a_run_again_commits_nothing_and_one_with_fewer_rows_withdraws_the_others(table: Table) -> None:
    give(table, "1", (7, 1, "A"), (8, 1, "X"))
    give(table, "2", (7, 2, "B"), (8, 2, None))
    before = history(table)
    again = give(table, "1", (8, 1, "X"), (7, 1, "A"))
    assert (again.changed, again.version, again.versions["unchanged"]) == (False, 1, 3)
    assert history(table) == before
    commit = give(table, "2")
    assert history(table) == [("1", 7, 1, "A", None), ("1", 8, 1, "X", None)]
    assert commit.versions == {"opened": 0, "closed": 0, "changed": 2, "withdrawn": 1, "unchanged": 0}


def test_of_two_partitions_with_a_row_of_one_key_and_time_the_later_one_counts(table: Table) -> None:
    give(table, "2", (7, 1, "late"))
    give(table, "1", (7, 1, "early"))
    assert history(table) == [("1", 7, 1, "early", 1), ("2", 7, 1, "late", None)]
    give(table, "2")
    assert history(table) == [("1", 7, 1, "early", None)]


def test_a_correction_is_of_the_run_that_committed_last(table: Table) -> None:
    for value in ("A", "B"):
        Transaction(table, None, WHOLE).write(table_of("", [(7, 1, value), (7, 2, "C")]))
    assert history(table) == [("", 7, 1, "B", 2), ("", 7, 2, "C", None)]


NAN = float("nan")


@pytest.mark.parametrize(
    ("first", "again", "other"),
    [
        (NAN, NAN, 1.0),
        (None, None, 0.0),
        ({"a": [1, None]}, {"a": [1, None]}, {"a": [1]}),
        (b"\0", b"\0", b""),
        (Decimal("1.10"), Decimal("1.10"), Decimal("1.11")),
    ],
)
def test_rows_that_say_the_same_again_are_no_version_and_all_values_are_compared(
    first: Any, again: Any, other: Any
) -> None:
    values = pa.array([first, again, other])
    rows = kept(pa.table({"id": [1, 1, 1], "at": [1, 2, 3], "v": values}))
    assert [(row["valid_from"], row["valid_to"]) for row in rows] == [(1, 3), (2, 2), (3, None)]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (dt.date(2024, 1, 1), dt.date(2024, 1, 2)),
        (dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, 0, 0, 0, 1)),  # noqa: DTZ001 a wall time
        (dt.datetime(2024, 1, 1, tzinfo=dt.UTC), dt.datetime(2024, 1, 2, tzinfo=dt.UTC)),
        (Decimal("1.5"), Decimal("1.6")),
        ("a", "ä"),
    ],
)
def test_the_two_columns_have_the_type_of_the_times(one: Any, two: Any) -> None:
    rows = kept(dated((1, two, "B"), (2, one, "C")), dated((1, one, "A")))
    assert [(r["valid_from"], r["valid_to"], r["v"]) for r in rows] == [
        (one, two, "A"),
        (two, None, "B"),
        (one, None, "C"),
    ]


def test_a_table_of_plain_rows_becomes_a_history_and_new_columns_are_added(table: Table) -> None:
    Transaction(table, None, WriteOptions(mode="append")).write(table_of("", [(7, 2, "B"), (7, 1, "A")]))
    how = WriteOptions(mode="history", history_keys=["id"], sequence_by="t", apply_as_deletes="gone")
    wide = table_of("", [(7, 3, "C")]).append_column("n", pa.array([1]))
    commit = Transaction(table, None, how).write(wide)
    assert history(table) == [("", 7, 1, "A", 2), ("", 7, 2, "B", 3), ("", 7, 3, "C", None)]
    assert commit.versions["opened"] == 3


# What is refused


def changed(**columns: Any) -> pa.Table:
    rows = table_of("1", [(7, 1, "A")])
    return pa.table({**{name: rows[name] for name in rows.column_names}, **columns})


@pytest.mark.parametrize(
    ("rows", "error", "text"),
    [
        (
            table_of("1", [(7, 1, "A"), (7, 1, "B")]),
            DataRefused,
            "same key and the same 't', in 1 case. E.g. id=7",
        ),
        (table_of("1", [(7, 1, "A"), (7, 1, "A")]), DataRefused, "Keep one row per key and time"),
        (table_of("2", [(7, 1, "A")]), OutOfScope, "outside the scope"),
        (changed(id=pa.array([None], pa.int64())), DataRefused, "nulls in the history key 'id' match"),
        (changed(id=[0.5]), SchemaMismatch, "history key .*double.* cannot be compared"),
        (changed(t=pa.array([None], pa.int64())), DataRefused, "nulls in the column 't', by which"),
        (changed(gone=pa.array([None], pa.bool_())), DataRefused, "nulls in the column 'gone', by which"),
        (changed(t=[0.5]), SchemaMismatch, "'t' of type double, whose values have no exact order"),
        (changed(gone=["true"]), SchemaMismatch, "'gone' of type string.*Return it as booleans"),
        (changed().drop_columns(["t"]), SchemaMismatch, "lacks the column 't', by which a history"),
        (changed(valid_to=[1]), SchemaMismatch, "has the column 'valid_to', which a history computes"),
    ],
)
def test_rows_of_which_no_history_can_be_kept_are_refused(
    table: Table, rows: pa.Table, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text) as raised:
        begin(table, "1").write(rows)
    assert str(raised.value).endswith("Nothing was written.")
    assert table.open_if_exists() is None


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"mode": "history"}, "needs history_keys, the columns .* and sequence_by"),
        ({"mode": "history", "history_keys": ["id"]}, "needs history_keys"),
        ({"mode": "history", "history_keys": "id", "sequence_by": "t"}, r"history_keys=\['id'\]"),
        ({"mode": "history", "history_keys": ["id"], "sequence_by": ["t"]}, "Name one column by a text"),
        ({"mode": "history", "history_keys": ["id"], "sequence_by": "id"}, "name 'id' twice"),
        ({"mode": "history", "history_keys": ["id"], "sequence_by": "valid_from"}, "'valid_from', a column"),
        ({"sequence_by": "t"}, 'sequence_by needs mode="history", and it is "replace"'),
        ({"mode": "merge", "merge_keys": ["a"], "history_keys": ["a"]}, 'needs mode="history"'),
        ({"mode": "scd2"}, "Did you mean history"),
        (
            {
                "mode": "history",
                "history_keys": ["id"],
                "sequence_by": "t",
                "apply_as_deletes": "gone",
                "delete_unmatched": True,
            },
            "ends the keys that a list lacks, and apply_as_deletes names 'gone'",
        ),
        ({"mode": "history", "merge_keys": ["id"]}, "Name the columns as history_keys"),
    ],
)
def test_options_that_make_no_history_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(DeclarationError, match=text):
        WriteOptions(**options)


def test_a_contract_declares_the_two_columns_and_judges_all_rows(table: Table) -> None:
    contract = Contract(
        columns={"id": "int64", "valid_from": "int64", "valid_to": "int64"},
        unique=[["id", "valid_from"]],
        rules=[RowRule("no_b", lambda rows: pc.not_equal(rows["v"], "B"))],
    )
    begin(table, "1", contract=contract).write(table_of("1", [(7, 1, "A")]))
    with pytest.raises(AuditFailed, match="no_b"):
        begin(table, "2", contract=contract).write(table_of("2", [(7, 2, "B")]))
    with pytest.raises(SchemaMismatch, match="'valid_to' is of type string"):
        give_with(table.uri + "2", Contract(columns={"valid_to": "string"}))
    assert history(table) == [("1", 7, 1, "A", None)]


def give_with(uri: str, contract: Contract) -> None:
    begin(Table.from_uri(Path(uri)), "1", contract=contract).write(table_of("1", [(7, 1, "A")]))


# Others at once


def test_two_runs_of_different_partitions_at_once_both_land(table: Table) -> None:
    runs = {p: begin(table, p) for p in "123"}
    for number, p in enumerate("312"):
        assert runs[p].write(table_of(p, [(7, int(p), p)])).version == number
    assert history(table) == expected({p: [(7, int(p), p)] for p in "123"})
    assert len([*table.open().files()]) == 3


def test_a_run_that_was_overtaken_is_judged_with_the_rows_of_others(table: Table) -> None:
    few = Contract(rows=(None, 2))
    give(table, "1", (7, 1, "A"))
    late = begin(table, "2", contract=few)
    audited = late.audit(late.stage(table_of("2", [(7, 2, "B")])))
    give(table, "3", (7, 3, "C"))
    with pytest.raises(AuditFailed, match="row_count"):
        late.land(audited)
    assert history(table) == expected({"1": [(7, 1, "A")], "3": [(7, 3, "C")]})
    assert len([*Path(table.uri).glob("p=2/*.parquet")]) == 0


def test_the_time_of_a_run_that_was_overtaken_counts_nothing_twice(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    judged = transaction.with_history

    def slowly(*arguments: Any) -> Any:
        clock[0] += 10.0
        return judged(*arguments)

    monkeypatch.setattr(transaction, "with_history", slowly)

    def rows() -> Iterator[pa.Table]:
        clock[0] += 5.0
        yield table_of("2", [(7, 2, "B")])

    late = begin(table, "2")
    audited = late.audit(late.stage(rows()))
    give(table, "3", (7, 3, "C"))
    assert late.land(audited).durations == Durations(rows=5.0, write=20.0)


@pytest.mark.parametrize(
    "other",
    [
        lambda table: give(table, "1", (8, 1, "X")),
        lambda table: Transaction(table, None, OPTIONS).write(table_of("1", [(8, 1, "X")])),
        lambda table: Transaction(table, partitions("2"), WriteOptions(partition_by=["p"])).write(
            table_of("2", [])
            .append_column("valid_from", pa.array([], pa.int64()))
            .append_column("valid_to", pa.array([], pa.int64()))
        ),
    ],
)
def test_whoever_gives_the_same_partition_or_replaces_rows_meanwhile_is_a_conflict(
    table: Table, other: Callable[[Table], Any]
) -> None:
    give(table, "2", (7, 2, "B"))
    late = begin(table, "1")
    other(table)
    with pytest.raises(CommitConflict) as error:
        late.write(table_of("1", [(7, 1, "A")]))
    assert str(error.value).endswith("Nothing was written.")


def test_a_retry_finds_the_commit_with_what_became_of_its_versions(table: Table) -> None:
    landed = begin(table, "1", run="r").write(table_of("1", [(7, 1, "A")]))
    give(table, "2", (7, 2, "B"))
    again = begin(table, "1", run="r")
    assert again.landed is not None
    assert (again.landed.versions, again.landed.fingerprints) == (landed.versions, landed.fingerprints)
    [entry] = entries(table, 0, 0)
    assert entry.record is not None
    assert entry.record.scope.is_whole_table
    assert entry.record.given is not None
    assert entry.record.given.scope.parts == (("1",),)


def test_parts_that_other_processes_staged_are_one_history(table: Table) -> None:
    transaction = begin(table, "1")
    there = pickle.loads(pickle.dumps(transaction))  # noqa: S301 our own
    parts = [
        pickle.loads(pickle.dumps(there.stage(table_of("1", [row]))))  # noqa: S301 our own
        for row in [(7, 2, "B"), (7, 1, "A")]
    ]
    transaction.commit(*parts)
    assert history(table) == [("1", 7, 1, "A", 2), ("1", 7, 2, "B", None)]


def test_the_log_tells_who_gave_a_partition_and_that_its_rows_may_end_otherwise(table: Table) -> None:
    give(table, "1", (7, 1, "A"))
    give(table, "2", (8, 2, "B"))
    scope = partitions("1", "2", "3")
    changes = Changes(table.open(), scope)
    assert [origin and origin.version for origin in map(changes.origin, "123")] == [0, 1, None]
    assert (changes.same_rows_since("1", 0), changes.same_rows_since("1", 1)) == (False, True)
    assert [*newest_changes(entries(table, 1), scope.on(table.open().schema))] == [0, 1, 2]
