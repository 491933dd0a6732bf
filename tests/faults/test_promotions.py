"""Promotions that are killed at any moment, and those of many lakes at once over one base."""

import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from practicus_assets.errors import CommitConflict
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.branch import begin_over, elsewhere
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.lake.upkeep.own_roots.changes import TwoTables
from practicus_assets.lake.upkeep.own_roots.promotion import plan_promotion, promote
from tests.faults.kills import kill_at_each_request, kill_at_each_syscall
from tests.faults.proxy import FaultProxy
from tests.faults.tally import ROUNDS, Tally
from tests.faults.work import NAME, OLD, Place, Row, State, Work, attempt, rows
from tests.faults.writer import race
from tests.kit import partitions

OPTIONS = WriteOptions(partition_by=["p"])
ALL = partitions("a", "b/c d", "new", "z", *map(str, range(16)))
RACERS = 16


@dataclass(frozen=True)
class Promotion:
    """The promotion of what one own root has; the place is the base.

    Attributes:
        own: the name of the own root, beside the base.
        rows: what it has.

    """

    own: str
    rows: tuple[Row, ...]

    def tables(self, place: Place) -> TwoTables:
        root = f"{place.root_uri.rpartition('/')[0]}/{self.own}"
        own = Table.at(root, [NAME], place.options)
        return TwoTables(own, replace(place.table, read_only=True), root, place.root_uri)

    @property
    def keys(self) -> list[str]:
        return sorted({row[0] for row in self.rows})

    def prepare(self, place: Place) -> None:
        """Write the rows to the own root."""
        tables = self.tables(place)
        at = tables.base.open_if_exists()
        who = Provenance(base=elsewhere(tables.base_root, at))
        scope = partitions(*self.keys)
        begin_over(tables.own, at, scope, OPTIONS, who)
        work = Work("replace", tuple(self.keys), self.rows)
        Transaction(tables.own, scope, OPTIONS, provenance=who).write(work.data())

    def carry_out(self, place: Place) -> int:
        """Promote, as the command does; return the base's version then."""
        tables = self.tables(place)
        plan = plan_promotion(tables, ALL)
        if plan.scope is not None:
            who = Provenance(step="promote")
            return promote(tables, plan, OPTIONS, contract=None, provenance=who, promoted={}).version
        return tables.base.open().version

    def after(self, before: State) -> Counter[Row]:
        kept = {row: count for row, count in (before or {}).items() if row[0] not in self.keys}
        return Counter(kept) + Counter(self.rows)


def prepared(make: Callable[[], Place], *, is_new: bool = False) -> tuple[Place, Promotion]:
    place = make()
    place = replace(place, root_uri=f"{place.root_uri}/prod")
    if not is_new:
        assert attempt(Work("replace", (), OLD), place).kind == "landed"
    work = Promotion("dev", rows("a", "new", 1, 2, 3, 4) + rows("new", "new", 7))
    work.prepare(place)
    return place, work


def survived(work: Promotion, place: Place, before: State) -> str | None:
    """Look at the base after a kill, promote again, and return what is wrong."""
    after = work.after(before)
    now = place.state()
    if now not in (before, after):
        return f"a mix: {now}"
    version = place.table.open().version if now is not None else -1
    for again in (False, True):
        outcome = attempt(work, place)
        if outcome.kind != "landed":
            return f"done again, {again}: {outcome}"
        if place.state() != after:
            return f"done again, {again}: {place.state()}"
    landed = place.table.open().version - version
    return None if landed == (now != after) else f"{landed} commits after the kill"


def on_folder(tmp_path: Path) -> Callable[[], Place]:
    return lambda: Place(str(tmp_path / str(uuid.uuid4())))


@pytest.mark.parametrize("over", ["a table", "none"] if ROUNDS > 1 else ["a table"])
def test_a_promotion_killed_at_any_system_call_on_a_folder(over: str, tmp_path: Path, tally: Tally) -> None:
    stride = 1 if ROUNDS > 1 else 15
    kill_at_each_syscall(
        tally,
        "promotion",
        lambda: prepared(on_folder(tmp_path), is_new=over == "none"),
        survived,
        stride=lambda syscall: stride if syscall in {"openat", "write"} else 1,
    )
    tally.settle()


def test_a_promotion_killed_at_any_request_to_s3(
    s3: Callable[[], Place], proxy: FaultProxy, tally: Tally
) -> None:
    stride = 1 if ROUNDS > 1 else 17
    kill_at_each_request(tally, "promotion", lambda: prepared(s3), survived, proxy, stride=stride)
    tally.settle()


def test_promotions_of_sixteen_own_roots_at_once_lose_and_double_nothing(
    s3: Callable[[], Place], tally: Tally
) -> None:
    place, _ = prepared(s3)
    before = place.state()
    apart = [Promotion(f"dev-{n}", rows(str(n), f"of {n}", 1, 2)) for n in range(RACERS // 2)]
    same = [Promotion(f"same-{n}", rows("z", f"of {n}", n, n + 1)) for n in range(RACERS // 2)]
    works = [*apart, *same]
    with ThreadPoolExecutor(RACERS) as threads:
        list(threads.map(lambda work: work.prepare(place), works))
    landed = []
    for work, outcome in zip(works, race(works, place, all_begun=True), strict=True):
        if outcome.kind == "landed":
            landed.append(work)
        else:  # somebody else was first, in a commit beside it or in its own partition
            assert outcome.error == CommitConflict.__name__, outcome
            assert "Nothing was written" in outcome.text
    assert len([work for work in same if work in landed]) == 1
    for work in apart:  # which nobody else may win, though a race may have to be run again
        if work not in landed:
            assert attempt(work, place).kind == "landed"
            landed.append(work)
    for work in set(same) - set(landed):
        outcome = attempt(work, place)
        assert (outcome.kind, outcome.error) == ("raised", CommitConflict.__name__), outcome
    expected = before
    for work in landed:
        expected = work.after(expected)
    tally.point(f"{len(landed)} landed", None if place.state() == expected else f"{place.state()}")
    tally.settle()
