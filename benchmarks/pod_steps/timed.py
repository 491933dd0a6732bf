"""When things happened in the pod of a step, for its log."""

import os
import time
from pathlib import Path

MARK = "seconds of the first process and of the function's first line:"


def said() -> str:
    """Return when the container's first process began, and the time now, in seconds since 1970."""
    now = time.time()
    of_process = Path("/proc/1/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    since_boot = int(of_process[19]) / os.sysconf("SC_CLK_TCK")  # proc(5): starttime
    began = now - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot
    return f"{MARK} {began:.3f} {now:.3f}"
