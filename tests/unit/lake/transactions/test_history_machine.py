"""Histories in any order of runs, crashes and lost answers, against the rows that each partition got last."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake.exceptions import DeltaError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from practicus_assets.errors import CommitConflict
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.landing import Landing
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction
from tests.kit import parquet_files, partitions, read
from tests.unit.lake.transactions.histories import OPTIONS, Given, expected, given_rows, rows_of, table_of
from tests.unit.lake.transactions.test_transaction_machine import AuthorError, swap_and_raise

drafts = st.dictionaries(st.sampled_from(["a", "b/c", "x' OR '1'='1"]), given_rows, min_size=1)


@dataclass
class Attempt:
    """A transaction that has begun, and the rows that it will give, by partition."""

    transaction: Transaction
    given: dict[str, list[Given]]
    run: str
    stale: bool = False


def together(drafted: dict[str, list[Given]]) -> dict[str, list[Given]]:
    """Return drafted rows so that no two of one key and time are in one run."""
    seen: set[tuple[int, int]] = set()
    given: dict[str, list[Given]] = {}
    for p, rows in drafted.items():
        given[p] = [row for row in rows if row[:2] not in seen]
        seen |= {row[:2] for row in rows}
    return given


class Histories(RuleBasedStateMachine):
    """Drives one table; every rule leaves the table equal to the model."""

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="histories"))
        self.table = Table.at(str(self.root), ["t"])
        self.model: dict[str, list[Given]] = {}
        self.runs = 0
        self.waiting: list[Attempt] = []
        self.last: Attempt | None = None
        self.exists = False

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    def attempt(self, drafted: dict[str, list[Given]], run: str = "", number: int = 1) -> Attempt:
        self.runs += 1
        run = run or f"run-{self.runs}"
        who = Provenance(run_id=run, step="s", attempt=number)
        scope = partitions(*sorted(drafted))
        return Attempt(Transaction(self.table, scope, OPTIONS, provenance=who), together(drafted), run)

    @staticmethod
    def rows(attempt: Attempt) -> pa.Table:
        return pa.concat_tables([table_of(p, rows) for p, rows in attempt.given.items()])

    def landed(self, attempt: Attempt) -> None:
        self.exists = True
        self.model |= attempt.given
        self.last = attempt
        for other in self.waiting:
            other.stale = other.stale or bool(other.given.keys() & attempt.given.keys())

    # Rules

    @rule(drafted=drafts, streamed=st.booleans())
    def give(self, drafted: Any, streamed: bool) -> None:  # noqa: FBT001
        attempt, rows = self.attempt(drafted), None
        rows = self.rows(attempt)
        same = self.exists and expected(self.model) == expected(self.model | attempt.given)
        commit = attempt.transaction.write(rows.to_reader() if streamed else rows)
        assert commit.changed == (streamed or not same)
        if commit.changed:
            self.landed(attempt)
        self.model |= attempt.given

    @rule(drafted=drafts)
    def begin_an_attempt_that_writes_later(self, drafted: Any) -> None:
        if len(self.waiting) < 3:
            self.waiting.append(self.attempt(drafted))

    @precondition(lambda self: self.waiting)
    @rule(which=st.integers(0, 2))
    def write_late(self, which: int) -> None:
        attempt = self.waiting.pop(which % len(self.waiting))
        if attempt.stale:
            with pytest.raises(CommitConflict) as error:
                attempt.transaction.write(self.rows(attempt).to_reader())
            assert str(error.value).endswith("Nothing was written.")
            return
        attempt.transaction.write(self.rows(attempt).to_reader())
        self.landed(attempt)

    @rule(drafted=drafts)
    def the_store_lands_a_commit_and_answers_with_an_error(self, drafted: Any) -> None:
        attempt = self.attempt(drafted)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Landing, "_commit", swap_and_raise(DeltaError("timeout")))
            attempt.transaction.write(self.rows(attempt).to_reader())
        self.landed(attempt)

    @rule(drafted=drafts)
    def die_between_the_commit_and_its_report(self, drafted: Any) -> None:
        attempt = self.attempt(drafted)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Landing, "_commit", swap_and_raise(AuthorError()))
            with pytest.raises(AuthorError):
                attempt.transaction.write(self.rows(attempt).to_reader())
        self.landed(attempt)
        self.retry_after_a_commit_that_was_not_reported()

    @precondition(lambda self: self.last is not None)
    @rule()
    def retry_after_a_commit_that_was_not_reported(self) -> None:
        assert self.last is not None
        again = self.attempt(self.last.given, self.last.run, 2)
        commit = again.transaction.write(self.rows(again))
        assert commit.recovered
        assert sum(commit.versions.values()) >= 0
        assert commit.partition_rows == {p: len(rows) for p, rows in self.last.given.items()}

    @rule(drafted=drafts)
    def crash_in_the_authors_generator(self, drafted: Any) -> None:
        attempt = self.attempt(drafted)

        def crashing() -> Iterator[pa.RecordBatch]:
            yield from self.rows(attempt).to_batches()
            raise AuthorError

        files = parquet_files(self.table)
        with pytest.raises(AuthorError):
            attempt.transaction.write(crashing())
        assert parquet_files(self.table) == files

    @rule(drafted=drafts)
    def die_between_staging_and_commit(self, drafted: Any) -> None:
        attempt = self.attempt(drafted)
        with pytest.MonkeyPatch.context() as patch:  # a killed process tidies nothing up

            def killed(*_: Any, **__: Any) -> None:
                raise AuthorError

            patch.setattr(Landing, "land", killed)
            with pytest.raises(AuthorError):
                attempt.transaction.write(self.rows(attempt).to_reader())
        again = replace(self.attempt(attempt.given, attempt.run, 2))
        again.transaction.write(self.rows(again).to_reader())
        self.landed(again)

    @invariant()
    def the_table_is_what_the_rows_of_each_partition_make_of_it(self) -> None:
        if self.table.open_if_exists() is None:
            assert not self.exists
            return
        assert rows_of(read(self.table)) == expected(self.model)


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=12,
    stateful_step_count=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
