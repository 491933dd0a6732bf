"""`contract`: a table's contract as a file, and what changed between two contracts."""

import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import click
import pyarrow as pa
from rich.padding import Padding
from rich.text import Text

from practicus_assets.assets.catalog import catalog, chosen
from practicus_assets.assets.report.markdown import escaped
from practicus_assets.cli.answers import locations, output
from practicus_assets.cli.failure import PROBLEMS
from practicus_assets.code_location import CodeLocation
from practicus_assets.errors import DeclarationError
from practicus_assets.lake.contracts.changes import ContractChange, changes
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.contracts.odcs.left_out import ContractFileWarning, LeftOut
from practicus_assets.lake.contracts.rule import TableRule
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.rows.types import stored_type
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.planning.schema import schema_change
from practicus_assets.wording import enumerated, number_of, printable

Format = Literal["text", "json", "markdown"]

_FILES = {".yaml", ".yml", ".json"}
_STYLES = {"breaking": "red", "compatible": "green", "documentation": "dim"}


@dataclass(frozen=True)
class _Side:
    """One of two contracts.

    Attributes:
        name: the table's name, or the file's.
        contract: the contract; promises that a file makes in words or code are rules by their names alone.
        is_file: whether it was read from a file.
        unread: the promises of a file that nothing here compares.

    """

    name: str
    contract: Contract
    is_file: bool
    unread: Sequence[LeftOut]


def diff_contracts(
    old: str, new: str, table: str | None, code_locations: Callable[[], Sequence[CodeLocation]], form: Format
) -> None:
    """Print what changed between two contracts; exit with 3 if anything breaks.

    Args:
        old: the older one: a file, "-" for standard input, or a table's name.
        new: the newer one, likewise.
        table: the table, where a file describes several.
        code_locations: returns the code locations, where a table is named.
        form: how it is printed.

    """
    if old == new == "-":
        raise DeclarationError("both contracts are standard input.", "Give one of them as a file.")
    before, after = (_side(text, table, code_locations) for text in (old, new))
    found = changes(before.contract, after.contract, rules_by_name=before.is_file or after.is_file)
    found += _refused(before.contract, after.contract)
    found.sort(key=lambda change: list(_STYLES).index(change.effect))
    breaking = [change for change in found if change.effect == "breaking"]
    unread = list(dict.fromkeys(str(item) for item in (*before.unread, *after.unread)))
    if form == "json":
        output.print_json(
            {"is_breaking": bool(breaking), "changes": [asdict(c) for c in found], "not_compared": unread}
        )
    elif form == "markdown":
        click.echo(_markdown(before, after, found, unread))
    else:
        _show(before, after, found, unread)
    if breaking:
        sys.exit(PROBLEMS)


def export_contract(
    name: str, file: Path | None, version: str, code_locations: Sequence[CodeLocation], *, as_json: bool
) -> None:
    """Write a table's contract to a file, or print it.

    Args:
        name: the table's name.
        file: the file; None to print it.
        version: the version that the file gives the contract.
        code_locations: the code location that has the table.
        as_json: whether programs read the output.

    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ContractFileWarning)
        text = _of_table(name, code_locations).to_odcs(name, version=version, unkept="warn")
    left_out = [str(item) for item in _left_out(caught)]
    if file is not None:
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise DeclarationError(
                f"{file} cannot be written: {error.strerror}.", "Name a file in a folder that is there."
            ) from error
    if as_json:
        written = {"file": str(file)} if file is not None else {"text": text}
        output.print_json({"table": name, **written, "left_out": left_out})
        return
    for item in left_out:
        click.echo(f"left out: {item}", err=True)
    click.echo(f"Wrote {file}" if file is not None else text, nl=file is not None)


def _side(text: str, table: str | None, code_locations: Callable[[], Sequence[CodeLocation]]) -> _Side:
    is_file = text == "-" or Path(text).suffix.lower() in _FILES or Path(text).is_file()
    if not is_file:
        return _Side(text, _of_table(text, code_locations()), is_file=False, unread=())
    source = f"{sys.stdin.read()}\n" if text == "-" else text
    named = {item.rule for item in _read(source, table)[1] if item.rule}
    contract, left_out = _read(source, table, [TableRule(name, bool) for name in sorted(named)])
    return _Side(
        "standard input" if text == "-" else text,
        contract,
        is_file=True,
        unread=[item for item in left_out if item.is_promise],
    )


def _read(source: str, table: str | None, rules: Sequence[TableRule] = ()) -> tuple[Contract, list[LeftOut]]:
    """Return the contract of a file, and what of the file it leaves out."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ContractFileWarning)
        contract = Contract.from_odcs(source, table, rules=rules, unkept="warn")
    return contract, _left_out(caught)


def _left_out(caught: Sequence[warnings.WarningMessage]) -> list[LeftOut]:
    said = [warning.message for warning in caught]
    return [item for message in said if isinstance(message, ContractFileWarning) for item in message.left_out]


def _of_table(name: str, code_locations: Sequence[CodeLocation]) -> Contract:
    """Return the contract of a table of a code location.

    Raises:
        DeclarationError: if there is no such table, or it has no contract.

    """
    entries = catalog(locations.definitions(locations.here(code_locations)))
    [entry] = chosen(entries, [name])
    if entry.contract is None:
        raise DeclarationError(f"{name} has no contract.", "Declare one: @table_asset(contract=Contract(…)).")
    return entry.contract


def _refused(old: Contract, new: Contract) -> list[ContractChange]:
    """Return that a run would be refused on a table with the columns of the older contract, if so."""
    if old.schema is None:
        return []
    table = pa.schema([f.with_type(stored_type(f.type, f.name, keeps_required=True)) for f in old.schema])
    change = schema_change(table, new, WriteOptions(), Scope())
    return [ContractChange("breaking", "table", f"a run on it is refused: {change.refused}")] * bool(
        change.refused
    )


def _summary(found: Sequence[ContractChange]) -> str:
    counts = [(effect, sum(change.effect == effect for change in found)) for effect in _STYLES]
    texts = [number_of(count, f"{effect} change") for effect, count in counts if count]
    return enumerated(texts) if texts else "nothing changed"


def _show(before: _Side, after: _Side, found: Sequence[ContractChange], unread: Sequence[str]) -> None:
    console = output.console()
    names = printable(f"{before.name} → {after.name}")
    console.print(Text.assemble((names, "bold"), f": {_summary(found)}"))
    for change in found:
        sentence = printable(f"  {change.where}: {change.what}")
        line = Text.assemble((change.effect, _STYLES[change.effect]), sentence)
        console.print(Padding(line, (0, 0, 0, 2), expand=False))
    for item in unread:
        console.print(Padding(Text(printable(f"not compared: {item}")), (0, 0, 0, 2), expand=False))


def _markdown(before: _Side, after: _Side, found: Sequence[ContractChange], unread: Sequence[str]) -> str:
    names = escaped(printable(f"{before.name} → {after.name}"))
    lines = [f"### Contract {names}: {_summary(found)}", ""]
    lines += [
        f"- **{change.effect}** {escaped(printable(f'{change.where}: {change.what}'))}" for change in found
    ]
    lines += [f"- not compared: {escaped(printable(item))}" for item in unread]
    return "\n".join(lines).rstrip()
