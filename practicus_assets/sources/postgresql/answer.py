"""Answers: why PostgreSQL, or the connection to it, did not do what it was asked for."""

import re
from collections.abc import Iterable

from practicus_assets.redaction import SHORTEST_SECRET

# SQLSTATEs: connection exceptions, shutdown, crash, startup, and sessions that were idle for too long
LOST_STATES = ("08", "57P01", "57P02", "57P03", "57P05", "25P03")
_LOST = re.compile(
    r"server closed the connection|connection to server was lost|no connection to the server"
    r"|PQgetCopyData\(\) failed|SSL (SYSCALL|connection|error)|terminating connection"
    r"|Connection (reset|timed out|refused)|could not (receive|send) data|Broken pipe|timeout expired"
    r"|could not translate host name|Network is unreachable|No route to host|Host is down"
    r"|the database system is (starting up|shutting down|not yet accepting|in recovery mode)"
    r"|sorry, too many clients|remaining connection slots|too many connections",
    re.IGNORECASE,
)
# what libpq finds wrong in an address before it connects: its text repeats parts of it
_UNREADABLE = re.compile(
    r"percent-encoded|invalid URI|invalid connection option|missing .* in connection|unterminated quoted|URI",
    re.IGNORECASE,
)
_PREFIX = re.compile(
    r"^\s*[A-Z_]+: |\[libpq\]|Execution error \[\w+\]:|Failed to (prepare|execute) query( '.*?')?:"
    r"|could not begin COPY:|PQgetCopyData\(\) failed:|Failed to connect:|ReadRecord failed at row \d+:"
    r"|\b(ERROR|FATAL|PANIC):\s",
    re.DOTALL,
)
_HIDDEN = "***"


class Answer(Exception):
    """What was answered instead of rows.

    Attributes:
        text: the message, in one line, without the statement and without secrets.
        sqlstate: PostgreSQL's code of it; empty if the connection knows none.
        lost: whether the connection is gone, or could not be made for now; the same may succeed later.

    """

    def __init__(self, text: str, sqlstate: str = "", *, lost: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.sqlstate = sqlstate
        self.lost = lost


def answer(error: BaseException, secrets: Iterable[str] = ()) -> Answer:
    """Return what an error of the driver says.

    Args:
        error: the driver's error.
        secrets: texts that must not be shown.

    """
    details = dict(getattr(error, "details", None) or ())
    sqlstate = getattr(error, "sqlstate", None) or ""
    whole = str(error)
    lost = sqlstate.startswith(LOST_STATES) or (not sqlstate and bool(_LOST.search(whole)))
    primary = details.get(b"PG_DIAG_MESSAGE_PRIMARY") or details.get("PG_DIAG_MESSAGE_PRIMARY")
    text = primary.decode("utf-8", "replace") if isinstance(primary, bytes) else primary or _message(whole)
    if not sqlstate and not lost and _UNREADABLE.search(whole):
        return Answer("libpq cannot read the URL or the parameters of the connection")
    if not text:  # libpq has nothing to say of a connection that it found closed
        return Answer("the connection was closed", sqlstate, lost=True)
    for secret in secrets:
        text = text.replace(secret, _HIDDEN) if len(secret) >= SHORTEST_SECRET else text
    return Answer(text, sqlstate, lost=lost)


def _message(text: str) -> str:
    """Return the driver's message without its own words and without the statement."""
    message = _PREFIX.sub(" ", text.split("\nQuery was:", maxsplit=1)[0])
    message = message.split("\nLINE ")[0]
    message = re.sub(r"SQLSTATE: \w{5}\s*$", "", message)
    return " ".join(message.split()).rstrip(".")
