"""Run watches: a run whose own process is killed is reported as failed, by a process that waits for that.

Steps that share the run's process are gone with it, and nobody else may be there to say so: `dg launch` runs
without a daemon. A shell waits until a pipe is closed, which costs no import: the run's process alone has its
end, and closes it by being gone. Only then does it start Python, which makes sure that the process is gone.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._check import CheckError

from practicus_assets.workers.launch.pod_storage import in_pod

_SHELL = "/bin/sh"
# the instance, which may hold a password, goes by a pipe: arguments and variables of processes can be seen
_WAIT = 'unset instance; read -r instance; read -r _; printf "%s\\n" "$instance" | "$@"'
_PROCESSES = Path("/proc/self")  # of Linux
_LOOK_S = 1.0
_SAYS = (
    "The process of this run, PID {pid}, is gone before its steps ended: it was killed, for example because "
    "memory ran out, or it crashed. Tables hold what was committed before, whole; run it again."
)


@dataclass(frozen=True)
class _Watch:
    """A process that waits until a pipe is closed.

    Attributes:
        process: the process, and those that it starts: they are one group.
        pipe: the end of the pipe that is written to, and which file that is.

    """

    process: "subprocess.Popen[bytes]"
    pipe: int
    pipe_file: tuple[int, int]

    def end(self) -> None:
        """End the process, so that nothing is reported."""
        if self.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.let_go()

    def let_go(self) -> None:
        """Close the pipe here, unless the author's code did, and the number may be that of another file."""
        with suppress(OSError):
            if _file(self.pipe) == self.pipe_file:
                os.close(self.pipe)


_open_watches: list[_Watch] = []


def _forked() -> None:
    """Let go of what a forked process must not hold: it may outlive the run's."""
    for watch in _open_watches:
        watch.let_go()
    _open_watches.clear()


os.register_at_fork(after_in_child=_forked)


@contextmanager
def watched(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Have a run reported as failed if this process is gone before the body has ended.

    Nothing is watched where the instance does not outlive this process, where Dagster's run monitoring looks
    after runs, and in pods.

    Args:
        instance: the run's instance.
        run_id: the run.

    """
    watch = _begun(instance, run_id) if _is_unwatched(instance) else None
    try:
        yield
    finally:
        if watch in _open_watches:  # and this is not a process that the author's code forked
            _open_watches.remove(watch)
            watch.end()


def _is_unwatched(instance: dg.DagsterInstance) -> bool:
    return (
        instance.is_persistent
        and not instance.run_monitoring_enabled
        and not in_pod()
        and Path(_SHELL).exists()
    )


def _begun(instance: dg.DagsterInstance, run_id: str) -> _Watch | None:
    """Begin to watch; return None where that is not possible, which is no reason to end the run."""
    pid = os.getpid()
    reporter = [sys.executable, "-P", "-m", "practicus_assets.workers.local.run_watch"]
    reporter += [run_id, str(pid), _start_of(pid) or ""]
    try:
        reference = dg.serialize_value(instance.get_ref())
        end, pipe = os.pipe()
    except (CheckError, OSError):  # the first of an instance that cannot be opened elsewhere
        return None
    try:
        process = subprocess.Popen(  # noqa: S603 our own command
            [_SHELL, "-c", _WAIT, "sh", *reporter],
            stdin=end,
            stdout=subprocess.DEVNULL,  # else whoever reads the run's output would wait for it, too
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # what is typed at the run's terminal is not meant for it
        )
    except OSError:
        os.close(pipe)
        return None
    finally:
        os.close(end)
    watch = _Watch(process, pipe, _file(pipe))
    _open_watches.append(watch)
    with suppress(OSError):  # it was ended already
        os.write(pipe, f"{reference}\n".encode())
    return watch


def _file(descriptor: int) -> tuple[int, int]:
    """Return which file is open; raises OSError if none is."""
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino


def _start_of(pid: int) -> str | None:
    """Return when a process started, which tells it from a later one of its number; None if it is gone.

    It is in the kernel's ticks since the machine started, and empty where the kernel does not say it.
    """
    try:
        if not _PROCESSES.exists():
            os.kill(pid, 0)
            return ""
        # the program's name is in parentheses, and may hold some
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except PermissionError:
        return ""
    except OSError:
        return None
    return None if fields[0] in {"Z", "X"} else fields[19]  # it ended, and nobody has asked how


def main(run_id: str, pid: str, started: str = "") -> None:
    """Report that a run's process is gone, once it is, unless the run has ended.

    Args:
        run_id: the run; its instance is read from the standard input.
        pid: the process.
        started: when it started, as `_start_of` says it.

    """
    reference: Any = dg.deserialize_value(sys.stdin.readline())
    while _start_of(int(pid)) == started:  # its code closed the pipe
        time.sleep(_LOOK_S)
    with dg.DagsterInstance.from_ref(reference) as instance:
        run = instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return
        if run.status is dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, _SAYS.format(pid=pid))
        else:
            instance.report_run_failed(run, _SAYS.format(pid=pid))


if __name__ == "__main__":
    main(*sys.argv[1:])
