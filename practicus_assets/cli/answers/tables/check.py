"""`check`: what of the tables of a code location a run would be refused for."""

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout

from rich.text import Text

from practicus_assets.cli.answers import locations, output
from practicus_assets.cli.answers.instance import instance_or_none
from practicus_assets.cli.failure import FAILED
from practicus_assets.code_location import CodeLocation
from practicus_assets.overview.problems import CheckedTables, checked
from practicus_assets.wording import number_of, printable


def check_tables(location: CodeLocation, *, as_json: bool) -> None:
    """Print what is wrong with the tables of a code location; exit with 1 if something is.

    Args:
        location: the code location.
        as_json: whether programs read the output.

    Raises:
        DeclarationError: if the code location cannot be loaded at all.

    """
    with instance_or_none() as store, redirect_stdout(sys.stderr):
        found = checked(locations.here([location]), store)
    if as_json:
        output.print_json(found)
    else:
        _show(found)
    if found.problems:
        sys.exit(FAILED)


def _show(found: CheckedTables) -> None:
    console = output.console()
    for problem in found.problems:
        place = f"{problem.table}: " if problem.table else ""
        sentence = printable(f"{place}{problem.text} {problem.advice}".strip())
        console.print(Text.assemble(("✗", "red"), f" {sentence}"), soft_wrap=True)
    there = number_of(found.tables, "table")
    console.print(f"{there} looked at, {found.stored:,} of them stored: {_verdict(found.problems)}.")


def _verdict(problems: Sequence[object]) -> str:
    return number_of(len(problems), "problem") if problems else "no problems"
