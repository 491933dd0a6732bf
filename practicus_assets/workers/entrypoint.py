"""What a worker's process begins with: Dagster's own command, watched from beside.

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

_TERMINATION_MESSAGE = Path("/dev/termination-log")  # Container.terminationMessagePath, its default
_PEAKS = (
    Path("/sys/fs/cgroup/memory.peak"),  # cgroup v2
    Path("/sys/fs/cgroup/memory/memory.max_usage_in_bytes"),  # v1
)
_PAUSE_S = 1.0


def main() -> None:
    """Run a command of Dagster's CLI in a pod; the pod's status tells its peak of memory, however it ends."""
    threading.Thread(target=_tell_peak_memory, daemon=True).start()
    _dagster(sys.argv[1:])


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
    if source is None or not _TERMINATION_MESSAGE.is_file():
        return
    while True:
        try:
            _TERMINATION_MESSAGE.write_text(f"peak_memory_bytes={int(source.read_text())}")
        except OSError:
            return
        time.sleep(_PAUSE_S)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_PAUSE_S)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
