import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest

from practicus_assets import Column, Contract, table_asset
from tests.integration.bench import Bench, errors

NEW_YORK = ZoneInfo("America/New_York")
SINGLE_RUN = dg.BackfillPolicy.single_run()


def _key(_: Any, key: str) -> Any:
    return key


def _start(definition: Any, key: str) -> dt.datetime:
    start: dt.datetime = definition.time_window_for_partition_key(key).start
    return start.astimezone(dt.UTC)


def _wall(definition: Any, key: str) -> dt.datetime:
    return definition.time_window_for_partition_key(key).start.replace(tzinfo=None)  # type: ignore[no-any-return]


def _date(definition: Any, key: str) -> dt.date:
    return _wall(definition, key).date()


@dataclass(frozen=True)
class Case:
    """Partitions on a column of one type: three in a row, and a value of the column inside each."""

    definition: Any
    keys: tuple[str, str, str]
    type: pa.DataType
    value: Callable[[Any, str], Any] = _key
    fills: bool = True

    def rows(self, *keys: str) -> pa.Table:
        values = pa.array([self.value(self.definition, key) for key in keys], self.type)
        return pa.table({"part": values, "n": range(len(keys))})

    def asset(self) -> dg.AssetsDefinition:
        """Return an asset with a row of each partition that the run's tag `rows` names, or the run."""

        @table_asset(partitions_def=self.definition, partition_by="part", backfill_policy=SINGLE_RUN)
        def orders(context: dg.AssetExecutionContext) -> pa.Table:
            told = context.run.tags.get("rows")
            return self.rows(*(json.loads(told) if told else context.partition_keys))

        return orders


STRING, UTC, NAIVE = pa.string(), pa.timestamp("us", "UTC"), pa.timestamp("us")
DAILY = dg.DailyPartitionsDefinition("2024-02-27", end_date="2024-03-20")
DAILY_NY = dg.DailyPartitionsDefinition("2013-11-01", timezone="America/New_York", end_date="2013-11-20")
HOURLY = dg.HourlyPartitionsDefinition("2024-02-28-22:00", end_date="2024-03-01-00:00")
HOURLY_NY = dg.HourlyPartitionsDefinition(
    "2013-11-03-00:00", timezone="America/New_York", end_date="2013-11-03-06:00"
)
SPRING_NY = dg.HourlyPartitionsDefinition(
    "2013-03-10-00:00", timezone="America/New_York", end_date="2013-03-10-06:00"
)
WEEKLY = dg.WeeklyPartitionsDefinition("2024-02-18", end_date="2024-04-01")
MONTHLY = dg.MonthlyPartitionsDefinition("2023-11-01", end_date="2024-06-01")
MONTH_NUMBERS = dg.MonthlyPartitionsDefinition("202311", end_date="202406", fmt="%Y%m")
SHIFTS = dg.TimeWindowPartitionsDefinition(
    start="2024-02-28-06:00", end="2024-03-05-06:00", cron_schedule="0 6,14,22 * * *", fmt="%Y-%m-%d-%H:%M"
)
EARLY = dg.DailyPartitionsDefinition(
    "2024-02-27-06:00", hour_offset=6, end_date="2024-03-05-06:00", fmt="%Y-%m-%d-%H:%M"
)

THREE_DAYS = ("2024-02-28", "2024-02-29", "2024-03-01")
FALL_DAYS = ("2013-11-02", "2013-11-03", "2013-11-04")
FALL_HOURS = ("2013-11-03-00:00", "2013-11-03-01:00", "2013-11-03-01:00-0500")
SPRING_HOURS = ("2013-03-10-00:00", "2013-03-10-01:00", "2013-03-10-03:00")
THREE_HOURS = ("2024-02-28-22:00", "2024-02-28-23:00", "2024-02-29-00:00")
THREE_WEEKS = ("2024-02-18", "2024-02-25", "2024-03-03")
THREE_MONTHS = ("2023-11-01", "2023-12-01", "2024-01-01")
THREE_SHIFTS = ("2024-02-28-14:00", "2024-02-28-22:00", "2024-02-29-06:00")
HOSTILE = ("x' OR '1'='1", "a/b", "..")

CASES = {
    "daily, string": Case(DAILY, THREE_DAYS, STRING),
    "daily, date": Case(DAILY, THREE_DAYS, pa.date32(), _date),
    "daily, zoned": Case(DAILY, THREE_DAYS, UTC, _start, fills=False),
    "daily, naive": Case(DAILY, THREE_DAYS, NAIVE, _wall, fills=False),
    "daily of New York in fall, string": Case(DAILY_NY, FALL_DAYS, STRING),
    "daily of New York in fall, date": Case(DAILY_NY, FALL_DAYS, pa.date32(), _date),
    "daily of New York in fall, zoned": Case(DAILY_NY, FALL_DAYS, UTC, _start, fills=False),
    "daily of New York in fall, naive": Case(DAILY_NY, FALL_DAYS, NAIVE, _wall, fills=False),
    "daily from six, zoned": Case(EARLY, tuple(f"{d}-06:00" for d in THREE_DAYS), UTC, _start, fills=False),
    "hourly, string": Case(HOURLY, THREE_HOURS, STRING),
    "hourly, zoned": Case(HOURLY, THREE_HOURS, UTC, _start, fills=False),
    "hourly, naive": Case(HOURLY, THREE_HOURS, NAIVE, _wall, fills=False),
    "hourly of New York in fall, string": Case(HOURLY_NY, FALL_HOURS, STRING),
    "hourly of New York in fall, zoned": Case(HOURLY_NY, FALL_HOURS, UTC, _start, fills=False),
    "hourly of New York in spring, zoned": Case(SPRING_NY, SPRING_HOURS, UTC, _start, fills=False),
    "weekly, string": Case(WEEKLY, THREE_WEEKS, STRING),
    "weekly, date": Case(WEEKLY, THREE_WEEKS, pa.date32(), _date, fills=False),
    "monthly, string": Case(MONTHLY, THREE_MONTHS, STRING),
    "monthly, date": Case(MONTHLY, THREE_MONTHS, pa.date32(), _date, fills=False),
    "monthly, zoned": Case(MONTHLY, THREE_MONTHS, UTC, _start, fills=False),
    "months as numbers, integer": Case(
        MONTH_NUMBERS, ("202311", "202312", "202401"), pa.int32(), lambda _, key: int(key)
    ),
    "shifts by cron, string": Case(SHIFTS, THREE_SHIFTS, STRING),
    "shifts by cron, zoned": Case(SHIFTS, THREE_SHIFTS, UTC, _start, fills=False),
    "static, string": Case(dg.StaticPartitionsDefinition(list(HOSTILE)), HOSTILE, STRING),
    "static, integer": Case(
        dg.StaticPartitionsDefinition(["-1", "9", "10"]),
        ("-1", "9", "10"),
        pa.int64(),
        lambda _, key: int(key),
    ),
    "static, date": Case(
        dg.StaticPartitionsDefinition(list(THREE_DAYS)),
        THREE_DAYS,
        pa.date32(),
        lambda _, key: dt.date.fromisoformat(key),
    ),
    "static, naive": Case(
        dg.StaticPartitionsDefinition([f"{day}T12:30:00" for day in THREE_DAYS]),
        tuple(f"{day}T12:30:00" for day in THREE_DAYS),
        NAIVE,
        lambda _, key: dt.datetime.fromisoformat(key),
    ),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


@cases
def test_each_partition_lands_by_itself_and_leaves_the_others(bench: Bench, case: Case) -> None:
    asset = case.asset()
    for key in case.keys[:2]:
        bench.run([asset], partition=key)
    assert bench.rows("orders", "n") == [(0,), (0,)]
    assert bench.version("orders") == 1
    bench.run([asset], partition=case.keys[1], tags={"rows": json.dumps([case.keys[1]] * 2)})
    assert bench.rows("orders", "n") == [(0,), (0,), (1,)]


@cases
def test_a_range_is_one_commit_and_again_the_same_rows_are_none(bench: Bench, case: Case) -> None:
    asset = case.asset()
    bench.run([asset], between=(case.keys[0], case.keys[2]))
    assert bench.version("orders") == 0
    assert len(bench.rows("orders")) == 3
    assert bench.materializations("orders") == 3
    bench.run([asset], between=(case.keys[0], case.keys[2]))
    assert bench.version("orders") == 0
    assert bench.metadata("orders")["delta/outcome"] == "unchanged"


@cases
def test_rows_of_another_partition_are_refused(bench: Bench, case: Case) -> None:
    told = {"rows": json.dumps([case.keys[1], case.keys[2]])}
    result = bench.run([case.asset()], partition=case.keys[1], tags=told, fails=True)
    assert f"orders [{case.keys[1]}]: the output has 1 row outside the scope" in errors(result)
    assert not bench.exists("orders")


@cases
def test_an_absent_column_is_filled_in_where_the_partition_is_one_value(bench: Bench, case: Case) -> None:
    @table_asset(
        partitions_def=case.definition,
        partition_by="part",
        contract=Contract({"part": Column(case.type), "n": Column("int64")}),
    )
    def orders() -> pa.Table:
        return pa.table({"n": [0]})

    whole = case.rows(case.keys[1]).to_pylist()
    bench.run([case.asset()], partition=case.keys[0])
    if case.fills:
        bench.run([orders], partition=case.keys[1])
        found = bench.table("orders").to_pyarrow_table().to_pylist()
        assert [row for row in found if row == whole[0]] == whole
        assert len(found) == 2
    else:
        assert "part" in errors(bench.run([orders], partition=case.keys[1], fails=True))
        assert len(bench.rows("orders")) == 1


def test_the_boundaries_of_a_day_of_25_hours_are_exact(bench: Bench) -> None:
    midnight = dt.datetime(2013, 11, 3, tzinfo=NEW_YORK).astimezone(dt.UTC)

    @table_asset(partitions_def=DAILY_NY, partition_by="part")
    def orders(context: dg.AssetExecutionContext) -> pa.Table:
        hours = context.run.tags["hours"].split()
        times = [midnight + dt.timedelta(hours=int(hour)) for hour in hours]
        return pa.table({"part": pa.array(times, UTC), "n": range(len(times))})

    bench.run([orders], partition="2013-11-03", tags={"hours": "0 24"})
    assert len(bench.rows("orders")) == 2
    for outside in ("-1", "25"):
        bench.run([orders], partition="2013-11-03", tags={"hours": outside}, fails=True)
    bench.run([orders], partition="2013-11-04", tags={"hours": "25"})
    assert len(bench.rows("orders")) == 3


def test_a_repeated_hour_on_a_column_without_zone_is_refused(bench: Bench) -> None:
    @table_asset(partitions_def=HOURLY_NY, partition_by="part")
    def orders() -> pa.Table:
        return pa.table({"part": pa.array([dt.datetime(2013, 11, 3, 1)], NAIVE), "n": [1]})  # noqa: DTZ001 that is the point

    message = errors(bench.run([orders], partition="2013-11-03-01:00", fails=True))
    assert "is a wall time that a change of clocks repeats or skips" in message


def test_windows_that_a_date_cannot_tell_apart_are_refused(bench: Bench) -> None:
    @table_asset(partitions_def=HOURLY, partition_by="part")
    def orders() -> pa.Table:
        return pa.table({"part": pa.array([dt.date(2024, 2, 28)]), "n": [1]})

    message = errors(bench.run([orders], partition="2024-02-28-22:00", fails=True))
    assert "partition '2024-02-28-22:00' cannot be expressed on column 'part' of type date32[day]" in message


@pytest.mark.parametrize(("key", "value"), [("true", True), ("false", False)])
def test_booleans_are_partitions(bench: Bench, key: str, value: bool) -> None:  # noqa: FBT001 the value itself
    @table_asset(partitions_def=dg.StaticPartitionsDefinition(["true", "false"]), partition_by="part")
    def orders() -> pa.Table:
        return pa.table({"part": [value], "n": [1]})

    bench.run([orders], partition=key)
    bench.run([orders], partition=key)
    assert bench.rows("orders", "part") == [(value,)]
    bench.run([orders], partition="false" if value else "true", fails=True)


def test_dynamic_partitions_land_one_by_one_and_in_a_range(bench: Bench) -> None:
    files = dg.DynamicPartitionsDefinition(name="files")
    keys = ["b.csv", "a/1.csv", "ğ ü.csv"]
    bench.instance.add_dynamic_partitions("files", keys)
    case = Case(files, (keys[0], keys[1], keys[2]), STRING)
    bench.run([case.asset()], partition="a/1.csv")
    bench.run([case.asset()], between=("b.csv", "ğ ü.csv"))
    assert [row[0] for row in bench.rows("orders", "part")] == sorted(keys)
    assert bench.version("orders") == 1


# --- two dimensions -----------------------------------------------------------------------------------

SHOPS = dg.StaticPartitionsDefinition(["izmir", "ankara", "bursa"])
GRID = dg.MultiPartitionsDefinition({"shop": SHOPS, "date": DAILY})


def _grid(type_: pa.DataType = STRING, *, without: str = "") -> dg.AssetsDefinition:
    @table_asset(
        partitions_def=GRID, partition_by={"date": "day", "shop": "shop"}, backfill_policy=SINGLE_RUN
    )
    def orders(context: dg.AssetExecutionContext) -> pa.Table:
        told = context.run.tags.get("rows")
        keys = json.loads(told) if told else context.partition_keys
        split = [GRID.get_partition_key_from_str(str(key)).keys_by_dimension for key in keys]
        days = [k["date"] if type_ == STRING else dt.date.fromisoformat(k["date"]) for k in split]
        rows = {"day": pa.array(days, type_), "shop": [k["shop"] for k in split], "n": [1] * len(split)}
        return pa.table({name: values for name, values in rows.items() if name != without})

    return orders


@pytest.mark.parametrize("type_", [STRING, pa.date32()])
def test_a_cell_of_two_dimensions_lands_by_itself(bench: Bench, type_: pa.DataType) -> None:
    for key in ("2024-03-01|izmir", "2024-03-01|ankara", "2024-03-02|izmir", "2024-03-01|izmir"):
        bench.run([_grid(type_)], partition=key)
    assert [(str(day), shop) for day, shop in bench.rows("orders", "day", "shop")] == [
        ("2024-03-01", "ankara"),
        ("2024-03-01", "izmir"),
        ("2024-03-02", "izmir"),
    ]
    assert bench.version("orders") == 2


@pytest.mark.parametrize("type_", [STRING, pa.date32()])
def test_a_box_of_two_dimensions_is_one_commit(bench: Bench, type_: pa.DataType) -> None:
    for _ in range(2):
        bench.run([_grid(type_)], between=("2024-03-01|izmir", "2024-03-03|ankara"))
    cells = [(str(day), shop) for day, shop in bench.rows("orders", "day", "shop")]
    days = ("2024-03-01", "2024-03-02", "2024-03-03")
    assert cells == [(day, shop) for day in days for shop in ("ankara", "izmir")]
    assert bench.version("orders") == 0


def test_a_cell_beside_the_box_is_refused(bench: Bench) -> None:
    for foreign in ("2024-03-01|bursa", "2024-03-04|izmir"):
        result = bench.run(
            [_grid()],
            between=("2024-03-01|izmir", "2024-03-03|ankara"),
            tags={"rows": json.dumps(["2024-03-01|izmir", foreign])},
            fails=True,
        )
        assert "the output has 1 row outside the scope" in errors(result)
    assert not bench.exists("orders")


def test_the_column_of_the_dimension_with_one_value_is_filled_in(bench: Bench) -> None:
    bench.run([_grid(without="shop")], between=("2024-03-01|izmir", "2024-03-02|izmir"))
    assert bench.rows("orders", "day", "shop") == [("2024-03-01", "izmir"), ("2024-03-02", "izmir")]
    message = errors(
        bench.run([_grid(without="shop")], between=("2024-03-01|izmir", "2024-03-01|ankara"), fails=True)
    )
    assert "the output lacks the partition column 'shop'" in message


def test_a_box_leaves_the_cells_around_it(bench: Bench) -> None:
    bench.run([_grid()], between=("2024-03-01|izmir", "2024-03-03|bursa"))
    assert len(bench.rows("orders")) == 9
    izmir_only = {"rows": json.dumps(["2024-03-02|izmir"])}
    bench.run([_grid()], between=("2024-03-02|izmir", "2024-03-02|ankara"), tags=izmir_only)
    assert len(bench.rows("orders")) == 8
    assert ("2024-03-02", "ankara") not in bench.rows("orders", "day", "shop")
    assert bench.metadata("orders", "2024-03-02|ankara")["dagster/partition_row_count"] == 0
    assert bench.metadata("orders", "2024-03-02|izmir")["dagster/partition_row_count"] == 1


def test_a_partition_of_no_rows_empties_it(bench: Bench) -> None:
    @table_asset(partitions_def=DAILY, partition_by="part")
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return pd.DataFrame({"n": [1]}).head(0 if "empty" in context.run.tags else 1)

    for day in THREE_DAYS[:2]:
        bench.run([orders], partition=day)
    bench.run([orders], partition=THREE_DAYS[0], tags={"empty": "yes"})
    assert bench.rows("orders", "part") == [(dt.date.fromisoformat(THREE_DAYS[1]),)]


def test_a_year_of_days_is_one_commit(bench: Bench) -> None:
    year = dg.DailyPartitionsDefinition("2024-01-01", end_date="2025-01-01")

    @table_asset(partitions_def=year, partition_by="part", backfill_policy=SINGLE_RUN)
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return pd.DataFrame({"part": context.partition_keys, "n": 1})

    bench.run([orders], between=("2024-01-01", "2024-12-31"))
    assert bench.version("orders") == 0
    assert len(bench.rows("orders")) == bench.materializations("orders") == 366


# --- The type of a column that is filled in -----------------------------------------------------------------

BUSINESS_DAYS = dg.TimeWindowPartitionsDefinition(
    start="2024-01-01", end="2024-03-01", fmt="%Y-%m-%d", cron_schedule="0 0 * * 1-5"
)


@pytest.mark.parametrize("last_first", [False, True], ids=["first to last", "last to first"])
@pytest.mark.parametrize(
    ("definition", "keys", "type_"),
    [
        (dg.DailyPartitionsDefinition("2024-01-01"), ["2024-01-01", "2024-01-05"], pa.date32()),
        (
            dg.DailyPartitionsDefinition("2024-03-01", timezone="Europe/Berlin"),
            ["2024-03-30", "2024-03-31"],  # the second has 23 hours
            pa.date32(),
        ),
        (
            dg.DailyPartitionsDefinition("01.01.2024", fmt="%d.%m.%Y"),
            ["05.01.2024", "06.01.2024"],
            pa.date32(),
        ),
        (
            dg.DailyPartitionsDefinition("2024-01-01-06:00", hour_offset=6, fmt="%Y-%m-%d-%H:%M"),
            ["2024-01-01-06:00", "2024-01-02-06:00"],
            pa.string(),
        ),
        (BUSINESS_DAYS, ["2024-01-01", "2024-01-05"], pa.string()),  # a Monday, and a Friday of three days
        (
            dg.HourlyPartitionsDefinition("2024-01-01-00:00"),
            ["2024-01-01-00:00", "2024-01-01-05:00"],
            pa.string(),
        ),
        (dg.WeeklyPartitionsDefinition("2024-01-01"), ["2024-01-07", "2024-01-14"], pa.string()),
        (dg.MonthlyPartitionsDefinition("2024-01-01"), ["2024-01-01", "2024-02-01"], pa.string()),
    ],
    ids=[
        "daily",
        "daily of Berlin",
        "daily with a format",
        "daily from six",
        "business days",
        "hourly",
        "weekly",
        "monthly",
    ],
)
def test_a_column_that_is_filled_in_has_the_type_that_the_partitions_say_whichever_comes_first(
    bench: Bench,
    definition: Any,
    keys: list[str],
    type_: pa.DataType,
    last_first: bool,  # noqa: FBT001
) -> None:
    @table_asset(partitions_def=definition, partition_by="p")
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return pd.DataFrame({"n": [1]})

    for key in reversed(keys) if last_first else keys:
        bench.run([orders], partition=key)
    assert pa.schema(bench.table("orders").schema().to_arrow()).field("p").type == type_
    assert len(bench.rows("orders")) == 2


def test_a_contract_decides_the_type_of_a_column_that_is_filled_in(bench: Bench) -> None:
    contract = Contract({"p": Column("string"), "n": Column("int64")})

    @table_asset(
        partitions_def=dg.DailyPartitionsDefinition("2024-01-01"), partition_by="p", contract=contract
    )
    def orders() -> pd.DataFrame:
        return pd.DataFrame({"n": [1]})

    bench.run([orders], partition="2024-01-05")
    assert pa.schema(bench.table("orders").schema().to_arrow()).field("p").type == pa.string()
