"""Runs that use rows again beside writers that change them, and runs that are killed as they leave a mark."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from practicus_assets.lake.delta.log import entries
from practicus_assets.lake.transactions.commit import Commit
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.lake.transactions.unchanged.reuse import reusable
from tests.faults.kills import kill_at_each_syscall
from tests.faults.tally import ROUNDS, Tally
from tests.faults.work import OLD, Attempted, Place, State, Work, attempt, rows
from tests.faults.writer import race
from tests.kit import partitions, read

OWN = rows("a", "own", 1, 2, 3)


@dataclass(frozen=True)
class Reusing:
    """A run of one partition that uses its rows again where it can, and else computes them.

    Attributes:
        code: its code version.
        run, attempt: as those of `Work`.

    """

    code: str = "1"
    run: str = field(default_factory=lambda: str(uuid.uuid4()))
    attempt: int = 1

    def begin(self, place: Place) -> Transaction:
        who = Provenance(self.run, "s", self.attempt, "t", self.code, config_digest="c0f1")
        options = WriteOptions(partition_by=["p"])
        return Transaction(place.table, partitions("a"), options, provenance=who)

    def carry_out(self, place: Place) -> int:
        transaction = self.begin(place)
        found = transaction.landed or reusable(transaction.attempt, ())
        if isinstance(found, Commit):
            return found.version
        p, ids, v = (list(column) for column in zip(*OWN, strict=True))
        return transaction.write(pa.table({"p": p, "id": pa.array(ids, pa.int64()), "v": v})).version

    def after(self, before: State) -> State:
        return Work("replace", ("a",), OWN).after(before)


@dataclass(frozen=True)
class Foreign:
    """Another program that appends to the partition."""

    def carry_out(self, place: Place) -> int:
        table = pa.table({"p": ["a"], "id": pa.array([9], pa.int64()), "v": ["foreign"]})
        uri, options = place.table.uri, dict(place.options)
        write_deltalake(uri, table, mode="append", storage_options=options or None)
        return -1


def prepared(make: Callable[[], Place]) -> Place:
    place = make()
    attempt(Work("replace", (), OLD), place)
    assert attempt(Reusing(), place).kind == "landed"
    return place


def test_every_run_beside_a_writer_names_a_version_that_has_its_rows(
    place: Callable[[], Place], tally: Tally
) -> None:
    for number in range(ROUNDS):
        here = prepared(place)
        works: list[Attempted] = [
            Reusing(),
            Foreign(),
            Reusing(),
            Work("replace", ("z",), rows("z", "new", 1)),
        ]
        for work, outcome in zip(works, race(works, here), strict=True):
            problem = None
            if isinstance(work, Reusing):
                if outcome.kind == "raised":
                    problem = None if outcome.error == "CommitConflict" else str(outcome)
                else:
                    handle = DeltaTable(here.table.uri, outcome.version, storage_options=dict(here.options))
                    seen = sorted((row["p"], row["id"], row["v"]) for row in read(handle) if row["p"] == "a")
                    problem = None if seen == sorted(OWN) else f"version {outcome.version} has {seen}"
            tally.point(f"{number} {work}", problem)
    tally.settle()


def survived(work: Reusing, place: Place, before: State) -> str | None:
    """Look at the table after a kill, retry, and ask once more."""
    if place.state() != before:
        return f"other rows: {place.state()}"
    later = attempt(replace(work, attempt=2), place)
    if later.kind != "landed" or place.state() != before:
        return f"after the retry: {later} {place.state()}"
    at = place.table.open()
    commits = [entry for entry in entries(place.table, at.version) if entry.record is not None]
    own = [entry.version for entry in commits if entry.record and entry.record.run_id == work.run]
    found = reusable(Reusing(work.code).begin(place).attempt, ())
    is_found = isinstance(found, Commit) and found.reused is not None and [found.reused.version] == own
    return None if is_found else f"the mark is not found: {found}, {own}"


def test_a_run_that_is_killed_while_it_leaves_its_mark_leaves_it_once_or_not(
    folder: Callable[[], Place], tally: Tally
) -> None:
    kill_at_each_syscall(
        tally,
        "a mark",
        lambda: (prepared(folder), Reusing("2")),
        survived,
        syscalls=("linkat", "rename", "write"),
        stride=lambda syscall: 3 if syscall == "write" and ROUNDS == 1 else 1,
    )
    tally.settle()
