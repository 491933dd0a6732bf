"""What a worker's process begins with: Dagster's own command, and somebody to watch it.

In a pod it is run as `python -m practicus_assets.workers.entrypoint api execute_step`.
"""

import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_TERMINATION_MESSAGE = Path("/dev/termination-log")  # Container.terminationMessagePath, its default
_PEAKS = (
    Path("/sys/fs/cgroup/memory.peak"),  # cgroup v2
    Path("/sys/fs/cgroup/memory/memory.max_usage_in_bytes"),  # v1
)
_PAUSE_S = 0.2


def main() -> None:
    """Run a command of Dagster's CLI in a child, and watch it from a process that outlives it.

    A pod is asked to end when it is evicted, deleted or cancelled. Dagster would report that as the step's
    failure; the executor knows better, so the child ends without a word. The pod's termination message
    tells the peak of memory, however it ends.
    """
    child = os.fork()
    if child == 0:
        _dagster(sys.argv[1:])
        return

    def end(*_: Any) -> None:
        os.kill(child, signal.SIGKILL)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    status = 0
    ended = 0
    while not ended:
        _tell_peak_memory()
        time.sleep(_PAUSE_S)
        ended, status = os.waitpid(child, os.WNOHANG)
    _tell_peak_memory()
    code = os.waitstatus_to_exitcode(status)
    sys.exit(code if code >= 0 else 128 - code)  # 128 + signal, as a shell has it


def run_child(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run a command of Dagster's CLI in a child process that ends with the one that started it."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    os.environ.update(environment)
    _dagster(arguments)


def _dagster(arguments: Sequence[str]) -> None:
    sys.argv = ["dagster", *arguments]
    runpy.run_module("dagster", run_name="__main__", alter_sys=True)


def _tell_peak_memory() -> None:
    source = next((path for path in _PEAKS if path.exists()), None)
    if source is not None and _TERMINATION_MESSAGE.is_file():
        try:
            _TERMINATION_MESSAGE.write_text(f"peak_memory_bytes={int(source.read_text())}")
        except (OSError, ValueError):
            return


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_PAUSE_S)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
