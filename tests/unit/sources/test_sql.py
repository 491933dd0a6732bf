"""Scopes as SQL: values are bound, adjacent windows are one, and names are quoted."""

import datetime as dt
import re
from collections.abc import Sequence
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from practicus_assets.errors import DeclarationError
from practicus_assets.lake.partitions.scope import Key, Scope, Window
from practicus_assets.lake.partitions.values import Value
from practicus_assets.sources.sql import versions
from practicus_assets.sources.sql.conditions import Operand, Parameters, condition
from practicus_assets.sources.sql.names import parts_of, quoted

BERLIN = ZoneInfo("Europe/Berlin")
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


class Marks(Parameters[Operand]):
    """Question marks, and the values that they stand for."""

    def __init__(self) -> None:
        self.values: list[Value] = []

    def one(self, value: Value, operand: Operand) -> str:
        self.values.append(value)
        return "?"

    def equals_any(self, operand: Operand, values: Sequence[Value]) -> str:
        return f"{operand.text} IN ({', '.join(self.one(value, operand) for value in values)})"


def days(first: dt.date, count: int) -> list[tuple[Window]]:
    def midnight(number: int) -> dt.datetime:
        return dt.datetime.combine(first + dt.timedelta(number), dt.time(), BERLIN)

    return [
        (Window((first + dt.timedelta(i)).isoformat(), midnight(i), midnight(i + 1), daily=True),)
        for i in range(count)
    ]


def test_a_year_of_days_is_one_range_with_two_bound_values() -> None:
    scope = Scope(("at",), tuple(days(dt.date(2026, 1, 1), 365)))
    zoned = pa.timestamp("us", "UTC")
    marks = Marks()
    text = condition(
        scope.on(pa.schema([("at", zoned)])), {"at": Operand('"at"', zoned, "timestamptz")}, marks
    )
    assert text == '("at" >= ? AND "at" < ?)'
    assert marks.values == [
        dt.datetime(2025, 12, 31, 23, tzinfo=dt.UTC),
        dt.datetime(2026, 12, 31, 23, tzinfo=dt.UTC),
    ]


def test_keys_of_one_column_are_one_list_and_stand_in_no_statement() -> None:
    hostile = "'; DROP TABLE orders; --"
    scope = Scope(
        ("shop", "day"), tuple((Key(key), *days(dt.date(2026, 1, 1), 1)[0]) for key in ("a", hostile))
    )
    types = pa.schema([("shop", pa.string()), ("day", pa.date32())])
    operands = {field.name: Operand(f'"{field.name}"', field.type, "") for field in types}
    marks = Marks()
    text = condition(scope.on(types), operands, marks)
    assert text == '("shop" IN (?, ?) AND ("day" >= ? AND "day" < ?))'
    assert marks.values == ["a", hostile, dt.date(2026, 1, 1), dt.date(2026, 1, 2)]


def test_all_rows_have_no_condition() -> None:
    assert condition(Scope().on(pa.schema([])), {}, Marks()) is None


def test_versions_of_many_scopes_are_asked_for_in_one_pass_of_few_statements() -> None:
    scopes = [
        Scope(("day",), (day,)).on(pa.schema([("day", pa.date32())]))
        for day in days(dt.date(2026, 1, 1), 250)
    ]
    operands = {"day": Operand('"day"', pa.date32(), "date")}
    groups = list(versions.groups(scopes))
    assert [(group.start, group.stop) for group in groups] == [(0, 100), (100, 200), (200, 250)]
    marks = Marks()
    text = versions.statement('"t"', "max(u)", [scopes[i] for i in groups[2]], operands, marks)
    assert text.count("?") == len(marks.values) == 2 * 50 + 2
    assert text.endswith('END, count(*), max(u) FROM "t" WHERE ("day" >= ? AND "day" < ?) GROUP BY 1')


def test_a_scope_without_rows_has_a_version_of_its_own() -> None:
    assert versions.texts([(1, 2, "2026-01-06"), (2, 1, None)], 3) == [
        "0 rows",
        "2 rows, 2026-01-06",
        "1 row",
    ]


@given(NAMES, NAMES)
@pytest.mark.parametrize("quote", ['"', "`"])
def test_quoted_parts_of_any_name_are_read_back(quote: str, schema: str, table: str) -> None:
    name = f"{quoted(schema, quote)}.{quoted(table, quote)}"
    assert parts_of(name, quote) == (schema, table)


@pytest.mark.parametrize("name", ["", ".", "a.", ".a", 'a."b', 'a."b"c', '""'])
def test_a_name_with_an_empty_part_or_an_open_quote_is_refused(name: str) -> None:
    with pytest.raises(DeclarationError, match=re.escape(repr(name))):
        parts_of(name, '"')
