"""Attempts whose rows an engine writes: killed, at once, on a store that fails, with files that go away."""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
import pytest

from practicus_assets.lake.partitions.values import folder
from practicus_assets.lake.transactions.engine_files import engine_files
from practicus_assets.lake.transactions.engine_files.found_files import FoundFiles, found
from practicus_assets.lake.transactions.engine_files.staged_parquet import StagedParquet
from tests.faults.kills import kill_at_each_request, kill_at_each_syscall
from tests.faults.proxy import Fault, FaultProxy, Kind
from tests.faults.tally import ROUNDS, Tally
from tests.faults.test_requests import ONCE, tried
from tests.faults.work import CASES, OLD, Place, Work, attempt, in_order, rows, until_landed
from tests.faults.writer import race

MakePlace = Callable[[], Place]

CI = ROUNDS == 1


@dataclass(frozen=True)
class EngineWork(Work):
    """Work whose rows are files that an engine writes, one file per partition.

    Attributes:
        engine: how the engine reaches the lake; None for as the transaction does.

    """

    engine: Place | None = None

    def carry_out(self, place: Place) -> int:
        transaction = self.begin(place)
        if transaction.landed is not None:
            return transaction.landed.version
        staged = transaction.staging()
        self.written(self.engine or place, staged)
        return transaction.write(staged).version

    def written(self, place: Place, staged: StagedParquet) -> None:
        """Write the files, as an engine does in a folder or a store."""
        table = place.table
        store = pyarrow.fs.LocalFileSystem() if table.local_path is not None else table.filesystem()
        below = staged.uri if table.local_path is not None else staged.uri.removeprefix(f"{table.uri}/")
        for p, group in groupby(self.rows, lambda row: row[0]):
            _, ids, v = zip(*group, strict=True)
            path = f"{below}/{folder('p', p)}/0.parquet"
            if table.local_path is not None:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
            with store.open_output_stream(path) as stream:
                pq.write_table(pa.table({"id": pa.array(ids, pa.int64()), "v": v}), stream)


def by_engine(work: Work) -> EngineWork:
    return EngineWork(work.mode, work.partitions, work.rows, run=work.run)


def prepared(case: str, make: MakePlace) -> tuple[Place, EngineWork]:
    old, work = CASES[case]
    place = make()
    if old is not None:
        assert attempt(Work("replace", (), old), place).kind == "landed"
    return place, by_engine(work())


def survived(work: EngineWork, place: Place, before: object) -> str | None:
    """Look at the table after a kill, retry, and return what is wrong."""
    after = work.after(before)  # type: ignore[arg-type]
    now = place.state()
    if now not in (before, after):
        return f"a mix: {now}"
    later = until_landed(work, place)
    if len(later) > 1 or later[0].kind != "landed":
        return f"the retry did not land at once: {later}"
    return None if place.state() == after else f"after the retry: {place.state()}"


@pytest.mark.parametrize("case", ["replace"] if CI else ["create", "replace", "append", "merge"])
def test_an_attempt_of_an_engine_killed_at_a_system_call(case: str, folder: MakePlace, tally: Tally) -> None:
    kill_at_each_syscall(
        tally,
        case,
        lambda: prepared(case, folder),
        survived,
        stride=lambda syscall: {"openat": 60, "write": 12}.get(syscall, 3) if CI else 1,
    )
    tally.settle()


@pytest.mark.parametrize("case", ["replace"] if CI else ["create", "replace", "append", "merge"])
def test_an_attempt_of_an_engine_killed_at_a_request(
    case: str, s3: MakePlace, proxy: FaultProxy, tally: Tally
) -> None:
    kill_at_each_request(tally, case, lambda: prepared(case, s3), survived, proxy, stride=12 if CI else 1)
    tally.settle()


def test_a_store_that_fails_at_a_request_of_an_attempt_of_an_engine(
    s3: MakePlace, proxy: FaultProxy, tally: Tally
) -> None:
    kinds: tuple[Kind, ...] = ("500 before", "500 after", "cut inside")
    for kind in kinds[: 1 if CI else None]:
        for number in range(1, 400, 5 if CI else 1):
            direct, work = prepared("replace", s3)
            work = replace(work, engine=direct)
            before = direct.state()
            proxy.arm(Fault(kind, number))
            problem = tried(work, before, direct, direct.through(ONCE.options(proxy)), lambda: None)
            if not proxy.seen().hits:
                break
            tally.point(f"{kind} {number}", problem)
    tally.settle()


@pytest.mark.parametrize("kind", ["folder"] if CI else ["folder", "s3"])
def test_attempts_of_engines_at_once_on_overlapping_partitions(
    kind: str, request: pytest.FixtureRequest, tally: Tally
) -> None:
    make: MakePlace = request.getfixturevalue(kind)
    for number in range(ROUNDS):
        here = make()
        assert attempt(Work("replace", (), OLD), here).kind == "landed"
        before = here.state()
        works = [
            EngineWork("replace", ("a", "z"), rows("a", "one", 1, 2) + rows("z", "one", 3)),
            EngineWork("replace", ("z",), rows("z", "two", 3, 4)),
            EngineWork("append", ("z",), rows("z", "three", 7)),
            EngineWork("replace", ("b/c d",), rows("b/c d", "four", 8)),
        ]
        outcomes = race(works, here, all_begun=True)
        pairs = list(zip(works, outcomes, strict=True))
        landed = [pair for pair in pairs if pair[1].kind == "landed"]
        refused = {outcome.error for _, outcome in pairs if outcome.kind != "landed"}
        problem = None if here.state() == in_order(before, landed) else f"{here.state()} of {outcomes}"
        if refused - {"CommitConflict"} or len(landed) < 2 or works[3] not in [work for work, _ in landed]:
            problem = problem or str(outcomes)
        tally.point(f"round {number}", problem)
        again = [(work, until_landed(work, here)[-1]) for work, outcome in pairs if outcome.kind != "landed"]
        ends = in_order(before, [*landed, *again])
        tally.point(f"retries {number}", None if here.state() == ends else f"{here.state()} of {again}")
    tally.settle()


def test_a_file_that_goes_away_at_a_random_moment(folder: MakePlace, tally: Tally) -> None:
    moments = random.Random(7)  # noqa: S311 the same in every run
    for number in range(6 * ROUNDS):
        here, work = prepared("replace", folder)
        before = here.state()
        first = attempt(Losing(**{**vars(work), "after_s": moments.uniform(0, 0.02)}), here)
        now = here.state()
        expected = work.after(before) if first.kind == "landed" else before
        problem = None if now == expected else f"{now} after {first}"
        if first.kind == "raised" and first.error != "DataRefused":
            problem = problem or str(first)
        tally.point(f"number {number}", problem)
        later = until_landed(replace(work, attempt=2), here)
        tally.point(f"retry {number}", None if here.state() == work.after(before) else str(later))
    tally.settle()


@dataclass(frozen=True)
class Losing(EngineWork):
    """Work beside which somebody moves a file away, between its list and the attempt to commit."""

    after_s: float = 0.0

    def carry_out(self, place: Place) -> int:
        transaction = self.begin(place)
        staged = transaction.staging()
        self.written(place, staged)
        timer = threading.Timer(self.after_s, next(Path(staged.uri).rglob("0.parquet")).unlink)

        def listed(*asked: Any) -> FoundFiles:
            files = found(*asked)
            timer.start()
            return files

        with patch.object(engine_files, "found", listed):  # one that goes before was never there
            try:
                audited = transaction.audit(transaction.stage(staged))
            finally:
                timer.join()
        return transaction.land(audited).version
