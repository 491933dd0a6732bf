"""Streams: the rows of one statement, from the connection or from the disk where they wait."""

import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from threading import RLock
from typing import IO

import pyarrow as pa

_PARKED = pa.ipc.IpcWriteOptions(compression="lz4")


class Stream:
    """The rows of a statement, batch by batch.

    A connection gives the rows of one statement at a time. Where another statement is to run before all rows
    are taken, the rest is parked in a temporary file, from which the reader goes on. So streams can be read
    side by side in bounded memory.

    Args:
        batches: the batches as they come over the connection.
        schema: their columns.
        lock: held while the connection is used.
        failing: a context that makes errors of the connection those of this package.

    """

    def __init__(
        self,
        batches: Iterator[pa.RecordBatch],
        schema: pa.Schema,
        lock: RLock,
        failing: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._batches = batches
        self._schema = schema
        self._lock = lock
        self._failing = failing
        self._file: IO[bytes] | None = None
        self._failure: BaseException | None = None
        self._is_over = False  # nothing more comes over the connection
        self._is_wanted = True

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Return the batches, once; where they are let go, no more are wanted."""
        batches = self._taken()
        weakref.finalize(batches, self._let_go).atexit = False
        return batches

    def park(self) -> None:
        """Take the rest off the connection; whoever calls holds the lock."""
        if self._is_over or self._failure is not None:
            return
        if not self._is_wanted:
            while self._next() is not None:
                pass
            return
        with ExitStack() as unless_all_is_well:
            file = unless_all_is_well.enter_context(tempfile.TemporaryFile())
            with pa.ipc.new_stream(file, self._schema, options=_PARKED) as parked:
                while (batch := self._next()) is not None:
                    parked.write_batch(batch)
            file.seek(0)
            unless_all_is_well.pop_all()
            self._file = file

    def _taken(self) -> Iterator[pa.RecordBatch]:
        while True:
            with self._lock:
                batch = self._next()
            if batch is None:
                break
            yield batch
        if self._file is not None:
            with self._file as file, pa.ipc.open_stream(file) as parked:
                yield from parked

    def _let_go(self) -> None:
        self._is_wanted = False
        if self._file is not None:
            self._file.close()

    def _next(self) -> pa.RecordBatch | None:
        """Return the next batch of the connection; None behind the last one."""
        if self._failure is not None:
            raise self._failure
        if self._is_over:
            return None
        try:
            with self._failing():
                batch = next(self._batches, None)
        except Exception as error:
            self._failure = error  # rows would be missing if the next call said that there are no more
            raise
        self._is_over = batch is None
        return batch
