"""Processes of splits: each split in one of its own, some at a time, and again alone if it dies."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection, reduction
from typing import Any

from practicus_assets.engines.answers import Work, answer, value_of
from practicus_assets.engines.limits import cores
from practicus_assets.engines.splits import Split
from practicus_assets.errors import WorkerCrashed
from practicus_assets.workers.launch import pod_memory
from practicus_assets.workers.launch.entrypoint import end_with_parent
from practicus_assets.workers.local.processes import process_context

TRIES = 3  # of one split; what its function raises is not tried again
_ENDS_S = 10  # of a process that has given its answer


@dataclass(frozen=True)
class _Run:
    split: Split
    number: int  # of the attempt, from 1
    process: Any


class SplitProcesses:
    """Runs splits in processes of their own.

    A split whose process dies is run again alone; after one that was killed, as the kernel does where memory
    runs out, half as many run at a time.

    Args:
        work: what a process does, a function of a module; what it returns is pickled.
        payload: what it is given beside its split.
        at_once: how many run at the same time; by default as many as this process has cores.
        done: called with each split and what it returned, in the order of their ends.
        warn: takes texts on splits that died.

    """

    def __init__(
        self,
        work: Work,
        payload: bytes,
        *,
        at_once: int | None,
        done: Callable[[Split, Any], None],
        warn: Callable[[str], None],
    ) -> None:
        self._work = work
        self._payload = payload
        self._at_once = at_once or cores()
        self._done = done
        self._warn = warn
        self._context = process_context()
        self._running: dict[connection.Connection, _Run] = {}
        self._kills = pod_memory.kills()

    def run(self, splits: Sequence[Split]) -> None:
        """Run them all; whatever ends this ends their processes.

        Raises:
            SplitFailed: with the first error of a split.
            WorkerCrashed: if one died so often that it is given up on.

        """
        waiting = deque((split, 1) for split in splits)
        try:
            while waiting or self._running:
                while waiting and len(self._running) < self._at_once:
                    self._start(*waiting.popleft())
                ends = {run.process.sentinel: receiver for receiver, run in self._running.items()}
                ready = set(connection.wait([*self._running, *ends]))
                for receiver in [r for end, r in ends.items() if end in ready or r in ready]:
                    again = self._ended(receiver)
                    if again is not None:
                        waiting.appendleft(again)
        finally:
            self.end()

    def end(self) -> None:
        """End the processes that still run, and wait until they have."""
        for run in self._running.values():
            run.process.kill()
        for receiver, run in self._running.items():
            run.process.join()
            receiver.close()
        self._running.clear()

    def _start(self, split: Split, number: int) -> None:
        receiver, sender = self._context.Pipe(duplex=False)
        # the server that forks it may have started before a variable of this process was set
        surroundings = _Surroundings(dict(os.environ), _Output())
        arguments = (self._work, self._payload, split, sender, surroundings)
        process = self._context.Process(target=_main, args=arguments, name=str(split))
        process.start()
        self._running[receiver] = _Run(split, number, process)
        sender.close()

    def _ended(self, receiver: connection.Connection) -> tuple[Split, int] | None:
        """Take what a process has to say; return its split and the number of its next attempt if it died."""
        run = self._running[receiver]
        try:
            content = receiver.recv_bytes() if receiver.poll() else None
        except (EOFError, OSError):
            content = None
        if content is not None:
            run.process.join(_ENDS_S)
        run.process.kill()  # one that has closed its end without a word, or that a thread of the author keeps
        run.process.join()
        code = run.process.exitcode
        del self._running[receiver]
        receiver.close()
        if content is None:
            return self._died(run, code)
        self._done(run.split, value_of(content))
        return None

    def _died(self, run: _Run, code: int) -> tuple[Split, int]:
        killed = code == -signal.SIGKILL
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        if run.number == TRIES:
            self.end()
            pod_memory.end_if_killed(code, self._kills)
            advice = "The kernel does so when memory runs out: more splits, or a smaller at_once, need less."
            raise WorkerCrashed(
                f"{run.split}: its process {how} in the last of {TRIES} attempts.", advice * killed
            )
        if killed:
            self._at_once = max(1, self._at_once // 2)
        self._warn(
            f"{run.split}: its process {how} in attempt {run.number} of {TRIES}; it runs again, "
            f"and {self._at_once} at a time"
        )
        return run.split, run.number + 1


class _Output:
    """The standard output and error of this process, where they are now: a server forks the others."""

    def __reduce__(self) -> Any:
        return _redirected, (reduction.DupFd(1), reduction.DupFd(2))


def _redirected(*outputs: Any) -> None:
    for target, output in enumerate(outputs, start=1):
        source = output.detach()
        os.dup2(source, target)
        os.close(source)


@dataclass(frozen=True)
class _Surroundings:
    environment: Mapping[str, str] = field(repr=False)
    output: _Output | None  # taken over while this is unpickled


def _main(
    work: Work, payload: bytes, split: Split, sender: connection.Connection, surroundings: "_Surroundings"
) -> None:
    threading.Thread(target=end_with_parent, daemon=True).start()
    os.environ.update(surroundings.environment)
    sender.send_bytes(answer(work, payload, split))
    sender.close()
