"""Many writers at once: each lands exactly once or is told who was first."""

import os
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, Field, QueryBuilder
from deltalake.exceptions import DeltaError
from deltalake.schema import PrimitiveType

from tests.faults.defects import Defect
from tests.faults.tally import ROUNDS, Tally
from tests.faults.work import Place, Work, attempt, in_order, rows, until_landed
from tests.faults.writer import race

MakePlace = Callable[[], Place]


def keys(here: Place) -> list[str]:
    """Return 64 partitions; on S3, whose requests cost the two cores of a build much, 24 in a short run."""
    return [f"k/{number}" for number in range(24 if here.options and ROUNDS == 1 else 64)]


def test_many_processes_create_one_table(place: MakePlace, tally: Tally) -> None:
    here = place()
    works = [Work("replace", (key,), rows(key, "new", 1, 2)) for key in keys(here)]
    outcomes = race(works, here)
    for work, outcome in zip(works, outcomes, strict=True):
        tally.point(str(work.partitions), None if outcome.kind == "landed" else str(outcome))
    expected = in_order(None, zip(works, outcomes, strict=True))
    tally.point("the table", None if here.state() == expected else f"{here.state()}")
    tally.point(
        "versions", None if sorted(o.version for o in outcomes) == list(range(len(works))) else str(outcomes)
    )
    tally.settle()


@contextmanager
def over_and_over(done: Counter[str], *actions: Callable[[], object]) -> Iterator[None]:
    """Do things again and again beside the block, in a thread each; count how often each succeeded."""
    stop = threading.Event()

    def repeat(action: Callable[[], object]) -> None:
        while not stop.wait(0.1):
            try:
                action()
                done[action.__name__] += 1
            except DeltaError:  # it met a writer, and tries again
                pass

    threads = [threading.Thread(target=repeat, args=[action]) for action in actions]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_many_processes_rewrite_disjoint_partitions_while_columns_change_and_files_move(
    place: MakePlace, tally: Tally
) -> None:
    here = place()
    old = Work("replace", (), tuple(row for key in keys(here) for row in rows(key, "old", 1)))
    attempt(old, here)
    for key in keys(here)[:8]:  # small files, to compact
        attempt(Work("append", (key,), rows(key, "old", 2)), here)
    start = here.state()

    def handle() -> DeltaTable:
        return DeltaTable(here.table.uri, storage_options=dict(here.options))

    def column() -> None:
        table = handle()  # one, or a writer would be faster each time
        table.alter.add_columns(Field(f"c{len(table.schema().fields)}", PrimitiveType("long")))

    def compact() -> None:
        handle().optimize.compact()

    def vacuum() -> None:
        handle().vacuum(0, dry_run=False, enforce_retention_duration=False)

    works = [Work("replace", (key,), rows(key, "new", 1, 2)) for key in keys(here)]
    done: Counter[str] = Counter()
    outcomes = race(works, here, all_begun=True, beside=over_and_over(done, column, compact, vacuum))
    for work, outcome in zip(works, outcomes, strict=True):
        tally.point(str(work.partitions), None if outcome.kind == "landed" else str(outcome))
    expected = in_order(start, zip(works, outcomes, strict=True))
    tally.point("the table", None if here.state() == expected else f"{here.state()}")
    for action in ("column", "compact", "vacuum"):
        tally.point(action, None if done[action] else "it never succeeded")
    tally.settle()


def fight(works: list[Work], here: Place, tally: Tally, *, defects: Sequence[Defect] = ()) -> None:
    """Let writers that have all begun commit the same partition; judge who lands and what the others hear."""
    before = here.state()
    outcomes = race(works, here, all_begun=True, defects=defects)
    landed = [(w, o) for w, o in zip(works, outcomes, strict=True) if o.kind == "landed"]
    winners = [work for work, _ in landed]
    for work, outcome in zip(works, outcomes, strict=True):
        told = outcome.error == "CommitConflict" and any(f"run {w.run}" in outcome.text for w in winners)
        tally.point(
            work.run, None if outcome.kind == "landed" or told else f"it was not told who won: {outcome}"
        )
    tally.point("winners", None if len(winners) == 1 else f"{len(winners)} landed")
    tally.point("the table", None if here.state() == in_order(before, landed) else f"{here.state()}")
    for work, outcome in zip(works, outcomes, strict=True):
        if outcome.kind == "raised":
            later = until_landed(work, here)
            good = len(later) == 1 and later[0].kind == "landed" and here.state() == work.after(here.state())
            tally.point(f"retry of {work.run}", None if good else f"{later}: {here.state()}")


def test_processes_fight_for_one_partition(place: MakePlace, tally: Tally) -> None:
    here = place()
    attempt(Work("replace", (), rows("a", "old", 1, 2) + rows("b", "old", 1)), here)
    for number in range(2 * ROUNDS):
        fight([Work("replace", ("a",), rows("a", f"{number}-{w}", 1, 2)) for w in range(16)], here, tally)
    tally.settle()


def test_appends_merges_and_replaces_beside_each_other(place: MakePlace, tally: Tally) -> None:
    for number in range(3 * ROUNDS):
        here = place()
        attempt(Work("replace", (), rows("a", "old", 1, 2) + rows("b", "old", 1)), here)
        start = here.state()
        works = [
            *(Work("append", ("a",), rows("a", f"append {w}", 100 + w)) for w in range(6)),
            *(Work("append", (), rows("b", f"append {w}", 100 + w)) for w in range(2)),
            *(Work("replace", ("a",), rows("a", f"replace {w}", 1)) for w in range(3)),
            *(Work("merge", ("a", "b"), rows("a", f"merge {w}", 1, 7)) for w in range(2)),
            Work("replace", (), rows("a", "all", 1)),
        ]
        outcomes = race(works, here)
        landed = [(w, o) for w, o in zip(works, outcomes, strict=True) if o.kind == "landed"]
        for work, outcome in zip(works, outcomes, strict=True):
            fine = outcome.kind == "landed" or outcome.error == "CommitConflict"
            tally.point(f"{number} {work.mode}", None if fine else str(outcome))
        same = here.state() == in_order(start, landed)
        tally.point(f"{number} the table", None if same else f"{here.state()} after {landed}")
        for work, outcome in zip(works, outcomes, strict=True):
            if outcome.kind == "raised":
                before = here.state()
                later = until_landed(work, here)
                good = later[-1].kind == "landed" and here.state() == work.after(before)
                tally.point(f"{number} retry of {work.mode}", None if good else f"{later}: {here.state()}")
    tally.settle()


DAYS = "2013-01-01...2013-01-04"
TABLES = ("table1_new", "table2_new", "final_table")


def pipeline(lake: Path, home: Path) -> "subprocess.Popen[str]":
    """Start a run of the shipped pipeline for some days."""
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    command = [sys.executable, "-W", "ignore", "-m", "dagster", "asset", "materialize", "--select", "*"]
    return subprocess.Popen(
        [*command, "-m", "pipelines", "--partition-range", DAYS],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PRACTICUS_LAKE": str(lake), "DAGSTER_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def contents(lake: Path) -> dict[str, Counter[str]]:
    """Return the rows of the pipeline's tables."""
    found = {}
    for name in TABLES:
        query = QueryBuilder().register("t", DeltaTable(str(lake / name))).execute("SELECT * FROM t")
        found[name] = Counter(map(repr, pa.table(query).to_pylist()))
    return found


def test_two_whole_runs_of_the_shipped_pipeline_at_once(tmp_path: Path, tally: Tally) -> None:
    alone = pipeline(tmp_path / "alone", tmp_path / "home1")
    text = alone.communicate(timeout=300)[0]
    assert alone.returncode == 0, text[-3000:]
    both = [pipeline(tmp_path / "lake", tmp_path / f"home{number}") for number in (2, 3)]
    texts = [run.communicate(timeout=300)[0] for run in both]
    codes = [run.returncode for run in both]
    for text, code in zip(texts, codes, strict=True):
        told = re.findall(r"practicus_assets\.errors\.(\w+)", text)
        tally.point("a run", None if code == 0 or set(told) == {"CommitConflict"} else text[-3000:])
    if 0 not in codes:  # each was first at one of the first two tables, and is told to run again
        again = pipeline(tmp_path / "lake", tmp_path / "home4")
        text = again.communicate(timeout=300)[0]
        tally.point("a run after both had lost a table", None if again.returncode == 0 else text[-3000:])
    expected = contents(tmp_path / "alone")
    for name, found in contents(tmp_path / "lake").items():
        tally.point(name, None if found == expected[name] else f"{found - expected[name]}")
    tally.settle()
