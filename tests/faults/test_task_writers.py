"""Tasks that write a table, whose script or whose step is killed at a random moment."""

import json
import os
import random
import signal
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg
import pytest
from deltalake import DeltaTable

from practicus_assets import DeltaIOManager, task_asset
from practicus_assets.workers.launch import variables
from tests.faults.tally import ROUNDS, Tally
from tests.faults.work import NAME, OLD, Outcome, Place, State, Work, attempt, rows
from tests.faults.writer import Writer

_TIMEOUT_S = 120
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
NEW = rows("a", "new", 1, 2, 3, 4) + rows("y", "new", 7)
CASES: dict[str, Callable[[], Work]] = {
    "append": lambda: Work("append", (), NEW),
    "merge": lambda: Work("merge", (), NEW),
    "replace": lambda: Work("replace", (), NEW),
}
SHORT = ["append", "replace"]  # in a short run
SCRIPT = """
    import json, os, sys
    from pathlib import Path
    Path(sys.argv[1], "pid.new").write_text(str(os.getpid()))
    Path(sys.argv[1], "pid.new").rename(Path(sys.argv[1], "pid"))
    from practicus_assets import task
    table = task.table("t")
    chunks = ([dict(zip(("p", "id", "v"), row))] for row in json.loads(sys.argv[3]))
    if sys.argv[2] == "replace":
        table.replace(chunks)
    else:
        for chunk in chunks:
            getattr(table, sys.argv[2])(chunk)
    if "further" in sys.argv:
        task.table("further").replace([dict(zip(("p", "id", "v"), row)) for row in json.loads(sys.argv[3])])
"""
FURTHER = "further"  # the second table's name


@dataclass(frozen=True)
class TaskWork:
    """Work that a task does: its script gives the rows, and its step commits them.

    Attributes:
        work: what is to be in the table.
        folder: the script's, in which it says what process it is.

    """

    work: Work
    folder: Path

    def asset(self) -> dg.AssetsDefinition:
        """Return the asset of the task."""
        return task_asset(
            self.folder / "write.py",
            name=NAME,
            arguments=[str(self.folder), self.work.mode, json.dumps(self.work.rows)],
            table={
                "partition_by": ["p"],
                "mode": self.work.mode,
                **({"merge_keys": ["p", "id"]} if self.work.mode == "merge" else {}),
            },
        )

    def carry_out(self, place: Place) -> int:
        """Run the step of the task as one attempt; return the table's version."""
        asset = self.asset()
        lake = DeltaIOManager(root_uri=place.root_uri)
        definitions = dg.Definitions(
            [asset], jobs=[dg.define_asset_job("job")], resources={"io_manager": lake}
        )
        os.environ[variables.ATTEMPT] = str(self.work.attempt)
        try:
            definitions.resolve_job_def("job").execute_in_process(run_id=self.work.run, run_config=QUIET)
        finally:
            del os.environ[variables.ATTEMPT]
        return DeltaTable(place.table.uri).version()

    def script(self) -> int:
        """Return the process of the script, once it has begun."""
        file = self.folder / "pid"
        _wait(file.exists)
        return int(file.read_text())


class TwoTables(TaskWork):
    """Work that a task does on two tables: it appends to the first, and makes the second."""

    def asset(self) -> dg.AssetsDefinition:
        """Return the assets of the task."""
        return task_asset(
            self.folder / "write.py",
            name="both",
            arguments=[str(self.folder), self.work.mode, json.dumps(self.work.rows), "further"],
            tables={NAME: {"partition_by": ["p"], "mode": self.work.mode}, FURTHER: {"partition_by": ["p"]}},
        )


def prepared(case: str, folder: Path, place: Place) -> tuple[Place, TaskWork, State]:
    assert attempt(Work("replace", (), OLD), place).kind == "landed"
    folder.mkdir()
    (folder / "write.py").write_text(textwrap.dedent(SCRIPT))
    return place, TaskWork(CASES[case](), folder), place.state()


def survived(task: TaskWork, place: Place, before: State) -> str | None:
    """Look at the table after a kill, retry, and return what is wrong."""
    after = task.work.after(before)
    now = place.state()
    if now not in (before, after):
        return f"a mix: {now}"
    retry: Outcome = attempt(replace(task, work=task.work.again()), place)
    if retry.kind != "landed":
        return f"the retry did not land: {retry}"
    return None if place.state() == after else f"after the retry: {place.state()}"


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES if ROUNDS > 1 else SHORT)
@pytest.mark.parametrize("victim", ["script", "step"])
def test_a_task_killed_at_a_random_moment_while_it_writes_a_table(
    case: str, victim: str, tmp_path: Path, folder: Callable[[], Place], tally: Tally
) -> None:
    moments = random.Random(f"{case} {victim}")  # noqa: S311 the same in every run
    lasts = 0.0  # from the script's beginning to the end of what is killed, in an attempt that is left alone
    for number in range(1 + 2 * ROUNDS):
        place, task, before = prepared(case, tmp_path / str(number), folder())
        writer = Writer(task, place)
        writer.go()
        script = task.script()
        began = time.monotonic()
        if not number:
            outcome = None
            if victim == "step":
                outcome = writer.ended()
            _gone(script)
            lasts = time.monotonic() - began
            outcome = outcome or writer.ended()
            assert outcome is not None
            assert (outcome.kind, place.state()) == ("landed", task.work.after(before))
            continue
        after_s = moments.uniform(0, lasts)
        time.sleep(after_s)
        if victim == "script":
            _kill(script)
        else:
            writer.kill()
        writer.ended()
        _gone(script)
        tally.point(f"{case}, {victim} after {after_s:.3f} s", survived(task, place, before))
    tally.settle()


@pytest.mark.slow
def test_a_task_of_two_tables_killed_at_a_random_moment_or_between_their_commits(
    tmp_path: Path, folder: Callable[[], Place], tally: Tally
) -> None:
    moments = random.Random("two tables")  # noqa: S311 the same in every run
    lasts, between = 0.0, 0
    for number in range(1 + 3 * ROUNDS):
        place, task, before = prepared("append", tmp_path / str(number), folder())
        task = TwoTables(task.work, task.folder)
        second = task.work.after(None)
        writer = Writer(task, place)
        writer.go()
        script = task.script()
        began = time.monotonic()
        if not number:
            outcome = writer.ended()
            lasts = time.monotonic() - began
            assert outcome is not None, "the attempt that was left alone died"
            assert (outcome.kind, place.state()) == ("landed", task.work.after(before))
            assert place.state(FURTHER) == second
            continue
        if number % 3:  # as soon as the first table has its commit
            _wait((Path(place.table.uri) / "_delta_log" / f"{1:020}.json").exists)
            where = "between the commits"
        else:
            after_s = moments.uniform(0, lasts)
            time.sleep(after_s)
            where = f"after {after_s:.3f} s"
        writer.kill()
        writer.ended()
        _gone(script)
        states = place.state(), place.state(FURTHER)
        between += states == (task.work.after(before), None)
        problem = None if states[1] in (None, second) else f"a mix: {states[1]}"
        if states[1] is not None and states[0] == before:
            problem = "the second table was committed before the first"
        problem = problem or survived(task, place, before)
        if place.state(FURTHER) != second or place.table.open().version != 1:
            problem = (
                problem or f"after the retry: {place.state(FURTHER)}, version {place.table.open().version}"
            )
        tally.point(where, problem)
    tally.settle()
    assert between, "no kill was between the commits"


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:  # it had ended
        return


def _gone(process: int) -> None:
    """Return once a process is gone, or dead and not yet waited for."""

    def dead() -> bool:
        try:
            return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True

    _wait(dead)


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while not until():
        assert time.monotonic() < deadline, "nothing came of it in time"
        time.sleep(0.002)
