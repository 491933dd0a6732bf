"""Work that splits do, and that dies at a chosen moment: a split, or the process that started them."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pyarrow as pa

from practicus_assets.engines.parcels import packed, unpacked
from practicus_assets.engines.processes import SplitProcesses
from practicus_assets.engines.splits import Split
from practicus_assets.lake.transactions.stage.staged import Staged
from tests.faults.work import Outcome, Place, Work, attempt
from tests.servers.server import HANGS_S

COUNT = 3
MOMENTS = (
    "the parent, before any split",
    "the parent, after 1 split",
    "the parent, after 2 splits",
    "the parent, before its commit",
    "the parent, while a split stages",
    "the parent, when a split has staged",
    "a split, before it stages",
    "a split, when it has staged",
)


@dataclass(frozen=True)
class SplitWork(Work):
    """Work whose rows several splits stage.

    Attributes:
        dies: the moment at which a process of its first attempt dies; empty for none.
        mark: a file that is there once the split that is to die has, or that stops it if it is "stop".

    """

    dies: str = ""
    mark: str = ""

    def again(self) -> "SplitWork":
        """Return the next attempt, in which nothing dies."""
        return replace(self, attempt=self.attempt + 1, dies="")

    def carry_out(self, place: Place) -> int:
        """Make the attempt; return the version that it committed."""
        transaction = self.begin(place)
        if transaction.landed is not None:
            return transaction.landed.version
        parts: list[Staged] = []

        def done(_: Split, part: Staged) -> None:
            parts.append(part)
            self.die_at(f"the parent, after {len(parts)} split{'s' * (len(parts) > 1)}")

        self.die_at("the parent, before any split")
        payload = packed((transaction, self), {})
        SplitProcesses(stage, payload, at_once=2, done=done, warn=lambda _: None).run(
            [Split(index, COUNT) for index in range(COUNT)]
        )
        self.die_at("the parent, before its commit")
        return transaction.commit(*parts).version

    def die_at(self, moment: str, end: Callable[[], None] = lambda: _kill(os.getpid())) -> None:
        """Die if this is the moment."""
        if self.dies == moment:
            end()

    def stage(self, transaction: Any, split: Split) -> Staged:
        """Stage a split's rows, in its process."""
        data = self.data().read_all()
        own = data.take(pa.array(range(split.index, data.num_rows, split.count), pa.int64()))
        if split.index == 1:
            self.die_at("a split, before it stages", self._once)
            self.die_at("a split stops", self._stop_once)
            self.die_at("the parent, while a split stages", _kill_parent)
        part: Staged = transaction.stage(own, part=str(split))
        if split.index == 1:
            self.die_at("a split, when it has staged", self._once)
            self.die_at("the parent, when a split has staged", _kill_parent)
        return part

    def _once(self) -> None:
        if not Path(self.mark).exists():
            Path(self.mark).touch()
            _kill(os.getpid())

    def _stop_once(self) -> None:
        Path(self.mark).write_text(str(os.getpid()), encoding="ascii")
        os.kill(os.getpid(), signal.SIGSTOP)


def stage(payload: bytes, split: Split) -> Staged:
    """Do what the process of a split does."""
    transaction, work = unpacked(payload, {})
    return work.stage(transaction, split)  # type: ignore[no-any-return] # of unpacked values


class Parent:
    """The process that starts splits, audits and commits."""

    def __init__(self, work: SplitWork, place: Place) -> None:
        context = multiprocessing.get_context("forkserver")
        self._answer, theirs = context.Pipe(duplex=False)
        self.process = context.Process(target=_attempt, args=(work, place, theirs))  # it has children
        self.process.start()
        theirs.close()

    def ended(self) -> Outcome | None:
        """Return how the attempt ended; None if it was killed."""
        try:
            assert self._answer.poll(HANGS_S), "the parent hangs"
            outcome: Outcome = self._answer.recv()
        except (EOFError, ConnectionError):
            return None
        finally:
            self.process.join(HANGS_S)
        return outcome


def _attempt(work: SplitWork, place: Place, answer: Connection) -> None:
    answer.send(attempt(work, place))


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def _kill_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    assert parent.pid is not None
    _kill(parent.pid)
    parent.join()
