"""Data versions of exports: other rows have another one, whatever way the table was divided when written."""

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest

from practicus_assets.destinations.export import Export
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.recorded import RecordedScope
from practicus_assets.lake.partitions.scope import Scope, Window
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.transaction import Transaction

JANUARY = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def days(*numbers: int) -> Scope:
    """Return the scope of days of January."""
    starts = [JANUARY + dt.timedelta(number - 1) for number in numbers]
    windows = [Window(f"{start:%Y-%m-%d}", start, start + dt.timedelta(1), daily=True) for start in starts]
    return Scope(("day",), tuple((window,) for window in windows))


def month(column: str = "day") -> Scope:
    """Return the scope of January, whose key is that of its first day."""
    return Scope((column,), ((Window("2024-01-01", JANUARY, dt.datetime(2024, 2, 1, tzinfo=dt.UTC)),),))


def written(table: Table, scope: Scope, *rows: tuple[int, int]) -> None:
    """Write rows, each of a day and with a number, in a transaction of this scope."""
    dates = pa.array([dt.date(2024, 1, day) for day, _ in rows], pa.date32())
    numbers = pa.array([number for _, number in rows], pa.int64())
    options = WriteOptions(partition_by=["day"])
    Transaction(table, scope, options).write(pa.table({"day": dates, "shipped": dates, "n": numbers}))


def version(table: Table, scope: Scope) -> str:
    """Return the data version of the newest rows of a scope."""
    [found] = Export(table, Snapshot.of(table, None, scope), "t").data_versions.values()
    return found


@pytest.mark.parametrize("column", ["day", "shipped"])
def test_a_month_has_another_data_version_once_any_of_its_days_has_other_rows(
    tmp_path: Path, column: str
) -> None:
    table = Table.at(tmp_path, ["orders"])
    written(table, days(2), (2, 1))
    written(table, days(1), (1, 1))
    before = version(table, month(column))
    written(table, days(2), (2, 7))
    written(table, days(1), (1, 8))
    written(table, days(1), (1, 1))  # the first day, whose key is the month's, is as it was
    assert version(table, month(column)) != before


def test_a_day_keeps_its_data_version_when_it_is_written_again_beside_others(tmp_path: Path) -> None:
    table = Table.at(tmp_path, ["orders"])
    written(table, days(1, 2, 3), (1, 1), (2, 2), (3, 3))
    before = [version(table, days(number)) for number in (1, 2)]
    written(table, days(2), (2, 2))
    written(table, days(1, 2), (1, 1), (2, 2))
    assert [version(table, days(number)) for number in (1, 2)] == before


@pytest.mark.parametrize(
    ("count", "ends", "is_one"),
    [
        (31, ("2024-01-01", "2024-01-02"), True),
        (31, ("2024-01-01", "2024-02-01"), False),
        (31, ("2024-02-01", "2024-02-02"), False),
        (4, ("2024-01-01", "2024-01-08"), True),
        (4, ("2024-01-01", "2024-01-02"), False),
        (1, ("2024-01-01", "2024-02-01"), True),
        (1, ("2024-01-01", "2024-01-02"), False),
    ],
    ids=str,
)
def test_a_recorded_scope_tells_its_partitions_from_those_of_another_size(
    count: int, ends: tuple[str, str], *, is_one: bool
) -> None:
    scope = RecordedScope(("day",), ((("2024-01-01", "2024-02-01"),),))
    assert scope.divides_into(count, RecordedScope(("day",), ((ends,),))) is is_one
    assert not scope.divides_into(count, RecordedScope(("hour",), ((ends,),)))
