"""What a run holds for its steps: opened when the first needs it, told to all of them, never exchanged."""

import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from practicus_assets.errors import SourceChanged, SourceFailed
from practicus_assets.workers.launch import held, variables
from practicus_assets.workers.launch.held import Holds


@dataclass
class Kept:
    """Something that is held, and that the test can break."""

    text: str | None
    works: bool = True
    is_closed: bool = False

    def is_open(self) -> bool:
        return self.works

    def close(self) -> None:
        self.is_closed = True


@dataclass
class Keeper:
    """Holds one thing after the other: state-1, state-2."""

    key: str | None = "db"
    kept: list[Kept] = field(default_factory=list)
    fails: Exception | None = None
    has_state: bool = True
    sharers: int = 0

    def hold_key(self) -> str | None:
        return self.key

    def hold(self, sharers: Any) -> Kept:
        self.sharers = len(sharers)
        if self.fails is not None:
            raise self.fails
        self.kept.append(Kept(f"state-{len(self.kept) + 1}" if self.has_state else None))
        return self.kept[-1]


def holds(*steps: str, **keepers: Keeper) -> Holds:
    """Return the holds of a run whose steps load inputs by all of these resources."""
    source = SimpleNamespace(required_resource_keys=lambda *_: set(keepers))
    inputs = [SimpleNamespace(name="input", source=source)]
    plan_steps = [SimpleNamespace(key=step, node_handle=None, step_inputs=inputs) for step in steps]
    plan = SimpleNamespace(steps=plan_steps, step_keys_to_execute=list(steps))
    return Holds.of(SimpleNamespace(resource_defs=keepers), plan)


def as_read(monkeypatch: pytest.MonkeyPatch, told: dict[str, Any], key: str = "db") -> str | None:
    """Return what a process reads that is told this."""
    monkeypatch.delenv(variables.HELD, raising=False)
    for name, value in held.environment(told).items():
        monkeypatch.setenv(name, value)
    return held.held(key)


def test_steps_are_told_of_one_thing_that_is_opened_when_the_first_needs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keeper = Keeper()
    run = holds("a", "b", db=keeper)
    assert keeper.kept == []
    assert [as_read(monkeypatch, run.told(step, 1)) for step in "ab"] == ["state-1", "state-1"]
    assert (len(keeper.kept), keeper.sharers) == (1, 2)


def test_a_step_that_is_the_only_one_is_told_nothing() -> None:
    keeper = Keeper()
    assert holds("a", db=keeper).told("a", 1) == {}
    assert held.environment({}) == {}
    assert keeper.kept == []


def test_what_wants_nothing_held_is_left_alone() -> None:
    assert holds("a", "b", db=Keeper(key=None), other=object()).told("a", 1) == {}  # type: ignore[arg-type]


def test_what_cannot_be_shared_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    run = holds("a", "b", db=Keeper(has_state=False))
    assert as_read(monkeypatch, run.told("a", 1)) is None


def test_it_is_closed_when_its_last_step_has_succeeded() -> None:
    keeper = Keeper()
    run = holds("a", "b", db=keeper)
    for step in "ab":
        run.told(step, 1)
        run.began(step)
        assert not keeper.kept[0].is_closed
        run.ended(step, succeeded=True)
    assert keeper.kept[0].is_closed


def test_it_stays_open_for_a_step_that_failed_until_the_run_ends() -> None:
    keeper = Keeper()
    run = holds("a", "b", db=keeper)
    run.told("a", 1)
    run.began("a")
    run.ended("a", succeeded=False)
    assert not keeper.kept[0].is_closed
    run.close()
    assert keeper.kept[0].is_closed


def test_a_retry_is_told_of_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    run = holds("a", "b", db=Keeper())
    run.told("a", 1)
    run.began("a")
    run.ended("a", succeeded=False)
    assert as_read(monkeypatch, run.told("a", 2)) == "state-1"


def test_a_retry_begins_anew_where_the_old_is_lost_and_no_other_step_has_read_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keeper = Keeper()
    run = holds("a", "b", db=keeper)
    run.told("a", 1)
    run.began("a")
    keeper.kept[0].works = False
    run.ended("a", succeeded=False)
    assert as_read(monkeypatch, run.told("a", 2)) == "state-2"
    assert keeper.kept[0].is_closed


@pytest.mark.parametrize("ends", [True, False], ids=["ended", "running"])
def test_a_retry_is_refused_where_the_old_is_lost_and_another_step_has_read_it(
    monkeypatch: pytest.MonkeyPatch, *, ends: bool
) -> None:
    keeper = Keeper()
    run = holds("a", "b", db=keeper)
    for step in "ab":
        run.told(step, 1)
        run.began(step)
    if ends:
        run.ended("a", succeeded=True)
    keeper.kept[0].works = False
    run.ended("b", succeeded=False)
    with pytest.raises(SourceChanged, match=r"held of db is gone, which a read.* Run all steps that read it"):
        as_read(monkeypatch, run.told("b", 2))


def test_a_run_that_was_started_again_does_not_go_on_with_something_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keeper = Keeper()
    run = holds("a", "b", "c", db=keeper)
    run.began("a")  # by an earlier process of the run
    with pytest.raises(SourceChanged, match="or the process was started again"):
        as_read(monkeypatch, run.told("b", 1))
    assert keeper.kept == []


def test_the_error_of_what_cannot_be_opened_is_raised_by_the_step_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keeper = Keeper(fails=SourceFailed("db cannot be reached.", "Start it."))
    run = holds("a", "b", db=keeper)
    with pytest.raises(SourceFailed, match=r"^db cannot be reached. Start it.$"):
        as_read(monkeypatch, run.told("a", 1))
    keeper.fails = None
    assert as_read(monkeypatch, run.told("a", 2)) == "state-1"


def test_what_a_driver_says_is_not_told_for_it_may_quote_a_password() -> None:
    run = holds("a", "b", db=Keeper(fails=RuntimeError("password hunter22 is wrong")))
    told = json.dumps(run.told("a", 1))
    assert "hunter22" not in told
    assert "the process of the run cannot hold db: RuntimeError" in told
