"""Logins: connections that are tried again for a while where nobody answers."""

import random
import time
from collections.abc import Callable
from typing import Protocol

from practicus_assets.sources.postgresql.answer import Answer
from practicus_assets.sources.postgresql.connection import Connection

_SHORTEST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 8.0


class Login(Protocol):
    """Where a database is and how to log in to it, as `PostgreSQL` says."""

    @property
    def address(self) -> str:
        """Where it is, without credentials."""

    @property
    def connect_attempts(self) -> int:
        """How often to connect where nobody answers."""

    @property
    def read_timeout_s(self) -> float | None:
        """How long the server may take for an answer; None for ever."""

    def conninfo(self) -> tuple[str, tuple[str, ...]]:
        """Return how libpq connects, and which texts of it no error may show."""


def connected(
    login: Login, prepare: Callable[[Connection], None], beside: Connection | None = None
) -> Connection:
    """Return a new connection.

    Args:
        login: where to and as whom.
        prepare: what begins its transaction.
        beside: an open connection to the same database, if there is one.

    Raises:
        Answer: nobody answers after some attempts, or the login is refused.
        DeclarationError: a credential is not there.

    """
    attempt = 1
    while True:
        try:
            return _connected(login, prepare, beside)
        except Answer as refused:
            if not refused.lost:
                raise
            if attempt >= login.connect_attempts:
                raise Answer(f"{refused.text} (attempt {attempt})", refused.sqlstate, lost=True) from None
        pause(attempt)
        attempt += 1


def pause(attempt: int) -> None:
    """Wait after a failed attempt: random, so that clients do not meet again, and ever longer."""
    longest = min(_SHORTEST_PAUSE_S * 2**attempt, _LONGEST_PAUSE_S)
    time.sleep(random.uniform(longest / 2, longest))  # noqa: S311 not cryptographic


def _connected(login: Login, prepare: Callable[[Connection], None], beside: Connection | None) -> Connection:
    connection = Connection(*login.conninfo(), login.read_timeout_s, beside)
    try:
        prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection
