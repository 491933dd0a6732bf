"""Sixty-four writers of as many partitions of one table at once: delta-rs alone, and our transactions.

python benchmarks/race.py FOLDER

Eight processes of eight threads each begin together, once their imports are done. It prints how long it took
until the last had landed, how often a commit was tried, and the slowest writer.
"""

import multiprocessing
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median
from typing import Any

from data import day, events

PROCESSES, THREADS, ROWS = 8, 8, 1_000
Answer = tuple[float, float, int, str]  # when it ended, how long it took, commits tried, what went wrong


def _raw(uri: str, number: int) -> int:
    from deltalake import CommitProperties, write_deltalake

    days = range(number, number + 1)
    predicate, properties = f"day = '{day(number)}'", CommitProperties(max_commit_retries=200)
    rows = events(ROWS, days, seed=2)
    write_deltalake(uri, rows, mode="overwrite", predicate=predicate, commit_properties=properties)
    return 0


def _ours(uri: str, number: int) -> int:
    from practicus_assets.lake.delta.table import Table
    from practicus_assets.lake.partitions.scope import Scope
    from practicus_assets.lake.transactions.landing import Landing
    from practicus_assets.lake.transactions.options import WriteOptions
    from practicus_assets.lake.transactions.transaction import Transaction

    tried = 0

    class Counted(Landing):
        def _commit(self, *arguments: Any) -> None:
            nonlocal tried
            tried += 1
            super()._commit(*arguments)

    scope = Scope.of([day(number)], ["day"])
    transaction = Transaction(Table.from_uri(uri), scope, WriteOptions(partition_by=("day",)))
    staged = transaction.stage(events(ROWS, range(number, number + 1), seed=2))
    audited = transaction.audit(staged)
    Counted(transaction.attempt, audited.staged, audited.record).land()
    return tried


WAYS = {"raw": _raw, "transaction": _ours}


def _process(way: str, uri: str, first: int, barrier: Barrier, answers: Any) -> None:
    write = WAYS[way]
    if way != "raw":
        write(f"{uri}-warm-{first}", 0)  # imports

    def one(number: int) -> Answer:
        began = time.monotonic()
        try:
            tried, problem = write(uri, number), ""
        except Exception as error:  # noqa: BLE001 what a writer cannot do is counted
            tried, problem = 0, f"{type(error).__name__}: {error}"
        return time.monotonic(), time.monotonic() - began, tried, problem

    with ThreadPoolExecutor(THREADS) as writers:
        barrier.wait()
        answers.put(list(writers.map(one, range(first, first + THREADS))))


def _raced(way: str, folder: Path) -> None:
    from deltalake import DeltaTable, write_deltalake

    count = PROCESSES * THREADS
    uri = str(folder / way)
    write_deltalake(uri, events(ROWS * count, range(count)), partition_by=["day"])
    spawned = multiprocessing.get_context("spawn")
    barrier, answers = spawned.Barrier(PROCESSES + 1), spawned.Queue()
    processes = [
        spawned.Process(target=_process, args=(way, uri, first, barrier, answers))
        for first in range(0, count, THREADS)
    ]
    for process in processes:
        process.start()
    barrier.wait()
    began = time.monotonic()
    all_answers: list[Answer] = [answer for _ in processes for answer in answers.get()]
    for process in processes:
        process.join()
    problems = [problem for *_, problem in all_answers if problem]
    rows = DeltaTable(uri).count()
    tried = sum(answer[2] for answer in all_answers)
    print(
        f"    {way:<14} {max(answer[0] for answer in all_answers) - began:6.2f} s until all had ended; "
        f"one writer {median(answer[1] for answer in all_answers):.2f} s, the slowest "
        f"{max(answer[1] for answer in all_answers):.2f} s; {len(problems)} of {count} failed; "
        + (f"{tried} commits tried; " if tried else "")
        + f"{rows:,} rows, {ROWS * count:,} expected"
        + (f"; e.g. {problems[0][:200]}" if problems else ""),
        flush=True,
    )


def main() -> None:
    """Let each way race, one after the other."""
    for way in WAYS:
        _raced(way, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
