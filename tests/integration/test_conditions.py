"""Conditions: what they request beside Dagster's `eager()`, and what they wait for."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from practicus_assets import (
    DeltaIOManager,
    build_condition_sensor,
    on_missing,
    on_new_code,
    table_asset,
    when_inputs_ready,
)
from practicus_assets.errors import DeclarationError
from practicus_assets.external.changes.observation import observable_asset, observation
from tests.integration.bench import Bench

DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-06")
LAST = "2026-01-05"
DAILY: dict[str, Any] = {
    "partitions_def": DAYS,
    "partition_by": "day",
    "backfill_policy": dg.BackfillPolicy.single_run(),
}


class Watch:
    """Definitions whose conditions are evaluated tick by tick."""

    def __init__(self, bench: Bench, *assets: Any, at: dt.datetime | None = None) -> None:
        self.bench, self.assets, self.cursor = bench, list(assets), None
        self.tick(at)

    def tick(self, at: dt.datetime | None = None) -> dict[str, list[str | None]]:
        """Return the partitions that a tick requests, by table."""
        result = dg.evaluate_automation_conditions(
            dg.Definitions(assets=self.assets), self.bench.instance, evaluation_time=at, cursor=self.cursor
        )
        self.cursor = result.cursor
        requested = {
            key.path[-1]: result.get_requested_partitions(key) for asset in self.assets for key in asset.keys
        }
        return {name: sorted(keys, key=str) for name, keys in requested.items() if keys}


def daily_orders(numbers: dict[str, int]) -> dg.AssetsDefinition:
    """Return a table with one row a day, whose number is looked up at each run."""

    @table_asset(**DAILY)
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        days = context.partition_keys
        return pd.DataFrame({"day": pd.to_datetime(days), "n": [numbers.get(day, 0) for day in days]})

    return orders


def daily_below(name: str, condition: Any) -> dg.AssetsDefinition:
    @table_asset(name=name, automation_condition=condition, **DAILY)
    def below(orders: pd.DataFrame) -> pd.DataFrame:
        return orders

    return below


# --- Equal data ---------------------------------------------------------------------------------------------


def test_equal_rows_request_nothing_where_eager_requests_a_run_each_time(
    bench: Bench, record_property: Callable[[str, object], None]
) -> None:
    numbers = [1, 1, 1, 2, 2]

    @table_asset
    def orders() -> pd.DataFrame:
        return pd.DataFrame({"n": [numbers[0]]})

    @table_asset(automation_condition=dg.AutomationCondition.eager())
    def eager(orders: pd.DataFrame) -> pd.DataFrame:
        return orders

    @table_asset(automation_condition=when_inputs_ready())
    def ours(orders: pd.DataFrame) -> pd.DataFrame:
        return orders

    watch, requests = Watch(bench, orders, eager, ours), {"eager": 0, "ours": 0}
    while numbers:
        bench.run([orders, eager, ours], select=[orders])
        numbers.pop(0)
        requested = watch.tick()
        for name in requested:
            requests[name] += 1
            numbers.insert(0, 0)
            bench.run([orders, eager, ours], select=[name])
            numbers.pop(0)
        assert watch.tick() == {}
    print(f"requests for five runs of an input, of which two had other rows: {requests}")
    record_property("requests", requests)
    assert requests == {"eager": 5, "ours": 2}


def test_a_run_of_several_partitions_requests_those_whose_rows_changed(bench: Bench) -> None:
    numbers: dict[str, int] = {}
    orders = daily_orders(numbers)
    eager = daily_below(
        "eager",
        dg.AutomationCondition.eager().without(dg.AutomationCondition.in_latest_time_window()),
    )
    versions = daily_below(
        "versions",
        when_inputs_ready(all_partitions=True).replace("equal_rows", ~dg.AutomationCondition.newly_updated()),
    )
    ours = daily_below("ours", when_inputs_ready(all_partitions=True))
    days = DAYS.get_partition_keys()
    for day in days:
        bench.run([orders], partition=day)
    watch = Watch(bench, orders, eager, versions, ours)
    bench.run([orders], between=(days[0], days[-1]))  # the same rows, by one data version for all
    assert watch.tick() == {"eager": days, "versions": days}
    numbers["2026-01-02"] = 7
    bench.run([orders], between=(days[0], days[-1]))
    assert watch.tick()["ours"] == ["2026-01-02"]


def test_rows_that_are_appended_are_other_rows_though_equal_ones_were_appended_before(bench: Bench) -> None:
    @table_asset(mode="append", partitions_def=DAYS, partition_by="day")
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return pd.DataFrame({"day": pd.to_datetime([context.partition_key]), "n": [1]})

    ours = daily_below("ours", when_inputs_ready())
    watch = Watch(bench, orders, ours)
    for _ in range(3):
        bench.run([orders], partition=LAST)
        assert watch.tick() == {"ours": [LAST]}


# --- Inputs that are not ready ------------------------------------------------------------------------------


def test_a_partition_whose_inputs_do_not_exist_yet_waits_where_eager_requests_it(bench: Bench) -> None:
    weeks = dg.WeeklyPartitionsDefinition("2024-08-04")
    months = dg.MonthlyPartitionsDefinition("2024-09-01")

    @dg.asset(partitions_def=weeks)
    def week() -> None: ...

    def monthly(name: str, condition: Any) -> dg.AssetsDefinition:
        @dg.asset(name=name, deps=[week], partitions_def=months, automation_condition=condition)
        def month() -> None: ...

        return month

    eager, ours = monthly("eager", dg.AutomationCondition.eager()), monthly("ours", when_inputs_ready())
    watch = Watch(bench, week, eager, ours, at=dt.datetime(2024, 10, 31, 12, tzinfo=dt.UTC))
    for sunday in ("2024-09-29", "2024-10-06", "2024-10-13", "2024-10-20"):
        bench.instance.report_runless_asset_event(dg.AssetMaterialization("week", partition=sunday))
    assert watch.tick(dt.datetime(2024, 11, 1, 0, 1, tzinfo=dt.UTC)) == {"eager": ["2024-10-01"]}
    bench.instance.report_runless_asset_event(dg.AssetMaterialization("week", partition="2024-10-27"))
    assert watch.tick(dt.datetime(2024, 11, 3, 0, 1, tzinfo=dt.UTC))["ours"] == ["2024-10-01"]


def test_a_change_waits_until_no_input_is_missing_failed_or_in_progress(bench: Bench) -> None:
    broken = [False]
    orders = daily_orders({})

    @table_asset(**DAILY)
    def rates(context: dg.AssetExecutionContext) -> pd.DataFrame:
        assert watch.tick() == {}  # for rates are in progress
        if broken[0]:
            raise OSError("no rates")
        return pd.DataFrame({"day": pd.to_datetime(context.partition_keys), "rate": [1.0]})

    @table_asset(automation_condition=when_inputs_ready(), **DAILY)
    def revenue(orders: pd.DataFrame, rates: pd.DataFrame) -> pd.DataFrame:
        return orders.merge(rates)

    assets = [orders, rates, revenue]
    watch = Watch(bench, *assets)
    bench.run(assets, select=[orders], partition=LAST)
    assert watch.tick() == {}  # for rates are missing
    broken[0] = True
    bench.run(assets, select=[rates], partition=LAST, fails=True)
    assert watch.tick() == {}
    broken[0] = False
    bench.run(assets, select=[rates], partition=LAST)
    assert watch.tick() == {"revenue": [LAST]}
    assert watch.tick() == {}
    broken[0] = True
    bench.run(assets, select=[rates], partition=LAST, fails=True)
    bench.run([daily_orders({LAST: 2}), rates, revenue], select=["orders"], partition=LAST)
    assert watch.tick() == {}  # for rates failed, though the former ones are there


def test_a_blocking_check_that_failed_holds_a_change_back(bench: Bench) -> None:
    passed = [False]
    orders = daily_orders({})

    @dg.asset_check(asset=orders, blocking=True)
    def plausible() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=passed[0])

    ours = daily_below("ours", when_inputs_ready())
    watch = Watch(bench, orders, ours)
    definitions = [orders, plausible]
    watch.assets = [orders, ours]
    checked = dg.Definitions(assets=[orders, ours], asset_checks=[plausible])

    def tick() -> set[str | None]:
        result = dg.evaluate_automation_conditions(checked, bench.instance, cursor=watch.cursor)
        watch.cursor = result.cursor
        return set(result.get_requested_partitions(dg.AssetKey("ours")))

    bench.run(definitions, partition=LAST, fails=True)
    assert tick() == set()
    passed[0] = True
    bench.run(definitions, select=dg.AssetSelection.checks(plausible))
    assert tick() == {LAST}


# --- What is requested once, and what is not lost -----------------------------------------------------------


def test_a_change_during_a_run_that_does_not_read_it_is_requested_after_it(bench: Bench) -> None:
    numbers = {LAST: 1}
    orders = daily_orders(numbers)

    def below(name: str, condition: Any) -> dg.AssetsDefinition:
        @table_asset(name=name, automation_condition=condition, **DAILY)
        def table(orders: pd.DataFrame) -> pd.DataFrame:
            if numbers[LAST] == 1:
                numbers[LAST] = 2
                bench.run([daily_orders(numbers)], partition=LAST)  # while this one has read 1
                assert watch.tick() == {}
            return orders

        return table

    for name, condition in (("eager", dg.AutomationCondition.eager()), ("ours", when_inputs_ready())):
        numbers[LAST] = 1
        table = below(name, condition)
        watch = Watch(bench, orders, table)
        bench.run([orders], partition=LAST)
        assert watch.tick() == {name: [LAST]}
        assert watch.tick() == {}
        bench.run([orders, table], select=[table], partition=LAST)
        assert bench.rows(name, "n") == [(1,)]
        expected: dict[str, list[str]] = {} if name == "eager" else {name: [LAST]}  # eager() has lost it
        assert watch.tick() == expected
    bench.run([orders, table], select=[table], partition=LAST)
    assert bench.rows("ours", "n") == [(2,)]
    assert watch.tick() == {}
    assert watch.tick() == {}


def test_a_change_between_a_request_and_the_next_tick_is_requested_too(bench: Bench) -> None:
    numbers: dict[str, int] = {}
    orders, ours = daily_orders(numbers), daily_below("ours", when_inputs_ready())
    watch = Watch(bench, orders, ours)
    for number in (1, 2):
        numbers[LAST] = number
        bench.run([orders], partition=LAST)
        assert watch.tick() == {"ours": [LAST]}
    assert watch.tick() == {}


def test_a_table_that_was_made_in_the_run_of_its_input_is_not_requested(bench: Bench) -> None:
    orders, ours = daily_orders({}), daily_below("ours", when_inputs_ready())
    watch = Watch(bench, orders, ours)
    bench.run([orders, ours], partition=LAST)
    assert watch.tick() == {}


def test_a_request_whose_run_fails_is_not_repeated_before_the_next_change(bench: Bench) -> None:
    numbers: dict[str, int] = {}
    orders = daily_orders(numbers)

    @table_asset(automation_condition=when_inputs_ready(), **DAILY)
    def ours(orders: pd.DataFrame) -> pd.DataFrame:
        raise OSError("broken")

    watch = Watch(bench, orders, ours)
    bench.run([orders], partition=LAST)
    assert watch.tick() == {"ours": [LAST]}
    bench.run([orders, ours], select=[ours], partition=LAST, fails=True)
    assert [watch.tick() for _ in range(3)] == [{}, {}, {}]
    numbers[LAST] = 1
    bench.run([orders], partition=LAST)
    assert watch.tick() == {"ours": [LAST]}


def test_older_partitions_are_requested_only_where_that_is_asked_for(bench: Bench) -> None:
    orders = daily_orders({})
    newest, every = (
        daily_below("newest", when_inputs_ready()),
        daily_below("every", when_inputs_ready(all_partitions=True)),
    )
    watch = Watch(bench, orders, newest, every)
    bench.run([orders], between=("2026-01-01", "2026-01-03"))
    assert watch.tick() == {"every": ["2026-01-01", "2026-01-02", "2026-01-03"]}
    bench.run([orders], partition=LAST)
    assert watch.tick() == {"newest": [LAST], "every": [LAST]}


def test_a_change_of_a_source_is_a_change_and_an_equal_observation_is_none(bench: Bench) -> None:
    feed = observable_asset(dg.AssetSpec("feed"), lambda _: [])

    @table_asset(deps=["feed"], automation_condition=when_inputs_ready())
    def ours() -> pd.DataFrame:
        return pd.DataFrame({"n": [1]})

    watch = Watch(bench, feed, ours)
    for version, requested in (("1", {"ours": [None]}), ("1", {}), ("2", {"ours": [None]})):
        bench.instance.report_runless_asset_event(observation(dg.AssetKey("feed"), version))
        assert watch.tick() == requested
        assert watch.tick() == {}


# --- Others, and what they compose with ---------------------------------------------------------------------


def test_a_new_partition_is_requested_once_its_inputs_are_there_and_never_again(bench: Bench) -> None:
    days = dg.DailyPartitionsDefinition("2026-01-01")

    @dg.asset(partitions_def=days)
    def orders() -> None: ...

    @dg.asset(deps=[orders], partitions_def=days, automation_condition=on_missing())
    def ours() -> None: ...

    watch = Watch(bench, orders, ours, at=dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC))
    later = dt.datetime(2026, 1, 6, 0, 1, tzinfo=dt.UTC)
    assert watch.tick(later) == {}
    for version, requested in (("1", {"ours": [LAST]}), ("2", {})):
        tags = {"dagster/data_version": version}
        bench.instance.report_runless_asset_event(
            dg.AssetMaterialization("orders", partition=LAST, tags=tags)
        )
        assert watch.tick(later) == requested
        bench.instance.report_runless_asset_event(dg.AssetMaterialization("ours", partition=LAST))


def test_new_code_requests_a_table_once(bench: Bench) -> None:
    def ours(code_version: str) -> dg.AssetsDefinition:
        @table_asset(code_version=code_version, automation_condition=on_new_code())
        def table() -> pd.DataFrame:
            return pd.DataFrame({"n": [1]})

        return table

    watch = Watch(bench, ours("1"))
    bench.run(watch.assets)
    assert watch.tick() == {}
    watch.assets = [ours("2")]
    assert watch.tick() == {"table": [None]}
    assert watch.tick() == {}


def test_conditions_compose_with_those_of_dagster(bench: Bench) -> None:
    orders = daily_orders({})

    @table_asset(**DAILY)
    def rates(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return pd.DataFrame({"day": pd.to_datetime(context.partition_keys), "rate": [1.0]})

    ready = when_inputs_ready()
    only_orders = ready.allow(dg.AssetSelection.assets("orders"))
    without_rates = ready.ignore(dg.AssetSelection.assets("rates"))
    never = ready & dg.AutomationCondition.missing() & ~dg.AutomationCondition.missing()
    updated = ready.replace("inputs_changed", dg.AutomationCondition.any_deps_updated())

    def below(name: str, condition: Any) -> dg.AssetsDefinition:
        @dg.asset(name=name, deps=[orders, rates], partitions_def=DAYS, automation_condition=condition)
        def table() -> None: ...

        return table

    conditions = {
        "only": only_orders,
        "without": without_rates,
        "never": never,
        "either": never | without_rates,
        "updated": updated.ignore(dg.AssetSelection.assets("rates")),
    }
    watch = Watch(bench, orders, rates, *(below(*each) for each in conditions.items()))
    for requested in (["either", "only", "updated", "without"], ["updated"]):
        bench.run([orders], partition=LAST)
        assert sorted(watch.tick()) == requested


def test_the_sensor_requests_runs_of_tables_with_these_conditions(bench: Bench) -> None:
    orders, ours = daily_orders({}), daily_below("ours", when_inputs_ready())
    sensor = build_condition_sensor(run_tags={"team": "sales"})
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
    definitions = dg.Definitions(
        assets=[orders, ours],
        sensors=[sensor],
        resources={"io_manager": DeltaIOManager(root_uri=bench.root)},
    )
    repository, cursor, requests = definitions.get_repository_def(), None, []
    for _ in range(3):
        context = dg.build_sensor_context(bench.instance, cursor=cursor, repository_def=repository)
        data = sensor.evaluate_tick(context)
        cursor = data.cursor
        requests.append([(r.partition_key, r.tags.get("team")) for r in data.run_requests])
        bench.run([orders], partition=LAST)
    assert requests == [[], [(LAST, "sales")], []]


def test_a_condition_says_which_parameter_it_has() -> None:
    with pytest.raises(DeclarationError, match="all_partitions"):
        when_inputs_ready(all_partition=True)
