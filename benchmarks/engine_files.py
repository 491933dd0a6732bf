"""Measures what it costs to audit and commit the files of an engine, against the same by hand.

python benchmarks/engine_files.py [--files 10000] [--rows 4000000] [--turns 3]

First many small files: listed, read, hashed and named in one commit, against a program that only reads their
footers, and one that reads their rows as well. Then DuckDB writes a partitioned copy of a table: alone; with
a query of its own that checks the files, and a commit by hand; below a StagedParquet that is committed; and
as a stream that the transaction writes. It prints seconds of processor time, and of wall time, which depends
on what else the machine does, and the largest memory of the process so far.
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
from typing import Any, NamedTuple

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


def action(place: Path, path: Path, *, reads: bool) -> AddAction:
    """Return the log's entry of a file in a partition of `p`, by what its footer says."""
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    with pq.ParquetFile(path) as file:
        rows = file.metadata.num_rows
        for group in map(file.metadata.row_group, range(file.metadata.num_row_groups)):
            for column in map(group.column, range(group.num_columns)):
                name, known = column.path_in_schema, column.statistics
                low[name] = min(low.get(name, known.min), known.min)
                high[name] = max(high.get(name, known.max), known.max)
        if reads:
            file.read()
    statistics = json.dumps({"numRecords": rows, "minValues": low, "maxValues": high})
    values = {"p": path.parent.name.removeprefix("p=")}
    relative = str(path.relative_to(place))
    return AddAction(relative, path.stat().st_size, values, 0, data_change=True, stats=statistics)


def by_hand(place: Path, *, reads: bool) -> None:
    """Commit files by what their footers say."""
    paths = list(place.rglob("*.parquet"))
    with ThreadPoolExecutor(4) as pool:
        actions = list(pool.map(partial(action, place, reads=reads), paths))
    schema = Schema.from_arrow(pa.schema([*pq.read_schema(paths[0]), pa.field("p", pa.string())]))
    create_table_with_add_actions(str(place), schema, actions, mode="error", partition_by=["p"])


class Took(NamedTuple):
    """What some work took, in seconds."""

    processor: float
    wall: float


def timed(work: Callable[[], Any]) -> Took:
    """Return what some work took."""
    processor, wall = time.process_time(), time.perf_counter()
    work()
    return Took(time.process_time() - processor, time.perf_counter() - wall)


def show(what: str, turns: list[Took]) -> None:
    """Print medians."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    processor, wall = (median(times) for times in zip(*turns, strict=True))
    print(f"{what:45} {processor:8.2f} s of processor {wall:8.2f} s   {peak:5} MB", flush=True)


def small_files(root: Path, files: int, turns: int) -> None:
    """Measure many small files."""
    print(f"{files:,} files of {_ROWS:,} rows, one commit")

    def hand(place: Path, *, reads: bool) -> Took:
        fill(place, files)
        return timed(partial(by_hand, place, reads=reads))

    def ours(place: Path) -> Took:
        transaction = begin(place)
        staged = transaction.staging()
        fill(Path(staged.uri), files)
        return timed(partial(transaction.write, staged))

    in_turns(
        root,
        turns,
        {
            "by hand, footers alone": partial(hand, reads=False),
            "by hand, footers and rows": partial(hand, reads=True),
            "StagedParquet": ours,
        },
    )


def in_turns(root: Path, turns: int, ways: dict[str, Callable[[Path], Took]]) -> None:
    """Measure ways that take turns, each at a place of its own that is removed; print their medians."""
    taken: dict[str, list[Took]] = {way: [] for way in ways}
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

    def checked(place: Path) -> None:
        copy(place)
        each = "count(*), count(*) FILTER (id IS NULL), sum(hash(id, shop, amount, s, p))"
        files = f"read_parquet('{place}/*/*.parquet', hive_partitioning = true, filename = true)"
        found = connection.execute(f"SELECT filename, {each} FROM {files} GROUP BY filename")  # noqa: S608 our own
        assert sum(one[1] for one in found.fetchall()) == rows, "all are there"
        by_hand(place, reads=False)

    def staged(place: Path) -> None:
        transaction = begin(place)
        below = transaction.staging()
        copy(below.uri)
        transaction.write(below)

    def stream(place: Path) -> None:
        begin(place).write(pa.RecordBatchReader.from_stream(connection.sql("FROM t")))

    def measured(work: Callable[[Path], None], place: Path) -> Took:
        return timed(partial(work, place))

    ways = {
        "DuckDB alone": copy,
        "checked and committed by hand": checked,
        "StagedParquet": staged,
        "as a stream": stream,
    }
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
