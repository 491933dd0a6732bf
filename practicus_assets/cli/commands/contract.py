"""`contract`: its commands, with their arguments and options."""

from pathlib import Path

import click

from practicus_assets.cli.completion import complete_tables, complete_tables_or_files
from practicus_assets.cli.group import CommandGroup
from practicus_assets.cli.options import (
    LOCATION_OPTIONS,
    Locations,
    json_option,
    location_options,
    with_options,
)


@click.group(cls=CommandGroup, short_help="Contracts as files, and what breaks between two of them.")
def contract() -> None:
    """Write a table's contract as a file, and compare two contracts.

    Files are YAML of the Open Data Contract Standard, which is an extra:

    pip install 'practicus-assets[odcs]'
    """


@contract.command("diff", short_help="What changed between two contracts, and whether it breaks readers.")
@click.argument("old", shell_complete=complete_tables_or_files)
@click.argument("new", shell_complete=complete_tables_or_files)
@click.option("--table", metavar="NAME", help="The table, where a file describes several.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown, for a pull request.")
@json_option
@with_options(LOCATION_OPTIONS)
def diff_command(
    old: str,
    new: str,
    table: str | None,
    *,
    as_markdown: bool,
    as_json: bool,
    module_name: str | None,
    python_file: str | None,
    workspace: str | None,
    working_directory: str | None,
    location: str | None,
) -> None:
    """Show what the contract NEW promises otherwise than OLD, and whether that breaks who reads the table.

    Each is a file, - for standard input, or the name of a table of the code location. Breaking is what lets
    rows or columns come that OLD excludes, and what a run on the table as it is would be refused for.

    Exits with 0 if nothing breaks, and 3 if something does.
    """
    from practicus_assets.cli.answers.contract import Format, diff_contracts
    from practicus_assets.cli.options import named_locations

    def locations() -> Locations:
        return named_locations(
            module_name=module_name,
            python_file=python_file,
            workspace=workspace,
            working_directory=working_directory,
            location=location,
        )

    form: Format = "json" if as_json else "markdown" if as_markdown else "text"
    diff_contracts(old, new, table, locations, form)


@contract.command("export", short_help="Write the contract of a table as a file.")
@click.argument("table", shell_complete=complete_tables)
@click.option(
    "-o",
    "--output",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file; else printed.",
)
@click.option(
    "--contract-version",
    metavar="VERSION",
    default="1.0.0",
    show_default=True,
    help="The version that the file says.",
)
@json_option
@location_options
def export_command(
    table: str, file: Path | None, contract_version: str, *, as_json: bool, locations: Locations
) -> None:
    """Write the contract of TABLE as a file of the Open Data Contract Standard.

    What a file cannot say is named on standard error, and in JSON.
    """
    from practicus_assets.cli.answers.contract import export_contract

    export_contract(table, file, contract_version, locations, as_json=as_json)
