"""Measures our ways to write and read a table against delta-rs alone, by hand, and what others publish.

python benchmarks/bench.py [--full] [--only WORK …] [--ways WAY …]

Each way runs in a process of its own, the peers in environments of their own below `.bench`. Turns are
interleaved: every way has its first turn before any has its second, so that what else the machine does meets
all of them. It prints medians, and writes every turn to `.bench/results.json`, from which `plot.py` draws.
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
from statistics import median
from typing import Any

from commands import COMMANDS
from ways import PEERS, WAYS
from works import WORKS, Work

HERE = Path(__file__).parent
FOLDER = HERE.parent / ".bench"
_PACKAGES = ("deltalake", "dagster", "pyarrow", "pandas")

Turns = dict[str, list[dict[str, float]]]  # what each turn took, by way


class Runner:
    """A process that runs one way."""

    def __init__(self, way: str, python: Path) -> None:
        self.way = way
        self._root = FOLDER / "tables" / way
        self._root.mkdir(parents=True, exist_ok=True)
        self._log = (FOLDER / f"{way}.log").open("w")
        self._process = subprocess.Popen(
            [python, HERE / "runner.py", way, self._root],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
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
        subprocess.run([place / "bin/python", "-m", "pip", "install", "-qq", "-r", pins], check=True)
        ready.write_text(pins.read_text())
    return place / "bin/python"


def measured(work: str, ways: Sequence[str]) -> Turns:
    """Prepare a work and take its turns, way after way; a way that fails is left out and said so."""
    runners = [Runner(way, environment(way)) for way in ways]
    turns: Turns = {}
    try:
        able = [runner for runner in runners if runner.ask(work, None) is not None]
        for turn in range(WORKS[work].turns + 1):
            for runner in list(able):
                answer = runner.ask(work, turn)
                if answer is None:
                    able.remove(runner)
                elif turn:  # the first warms up
                    turns.setdefault(runner.way, []).append(answer)
    finally:
        for runner in runners:
            runner.close()
    for way in ways:
        if way not in turns:
            print(f"    {way} cannot do it: see {FOLDER / way}.log", flush=True)
    return turns


def report(work: Work, turns: Turns) -> None:
    """Print the median of each way, against delta-rs alone."""
    print(f"\n{work.label}" + (f"    wanted: {work.wanted}" if work.wanted else ""))
    medians = {
        way: {figure: median(turn[figure] for turn in taken) for figure in taken[0]}
        for way, taken in turns.items()
    }
    floor = medians.get("raw")
    for way, figures in medians.items():
        seconds, cpu = figures["seconds"], figures["cpu_seconds"]
        against = ""
        if floor is not None and way != "raw":
            added = (seconds - floor["seconds"]) * 1000
            ratios = f"{seconds / floor['seconds']:6.2f} x, CPU {cpu / floor['cpu_seconds']:6.2f} x"
            against = f"{added:+9.0f} ms" if work.against == "added" else ratios
        print(
            f"    {way:<26} {seconds:9.3f} s {against:>22}  {figures['peak_mb']:6.0f} MB over the input, "
            f"{figures['folder_mb']:7.1f} MB of Parquet",
            flush=True,
        )


def machine() -> Mapping[str, Any]:
    """Return what the figures depend on."""
    return {
        "cpus": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
        **{package: version(package) for package in _PACKAGES},
    }


def main() -> None:
    """Measure, print and store."""
    arguments = argparse.ArgumentParser(description="Measure against delta-rs alone, by hand, and peers.")
    arguments.add_argument("--full", action="store_true", help="the long ones, too")
    arguments.add_argument("--only", nargs="+", choices=[*WORKS, *COMMANDS], help="only these works")
    arguments.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS), help="only these")
    chosen = arguments.parse_args()
    FOLDER.mkdir(exist_ok=True)
    results: dict[str, Any] = {"machine": machine(), "works": {}}
    print("  ".join(f"{name} {value}" for name, value in results["machine"].items()))
    for name, work in WORKS.items():
        if name in (chosen.only or WORKS) and (chosen.full or chosen.only or not work.full):
            turns = measured(name, chosen.ways)
            report(work, turns)
            results["works"][name] = {"label": work.label, "wanted": work.wanted, "turns": turns}
    for name, command in COMMANDS.items():
        if name in (chosen.only or COMMANDS):
            command.report(FOLDER)
    (FOLDER / "results.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
