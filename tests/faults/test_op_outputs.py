"""A process that is killed while it keeps the output of an op."""

from dataclasses import dataclass
from itertools import count
from pathlib import Path

from practicus_assets.lake.delta.table_folder import TableFolder
from tests.faults.kills import kill_at_each_syscall
from tests.faults.tally import Tally

OLD, NEW = b"old" * 1_000_000, b"new" * 1_000_000
PATH = "run/one.result.pickle"
SYSCALLS = ("mkdir", "openat", "write", "fsync", "rename")


@dataclass(frozen=True)
class Outputs:
    """Where the outputs of ops lie."""

    folder: TableFolder

    def state(self) -> bytes | None:
        """Return the output."""
        return self.folder.read(PATH)


class Store:
    """Keeps a new output."""

    def carry_out(self, place: Outputs) -> int:
        """Keep it; there are no versions."""
        place.folder.write(PATH, NEW)
        return 0

    def after(self, before: bytes | None) -> bytes:
        """Return what is there afterwards."""
        return NEW


def survived(work: Store, place: Outputs, before: bytes | None) -> str | None:
    """Look at the output after a kill, keep it again, and return what is wrong."""
    value = place.state()
    if value not in (before, NEW):
        return f"a mix of {len(value or b'')} bytes"
    work.carry_out(place)
    return None if place.state() == NEW else "lost"


def test_a_process_killed_at_any_system_call_leaves_the_old_value_the_new_one_or_none(
    tmp_path: Path, tally: Tally
) -> None:
    numbers = count()

    def prepared(before: bytes | None) -> tuple[Outputs, Store]:
        place = Outputs(TableFolder("_outputs", str(tmp_path / str(next(numbers)))))
        if before is not None:
            place.folder.write(PATH, before)
        return place, Store()

    for before in (None, OLD):
        name = "a new output" if before is None else "an output that replaces one"
        kill_at_each_syscall(tally, name, lambda: prepared(before), survived, syscalls=SYSCALLS)  # noqa: B023 called at once
    tally.settle()
