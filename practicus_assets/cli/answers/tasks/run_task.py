"""`run-task`: one task file alone, in the foreground."""

import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import click

from practicus_assets.cli.answers import output
from practicus_assets.cli.failure import FAILED, INTERRUPTED
from practicus_assets.errors import DeclarationError
from practicus_assets.workflows.alone.supervisor import run
from practicus_assets.workflows.alone.trial import Keep, Outcome, Trial


def run_file(
    file: Path,
    arguments: Sequence[str],
    parameters: Sequence[str],
    time_limit: float | None,
    keep: str,
    *,
    as_json: bool,
) -> None:
    """Run a task file; exit with 1 if it failed.

    Args:
        file: the file.
        arguments: of its program.
        parameters: NAME=VALUE.
        time_limit: the seconds after which it is ended; None for no limit.
        keep: which workers stay.
        as_json: whether programs read the answer.

    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the task is ended then, too
    trial = Trial.of_file(file, arguments, dict(map(_parameter, parameters)), time_limit)
    try:
        outcome = run(trial, cast("Keep", keep), "stderr" if as_json else "terminal")
    except KeyboardInterrupt:
        outcome = Outcome(trial.task, "interrupted")
    if as_json:
        output.print_json(outcome)
    else:
        click.echo(_sentence(outcome), err=True)
    if outcome.is_failure:
        sys.exit(INTERRUPTED if outcome.result == "interrupted" else FAILED)


def _parameter(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise DeclarationError(f"--parameter is {text!r}.", "Write NAME=VALUE.")
    try:
        parsed = json.loads(value)
    except ValueError:
        return name, value
    return name, parsed if isinstance(parsed, bool | int | float) else value


def _sentence(outcome: Outcome) -> str:
    took = f" after {outcome.seconds:.1f} s" if outcome.seconds is not None else ""
    how = {"passed": "succeeded", "interrupted": "was interrupted"}.get(outcome.result, outcome.result)
    text = f"{outcome.task} {how}{took}."
    if outcome.error:  # its last lines are just above
        text += f" {outcome.error.partition('Its last lines:')[0].strip()}"
    return f"{text} See {outcome.kept}." if outcome.kept else text
