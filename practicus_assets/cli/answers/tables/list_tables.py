"""`list`: what each table of a code location is, as it is declared."""

from typing import Any

from practicus_assets.cli.answers import output
from practicus_assets.cli.answers.listing import Column
from practicus_assets.cli.answers.tables.surroundings import surroundings
from practicus_assets.code_location import CodeLocation
from practicus_assets.overview.listed import ListedTable, listed
from practicus_assets.wording import printable

_COLUMNS = (
    Column("table", wraps=True),
    Column("key", wraps=True),
    Column("group"),
    Column("partitions", wraps=True),
    Column("worker", wraps=True),
    Column("owners", wraps=True),
    Column("written by", wraps=True),
    Column("location", wraps=True),
)


def show_list(location: CodeLocation, *, as_json: bool) -> None:
    """Print the tables of a code location.

    Args:
        location: the code location.
        as_json: whether programs read the output.

    """
    with surroundings(location) as around:
        tables = list(listed(around))
    if as_json:
        output.print_json(tables)
        return
    output.print_table("", _COLUMNS, map(_row, tables))
    if not tables:
        output.console().print("The code location has no tables.")


def _row(table: ListedTable) -> list[Any]:
    cells = [
        table.table,
        table.key if table.key != table.table else "",
        table.group,
        table.partitions,
        ", ".join(f"{name} {value}" for name, value in table.worker.items()),
        ", ".join(table.owners),
        "" if table.is_written else "others",
        table.location,
    ]
    return list(map(printable, cells))
