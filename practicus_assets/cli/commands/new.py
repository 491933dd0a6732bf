"""`new`: its arguments and options."""

import click

from practicus_assets.cli.group import CommandGroup
from practicus_assets.cli.options import json_option


@click.group(cls=CommandGroup, short_help="Begin a workflow: a folder of files that run.")
def new() -> None:
    """Write files to begin with, into the working directory. Nothing that is there is written over."""


@new.command(short_help="A workflow: tasks, worker files, definitions, a test.")
@click.argument("name")
@click.option("--flow", required=True, metavar="FLOW", help='The order of its tasks: "a >> [b, c] >> d".')
@click.option(
    "--practicus",
    "as_practicus",
    is_flag=True,
    help="The tasks as a folder of Practicus AI: with a dag file.",
)
@json_option
def workflow(name: str, flow: str, *, as_practicus: bool, as_json: bool) -> None:
    """Write the folder NAME: a workflow of one script per task, which runs, and passes its test.

    Its tasks print a line. The definitions are NAME.definitions; the worker files say what workers the tasks
    get.
    """
    from practicus_assets.cli.answers.tasks.new import write_workflow

    write_workflow(name, flow, as_practicus=as_practicus, as_json=as_json)
