"""The thread that writes files beside the author's own: errors, memory, and what is left of it."""

import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from practicus_assets.errors import AuditFailed, StoreFailed
from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.contracts.rule import RowRule
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.stage.writer_threads import WriterThreads
from practicus_assets.lake.transactions.transaction import Transaction

BATCH = pa.record_batch({"n": pa.array(range(131_072), pa.int64())})


def batches(count: int) -> Iterator[pa.RecordBatch]:
    for _ in range(count):
        yield BATCH


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) == before


class Mistake(Exception):
    """What an author's code raises."""


def test_work_is_done_in_order_and_the_first_error_ends_it() -> None:
    thread, done, mistake = WriterThreads(1 << 20), [], Mistake()

    def fail() -> None:
        raise mistake

    thread.do(lambda: done.append(1), 1)
    thread.do(fail, 1)
    thread.do(lambda: done.append(2), 1)
    with pytest.raises(Mistake) as raised:
        thread.finish()
    assert raised.value is mistake
    with pytest.raises(Mistake):
        thread.do(lambda: done.append(3), 1)
    thread.stop()
    assert done == [1]


def test_the_caller_waits_while_too_much_waits() -> None:
    thread, go = WriterThreads(100), threading.Event()
    held: list[weakref.ref[Any]] = []

    def work(array: Any) -> Callable[[], None]:
        return lambda: (go.wait(), array.sum())[1]

    def feed() -> None:
        for _ in range(10):
            array = np.zeros(10)
            held.append(weakref.ref(array))
            thread.do(work(array), 40)

    feeding = threading.Thread(target=feed)
    feeding.start()
    feeding.join(0.2)
    assert feeding.is_alive()
    assert len(held) == 3
    go.set()
    feeding.join()
    thread.finish()
    assert len(held) == 10
    assert not any(array() is not None for array in held)


@pytest.mark.parametrize("error", [Mistake("author's"), KeyboardInterrupt()])
def test_an_error_of_the_author_comes_out_as_it_is_in_the_thread_that_runs_the_generator(
    table: Table, parquet_files: Any, error: BaseException
) -> None:
    closed_in: list[threading.Thread] = []

    def author() -> Iterator[pa.RecordBatch]:
        try:
            yield from batches(3)
            raise error
        finally:
            closed_in.append(threading.current_thread())

    with pytest.raises(type(error)) as raised:
        Transaction(table).write(author())
    assert raised.value is error
    assert closed_in == [threading.current_thread()]
    assert parquet_files(table) == set()


def test_an_error_of_a_rule_comes_out_in_the_callers_thread(table: Table, parquet_files: Any) -> None:
    threads: list[threading.Thread] = []

    def positive(rows: pa.Table) -> Any:
        threads.append(threading.current_thread())
        return [value.as_py() > 0 for value in rows["n"].slice(0)]

    contract = Contract({"n": Column("int64")}, rules=[RowRule("positive", positive)])
    with pytest.raises(AuditFailed, match=r"positive .*2 bad rows"):
        Transaction(table, contract=contract).write(batches(2))
    assert set(threads) == {threading.current_thread()}
    assert parquet_files(table) == set()


def test_an_error_of_the_store_closes_the_authors_generator(table: Table, parquet_files: Any) -> None:
    closed_in: list[threading.Thread] = []

    def author() -> Iterator[pa.RecordBatch]:
        try:
            while True:
                yield BATCH.append_column("p", pa.array(["a"] * BATCH.num_rows))
        finally:
            closed_in.append(threading.current_thread())
            raise Mistake

    Path(table.uri).mkdir(parents=True)
    Path(table.uri, "p=a").write_bytes(b"")  # where the partition's folder is to be
    with pytest.raises(StoreFailed, match=r"Nothing was written\.$"):
        Transaction(table, options=WriteOptions(partition_by=["p"])).write(author())
    assert closed_in == [threading.current_thread()]
    assert parquet_files(table) == set()


def test_a_signal_that_raises_ends_the_thread_and_leaves_no_file(table: Table, parquet_files: Any) -> None:
    def terminated(*_: object) -> None:
        raise SystemExit(143)

    def author() -> Iterator[pa.RecordBatch]:
        yield from batches(4)
        signal.raise_signal(signal.SIGTERM)
        time.sleep(5)
        yield BATCH

    before = signal.signal(signal.SIGTERM, terminated)
    try:
        with pytest.raises(SystemExit):
            Transaction(table).write(author())
    finally:
        signal.signal(signal.SIGTERM, before)
    assert parquet_files(table) == set()


def test_small_batches_are_joined_and_large_ones_are_cut(table: Table) -> None:
    sizes: list[int] = []

    def seen(rows: pa.Table) -> Any:
        sizes.append(rows.num_rows)
        return pa.array([True] * rows.num_rows)

    def author() -> Iterator[pa.RecordBatch]:
        for _ in range(40):
            yield pa.record_batch({"n": range(7_600)})
        yield pa.record_batch({"n": range(300_000)})

    contract = Contract(rules=[RowRule("seen", seen)])
    commit = Transaction(table, contract=contract).write(author())
    assert commit.rows == sum(sizes) == 40 * 7_600 + 300_000
    assert len(sizes) <= 7
    assert max(sizes) <= 131_072
