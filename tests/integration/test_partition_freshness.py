"""Freshness of partitions: the newest complete partition is there by its deadline, whatever else is made."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd
import pytest

from practicus_assets import DeclarationError, build_partition_freshness_checks, table_asset
from practicus_assets.automation.partition_freshness import Freshness, freshness_of
from practicus_assets.notifications.ticks import tick
from tests.integration.alerts import Alerts
from tests.integration.bench import Bench

NEW_YORK = ZoneInfo("America/New_York")
KEY = dg.AssetKey("orders")
SIX = dt.timedelta(hours=6)


def daily(start: str = "2026-01-01", **options: Any) -> dg.DailyPartitionsDefinition:
    return dg.DailyPartitionsDefinition(start, timezone="America/New_York", **options)


def found(
    instance: dg.DagsterInstance,
    when: dt.datetime,
    partitions_def: dg.PartitionsDefinition[Any] | None = None,
    deadline: dt.timedelta = SIX,
) -> Freshness:
    return freshness_of(instance, KEY, partitions_def or daily(), deadline, when)


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


def made(instance: dg.DagsterInstance, *keys: str) -> None:
    for key in keys:
        instance.report_runless_asset_event(dg.AssetMaterialization(KEY, partition=key))


def test_a_partition_is_expected_from_its_deadline_on(bench: Bench) -> None:
    made(bench.instance, "2026-01-08")
    before = found(bench.instance, at("2026-01-10T05:59"))
    assert (before.passed, before.expected) == (True, "2026-01-08")
    after = found(bench.instance, at("2026-01-10T06:00"))
    assert (after.passed, after.expected) == (False, "2026-01-09")
    assert found(bench.instance, at("2026-01-10T08:30")).description == (
        "2026-01-09 is not there. It was due by 2026-01-10 06:00 EST, 2 hours ago. "
        "The newest that is there is 2026-01-08."
    )


def test_a_backfill_of_old_partitions_makes_no_table_fresh(bench: Bench) -> None:
    made(bench.instance, "2026-01-01", "2026-01-02")
    assert not found(bench.instance, at("2026-01-10T07:00")).passed
    made(bench.instance, "2026-01-09")
    assert found(bench.instance, at("2026-01-10T07:00")).passed


def test_what_was_made_before_its_day_ended_is_not_the_day(bench: Bench) -> None:
    tomorrow = (dt.datetime.now(NEW_YORK) + dt.timedelta(days=1)).date()
    made(bench.instance, str(tomorrow))
    when = dt.datetime.combine(tomorrow + dt.timedelta(days=1), dt.time(7), NEW_YORK)
    early = found(bench.instance, when)
    assert not early.passed
    assert f"{tomorrow} was made before its window ended." in early.description


@pytest.mark.parametrize(
    ("day", "zone"), [("2026-03-08", "EDT"), ("2026-11-01", "EST"), ("2026-07-01", "EDT")]
)
def test_six_hours_after_midnight_are_six_o_clock_also_when_clocks_change(
    bench: Bench, day: str, zone: str
) -> None:
    eve = str(dt.date.fromisoformat(day) - dt.timedelta(days=1))
    assert found(bench.instance, at(f"{day}T05:59")).expected < eve
    late = found(bench.instance, at(f"{day}T06:00"))
    assert late.expected == eve
    assert f"It was due by {day} 06:00 {zone}, 0 seconds ago." in late.description


def test_a_deadline_that_the_clock_leaves_out_is_an_hour_later(bench: Bench) -> None:
    at_half_past_two = dt.timedelta(hours=2, minutes=30)
    late = found(bench.instance, at("2026-03-08T12:00"), deadline=at_half_past_two)
    assert "It was due by 2026-03-08 03:30 EDT" in late.description


def test_hours_have_their_deadline_by_time_that_passes(bench: Bench) -> None:
    hourly = dg.HourlyPartitionsDefinition("2026-10-31-00:00", timezone="America/New_York")
    half = dt.timedelta(minutes=30)
    second_one = dt.datetime(2026, 11, 1, 6, 31, tzinfo=dt.UTC)  # 01:31, for the second time
    first = found(bench.instance, second_one - dt.timedelta(hours=1), hourly, half)
    second = found(bench.instance, second_one, hourly, half)
    assert first.expected != second.expected


def test_a_deadline_of_days_counts_windows_back_and_the_last_window_ends_the_expectation(
    bench: Bench,
) -> None:
    three_days = dt.timedelta(days=3)
    assert found(bench.instance, at("2026-01-10T00:00"), deadline=three_days).expected == "2026-01-06"
    assert found(bench.instance, at("2026-01-01T12:00")).description == "No partition is due yet."
    ended = daily(end_date="2026-01-05")
    assert found(bench.instance, at("2026-06-01T12:00"), ended).expected == "2026-01-04"
    offset = daily(end_offset=1)
    assert found(bench.instance, at("2026-01-10T07:00"), offset).expected == "2026-01-09"


def test_every_key_of_a_further_dimension_is_expected(bench: Bench) -> None:
    shops = dg.MultiPartitionsDefinition(
        {"day": daily(), "shop": dg.StaticPartitionsDefinition(["ankara", "bonn", "cork"])}
    )
    made(bench.instance, "2026-01-09|bonn")
    late = found(bench.instance, at("2026-01-10T07:00"), shops)
    assert "2 partitions of 2026-01-09 are not there: 2026-01-09|ankara and 2026-01-09|cork." in (
        late.description
    )
    assert late.metadata["missing_partitions"] == 2
    made(bench.instance, "2026-01-09|ankara", "2026-01-09|cork")
    assert found(bench.instance, at("2026-01-10T07:00"), shops).passed


def orders_asset(start: str) -> dg.AssetsDefinition:
    @table_asset(partitions_def=daily(start), partition_by="day", owners=["ann@example.com"])
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return pd.DataFrame({"day": pd.to_datetime(context.partition_keys).date, "n": 1})

    return orders


def test_the_check_runs_alone_and_with_its_table(bench: Bench) -> None:
    today = dt.datetime.now(NEW_YORK).date()
    orders = orders_asset(str(today - dt.timedelta(days=3)))
    [check] = build_partition_freshness_checks([orders], deadline=dt.timedelta(0))
    [spec] = check.check_specs
    assert spec.description == "The newest complete partition is there at its end."
    alone = bench.run([orders, check], select=dg.AssetSelection.checks(check))
    [result] = alone.get_asset_check_evaluations()
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    yesterday = str(today - dt.timedelta(days=1))
    together = bench.run([orders, check], partition=yesterday)
    [result] = together.get_asset_check_evaluations()
    assert result.passed, result.description
    assert result.metadata["expected_partition"].value == yesterday


def test_the_sensor_of_notifications_tells_of_late_partitions_without_a_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = orders_asset("2026-01-01")
    [check] = build_partition_freshness_checks(["orders"], deadline=SIX, severity=dg.AssetCheckSeverity.ERROR)
    made(bench.instance, "2026-01-08")
    times = [at("2026-01-10T05:00").timestamp()]
    monkeypatch.setattr(tick.time, "time", lambda: times[0])
    alerts = Alerts(bench.instance, orders, checks=[check], base_url="https://dagster.example.com")
    assert alerts.shelf.titles == []
    times[0] = at("2026-01-10T06:30").timestamp()
    assert alerts.tick() == ["orders [2026-01-09] is late"]
    assert alerts.shelf.last() == (
        "orders [2026-01-09] is late\n"
        "2026-01-09 is not there. It was due by 2026-01-10 06:00 EST, 30 minutes ago. "
        "The newest that is there is 2026-01-08.\n"
        "Owner: ann@example.com\n"
        "https://dagster.example.com/assets/orders"
    )
    assert alerts.tick() == []
    [recorded] = bench.instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(KEY, "partition_freshness"), limit=1
    )
    assert recorded.status.value == "FAILED"
    made(bench.instance, "2026-01-09")
    times[0] += 60
    assert alerts.tick() == ["orders is in time again"]
    assert bench.instance.get_runs_count() == 0


def test_a_table_that_is_not_partitioned_by_time_stops_no_other(bench: Bench) -> None:
    @dg.asset
    def plain() -> None: ...

    checks = build_partition_freshness_checks(["plain", "orders"], deadline=SIX)
    alerts = Alerts(bench.instance, plain, orders_asset("2026-01-01"), checks=checks)
    assert any("plain has no partitions by time" in line for line in alerts.log)
    assert alerts.shelf.titles[0].startswith("orders [")


def test_checks_that_could_find_nothing_are_refused() -> None:
    @dg.asset
    def plain() -> None: ...

    for arguments, said in (
        ({"assets": [plain], "deadline": SIX}, "plain has no partitions by time.*FreshnessPolicy"),
        ({"assets": ["a"], "deadline": "6h"}, "deadline of partition_freshness is '6h'"),
        ({"assets": ["a"], "deadline": -SIX}, "deadline of partition_freshness is"),
        ({"assets": "a", "deadline": SIX}, "Give it a list"),
        ({"assets": ["a", "a"], "deadline": SIX}, "given a twice"),
        ({"assets": ["a"], "deadline": SIX, "severity": "BAD"}, "severity of partition_freshness is 'BAD'"),
    ):
        with pytest.raises(DeclarationError, match=said):
            build_partition_freshness_checks(**arguments)  # type: ignore[arg-type] # what is refused
