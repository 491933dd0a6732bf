"""Kills: work in a process that dies at one of its system calls, or at one of its requests to S3."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.faults.proxy import Fault, FaultProxy, Kind
from tests.faults.tally import Tally
from tests.faults.work import Outcome
from tests.faults.writer import Writer

_LETS_GO_S = 5
SYSCALLS = ("mkdir", "openat", "write", "rename", "linkat", "unlink")  # with which delta-rs writes

Prepare = Callable[[], tuple[Any, Any]]  # returns a fresh place, which has a state, and the work to do there
Survived = Callable[[Any, Any, Any], str | None]  # returns what is wrong, of the work, its place, its state


def killed_at_syscall(writer: Writer, syscall: str, number: int) -> Outcome | None:
    """Let a writer work until strace kills it, when one of its threads begins its n-th such system call.

    Returns:
        How it ended; None if it was killed.

    """
    with struck(writer.pid, syscall, number):
        writer.go()
        return writer.ended()


@contextmanager
def struck(pid: int, syscall: str, number: int, name: str = "KILL") -> Iterator[None]:
    """Let strace send a signal to a process when one of its threads begins its n-th such system call."""
    strace = shutil.which("strace")
    assert strace is not None, "these tests need strace: apt-get install strace"
    command = [strace, "-f", "-qq", "-o", "/dev/null", "-p", str(pid), "-e", f"trace={syscall}"]
    tracer = subprocess.Popen(
        [*command, "-e", f"inject={syscall}:signal={name}:when={number}"], stderr=subprocess.DEVNULL
    )
    status = Path(f"/proc/{pid}/status")
    while "\nTracerPid:\t0\n" in status.read_text(encoding="utf-8"):
        assert tracer.poll() is None, "strace could not attach"
        time.sleep(0.001)
    try:
        yield
    finally:
        tracer.terminate()
        try:
            tracer.wait(_LETS_GO_S)
        except subprocess.TimeoutExpired:  # it waits for a thread of a JVM that it has killed
            tracer.kill()
            tracer.wait()


def kill_at_each_syscall(
    tally: Tally,
    name: str,
    prepare: Prepare,
    survived: Survived,
    *,
    syscalls: Sequence[str] = SYSCALLS,
    stride: Callable[[str], int] = lambda _: 1,
) -> None:
    """Kill work at one system call after the other, until no thread makes so many.

    Args:
        tally: counts the points.
        name: what the points are called.
        prepare: makes a fresh place, and the work to do there.
        survived: looks at the place after a kill.
        syscalls: the kinds of system calls.
        stride: how many calls of a kind lie between two kills.

    """
    for syscall in syscalls:
        for number in range(1, 400, stride(syscall)):
            place, work = prepare()
            before = place.state()
            outcome = killed_at_syscall(Writer(work, place), syscall, number)
            if outcome is not None:
                _assert_done(outcome, work, place, before)
                break
            tally.point(f"{name}, {syscall} {number}", survived(work, place, before))


def kill_at_each_request(
    tally: Tally, name: str, prepare: Prepare, survived: Survived, proxy: FaultProxy, *, stride: int = 1
) -> None:
    """Kill work before and after one request to S3 after the other; the arguments are as above."""
    kinds: tuple[Kind, ...] = ("kill before", "kill after")
    for kind in kinds:
        for number in range(1, 400, stride):
            place, work = prepare()
            before = place.state()
            writer = Writer(work, place.through({"AWS_ENDPOINT_URL": proxy.endpoint}))
            proxy.arm(Fault(kind, number, pid=writer.pid))
            writer.go()
            outcome = writer.ended()
            if not proxy.seen().hits:
                _assert_done(outcome, work, place, before)
                break
            tally.point(f"{name}, {kind} {number}", survived(work, place, before))


def _assert_done(outcome: Outcome | None, work: Any, place: Any, before: Any) -> None:
    assert outcome is not None
    assert outcome.kind == "landed", outcome
    assert place.state() == work.after(before)
