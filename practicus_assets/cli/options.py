"""Options that several commands have."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import click

from practicus_assets.cli.completion import complete_locations, complete_partitions
from practicus_assets.code_location import CodeLocation, code_locations, refuse_absent, selected
from practicus_assets.errors import DeclarationError

Locations = list[CodeLocation]

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, errors too, to standard output."
)
apply_option = click.option("--apply", is_flag=True, help="Do it; without it, nothing is changed.")
all_option = click.option("--all", "all_", is_flag=True, help="Every table of the code location.")


def partitions_option(help_text: str) -> Callable[[Any], Any]:
    """Return the option that names partitions, one each time that it is given."""
    return click.option(
        "--partition",
        "partitions",
        multiple=True,
        metavar="KEY",
        shell_complete=complete_partitions,
        help=help_text,
    )


keep_option = click.option(
    "--keep",
    type=click.Choice(["failed", "all", "none"]),
    default="failed",
    show_default=True,
    help="Which workers stay, to look into.",
)
LOCATION_OPTIONS = (
    click.option(
        "--location",
        metavar="NAME",
        shell_complete=complete_locations,
        help="One code location of several in the workspace.",
    ),
    click.option(
        "-d",
        "--working-directory",
        type=click.Path(file_okay=False),
        metavar="FOLDER",
        envvar="DAGSTER_WORKING_DIRECTORY",
        help="Import from here.",
    ),
    click.option(
        "-w",
        "--workspace",
        type=click.Path(),
        metavar="FILE",
        help="workspace.yaml; the default if it is there.",
    ),
    click.option(
        "-f",
        "--python-file",
        type=click.Path(),
        metavar="FILE",
        envvar="DAGSTER_PYTHON_FILE",
        help="File of the definitions.",
    ),
    click.option(
        "-m",
        "--module-name",
        metavar="MODULE",
        envvar="DAGSTER_MODULE_NAME",
        help="Module of the definitions.",
    ),
)
"""Those that name code locations, as Dagster's own commands do."""


def with_options(options: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """Return a decorator that gives a command options; the last of them is shown first."""

    def decorate(command: Any) -> Any:
        for option in options:
            command = option(command)
        return command

    return decorate


def named_locations(
    *,
    module_name: str | None,
    python_file: str | None,
    workspace: str | None,
    working_directory: str | None,
    location: str | None,
) -> Locations:
    """Return the code locations that options name; there is at least one.

    Raises:
        DeclarationError: if there is none, or one is not there.

    """
    locations = code_locations(module_name, python_file, workspace, working_directory)
    locations = locations if location is None else [selected(locations, location)]
    for one in locations:
        refuse_absent(one)
    return locations


def location_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that name code locations, as Dagster's own commands do.

    The command gets them as `locations`, a list of at least one.
    """

    @wraps(command)
    def named(
        *,
        module_name: str | None,
        python_file: str | None,
        workspace: str | None,
        working_directory: str | None,
        location: str | None,
        **options: Any,
    ) -> None:
        locations = named_locations(
            module_name=module_name,
            python_file=python_file,
            workspace=workspace,
            working_directory=working_directory,
            location=location,
        )
        command(locations=locations, **options)

    decorated: Callable[..., None] = with_options(LOCATION_OPTIONS)(named)
    return decorated


def refuse_no_tables(tables: Sequence[str], *, all_: bool) -> None:
    """Refuse a command on tables of which none are named, or some beside `--all`.

    Raises:
        DeclarationError: if so.

    """
    if not tables and not all_:
        raise DeclarationError("no tables are named.", "Name tables, or give --all.")
    if tables and all_:
        raise DeclarationError("tables are named, and --all is given.", "Name tables, or give --all.")


def only(locations: Locations) -> CodeLocation:
    """Return the only code location.

    Raises:
        DeclarationError: if there are several.

    """
    return selected(locations, None)
