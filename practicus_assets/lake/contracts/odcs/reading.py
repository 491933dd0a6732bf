"""Reading: the promises of a table in a file of the standard, as those of a contract."""

import datetime as dt
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.errors import DeclarationError
from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.contracts.odcs.document import chosen, name_of, note_unknown, parsed, text_of
from practicus_assets.lake.contracts.odcs.left_out import Notes
from practicus_assets.lake.contracts.odcs.quality import Quality, quality_of
from practicus_assets.lake.contracts.odcs.types import type_of

# custom properties that we write
CLOSED, MAX_REJECTED, SEVERITY = "practicusClosed", "practicusMaxRejected", "practicusSeverity"
_TAKEN = {  # keys of a property that become promises or the column's description
    *("name", "physicalName", "logicalType", "physicalType", "description", "required", "unique"),
    *("primaryKey", "primaryKeyPosition", "logicalTypeOptions", "quality", "properties", "items", "map"),
    *("transformSourceObjects", "enum", "customProperties", "id"),
}
_TAKEN_OF_TABLES = {"name", "physicalName", "physicalType", "logicalType", "properties", "quality", "id"} | {
    "customProperties"
}
_TAKEN_OF_FILES = {"version", "kind", "apiVersion", "id", "name", "status", "schema_"}
_FORMATS = {"integer", "number"}  # logical types whose format is part of the type
_LONGEST_REPEAT = 1000  # of RE2


def promises(
    source: Any, table: str | None, rules: Collection[str], notes: Notes
) -> tuple[str, dict[str, Any]]:
    """Return the name of a table in a file, and the attributes of its contract.

    Args:
        source: the path of a file, or its text.
        table: the table's name; None for the only one.
        rules: the names of rules that are functions, and keep what the file says in words or code.
        notes: where everything is noted that no attribute says.

    Raises:
        DeclarationError: if the file is none of the standard, or has no such table.

    """
    text, name = text_of(source)
    document, data = parsed(text, name)
    one = chosen(document, table, name)
    note_unknown(document, data, one, notes)
    if not one.properties and not one.quality:
        raise DeclarationError(
            f"the table {name_of(one)} of {name} has no properties and no quality, and so no promise.",
            "Describe its columns below properties.",
        )
    _note_others(document, _TAKEN_OF_FILES, "", notes)
    _note_others(one, _TAKEN_OF_TABLES, "", notes)
    custom = _custom(one, {CLOSED, MAX_REJECTED}, "", notes)
    names = {p.name: name_of(p) for p in one.properties or ()}
    found = quality_of(one.quality or (), "quality", rules, notes, names)
    columns, keys, primary = {}, [], []
    for item in one.properties or ():
        column, is_unique = _column(item, rules, notes)
        if column is None:
            continue
        columns[name_of(item)] = column
        if is_unique:
            keys.append([name_of(item)])
        if item.primaryKey:
            primary.append((item.primaryKeyPosition or 0, name_of(item)))
    if primary:
        keys.insert(0, [column for _, column in sorted(primary, key=lambda pair: pair[0])])
    unique = []
    for key in (*keys, *found.unique):
        if not all(column in columns for column in key):
            notes.promise("unique", f"{', '.join(key)}: a column of it is left out")
        elif key not in unique:
            unique.append(key)
    return name_of(one), {
        "columns": columns,
        "unique": unique or (),
        "rows": found.rows,
        "closed": custom.get(CLOSED) is True,
        "max_rejected": custom.get(MAX_REJECTED),
    }


def _column(item: Any, rules: Collection[str], notes: Notes) -> tuple[Column | None, bool]:
    """Return a property as a column, and whether its values are unique; None if it has no type."""
    name = name_of(item)
    type_ = type_of(item, name, notes)
    if type_ is None:
        return None, False
    _note_others(item, _TAKEN, f"{name}.", notes)
    if item.physicalName and item.name and item.physicalName != item.name:
        notes.documentation(f"{name}.name", str(item.name))
    for inside in _inside(item):
        _note_promises_inside(inside, f"{name}.{name_of(inside)}", notes)
    found = quality_of(item.quality or (), f"{name}.quality", rules, notes, {})
    severity = _custom(item, {SEVERITY}, f"{name}.", notes).get(SEVERITY) or found.severity
    attributes = _bounds(item, name, type_, notes) | _allowed(item, found, type_)
    pattern = _pattern(item, name, type_, found, notes)
    return (
        Column(
            type_,
            str(item.description or "").strip(),
            nullable=not item.required and not found.not_null,
            pattern=pattern,
            severity=severity or "ERROR",  # type: ignore[arg-type] # the contract refuses others
            comes_from=_sources(item.transformSourceObjects or (), name, notes),
            **attributes,
        ),
        bool(item.unique) or found.is_unique,
    )


def _custom(item: Any, wanted: Collection[str], where: str, notes: Notes) -> dict[str, Any]:
    """Return the values of custom properties of ours; the others are noted."""
    values = {}
    for custom in item.customProperties or ():
        if custom.property in wanted:
            values[custom.property] = custom.value
        else:
            notes.documentation(f"{where}customProperties.{custom.property}")
    return values


def _bounds(item: Any, name: str, type_: pa.DataType, notes: Notes) -> dict[str, Any]:
    """Return the least and the most value; what else the options of the logical type say is noted."""
    taken = {"pattern", "minLength", "maxLength", "timezone"}
    taken |= {"format"} if item.logicalType in _FORMATS else set()
    bounds: dict[str, Any] = {}
    for option, raw in (item.logicalTypeOptions or {}).items():
        where = f"{name}.{option}"
        side = option.removeprefix("exclusive")[:1].lower() + option.removeprefix("exclusive")[1:]
        if side in {"minimum", "maximum"}:
            value = typed(raw, type_)
            if option != side and pa.types.is_integer(type_) and isinstance(value, int):
                value += 1 if side == "minimum" else -1
            elif option != side:
                notes.promise(where, f"{raw} itself is out of bounds, and bounds are inclusive")
                continue
            tighter = max if side == "minimum" else min
            bounds[side] = tighter(bounds[side], value) if side in bounds else value
        elif option in {"format", "defaultTimezone"} - taken:
            notes.documentation(where, str(raw))
        elif option not in taken:
            notes.promise(where, str(raw))
    return bounds


def _allowed(item: Any, found: Quality, type_: pa.DataType) -> dict[str, Any]:
    values = [one.value for one in item.enum or ()] or found.allowed
    return {"allowed": tuple(typed(value, type_) for value in values)} if values else {}


def _pattern(item: Any, name: str, type_: pa.DataType, found: Quality, notes: Notes) -> str | None:
    """Return the one pattern that a column's texts match as a whole; further ones are noted."""
    options = item.logicalTypeOptions or {}
    patterns = [("pattern", options["pattern"])] if options.get("pattern") else []
    patterns += [("quality.pattern", found.pattern)] if found.pattern else []
    texts = [(where, _whole(str(pattern))) for where, pattern in patterns]
    low, high = options.get("minLength"), options.get("maxLength")
    if low is not None or high is not None:
        texts.append(("maxLength" if high is not None else "minLength", _length(low, high)))
    kept: str | None = None
    for where, text in texts:
        if text == kept:
            continue
        if kept is not None or not pa.types.is_string(type_) or not _is_re2(text):
            why = "a column has one pattern" if kept is not None else "no regular expression (RE2) of a text"
            notes.promise(f"{name}.{where}", why)
        else:
            kept = text
    return kept


def _whole(pattern: str) -> str:
    """Return a pattern that matches as a whole where the given one is found somewhere in the text."""
    ours = re.fullmatch(r"\^\(\?:(.*)\)\$", pattern, re.DOTALL)
    if ours is not None and _is_re2(ours[1]):
        return ours[1]
    is_anchored = pattern.startswith("^") and pattern.endswith("$") and not pattern.endswith("\\$")
    if is_anchored and not _has_branches(pattern[1:-1]) and _is_re2(pattern[1:-1]):
        return pattern[1:-1]
    return f"(?s:.*)(?:{pattern})(?s:.*)"


def _has_branches(pattern: str) -> bool:
    """Return whether a pattern may have alternatives outside of groups, of which anchors concern one each."""
    outside = re.sub(r"\\.|\[[^\]]*\]", "", pattern, flags=re.DOTALL)
    while (without := re.sub(r"\([^()]*\)", "", outside)) != outside:
        outside = without
    return "|" in outside


def _length(low: Any, high: Any) -> str:
    """Return a pattern of texts of some length; one that is no pattern if no repetition is so long."""
    least, most = low or 0, "" if high is None else high
    is_too_long = any(isinstance(n, int) and n > _LONGEST_REPEAT for n in (least, most))
    return "(" if is_too_long else f"(?s:.{{{least},{most}}})"


def _is_re2(pattern: str) -> bool:
    try:
        pc.match_substring_regex(pa.array([""]), pattern)
    except (pa.ArrowException, TypeError):
        return False
    return True


def _sources(texts: Sequence[str], name: str, notes: Notes) -> dict[str, Any] | None:
    """Return the columns that values are computed from, by table, where they are written `table.column`."""
    sources: dict[str, list[str]] = {}
    for text in texts:
        table, dot, column = str(text).rpartition(".")
        if table and dot and column:
            sources.setdefault(table, []).append(column)
        else:
            notes.documentation(f"{name}.transformSourceObjects", f"{text} is no column of a table")
    single = {table: columns[0] if len(columns) == 1 else columns for table, columns in sources.items()}
    return single or None


def typed(raw: Any, type_: pa.DataType) -> Any:
    """Return a value of a file as one of a column's type; as it is where it is none: that is refused."""
    try:
        if pa.types.is_decimal(type_) and not isinstance(raw, bool):
            return Decimal(str(raw))
        if pa.types.is_date(type_) and isinstance(raw, str):
            return dt.date.fromisoformat(raw)
        if pa.types.is_timestamp(type_) and isinstance(raw, str):
            moment = dt.datetime.fromisoformat(raw)
            return moment.replace(tzinfo=dt.UTC) if type_.tz and moment.tzinfo is None else moment
        if pa.types.is_integer(type_) and isinstance(raw, float) and raw.is_integer():
            return int(raw)
    except (ValueError, InvalidOperation):
        pass
    return raw


def _inside(item: Any) -> Iterator[Any]:
    """Yield the properties inside of a column that is nested."""
    parts = [*(item.properties or ()), item.items]
    parts += [item.map.key, item.map.value] if item.map is not None else []
    for part in parts:
        if part is not None:
            yield part
            yield from _inside(part)


def _note_promises_inside(item: Any, where: str, notes: Notes) -> None:
    """Note what is promised of values inside of nested ones, of which a contract knows types alone."""
    for option in item.logicalTypeOptions or {}:
        if option not in {"format", "timezone", "defaultTimezone"}:
            notes.promise(f"{where}.{option}", "inside of a nested column")
    for name in ("quality", "enum", "unique", "primaryKey"):
        if getattr(item, name):
            notes.promise(f"{where}.{name}", "inside of a nested column")
    if item.description:
        notes.documentation(f"{where}.description")


def _note_others(item: Any, taken: Collection[str], where: str, notes: Notes) -> None:
    """Note what is documented beside what is taken."""
    values: Mapping[str, Any] = {name: getattr(item, name) for name in type(item).model_fields}
    for name, value in values.items():
        if name not in taken and value not in (None, "", [], {}, False, -1):
            notes.documentation(f"{where}{name}")
