"""Runs that reject rows, and are killed, race and wake up: no row is lost from both tables, or doubled."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction
from tests.faults.kills import kill_at_each_request, kill_at_each_syscall
from tests.faults.proxy import FaultProxy
from tests.faults.tally import ROUNDS, Tally
from tests.faults.work import Place, Row, Work, attempt, rows, wrong_after_retry
from tests.faults.writer import Writer, race
from tests.kit import partitions

CONTRACT = Contract({"id": Column("int64", minimum=0, severity="QUARANTINE")})
OLD = rows("a", "old", 0, 1, -1, -2) + rows("z", "old", 5, -5)
NEW = rows("a", "new", 1, 2, -2, -3)

Both = tuple[Counter[Row], Counter[Row]]


@dataclass(frozen=True)
class TwoTables(Place):
    """A lake whose state is that of the table and of its rejected rows."""

    def state(self, name: str = "") -> Any:
        """Return every row of both."""
        if name:
            return super().state(name)
        return super().state("t") or Counter(), super().state("t__rejected") or Counter()


@dataclass(frozen=True)
class Quarantined(Work):
    """Work of which the rows with negative identifiers are bad."""

    def begin(self, place: Place) -> Transaction:
        """Begin the attempt's transaction."""
        return Transaction(
            place.table,
            partitions(*self.partitions) if self.partitions else None,
            WriteOptions(partition_by=["p"], mode=self.mode),
            contract=CONTRACT,
            provenance=Provenance(run_id=self.run, step="s", attempt=self.attempt),
        )

    def after(self, before: Any) -> Any:
        """Return what both tables hold once the work has landed."""
        good, bad = (tuple(row for row in self.rows if (row[1] >= 0) is is_good) for is_good in (True, False))
        return tuple(
            Work(self.mode, self.partitions, part).after(old)
            for part, old in zip((good, bad), before, strict=True)
        )


def prepared(make: Callable[[], Place]) -> tuple[TwoTables, Quarantined]:
    made = make()
    place = TwoTables(made.root_uri, made.options)
    assert attempt(Quarantined("replace", (), OLD), place).kind == "landed"
    return place, Quarantined("replace", ("a",), NEW)


def survived(work: Quarantined, place: TwoTables, before: Both) -> str | None:
    """Look at both tables after a kill, retry, and return what is wrong."""
    after = work.after(before)
    published, rejected = place.state()
    if published not in (before[0], after[0]):
        return f"a mix: {published}"
    if not rejected >= (before if published == before[0] else after)[1]:
        return f"a row in neither table: {published}, {rejected}"
    return wrong_after_retry(work, place, after)


def test_a_run_that_rejects_rows_killed_at_any_system_call(folder: Callable[[], Place], tally: Tally) -> None:
    strides = {"openat": 24, "write": 12, "mkdir": 3, "unlink": 4} if ROUNDS == 1 else {}
    kill_at_each_syscall(
        tally, "reject", lambda: prepared(folder), survived, stride=lambda call: strides.get(call, 1)
    )
    tally.settle()


def test_a_run_that_rejects_rows_killed_at_requests_to_s3(
    s3: Callable[[], Place], proxy: FaultProxy, tally: Tally
) -> None:
    stride = 16 if ROUNDS == 1 else 1
    kill_at_each_request(tally, "reject", lambda: prepared(s3), survived, proxy, stride=stride)
    tally.settle()


def test_of_runs_at_once_that_reject_rows_of_one_partition_each_commit_has_its_own(
    place: Callable[[], Place], tally: Tally
) -> None:
    here, _ = prepared(place)
    before = here.state()
    works = [Quarantined("replace", ("a",), rows("a", f"v{n}", n, -n, -9)) for n in (1, 2, 3)]
    outcomes = race(works, here, all_begun=True)
    landed = sorted((o.version, w) for w, o in zip(works, outcomes, strict=True) if o.kind == "landed")
    expected = landed[-1][1].after(before) if landed else before
    errors = {o.error for o in outcomes} - {"", "CommitConflict"}
    is_right = here.state() == expected and landed and not errors
    tally.point("three at once", None if is_right else f"{outcomes}: {here.state()}")
    tally.settle()


def test_a_run_that_rejects_rows_and_wakes_up_too_late_changes_neither_table(
    folder: Callable[[], Place], tally: Tally
) -> None:
    for by_its_retry in (True, False):
        here, work = prepared(folder)
        late = Writer(work, here, pause="before the commit")
        late.go()
        late.wait_until_paused()
        other = replace(work.again(), rows=rows("a", "later", 7, -7))
        other = other if by_its_retry else replace(other, run="another", attempt=1)
        before = here.state()
        assert attempt(other, here).kind == "landed"
        late.resume()
        outcome = late.ended()
        is_right = outcome is not None and outcome.error == "CommitConflict"
        is_right = is_right and here.state() == other.after(before)
        tally.point("overtaken", None if is_right else f"{outcome}: {here.state()}")
    tally.settle()
