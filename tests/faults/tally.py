"""Counts the points that an attack tried, and keeps what did not survive."""

import os
import time
from collections.abc import Iterable
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


def summary(tallies: Iterable[Tally]) -> list[str]:
    """Return what was tried and what survived: one line per attack, and one for all."""
    lines = [f"{'attack':<86} {'points':>7} {'survived':>9} {'seconds':>8}"]
    attacks = _by_test(tallies)
    total = Tally("all", sum(attack.tried for attack in attacks))
    total.problems = [problem for attack in attacks for problem in attack.problems]
    total.seconds = sum(attack.seconds for attack in attacks)
    for attack in [*attacks, total]:
        survived = attack.tried - len(attack.problems)
        lines.append(f"{attack.name:<86} {attack.tried:>7,} {survived:>9,} {attack.seconds:>8.1f}")
    return lines


def _by_test(tallies: Iterable[Tally]) -> list[Tally]:
    """Return one tally for all cases of each test."""
    sums: dict[str, Tally] = {}
    for tally in tallies:
        name = tally.name.partition("[")[0]
        total = sums.setdefault(name, Tally(name))
        total.tried += tally.tried
        total.problems += tally.problems
        total.seconds += tally.seconds
    return list(sums.values())
