"""Systems: where tables are that others own, and sessions with them."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import ClassVar, Self


class System(ABC):
    """A database, or a store of files. It is declared with the code, and holds no connection.

    Its `repr` and its errors show `address`, and never a credential.
    """

    kind: ClassVar[str]
    """The kind as Dagster's UI spells it, e.g. "postgresql"."""

    shares_state: ClassVar[bool] = True
    """Whether one session can read what another one reads, by its `state`."""

    @property
    @abstractmethod
    def address(self) -> str:
        """Where it is, without credentials, e.g. `postgresql://db:5432/shop`."""

    @property
    def pool(self) -> str | None:
        """The Dagster pool that bounds the steps which read it at once; None if they need no bound."""
        return None

    @abstractmethod
    def session(self, state: str | None = None) -> "Session":
        """Return a session, which connects when it is entered.

        Args:
            state: the `state` of another session that is open, to read just what that one reads.

        """


class Session(ABC):
    """An open connection whose reads all see one state of the system, where it can; a context manager.

    Attributes:
        state: by which further sessions read the same state (PostgreSQL: an exported snapshot), as long as
            this one is open; None if the system has no such thing.
        parallel: whether several streams of this session may be read side by side.

    """

    state: str | None = None
    parallel: ClassVar[bool] = False

    @abstractmethod
    def __enter__(self) -> Self:
        """Connect, and try again for a while where the connection is refused or lost.

        Raises:
            SourceFailed: the system cannot be reached, or refuses the login.
            SourceChanged: the state to read is gone.

        """

    @abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
