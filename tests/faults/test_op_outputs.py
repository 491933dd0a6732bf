"""A process that is killed while it keeps the output of an op."""

import multiprocessing.connection
import signal
from pathlib import Path
from typing import NamedTuple

from practicus_assets.lake.delta.table_folder import TableFolder
from tests.faults.tally import Tally
from tests.faults.test_kills import killed_at_syscall
from tests.faults.writer import _context

OLD, NEW = b"old" * 1_000_000, b"new" * 1_000_000
PATH = "run/one.result.pickle"
SYSCALLS = ("mkdir", "openat", "write", "fsync", "rename")


class Process(NamedTuple):
    """What `killed_at_syscall` asks of a writer."""

    pid: int


def store(folder: TableFolder, gate: multiprocessing.connection.Connection) -> None:
    gate.send("ready")
    gate.recv()
    folder.write(PATH, NEW)
    gate.send("stored")


def ends_alive(folder: TableFolder, syscall: str, number: int) -> bool:
    """Store the new value in a process that is killed at a system call; return whether it makes so many."""
    gate, theirs = _context().Pipe()
    process = _context().Process(target=store, args=(folder, theirs), daemon=True)
    process.start()
    theirs.close()
    assert gate.recv() == "ready"
    tracer = killed_at_syscall(Process(process.pid or 0), syscall, number)  # type: ignore[arg-type]
    gate.send("go")
    process.join()
    tracer.wait()
    return process.exitcode != -signal.SIGKILL


def test_a_process_killed_at_any_system_call_leaves_the_old_value_the_new_one_or_none(
    tmp_path: Path, tally: Tally
) -> None:
    for before in (None, OLD):
        for syscall in SYSCALLS:
            for number in range(1, 100):
                folder = TableFolder("_outputs", str(tmp_path / f"{before is None}{syscall}{number}"))
                if before is not None:
                    folder.write(PATH, before)
                alive = ends_alive(folder, syscall, number)
                value = folder.read(PATH)
                if alive:
                    assert value == NEW
                    break
                wrong = None if value in (before, NEW) else f"a mix of {len(value or b'')} bytes"
                folder.write(PATH, NEW)
                tally.point(f"{syscall} {number}", wrong or (None if folder.read(PATH) == NEW else "lost"))
    tally.settle()
