"""Sessions of one process with one place, all of which see the state of the first one."""

import threading
from contextlib import suppress
from dataclasses import dataclass

from practicus_assets.errors import SourceChanged
from practicus_assets.sources.system import Session, System


@dataclass
class _Open:
    """A session that is open.

    Attributes:
        system: its system.
        session: the session.
        step: the step that took it last.
        streams: the number of streams that are read from it.
        is_doubted: whether it has failed, so that its state may be gone.

    """

    system: System
    session: Session
    step: str
    streams: int = 0
    is_doubted: bool = False


class Sessions:
    """Sessions that see the state of the first one, where the system can share it.

    Args:
        address: where the system is.
        state: the state of a session in another process, which the first one here is to see; None for what
            is newest.

    """

    def __init__(self, address: str, state: str | None = None) -> None:
        self._address = address
        self._state = state
        self._open: list[_Open] = []
        self._served: set[str] = set()
        self._is_lost = False
        self._lock = threading.RLock()

    def take(self, system: System, step: str) -> Session:
        """Return an open session to read from; it is to be given back.

        Args:
            system: the system.
            step: the key of the step that reads.

        Raises:
            SourceFailed: if the system cannot be reached.
            SourceChanged: if the state that other steps have read is gone.

        """
        with self._lock:
            self._settle_doubts()
            for each in self._open:
                if each.system == system and (not each.streams or each.session.parallel):
                    each.streams, each.step = each.streams + 1, step
                    return each.session
            others = sorted(self._served - {step})
            if self._is_lost and others:
                raise SourceChanged(
                    f"the state of {self._address} that {', '.join(others)} read is gone.",
                    "Run all steps that read it again, together: only so they see one state.",
                )
            session = self._entered(system)
            self._is_lost = False
            self._open.append(_Open(system, session, step, streams=1))
            return session

    def _entered(self, system: System) -> Session:
        if self._state is None:
            session = system.session(self._open[0].session.state if self._open else None)
            return session.__enter__()
        try:
            return system.session(self._state).__enter__()
        except SourceChanged as error:
            raise SourceChanged(
                f"the state of {self._address} that the process of this run kept for its steps is gone: "
                f"{error.problem}",
                "Run all steps that read it again, together: only so they see one state.",
            ) from error

    def is_first(self, session: Session) -> bool:
        """Whether all others see what this session sees."""
        return any(each.session is session for each in self._open[:1])

    def give_back(self, session: Session) -> None:
        """Let others take a session, whose stream was read to its end."""
        with self._lock:
            for each in self._open:
                each.streams -= each.session is session

    def doubt(self, session: Session) -> None:
        """Take note that a session failed; whoever takes one next finds out whether its state is gone."""
        with self._lock:
            for each in self._open:
                each.is_doubted = each.is_doubted or each.session is session

    def lose(self, session: Session) -> None:
        """Close a session whose state is gone."""
        with self._lock:
            for each in [each for each in self._open if each.session is session]:
                self._is_lost = self._is_lost or each is self._open[0]
                self._close(each)

    def _settle_doubts(self) -> None:
        """Close the sessions that failed, but the first one where others can still read its state."""
        for each in [each for each in self._open if each.is_doubted]:
            each.is_doubted = False
            if each is not self._open[0] or each.session.state is None:
                self.lose(each.session)
                continue
            try:
                with each.system.session(each.session.state):
                    each.streams += not each.session.parallel  # nobody reads from itself any more
            except SourceChanged:
                self.lose(each.session)

    def end_step(self, step: str, *, failed: bool, keeps_first: bool) -> None:
        """Close the sessions at a step's end; the first one stays for further steps if it is kept."""
        with self._lock:
            if not failed and any(each.step == step for each in self._open):
                self._served.add(step)
            for each in self._open[1 if keeps_first else 0 :][::-1]:
                self._close(each)
            for each in self._open:
                each.streams = 0 if each.session.parallel else each.streams

    def close(self) -> None:
        """Close every session, the first one last."""
        with self._lock:
            for each in self._open[::-1]:
                self._close(each)

    def _close(self, each: _Open) -> None:
        self._open.remove(each)
        with suppress(Exception):  # what is read is read
            each.session.__exit__(None, None, None)
