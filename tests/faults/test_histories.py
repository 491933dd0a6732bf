"""Histories under attack: writers that are killed, and runs of different days and of one day at once."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from uuid import uuid4

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction
from tests.faults.kills import kill_at_each_request, kill_at_each_syscall
from tests.faults.proxy import FaultProxy
from tests.faults.tally import ROUNDS, Tally
from tests.faults.work import Place, attempt, wrong_after_retry
from tests.faults.writer import race
from tests.kit import partitions, read

MakePlace = Callable[[], Place]
Said = dict[str, dict[int, str]]  # by day, what each id is from then on
State = Counter[tuple[str, int, str, str | None]]  # day, id, value, and the day on which it ends

OPTIONS = WriteOptions(partition_by=["day"], mode="history", history_keys=["id"], sequence_by="at")
OLD: Said = {"1": {7: "A", 8: "X"}, "3": {7: "A", 8: "Y"}}


def history(said: Said) -> State:
    """Return the history of what was said, found one day after the other."""
    rows: dict[tuple[str, int], tuple[str, str | None]] = {}
    now: dict[int, tuple[str, str]] = {}  # the day, and the value
    for day in sorted(said):
        for key, value in said[day].items():
            since, was = now.get(key, ("", ""))
            if value == was:
                rows[day, key] = value, day
                continue
            if since:
                rows[since, key] = was, day
            rows[day, key], now[key] = (value, None), (day, value)
    return Counter((day, key, value, end) for (day, key), (value, end) in rows.items())


@dataclass(frozen=True)
class HistoryPlace(Place):
    """A lake whose table is a history."""

    def state(self, name: str = "t") -> State | None:  # type: ignore[override] # rows of another kind
        try:
            handle = DeltaTable(f"{self.root_uri}/{name}", storage_options=dict(self.options))
        except TableNotFoundError:
            return None
        assert [row for row in read(handle, "at, valid_from") if row["at"] != row["valid_from"]] == []
        return Counter(
            (row["day"], row["id"], row["v"], row["valid_to"]) for row in read(handle, "day, id, v, valid_to")
        )


@dataclass(frozen=True)
class HistoryWork:
    """What one run says of a day; every attempt at it is the same work."""

    day: str
    says: dict[int, str]
    run: str = field(default_factory=lambda: str(uuid4()))
    number: int = 1

    def again(self) -> "HistoryWork":
        """Return the next attempt."""
        return replace(self, number=self.number + 1)

    def carry_out(self, place: Place) -> int:
        """Make the attempt; return the version that it committed."""
        who = Provenance(run_id=self.run, step="s", attempt=self.number)
        transaction = Transaction(place.table, partitions(self.day, column="day"), OPTIONS, provenance=who)
        ids = pa.array(self.says.keys(), pa.int64())
        days = pa.array([self.day] * len(ids), pa.string())
        values = pa.array(self.says.values(), pa.string())
        rows = pa.table({"day": days, "id": ids, "at": days, "v": values})
        return transaction.write(rows.to_reader()).version

    def after(self, _: object) -> State:
        """Return the history that has these rows beside the old ones."""
        return history({**OLD, self.day: self.says})


def prepared(make: MakePlace) -> tuple[HistoryPlace, HistoryWork]:
    made = make()
    place = HistoryPlace(made.root_uri, made.options)
    for day, says in OLD.items():
        assert attempt(HistoryWork(day, says), place).kind == "landed"
    assert place.state() == history(OLD)
    return place, HistoryWork("2", {7: "B", 8: "X"})


def survived(work: HistoryWork, place: HistoryPlace, before: object) -> str | None:
    """Look at the table after a kill, retry, and return what is wrong."""
    now, after = place.state(), work.after(before)
    if now not in (before, after):
        return f"a mix: {now}"
    return wrong_after_retry(work, place, after)  # type: ignore[arg-type] # it is tried again in the same way


def test_a_history_is_as_before_or_has_the_late_day_wherever_its_writer_is_killed(
    folder: MakePlace, tally: Tally
) -> None:
    calls = ("write", "rename", "linkat", "unlink")
    stride = 1 if ROUNDS > 1 else 4
    kill_at_each_syscall(
        tally, "history", lambda: prepared(folder), survived, syscalls=calls, stride=lambda _: stride
    )
    tally.settle()


def test_a_history_on_s3_is_as_before_or_has_the_late_day_after_a_kill(
    s3: MakePlace, proxy: FaultProxy, tally: Tally
) -> None:
    stride = 1 if ROUNDS > 1 else 7
    kill_at_each_request(tally, "history", lambda: prepared(s3), survived, proxy, stride=stride)
    tally.settle()


def test_runs_of_all_days_at_once_land_and_of_one_day_only_one_does(place: MakePlace, tally: Tally) -> None:
    for number in range(2 * ROUNDS):
        made = place()
        here = HistoryPlace(made.root_uri, made.options)
        said: Said = {str(day): {key: "ABC"[(day * key) % 3] for key in range(4)} for day in range(1, 7)}
        works = [HistoryWork(day, says) for day, says in said.items()]
        rivals = [HistoryWork("9", {0: f"rival {rival}"}) for rival in range(3)]
        outcomes = race([*works, *rivals], here, all_begun=number == 0)
        landed = [outcome.kind == "landed" for outcome in outcomes]
        tally.point(f"{number} days", None if all(landed[: len(works)]) else str(outcomes))
        winners = [work for work, is_in in zip(rivals, landed[len(works) :], strict=True) if is_in]
        lost = [o for o in outcomes[len(works) :] if o.kind != "landed" and o.error != "CommitConflict"]
        tally.point(f"{number} one day", None if winners and not lost else str(outcomes))
        versions = [outcome.version for outcome in outcomes[len(works) :]]
        last = rivals[versions.index(max(versions))]
        fine = here.state() == history({**said, "9": last.says})
        tally.point(f"{number} the table", None if fine else f"{here.state()}")
    tally.settle()
