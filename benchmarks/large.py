"""Measures the variant on flights times N (pipelines/large): each way in a process of its own, on one lake.

python benchmarks/large.py [--factor 100] [--ways stream,splits,spark] [--keep]

It writes the inputs once, then has each way make its two tables, and prints for each what it took: seconds,
seconds of the processor, and the largest memory of all its processes together (PSS, looked at four times a
second; Linux alone). A way whose rows are not those of the others ends it with exit code 1. The lake is
deleted afterwards.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parents[1] / ".bench" / "large"
_TICKS = os.sysconf("SC_CLK_TCK")
_LOOK_S = 0.25
_MODULE = "pipelines.large"


@dataclass
class Usage:
    """What a process and all below it have used.

    Attributes:
        peak_mb: the largest memory of all of them at one time.
        ticks: the processor's ticks of each of them, by its id, at the last look.

    """

    peak_mb: float = 0.0
    ticks: dict[int, int] = field(default_factory=dict)

    @property
    def cpu_seconds(self) -> float:
        """The processor's time of all of them."""
        return sum(self.ticks.values()) / _TICKS

    def look(self, pid: int) -> None:
        """Look at a process and all below it; those that ended meanwhile are passed over."""
        memory = 0
        for each in [pid, *_below(pid)]:
            try:
                fields = Path(f"/proc/{each}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                self.ticks[each] = int(fields[11]) + int(fields[12])
                rollup = Path(f"/proc/{each}/smaps_rollup").read_text(encoding="ascii")
                memory += next(int(x.split()[1]) for x in rollup.splitlines() if x.startswith("Pss:"))
            except (OSError, StopIteration):
                continue
        self.peak_mb = max(self.peak_mb, memory * 1024 / 1e6)


def _below(pid: int) -> list[int]:
    try:
        texts = [p.read_text(encoding="ascii") for p in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    children = [int(child) for text in texts for child in text.split()]
    return [*children, *(below for child in children for below in _below(child))]


def work(job: str, factor: int) -> None:
    """Run one job in this process; print what became of its tables, as JSON, or raise."""
    import dagster as dg
    from dagster._core.definitions.reconstruct import ReconstructableRepository

    repository = ReconstructableRepository.for_module(_MODULE, "defs", str(Path(__file__).parents[1]))
    config = {"ops": {"flights": {"config": {"factor": factor}}}} if job == "inputs" else {}
    with dg.DagsterInstance.get() as instance:
        result = dg.execute_job(
            repository.get_reconstructable_job(job), instance, run_config=config, raise_on_error=True
        )
        tables = {}
        for event in result.get_asset_materialization_events():
            made = event.materialization
            version = (made.tags or {})["dagster/data_version"]
            tables[made.asset_key.path[-1]] = [made.metadata["dagster/row_count"].value, version]
    print(json.dumps(tables))


def measured(job: str, factor: int) -> tuple[dict[str, list[object]], float, Usage]:
    """Run one job in a process of its own.

    Returns:
        The rows and the data version of each of its tables, none if it failed; its seconds; what it used.

    """
    usage, began = Usage(), time.monotonic()
    with (FOLDER / f"{job}.log").open("w", encoding="utf-8") as log:
        environment = {**os.environ, "DAGSTER_HOME": str(FOLDER), "PRACTICUS_LAKE": str(FOLDER / "lake")}
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__, "--factor", str(factor), "--job", job],
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            text=True,
        )
        try:
            while process.poll() is None:
                usage.look(process.pid)
                time.sleep(_LOOK_S)
        finally:  # after Ctrl-C it would go on
            if process.poll() is None:
                process.terminate()
                process.wait()
        assert process.stdout is not None
        answer = process.stdout.read().splitlines()
    return (json.loads(answer[-1]) if process.returncode == 0 else {}), time.monotonic() - began, usage


def compare(factor: int, ways: list[str]) -> bool:
    """Run the inputs and each way, print what they took, and return whether all made the same rows."""
    made, seconds, usage = measured("inputs", factor)
    if not made:
        print(f"the inputs failed, see {FOLDER / 'inputs'}.log")
        return False
    rows = made["flights"][0]
    print(f"flights times {factor}: {rows:,} rows, written in {seconds:.0f} s, {usage.peak_mb:,.0f} MB")
    print(f"{'way':8} {'seconds':>8} {'processor':>10} {'memory':>9}   rows and fingerprints")
    versions, failed = set[str](), list[str]()
    for way in ways:
        tables, seconds, usage = measured(way, factor)
        names = [f"{name}: {n:,} rows, {version}" for name, (n, version) in sorted(tables.items())]
        end = "; ".join(names) or f"failed, see {FOLDER / way}.log"
        print(
            f"{way:8} {seconds:6.0f} s {usage.cpu_seconds:8.0f} s {usage.peak_mb:6,.0f} MB   {end}",
            flush=True,
        )
        if tables:
            versions.add(json.dumps(tables, sort_keys=True))
        else:
            failed.append(way)
        shutil.rmtree(FOLDER / "lake" / way, ignore_errors=True)
    if failed:
        print(f"failed: {', '.join(failed)}")
    if len(versions) > 1:
        print("THE ROWS ARE NOT THE SAME")
    elif not failed:
        print("the rows are the same" if len(ways) > 1 else "one way: there is nothing to compare")
    return not failed and len(versions) == 1


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--factor", type=int, default=1)
    parser.add_argument("--ways", default="stream,splits,spark", help="of memory, stream, splits and spark")
    parser.add_argument("--keep", action="store_true", help="keep .bench/large and its logs")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        work(arguments.job, arguments.factor)
        return
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    (FOLDER / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    same = False
    try:
        same = compare(arguments.factor, arguments.ways.split(","))
    finally:
        if same and not arguments.keep:
            shutil.rmtree(FOLDER)
        else:
            shutil.rmtree(FOLDER / "lake", ignore_errors=True)
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
