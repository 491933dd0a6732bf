"""Measures what it costs to audit and commit the files of an engine, against the same by hand.

python benchmarks/engine_files.py [--files 10000] [--rows 4000000] [--turns 3]

First many small files: listed, read, hashed and named in one commit, against a program that only reads their
footers, and one that reads their rows as well. Then DuckDB writes a partitioned copy of a table: alone, below
a StagedParquet that is committed, and as a stream that the transaction writes. It prints seconds of processor
time, for wall time is that of whatever else the machine does, and the largest memory of the process so far.
"""

import argparse
import json
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import Schema
from deltalake.transaction import AddAction, create_table_with_add_actions

from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.transaction import Transaction

_ROWS = 1000  # of a small file


def begin(place: Path) -> Transaction:
    """Begin a transaction on a new table that is partitioned by `p`."""
    return Transaction(Table.from_uri(place), None, WriteOptions(partition_by=["p"]))


def fill(place: Path, files: int) -> None:
    """Write small files, ten in each partition."""
    texts = [f"text {i % 97}" for i in range(_ROWS)]
    rows = pa.table({"id": np.arange(_ROWS), "x": np.random.default_rng(0).random(_ROWS), "s": texts})
    for number in range(files):
        folder = place / f"p={number // 10:06}"
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, folder / f"{number}.parquet")


def by_hand(place: Path, *, reads: bool) -> None:
    """Commit files by what their footers say."""

    def action(path: Path) -> AddAction:
        low: dict[str, Any] = {}
        high: dict[str, Any] = {}
        with pq.ParquetFile(path) as file:
            group = file.metadata.row_group(0)
            for column in map(group.column, range(group.num_columns)):
                low[column.path_in_schema] = column.statistics.min
                high[column.path_in_schema] = column.statistics.max
            if reads:
                file.read()
        statistics = json.dumps({"numRecords": group.num_rows, "minValues": low, "maxValues": high})
        values = {"p": path.parent.name.removeprefix("p=")}
        relative = str(path.relative_to(place))
        return AddAction(relative, path.stat().st_size, values, 0, data_change=True, stats=statistics)

    paths = list(place.rglob("*.parquet"))
    with ThreadPoolExecutor(4) as pool:
        actions = list(pool.map(action, paths))
    schema = Schema.from_arrow(pa.schema([*pq.read_schema(paths[0]), pa.field("p", pa.string())]))
    create_table_with_add_actions(str(place), schema, actions, mode="error", partition_by=["p"])


def seconds(work: Callable[[], Any]) -> float:
    """Return the processor time of some work."""
    began = time.process_time()
    work()
    return time.process_time() - began


def show(what: str, turns: list[float]) -> None:
    """Print a median."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{what:45} {median(turns):8.2f} s   {peak:5} MB", flush=True)


def small_files(root: Path, files: int, turns: int) -> None:
    """Measure many small files."""
    print(f"{files:,} files of {_ROWS:,} rows, one commit")

    def hand(place: Path, *, reads: bool) -> float:
        fill(place, files)
        return seconds(partial(by_hand, place, reads=reads))

    def ours(place: Path) -> float:
        transaction = begin(place)
        staged = transaction.staging()
        fill(Path(staged.uri), files)
        return seconds(partial(transaction.write, staged))

    in_turns(
        root,
        turns,
        {
            "by hand, footers alone": partial(hand, reads=False),
            "by hand, footers and rows": partial(hand, reads=True),
            "StagedParquet": ours,
        },
    )


def in_turns(root: Path, turns: int, ways: dict[str, Callable[[Path], float]]) -> None:
    """Measure ways that take turns, each at a place of its own that is removed; print their medians."""
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(turns):
        for way, measured in ways.items():
            place = root / way.replace(" ", "-")
            taken[way].append(measured(place))
            shutil.rmtree(place)
    for way, each in taken.items():
        show(way, each)


def copies(root: Path, rows: int, turns: int) -> None:
    """Measure partitioned copies of one table."""
    print(f"{rows:,} rows of DuckDB in 20 partitions")
    connection = duckdb.connect()
    columns = (
        "range AS id, range % 97 AS shop, random() AS amount, 'text ' || (range % 1000) AS s, "
        "CAST(range % 20 AS VARCHAR) AS p"
    )
    connection.execute(f"CREATE TABLE t AS SELECT {columns} FROM range({rows})")  # noqa: S608 our own

    def copy(place: Path | str) -> None:
        connection.execute(f"COPY t TO '{place}' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (p))")

    def staged(place: Path) -> None:
        transaction = begin(place)
        below = transaction.staging()
        copy(below.uri)
        transaction.write(below)

    def stream(place: Path) -> None:
        begin(place).write(pa.RecordBatchReader.from_stream(connection.sql("FROM t")))

    def measured(work: Callable[[Path], None], place: Path) -> float:
        return seconds(partial(work, place))

    ways = {"DuckDB alone": copy, "StagedParquet": staged, "as a stream": stream}
    in_turns(root, turns, {way: partial(measured, work) for way, work in ways.items()})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        small_files(root, arguments.files, arguments.turns)
        copies(root, arguments.rows, arguments.turns)


if __name__ == "__main__":
    main()
