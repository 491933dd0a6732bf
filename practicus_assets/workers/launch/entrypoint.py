"""The first process of a worker: runs Dagster's own command in a child, and watches it.

In a pod it is run as `python -m practicus_assets.workers.launch.entrypoint api execute_step`.
"""

import multiprocessing
import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg

from practicus_assets.instance.events import STEP_ENDS, has_ended
from practicus_assets.workers.launch import pod_memory, variables

_TERMINATION_MESSAGE = Path("/dev/termination-log")  # Container.terminationMessagePath, its default
_PAUSE_S = 0.2
_LONGEST_WORD = 1000  # bytes, of the 4096 that a termination message may have


def main() -> None:
    """Run a command of Dagster's CLI in a child, and watch it."""
    watch(lambda _: _dagster(sys.argv[1:]))


def watch(work: Callable[[Callable[[str], None]], None]) -> None:
    """Do a pod's work in a child, and watch it from a process that outlives it.

    A pod is asked to end when it is evicted, deleted or cancelled. Dagster would report that as the step's
    failure; the executor knows better, so the child ends without a word. The pod's termination message
    tells the peak of memory, however it ends, and what the work said.

    Args:
        work: what the child does. It is given what takes its word for the termination message, a short text.

    """
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    child = os.fork()
    if child == 0:
        work(partial(_say, writer))
        return

    def end(*_: Any) -> None:
        os.kill(child, signal.SIGKILL)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    status = 0
    ended = 0
    while not ended:
        _tell(b"")
        time.sleep(_PAUSE_S)
        ended, status = os.waitpid(child, os.WNOHANG)
    try:
        word = os.read(reader, _LONGEST_WORD)
    except BlockingIOError:  # it said nothing
        word = b""
    _tell(word)
    code = os.waitstatus_to_exitcode(status)
    sys.exit(code if code >= 0 else 128 - code)  # 128 + signal, as a shell has it


def run_child(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run a command of Dagster's CLI in a child process that ends with the one that started it."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    os.environ.update(environment)
    _dagster(arguments)


def _dagster(arguments: Sequence[str]) -> None:
    _silence_if_given_up()
    sys.argv = ["dagster", *arguments]
    runpy.run_module("dagster", run_name="__main__", alter_sys=True)


def _say(writer: int, text: str) -> None:
    os.write(writer, text.encode())


def _tell(word: bytes) -> None:
    if not _TERMINATION_MESSAGE.is_file():
        return
    peak = pod_memory.peak()
    lines = [word.decode(errors="ignore"), *([f"peak_memory_bytes={peak}"] if peak is not None else [])]
    text = "\n".join(line for line in lines if line)
    if text:
        with suppress(OSError):
            _TERMINATION_MESSAGE.write_text(text)


def end_with_parent() -> None:
    """Wait until the process that started this one has ended, and end it then."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _silence_if_given_up() -> None:
    """Have this process end without a word instead of reporting the end of an attempt that was given up on.

    Its executor would take the report for that of the attempt that runs now.
    """
    attempt = os.environ.get(variables.ATTEMPT)
    if attempt is None:
        return
    store = dg.DagsterInstance.handle_new_event

    def store_unless_given_up(instance: dg.DagsterInstance, event: dg.EventLogEntry, **options: Any) -> None:
        ended = event.dagster_event
        if (
            ended is not None
            and ended.step_key is not None
            and ended.event_type in STEP_ENDS
            and has_ended(instance, event.run_id, ended.step_key, int(attempt))
        ):
            error = getattr(ended.event_specific_data, "error", None)
            sys.stderr.write(f"{ended.message}\n{error.to_string() if error is not None else ''}\n")
            sys.stderr.write("This attempt was given up on, and another one has begun: it ends here.\n")
            sys.stderr.flush()
            os._exit(0)
        store(instance, event, **options)

    # Dagster's seam for an instance of another class belongs to those who run one (custom_instance_class)
    setattr(dg.DagsterInstance, "handle_new_event", store_unless_given_up)  # noqa: B010 in this process only


if __name__ == "__main__":
    main()
