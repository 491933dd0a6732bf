"""The shipped pipeline's own schedule, sensor and condition, on what an instance has recorded."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from pipelines import defs
from practicus_assets.external.changes.observation import observation

DAY = "2013-07-04"


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as fresh:
        yield fresh


class Conditions:
    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance, self.cursor = instance, None

    def made(self, table: str, version: str, day: str = DAY) -> None:
        event = dg.AssetMaterialization(table, partition=day, tags={"dagster/data_version": version})
        self.instance.report_runless_asset_event(event)

    def observed(self, table: str, version: str) -> None:
        self.instance.report_runless_asset_event(observation(dg.AssetKey(table), version))

    def tick(self) -> set[str | None]:
        """Return the days of final_table that are requested."""
        result = dg.evaluate_automation_conditions(defs, self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        return set(result.get_requested_partitions(dg.AssetKey("final_table")))


def test_final_table_is_requested_once_all_that_it_reads_is_there(instance: dg.DagsterInstance) -> None:
    conditions = Conditions(instance)
    requested = [conditions.tick()]
    for table in ("table1_new", "table2_new"):
        conditions.made(table, "1")
        requested.append(conditions.tick())
    for table in ("table3", "table4"):
        conditions.observed(table, "1")
        requested.append(conditions.tick())
    assert requested == [set(), set(), set(), set(), {DAY}]
    assert conditions.tick() == set()


def test_a_sensor_that_is_switched_on_later_requests_none_of_what_is_there(
    instance: dg.DagsterInstance,
) -> None:
    conditions = Conditions(instance)
    for table in ("table1_new", "table2_new", "final_table"):
        conditions.made(table, "1")
    requested = [conditions.tick()]
    for version in ("1", "1", "2"):
        conditions.observed("table3", version)
        conditions.observed("table4", "1")
        requested.append(conditions.tick())
    assert requested == [set(), set(), set(), {DAY}]


def test_the_daily_schedule_asks_for_the_last_week_in_one_run(instance: dg.DagsterInstance) -> None:
    repository = defs.get_repository_def()
    schedule = repository.get_schedule_def("daily")
    context = dg.build_schedule_context(
        instance,
        scheduled_execution_time=dt.datetime(2014, 1, 1, 0, 0, tzinfo=dt.UTC) + dt.timedelta(hours=5),
        repository_def=repository,
    )
    context._instance = instance
    [request] = schedule.evaluate_tick(context).run_requests or []
    assert request.run_key == "2013-12-25...2013-12-31|1"
    job = repository.get_job(schedule.job_name)
    assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == {
        "table1_new",
        "table2_new",
    }
