"""`show`: one table: its place, its columns, its contract, and its first rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
import pyarrow as pa
from rich.text import Text

from practicus_assets.assets.catalog import TableEntry
from practicus_assets.assets.report.preview import first_rows
from practicus_assets.cli.answers import locations, output
from practicus_assets.cli.answers.instance import instance_or_none
from practicus_assets.cli.answers.listing import Column
from practicus_assets.cli.answers.locations import naming_in_json
from practicus_assets.code_location import CodeLocation
from practicus_assets.lake.contracts.beginnings.contract_source import contract_source
from practicus_assets.lake.contracts.beginnings.inferred import inferred
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.delta.notebooks.html import comment
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.upkeep.history import read_history
from practicus_assets.redaction import redacted
from practicus_assets.wording import bytes_of, in_short, number_of, printable, readable

_LONGEST_CELL = 60
_NUMBERS = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
_COLUMNS = (
    Column("column", wraps=True),
    Column("type", wraps=True),
    Column("description", wraps=True),
    Column("promised", wraps=True),
)
_RULES = (Column("rule", wraps=True), Column("if broken"), Column("promised", wraps=True))


@dataclass(frozen=True)
class Shown:
    """What of a table is shown.

    Attributes:
        table: the table's name.
        partitions: the keys of the partitions whose rows are shown; none for all.
        version: the version; None for the newest.
        rows: how many rows at most.
        as_contract: whether a contract is printed instead.

    """

    table: str
    partitions: Sequence[str]
    version: int | None
    rows: int
    as_contract: bool


def show_table(wanted: Shown, code_locations: Sequence[CodeLocation], *, as_json: bool) -> None:
    """Print what a table is and holds.

    Args:
        wanted: what is shown.
        code_locations: the code locations whose tables these are.
        as_json: whether programs read the output.

    """
    [entry] = locations.tables(code_locations, [wanted.table])
    with naming_in_json(entry, as_json=as_json), instance_or_none() as instance:
        scope = entry.scope(instance, wanted.partitions)
        if wanted.version is None:
            snapshot, _ = entry.layered.pinned(scope)
        else:
            snapshot, _ = entry.layered.of_author(scope, wanted.version)
        if wanted.as_contract:
            _print_contract(snapshot, as_json=as_json)
            return
        described = _described(entry, snapshot, len(entry.partition_keys(instance)))
        rows = first_rows(snapshot, min(wanted.rows, entry.table.sample_rows))
    if as_json:
        output.print_json({**described, "sample": rows})
        return
    _show(entry, described, wanted)
    _show_rows(snapshot.schema, rows, wanted)
    if wanted.rows and not entry.table.sample_rows:
        output.console().print("No rows are shown: the lake's sample_rows is 0.")
    elif not rows and wanted.rows:
        output.console().print("It has no rows.")


def _print_contract(snapshot: Snapshot, *, as_json: bool) -> None:
    with output.progress("rows", hidden=as_json) as progress:
        found = inferred(snapshot, lambda done: progress(done, max(done, snapshot.row_count or done)))
    source = contract_source(Contract(found.columns), found.keys)
    if as_json:
        output.print_json({"source": source, "rows": found.rows, "possible_keys": found.keys})
        return
    seen = (
        f"# what {number_of(found.rows, 'row')} of version {snapshot.version} keep, which is no promise yet"
    )
    click.echo(f"from practicus_assets import Column, Contract\n\n{seen}\ncontract = {source}")


def _described(entry: TableEntry, snapshot: Snapshot, keys: int) -> dict[str, Any]:
    """Return all that is known of a table but its rows."""
    place = next((table for table in _places(entry) if table.uri == snapshot.table_uri), entry.table)
    at = place.open(snapshot.version)
    landed = next(read_history(place, limit=1)).landed if place.open().version == at.version else None
    files = at.files()
    return {
        "table": entry.label,
        "key": entry.key.to_user_string(),
        "location": redacted(snapshot.table_uri, {}),
        "version": snapshot.version,
        "landed": landed,
        "rows": snapshot.row_count if snapshot.scope.is_whole_table else snapshot.table_row_count,
        "files": len(files),
        "size_bytes": sum(file.size for file in files),
        "partition_by": list(at.partition_by),
        "partitions": len({tuple(file.values.items()) for file in files}) if at.partition_by else None,
        "partitions_of_asset": keys if entry.partitions_def is not None else None,
        "columns": [_column(field, entry.contract) for field in snapshot.schema],
        "rules": list(_rules(entry.contract)),
    }


def _places(entry: TableEntry) -> Iterator[Any]:
    yield entry.table
    if entry.layered.base is not None:
        yield entry.layered.base


def _column(field: pa.Field, contract: Contract | None) -> dict[str, Any]:
    checks = contract.checks if contract is not None else ()
    declared = contract.columns.get(field.name) if contract is not None else None
    promised = [c.description for c in checks if c.columns == (field.name,) and c.kind != "unique"]
    description = (declared.description if declared is not None else "") or comment(field)
    return {"name": field.name, "type": str(field.type), "description": description, "promised": promised}


def _rules(contract: Contract | None) -> Iterator[Mapping[str, str]]:
    """Yield the rules that are not about a single column."""
    for check in contract.checks if contract is not None else ():
        is_of_columns = check.kind == "schema" and contract is not None and not contract.closed
        if check.kind == "unique" or not (check.columns or is_of_columns):
            yield {"name": check.name, "severity": check.severity, "description": check.description}


def _show(entry: TableEntry, described: Mapping[str, Any], wanted: Shown) -> None:
    console = output.console()
    landed = f", landed {output.moment(described['landed'])}" if described["landed"] else ""
    rows = "an unknown number of rows" if described["rows"] is None else number_of(described["rows"], "row")
    size = f"{bytes_of(described['size_bytes'])} in {number_of(described['files'], 'file')}"
    facts = {"version": f"{described['version']}{landed}", "holds": f"{rows}, {size}"}
    if described["partitions"] is not None:
        by = ", ".join(described["partition_by"])
        facts["partitions"] = f"{described['partitions']:,} by {by}"
        if described["partitions_of_asset"] is not None:
            facts["partitions"] += f"; the asset has {described['partitions_of_asset']:,}"
    facts["location"] = described["location"]
    console.print(Text(printable(entry.label), "bold"))
    for name, fact in facts.items():
        console.print(Text.assemble("  ", (f"{name} ", "dim"), printable(fact)), soft_wrap=True)
    columns = [
        [
            printable(c["name"]),
            printable(c["type"]),
            _short(c["description"]),
            _short("; ".join(_without_name(text, c["name"]) for text in c["promised"])),
        ]
        for c in described["columns"]
    ]
    output.print_table("Columns", _COLUMNS, columns)
    rules = [[r["name"], _severity(r["severity"]), _short(r["description"])] for r in described["rules"]]
    output.print_table("Contract", _RULES, rules)
    if wanted.version is not None or wanted.partitions:
        return
    if entry.contract is None:
        console.print("No contract is known here.", style="dim")


def _without_name(promise: str, column: str) -> str:
    """Return a promise beside its column: `amount is never null` as `never null`."""
    return promise.removeprefix(f"{column} ").removeprefix("is ")


def _short(text: str) -> str:
    return printable(in_short(text, 200))


def _severity(severity: str) -> str:
    return {"ERROR": "no commit", "QUARANTINE": "rows rejected"}.get(severity, "a warning")


def _show_rows(schema: pa.Schema, rows: Sequence[Mapping[str, Any]], wanted: Shown) -> None:
    columns = [
        Column(
            printable(in_short(field.name, _LONGEST_CELL)),
            is_number=any(is_number(field.type) for is_number in _NUMBERS),
            note=printable(in_short(str(field.type), _LONGEST_CELL)),
        )
        for field in schema
    ]
    where = f" of {', '.join(wanted.partitions)}" if wanted.partitions else ""
    count = number_of(len(rows), "row") if len(rows) > 1 else "row"
    title = printable(f"First {count}{where}")
    output.print_table(title, columns, [[_cell(row[field.name]) for field in schema] for row in rows])


def _cell(value: Any) -> Text:
    if value is None:
        return Text("null", "dim italic")
    return Text(printable(in_short(value if isinstance(value, str) else readable(value), _LONGEST_CELL)))
