"""Writers in processes of their own, which can be killed, paused and given a defect.

They are forked from a server that has imported everything and used nothing, so that hundreds start quickly.
"""

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from faults.defects import DEFECTS, Defect
from faults.work import Outcome, Place, Work, attempt
from practicus_assets.lake.commit import Committer

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
        self, work: Work, place: Place, *, pause: Pause = "", defects: Sequence[Defect] = ()
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
        assert self._process.pid is not None
        return self._process.pid

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
                self.kill()
                return Outcome("raised", "TimeoutError", f"no end after {_TIMEOUT_S} s", ours=False)
            outcome: Outcome = self._gate.recv()
        except (EOFError, ConnectionError):
            return None
        finally:
            self._process.join(_TIMEOUT_S)
        return outcome


def _context() -> Any:
    os.environ["PYTHONPATH"] = os.pathsep.join([str(_TESTS), str(_TESTS.parent)])  # for the server
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["faults.writer", "pyarrow.parquet", "pandas"])
    return context


def _write(work: Work, place: Place, gate: Connection, pause: Pause, defects: Sequence[Defect]) -> None:
    for defect in defects:
        DEFECTS[defect](setattr)
    if pause:
        swap = Committer._swap

        def stopping(*arguments: Any) -> None:
            os.kill(os.getpid(), signal.SIGSTOP)
            swap(*arguments)

        Committer._swap = stopping  # type: ignore[method-assign]
    gate.send("ready")
    gate.recv()
    gate.send(attempt(work, place))
