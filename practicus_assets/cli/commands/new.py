"""`new`: its arguments and options."""

import click

from practicus_assets.cli.group import CommandGroup
from practicus_assets.cli.options import json_option


@click.group(cls=CommandGroup, short_help="Begin a project, a table, a source or a workflow.")
def new() -> None:
    """Write files to begin with: all of them or none. Nothing that is there is written over."""


@new.command(short_help="A project: three tables, their data, contract and tests.")
@click.argument("name")
@json_option
def project(name: str, *, as_json: bool) -> None:
    """Write the folder NAME: a project of Dagster that runs, and passes its tests.

    \b
    raw_orders  one CSV file a day, which lies in the project
    orders      a Delta table of a partition a day, with a contract
    revenue     what they add up to, by day and country

    The CSV files have one error, of which a check warns; the README says what becomes of it. Besides there
    are the lake (an io manager, whose place is $LAKE_URI, else the folder lake), a schedule that is off,
    tests, and what dg, dagster and pip need to know. The package is src/NAME, and each module in
    src/NAME/defs is loaded.
    """  # noqa: D301 the mark is click's, and no text
    from practicus_assets.cli.answers.new.project import write_project

    write_project(name, as_json=as_json)


@new.command(short_help="A table in a project, and its test.")
@click.argument("name")
@json_option
def table(name: str, *, as_json: bool) -> None:
    """Write the table NAME into the project that the working directory is in: a module and a test.

    The module is NAME.py in the folder defs of the project, which dg and dagster load; it has a function, and
    a contract. The test is tests/test_NAME.py, and passes.
    """
    from practicus_assets.cli.answers.new.table import write_table

    write_table(name, as_json=as_json)


@new.command(short_help="A source of a database or of files, and its test.")
@click.argument("name")
@click.option(
    "--system",
    required=True,
    type=click.Choice(["files", "mysql", "postgresql"]),
    help="What it is in; mysql is MariaDB, too.",
)
@json_option
def source(name: str, system: str, *, as_json: bool) -> None:
    """Write the source NAME into the project that the working directory is in: a module and a test.

    The module is NAME.py in the folder defs of the project, which dg and dagster load. Where a database is,
    and who reads it, comes from environment variables such as NAME_HOST and NAME_PASSWORD; the password is in
    no file. The test reads the first rows where NAME_PASSWORD is set. Of files, two rows lie in the project,
    and NAME_URI leads elsewhere.
    """
    from practicus_assets.cli.answers.new.source import write_source

    write_source(name, system, as_json=as_json)


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
    from practicus_assets.cli.answers.new.workflow import write_workflow

    write_workflow(name, flow, as_practicus=as_practicus, as_json=as_json)
