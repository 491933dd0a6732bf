"""Writers in processes of their own, which can be killed, paused and given a defect.

They are forked from a server that has imported everything and used nothing, so that hundreds start quickly.
"""

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from practicus_assets.lake.transactions.landing import Landing
from tests.faults.defects import DEFECTS, Defect
from tests.faults.work import Attempted, Outcome, Place, attempt

_TIMEOUT_S = 120
_TESTS = Path(__file__).parents[1]

Pause = Literal["", "before the commit"]


class Writer:
    """One attempt in a process, which begins when it is told to.

    Args:
        work, place: what to do where.
        pause: where the process stops itself (SIGSTOP), until `resume`.
        defects: what is broken in it, on purpose.

    """

    def __init__(
        self, work: Attempted, place: Place, *, pause: Pause = "", defects: Sequence[Defect] = ()
    ) -> None:
        self._gate, theirs = _context().Pipe()
        self._process = _context().Process(
            target=_write, args=(work, place, theirs, pause, defects), daemon=True
        )
        self._process.start()
        theirs.close()
        assert self._gate.recv() == "ready"

    @property
    def pid(self) -> int:
        """The process."""
        return int(self._process.pid)

    def go(self) -> None:
        """Let the attempt begin."""
        self._gate.send("go")

    def kill(self) -> None:
        """Kill the process, wherever it is."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def wait_until_paused(self) -> None:
        """Return once the process has stopped itself, or ended."""
        deadline = time.monotonic() + _TIMEOUT_S
        while time.monotonic() < deadline and not self._gate.poll():
            with contextlib.suppress(FileNotFoundError):
                if "\nState:\tT" in Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8"):
                    return
            time.sleep(0.002)

    def resume(self) -> None:
        """Let a process that has stopped itself go on."""
        os.kill(self.pid, signal.SIGCONT)

    def ended(self) -> Outcome | None:
        """Return how the attempt ended; None if it was killed."""
        try:
            if not self._gate.poll(_TIMEOUT_S):
                return Outcome("raised", -1, "TimeoutError", f"no end after {_TIMEOUT_S} s", ours=False)
            outcome: Outcome = self._gate.recv()
        except (EOFError, ConnectionError):
            return None
        finally:
            self._process.join(1)
            self.kill()
        return outcome


def race(
    works: Sequence[Attempted],
    place: Place,
    *,
    all_begun: bool = False,
    beside: AbstractContextManager[object] | None = None,
    defects: Sequence[Defect] = (),
) -> list[Outcome]:
    """Let attempts begin at the same moment, each in its process.

    Args:
        works, place: what to do where.
        all_begun: whether all have begun and staged their rows before any commits.
        beside: what goes on while they commit.
        defects: what is broken in the processes.

    """
    pause: Pause = "before the commit" if all_begun else ""
    writers = [Writer(work, place, pause=pause, defects=defects) for work in works]
    for writer in writers:
        writer.go()
    if all_begun:
        for writer in writers:
            writer.wait_until_paused()
    with beside or contextlib.nullcontext():
        for writer in writers if all_begun else ():
            writer.resume()
        ended = [writer.ended() for writer in writers]
    assert None not in ended, "a process died"
    return [outcome for outcome in ended if outcome is not None]


def _context() -> Any:
    os.environ["PYTHONPATH"] = os.pathsep.join([str(_TESTS.parent)])  # for the server
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.writer", "pyarrow.parquet", "pandas"])
    return context


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _write(work: Attempted, place: Place, gate: Connection, pause: Pause, defects: Sequence[Defect]) -> None:
    for defect in defects:
        DEFECTS[defect](setattr)
    if pause:
        swap = Landing._commit

        def stopping(*arguments: Any) -> None:
            Landing._commit = swap  # type: ignore[method-assign] # it stops once
            _stop()
            swap(*arguments)

        Landing._commit = stopping  # type: ignore[assignment,method-assign]
    gate.send("ready")
    gate.recv()
    gate.send(attempt(work, place))
