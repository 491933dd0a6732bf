"""The sensor of foreign commits: what delta-rs alone commits to tables of a lake, told to Dagster once."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from practicus_assets import (
    DeclarationError,
    StoreFailed,
    build_foreign_commits_sensor,
    table_asset,
    when_inputs_ready,
)
from tests.integration.bench import Bench
from tests.integration.ticks import LakeTicks

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-05")
KEYS = DAYS.get_partition_keys()
FIRST, SECOND, *_ = KEYS
SINGLE = dg.BackfillPolicy.single_run()


@table_asset(partitions_def=DAYS, partition_by="day", backfill_policy=SINGLE)
def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
    return rows(*context.partition_keys)


@table_asset(
    partitions_def=DAYS,
    partition_by="day",
    backfill_policy=SINGLE,
    automation_condition=when_inputs_ready(all_partitions=True),
)
def sums(orders: pd.DataFrame) -> pd.DataFrame:
    return orders


@table_asset
def rates() -> pd.DataFrame:
    return pd.DataFrame({"rate": [1.0]})


def rows(*days: str, n: int = 1) -> pd.DataFrame:
    return pd.DataFrame({"day": days, "n": [n] * len(days)})


class Sensor(LakeTicks):
    """The sensor of foreign commits, and the condition that reads what it reports."""

    def __init__(self, bench: Bench, tables: Sequence[Any] = (orders, rates), **options: Any) -> None:
        super().__init__(bench)
        self.tables, self.options = tables, options
        self.conditions: Any = None

    def tick(self, *, crash: bool = False) -> dict[str, str]:
        """Return the data versions that a tick reports, by partition; one that crashes keeps no cursor."""
        sensor = build_foreign_commits_sensor(list(self.tables), **self.options)
        data = self.evaluate(sensor, [orders, sums, rates], crash=crash)
        events = [event for event in data.asset_events if isinstance(event, dg.AssetMaterialization)]
        assert len(events) == len(data.asset_events)
        for event in events:
            self.bench.instance.report_runless_asset_event(event)
        return {
            event.partition or event.asset_key.path[-1]: (event.tags or {})["dagster/data_version"]
            for event in events
        }

    def requested(self) -> set[str | None]:
        """Return the days of `sums` that its condition requests."""
        defs = dg.Definitions(assets=[orders, sums])
        result = dg.evaluate_automation_conditions(defs, self.bench.instance, cursor=self.conditions)
        self.conditions = result.cursor
        return set(result.get_requested_partitions(dg.AssetKey("sums")))


def replace(bench: Bench, *days: str, n: int = 2) -> None:
    """Write days of `orders` as another writer."""
    listed = ", ".join(f"'{day}'" for day in days)
    bench.write("orders", rows(*days, n=n), mode="overwrite", predicate=f"day IN ({listed})")


@pytest.fixture
def sensor(bench: Bench) -> Sensor:
    """A sensor that has begun, of tables that a run has made."""
    bench.run([orders, sums], between=(FIRST, KEYS[-1]))
    bench.run([rates])
    begun = Sensor(bench)
    assert begun.tick() == {}
    assert begun.message == "Others wrote nothing to 2 tables."
    assert begun.requested() == set()
    return begun


def test_a_partition_that_another_writer_changed_is_reported_once_and_requests_what_is_below(
    bench: Bench, sensor: Sensor
) -> None:
    before = bench.data_version("orders", SECOND)
    replace(bench, SECOND)
    told = sensor.tick(crash=True)  # what it reported is recorded, and its cursor is lost
    assert list(told) == [SECOND]
    assert told[SECOND] != before
    assert sensor.requested() == {SECOND}
    assert [sensor.tick(), sensor.tick()] == [{}, {}]
    assert sensor.requested() == set()
    assert bench.metadata("orders", SECOND)["delta/version"] == bench.version("orders")
    bench.write("rates", pd.DataFrame({"rate": [2.0]}), mode="append")
    assert list(sensor.tick()) == ["rates"]
    assert sensor.message == "Others wrote rates."


def test_what_runs_commit_and_rows_that_are_equal_request_nothing(bench: Bench, sensor: Sensor) -> None:
    bench.run([rates, orders], select=["orders"], between=(FIRST, KEYS[-1]))
    bench.table("rates").optimize.compact()
    assert sensor.tick() == {}
    before = bench.data_version("orders", FIRST)
    replace(bench, FIRST, n=1)  # the rows that it has
    assert sensor.tick() == {FIRST: before}
    assert sensor.requested() == set()
    replace(bench, FIRST, SECOND)
    bench.run([orders], partition=FIRST)  # and a run is newer there
    assert list(sensor.tick()) == [SECOND]


def test_a_tick_reports_no_more_than_it_may_and_the_next_goes_on_after_a_restart(
    bench: Bench, sensor: Sensor
) -> None:
    sensor.options = {"max_partitions": 3, "max_rows": 3}
    replace(bench, *KEYS)
    assert list(sensor.tick()) == KEYS[:3]
    replace(bench, FIRST, n=3)
    assert list(sensor.tick()) == [FIRST, KEYS[3]]
    assert sensor.tick() == {}
    bench.write("orders", rows(*[SECOND] * 4), mode="overwrite", predicate=f"day = '{SECOND}'")
    assert sensor.tick() == {}
    assert sensor.message == (
        "Others wrote nothing to 2 tables. orders: others wrote more rows in 2024-01-02 than a tick reads: "
        "report them by `practicus-assets verify --repair`."
    )


def test_a_table_that_others_made_or_made_again_and_a_log_that_was_cut_are_reported(
    bench: Bench, sensor: Sensor
) -> None:
    sensor.options = {"max_partitions": 3}
    shutil.rmtree(Path(bench.root, "orders"))
    assert sensor.tick() == {}
    bench.write("orders", rows(*KEYS, n=5), partition_by=["day"])
    assert [list(sensor.tick()), list(sensor.tick()), sensor.tick()] == [KEYS[:3], KEYS[3:], {}]
    replace(bench, SECOND, n=6)
    replace(bench, FIRST, n=7)
    bench.table("orders").create_checkpoint()
    for entry in ("0", "1"):
        Path(bench.root, "orders", "_delta_log", f"{entry:0>20}.json").unlink()
    versions = {key: bench.data_version("orders", key) for key in KEYS}
    sensor.options = {}
    told = sensor.tick()  # nobody knows any more who changed which, so that all are compared
    assert {key for key in KEYS if told[key] != versions[key]} == {FIRST, SECOND}
    assert sensor.tick() == {}


def test_a_table_that_cannot_be_read_does_not_stop_the_others(bench: Bench, sensor: Sensor) -> None:
    replace(bench, SECOND)
    log = Path(bench.root, "rates", "_delta_log", f"{0:020}.json")
    log.write_text("no log", encoding="utf-8")
    assert list(sensor.tick()) == [SECOND]
    assert sensor.message is not None
    assert sensor.message.startswith("Others wrote orders in 1 partition. rates was not looked at: ")
    sensor.tables = (rates,)
    with pytest.raises(StoreFailed, match="no table was looked at: rates was not"):
        sensor.tick()


def test_a_sensor_without_tables_or_with_nothing_to_report_is_refused() -> None:
    with pytest.raises(DeclarationError, match="is given"):
        build_foreign_commits_sensor([])
    with pytest.raises(DeclarationError, match="max_partitions=0"):
        build_foreign_commits_sensor([orders], max_partitions=0)
