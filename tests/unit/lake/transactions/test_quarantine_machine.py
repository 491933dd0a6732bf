"""Runs that reject rows, die, are retried and overtaken, in any order, against a model of both tables."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from practicus_assets.errors import AuditFailed, CommitConflict
from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.transactions.landing import Landing
from practicus_assets.lake.transactions.options import Mode, WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.quarantine.rejected_table import RejectedTable
from practicus_assets.lake.transactions.transaction import Transaction
from tests import kit

PARTITIONS = ["a", "b/c"]
MOST = 3
CONTRACT = Contract({"n": Column("int64", minimum=0, severity="QUARANTINE")}, max_rejected=MOST)

Row = tuple[str, int]
partition_sets = st.none() | st.sets(st.sampled_from(PARTITIONS), min_size=1)
drafts = st.lists(st.tuples(st.sampled_from(PARTITIONS), st.integers(-3, 3)), max_size=5)
modes = st.sampled_from(["replace", "append"])


class KilledError(Exception):
    """Where a process dies."""


@dataclass
class Attempt:
    """A run that has begun, and what it does if it lands."""

    transaction: Transaction
    partitions: frozenset[str]
    scope: Scope
    mode: Mode
    rows: list[Row]
    run: str
    number: int = 1
    stale: bool = False


class Quarantine(RuleBasedStateMachine):
    """Drives one table; no row of a run that landed is ever in neither table."""

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="quarantine"))
        self.table = Table.at(str(self.root), ["t"])
        self.rejected = self.table.beside("__rejected")
        self.published_model: Counter[Row] = Counter()
        self.rejected_model: Counter[Row] = Counter()
        self.left: set[str] = set()  # partitions in which an attempt that died may have left rows
        self.runs = 0
        self.waiting: list[Attempt] = []
        self.dead: Attempt | None = None

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    def attempt(self, drafted: list[Row], partitions: set[str] | None, mode: Mode) -> Attempt:
        self.runs += 1
        inside = frozenset(PARTITIONS if partitions is None else partitions)
        scope = Scope() if partitions is None else kit.partitions(*sorted(partitions))
        rows = [row for row in drafted if row[0] in inside]
        return self.begun(Attempt(None, inside, scope, mode, rows, f"run-{self.runs}"))  # type: ignore[arg-type]

    def begun(self, attempt: Attempt) -> Attempt:
        who = Provenance(run_id=attempt.run, step="s", attempt=attempt.number)
        options = WriteOptions(partition_by=["p"], mode=attempt.mode)
        attempt.transaction = Transaction(
            self.table, attempt.scope, options, contract=CONTRACT, provenance=who
        )
        attempt.stale = False
        return attempt

    def data(self, attempt: Attempt) -> Iterator[pa.RecordBatch]:
        schema = pa.schema([("p", pa.string()), ("n", pa.int64())])
        yield pa.RecordBatch.from_pylist([], schema=schema)
        for p, n in attempt.rows:
            yield pa.RecordBatch.from_pylist([{"p": p, "n": n}], schema=schema)

    def landed(self, attempt: Attempt) -> None:
        """Let the model follow the commit of the table."""
        for model, is_good in ((self.published_model, True), (self.rejected_model, False)):
            if attempt.mode == "replace":
                for row in [row for row in model if row[0] in attempt.partitions]:
                    del model[row]
            model.update(row for row in attempt.rows if (row[1] >= 0) is is_good)
        for other in self.waiting:
            both_append = other.mode == attempt.mode == "append"
            if other.partitions & attempt.partitions and not both_append:
                other.stale = True

    def write(self, attempt: Attempt) -> None:
        if sum(n < 0 for _, n in attempt.rows) > MOST:
            with pytest.raises(AuditFailed):
                attempt.transaction.write(self.data(attempt))
            return
        if attempt.stale:
            with pytest.raises(CommitConflict):
                attempt.transaction.write(self.data(attempt))
            return
        attempt.transaction.write(self.data(attempt))
        assert not attempt.transaction.unsettled
        self.landed(attempt)
        if attempt.mode == "replace":
            self.left -= attempt.partitions

    # Rules

    @rule(drafted=drafts, partitions=partition_sets, mode=modes)
    def run(self, drafted: Any, partitions: Any, mode: Mode) -> None:
        self.write(self.attempt(drafted, partitions, mode))

    @precondition(lambda self: len(self.waiting) < 2)
    @rule(drafted=drafts, partitions=partition_sets, mode=modes)
    def begin_a_run_that_writes_later(self, drafted: Any, partitions: Any, mode: Mode) -> None:
        self.waiting.append(self.attempt(drafted, partitions, mode))

    @precondition(lambda self: self.waiting)
    @rule()
    def write_late(self) -> None:
        self.write(self.waiting.pop(0))

    @rule(
        drafted=drafts,
        partitions=partition_sets,
        mode=modes,
        commit=st.integers(1, 3),
        after=st.booleans(),
    )
    def die(self, drafted: Any, partitions: Any, mode: Mode, commit: int, after: bool) -> None:  # noqa: FBT001 drawn
        """Die before or after one of the commits: of the rejected rows, the table, the superseded rows."""
        attempt = self.attempt(drafted, partitions, mode)
        if sum(n < 0 for _, n in attempt.rows) > MOST:
            return
        real, left = Landing._commit, [commit]
        before = self.version()

        def dying(*arguments: Any) -> None:
            left[0] -= 1
            if left[0] or after:
                real(*arguments)
            if not left[0]:
                raise KilledError

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Landing, "_commit", dying)
            try:
                attempt.transaction.write(self.data(attempt))
            except KilledError:
                self.left |= attempt.partitions
                self.dead = attempt
            else:
                self.left -= attempt.partitions if mode == "replace" else set()
        if self.version() > before:
            self.landed(attempt)

    @rule(drafted=drafts, others=drafts, partitions=partition_sets, mode=modes, other_mode=modes)
    def another_run_lands_before_this_one_settles(
        self, drafted: Any, others: Any, partitions: Any, mode: Mode, other_mode: Mode
    ) -> None:
        real, later = RejectedTable._settle, list[Attempt]()

        def late(*arguments: Any) -> None:
            patch.setattr(RejectedTable, "_settle", real)
            later.append(self.attempt(others, partitions, other_mode))
            if sum(n < 0 for _, n in later[0].rows) <= MOST:
                later[0].transaction.write(self.data(later[0]))
            real(*arguments)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(RejectedTable, "_settle", late)
            self.write(self.attempt(drafted, partitions, mode))
        for attempt in later:
            if sum(n < 0 for _, n in attempt.rows) <= MOST:
                self.landed(attempt)

    @precondition(lambda self: self.dead is not None)
    @rule(drafted=drafts)
    def retry(self, drafted: Any) -> None:
        """Retry the run that died last, on other inputs; if its table had been committed, it is found."""
        assert self.dead is not None
        rows = [row for row in drafted if row[0] in self.dead.partitions]
        again = self.begun(replace(self.dead, number=self.dead.number + 1, rows=rows))
        self.dead = None
        if again.transaction.landed is None:
            self.write(again)
            return
        assert again.transaction.write(self.data(again)).recovered
        assert not again.transaction.unsettled

    # Both tables are what the model says

    def version(self) -> int:
        at = self.table.open_if_exists()
        return at.version if at is not None else -1

    def found(self, table: Table) -> Counter[Row]:
        if table.open_if_exists() is None:
            return Counter()
        return Counter((row["p"], row["n"]) for row in kit.read(table))

    @invariant()
    def the_tables_are_what_the_model_says(self) -> None:
        assert self.found(self.table) == self.published_model
        found = self.found(self.rejected)
        assert found >= self.rejected_model, "a rejected row is lost"
        more = {p for p, _ in found - self.rejected_model}
        assert more <= self.left, "rejected rows of nobody who died"


TestQuarantine = Quarantine.TestCase
TestQuarantine.settings = settings(
    max_examples=25,
    stateful_step_count=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
