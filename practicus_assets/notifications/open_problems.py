"""Open problems: what failed or is late and has not gone well since, so that its recovery can be told."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from practicus_assets.notifications.notice import Notice, listed, place
from practicus_assets.wording import duration

_MOST = 1000  # that are remembered; older ones are forgotten
_VERBS = {
    "failure": "went well again",
    "check": "passes again",
    "late policy": "is in time again",
    "late partition": "is in time again",
    "stuck": "works again",
}


@dataclass(frozen=True)
class Problem:
    """Something that does not go well.

    Attributes:
        kind: that of its notice.
        subject: the table, job, sensor or schedule.
        check: the asset check; empty where it is about none.
        left: the partitions that have not gone well since; of many, the first and the last. None of a table
            without partitions.
        partitions: the same as when it began.
        began: when it began, in seconds since 1970.
        owners: the owners of the asset.
        url: the page about it.

    """

    kind: str
    subject: str
    check: str
    left: tuple[str, ...]
    partitions: tuple[str, ...]
    began: float
    owners: tuple[str, ...]
    url: str

    @property
    def key(self) -> str:
        """The name by which it is found again."""
        return "|".join([self.kind, self.subject, self.check, *self.partitions])

    def recovered(self, now: float) -> Notice:
        """Return the notice that it went well."""
        what = place(self.subject, self.partitions)
        what = f"{what}: {self.check}" if self.kind == "check" else what
        return Notice(
            id=f"recovered|{self.key}|{self.began}",
            kind="recovered",
            level="ok",
            subject=self.subject,
            reason=self.check or self.kind,
            title=f"{what} {_VERBS[self.kind]}",
            lines=(f"It did not since {_clock(self.began)}, for {duration(now - self.began)}.",),
            moment=now,
            partitions=listed(self.partitions),
            owners=self.owners,
            url=self.url,
        )


class OpenProblems:
    """What does not go well, by key.

    Args:
        stored: what `to_json` returned.

    """

    def __init__(self, stored: Sequence[Mapping[str, Any]] = ()) -> None:
        problems = [_problem(one) for one in stored]
        self._problems = {problem.key: problem for problem in problems}

    def __bool__(self) -> bool:
        return bool(self._problems)

    def to_json(self) -> list[dict[str, Any]]:
        """Return what is kept between ticks."""
        return [asdict(problem) for problem in list(self._problems.values())[-_MOST:]]

    def open(self, problem: Problem) -> bool:
        """Remember a problem; return whether it is new. One that goes on began when it began."""
        known = self._problems.get(problem.key)
        self._problems[problem.key] = problem if known is None else _again(known, problem)
        return known is None

    def settle(
        self, kind: str, subject: str, partition: str, now: float, check: str = ""
    ) -> Iterator[Notice]:
        """Yield the notices of problems of which the last part has gone well.

        Args:
            kind: the kind of the problems.
            subject: what went well.
            partition: the partition that did; empty where there are none.
            now: the time, in seconds since 1970.
            check: the asset check that passed.

        """
        for key, problem in list(self._problems.items()):
            if (problem.kind, problem.subject, problem.check) != (kind, subject, check):
                continue
            left = tuple(key for key in problem.left if key != partition)
            if problem.left and left == problem.left:
                continue
            del self._problems[key]
            if left:
                self._problems[key] = _again(problem, problem, left)
            else:
                yield problem.recovered(now)

    def stand(self, kind: str, current: Mapping[str, Problem], now: float) -> Iterator[Notice]:
        """Take what does not go well of one kind now; yield the notices of what was, and goes well again."""
        keys = {problem.key for problem in current.values()}
        for key, problem in list(self._problems.items()):
            if problem.kind == kind and key not in keys:
                del self._problems[key]
                yield problem.recovered(now)


def _problem(stored: Mapping[str, Any]) -> Problem:
    values: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in stored.items()}
    return Problem(**values)


def _again(known: Problem, problem: Problem, left: tuple[str, ...] | None = None) -> Problem:
    return replace(problem, began=known.began, left=problem.left if left is None else left)


def _clock(moment: float) -> str:
    return f"{dt.datetime.fromtimestamp(moment, dt.UTC):%Y-%m-%d %H:%M UTC}"
