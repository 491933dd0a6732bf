"""Compaction, rollback, vacuum, checkpoints and the log's expiry, killed between any two of their writes."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import pytest

from practicus_assets.errors import PracticusAssetsError
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.upkeep.compaction import compact
from practicus_assets.lake.upkeep.retention import checkpoint, remove, unneeded_entries, unneeded_files
from practicus_assets.lake.upkeep.rollback import carry_out, plan_rollback
from practicus_assets.lake.upkeep.verify import verify_files
from tests.faults.kills import kill_at_each_request, kill_at_each_syscall
from tests.faults.proxy import FaultProxy
from tests.faults.tally import ROUNDS, Tally
from tests.faults.work import OLD, Place, State, Work, attempt, rows
from tests.kit import partitions

Kept = tuple[int, ...]  # versions that must stay readable


@dataclass(frozen=True)
class Chore:
    """A piece of upkeep.

    Attributes:
        name: the operation.
        loses_versions: whether older versions may go.

    """

    name: Literal["compact", "z-order", "roll a partition back", "vacuum", "checkpoint", "expire the log"]

    @property
    def loses_versions(self) -> bool:
        return self.name in {"vacuum", "expire the log"}

    def carry_out(self, place: Place) -> int:
        """Do it; return the newest version when it began."""
        table, newest = place.table, place.table.open().version
        match self.name:
            case "compact":
                compact(table)
            case "z-order":
                compact(table, order_by=["id"])
            case "roll a partition back":
                plan = plan_rollback(table, 0, partitions("a"), whole=False)
                if plan.scope is not None:
                    carry_out(table, plan, Provenance(run_id=str(uuid.uuid4())), undo_newer=True)
            case "vacuum":
                remove(table, unneeded_files(table, datetime.now(UTC)))
            case "checkpoint":
                checkpoint(table)
            case "expire the log":
                remove(table, unneeded_entries(table, datetime.now(UTC)))
        return newest

    def after(self, before: State) -> State:
        """Return what the table holds once it is done."""
        if self.name != "roll a partition back":
            return before
        kept = {row: count for row, count in (before or {}).items() if row[0] != "a"}
        return type(before or {})(kept) + type(before or {})(row for row in OLD if row[0] == "a")

    def left_to_do(self, place: Place) -> str | None:
        """Return what is not as it must be once the chore was done; None if all is."""
        table = place.table
        if self.name in {"compact", "z-order"}:
            files = [file.values["p"] for file in table.open().files()]
            return None if len(files) == len(set(files)) else f"partitions have several files: {files}"
        if self.name == "vacuum":
            rest = unneeded_files(table, datetime.now(UTC)).paths
            return f"files are left: {rest}" if rest else None
        if self.name == "expire the log":
            rest = unneeded_entries(table, datetime.now(UTC)).paths
            return f"log entries are left: {rest}" if rest else None
        return None


CHORES = [
    Chore(name)
    for name in ("compact", "z-order", "roll a partition back", "vacuum", "checkpoint", "expire the log")
]
OF_CALLS = 1 if ROUNDS > 1 else 9  # the stride of those that mostly read or wake threads
OF_REQUESTS = 1 if ROUNDS > 1 else 13
SHORT = [Chore("compact"), Chore("vacuum"), Chore("expire the log")]  # of S3


def prepared(chore: Chore, make: Callable[[], Place]) -> Place:
    """Return a table with something to do: partitions of several files, older versions, a checkpoint."""
    place = make()
    works = [Work("replace", (), OLD), *(Work("append", ("a",), rows("a", "more", n)) for n in (5, 6))]
    for work in [*works, Work("replace", ("z",), rows("z", "new", 1, 2))]:
        assert attempt(work, place).kind == "landed"
    if chore.name == "expire the log":
        checkpoint(place.table)
    time.sleep(0.002)  # what landed before a cutoff is older than it, in the store's milliseconds
    return place


def survived(chore: Chore, place: Place, before: State) -> str | None:
    """Look at the table after a kill, do the chore again, and return what is wrong."""
    after, now = chore.after(before), place.state()
    if now not in (before, after):
        return f"a mix: {now}"
    for again in (False, True):
        if again:
            outcome = attempt(chore, place)
            if outcome.kind != "landed":
                return f"it could not be done again: {outcome}"
            if place.state() != after:
                return f"after it was done again: {place.state()}"
        if problems := verify_files(place.table, rows=True).problems:
            return f"done again: {again}: {problems}"
        if not chore.loses_versions and (lost := unreadable(place)):
            return f"done again: {again}: {lost}"
    return chore.left_to_do(place)


def unreadable(place: Place) -> str | None:
    """Return which version cannot be read any more."""
    for version in range(place.table.open().version + 1):
        try:
            Snapshot.open(place.table.uri, version, storage_options=place.options).to_arrow()
        except PracticusAssetsError as error:
            return f"version {version} cannot be read: {error}"
    return None


@pytest.mark.parametrize("chore", CHORES, ids=lambda chore: chore.name)
def test_upkeep_that_is_killed_at_any_system_call_on_a_folder(
    chore: Chore, folder: Callable[[], Place], tally: Tally
) -> None:
    kill_at_each_syscall(
        tally,
        chore.name,
        lambda: (prepared(chore, folder), chore),
        survived,
        stride=lambda syscall: OF_CALLS if syscall in {"openat", "write"} else 1,
    )
    tally.settle()


@pytest.mark.parametrize("chore", SHORT, ids=lambda chore: chore.name)
def test_upkeep_that_is_killed_at_any_request_to_s3(
    chore: Chore, s3: Callable[[], Place], proxy: FaultProxy, tally: Tally
) -> None:
    kill_at_each_request(
        tally, chore.name, lambda: (prepared(chore, s3), chore), survived, proxy, stride=OF_REQUESTS
    )
    tally.settle()
