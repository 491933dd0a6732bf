"""Limits: the cores and the memory that this process may use, for splits and for engines."""

import os
from contextlib import suppress
from pathlib import Path

_GROUP = Path("/sys/fs/cgroup")
_SHARE = 0.6  # of the memory; the rest is for the step itself, which audits what the engine wrote


def cores(group: Path = _GROUP) -> int:
    """Return how many cores a worker may use; of a pod, those of its limit."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # no such file, or "max"
        quota, period = map(int, (group / "cpu.max").read_text().split())
        count = min(count, round(quota / period))
    return max(1, count)


def engine_memory(group: Path = _GROUP) -> int:
    """Return how many bytes an engine may use: a share of the worker's memory; of a pod, of its limit."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # v2, v1
        with suppress(OSError, ValueError):
            total = min(total, int((group / name).read_text()))
    return int(total * _SHARE)
