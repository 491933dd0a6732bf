"""The attack sees what it claims to see: with a defect built in on purpose, it reports losses and doubles."""

from collections.abc import Callable

import pytest

from practicus_assets.lake.delta.conditional_puts import _proven
from tests.faults.defects import DEFECTS, Defect
from tests.faults.proxy import Fault, FaultProxy
from tests.faults.tally import Tally
from tests.faults.test_pauses import woken_after
from tests.faults.test_races import fight
from tests.faults.test_requests import AGAIN, ONCE, Client, prepared, tried
from tests.faults.work import Place, Work, attempt, rows

MakePlace = Callable[[], Place]


def test_without_compare_and_swap_a_fight_has_many_winners(place: MakePlace) -> None:
    here, tally = place(), Tally("a fight")
    attempt(Work("replace", (), rows("a", "old", 1, 2)), here)
    works = [Work("replace", ("a",), rows("a", f"{number}", 1, 2)) for number in range(6)]
    fight(works, here, tally, defects=["no compare-and-swap"])
    assert any("landed" in problem for problem in tally.problems), tally.problems
    with pytest.raises(AssertionError, match="did not survive"):
        tally.settle()


def test_without_compare_and_swap_a_writer_that_wakes_up_overwrites_its_retry(place: MakePlace) -> None:
    here = place()
    attempt(Work("replace", (), rows("a", "old", 1, 2)), here)
    work = Work("append", ("a",), rows("a", "new", 3))
    once = work.after(here.state())
    outcome = woken_after(work, here, lambda: attempt(work.again(), here), defects=["no compare-and-swap"])
    assert outcome is not None
    assert outcome.kind == "landed"
    assert here.state() != once, "the rows are there twice"


@pytest.mark.parametrize("client", [ONCE, AGAIN], ids=lambda client: client.name)
def test_without_detection_of_own_commits_a_lost_answer_loses_the_rows_that_had_landed(
    client: Client, proxy: FaultProxy, s3: MakePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    DEFECTS["no detection of own commits"](monkeypatch.setattr)
    direct, work = prepared("append", s3)
    before = direct.state()
    proxy.arm(Fault("500 after", 1, "commits"))
    problem = tried(work, before, direct, direct.through(client.options(proxy)), proxy.seen)
    assert problem is not None
    assert "CommitConflict" in problem  # of the commit with itself, whose files it then deleted


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_alone_changes_nothing_for_a_single_writer(
    defect: Defect, s3: MakePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    DEFECTS[defect](monkeypatch.setattr)
    direct, work = prepared("replace", s3)
    expected = work.after(direct.state())
    assert attempt(work, direct).kind == "landed"
    assert direct.state() == expected


def test_a_store_that_ignores_conditions_is_seen_by_the_attack_once_the_proof_is_off(
    unsigned: MakePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, tally = unsigned(), Tally("a fight")
    _proven.clear()
    first = attempt(Work("replace", (), rows("a", "old", 1, 2)), here)
    assert first.error == "DeclarationError"
    assert "ignores If-None-Match" in first.text
    monkeypatch.setattr("practicus_assets.lake.transactions.landing.prove", lambda *_: None)
    assert attempt(Work("replace", (), rows("a", "old", 1, 2)), here).kind == "landed"
    for turn in range(10):  # on a busy machine, writers may come one after another
        fight([Work("replace", ("a",), rows("a", f"{turn}-{w}", 1, 2)) for w in range(8)], here, tally)
        if tally.problems:
            break
    with pytest.raises(AssertionError, match="did not survive"):
        tally.settle()
