"""Processes of tasks: a command that is run to its end, its output passed on as it comes."""

import contextlib
import os
import re
import select
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from practicus_assets.errors import DeclarationError, TaskFailed

_GRACE_S = 10.0  # between SIGTERM and SIGKILL
_LEFT_OPEN_S = 1.0  # for output of processes that outlive the task's own
_SLOW_S = 1.0
_CHUNK = 65_536  # bytes
_TAIL = 4_000  # characters that an error shows
_MASK = b"***"
_LINE_END = re.compile(r"[^\n]*\r(?!\n)")  # what a progress bar wrote over
# stands between the step and the task, and kills the task and all that it started when the step ends, however
# that does: by prctl's PR_SET_PDEATHSIG; otherwise it ends as the task does
_TIED = """
import ctypes, os, resource, signal, sys
def tie(number):
    try: ctypes.CDLL(None).prctl(1, number)
    except (OSError, AttributeError): pass
signal.signal(signal.SIGUSR1, lambda *_: os.killpg(0, signal.SIGKILL))
tie(signal.SIGUSR1)
if os.getppid() != int(sys.argv[1]): sys.exit(1)
task = os.fork()
if not task:
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    tie(signal.SIGKILL)
    try: os.execvp(sys.argv[2], sys.argv[2:])
    except OSError as e: sys.stderr.write(f'{sys.argv[2]}: {e.strerror}\\n'); os._exit(127)
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(number, signal.SIG_IGN)
os.closerange(0, 3)
code = os.waitstatus_to_exitcode(os.waitpid(task, 0)[1])
if code < 0:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if -code != signal.SIGKILL: signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        code: its exit code; negative for the signal that ended it.
        seconds: how long it ran.
        tail: the end of its output, both streams as they came.

    """

    code: int
    seconds: float
    tail: str

    @property
    def how(self) -> str:
        """How it ended, as people read it."""
        if self.code >= 0:
            return f"ended with exit code {self.code}"
        try:
            name = signal.Signals(-self.code).name
        except ValueError:
            name = f"signal {-self.code}"
        hint = ", as one is that runs out of memory" if name == "SIGKILL" else ""
        return f"was ended by {name}{hint}"


def run(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    secrets: Collection[str] = (),
    time_limit_seconds: float | None = None,
) -> Ended:
    """Run a command, and pass its output on to this process's own, byte by byte as it comes.

    If this process is interrupted, the command and what it started are ended first: asked by SIGTERM, and
    killed after 10 seconds.

    Args:
        command: the program and its arguments.
        folder: the folder in which it runs.
        environment: all of its environment variables.
        secrets: texts that its output shows as `***`.
        time_limit_seconds: the time after which it is ended; None for no limit.

    Raises:
        TaskFailed: if it ran longer than that.
        DeclarationError: if there is no such program.

    """
    tied = [sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid()), *command]
    if command[0] != sys.executable and not _found(command[0], folder, environment):
        raise DeclarationError(
            f"there is no program {command[0]!r} here.",
            "Install it in the worker's image, or on this machine.",
        )
    began = time.monotonic()
    deadline = began + time_limit_seconds if time_limit_seconds is not None else None
    with subprocess.Popen(  # noqa: S603 it is the author's
        tied,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        output = _Output(process, secrets)
        try:
            code = output.pass_on(deadline)
        except BaseException:
            _end(process)
            output.drain()
            raise
        if code is None:
            _end(process)
            output.drain()
            raise TaskFailed(
                f"the task ran longer than its time limit of {time_limit_seconds:g} s, and was ended.",
                "Raise time_limit_seconds of its worker, or find out what takes so long.",
                output.tail(),
            )
        return Ended(code, time.monotonic() - began, output.tail())


class _Output:
    """The output of a process, on its way to that of this one."""

    def __init__(self, process: "subprocess.Popen[bytes]", secrets: Collection[str]) -> None:
        self._process = process
        self._streams = {process.stdout: OutputStream(1, secrets), process.stderr: OutputStream(2, secrets)}
        self._selector = selectors.DefaultSelector()
        self._kept = b""
        for pipe in self._streams:
            assert pipe is not None
            self._selector.register(pipe, selectors.EVENT_READ)

    def pass_on(self, deadline: float | None) -> int | None:
        """Pass output on until the process has ended; return its exit code, None after the deadline."""
        left_open: float | None = None
        while True:
            code = self._process.poll()
            if not self._selector.get_map() and code is None:
                return self._wait(deadline)
            if code is not None:
                now = time.monotonic()
                left_open = left_open or now + _LEFT_OPEN_S
                if not self._selector.get_map() or now > left_open:
                    self._flush()
                    return code
            if deadline is not None and time.monotonic() > deadline:
                return None
            self._read(0.05 if code is not None else 0.2)

    def drain(self) -> None:
        """Pass on what a process that was ended had written."""
        until = time.monotonic() + _LEFT_OPEN_S
        while self._selector.get_map() and time.monotonic() < until and self._read(0):
            pass
        self._flush()

    def tail(self) -> str:
        """Return the end of the output, as a terminal would show it."""
        return shown_tail(self._kept)

    def _wait(self, deadline: float | None) -> int | None:
        """Wait for a process that closed its output."""
        self._flush()
        try:
            return self._process.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return None

    def _read(self, timeout_s: float) -> bool:
        ready = self._selector.select(timeout_s)
        for key, _ in ready:
            chunk = os.read(key.fd, _CHUNK)
            shown = self._streams[key.fileobj].take(chunk)  # type: ignore[index] # a pipe of this process
            self._keep(shown)
            if not chunk:
                self._selector.unregister(key.fileobj)
        return bool(ready)

    def _flush(self) -> None:
        for stream in self._streams.values():
            self._keep(stream.take(b""))

    def _keep(self, shown: bytes) -> None:
        self._kept = kept_tail(self._kept + shown)


class OutputStream:
    """One stream of output, without secrets, also where one is cut in two by a chunk's end."""

    def __init__(self, descriptor: int, secrets: Collection[str]) -> None:
        self._descriptor = descriptor
        self._secrets = sorted({secret.encode() for secret in secrets}, key=len, reverse=True)
        self._pending = b""

    def take(self, chunk: bytes) -> bytes:
        """Pass on a chunk, and return what was passed on; an empty one says that there are no more."""
        text = self._pending + chunk
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        held = self._beginning_of_secret(text) if chunk else 0
        self._pending = text[len(text) - held :]
        shown = text[: len(text) - held]
        _write(self._descriptor, shown)
        return shown

    def _beginning_of_secret(self, text: bytes) -> int:
        """Return how many bytes at the end of a text may be the beginning of a secret."""
        longest = max((len(secret) for secret in self._secrets), default=1) - 1
        return next(
            (
                length
                for length in range(min(longest, len(text)), 0, -1)
                if any(secret.startswith(text[-length:]) for secret in self._secrets)
            ),
            0,
        )


def kept_tail(output: bytes) -> bytes:
    """Return as much of the end of an output as an error needs."""
    return output[-4 * _TAIL :]


def shown_tail(output: bytes) -> str:
    """Return the end of an output, as a terminal would show it."""
    return _LINE_END.sub("", output.decode(errors="replace"))[-_TAIL:].strip()


def _write(descriptor: int, content: bytes) -> None:
    if not content:
        return
    stream = {1: sys.stdout, 2: sys.stderr}[descriptor]
    with contextlib.suppress(OSError, ValueError, AttributeError):
        stream.flush()
    view = memoryview(content)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:  # somebody made it so, and is slow to read
            select.select([], [descriptor], [], _SLOW_S)
        except OSError:  # nobody reads it, or its disk is full: the task is not to end by that
            return


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process, and those of its session."""
    _signal(process, signal.SIGTERM)
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        _signal(process, signal.SIGKILL)
        process.wait()


def _signal(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _found(program: str, folder: Path, environment: Mapping[str, str]) -> bool:
    if "/" in program:
        return Path(folder, program).is_file()
    places = environment.get("PATH", os.defpath).split(os.pathsep)
    return any(os.access(Path(place, program), os.X_OK) for place in places if place)
