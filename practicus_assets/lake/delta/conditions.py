"""Conditions: which queries read a scope of a table, none of which grows with the number of its keys.

DataFusion and delta-rs nest a condition once for each of its alternatives, and a process that nests some
20,000 of them dies. So the log says which partitions the version has, those that lie side by side in the
order of their values are read as one range, and the ranges are spread over queries.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import groupby
from typing import Any

from practicus_assets.errors import DeclarationError, SchemaMismatch, did_you_mean
from practicus_assets.lake.delta.failures import in_one_line
from practicus_assets.lake.partitions.bounds import Bounds
from practicus_assets.lake.partitions.values import Value, identifier, literal

PresentValues = Callable[[Sequence[str]], AbstractSet[tuple[Value | None, ...]]]

_ALTERNATIVES = 200  # of one query
ALIAS = "snapshot"  # the name by which queries call the table
NOTHING = "FALSE"
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*(?:(?!/\*).)*?\*/""", re.DOTALL)


def queries(
    columns: Sequence[str],
    bounds: Bounds | None,
    predicate: str | None,
    partition_by: Sequence[str],
    present: PresentValues,
    *,
    without: Sequence[Bounds] = (),
    absent: Sequence[str] = (),
    alias: str = ALIAS,
) -> list[str]:
    """Return SQL queries that together read the rows of a scope, each row once.

    Args:
        columns: the names of the columns to read.
        bounds: the scope; None for no row.
        predicate: a further condition that rows must satisfy; whatever it says, it stays inside of the scope.
        partition_by: the table's partition columns.
        present: returns the combinations of values of partition columns that the version's files have.
        without: scopes whose rows are left out.
        absent: names that the predicate may have, of columns that the version lacks: they are null.
        alias: the name by which the queries call the table.

    """
    scopes = [NOTHING] if bounds is None else _conditions(bounds, partition_by, present, without)
    selection = f"SELECT {', '.join(map(identifier, columns))}"
    every = ", ".join(["*", *(f"NULL AS {identifier(name)}" for name in absent)])
    sources = [
        f"(SELECT {every} FROM {alias}{f' WHERE {scope}' if scope else ''})" if scope or absent else alias  # noqa: S608 values are literals
        for scope in scopes
    ]
    where = f" WHERE ({predicate}\n)" if predicate else ""
    return [f"{selection} FROM {source}{where}" for source in sources]


def _conditions(
    bounds: Bounds,
    partition_by: Sequence[str],
    present_values: PresentValues,
    without: Sequence[Bounds] = (),
) -> list[str | None]:
    """Return the SQL condition of each query; None for a query of the whole table."""
    if any(not each.columns for each in without):
        return [NOTHING]
    columns = {c: t for each in (bounds, *without) for c, t in zip(each.columns, each.types, strict=True)}
    if not columns:
        return [None]
    if not columns.keys() <= set(partition_by):
        left = " AND ".join(f"({each.predicate()}) IS NOT TRUE" for each in without)
        scopes = _conditions(bounds, partition_by, present_values) if without else []
        scopes = scopes or [part.predicate() for part in bounds.divided(_ALTERNATIVES)]
        return [" AND ".join(f"({term})" for term in (scope, left) if term) for scope in scopes]
    present = present_values([*columns])
    named = ((values, dict(zip(columns, values, strict=True))) for values in present)
    inside = {
        values
        for values, by_column in named
        if bounds.part_of(by_column) is not None and all(each.part_of(by_column) is None for each in without)
    }
    if inside == present:
        return [None] if present else [NOTHING]
    known = {values for values in present if None not in values}
    around = Bounds(tuple(columns), tuple(columns.values()), ())
    alternatives = [_alternative(around, first, last) for first, last in _runs(known, inside)]
    alternatives += [_with_nulls(around, values) for values in inside - known]
    chunks = (
        alternatives[start : start + _ALTERNATIVES] for start in range(0, len(alternatives), _ALTERNATIVES)
    )
    return [" OR ".join(chunk) for chunk in chunks] or [NOTHING]


def _runs(
    present: Iterable[tuple[Any, ...]], inside: set[tuple[Any, ...]]
) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """Yield the first and the last of each run of partitions inside that differ in the last column only."""
    ordered = sorted(present)
    for (_, is_inside), run in groupby(ordered, key=lambda values: (values[:-1], values in inside)):
        if is_inside:
            partitions = list(run)
            yield partitions[0], partitions[-1]


def _alternative(bounds: Bounds, first: Sequence[Value], last: Sequence[Value]) -> str:
    """Return the condition that holds for the partitions from the first to the last."""
    columns = [identifier(column) for column in bounds.columns]
    lows = [literal(value, type_) for value, type_ in zip(first, bounds.types, strict=True)]
    terms = [f"{column} = {low}" for column, low in zip(columns[:-1], lows[:-1], strict=True)]
    high = literal(last[-1], bounds.types[-1])
    terms.append(
        f"{columns[-1]} = {lows[-1]}"
        if first == last
        else f"{columns[-1]} >= {lows[-1]} AND {columns[-1]} <= {high}"
    )
    return f"({' AND '.join(terms)})"


def _with_nulls(bounds: Bounds, values: Sequence[Value | None]) -> str:
    """Return the condition that holds for one partition, some of whose values are null."""
    terms = (
        f"{identifier(column)} {'IS NULL' if value is None else f'= {literal(value, type_)}'}"
        for column, type_, value in zip(bounds.columns, bounds.types, values, strict=True)
    )
    return f"({' AND '.join(terms)})"


def refuse_no_condition(predicate: Any) -> None:
    """Raise for a predicate that is no text, or that could leave the parentheses that it is put in."""
    if predicate is not None and not isinstance(predicate, str):
        raise DeclarationError(
            f"predicate={predicate!r} is no text.", 'Write a SQL condition, e.g. predicate="amount > 3".'
        )
    if predicate and not _is_one_condition(predicate):
        raise SchemaMismatch(f"{predicate!r} is not one SQL condition.", "Fix the predicate.")


def refused_predicate(predicate: str, columns: Sequence[str], cause: BaseException) -> SchemaMismatch:
    """Return the error for a predicate that the engine refuses, in our words.

    Args:
        predicate: the predicate.
        columns: the table's columns.
        cause: the engine's error.

    """
    text = in_one_line(cause)
    column = re.search(r"No field named (.+?)\.(?: |$)", text)
    if column is not None:
        name = column[1].rpartition(".")[2].strip('"')
        return SchemaMismatch(
            f"the predicate {predicate!r} names the column {name!r}, and there are {list(columns)}.",
            did_you_mean(name, columns, "Name one of these."),
        )
    syntax = re.search(r"Expected: (.+?), found: (.+?)(?: at Line.*)?\"?\)?$", text)
    value = re.search(r"Cannot cast string (.+) to value of (\w+) type", text)
    other = re.search(r"non-boolean predicate .* returning (\w+)", text)
    if syntax is not None:
        end = syntax[2] == ")"  # ours
        why = f"expected is {syntax[1]}, and there is {'its end' if end else syntax[2]}"
    elif value is not None:
        why = f"{value[1]} is no {value[2]}, with which it is compared"
    elif other is not None:
        why = f"it is of type {other[1]}, and neither true nor false"
    else:
        why = re.sub(r"^(?:[\w ]+ error|Error during planning): ", "", text.rpartition("caused by ")[2])
    return SchemaMismatch(
        f"the predicate {predicate!r} is no condition on this table: {why}.",
        "Write SQL, e.g. \"shop = 'x' AND amount > 3\".",
    )


def _is_one_condition(predicate: str) -> bool:
    """Return whether a predicate cannot leave the parentheses that it is put in."""
    texts = [text.start() for text in _QUOTED.finditer(predicate) if text[0][0] in "'\""]
    prefixes = [match[0] for start in texts if (match := re.search(r"\w+\Z", predicate[:start]))]
    if any(prefix.upper() != "X" for prefix in prefixes):
        return False  # in E'…' a backslash can hide a quote; X'…' are bytes
    bare = _QUOTED.sub("", predicate)
    depth = 0
    for character in bare:
        depth += (character == "(") - (character == ")")
        if depth < 0 or character in "'\"`$\\;":  # quotes that do not end, or of another dialect
            return False
    return depth == 0
