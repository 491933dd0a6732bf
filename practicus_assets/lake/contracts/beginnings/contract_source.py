"""Contracts as Python source, which a user pastes: evaluated, it is an equal contract."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from typing import Any

from practicus_assets.errors import DeclarationError
from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.contracts.type_text import type_source

_WIDTH = 100


def contract_source(contract: Any, keys: Sequence[str] = ()) -> str:
    """Return an expression for a contract, over several lines.

    It names `Contract` and `Column`, and where bounds need them, the modules `datetime` and `decimal`.

    Args:
        contract: the contract.
        keys: the columns that no two rows had the same value of, which a comment names.

    Raises:
        DeclarationError: for a contract with rules, which are functions.

    """
    if contract.rules:
        raise DeclarationError("the contract has rules, which are functions.", "Copy them from their module.")
    lines = ["Contract(", *_indented(_columns(contract.columns))]
    lines += [
        f"    # no two rows had the same {key!r}; if that is promised: unique=[[{key!r}]]," for key in keys
    ]
    if contract.unique:
        lines.append(f"    unique={_written(contract.unique)},")
    if tuple(contract.rows) != (None, None):
        lines.append(f"    rows={tuple(contract.rows)!r},")
    if contract.closed:
        lines.append("    closed=True,")
    if contract.max_rejected is not None:
        lines.append(f"    max_rejected={_written(contract.max_rejected)},")
    return "\n".join([*lines, ")"])


def _columns(columns: Mapping[str, Column]) -> Iterator[str]:
    if not columns:
        return
    yield "columns={"
    for name, column in columns.items():
        line = f"    {_written(name)}: {column_source(column)},"
        if len(line) <= _WIDTH:
            yield line
            continue
        yield f"    {_written(name)}: Column("
        yield from (f"        {argument}," for argument in _arguments(column))
        yield "    ),"
    yield "},"


def column_source(column: Column) -> str:
    """Return an expression for a column."""
    return f"Column({', '.join(_arguments(column))})"


def _arguments(column: Column) -> Iterator[str]:
    kind = column.type
    yield _written(kind if isinstance(kind, str) else type_source(column.arrow_type))
    for each in fields(column)[1:]:
        value = getattr(column, each.name)
        if value != each.default:
            written = _written(value)
            yield written if each.name == "description" else f"{each.name}={written}"


def _written(value: Any) -> str:
    """Return a value as source; repr shows no character that an editor would not."""
    if isinstance(value, Decimal):
        return f"decimal.{value!r}"
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({str(value)!r})"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_written(name)}: {_written(each)}' for name, each in value.items())}}}"
    if isinstance(value, list | tuple | set | frozenset):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, str):
        text = repr(value)  # in double quotes, as formatters have it, where that changes nothing else
        return text if '"' in text else f'"{text[1:-1]}"'
    return repr(value.item() if hasattr(value, "item") else value)


def _indented(lines: Iterator[str]) -> Iterator[str]:
    return (f"    {line}" for line in lines)
