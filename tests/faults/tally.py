"""Counts the points that an attack tried, and keeps what did not survive."""

import os
import time
from dataclasses import dataclass, field

ROUNDS = int(os.environ.get("ROUNDS", "1"))  # 1 is what every build runs


@dataclass
class Tally:
    """One attack's points; `problems` says what is wrong at those that did not survive."""

    name: str
    tried: int = 0
    problems: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def point(self, where: str, problem: str | None) -> None:
        """Count one point; without a problem it survived."""
        self.tried += 1
        self.seconds = time.monotonic() - self.began
        if problem is not None:
            self.problems.append(f"{where}: {problem}")

    def settle(self) -> None:
        """Fail if any point did not survive, or none was tried."""
        assert self.tried, f"{self.name}: no point was tried"
        shown = "\n".join(self.problems[:20])
        assert not self.problems, f"{len(self.problems)} of {self.tried} points did not survive:\n{shown}"


TALLIES: list[Tally] = []


def _by_test() -> list[Tally]:
    """Return one tally for all cases of each test."""
    sums: dict[str, Tally] = {}
    for tally in TALLIES:
        name = tally.name.partition("[")[0]
        total = sums.setdefault(name, Tally(name))
        total.tried += tally.tried
        total.problems += tally.problems
        total.seconds += tally.seconds
    return list(sums.values())


def summary() -> list[str]:
    """Return what was tried and what survived, a line an attack."""
    lines = [f"{'attack':<86} {'points':>7} {'survived':>9} {'seconds':>8}"]
    total = Tally("all")
    for tally in _by_test():
        survived = tally.tried - len(tally.problems)
        lines.append(f"{tally.name:<86} {tally.tried:>7,} {survived:>9,} {tally.seconds:>8.1f}")
        total.tried += tally.tried
        total.problems += tally.problems
        total.seconds += tally.seconds
    survived = total.tried - len(total.problems)
    lines.append(f"{'all':<86} {total.tried:>7,} {survived:>9,} {total.seconds:>8.1f}")
    return lines
