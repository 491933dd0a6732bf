"""`run-task`: its arguments and options."""

from pathlib import Path

import click

from practicus_assets.cli.options import json_option, keep_option


@click.command("run-task", short_help="Run one task file alone, here, with its output.")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("arguments", nargs=-1)
@click.option(
    "--parameter",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="A variable of the task, or a notebook's parameter: a JSON value, else a text; repeatable.",
)
@click.option(
    "--time-limit", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="End it after that."
)
@keep_option
@json_option
def run_task(
    file: Path,
    arguments: tuple[str, ...],
    parameters: tuple[str, ...],
    time_limit: float | None,
    keep: str,
    *,
    as_json: bool,
) -> None:
    """Run the task FILE alone, in a process of this machine, in a copy of its folder, as a step would.

    default_worker.json and <task>_worker.json beside it say what its worker has. Words after FILE are its
    arguments; put -- before those that begin with a hyphen. Its output comes as it is written; with --json
    to standard error.

    Exits with 0 if it succeeded or skipped, 1 if it failed, and 130 if it was interrupted.
    """
    from practicus_assets.cli.answers.tasks.run_task import run_file

    run_file(file, arguments, parameters, time_limit, keep, as_json=as_json)
