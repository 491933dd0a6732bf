"""Measures what a log of very many partitions costs a transaction that replaces one of them.

python benchmarks/partitions.py [--partitions 100000] [--columns 8] [--folder /tmp]

It writes a Delta log of one file for each partition, with statistics as our tables have them; the files
themselves are not there, and nothing reads them. Each step then runs in a process of its own, and prints its
seconds, and its largest memory: a checkpoint, opening the table, reading one partition's part of the list,
replacing a partition by one of other rows, reading these, ten more such commits, and listing all files.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

_ENTRY_FILES = 10_000  # that one commit of the made log adds
_MORE = 10


def fill(place: Path, partitions: int, columns: int) -> None:
    """Write the log of a table: `p`, which tells partitions apart, and some columns of numbers."""
    from deltalake import DeltaTable, Schema

    names = [f"c{number}" for number in range(columns)]
    schema = pa.schema([("p", pa.string()), *((name, pa.int64()) for name in names)])
    keeps = {"delta.enableExpiredLogCleanup": "false"}
    DeltaTable.create(str(place), Schema.from_arrow(schema), partition_by=["p"], configuration=keeps)
    statistics = statistics_of(names)
    for version, first in enumerate(range(0, partitions, _ENTRY_FILES), start=1):
        with (place / "_delta_log" / f"{version:020}.json").open("w", encoding="ascii") as entry:
            for number in range(first, min(first + _ENTRY_FILES, partitions)):
                add = added(f"k{number:09}", number, statistics)
                entry.write(json.dumps({"add": add}, separators=(",", ":")) + "\n")


def statistics_of(names: Sequence[str]) -> str:
    """Return the statistics of a file with 1,000 rows of such columns of numbers, as a log has them."""
    bounds = {"minValues": dict.fromkeys(names, 0), "maxValues": dict.fromkeys(names, 1_000_000_000)}
    return json.dumps({"numRecords": 1000, **bounds, "nullCount": dict.fromkeys(names, 0)})


def added(value: str, number: int, statistics: str) -> dict[str, object]:
    """Return the action that adds a file, which is not there, to the partition of a value of `p`."""
    return {
        "path": f"p={value}/part-{number:05}-6f1ce2e5-0d5e-4b3a-9d53-{number:012}-c000.parquet",
        "partitionValues": {"p": value},
        "size": 10_000_000,
        "modificationTime": 1_700_000_000_000,
        "dataChange": True,
        "stats": statistics,
    }


def _table(place: Path) -> Any:
    from practicus_assets.lake.delta.table import Table

    return Table.from_uri(place)


def _replace(place: Path, numbers: range) -> None:
    """Replace partitions, one transaction each."""
    from practicus_assets.lake.partitions.scope import Scope
    from practicus_assets.lake.transactions.options import WriteOptions
    from practicus_assets.lake.transactions.transaction import Transaction

    table = _table(place)
    names = [name for name in table.open().schema.names if name != "p"]
    for number in numbers:
        value = f"k{number:09}"
        rows = pa.table({"p": [value], **{name: pa.array([number], pa.int64()) for name in names}})
        commit = Transaction(table, Scope.of([value], ["p"]), WriteOptions(partition_by=["p"])).write(rows)
        assert commit.changed


def _one(place: Path) -> None:
    from practicus_assets import Snapshot

    snapshot = Snapshot.open(place, partitions=["k000000007"])
    assert [*snapshot.partition_rows.values()] == [1000]


def _read(place: Path) -> None:
    """Read the rows of the partition that was replaced first."""
    from practicus_assets import Snapshot

    assert Snapshot.open(place, partitions=["k000000000"]).to_arrow().num_rows == 1


STEPS: dict[str, Callable[[Path], Any]] = {
    "open without a checkpoint": lambda place: _table(place).open(),
    "write a checkpoint": lambda place: _table(place).open().checkpoint(),
    "open": lambda place: _table(place).open(),
    "find one partition": _one,
    "replace one partition": lambda place: _replace(place, range(1)),
    "read it": _read,
    f"replace {_MORE} more, one by one": lambda place: _replace(place, range(1, 1 + _MORE)),
    "list the files": lambda place: len(_table(place).open().files()),
}


def step(name: str, place: Path) -> None:
    """Run one step in this process, and print what it took, as JSON."""
    import practicus_assets.lake.transactions.transaction  # noqa: F401 its time is no part of the step's

    began, cpu = time.perf_counter(), time.process_time()
    STEPS[name](place)
    took = {
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }
    print(json.dumps(took))


def _size_mb(place: Path, pattern: str) -> float:
    return sum(path.stat().st_size for path in (place / "_delta_log").glob(pattern)) / 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partitions", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--folder", type=Path, help="where the log is written; needs 1.5 kB a partition")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        step(arguments.step, arguments.place)
        return
    place = Path(tempfile.mkdtemp(prefix="practicus-partitions-", dir=arguments.folder))
    try:
        fill(place, arguments.partitions, arguments.columns)
        print(f"{arguments.partitions:,} partitions of one file, {arguments.columns} columns with statistics")
        print(f"log entries {_size_mb(place, '*.json'):,.0f} MB")
        for name in STEPS:
            command = [sys.executable, __file__, "--step", name, "--place", str(place)]
            took = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(
                f"{name:30} {took['seconds']:8.2f} s {took['cpu']:8.2f} s of the processor "
                f"{took['peak_mb']:8,.0f} MB",
                flush=True,
            )
        print(f"checkpoint {_size_mb(place, '*.checkpoint*.parquet'):,.0f} MB")
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
