"""What the steps of a run read, in one process: their sessions and slots, from the first read to the end."""

import threading
from collections.abc import Collection, Mapping
from typing import Any

from practicus_assets.assets.runs import at_end
from practicus_assets.external.declaration import Declaration
from practicus_assets.external.sessions import Sessions
from practicus_assets.external.slots import Slots
from practicus_assets.sources.system import System
from practicus_assets.workers.launch.held import held

Readers = Mapping[str, Collection[System]]
"""The systems that each step of this process reads, by the step's key."""

_of_runs: dict[str, "Reads"] = {}
_lock = threading.Lock()


class StepReads:
    """What one step reads, until it ends.

    Args:
        key: the step's key.
        shared: the sessions of all steps of the run in this process, by address.
        slots: the slots that the step holds; None outside of a run.

    """

    def __init__(self, key: str, shared: dict[str, Sessions], slots: Slots | None) -> None:
        self.key = key
        self._shared = shared
        self._own: dict[str, Sessions] = {}
        self._slots = slots

    def sessions(self, declaration: Declaration) -> Sessions:
        """Return the sessions by which to read a source.

        Raises:
            PracticusAssetsError: if the run's process was to keep a state for its steps, and cannot.

        """
        address = declaration.relation.system.address
        if declaration.consistent == "step":
            return self._own.setdefault(address, Sessions(address))
        if address not in self._shared:
            self._shared[address] = Sessions(address, held(address))
        return self._shared[address]

    def end(self, *, failed: bool, later: Collection[str] = ()) -> None:
        """Close what no later step of this process needs, and let other steps have the slots.

        Args:
            failed: whether the step failed, and wrote nothing of what it read.
            later: the addresses that later steps read.

        """
        for address, sessions in self._shared.items():
            sessions.end_step(self.key, failed=failed, keeps_first=address in later)
        for sessions in self._own.values():
            sessions.close()
        if self._slots is not None:
            self._slots.free()


class Reads:
    """What one process reads for the steps of one run.

    Attributes:
        users: how many readers of sources use it.

    """

    def __init__(self) -> None:
        self.users = 0
        self._sessions: dict[str, Sessions] = {}
        self._step: StepReads | None = None
        self._ended: set[str] = set()
        self._readers: Readers = {}

    @classmethod
    def of_run(cls, run_id: str | None) -> "Reads":
        """Return what this process reads for a run, for one more user; outside of one, for it alone."""
        with _lock:
            reads = cls() if run_id is None else _of_runs.setdefault(run_id, cls())
            reads.users += 1
            return reads

    def leave(self) -> None:
        """Close whatever is open, if this was the last user."""
        with _lock:
            self.users -= 1
            if self.users:
                return
            for run_id in [run_id for run_id, reads in _of_runs.items() if reads is self]:
                del _of_runs[run_id]
        self._end_step(failed=False)
        for sessions in self._sessions.values():
            sessions.close()

    def of_step(self, step: Any, readers: Readers) -> StepReads:
        """Return what a step reads; when it begins, it waits for its slots.

        Any other step of the run has ended by now: one process runs them one after the other.

        Args:
            step: Dagster's context of the step; None outside of a run.
            readers: the systems that each step of this process reads.

        """
        key = step.step.key if step is not None else ""
        if self._step is not None and self._step.key == key:
            return self._step
        self._end_step(failed=False)
        self._readers = readers
        self._ended.discard(key)
        slots = None
        if step is not None:
            slots = Slots(step, [system.pool for system in readers.get(key, ()) if system.pool is not None])
            slots.claim()
            at_end(step, self._end_step)
        self._step = StepReads(key, self._sessions, slots)
        return self._step

    def _end_step(self, *, failed: bool) -> None:
        step, self._step = self._step, None
        if step is None:
            return
        self._ended.add(step.key)
        later = {
            system.address
            for key, systems in self._readers.items()
            if key not in self._ended
            for system in systems
        }
        step.end(failed=failed, later=later)
