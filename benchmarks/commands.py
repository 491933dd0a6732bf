"""Whole commands, timed from outside: the command line's start, imports, runs of a pipeline, and a race."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_REPOSITORY = Path(__file__).parents[1]
_PLAIN = (sys.executable, "-W", "ignore")


@dataclass(frozen=True)
class Commands:
    """Commands that are compared with each other: they take turns.

    Attributes:
        label: the work, in words.
        ways: the commands, by what they are called; `{}` stands for an empty folder.
        beside: the way that the others are compared with; none if it is empty.
        wanted: what the project wants of itself, in words.
        turns: the number of turns, of which the median counts.
        prints: whether what the commands print is shown.
        full: whether only the full benchmark has it.

    """

    label: str
    ways: Mapping[str, tuple[str, ...]]
    beside: str = ""
    wanted: str = ""
    turns: int = 5
    prints: bool = False
    full: bool = False
    against: str = field(default="ratio", init=False)

    def measured(self, folder: Path, until: float) -> dict[str, list[dict[str, float]]]:
        """Return what each turn took, by way; of a way that fails, nothing.

        Args:
            folder: where they work.
            until: when no further turn but the first begins, by `time.monotonic`.

        """
        turns: dict[str, list[dict[str, float]]] = {way: [] for way in self.ways}
        for turn in range(self.turns):
            if turn and time.monotonic() > until:
                break
            for way, arguments in self.ways.items():
                try:
                    turns[way].append(_taken(arguments, folder / "command", prints=self.prints))
                except subprocess.CalledProcessError as error:
                    print(f"    {way} cannot do it: {error}", flush=True)
        return {way: taken for way, taken in turns.items() if taken}


def compiling() -> dict[str, str]:
    """Return the environment variables, without the one that keeps what is compiled from being stored."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _taken(arguments: tuple[str, ...], folder: Path, *, prints: bool) -> dict[str, float]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    began, cpu = time.perf_counter(), os.times()
    subprocess.run(
        [argument.replace("{}", str(folder)) for argument in arguments],
        check=True,
        cwd=_REPOSITORY,
        stdout=None if prints else subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={
            **compiling(),
            "PRACTICUS_LAKE": str(folder / "lake"),
            "DAGSTER_HOME": str(folder),
        },
    )
    seconds, after = time.perf_counter() - began, os.times()
    shutil.rmtree(folder, ignore_errors=True)
    cpu_seconds = after.children_user + after.children_system - cpu.children_user - cpu.children_system
    return {"seconds": seconds, "cpu_seconds": cpu_seconds}


def _importing(module: str) -> tuple[str, ...]:
    return (*_PLAIN, "-c", f"import {module}")


def _seven(way: str, executor: str) -> tuple[str, ...]:
    return (*_PLAIN, "benchmarks/seven.py", way, executor, "{}")


# as the demo has it: one planned event stands for all partitions
_YEAR = (
    *("env", "DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS=true"),
    *(*_PLAIN, "-m", "dagster", "asset", "materialize", "-m", "pipelines"),
    *("--select", "*", "--partition-range", "2013-01-01...2013-12-31"),
)

COMMANDS = {
    "help": Commands(
        "practicus-assets --help",
        {
            "practicus-assets --help": (
                *_PLAIN,
                "-c",
                "from practicus_assets.cli import main; main(['--help'])",
            ),
            "import click": _importing("click"),
            "python": (*_PLAIN, "-c", ""),
        },
        wanted="< 0.3 s",
    ),
    "import": Commands(
        "imports",
        {
            "import dagster": _importing("dagster"),
            "import practicus_assets": _importing("practicus_assets"),
            "and dagster, deltalake, pandas": _importing("dagster, deltalake, pandas"),
            "import pipelines": _importing("pipelines"),
        },
        beside="import dagster",
        wanted="≤ 1.1 x import dagster",
        turns=3,
    ),
    "year": Commands(
        "365 days of the shipped pipeline in one run",
        {"with one planned event": _YEAR},
        wanted="≤ 15 s",
        turns=1,
    ),
    "seven": Commands(
        "seven assets of 1e6 rows",
        {
            "hand, in process": _seven("hand", "in_process"),
            "ours, in process": _seven("ours", "in_process"),
            "ours, worker_executor": _seven("ours", "worker"),
            "hand, default executor": _seven("hand", "default"),
            "ours, default executor": _seven("ours", "default"),
        },
        beside="hand, in process",
        wanted="≤ 10 s",
        turns=1,
    ),
    "race": Commands(
        "64 writers of 64 partitions of one table at once",
        {"race": (*_PLAIN, "benchmarks/race.py", "{}")},
        wanted="all land",
        turns=1,
        prints=True,
    ),
}
