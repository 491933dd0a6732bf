"""`test-tasks`: tasks one after the other, each alone, and a report."""

import signal
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from rich.console import Console
from rich.text import Text

from practicus_assets.cli.answers import locations, output
from practicus_assets.cli.answers.listing import Column
from practicus_assets.cli.dagster_home import refuse_unset_instance
from practicus_assets.cli.failure import FAILED, INTERRUPTED
from practicus_assets.code_location import CodeLocation
from practicus_assets.workflows.alone.choice import in_folder, in_location
from practicus_assets.workflows.alone.supervisor import run
from practicus_assets.workflows.alone.trial import Keep, Outcome, Result, Trial

_STYLES: Mapping[Result, str] = {
    "passed": "green",
    "skipped": "yellow",
    "failed": "red",
    "interrupted": "red",
    "not run": "dim",
}
_COLUMNS = (
    Column("task", wraps=True),
    Column("result"),
    Column("seconds", is_number=True),
    Column("worker"),
    Column("kept"),
)
_WRITES = "it writes a table, which it would commit: give --apply"


@dataclass(frozen=True)
class Choice:
    """Which tasks are run.

    Attributes:
        folder: the folder of tasks; None for a code location.
        location: the code location; None for a folder.
        flow, names: see `in_folder` and `in_location`.
        partition: of partitioned tasks.
        time_limit: of each, in seconds.
        apply: whether those run that write tables.

    """

    folder: Path | None
    location: CodeLocation | None
    flow: str | None
    names: Sequence[str]
    partition: str | None
    time_limit: float
    apply: bool

    def trials(self) -> list[Trial]:
        """Return the tasks."""
        if self.folder is not None:
            return in_folder(self.folder, self.flow, self.names, self.time_limit)
        assert self.location is not None  # one of both is named
        return in_location(
            locations.definitions(self.location),
            self.location,
            flow=self.flow,
            names=self.names,
            partition=self.partition,
            time_limit_seconds=self.time_limit,
        )


def test_each(choice: Choice, keep: str, *, as_json: bool) -> None:
    """Run tasks one after the other, and report; exit with 1 if one failed.

    Args:
        choice: the tasks.
        keep: which workers stay.
        as_json: whether programs read the report.

    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the task is ended then, too
    trials = choice.trials()
    if choice.apply and any(trial.writes_table for trial in trials):
        refuse_unset_instance()
    outcomes: list[Outcome] = []
    interrupted = False
    for number, trial in enumerate(trials, 1):
        if interrupted:
            outcomes.append(Outcome(trial.task, "not run"))
        elif trial.writes_table and not choice.apply:
            outcomes.append(Outcome(trial.task, "not run", error=_WRITES))
        else:
            try:
                what = f"{trial.task} ({number} of {len(trials)})"
                outcomes.append(_run(trial, keep, what, as_json=as_json))
            except KeyboardInterrupt:
                interrupted = True
                outcomes.append(Outcome(trial.task, "interrupted"))
    if as_json:
        output.print_json({"tasks": outcomes, "count": _counts(outcomes)})
    else:
        _show(outcomes)
    if any(outcome.is_failure for outcome in outcomes):
        sys.exit(INTERRUPTED if interrupted else FAILED)


def _run(trial: Trial, keep: str, what: str, *, as_json: bool) -> Outcome:
    progress = Console(stderr=True)
    if as_json or not progress.is_terminal:
        return run(trial, cast("Keep", keep), "kept")
    with progress.status(what):
        return run(trial, cast("Keep", keep), "kept")


def _counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    return dict(Counter(outcome.result for outcome in outcomes))


def _show(outcomes: Sequence[Outcome]) -> None:
    console = output.console()
    rows = [
        (
            outcome.task,
            Text(outcome.result, _STYLES[outcome.result]),
            "" if outcome.seconds is None else f"{outcome.seconds:.1f}",
            outcome.worker,
            outcome.kept,
        )
        for outcome in outcomes
    ]
    output.print_table("", _COLUMNS, rows)
    for outcome in outcomes:
        if outcome.error:
            console.print(Text.assemble((outcome.task, "bold"), f": {outcome.error}"), soft_wrap=True)
    counts = ", ".join(f"{count} {result}" for result, count in _counts(outcomes).items())
    console.print(f"{counts}.")
