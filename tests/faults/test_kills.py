"""Writers that are killed between any two of their writes, and at random moments."""

import random
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.kills import kill_at_each_request, kill_at_each_syscall, killed_at_syscall
from tests.faults.proxy import FaultProxy
from tests.faults.tally import ROUNDS, Tally
from tests.faults.work import (
    CASES,
    OLD,
    SPELLINGS,
    Place,
    Work,
    attempt,
    rows,
    wrong_after_retry,
)
from tests.faults.writer import Writer

KILL_CASES = {
    **CASES,
    "replace one": (OLD, lambda: Work("replace", ("a",), rows("a", "new", 1, 9))),
    "replace all": (OLD, lambda: Work("replace", (), rows("a", "new", 1) + rows("y", "new", 1, 2))),
}
SHORT = ["append", "replace"]  # of each kind of root, in a short run


def prepared(case: str, make: Callable[[], Place]) -> tuple[Place, Work]:
    old, work = KILL_CASES[case]
    place = make()
    if old is not None:
        assert attempt(Work("replace", (), old), place).kind == "landed"
    return place, work()


def survived(work: Work, place: Place, before: object) -> str | None:
    """Look at the table after a kill, retry, and return what is wrong."""
    after = work.after(before)  # type: ignore[arg-type]
    now = place.state()
    if now not in (before, after):
        return f"a mix: {now}"
    return wrong_after_retry(work, place, after)


@pytest.mark.parametrize("case", KILL_CASES if ROUNDS > 1 else ["create", "merge", *SHORT])
def test_a_writer_killed_at_any_system_call_on_a_folder(
    case: str, folder: Callable[[], Place], tally: Tally
) -> None:
    kill_at_each_syscall(tally, case, lambda: prepared(case, folder), survived)
    tally.settle()


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_writer_killed_in_a_folder_of_an_odd_spelling(spelling: str, tmp_path: Path, tally: Tally) -> None:
    for number, syscall in [(1, "linkat"), (2, "linkat"), (1, "mkdir"), (3, "openat"), (2, "unlink")]:
        place, work = prepared("replace", lambda: Place(SPELLINGS[spelling](tmp_path / str(uuid.uuid4()))))
        before = place.state()
        killed_at_syscall(Writer(work, place), syscall, number)
        tally.point(f"{spelling}, {syscall} {number}", survived(work, place, before))
    tally.settle()


@pytest.mark.parametrize("case", KILL_CASES if ROUNDS > 1 else SHORT)
def test_a_writer_killed_at_any_request_to_s3(
    case: str, s3: Callable[[], Place], proxy: FaultProxy, tally: Tally
) -> None:
    kill_at_each_request(tally, case, lambda: prepared(case, s3), survived, proxy)
    tally.settle()


@pytest.mark.parametrize("case", KILL_CASES)
def test_a_writer_killed_at_a_random_moment(case: str, place: Callable[[], Place], tally: Tally) -> None:
    moments = random.Random(case)  # noqa: S311 the same in every run
    for number in range(8 * ROUNDS):
        here, work = prepared(case, place)
        before = here.state()
        writer = Writer(work, here)
        after_s = moments.uniform(0, 0.12)
        writer.go()
        time.sleep(after_s)
        writer.kill()
        writer.ended()
        tally.point(f"{case}, number {number}, after {after_s:.4f} s", survived(work, here, before))
    tally.settle()
