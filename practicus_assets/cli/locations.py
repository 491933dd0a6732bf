"""The options by which commands name code locations, as Dagster's own commands do."""

from collections.abc import Callable
from typing import Any, TypeVar

import click
import dagster as dg

from practicus_assets.assets.catalog import TableEntry
from practicus_assets.assets.locations import tables_of
from practicus_assets.code_location import CodeLocation, code_locations, selected

Command = TypeVar("Command", bound=Callable[..., Any])


def options(command: Command) -> Command:
    """Give a command the options by which `tables`, `location` and `definitions` find code locations."""
    for option in (
        click.option("--location", metavar="NAME", help="One code location of several in the workspace."),
        click.option(
            "-d", "--working-directory", envvar="DAGSTER_WORKING_DIRECTORY", help="Import from here."
        ),
        click.option(
            "-w", "--workspace", type=click.Path(), help="workspace.yaml; the default if it is there."
        ),
        click.option("-f", "--python-file", envvar="DAGSTER_PYTHON_FILE", help="File of the definitions."),
        click.option("-m", "--module-name", envvar="DAGSTER_MODULE_NAME", help="Module of the definitions."),
    ):
        command = option(command)
    return command


def tables(location: str | None = None, **options: Any) -> dict[str, TableEntry]:
    """Return the tables of the code locations that the options name, by name.

    Raises:
        DeclarationError: if none are named, or one cannot be loaded.

    """
    every = code_locations(**options)
    return tables_of(every if location is None else [selected(every, location)])


def one(location: str | None = None, **options: Any) -> CodeLocation:
    """Return the code location that the options name.

    Raises:
        DeclarationError: if there are several, and `--location` names none of them.

    """
    return selected(code_locations(**options), location)


def definitions(**options: Any) -> dg.Definitions:
    """Import the definitions of the code location that the options name; raises what `one` does."""
    return one(**options).definitions()
