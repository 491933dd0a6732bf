"""Key hashes: those of many rows, to find the ones that come twice; very many lie sorted on the disk."""

import os
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any, Literal
from weakref import WeakValueDictionary, finalize

import numpy as np

from practicus_assets.errors import StoreFailed
from practicus_assets.lake.rows.fingerprints.hashes import Hashes

_IN_MEMORY = 1 << 22  # hashes of 8 bytes; once there are more they are sorted, and written as one run
_SENT = 1 << 19  # of those that another process sent, which has others beside it
_AT_ONCE = 1 << 21  # hashes of all runs that are held against each other
_BUCKETS = 1 << 12  # parts of a run, by the first bits of its hashes
_BITS = np.uint64(52)  # the other ones
_WIDTH = 8  # bytes of a hash
_SLICE = 1 << 26  # bytes that are written at once


class KeyHashes:
    """Hashes, of which a bounded number is in memory. Several threads may add some at the same time.

    Further ones go to a temporary file without a name, which the system removes as soon as the process ends,
    however it ends. It lies where Python's `tempfile` has it, which TMPDIR says.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: list[Hashes] = []
        self._count = 0  # of those that wait
        self._is_sorted = False  # whether they are one array, in order
        self._runs: list[_Run] = []

    def add(self, hashes: Hashes) -> None:
        """Add the hashes of some rows; raises StoreFailed if the disk is full or failing."""
        self._add([hashes], _IN_MEMORY)

    def take_in(self, other: "KeyHashes") -> None:
        """Add the hashes of others, which keep theirs; raises StoreFailed as `add` does."""
        with other._lock:  # noqa: SLF001 of the same class
            waiting, runs = list(other._waiting), list(other._runs)  # noqa: SLF001
        with self._lock:
            self._runs += runs
        for hashes in waiting:
            self.add(hashes)

    def sort(self) -> None:
        """Sort what is in memory, which `twice` does otherwise: for whoever has time before it."""
        with self._lock:
            if not self._is_sorted:
                self._waiting, self._is_sorted = [_sorted(self._waiting)], True

    def twice(self) -> Iterator[Hashes]:
        """Yield the hashes that were added more than once, each one once, in ascending order.

        Raises:
            StoreFailed: if the disk is full or failing.

        """
        if self._runs:
            self._add([], 0)
        self.sort()
        yield _doubled(self._waiting[0])
        sizes = sum((np.diff(run.starts) for run in self._runs), np.zeros(_BUCKETS, dtype=np.int64))
        first = 0
        while self._runs and first < _BUCKETS:
            fitting = int(np.searchsorted(np.cumsum(sizes[first:]), _AT_ONCE, side="right"))
            last = first + max(fitting, 1)
            yield _doubled(_sorted([run.read(first, last) for run in self._runs], "stable"))
            first = last

    def _add(self, further: list[Hashes], most: int) -> None:
        """Add hashes, and write all that wait if they are more than so many."""
        with self._lock:
            self._waiting += further
            self._count += sum(map(len, further))
            self._is_sorted = False
            if self._count <= most:
                return
            full, self._waiting, self._count = self._waiting, [], 0
        run = _run(full)
        with self._lock:
            self._runs.append(run)

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            parts = [*self._waiting, *(run.read(0, _BUCKETS) for run in self._runs)]
        return {"hashes": np.concatenate(parts) if parts else np.empty(0, dtype=np.uint64)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        KeyHashes.__init__(self)
        self._add([state["hashes"]], _SENT)


class _Disk:
    """A temporary file of this process, for all hashes that it has at one time."""

    def __init__(self) -> None:
        with _on_disk():
            file = tempfile.TemporaryFile(prefix="practicus-assets-", buffering=0)  # noqa: SIM115 by finalize
        finalize(self, file.close)
        self._descriptor = file.fileno()
        self._lock = Lock()
        self._end = 0
        self._free: dict[int, int] = {}  # how many bytes are free from where
        # as a run is forgotten, which may be while the lock is held
        self._forgotten: deque[tuple[int, int]] = deque()

    def forget(self, begin: int, size: int) -> None:
        """Take back the room of a run, before the next one is written."""
        if size:
            self._forgotten.append((begin, size))

    def _room(self, size: int) -> int:
        """Return where so many bytes are free: in the first gap that has them, or at the end."""
        while self._forgotten:
            begin, freed = self._forgotten.popleft()
            self._free[begin] = freed
        gaps: dict[int, int] = {}
        last = 0
        for begin, freed in sorted(self._free.items()):
            if gaps and last + gaps[last] == begin:
                gaps[last] += freed
            else:
                gaps[begin], last = freed, begin
        if gaps and last + gaps[last] == self._end:
            self._end -= gaps.pop(last)
            os.ftruncate(self._descriptor, self._end)
        begin = next((begin for begin, freed in gaps.items() if freed >= size), self._end)
        left = gaps.pop(begin, 0) - size
        if left > 0:
            gaps[begin + size] = left
        self._free, self._end = gaps, max(self._end, begin + size)
        return begin

    def write(self, hashes: Hashes) -> int:
        """Write hashes where there is room, and return where they begin."""
        with self._lock, _on_disk():
            begin = self._room(hashes.nbytes)
        left, at = hashes.view(np.uint8).data, begin
        try:
            with _on_disk():
                while left:
                    written = os.pwrite(self._descriptor, left[:_SLICE], at)
                    left, at = left[written:], at + written
        except BaseException:
            self.forget(begin, hashes.nbytes)
            raise
        return begin

    def read(self, begin: int, count: int) -> Hashes:
        """Return so many hashes from where some begin."""
        hashes = np.empty(count, dtype=np.uint64)
        left, at = hashes.view(np.uint8).data, begin
        with _on_disk():
            while left:
                read = os.preadv(self._descriptor, [left[:_SLICE]], at)
                if not read:
                    raise OSError("a part of the file is gone")
                left, at = left[read:], at + read
        return hashes


@dataclass(frozen=True)
class _Run:
    """Sorted hashes on the disk.

    Attributes:
        disk: the file.
        begin: the byte where they begin.
        starts: the number of the first hash of each bucket, and that of all.

    """

    disk: _Disk
    begin: int
    starts: np.ndarray[Any, np.dtype[np.int64]]

    def read(self, first: int, last: int) -> Hashes:
        """Return the hashes of some buckets, from the first to the one before the last."""
        start, end = int(self.starts[first]), int(self.starts[last])
        return self.disk.read(self.begin + start * _WIDTH, end - start)


_DISKS: WeakValueDictionary[int, _Disk] = WeakValueDictionary()  # by the process, for one may be a copy
_DISKS_LOCK = Lock()


def _run(hashes: list[Hashes]) -> _Run:
    """Write hashes as one run; of those that come often, two are enough."""
    run = _sorted(hashes)
    hashes.clear()
    thirds = run[2:] == run[:-2]
    if thirds.any():
        run = run[np.concatenate([[True, True], ~thirds])]
    buckets = np.arange(_BUCKETS, dtype=np.uint64) << _BITS
    starts = np.append(np.searchsorted(run, buckets), len(run)).astype(np.int64)
    with _DISKS_LOCK:
        disk = _DISKS.get(os.getpid())
        if disk is None:
            disk = _DISKS[os.getpid()] = _Disk()
    written = _Run(disk, disk.write(run), starts)
    finalize(written, disk.forget, written.begin, run.nbytes).atexit = False
    return written


def _sorted(parts: list[Hashes], kind: Literal["quicksort", "stable"] = "quicksort") -> Hashes:
    """Return hashes in order; "stable" is faster for parts that are sorted."""
    hashes = np.concatenate([np.empty(0, dtype=np.uint64), *parts])
    hashes.sort(kind=kind)
    return hashes


def _doubled(hashes: Hashes) -> Hashes:
    """Return the hashes that come more than once, of sorted ones."""
    return np.unique(hashes[1:][hashes[1:] == hashes[:-1]])


@contextmanager
def _on_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        folder = tempfile.tempdir or "for temporary files"
        raise StoreFailed(
            f"the hashes of unique keys cannot be kept in the folder {folder}: {error.strerror or error}.",
            "They take 8 bytes a row and unique key: give the worker more local disk, or set TMPDIR to a "
            "folder that has room.",
        ) from None  # what reads files meanwhile would take the cause for one of theirs
