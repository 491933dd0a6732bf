"""Writers that are stopped before their commit, and wake up when the world has gone on."""

from collections.abc import Callable, Sequence

import pytest

from tests.faults.defects import Defect
from tests.faults.tally import ROUNDS, Tally
from tests.faults.work import CASES, OLD, Outcome, Place, Work, attempt, rows
from tests.faults.writer import Writer

MakePlace = Callable[[], Place]


def woken_after(
    paused: Work, here: Place, meanwhile: Callable[[], object], *, defects: Sequence[Defect] = ()
) -> Outcome | None:
    """Stop a writer before its commit, do something else, let it go on, and return how it ended."""
    writer = Writer(paused, here, pause="before the commit", defects=defects)
    writer.go()
    writer.wait_until_paused()
    meanwhile()
    writer.resume()
    return writer.ended()


def start(case: str, place: MakePlace) -> tuple[Place, Work]:
    old, make = CASES[case]
    here = place()
    if old is not None:
        attempt(Work("replace", (), old), here)
    return here, make()


@pytest.mark.parametrize("case", CASES)
def test_a_writer_that_wakes_up_after_its_retry_has_landed_is_refused(
    case: str, place: MakePlace, tally: Tally
) -> None:
    for number in range(2 * ROUNDS):
        here, work = start(case, place)
        after = work.after(here.state())
        outcome = woken_after(work, here, lambda: attempt(work.again(), here))  # noqa: B023 it is called at once
        told = outcome is not None and outcome.error == "CommitConflict" and "attempt 2" in outcome.text
        tally.point(
            f"{number} {case}", None if told and here.state() == after else f"{outcome}: {here.state()}"
        )
    tally.settle()


@pytest.mark.parametrize("case", CASES)
def test_a_writer_that_wakes_up_after_another_run_has_landed_is_refused(
    case: str, place: MakePlace, tally: Tally
) -> None:
    for number in range(2 * ROUNDS):
        here, work = start(case, place)
        other = Work("replace", ("a",), rows("a", "other", 5))
        after = other.after(here.state())
        outcome = woken_after(work, here, lambda: attempt(other, here))  # noqa: B023 it is called at once
        told = outcome is not None and outcome.error == "CommitConflict" and other.run in outcome.text
        tally.point(
            f"{number} {case}", None if told and here.state() == after else f"{outcome}: {here.state()}"
        )
    tally.settle()


def test_a_writer_that_wakes_up_after_others_wrote_other_partitions_lands(
    place: MakePlace, tally: Tally
) -> None:
    here = place()
    attempt(Work("replace", (), OLD), here)
    work = Work("replace", ("a",), rows("a", "new", 5))
    others = [Work("replace", ("z",), rows("z", f"{n}", n), wide=n > 1) for n in range(4)]
    expected = work.after(others[-1].after(here.state()))
    outcome = woken_after(work, here, lambda: [attempt(other, here) for other in others])
    landed = outcome is not None and outcome.kind == "landed"
    tally.point("it lands", None if landed and here.state() == expected else f"{outcome}: {here.state()}")
    tally.settle()
