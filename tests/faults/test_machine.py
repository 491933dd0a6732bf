"""Writers that are paused, killed, retried and overtaken, in any order, against a model."""

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.faults.tally import ROUNDS, Tally
from tests.faults.work import Outcome, Place, Work, attempt, in_order, rotated, until_landed
from tests.faults.writer import Writer, race

SPELLED = rotated("actors")
PARTITIONS = ["a", "b/c", "x' OR '1'='1"]

works = st.builds(
    lambda mode, partitions, drafted: Work(
        mode,
        tuple(sorted(partitions)),
        tuple({(p, i): (p, i, f"v{n}") for p, i, n in drafted if not partitions or p in partitions}.values()),
    ),
    st.sampled_from(["replace", "append", "merge"]),
    st.sets(st.sampled_from(PARTITIONS)),
    st.lists(st.tuples(st.sampled_from(PARTITIONS), st.integers(0, 3), st.integers(0, 2)), max_size=5),
)


def shares(one: Work, other: Work) -> bool:
    """Whether two pieces of work cannot both land if both have begun before either commits."""
    overlap = not one.partitions or not other.partitions or set(one.partitions) & set(other.partitions)
    return bool(overlap) and not one.mode == other.mode == "append"


class Actors(RuleBasedStateMachine):
    """Drives one table by processes; the model decides who lands."""

    tally: Tally | None = None

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="actors"))
        self.place = Place(next(SPELLED)(self.folder / "lake"))
        self.model: Any = None
        self.paused: list[tuple[Work, Writer]] = []
        self.stale: set[str] = set()  # runs that have begun and were overtaken

    def teardown(self) -> None:
        for _, writer in self.paused:
            writer.kill()
            writer.ended()
        shutil.rmtree(self.folder)

    def landed(self, work: Work) -> None:
        self.model = work.after(self.model)
        self.stale |= {other.run for other, _ in self.paused if shares(work, other)}

    def take(self, which: int) -> tuple[Work, Writer]:
        return self.paused.pop(which % len(self.paused))

    @rule(work=works)
    def write(self, work: Work) -> None:
        assert attempt(work, self.place).kind == "landed"
        self.landed(work)

    @precondition(lambda self: len(self.paused) < 3)
    @rule(work=works)
    def pause_a_writer_before_its_commit(self, work: Work) -> None:
        writer = Writer(work, self.place, pause="before the commit")
        writer.go()
        writer.wait_until_paused()
        self.paused.append((work, writer))

    @precondition(lambda self: self.paused)
    @rule(which=st.integers(0, 2))
    def resume(self, which: int) -> None:
        work, writer = self.take(which)
        writer.resume()
        outcome = writer.ended()
        assert outcome is not None
        if work.run in self.stale:
            assert outcome.error == "CommitConflict", outcome
            assert outcome.text.endswith("Nothing was written.")
        else:
            assert outcome.kind == "landed", outcome
            self.landed(work)

    @precondition(lambda self: self.paused)
    @rule(which=st.integers(0, 2))
    def kill_a_paused_writer_and_retry(self, which: int) -> None:
        work, writer = self.take(which)
        writer.kill()
        assert writer.ended() is None
        assert [outcome.kind for outcome in until_landed(work, self.place)] == ["landed"]
        self.landed(work)

    @precondition(lambda self: self.paused)
    @rule(which=st.integers(0, 2))
    def retry_and_then_wake_the_first_attempt(self, which: int) -> None:
        work, writer = self.take(which)
        assert [outcome.kind for outcome in until_landed(work, self.place)] == ["landed"]
        self.landed(work)
        writer.resume()
        outcome = writer.ended()
        assert outcome is not None
        assert outcome.error == "CommitConflict", outcome

    @rule(work=works, after_ms=st.integers(0, 80))
    def kill_a_running_writer_and_retry(self, work: Work, after_ms: int) -> None:
        writer = Writer(work, self.place)
        writer.go()
        time.sleep(after_ms / 1000)
        writer.kill()
        writer.ended()
        assert self.place.state() in (self.model, work.after(self.model))
        assert [outcome.kind for outcome in until_landed(work, self.place)] == ["landed"]
        self.landed(work)

    @rule(one=works, other=works)
    def two_at_once(self, one: Work, other: Work) -> None:
        outcomes = race([one, other], self.place)
        landed = [(w, o) for w, o in zip((one, other), outcomes, strict=True) if o.kind == "landed"]
        assert landed
        assert len(landed) == 2 or shares(one, other)
        assert all(o.error in {"", "CommitConflict"} for o in outcomes), outcomes
        ordered: list[tuple[Work, Outcome]] = sorted(landed, key=lambda pair: pair[1].version)
        assert in_order(self.model, ordered) == self.place.state()
        for work, _ in ordered:
            self.landed(work)

    @precondition(lambda self: self.model is not None)
    @rule(compact=st.booleans())
    def tidy_up(self, compact: bool) -> None:  # noqa: FBT001 drawn
        handle = DeltaTable(self.place.table.uri)
        if compact:
            handle.optimize.compact()
        else:
            handle.vacuum(0, dry_run=False, enforce_retention_duration=False)

    @invariant()
    def the_table_is_what_the_model_says(self) -> None:
        assert Actors.tally is not None
        found = self.place.state()
        Actors.tally.point("a step", None if found == self.model else f"{found}, not {self.model}")
        assert found == self.model


def test_paused_killed_and_overtaken_writers_in_any_order(
    tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Actors, "tally", tally)
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Actors,
        settings=settings(
            max_examples=12 * ROUNDS,
            stateful_step_count=12,
            deadline=None,
            derandomize=ROUNDS == 1,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    tally.settle()
