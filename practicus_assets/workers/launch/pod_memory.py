"""Memory of a pod: its peak, and whether the kernel killed a process of this container when it ran out.

The kernel counts that for a cgroup (`memory.events`, in v1 `memory.oom_control`), and kills one process of
it, or all: a step may live on whose task was killed.
"""

import os
import re
import sys
from pathlib import Path

from practicus_assets.workers.launch.pod_storage import in_pod

_COUNTS = (
    Path("/sys/fs/cgroup/memory.events"),
    Path("/sys/fs/cgroup/memory/memory.oom_control"),  # v1
)
_PEAKS = (
    Path("/sys/fs/cgroup/memory.peak"),
    Path("/sys/fs/cgroup/memory/memory.max_usage_in_bytes"),  # v1
)
_KILLS = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)
_SIGKILL = 9
_KILLED = 128 + _SIGKILL


def peak() -> int | None:
    """Return the most bytes that this container has used, with cached files; None if nothing says it."""
    source = next((path for path in _PEAKS if path.exists()), None)
    try:
        return int(source.read_text(encoding="utf-8")) if source is not None else None
    except (OSError, ValueError):
        return None


def kills() -> int:
    """Return how many processes of this pod's container were killed for memory; 0 elsewhere than in a pod."""
    if not in_pod():
        return 0
    for path in _COUNTS:
        try:
            found = _KILLS.search(path.read_text(encoding="utf-8"))
        except OSError:
            continue
        if found is not None:
            return int(found[1])
    return 0


def end_if_killed(code: int, before: int) -> None:
    """End this process as its child was ended, if that was killed for memory: its pod says so.

    The executor reads it there, and may give the next attempt more.

    Args:
        code: the child's exit code; negative for a signal.
        before: what `kills` returned before it began.

    """
    if code in {-_SIGKILL, _KILLED} and kills() > before:
        sys.stderr.write("The task was killed for memory.\n")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_KILLED)
