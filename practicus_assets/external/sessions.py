"""Sessions of one process with the systems that its steps read, and the state that these sessions share."""

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
        readers: the number of streams that are read from it.

    """

    system: System
    session: Session
    step: str
    readers: int = 0


class Sessions:
    """Sessions with one place, all of which see the state of the first one where the system can share it.

    Args:
        address: where the system is.

    """

    def __init__(self, address: str) -> None:
        self._address = address
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
            for each in self._open:
                if each.system == system and (not each.readers or each.session.parallel):
                    each.readers, each.step = each.readers + 1, step
                    return each.session
            others = sorted(self._served - {step})
            if self._is_lost and others:
                raise SourceChanged(
                    f"the connection to {self._address} is lost that kept what {', '.join(others)} read.",
                    "Run all steps that read it again, together: only so they see one state.",
                )
            state = self._open[0].session.state if self._open else None
            session = system.session(state)
            session.__enter__()
            self._is_lost = False
            self._open.append(_Open(system, session, step, readers=1))
            return session

    def is_shared(self, session: Session) -> bool:
        """Whether a session sees what the first one sees."""
        return session.state is not None or any(each.session is session for each in self._open[:1])

    def give_back(self, session: Session) -> None:
        """Let others take a session, whose stream was read to its end."""
        with self._lock:
            for each in self._open:
                each.readers -= each.session is session

    def lose(self, session: Session) -> None:
        """Close a session that failed."""
        with self._lock:
            for each in [each for each in self._open if each.session is session]:
                self._is_lost = self._is_lost or each is self._open[0]
                self._close(each)

    def end_step(self, step: str, *, failed: bool, is_last: bool) -> None:
        """Close what a step opened beside the first session; the first one, too, if the step is the last."""
        with self._lock:
            if not failed and any(each.step == step for each in self._open):
                self._served.add(step)
            for each in self._open[0 if is_last else 1 :][::-1]:
                self._close(each)

    def close(self) -> None:
        """Close every session, the first one last."""
        with self._lock:
            for each in self._open[::-1]:
                self._close(each)

    def _close(self, each: _Open) -> None:
        self._open.remove(each)
        with suppress(Exception):  # what is read is read
            each.session.__exit__(None, None, None)
