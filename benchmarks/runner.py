"""Runs one way in its own process: reads which work to prepare or to time, and writes what it took, as JSON.

python runner.py WAY FOLDER
"""

import ctypes
import gc
import json
import sys
import time
import warnings
from pathlib import Path

import pyarrow as pa
from ways import WAYS
from works import WORKS

_MB = 1e6


def _status(field: str) -> float:
    """Return a figure of this process's memory, in MB; `proc(5)`, /proc/pid/status."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024 / _MB


def _release_memory() -> None:
    """Give freed memory back to the operating system, or the peak would be hidden in it."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    ctypes.CDLL("libc.so.6").malloc_trim(0)


def main() -> None:
    """Answer one line for each line that is read."""
    warnings.simplefilter("ignore")
    answers = sys.stdout
    sys.stdout = sys.stderr
    way = WAYS[sys.argv[1]](Path(sys.argv[2]))
    for line in sys.stdin:
        order = json.loads(line)
        work, turn = WORKS[order["work"]], order["turn"]
        answer = {}
        if turn is None:
            way.rows = None
            way.clear()
            work.prepare(way)
        else:
            work.before(way, turn)
            _release_memory()
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins here
            held, cpu, began = _status("VmRSS"), time.process_time(), time.perf_counter()
            work.timed(way)
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
            answer = {"seconds": seconds, "cpu_seconds": cpu, "peak_mb": _status("VmHWM") - held}
            answer["folder_mb"] = sum(path.stat().st_size for path in way.root.rglob("*.parquet")) / _MB
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
