"""Writing: the promises of a contract as a file of the standard."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from practicus_assets.errors import DeclarationError
from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.contracts.odcs.document import API_VERSION, package
from practicus_assets.lake.contracts.odcs.left_out import Notes
from practicus_assets.lake.contracts.odcs.reading import CLOSED, MAX_REJECTED, SEVERITY
from practicus_assets.lake.contracts.odcs.types import described
from practicus_assets.wording import readable

ENGINE = "practicus_assets"  # which rules that are functions are said to be of


def text(table: str, parts: Mapping[str, Any], version: str, status: str, notes: Notes) -> str:
    """Return the YAML of a contract.

    Args:
        table: the table's name, e.g. `shop/orders`.
        parts: the attributes of a contract, by their names.
        version: the version that the file gives the contract.
        status: what the standard calls its status, e.g. "active".
        notes: where promises are noted that a file cannot say.

    Raises:
        DeclarationError: if the package is not installed, or a name is no text.

    """
    for name, value in (("table", table), ("version", version), ("status", status)):
        if not isinstance(value, str) or not value:
            raise DeclarationError(f"{name} is {value!r}.", "Write a text.")
    columns: Mapping[str, Column] = parts["columns"]
    single = [key[0] for key in parts["unique"] if len(key) == 1]
    one: dict[str, Any] = {
        "name": table,
        "physicalType": "table",
        "logicalType": "object",
        "properties": [
            _property(name, column, notes, unique=name in single) for name, column in columns.items()
        ],
        "quality": [*_keys(parts["unique"], columns), *_row_count(parts["rows"]), *_rules(parts["rules"])],
    }
    custom = {CLOSED: parts["closed"] or None, MAX_REJECTED: parts["max_rejected"]}
    one["customProperties"] = [
        {"property": name, "value": value} for name, value in custom.items() if value is not None
    ]
    document = package().OpenDataContractStandard(
        version=version,
        kind="DataContract",
        apiVersion=API_VERSION,
        id=table,
        name=table,
        status=status,
        schema=[{key: value for key, value in one.items() if value}],
    )
    return str(document.to_yaml())


def _property(name: str, column: Column, notes: Notes, *, unique: bool) -> dict[str, Any]:
    type_ = column.arrow_type
    options: dict[str, Any] = {}
    has_bounds = pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)
    has_bounds = has_bounds or pa.types.is_date(type_) or pa.types.is_timestamp(type_)
    for side in ("minimum", "maximum"):
        bound = getattr(column, side)
        value = _plain(bound)
        if bound is None:
            continue
        if value is None or not has_bounds:
            notes.promise(f"{name}.{side}", f"{readable(bound)} is no value of a file's bounds")
        else:
            options[side] = value
    if column.pattern is not None:
        options["pattern"] = f"^(?:{column.pattern})$"
    if pa.types.is_timestamp(type_):
        options["timezone"] = type_.tz is not None
    fields = {
        "name": name,
        "description": column.description or None,
        **described(type_),
        "required": True if not column.nullable else None,
        "unique": unique or None,
        "logicalTypeOptions": options,
        "quality": _allowed(name, column, notes),
        "transformSourceObjects": _sources(name, column, notes),
        "customProperties": _severity(column),
    }
    return {key: value for key, value in fields.items() if value not in (None, [], {})}


def _allowed(name: str, column: Column, notes: Notes) -> list[dict[str, Any]]:
    values = [_plain(value) for value in column.allowed or ()]
    if not values:
        return []
    if None in values:
        notes.promise(f"{name}.allowed", "a value of it is none of a file's")
        return []
    return [{"metric": "invalidValues", "arguments": {"validValues": values}, "mustBe": 0}]


def _severity(column: Column) -> list[dict[str, Any]]:
    return [{"property": SEVERITY, "value": column.severity}] if column.severity != "ERROR" else []


def _sources(name: str, column: Column, notes: Notes) -> list[str]:
    texts = []
    for table, source in column.source_columns:
        if "." in source:
            notes.documentation(f"{name}.comes_from", f"{source} of {table} has a dot in its name")
        else:
            texts.append(f"{table}.{source}")
    return texts


def _keys(unique: Sequence[Sequence[str]], columns: Mapping[str, Column]) -> Iterator[dict[str, Any]]:
    for key in unique:
        if len(key) > 1 or key[0] not in columns:
            yield {"metric": "duplicateValues", "arguments": {"properties": list(key)}, "mustBe": 0}


def _row_count(rows: tuple[int | None, int | None]) -> Iterator[dict[str, Any]]:
    bounds = {"mustBeGreaterOrEqualTo": rows[0], "mustBeLessOrEqualTo": rows[1]}
    given = {name: bound for name, bound in bounds.items() if bound is not None}
    if given:
        yield {"metric": "rowCount", "description": "Rows of each partition, or of the table.", **given}


def _rules(rules: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Yield rules that are functions: files can name them, and give what they promise in words."""
    for rule in rules:
        yield {
            "name": rule.name,
            "type": "custom",
            "engine": ENGINE,
            "implementation": f"{type(rule).__name__} {rule.name}",
            "description": rule.description or rule.name.replace("_", " "),
            "severity": "error" if rule.severity == "ERROR" else rule.severity.lower(),
        }


def _plain(value: Any) -> Any:
    """Return a value as YAML has it; None if YAML would change it."""
    if isinstance(value, Decimal):
        number = float(value)
        return number if value.is_finite() and Decimal(str(number)) == value else None
    if isinstance(value, dt.date):  # and datetime
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool) else None
