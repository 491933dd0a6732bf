"""Dagster Pipes: what a task that speaks it is told, and what it reported."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import dagster as dg
from dagster._check import CheckError

from practicus_assets.errors import TaskFailed

PROTOCOL_VERSION = "__dagster_pipes_version"  # the field with which each message begins
_SAID_HERE = "[pipes] did not receive"  # how Dagster's warnings of silence begin


class Pipes:
    """The Pipes session of one attempt at a task. A task that opens none just runs.

    Attributes:
        variables: the environment variables by which a task finds it; what it is told lies in files, for an
            environment variable holds 128 KiB.
        reports: what the task reported; complete once the session is over.

    """

    def __init__(self, session: dg.PipesSession, log: Any) -> None:
        self._log = log
        self._handler = session.message_handler
        self.variables: Mapping[str, str] = session.get_bootstrap_env_vars()
        self.reports: Sequence[dg.MaterializeResult[Any] | dg.AssetCheckResult] = ()

    def take(self, line: bytes) -> bool:
        """Take a line of output that may be a message; return whether it was one, and warn of a wrong one."""
        try:
            self._handler.handle_message(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, dg.DagsterError, CheckError) as error:
            self._log.warning("a line of output is no message of Dagster Pipes: %s", error)
            return False
        return True

    def refuse_unclosed(self) -> None:
        """Raise TaskFailed if the task opened its session and ended without closing it."""
        if self._handler.received_opened_message and not self._handler.received_closed_message:
            raise TaskFailed(
                "the task opened a session of Dagster Pipes and ended without closing it: what it reported "
                "may not be all.",
                "Write with open_dagster_pipes() as pipes: around what it does.",
            )


@contextmanager
def pipes_session(
    context: dg.AssetExecutionContext, extras: dict[str, Any], *, by_files: bool = True
) -> Iterator[Pipes]:
    """Open a session for a task.

    Args:
        context: the step's.
        extras: what the task reads as `extras`.
        by_files: whether the task shares files with this process. Otherwise it is told by a variable, and its
            messages are lines of its output, which are given to `Pipes.take`.

    """
    bearing_silence = cast("dg.AssetExecutionContext", _BearingSilence(context))
    injector: dg.PipesContextInjector
    reader: dg.PipesMessageReader
    injector, reader = dg.PipesTempFileContextInjector(), _Reader()
    if not by_files:
        injector, reader = dg.PipesEnvContextInjector(), _Lines()
    with dg.open_pipes_session(bearing_silence, injector, reader, extras) as session:
        pipes = Pipes(session, context.log)
        yield pipes
    pipes.reports = session.get_results(implicit_materializations=False)


class _Reader(dg.PipesTempFileMessageReader):
    """Reads what one task reports."""

    expected_writer_count = 1  # Dagster's own, which is this, warns of being new each time it is asked


class _Lines(dg.PipesMessageReader):
    """Leaves it to `Pipes.take` to read what a command writes to its output."""

    @contextmanager
    def read_messages(self, handler: dg.PipesMessageHandler) -> Iterator[dict[str, Any]]:  # noqa: ARG002
        """Yield what a Pipes client is told of where to write."""
        yield {"stdio": "stdout"}

    def no_messages_debug_text(self) -> str:
        """Say where messages were looked for."""
        return "Attempted to read messages from the lines of the command's output."


class _BearingSilence:
    """A step's context, for which a task that reports nothing is none to warn of or to fail."""

    def __init__(self, context: dg.AssetExecutionContext) -> None:
        self._context = context
        self.log = _Log(context.log)
        self.run_id = context.run.run_id  # Dagster asks for it by a name that it deprecates itself

    def set_requires_typed_event_stream(self, **_: object) -> None:
        """Leave it out: a task may skip its asset."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


class _Log:
    def __init__(self, log: Any) -> None:
        self._log = log

    def warning(self, message: str, *arguments: object) -> None:
        if not message.startswith(_SAID_HERE):
            self._log.warning(message, *arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)
