"""Runs one way in its own process: reads which work to prepare or to time, and writes what it took, as JSON.

python runner.py WAY FOLDER
"""

import gc
import json
import sys
import time
import warnings
from pathlib import Path

from ways import WAYS
from works import WORKS

_MB = 1e6


def _status(field: str) -> float:
    """Return a figure of this process's memory, in MB; `proc(5)`, /proc/pid/status."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024 / _MB


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
            work.prepare(way)
        else:
            work.before(way, turn)
            gc.collect()
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins here
            held, began = _status("VmRSS"), time.perf_counter()
            work.timed(way)
            answer = {"seconds": time.perf_counter() - began, "peak_mb": _status("VmHWM") - held}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
