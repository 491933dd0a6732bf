"""Rows that break a rule of severity QUARANTINE: none is published, and none is lost."""

import pickle
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from practicus_assets.errors import (
    AuditFailed,
    CommitConflict,
    DeclarationError,
    OutOfScope,
    SchemaMismatch,
    StoreFailed,
    UnsupportedTable,
)
from practicus_assets.lake.contracts.audit import Audit
from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.contracts.rule import RowRule, TableRule
from practicus_assets.lake.delta.record import InputVersion, VersionElsewhere
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.transactions.effect import Durations
from practicus_assets.lake.transactions.landing import Landing
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.quarantine.rejected_table import RejectedTable
from practicus_assets.lake.transactions.transaction import Transaction
from tests import kit

POSITIVE = Column("int64", minimum=0, severity="QUARANTINE")
QUARANTINE = Contract({"n": POSITIVE})


class KilledError(Exception):
    """Where a process dies."""


def begin(
    table: Table,
    *partitions: str,
    contract: Contract = QUARANTINE,
    run: str = "run",
    attempt: int = 1,
    **more: Any,
) -> Transaction:
    scope = kit.partitions(*partitions) if partitions else Scope()
    options = WriteOptions(partition_by=["p"], **more)
    who = Provenance(run_id=run, step="s", attempt=attempt, inputs=[InputVersion("raw", 7)])
    return Transaction(table, scope, options, contract=contract, provenance=who)


def rejected(table: Table) -> Table:
    return table.beside("__rejected")


def numbers(table: Table) -> Counter[int]:
    return Counter(row["n"] for row in kit.read(table)) if table.open_if_exists() else Counter()


def both(table: Table) -> tuple[list[int], list[int]]:
    return sorted(numbers(table).elements()), sorted(numbers(rejected(table)).elements())


def test_bad_rows_go_to_the_table_beside_with_why_they_are_there_and_the_others_are_published(
    table: Table,
) -> None:
    contract = Contract(
        {"n": Column("int64", minimum=0, severity="QUARANTINE")},
        rules=[RowRule("even", lambda t: pc.equal(pc.bit_wise_and(t["n"], 1), 0), severity="QUARANTINE")],
    )
    commit = begin(table, "a", contract=contract, run="run-1").write(kit.table_of("a", 0, 1, 2, -2, -3))
    assert numbers(table) == Counter([0, 2])
    found = {row["n"]: row["_rejected_by"] for row in kit.read(rejected(table))}
    assert found == {1: ["even"], -2: ["n_minimum"], -3: ["n_minimum", "even"]}
    assert {row["_rejected_run"] for row in kit.read(rejected(table))} == {"run-1"}
    assert {row["_rejected_inputs"] for row in kit.read(rejected(table))} == {'{"raw": 7}'}
    assert commit.rows == 2
    assert commit.rejected is not None
    assert (commit.rejected.rows, commit.rejected.version) == (3, 0)
    assert {row["_rejected_attempt"] for row in kit.read(rejected(table))} == {commit.rejected.attempt}
    by_rule = {a.name: (a.passed, a.severity, a.bad_rows) for a in commit.audits}
    assert by_rule["n_minimum"] == (False, "QUARANTINE", 2)
    assert by_rule["even"] == (False, "QUARANTINE", 2)


def test_other_rules_counts_and_keys_see_the_published_rows_alone(table: Table) -> None:
    def no_row_is_negative(rows: pa.Table) -> bool:
        return not pc.any(pc.less(rows["n"], 0)).as_py()

    contract = Contract(
        {"n": POSITIVE},
        unique=[["n"]],
        rows=(2, 2),
        rules=[
            TableRule("all", no_row_is_negative),
            RowRule("each", lambda t: pc.greater_equal(t["n"], 0)),
        ],
    )
    commit = begin(table, "a", contract=contract).write(kit.table_of("a", 1, 2, -5, -5))
    assert [a.name for a in commit.audits if not a.passed] == ["n_minimum"]
    assert commit.partition_rows == {"a": 2}


@pytest.mark.parametrize(
    ("most", "bad", "is_refused"),
    [(2, 2, False), (2, 3, True), (0, 1, True), (0.5, 2, False), (0.4, 2, True), (0.0, 1, True)],
)
def test_more_rejected_rows_than_the_limit_end_the_transaction_and_nothing_is_written(
    table: Table,
    most: float,
    bad: int,
    is_refused: bool,  # noqa: FBT001 a parameter
) -> None:
    rows = kit.table_of("a", *range(4 - bad), *[-1] * bad)
    transaction = begin(table, "a", contract=replace(QUARANTINE, max_rejected=most))
    if not is_refused:
        assert transaction.write(rows).rejected is not None
        return
    with pytest.raises(AuditFailed, match=rf"max_rejected is {most}.*Nothing was written\.$") as error:
        transaction.write(rows)
    assert [r.severity for r in error.value.results if not r.passed] == ["ERROR"]
    assert [*Path(table.uri).parent.rglob("*.parquet")] == []


def test_a_blocking_rule_that_fails_leaves_nothing_of_the_rejected_rows_either(table: Table) -> None:
    contract = replace(QUARANTINE, rows=(5, None))
    with pytest.raises(AuditFailed):
        begin(table, "a", contract=contract).write(kit.table_of("a", 1, -1))
    assert [*Path(table.uri).parent.rglob("*.parquet")] == []


def test_without_bad_rows_no_table_is_made_and_a_rerun_without_them_empties_its_scope(table: Table) -> None:
    begin(table, "a", run="1").write(kit.table_of("a", 1))
    assert rejected(table).open_if_exists() is None
    begin(table, "a", run="2").write(kit.table_of("a", 1, -1))
    begin(table, "b", run="3").write(kit.table_of("b", 2, -2))
    assert both(table) == ([1, 2], [-2, -1])
    begin(table, "a", run="4").write(kit.table_of("a", 1, -3))
    assert both(table) == ([1, 2], [-3, -2])
    commit = begin(table, "a", run="5").write(kit.table_of("a", 1))
    assert both(table) == ([1, 2], [-2])
    assert commit.rejected is not None
    assert commit.rejected.rows == 0
    version = rejected(table).open().version
    begin(table, "a", run="6").write(kit.table_of("a", 3))
    assert rejected(table).open().version == version


def test_a_rerun_of_the_whole_table_replaces_all_rejected_rows(table: Table) -> None:
    both_partitions = pa.concat_tables([kit.table_of("a", 1, -1), kit.table_of("b", 2, -2)])
    begin(table, run="1").write(both_partitions)
    begin(table, run="2").write(kit.table_of("b", 3, -3))
    assert both(table) == ([3], [-3])


def test_appended_runs_keep_what_earlier_ones_rejected_and_a_retry_does_not_double_it(table: Table) -> None:
    for run in ("1", "2"):
        begin(table, "a", run=run, mode="append").write(kit.table_of("a", 1, -1))
    assert both(table) == ([1, 1], [-1, -1])
    with pytest.MonkeyPatch.context() as patch:
        die(patch, 2, after=False)
        with pytest.raises(KilledError):
            begin(table, "a", run="3", mode="append").write(kit.table_of("a", 1, -1))
    assert both(table) == ([1, 1], [-1, -1, -1])
    begin(table, "a", run="3", attempt=2, mode="append").write(kit.table_of("a", 1, -5))
    assert both(table) == ([1, 1, 1], [-5, -1, -1])


def die(patch: pytest.MonkeyPatch, number: int, *, after: bool) -> None:
    """Let a process die at the n-th of its commits: the rejected rows', the table's, the superseded rows'."""
    real, left = Landing._commit, [number]

    def dying(*arguments: Any) -> None:
        left[0] -= 1
        if left[0] or after:
            real(*arguments)
        if not left[0]:
            raise KilledError

    patch.setattr(Landing, "_commit", dying)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("again", [[1, 2, -9], [1, 2, 9]], ids=["a bad row", "no bad row"])
def test_a_process_that_dies_at_any_commit_loses_no_row_and_its_retry_settles(
    table: Table,
    number: int,
    after: bool,  # noqa: FBT001 a parameter
    again: list[int],
) -> None:
    begin(table, "a", run="1").write(kit.table_of("a", 1, -1))
    with pytest.MonkeyPatch.context() as patch:
        die(patch, number, after=after)
        with pytest.raises(KilledError):
            begin(table, "a", run="2").write(kit.table_of("a", 1, 2, -2))
    is_published = 2 in numbers(table)
    assert is_published is ((number, after) >= (2, True))
    assert numbers(rejected(table))[-2 if is_published else -1] == 1
    begin(table, "a", run="2", attempt=2).write(kit.table_of("a", *again))
    expected = [1, 2, -2] if is_published else again
    assert both(table) == ([n for n in sorted(expected) if n >= 0], [n for n in expected if n < 0])


def test_the_commit_names_the_version_in_which_its_rejected_rows_are(table: Table) -> None:
    begin(table, "a", run="1").write(kit.table_of("a", 1, -1))
    begin(table, "a", run="2").write(kit.table_of("a", 1, 2, -2))
    begin(table, "a", run="3").write(kit.table_of("a", 1, 2, 3, -3))
    again = begin(table, "a", run="2", attempt=2)
    assert again.landed is not None
    named = again.landed.rejected
    assert named is not None
    at = rejected(table).open(named.version)
    rows = [
        row
        for stream in at.select(["n", "_rejected_attempt"], Scope().on(at.schema))
        for row in stream.read_all().to_pylist()
    ]
    assert [row["n"] for row in rows if row["_rejected_attempt"] == named.attempt] == [-2]


def test_an_attempt_that_was_overtaken_takes_its_rejected_rows_back(table: Table) -> None:
    late = begin(table, "a", run="late")
    begin(table, "a", run="1").write(kit.table_of("a", 1, -1))
    with pytest.raises(CommitConflict, match=r"Nothing was written\.$"):
        late.write(kit.table_of("a", 2, -2))
    assert both(table) == ([1], [-1])


def test_a_first_attempt_that_wakes_up_before_its_retry_commits_keeps_its_rejected_rows(table: Table) -> None:
    begin(table, "a", run="0").write(kit.table_of("a", 0, -10))
    first, second = begin(table, "a", run="r"), begin(table, "a", run="r", attempt=2)
    audited = [t.audit(t.stage(kit.table_of("a", n, -n))) for t, n in ((first, 1), (second, 2))]
    real, commits = Landing._commit, []

    def overtaken(*arguments: Any) -> None:
        """Let the first attempt commit between the two commits of the second."""
        commits.append(arguments)
        if len(commits) == 2:
            patch.setattr(Landing, "_commit", real)
            first.land(audited[0])
        real(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Landing, "_commit", overtaken)
        with pytest.raises(CommitConflict):
            second.land(audited[1])
    assert both(table) == ([1], [-1])
    third = begin(table, "a", run="r", attempt=3)
    assert third.write(kit.table_of("a", 3, -3)).recovered
    assert both(table) == ([1], [-1])


def test_a_run_that_changes_nothing_still_refuses_one_beside_it_whose_rejected_rows_it_removes(
    table: Table,
) -> None:
    begin(table, "a", run="1").write(kit.table_of("a", 1, -1))
    beside = begin(table, "a", run="beside")
    audited = beside.audit(beside.stage(kit.table_of("a", 2, -2)))
    again = begin(table, "a", run="2").write(kit.table_of("a", 1, -1))
    assert not again.changed
    with pytest.raises(CommitConflict):
        beside.land(audited)
    assert both(table) == ([1], [-1])


def test_a_run_that_lands_before_another_has_settled_keeps_its_rejected_rows(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(table, "a", run="1").write(kit.table_of("a", 1, -1))
    real = RejectedTable._settle

    def late(*arguments: Any) -> None:
        monkeypatch.setattr(RejectedTable, "_settle", real)
        begin(table, "a", run="3").write(kit.table_of("a", 3, -3))
        real(*arguments)

    monkeypatch.setattr(RejectedTable, "_settle", late)
    begin(table, "a", run="2").write(kit.table_of("a", 2, -2))
    assert both(table) == ([3], [-3])


def test_superseded_rows_that_cannot_be_removed_are_said_and_the_commit_stands(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(table, "a", run="1").write(kit.table_of("a", 1, -1))
    real, commits = Landing._commit, []

    def failing(*arguments: Any) -> None:
        commits.append(arguments)
        if len(commits) == 3:
            raise StoreFailed("the disk is full.")
        real(*arguments)

    monkeypatch.setattr(Landing, "_commit", failing)
    transaction = begin(table, "a", run="2")
    transaction.write(kit.table_of("a", 2, -2))
    assert "the disk is full" in transaction.unsettled
    assert both(table) == ([2], [-2, -1])
    begin(table, "a", run="3").write(kit.table_of("a", 3, -3))
    assert both(table) == ([3], [-3])


def _sent(sent: Any) -> Any:
    """Return what another process gets."""
    return pickle.loads(pickle.dumps(sent))  # noqa: S301 our own


def test_parts_that_other_processes_stage_bring_their_bad_rows(table: Table) -> None:
    transaction = begin(table, "a", contract=replace(QUARANTINE, max_rejected=2))
    parts = [_sent(_sent(transaction).stage(kit.table_of("a", n, -n))) for n in (1, 2)]
    commit = transaction.commit(*parts)
    assert both(table) == ([1, 2], [-2, -1])
    assert commit.rejected is not None
    assert commit.rejected.rows == 2


def test_of_two_processes_that_commit_the_same_parts_one_adds_their_bad_rows(table: Table) -> None:
    begin(table, "a", run="1").write(kit.table_of("a", 0, -10))
    transaction = begin(table, "a", run="2")
    first, second = _sent(transaction), _sent(transaction)
    part = _sent(first.stage(kit.table_of("a", 1, -1)))
    first.commit(_sent(part))
    with pytest.raises(CommitConflict):
        second.commit(_sent(part))
    assert both(table) == ([1], [-1])


def test_rejected_rows_get_new_columns_and_keep_those_that_the_table_lost(table: Table) -> None:
    begin(table, run="1").write(kit.table_of("a", 1, -1, old=["x", "y"]))
    begin(table, run="2", on_schema_change="replace").write(kit.table_of("a", 1, -1, new=["x", "y"]))
    [row] = kit.read(rejected(table))
    assert (row["old"], row["new"]) == (None, "y")


def test_rejected_rows_of_another_type_are_refused_with_what_to_do(table: Table) -> None:
    contract = Contract(rules=[RowRule("no", lambda t: pc.greater(t["n"], 0), severity="QUARANTINE")])
    begin(table, contract=contract, run="1").write(kit.table_of("a", 1, -1))
    rows = kit.table_of("a", 1, -1).set_column(1, "n", pa.array([1.5, -1.5]))
    with pytest.raises(SchemaMismatch, match=r"rejected earlier: .* or delete it.* Nothing was written\.$"):
        begin(table, contract=contract, run="2", on_schema_change="replace").write(rows)
    assert both(table) == ([1], [-1])


@pytest.mark.parametrize("p", ["b", None], ids=["another partition", "no partition"])
def test_a_bad_row_outside_the_scope_is_refused_as_any_other(table: Table, p: str | None) -> None:
    rows = pa.concat_tables([kit.table_of("a", 1), kit.table_of(p, -1)])
    with pytest.raises(OutOfScope):
        begin(table, "a").write(rows)
    assert [*Path(table.uri).parent.rglob("*.parquet")] == []


def _merge(table: Table) -> None:
    begin(table, "a", mode="merge", merge_keys=["n"])


def _column_of_reasons(table: Table) -> None:
    begin(table, "a").write(kit.table_of("a", 1, -1, _Rejected_By=["x", "y"]))


def _foreign_table(table: Table) -> None:
    kit.write(rejected(table), "a", 1)
    begin(table, "a")


def _table_rule(_: Table) -> None:
    Contract(rules=[TableRule("all", lambda _: True, severity="QUARANTINE")])


def _limit_without_rule(_: Table) -> None:
    Contract({"n": "int64"}, max_rejected=3)


def _limit_above_all(_: Table) -> None:
    replace(QUARANTINE, max_rejected=1.5)


@pytest.mark.parametrize(
    ("attempted", "error", "says"),
    [
        (_merge, DeclarationError, 'the mode is "merge"'),
        (_column_of_reasons, SchemaMismatch, "_Rejected_By"),
        (_foreign_table, UnsupportedTable, "Move that table away"),
        (_table_rule, DeclarationError, "Write a RowRule"),
        (_limit_without_rule, DeclarationError, "no rule has the severity"),
        (_limit_above_all, DeclarationError, "a share of them below 1"),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) and not isinstance(value, type) else "",
)
def test_what_quarantine_cannot_do_is_refused_with_what_to_do(
    table: Table, attempted: Callable[[Table], None], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        attempted(table)
    assert table.open_if_exists() is None


def test_a_promotion_brings_all_rows_or_none(table: Table) -> None:
    who = Provenance(run_id="run", step="s", promotes=VersionElsewhere("/dev", 3, "id"))
    options = WriteOptions(partition_by=["p"])
    transaction = Transaction(table, kit.partitions("a"), options, contract=QUARANTINE, provenance=who)
    with pytest.raises(AuditFailed, match=r"1 of 2 rows would be rejected.*Nothing was written\.$"):
        transaction.write(kit.table_of("a", 1, -1))


def test_a_contract_alone_rejects_rows_as_a_transaction_would() -> None:
    contract = Contract({"n": POSITIVE}, unique=[["n"]], max_rejected=2)
    found = {r.name: (r.passed, r.severity) for r in contract.audit(kit.table_of("a", 1, -1, -1))}
    assert found["n_minimum"] == (False, "QUARANTINE")
    assert found["n_unique"] == (True, "ERROR")
    [minimum] = [r for r in contract.audit(kit.table_of("a", -1, -1, -1)) if r.name == "n_minimum"]
    assert minimum.blocks
    assert "3 of 3 rows would be rejected" in minimum.finding
    assert contract.digest != Contract({"n": POSITIVE}, unique=[["n"]]).digest


def test_the_time_of_the_rules_that_reject_rows_is_that_of_rules(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    divide = Audit.divide

    def slowly(*arguments: Any) -> Any:
        clock[0] += 5.0
        return divide(*arguments)

    monkeypatch.setattr(Audit, "divide", slowly)
    durations = begin(table).write(pa.table({"p": ["1", "1"], "n": [1, -1]})).durations
    assert durations == Durations(audit=5.0)
