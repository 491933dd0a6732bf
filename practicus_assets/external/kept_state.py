"""A state that the process of a run keeps for its steps, which are processes of their own."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from practicus_assets.errors import PracticusAssetsError, SourceChanged
from practicus_assets.sources.relation import Relation
from practicus_assets.sources.system import Session, System


class KeptState:
    """A session that is open only so that others can read what it sees.

    Args:
        system: the system.
        relations: what the steps of the run read there.

    Attributes:
        text: the state; None if there is none to read.

    Raises:
        SourceFailed: if the system cannot be reached.

    """

    def __init__(self, system: System, relations: Sequence[Relation[Any]]) -> None:
        self._system, self._relations = system, relations
        self._session: Session | None = system.session().__enter__()
        try:
            if self._session.state is None:  # a store of files has a state once something was looked at
                self._look_at(self._session)
            self.text = self._session.state
        except BaseException:
            self.close()
            raise

    def is_open(self) -> bool:
        """Whether the state is still there, as far as can be known: a system that is away may come back."""
        try:
            with self._system.session(self.text) as session:
                self._look_at(session)
        except SourceChanged:
            return False
        except PracticusAssetsError:
            return True
        return True

    def close(self) -> None:
        """Close the session."""
        session, self._session = self._session, None
        if session is not None:
            with suppress(Exception):  # it may be lost
                session.__exit__(None, None, None)

    def _look_at(self, session: Session) -> None:
        for relation in self._relations:
            relation.schema(session)
