"""Engines of Spark Connect: their server or their step killed, stopped, and two of them at once."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from practicus_assets.engines.spark.server import Server
from practicus_assets.engines.spark.spark_connect import SparkConnect
from tests.faults.engines import MOMENTS, SparkWork, is_stopped
from tests.faults.kills import struck
from tests.faults.proxy import Fault, FaultProxy, Kind
from tests.faults.tally import ROUNDS, Tally
from tests.faults.test_engine_files import survived
from tests.faults.work import (
    CASES,
    OLD,
    SPELLINGS,
    Outcome,
    Place,
    State,
    Work,
    attempt,
    in_order,
    rows,
    until_landed,
)
from tests.faults.writer import Writer, race
from tests.workers.place import until

MakePlace = Callable[[], Place]

CI = ROUNDS == 1
SOME = ["replace"] if CI else ["create", "replace", "append", "merge"]
KINDS: list[Any] = ["sail", *(["spark"] if not CI and "SPARK_HOME" in os.environ else [])]
# by strides; the first `openat` of Sail is of its input, and the first `rename` of a file that it wrote
CALLS = {"openat": 3, "pread64": 2, "mkdir": 1, "write": 12, "rename": 1, "unlink": 1}
OF_JVM = {"openat": 40, "mkdir": 2, "write": 40, "rename": 1, "unlink": 1}
SHORT = [("openat", 1), ("rename", 1)]


@pytest.fixture(scope="module", params=KINDS)
def later(request: pytest.FixtureRequest) -> Iterator[SparkConnect]:
    """An engine whose server runs already."""
    with Server(request.param) as server:
        yield SparkConnect(request.param, server.address)


def fit(make: MakePlace, engine: SparkConnect) -> Place:
    """Return a fresh lake whose name the engine takes: Apache Spark takes some characters for patterns."""
    places = (make() for _ in SPELLINGS)
    return next(
        place for place in places if engine.server == "sail" or not set("*?[]{}") & set(place.root_uri)
    )


def prepared(case: str, make: MakePlace, later: SparkConnect, **how: Any) -> tuple[Place, SparkWork, State]:
    """Return a place with the old rows and those that the engine reads, the work, and what is there."""
    old, work = CASES[case]
    place = fit(make, later)
    if old is not None:
        assert attempt(Work("replace", (), old), place).kind == "landed"
    plain = work()
    own = SparkWork(
        plain.mode, plain.partitions, plain.rows, engine=SparkConnect(later.server), later=later, **how
    )
    own.give(place)
    return place, own, place.state()


def wrong(outcome: Outcome, work: SparkWork, place: Place, before: State) -> str | None:
    """Return what is wrong after an attempt whose server died, and its retry."""
    if outcome.kind == "raised" and outcome.error != "EngineFailed":
        return f"not told: {outcome}"
    return survived(work, place, before)  # type: ignore[arg-type] # work that is tried again


def calls(engine: SparkConnect) -> Iterator[tuple[str, range]]:
    """Yield system calls of a server, and at which of them it is killed."""
    if CI:
        yield from ((syscall, range(number, number + 1)) for syscall, number in SHORT)
        return
    for syscall, stride in (CALLS if engine.server == "sail" else OF_JVM).items():
        yield syscall, range(1, 2000, stride)


@pytest.mark.parametrize("case", SOME)
def test_a_server_killed_at_a_system_call(
    case: str, folder: MakePlace, later: SparkConnect, tally: Tally
) -> None:
    """It is killed while it reads its input, and while it writes."""
    if later.server == "spark" and case != "replace":
        return  # a JVM takes long to start
    for syscall, numbers in calls(later):
        for number in numbers:
            with ExitStack() as stack:

                def strike(moment: str, servers: list[int], call: Any = (syscall, number)) -> None:
                    if moment == MOMENTS[1]:
                        stack.enter_context(struck(servers[-1], *call))

                place, work, before = prepared(case, folder, later, at=strike)
                outcome = attempt(work, place)
            where = f"{case}, {syscall} {number}"
            if outcome.kind == "landed":  # there are not so many calls
                problem = None if place.state() == work.after(before) else f"it landed with {place.state()}"
                problem = problem or ("it was not killed" if CI else None)
                tally.point(where, problem)
                break
            tally.point(where, wrong(outcome, work, place, before))
    tally.settle()


@pytest.mark.parametrize("case", SOME)
def test_a_server_killed_at_a_request(
    case: str, s3: MakePlace, proxy: FaultProxy, later: SparkConnect, tally: Tally
) -> None:
    if later.server == "spark":
        return  # it is given folders only
    kinds: tuple[Kind, ...] = ("kill before", "kill after")
    every = [Fault(kind, number) for kind in kinds for number in range(1, 26, 2)]
    # after the first write there is one file of two
    for fault in [Fault("kill after", 1, "writes")] if CI else every:

        def arm(moment: str, servers: list[int], fault: Fault = fault) -> None:
            if moment == MOMENTS[1]:
                proxy.arm(replace(fault, pid=servers[-1]))

        place, work, before = prepared(case, s3, SparkConnect(), at=arm)
        outcome = attempt(work, place.through({"AWS_ENDPOINT_URL": proxy.endpoint}))
        problem = None if proxy.seen().hits else "no such request"
        tally.point(f"{case}, {fault}", problem or wrong(outcome, work, place, before))
    tally.settle()


@pytest.mark.parametrize("case", SOME)
def test_a_step_killed_at_a_moment_of_its_engine(
    case: str, folder: MakePlace, later: SparkConnect, tally: Tally
) -> None:
    """Its table and its retry are well, though a server that ran already goes on to write for it."""
    engines = [SparkConnect(later.server), later]
    for engine, moment in product(engines[1:] if CI else engines, [MOMENTS[3]] if CI else MOMENTS):
        place, work, before = prepared(case, folder, later, dies=moment)
        writer = Writer(replace(work, engine=engine), place)
        writer.go()
        outcome = writer.ended()
        problem = None if outcome is None else f"it was not killed: {outcome}"
        where = f"{case}, {moment}, {engine.name.partition(':')[0]}"
        tally.point(where, problem or wrong(Outcome("landed"), work, place, before))
    tally.settle()


@pytest.mark.parametrize("moment", [MOMENTS[2]] if CI else [MOMENTS[2], MOMENTS[3]])
def test_an_attempt_whose_server_stopped_is_refused_when_it_goes_on(
    moment: str, folder: MakePlace, later: SparkConnect, tally: Tally
) -> None:
    for case in SOME:
        stopped: list[int] = []

        def stop(now: str, servers: list[int], stopped: list[int] = stopped) -> None:
            if now == moment:
                os.kill(servers[-1], signal.SIGSTOP)
                stopped.append(servers[-1])

        place, work, before = prepared(case, folder, later, at=stop)
        after = work.after(before)
        ended: list[Outcome] = []
        straggler = threading.Thread(target=lambda: ended.append(attempt(work, place)))  # noqa: B023 it is joined
        straggler.start()
        try:
            server = until(lambda: stopped or ended, "the server to stop")[0]  # noqa: B023 it is called at once
            assert not ended, ended
            until(lambda: is_stopped(server), "the server to have stopped")  # noqa: B023 it is called at once
            landed = attempt(work.again(), place)
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
            straggler.join()
        [outcome] = ended
        told = landed.kind == "landed" and outcome.error == "CommitConflict" and "attempt 2" in outcome.text
        problem = None if told else f"{landed}, {outcome}"
        tally.point(f"{case}, {moment}", problem or (None if place.state() == after else f"{place.state()}"))
    tally.settle()


@pytest.mark.parametrize("kind", ["folder"] if CI else ["folder", "s3"])
def test_engines_at_once_on_overlapping_partitions(
    kind: str, request: pytest.FixtureRequest, later: SparkConnect, tally: Tally
) -> None:
    if kind == "s3" and later.server == "spark":
        return  # it is given folders only
    for number in range(ROUNDS):
        here = fit(request.getfixturevalue(kind), later)
        assert attempt(Work("replace", (), OLD), here).kind == "landed"
        before = here.state()
        with ExitStack() as stack:
            engine = later
            if kind == "s3":
                from practicus_assets.engines.spark.stores import variables_of

                server = stack.enter_context(Server("sail", variables_of([here.table])))
                engine = SparkConnect("sail", server.address)
            given = SparkWork("replace", (), rows("a", "new", 1, 2) + rows("z", "new", 3), engine=engine)
            given.give(here)
            works = [
                SparkWork("replace", ("a", "z"), given.rows, engine=engine),
                SparkWork("merge", ("a", "z"), given.rows, engine=engine),
            ]
            outcomes = race(works, here, all_begun=True)
            pairs = list(zip(works, outcomes, strict=True))
            landed = [pair for pair in pairs if pair[1].kind == "landed"]
            lost = [pair for pair in pairs if pair[1].kind != "landed"]
            ok = len(landed) == 1 and {outcome.error for _, outcome in lost} == {"CommitConflict"}
            problem = None if ok else str(outcomes)
            tally.point(
                f"{kind} {number}",
                problem or (None if here.state() == in_order(before, landed) else f"a mix: {here.state()}"),
            )
            again = [(work, until_landed(work, here)[-1]) for work, _ in lost]
        ends = in_order(before, [*landed, *again])
        tally.point(f"{kind} {number}, retried", None if here.state() == ends else f"{here.state()}")
    tally.settle()
