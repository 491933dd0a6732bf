"""Versions: what tells in a database whether the rows of partitions changed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from practicus_assets.lake.partitions.bounds import Bounds
from practicus_assets.sources.relation import NO_ROWS
from practicus_assets.sources.sql.conditions import OperandT, Parameters, condition

_SCOPES_OF_ONE_STATEMENT = 100  # each row is compared with half of them on average


def groups(scopes: Sequence[Bounds]) -> Iterator[range]:
    """Yield the positions of the scopes that one statement asks for."""
    for start in range(0, len(scopes), _SCOPES_OF_ONE_STATEMENT):
        yield range(start, min(start + _SCOPES_OF_ONE_STATEMENT, len(scopes)))


def statement(
    relation: str,
    contents: str,
    scopes: Sequence[Bounds],
    operands: Mapping[str, OperandT],
    parameters: Parameters[OperandT],
) -> str:
    """Return a query of one pass for the number of each scope that has rows, their count and their contents.

    Args:
        relation: what is read, as it stands after FROM.
        contents: an aggregate that changes with the rows, such as the newest time at which one changed.
        scopes: scopes without common rows, on the same columns; one scope of all rows for all.
        operands: what each column of the scopes is in the database.
        parameters: the statement's, to which values are added in the order of their placeholders.

    """
    first = scopes[0]
    if not first.columns:
        return f"SELECT 0, count(*), {contents} FROM {relation}"
    cases = [
        f"WHEN {condition(bounds, operands, parameters)} THEN {number}"
        for number, bounds in enumerate(scopes)
    ]
    number = f"CASE {' '.join(cases)} END"
    together = Bounds(first.columns, first.types, tuple(part for bounds in scopes for part in bounds.parts))
    where = condition(together, operands, parameters)
    return f"SELECT {number}, count(*), {contents} FROM {relation} WHERE {where} GROUP BY 1"


def texts(rows: Iterable[Sequence[Any]], scopes: int) -> list[str]:
    """Return the data version of each scope from the rows of its statement: `12 rows, 2026-01-06 10:00`."""
    found = {int(number): (int(count), contents) for number, count, contents in rows}
    return [_text(*found.get(number, (0, None))) for number in range(scopes)]


def _text(count: int, contents: object) -> str:
    if not count:
        return NO_ROWS
    rows = f"{count} row{'' if count == 1 else 's'}"
    return rows if contents is None else f"{rows}, {contents}"
