"""Measures what it takes to audit and commit very many rows with a unique key, and how much memory.

python benchmarks/many_rows.py [--rows 100000000] [--doubled 0] [--only files stream no-key by-hand]

DuckDB writes the files of 1,000,000 rows each in a process of its own; another one stages, audits and commits
them, and beside it a program that only reads them by hand. Then the same rows go through a transaction as a
stream of batches, with the key and without it. Each way is a process of its own: what is printed is its wall
time, its processor time, and its largest memory by the operating system, over what it has imported.
"""

import argparse
import multiprocessing
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from practicus_assets.errors import AuditFailed
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.transaction import Transaction

_FILE_ROWS = 1_000_000
_BATCH_ROWS = 1 << 17


def fill(uri: str, rows: int, doubled: int) -> None:
    """Write rows of a key and three further columns, the first so many of them twice."""
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false; SET threads = 2; SET memory_limit = '1GB'")
        for number, first in enumerate(range(0, rows, _FILE_ROWS)):
            last = min(first + _FILE_ROWS, rows)
            shift = rows - doubled  # keys from here on are those that were there before
            query = (
                f"SELECT range % {shift} AS id, range % 97 AS shop, "  # noqa: S608 our own
                "(range * 7919 % 1000003) / 100 AS amount, 'text ' || (range % 1000) AS s "
                f"FROM range({first}, {last})"
            )
            path = f"{uri}/{number:06}.parquet"
            connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")


def batches(rows: int, doubled: int) -> Iterator[pa.RecordBatch]:
    """Yield the same rows as batches."""
    texts = pa.array([f"text {i}" for i in range(1000)])
    for first in range(0, rows, _BATCH_ROWS):
        numbers = np.arange(first, min(first + _BATCH_ROWS, rows))
        columns: dict[str, Any] = {
            "id": numbers % (rows - doubled),
            "shop": numbers % 97,
            "amount": (numbers * 7919 % 1000003) / 100,
            "s": texts.take(pa.array(numbers % 1000)),
        }
        yield pa.record_batch(columns)


def read_by_hand(folder: Path) -> str:
    """Read every row of the files, two at a time, and do nothing with it."""

    def rows(path: Path) -> int:
        with pq.ParquetFile(path) as file:
            return sum(batch.num_rows for batch in file.iter_batches(_BATCH_ROWS, use_threads=False))

    with ThreadPoolExecutor(2) as pool:
        return f"{sum(pool.map(rows, folder.rglob('*.parquet'))):,} rows"


def committed(transaction: Transaction, data: Any) -> str:
    """Write rows, and return what became of it."""
    try:
        return f"{transaction.write(data).rows:,} rows"
    except AuditFailed as error:
        return str(error).splitlines()[0][:160]


def measured(way: str, place: Path, rows: int, doubled: int, answer: Connection) -> None:
    """Run one way, and send what it took."""
    contract = Contract(unique=[["id"]]) if way != "no-key" else Contract()
    transaction = Transaction(Table.from_uri(place), contract=contract)
    data: Any = batches(rows, doubled)
    if way in {"files", "by-hand"}:
        data = transaction.staging()
        writer = multiprocessing.get_context("spawn").Process(target=fill, args=(data.uri, rows, doubled))
        writer.start()
        writer.join()
    committed(Transaction(Table.from_uri(place.with_name("warm"))), pa.table({"id": [1]}))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, processor = time.perf_counter(), time.process_time()
    found = read_by_hand(place) if way == "by-hand" else committed(transaction, data)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    answer.send((found, time.perf_counter() - wall, time.process_time() - processor, peak / 1000))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--doubled", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=["by-hand", "files", "no-key", "stream"])
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    for way in arguments.only:
        with tempfile.TemporaryDirectory() as folder:
            receiver, sender = context.Pipe(duplex=False)
            place = Path(folder) / "table"
            process = context.Process(
                target=measured, args=(way, place, arguments.rows, arguments.doubled, sender)
            )
            process.start()
            found, wall, processor, peak = receiver.recv()
            process.join()
            shutil.rmtree(place, ignore_errors=True)
        print(
            f"{way:10} {wall:8.1f} s   {processor:8.1f} s of processor   {peak:6.0f} MB   {found}", flush=True
        )


if __name__ == "__main__":
    main()
