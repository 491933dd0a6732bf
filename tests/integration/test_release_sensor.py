"""A sensor of releases: a run for each release, whoever publishes it, and none twice."""

from typing import Any

import dagster as dg
import pandas as pd
import pytest

from practicus_assets import (
    DeclarationError,
    Release,
    build_release_asset,
    build_release_sensor,
    table_asset,
)
from practicus_assets.lake.upkeep.releases import publish
from tests.integration.bench import Bench
from tests.integration.ticks import LakeTicks

DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-04")


@table_asset
def orders() -> pd.DataFrame:
    return pd.DataFrame({"n": [1]})


@dg.asset
def report(context: dg.AssetExecutionContext) -> None:
    """Reads a release, as the run's tag names it."""


class Sensor(LakeTicks):
    """A sensor of releases."""

    def __init__(self, bench: Bench, target: Any = "report", **options: Any) -> None:
        super().__init__(bench)
        self.target, self.options = target, options

    def tick(self, *, crash: bool = False) -> list[tuple[str | None, str]]:
        """Return the run keys that a tick requests, with the releases; one that crashes keeps no cursor."""
        sensor = build_release_sensor(dg.AssetSelection.assets(self.target), **self.options)
        daily = dg.asset(name="daily", partitions_def=DAYS)(lambda: None)
        data = self.evaluate(sensor, [orders, report, daily], crash=crash)
        return [(request.run_key, request.tags["practicus/release"]) for request in data.run_requests or []]


def test_each_release_requests_a_run_once_and_those_from_before_none(bench: Bench) -> None:
    sensor = Sensor(bench)
    bench.run([orders])
    publish(bench.root, "before", {"orders": 0})
    assert sensor.tick() == []
    assert sensor.message == "1 release there already: those to come request runs."
    assert sensor.tick() == []
    assert sensor.message == "No release since number 1."
    publish(bench.root, "by hand", {"orders": 0})
    bench.run([orders, build_release_asset("nightly", [orders])], select=["nightly"])
    newest = Release.open(bench.root)
    requested = [("2|by hand", "by hand"), (f"3|{newest.name}", newest.name)]
    assert sensor.tick(crash=True) == requested
    assert sensor.tick() == requested  # with the same run keys, of which the daemon makes one run each
    assert sensor.tick() == []


def test_a_lake_without_releases_requests_a_run_for_its_first_one(bench: Bench) -> None:
    sensor = Sensor(bench)
    assert sensor.tick() == []
    bench.run([orders])
    publish(bench.root, "first", {"orders": 0})
    assert sensor.tick() == [("1|first", "first")]


def test_a_tick_requests_no_more_runs_than_it_may_and_the_next_goes_on(bench: Bench) -> None:
    sensor = Sensor(bench, max_runs=2)
    sensor.tick()
    bench.run([orders])
    for name in ("a", "b", "c"):
        publish(bench.root, name, {"orders": 0})
    assert [[name for _, name in sensor.tick()] for _ in range(3)] == [["a", "b"], ["c"], []]


def test_a_sensor_of_releases_whose_runs_would_need_a_partition_says_so(bench: Bench) -> None:
    with pytest.raises(DeclarationError, match="runs of partitions, and a release has none"):
        Sensor(bench, target="daily").tick()
    with pytest.raises(DeclarationError, match="max_runs=0"):
        build_release_sensor("report", max_runs=0)
