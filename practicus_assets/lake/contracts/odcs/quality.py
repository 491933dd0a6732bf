"""Quality: the items of a file that count rows or values, as promises of a contract."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from practicus_assets.lake.contracts.check import check_name
from practicus_assets.lake.contracts.odcs.left_out import Notes

_EXACTLY_NONE = {("mustBe", 0), ("mustBeLessOrEqualTo", 0), ("mustBeLessThan", 1)}
_OPERATORS = (
    *("mustBe", "mustNotBe", "mustBeGreaterThan", "mustBeGreaterOrEqualTo", "mustBeLessThan"),
    *("mustBeLessOrEqualTo", "mustBeBetween", "mustNotBeBetween"),
)
_FUNCTIONS = {"text": "words", "sql": "SQL", "custom": "code of another engine"}  # which a function may keep
_WARNING = {"warning", "warn", "info"}

Rows = tuple[int | None, int | None]


@dataclass
class Quality:
    """What the quality items of a table or a column promise.

    Attributes:
        not_null: that a column has no nulls.
        is_unique: that a column's values tell rows apart.
        allowed: the only values of a column.
        pattern: what is found in a column's texts.
        unique: the keys of a table.
        rows: the least and the most rows of a table.
        severity: of all of a column's items; empty if they say none, or different ones.

    """

    not_null: bool = False
    is_unique: bool = False
    allowed: list[Any] = field(default_factory=list)
    pattern: str = ""
    unique: list[list[str]] = field(default_factory=list)
    rows: Rows = (None, None)
    severity: str = ""


def quality_of(
    items: Sequence[Any], where: str, rules: Collection[str], notes: Notes, names: Mapping[str, str]
) -> Quality:
    """Return what quality items promise; those without a counterpart are noted.

    Args:
        items: the items of a table or a column.
        where: their place, for the notes.
        rules: the names of rules that are functions, and keep items of the same name.
        notes: where the others are noted.
        names: for the items of a table, the columns by the names that properties have; empty for a column's.

    """
    found, severities = Quality(), set()
    for item in items:
        label = item.name or item.id or item.metric or item.rule or item.type or "item"
        kind = item.type or "library"
        rule = check_name(str(label))
        if {item.name, item.id, rule} & set(rules):
            continue
        if kind in _FUNCTIONS:
            notes.promise(f"{where}.{label}", f"in {_FUNCTIONS[kind]}: a rule {rule!r} keeps it", rule)
        elif not _take(item, found, names, is_table=where == "quality"):
            notes.promise(f"{where}.{label}")
        else:
            severities.add((item.severity or "error").lower())
    if severities & _WARNING:
        if where == "quality" or severities - _WARNING:
            notes.documentation(f"{where}.severity", "all are errors")
        else:
            found.severity = "WARN"
    return found


def _take(item: Any, found: Quality, names: Mapping[str, str], *, is_table: bool) -> bool:
    """Take a library's metric into what was found; return False if it has no counterpart."""
    metric, arguments = item.metric or item.rule, item.arguments or {}
    given = {name: getattr(item, name) for name in _OPERATORS if getattr(item, name) is not None}
    if is_table and metric == "rowCount":
        rows = _rows(given) if item.unit in {None, "rows"} else None
        found.rows = _both(found.rows, rows) if rows is not None else found.rows
        return rows is not None
    if len(given) != 1 or next(iter(given.items())) not in _EXACTLY_NONE:
        return False
    if next(iter(given)) == "mustBeLessThan" and item.unit not in {None, "rows"}:
        return False
    if metric == "duplicateValues" and is_table:
        key = [names.get(str(name), str(name)) for name in arguments.get("properties") or ()]
        if key:
            found.unique.append(key)
        return bool(key) and set(arguments) == {"properties"}
    if is_table:
        return False
    return _take_of_column(metric, arguments, found)


def _take_of_column(metric: str | None, arguments: Mapping[str, Any], found: Quality) -> bool:
    if metric == "nullValues" or (metric == "missingValues" and arguments.get("missingValues") == [None]):
        found.not_null = True
        return True
    if metric == "duplicateValues" and not arguments:
        found.is_unique = True
        return True
    if metric != "invalidValues" or not arguments or set(arguments) - {"validValues", "pattern"}:
        return False
    values, pattern = arguments.get("validValues") or [], arguments.get("pattern") or ""
    if (values and found.allowed) or (pattern and found.pattern) or not isinstance(values, list):
        return False
    found.allowed, found.pattern = values or found.allowed, str(pattern) or found.pattern
    return True


def _rows(given: Mapping[str, Any]) -> Rows | None:
    """Return the bounds that operators put on a number of rows; None for others than bounds."""
    rows: Rows = (None, None)
    for name, value in given.items():
        between = value if isinstance(value, list) else [value, value]
        if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in between):
            return None
        bounds: dict[str, Rows] = {
            "mustBe": (between[0], between[1]),
            "mustBeBetween": (between[0], between[1]),
            "mustBeGreaterThan": (between[0] + 1, None),
            "mustBeGreaterOrEqualTo": (between[0], None),
            "mustBeLessThan": (None, between[0] - 1),
            "mustBeLessOrEqualTo": (None, between[0]),
        }
        if name not in bounds or (bounds[name][1] or 0) < 0:
            return None
        rows = _both(rows, bounds[name])
    return rows if given else None


def _both(one: Rows, other: Rows) -> Rows:
    """Return the bounds that two bounds are together."""
    lows = [low for low in (one[0], other[0]) if low is not None]
    highs = [high for high in (one[1], other[1]) if high is not None]
    return (max(lows, default=None), min(highs, default=None))
