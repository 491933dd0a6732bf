"""Commands in images of their own: run in a pod beside the step's, their output passed on as it comes."""

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from practicus_assets.tasks.pipes import PROTOCOL_VERSION
from practicus_assets.tasks.process import Ended, OutputStream, kept_tail, shown_tail
from practicus_assets.workers.launch.variables import COMMAND_JOB

_MESSAGE = b'{"' + PROTOCOL_VERSION.encode() + b'"'
_LONGEST_MESSAGE = 4 * 2**20  # bytes


def is_asked_for() -> bool:
    """Return whether this step is to start its command in a pod; a step on a laptop runs it there."""
    return COMMAND_JOB in os.environ


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    secrets: Collection[str],
    take: Callable[[bytes], bool],
) -> Ended:
    """Run a command in its pod, and pass its output on to this process's own, as it comes.

    Args:
        command: the program and its arguments.
        environment: its variables, beside those of its worker.
        secrets: texts that its output shows as `***`.
        take: takes a line that may be a message; returns whether it was one, and is not to be shown.

    Raises:
        WorkerRejected: if the API server refuses its pod.

    """
    from practicus_assets.workers.kubernetes.command_pod import CommandPod  # noqa: PLC0415 an extra

    began = time.monotonic()
    output = PodOutput(OutputStream(1, secrets), take)
    code = CommandPod.of_this_step().run(command, environment, output.pass_on)
    return Ended(code, time.monotonic() - began, output.tail())


class PodOutput:
    """The output of a command in a pod: both of its streams as one, in which lines may be messages.

    Args:
        stream: where it is shown.
        take: takes a line that may be a message; returns whether it was one.

    """

    def __init__(self, stream: OutputStream, take: Callable[[bytes], bool]) -> None:
        self._stream = stream
        self._take = take
        self._held = b""  # the beginning of a line that may be a message
        self._in_line = False  # whether the beginning of the current line has been shown
        self._kept = b""

    def pass_on(self, chunk: bytes) -> None:
        """Pass on a chunk, without messages; an empty one says that there are no more."""
        shown = []
        rest = self._held + chunk
        self._held = b""
        while rest:
            line, end, rest = rest.partition(b"\n")
            if not self._in_line and _may_be_message(line):
                if not end and chunk and len(line) < _LONGEST_MESSAGE:
                    self._held = line
                    break
                if self._take(line):
                    continue
            shown.append(line + end)
            self._in_line = not end
        text = b"".join(shown)
        if text or not chunk:
            self._kept = kept_tail(self._kept + self._stream.take(text))

    def tail(self) -> str:
        """Return the end of the output, as a terminal would show it."""
        return shown_tail(self._kept)


def _may_be_message(line: bytes) -> bool:
    beginning = line[: len(_MESSAGE)]
    return _MESSAGE.startswith(beginning)
