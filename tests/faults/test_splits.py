"""Splits that are killed, and the process that starts them: the old table or the new one, and once."""

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from tests.faults.splits import MOMENTS, Parent, SplitWork
from tests.faults.tally import ROUNDS, Tally
from tests.faults.work import CASES, Place, Work, attempt, wrong_after_retry
from tests.workers.place import until

SHORT = ["the parent, after 1 split"]  # tests/integration/test_split_processes.py kills a split


def prepared(case: str, place: Place, **how: str) -> SplitWork:
    old, make = CASES[case]
    if old is not None:
        assert attempt(Work("replace", (), old), place).kind == "landed"
    work = make()
    return SplitWork(**{field.name: getattr(work, field.name) for field in fields(work)}, **how)


@pytest.mark.parametrize("case", CASES if ROUNDS > 1 else ["replace"])
def test_a_split_or_its_parent_killed_at_any_moment(
    case: str, folder: Callable[[], Place], tally: Tally, tmp_path: Path
) -> None:
    for number, moment in enumerate(MOMENTS if ROUNDS > 1 else SHORT):
        place = folder()
        work = prepared(case, place, dies=moment, mark=str(tmp_path / f"mark {number}"))
        before = place.state()
        after = work.after(before)
        outcome = Parent(work, place).ended()
        if moment.startswith("the parent"):
            wrong = None if outcome is None else f"it was not killed: {outcome}"
            if wrong is None and place.state() != before:
                wrong = f"neither old nor new: {place.state()}"
            wrong = wrong or wrong_after_retry(work, place, after)
        else:
            landed = outcome is not None and outcome.kind == "landed"
            wrong = None if landed and Path(work.mark).exists() else f"it did not land: {outcome}"
            wrong = wrong or (None if place.state() == after else f"wrong: {place.state()}")
        tally.point(f"{case}, {moment}", wrong)
    tally.settle()


def test_a_split_of_an_attempt_that_is_over_changes_nothing_when_it_wakes_up(
    folder: Callable[[], Place], tally: Tally, tmp_path: Path
) -> None:
    for number in range(ROUNDS):
        place, mark = folder(), tmp_path / f"stopped {number}"
        work = prepared("append", place, dies="a split stops", mark=str(mark))
        before = place.state()
        after = work.after(before)
        parent = Parent(work, place)
        straggler = until(lambda mark=mark: mark.exists() and mark.read_text("ascii"), "a split to stop")
        try:
            parent.process.kill()
            assert parent.ended() is None
            wrong = wrong_after_retry(work, place, after)
            os.kill(int(straggler), signal.SIGCONT)
            until(lambda pid=straggler: not Path(f"/proc/{pid}").exists(), "the straggler to end")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(straggler), signal.SIGKILL)
        tally.point(f"number {number}", wrong or (None if place.state() == after else f"{place.state()}"))
    tally.settle()
