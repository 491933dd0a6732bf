"""Transactions in any order, against a dictionary from partition to rows as the model."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from practicus_assets.errors import CommitConflict
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.transactions.landing import Landing
from practicus_assets.lake.transactions.options import Mode, WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction
from tests import kit

PARTITIONS = ["a", "b/c", "x' OR '1'='1"]
Row = tuple[str, int, int, int | None]  # p, id, n, and extra where the table has it
Model = dict[str, Counter[Row]]

partition_sets = st.sets(st.sampled_from(PARTITIONS), min_size=1)
ids = st.integers(0, 4)
values = st.integers(0, 2)
drafts = st.lists(st.tuples(st.sampled_from(PARTITIONS), ids, values), max_size=6)


class AuthorError(Exception):
    """What an author's generator raises."""


@dataclass
class Attempt:
    """A transaction that has begun, and what it will do to the model if it lands."""

    transaction: Transaction
    partitions: frozenset[str] | None  # None: the whole table
    mode: Mode
    delete_unmatched: bool
    rows: list[Row]
    wide: bool
    streamed: bool
    provenance: Provenance
    stale: bool = False
    seen: Model | None = None


def swap_and_raise(error: Exception) -> Callable[..., None]:
    real = Landing._commit

    def swap(*arguments: Any) -> None:
        real(*arguments)
        with arguments[0]._table.failures.committing(1):
            raise error

    return swap


def scope_of(partitions: frozenset[str] | None) -> Scope:
    if partitions is None:
        return Scope()
    return kit.partitions(*sorted(partitions))


def as_batches(rows: list[Row], *, wide: bool) -> Iterator[pa.RecordBatch]:
    fields = {"p": pa.string(), "id": pa.int64(), "n": pa.int64()} | ({"extra": pa.int64()} if wide else {})
    schema = pa.schema(list(fields.items()))
    yield pa.record_batch([pa.array([], type_) for type_ in fields.values()], schema=schema)
    for row in rows:
        yield pa.record_batch(
            [pa.array([v], t) for v, t in zip(row, fields.values(), strict=False)], schema=schema
        )


class Transactions(RuleBasedStateMachine):
    """Drives one table; every rule leaves the table equal to the model."""

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="machine"))
        self.table = Table.at(str(self.root), ["t"])
        self.model: Model = {}
        self.version = -1
        self.wide = False
        self.runs = 0
        self.waiting: list[Attempt] = []
        self.last: Attempt | None = None

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    # What a transaction does to the model

    def attempt(
        self,
        drafted: list[tuple[str, int, int]],
        partitions: frozenset[str] | None,
        mode: Mode,
        *,
        wide: bool,
        streamed: bool,
        delete_unmatched: bool = False,
    ) -> Attempt:
        self.runs += 1
        wide = wide or self.wide
        if mode == "merge":
            drafted = list({(p, i): (p, i, n) for p, i, n in drafted}.values())
        rows: list[Row] = [
            (p, i, n, n if wide else None) for p, i, n in drafted if partitions is None or p in partitions
        ]
        provenance = Provenance(run_id=f"run-{self.runs}", step="s")
        return self.begun(Attempt(None, partitions, mode, delete_unmatched, rows, wide, streamed, provenance))  # type: ignore[arg-type]

    def begun(self, attempt: Attempt) -> Attempt:
        attempt.transaction = Transaction(
            self.table,
            scope_of(attempt.partitions),
            WriteOptions(
                partition_by=["p"],
                mode=attempt.mode,
                merge_keys=["p", "id"] if attempt.mode == "merge" else [],
                delete_unmatched=attempt.delete_unmatched,
            ),
            provenance=attempt.provenance,
        )
        attempt.stale = False
        return attempt

    def expected(self, attempt: Attempt) -> Model:
        after = {key: Counter(found) for key, found in self.model.items()}
        inside = PARTITIONS if attempt.partitions is None else attempt.partitions
        new: Model = {}
        for row in attempt.rows:
            new.setdefault(row[0], Counter())[row] += 1
        for key in inside:
            old, fresh = after.get(key, Counter()), new.get(key, Counter())
            if attempt.mode == "append":
                fresh = old + fresh
            elif attempt.mode == "merge" and not attempt.delete_unmatched:
                replaced = {row[1] for row in fresh}
                fresh = fresh + Counter({row: n for row, n in old.items() if row[1] not in replaced})
            after[key] = fresh
        return {key: found for key, found in after.items() if found}

    def data(self, attempt: Attempt) -> Any:
        batches = as_batches(attempt.rows, wide=attempt.wide)
        return batches if attempt.streamed else pa.Table.from_batches(batches)

    def write(self, attempt: Attempt) -> None:
        before, after = self.model, self.expected(attempt)
        commit = attempt.transaction.write(self.data(attempt))
        same = before == after and attempt.wide == self.wide and self.version >= 0
        if commit.changed:
            assert commit.version == self.version + 1
            self.landed(attempt, after)
        else:
            assert same
            assert not attempt.streamed
            assert commit.version == self.version
        if same and not attempt.streamed:
            assert not commit.changed

    def landed(self, attempt: Attempt, after: Model) -> None:
        self.version += 1
        self.model = after
        self.wide = self.wide or attempt.wide
        self.last = attempt
        for other in self.waiting:
            shared = (
                other.partitions is None
                or attempt.partitions is None
                or bool(other.partitions & attempt.partitions)
            )
            both_append = other.mode == attempt.mode == "append"
            if other is not attempt and shared and not both_append:
                other.stale = True

    # Rules

    @rule(drafted=drafts, partitions=partition_sets, wide=st.booleans(), streamed=st.booleans())
    def replace_partitions(self, drafted: Any, partitions: set[str], wide: bool, streamed: bool) -> None:  # noqa: FBT001
        self.write(self.attempt(drafted, frozenset(partitions), "replace", wide=wide, streamed=streamed))

    @rule(drafted=drafts, wide=st.booleans(), streamed=st.booleans())
    def replace_everything(self, drafted: Any, wide: bool, streamed: bool) -> None:  # noqa: FBT001
        self.write(self.attempt(drafted, None, "replace", wide=wide, streamed=streamed))

    @rule(drafted=drafts, partitions=st.none() | partition_sets, wide=st.booleans(), streamed=st.booleans())
    def append(self, drafted: Any, partitions: set[str] | None, wide: bool, streamed: bool) -> None:  # noqa: FBT001
        scope = None if partitions is None else frozenset(partitions)
        self.write(self.attempt(drafted, scope, "append", wide=wide, streamed=streamed))

    @rule(
        drafted=drafts,
        partitions=st.none() | partition_sets,
        delete=st.booleans(),
        wide=st.booleans(),
        streamed=st.booleans(),
    )
    def merge(self, drafted: Any, partitions: Any, delete: bool, wide: bool, streamed: bool) -> None:  # noqa: FBT001
        scope = None if partitions is None else frozenset(partitions)
        self.write(
            self.attempt(drafted, scope, "merge", wide=wide, streamed=streamed, delete_unmatched=delete)
        )

    @rule(
        drafted=drafts,
        partitions=st.none() | partition_sets,
        mode=st.sampled_from(["replace", "append", "merge"]),
        wide=st.booleans(),
    )
    def begin_an_attempt_that_writes_later(
        self,
        drafted: Any,
        partitions: Any,
        mode: Mode,
        wide: bool,  # noqa: FBT001
    ) -> None:
        if len(self.waiting) < 3:
            scope = None if partitions is None else frozenset(partitions)
            self.waiting.append(self.attempt(drafted, scope, mode, wide=wide, streamed=True))

    @precondition(lambda self: self.waiting)
    @rule(which=st.integers(0, 2))
    def write_late(self, which: int) -> None:
        attempt = self.waiting.pop(which % len(self.waiting))
        late_column = self.wide and not attempt.wide
        if attempt.stale:
            with pytest.raises(CommitConflict) as error:
                attempt.transaction.write(self.data(attempt))
            assert str(error.value).endswith("Nothing was written.")
            return
        after = self.expected(attempt)
        commit = attempt.transaction.write(self.data(attempt))
        assert commit.version == self.version + 1
        self.landed(replace(attempt, wide=self.wide) if late_column else attempt, after)

    @rule(
        drafted=drafts,
        partitions=st.none() | partition_sets,
        mode=st.sampled_from(["replace", "append", "merge"]),
    )
    def the_store_lands_a_commit_and_answers_with_an_error(
        self, drafted: Any, partitions: Any, mode: Mode
    ) -> None:
        scope = None if partitions is None else frozenset(partitions)
        attempt = self.attempt(drafted, scope, mode, wide=False, streamed=True)
        after = self.expected(attempt)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Landing, "_commit", swap_and_raise(DeltaError("timeout")))
            commit = attempt.transaction.write(self.data(attempt))
        assert commit.version == self.version + 1
        self.landed(attempt, after)

    @rule(
        drafted=drafts,
        partitions=st.none() | partition_sets,
        mode=st.sampled_from(["replace", "append", "merge"]),
    )
    def die_between_the_commit_and_its_report(self, drafted: Any, partitions: Any, mode: Mode) -> None:
        scope = None if partitions is None else frozenset(partitions)
        attempt = self.attempt(drafted, scope, mode, wide=False, streamed=True)
        after = self.expected(attempt)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Landing, "_commit", swap_and_raise(AuthorError()))
            with pytest.raises(AuthorError):
                attempt.transaction.write(self.data(attempt))
        self.landed(attempt, after)
        self.retry_after_a_commit_that_was_not_reported()

    @precondition(lambda self: self.last is not None)
    @rule()
    def retry_after_a_commit_that_was_not_reported(self) -> None:
        assert self.last is not None
        again = replace(self.last, provenance=replace(self.last.provenance, attempt=2))
        self.begun(again)
        assert again.transaction.landed is not None
        commit = again.transaction.write(self.data(again))
        assert commit.recovered
        assert commit.rows >= len(again.rows)

    @rule(
        drafted=drafts,
        partitions=st.none() | partition_sets,
        mode=st.sampled_from(["replace", "append", "merge"]),
    )
    def crash_in_the_authors_generator(self, drafted: Any, partitions: Any, mode: Mode) -> None:
        scope = None if partitions is None else frozenset(partitions)
        attempt = self.attempt(drafted, scope, mode, wide=False, streamed=True)

        def crashing() -> Iterator[pa.RecordBatch]:
            yield from as_batches(attempt.rows, wide=attempt.wide)
            raise AuthorError

        files = self.files_on_disk()
        with pytest.raises(AuthorError):
            attempt.transaction.write(crashing())
        assert self.files_on_disk() == files

    @rule(drafted=drafts, partitions=st.none() | partition_sets)
    def die_between_staging_and_commit(self, drafted: Any, partitions: Any) -> None:
        scope = None if partitions is None else frozenset(partitions)
        attempt = self.attempt(drafted, scope, "replace", wide=False, streamed=True)
        with pytest.MonkeyPatch.context() as patch:  # a killed process tidies nothing up

            def killed(*_: Any, **__: Any) -> None:
                raise AuthorError

            patch.setattr(Landing, "land", killed)
            with pytest.raises(AuthorError):
                attempt.transaction.write(self.data(attempt))
        attempt.provenance = replace(attempt.provenance, attempt=2)
        self.begun(attempt)
        after = self.expected(attempt)
        attempt.transaction.write(self.data(attempt))
        self.landed(attempt, after)

    # The table equals the model

    def files_on_disk(self) -> set[Path]:
        return {path for path in self.root.rglob("*.parquet") if "_delta_log" not in path.parts}

    @invariant()
    def the_table_is_what_the_model_says(self) -> None:
        if self.version < 0:
            assert self.table.open_if_exists() is None
            return
        handle = DeltaTable(self.table.uri)
        assert handle.version() == self.version
        assert all(Path(uri).is_file() for uri in handle.file_uris())
        found = kit.read(handle)
        rows = Counter((r["p"], r["id"], r["n"], r.get("extra")) for r in found)
        assert rows == sum(self.model.values(), Counter())
        snapshot = Snapshot.of(self.table)
        assert snapshot.row_count == rows.total()
        assert ("extra" in snapshot.schema.names) == self.wide


TestTransactions = Transactions.TestCase
TestTransactions.settings = settings(
    max_examples=60,
    stateful_step_count=14,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
