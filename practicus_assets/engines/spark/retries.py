"""Retries of a client: while its server on this machine runs, and of answers that it could not read."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql.connect.client.retries import DefaultPolicy, RetryPolicy

    from practicus_assets.engines.spark.server import Server

UNREAD = "Exception deserializing response!"  # what gRPC says of an answer that is no message of the protocol
_READ_AGAIN = 3


def while_running(server: "Server") -> "DefaultPolicy":
    """Return the client's own policy, which ends with the server; it would go on for ten minutes."""
    from pyspark.sql.connect.client.retries import DefaultPolicy  # noqa: PLC0415 the extra spark

    class WhileRunning(DefaultPolicy):
        def can_retry(self, exception: BaseException) -> bool:
            return not server.end_of() and bool(super().can_retry(exception))

    return WhileRunning(max_backoff=1000)


def reading_again() -> "RetryPolicy":
    """Return a policy for answers that could not be read: it asks again, but for those of queries.

    A stream of a query's rows cannot be asked for twice: Sail has forgotten it ("task context not found").
    """
    from pyspark.sql.connect.client.retries import RetryPolicy  # noqa: PLC0415 the extra spark

    class ReadingAgain(RetryPolicy):
        def can_retry(self, exception: BaseException) -> bool:
            is_stream = hasattr(exception, "__next__")  # the error of a stream is the stream itself
            return UNREAD in str(exception) and not is_stream

    return ReadingAgain(max_retries=_READ_AGAIN, initial_backoff=100)


@contextmanager
def unread() -> Iterator[list[str]]:
    """Yield why answers could not be read, one after the other: gRPC says it to its log alone."""
    reasons: list[str] = []

    class Reasons(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            error = record.exc_info[1] if record.exc_info else None
            if error is not None:
                reasons.append(f"{type(error).__name__}: {error}")

    log, handler = logging.getLogger("grpc._common"), Reasons()
    log.addHandler(handler)
    try:
        yield reasons
    finally:
        log.removeHandler(handler)
