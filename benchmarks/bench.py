"""Measures our ways to write and read a table against delta-rs alone, by hand, and what others publish.

python benchmarks/bench.py [--full] [--only WORK …] [--ways WAY …] [--minutes 13.5] [--publish]

Each way runs in a process of its own, the peers in environments of their own below `.bench`. Turns are
interleaved: every way has its first turn before any has its second, so that what else the machine does meets
all of them. It prints medians, then a table of them with what the project wants of itself, and writes every
turn to `.bench/results.json`, from which `plot.py` draws.
"""

import argparse
import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from commands import COMMANDS, Commands, compiling
from data import KEPT
from published import medians, publish, table_of
from ways import PEERS, WAYS
from works import WORKS, Work

HERE = Path(__file__).parent
FOLDER = HERE.parent / ".bench"
_PACKAGES = ("deltalake", "dagster", "pyarrow", "pandas")

# what is left out on a slow machine is the last of it
ORDER = (
    *("help", "import", "small", "rewrite", "same", "one-of-100", "read-of-100", "days", "one-of-5000"),
    *("read-of-5000", "runs", "year", "seven", "race", "first", "one-of-1", "one-of-1000", "days-again"),
    "one-of-10000",
)
# what each takes at least on a quiet machine of two cores, where others take 15
_SECONDS = {"help": 1, "one-of-5000": 25, "race": 25, "year": 40, "runs": 50, "seven": 65, "first": 80}
_SHARED = 0.9  # of the time is given to the works; the rest is for those that take more than their share
_LONGEST = 40.0  # seconds after which a work begins no further turn but the first

Turns = dict[str, list[dict[str, float]]]  # what each turn took, by way


class Runner:
    """A process that runs one way."""

    def __init__(self, way: str, python: Path) -> None:
        self.way = way
        self._root = FOLDER / "tables" / way
        self._root.mkdir(parents=True, exist_ok=True)
        self._log = (FOLDER / f"{way}.log").open("a")
        self._process = subprocess.Popen(
            [python, HERE / "runner.py", way, self._root],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**compiling(), "PYTHONWARNINGS": "ignore"},
        )

    def ask(self, work: str, turn: int | None) -> dict[str, float] | None:
        """Let it prepare a work (no turn) or take a turn; None if it cannot do the work."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps({"work": work, "turn": turn}), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            return None
        line = self._process.stdout.readline()
        return dict(json.loads(line)) if line else None

    def close(self) -> None:
        """End the process, and forget its tables."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._log.close()
        shutil.rmtree(self._root, ignore_errors=True)


def environment(way: str) -> Path:
    """Return the Python of a way, which it makes for a peer the first time."""
    if way not in PEERS:
        return Path(sys.executable)
    place, pins = FOLDER / "environments" / way, HERE / "peers" / f"{way}.txt"
    ready = place / "ready"
    if not ready.exists() or ready.read_text() != pins.read_text():
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        install = (place / "bin/python", "-m", "pip", "install", "-qq", "--no-compile", "-r", pins)
        subprocess.run(install, check=True)
        ready.write_text(pins.read_text())
    return place / "bin/python"


class Runners:
    """The processes of all ways, each of which does one work after the other.

    Args:
        ways: the ways.
        full: whether each takes part in all works.

    """

    def __init__(self, ways: Sequence[str], *, full: bool) -> None:
        self._ways = ways
        self._full = full
        self._running: dict[str, Runner] = {}

    def measured(self, name: str, until: float) -> Turns:
        """Prepare a work and take its turns, way after way; a way that fails is left out and said so.

        Args:
            name: the work's name.
            until: when no further turn begins, by `time.monotonic`.

        """
        turns: Turns = {}
        ways = [way for way in self._ways if self._full or WORKS[name].peers or way not in PEERS]
        for way in ways:
            if way not in self._running:
                self._running[way] = Runner(way, environment(way))
        able = [way for way in ways if self._ask(way, name, None) is not None]
        until = min(until, time.monotonic() + _LONGEST)
        for turn in range(not WORKS[name].warm, WORKS[name].turns + 1):
            for way in [way for way in able if time.monotonic() < until or turn <= 1]:
                answer = self._ask(way, name, turn)
                if answer is None:
                    able.remove(way)
                elif turn:  # one that warms up has no number
                    turns.setdefault(way, []).append(answer)
        return turns

    def close(self) -> None:
        """End all processes."""
        for runner in self._running.values():
            runner.close()

    def _ask(self, way: str, work: str, turn: int | None) -> dict[str, float] | None:
        answer = self._running[way].ask(work, turn)
        if answer is None:
            print(f"    {way} cannot do {work}: see {FOLDER / way}.log", flush=True)
            self._running[way].close()
            self._running[way] = Runner(way, environment(way))
        return answer


def report(work: Work | Commands, turns: Turns) -> None:
    """Print the median of each way, against delta-rs alone."""
    print(f"\n{work.label}" + (f"    wanted: {work.wanted}" if work.wanted else ""))
    found = medians(turns)
    floor = found.get(getattr(work, "beside", "raw"))
    for way, figures in found.items():
        against = ""
        if floor is not None and figures is not floor:
            added = (figures["seconds"] - floor["seconds"]) * 1000
            ratio = figures["seconds"] / floor["seconds"]
            cpu = figures["cpu_seconds"] / floor["cpu_seconds"]
            against = f"{added:+9.0f} ms" if work.against == "added" else f"{ratio:6.2f} x, CPU {cpu:6.2f} x"
        memory = ""
        if "peak_mb" in figures:
            memory = f"{figures['peak_mb']:6.0f} MB over the input, {figures['folder_mb']:7.1f} MB of Parquet"
        print(f"    {way:<30} {figures['seconds']:9.3f} s {against:>22}  {memory}", flush=True)


def machine() -> Mapping[str, Any]:
    """Return what the figures depend on."""
    return {
        "cpus": os.cpu_count(),
        "processor": _processor(),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
        **{package: version(package) for package in _PACKAGES},
    }


def _processor() -> str:
    """Return the processor's name."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def main() -> None:
    """Measure, print and store."""
    arguments = argparse.ArgumentParser(description="Measure against delta-rs alone, by hand, and peers.")
    arguments.add_argument("--full", action="store_true", help="the long ones, too")
    arguments.add_argument("--only", nargs="+", choices=[*WORKS, *COMMANDS], help="only these works")
    arguments.add_argument("--ways", nargs="+", choices=list(WAYS), help="only these")
    arguments.add_argument("--minutes", type=float, default=13.5, help="what would end later is left out")
    arguments.add_argument("--publish", action="store_true", help="into docs/performance.md and its plot")
    chosen = arguments.parse_args()
    FOLDER.mkdir(exist_ok=True)
    ways = chosen.ways or [way for way in WAYS if chosen.full or way != "plain"]
    for way in ways:
        environment(way)
        (FOLDER / f"{way}.log").unlink(missing_ok=True)
    results: dict[str, Any] = {"machine": machine(), "works": {}}
    print("  ".join(f"{name} {value}" for name, value in results["machine"].items()))
    every: dict[str, Work | Commands] = {**WORKS, **COMMANDS}
    named = chosen.only or [name for name, work in every.items() if chosen.full or not work.full]
    wanted = [name for name in ORDER if name in named]
    limit = chosen.minutes * 60 if not chosen.full else float("inf")
    left = {name: _SECONDS.get(name, 15) for name in wanted}
    expected, start, runners = 0, time.monotonic(), Runners(ways, full=chosen.full)
    try:
        for name in wanted:
            work, began = every[name], time.monotonic()
            gone, slowness = began - start, max(1.0, (began - start) / max(1, expected))
            share = (limit * _SHARED - gone) * left[name] / sum(left.values())
            seconds = left.pop(name)
            if gone + seconds * slowness > limit:
                print(f"\n{work.label}: left out, it would end after {chosen.minutes:g} minutes", flush=True)
                continue
            expected, until = expected + seconds, began + share
            turns = runners.measured(name, until) if isinstance(work, Work) else work.measured(FOLDER, until)
            report(work, turns)
            print(f"    ({time.monotonic() - began:.0f} s)", flush=True)
            entry = {"label": work.label, "wanted": work.wanted, "against": work.against, "turns": turns}
            results["works"][name] = {**entry, "beside": getattr(work, "beside", "raw")}
            (FOLDER / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    finally:
        runners.close()
        shutil.rmtree(KEPT, ignore_errors=True)
    print(f"\n{table_of(results)}\nPlots: python benchmarks/plot.py {FOLDER / 'results.json'} FILE.svg")
    if chosen.publish:
        publish(results)


if __name__ == "__main__":
    main()
