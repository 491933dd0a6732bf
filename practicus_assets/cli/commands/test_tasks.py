"""`test-tasks`: its arguments and options."""

from pathlib import Path

import click

from practicus_assets.cli.options import (
    LOCATION_OPTIONS,
    json_option,
    keep_option,
    named_locations,
    only,
    with_options,
)
from practicus_assets.errors import DeclarationError


@click.command("test-tasks", short_help="Run tasks one by one, each alone in its worker, and report.")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--flow", metavar="FLOW", help='The tasks, as a flow names them, e.g. "a >> [b, c]".')
@click.option("--tasks", metavar="NAMES", help="The tasks, separated by commas.")
@click.option(
    "--partition", metavar="KEY", help="The partition of partitioned tasks; by default their newest."
)
@click.option(
    "--time-limit",
    type=click.FloatRange(0, min_open=True),
    default=3600,
    show_default=True,
    metavar="SECONDS",
    help="End a task after that.",
)
@click.option("--apply", is_flag=True, help="Run tasks that write tables, too: they commit them.")
@keep_option
@json_option
@with_options(LOCATION_OPTIONS)
def test_tasks(
    folder: Path | None,
    flow: str | None,
    tasks: str | None,
    partition: str | None,
    time_limit: float,
    *,
    keep: str,
    apply: bool,
    as_json: bool,
    **location: str | None,
) -> None:
    """Run tasks one after the other, each alone in its worker, whatever the others did, and report.

    Of a FOLDER: in processes of this machine, with its worker files; the tasks of --flow or --tasks, else
    those of its dag file. Without one, of a code location: all its tasks, else those that are named, where
    its executor sends them, processes or pods. No other task and nobody's schedule hears of it.

    Exits with 0 if no task failed, 1 if one did, and 130 if it was interrupted.
    """
    if folder is not None and any(value is not None for value in location.values()):
        raise DeclarationError("a folder is named, and a code location.", "Name one of them.")
    locations = named_locations(**location) if folder is None else []
    code_location = only(locations) if folder is None else None
    names = [name.strip() for name in (tasks or "").split(",") if name.strip()]
    from practicus_assets.cli.answers.tasks.test_tasks import Choice, test_each

    choice = Choice(folder, code_location, flow, names, partition, time_limit, apply)
    test_each(choice, keep, as_json=as_json)
