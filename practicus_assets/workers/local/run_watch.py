"""Run watches: a run whose own process is killed is reported as failed, by a process that waits for that.

Steps that share the run's process are gone with it, and nobody else may be there to say so: `dg launch` runs
without a daemon. A shell waits until the run closes a pipe. It costs no import, for only if the run has not
said that its steps are over does it start Python.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster as dg
from dagster._core.instance.ref import InstanceRef
from dagster_shared.serdes import deserialize_value, serialize_value

from practicus_assets.workers.launch.pod_storage import in_pod

_SHELL = "/bin/sh"
# the instance, which may hold a password, goes by a pipe: arguments of processes are seen by all users
_WAIT = 'read -r instance; read -r over || printf "%s\\n" "$instance" | "$@"'
_SAYS = (
    "The process of this run, PID {pid}, is gone before its steps ended: it was killed, for example because "
    "memory ran out, or it crashed. Tables hold what was committed before, whole; run it again."
)


@contextmanager
def watched(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Have a run reported as failed if this process is gone before the body has ended.

    Nothing is watched where the instance does not outlive this process, where Dagster's run monitoring looks
    after runs, and in pods.

    Args:
        instance: the run's instance.
        run_id: the run.

    """
    pid = os.getpid()
    watch = _begun(instance, run_id, pid) if _is_unwatched(instance) else None
    try:
        yield
    finally:
        if watch is not None and os.getpid() == pid:  # and not a process that the author's code forked
            with suppress(BrokenPipeError):  # it was ended, too
                watch.communicate("over\n")
            watch.wait()


def _is_unwatched(instance: dg.DagsterInstance) -> bool:
    return (
        instance.is_persistent
        and not instance.run_monitoring_enabled
        and not in_pod()
        and Path(_SHELL).exists()
    )


def _begun(instance: dg.DagsterInstance, run_id: str, pid: int) -> "subprocess.Popen[str] | None":
    """Begin to watch; return None where no process can be started, which is no reason to end the run."""
    reporter = [sys.executable, "-m", "practicus_assets.workers.local.run_watch", run_id, str(pid)]
    try:
        watch = subprocess.Popen(  # noqa: S603 our own command
            [_SHELL, "-c", _WAIT, "sh", *reporter],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # else whoever reads the run's output would wait for it, too
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # what is typed at the run's terminal is not meant for it
            text=True,
        )
        assert watch.stdin is not None
        watch.stdin.write(f"{serialize_value(instance.get_ref())}\n")
        watch.stdin.flush()
    except OSError:
        return None
    return watch


def main(run_id: str, pid: str) -> None:
    """Report that a run's process is gone, unless the run has ended.

    Args:
        run_id: the run; its instance is read from the standard input.
        pid: the process.

    """
    reference = deserialize_value(sys.stdin.readline(), InstanceRef)
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
