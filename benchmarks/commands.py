"""Whole commands, timed from outside: the command line's start, imports, and the shipped pipeline's year."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

_REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Command:
    """A command beside another one that it is compared with.

    Attributes:
        label: the command, in words.
        arguments: the command; `{}` stands for an empty folder.
        beside: the command that it is compared with, if there is one.
        wanted: what the project wants of itself, in words.
        turns: the number of turns, of which the median counts.

    """

    label: str
    arguments: tuple[str, ...]
    beside: tuple[str, ...] = ()
    wanted: str = ""
    turns: int = 5

    def report(self, folder: Path) -> None:
        """Time it, and print the medians."""
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(self.turns):
            ours.append(_seconds(self.arguments, folder / "command"))
            if self.beside:
                theirs.append(_seconds(self.beside, folder / "command"))
        ratio = f"  {median(ours) / median(theirs):.2f} x {' '.join(self.beside[1:])}" if theirs else ""
        print(f"\n{self.label}    wanted: {self.wanted}\n    {median(ours):.3f} s{ratio}", flush=True)


def _seconds(arguments: tuple[str, ...], folder: Path) -> float:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    began = time.perf_counter()
    subprocess.run(
        arguments,
        check=True,
        cwd=_REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PRACTICUS_LAKE": str(folder / "lake"), "DAGSTER_HOME": str(folder)},
    )
    return time.perf_counter() - began


def _importing(module: str) -> tuple[str, ...]:
    return (sys.executable, "-W", "ignore", "-c", f"import {module}")


COMMANDS = {
    "help": Command(
        "practicus-assets --help",
        (str(Path(sys.executable).with_name("practicus-assets")), "--help"),
        _importing("click"),
        "< 0.3 s",
    ),
    "import": Command(
        "import of the shipped definitions",
        _importing("pipelines"),
        _importing("dagster"),
        "≤ 1.1 x import dagster",
    ),
    "year": Command(
        "365 days of the shipped pipeline in one run",
        (
            *(sys.executable, "-W", "ignore", "-m", "dagster", "asset", "materialize", "-m", "pipelines"),
            *("--select", "*", "--partition-range", "2013-01-01...2013-12-31"),
        ),
        wanted="≤ 15 s",
        turns=1,
    ),
}
