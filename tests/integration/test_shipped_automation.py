"""The shipped pipeline's own schedule, sensor and condition, on what an instance has recorded."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from pipelines import defs
from practicus_assets.external.changes.observation import observation
from practicus_assets.instance.run_tags import PARTITION_TAG, partition_keys

DAY = "2013-07-04"
NEWEST = ("2013-12-29", "2013-12-30", "2013-12-31")


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


class Both:
    """The schedule `daily` and the sensor `source_changes`, both on, on the morning after the last day."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance, self.cursor = instance, None
        self.repository = defs.get_repository_def()
        self.job = self.repository.get_job(self.repository.get_schedule_def("daily").job_name)

    def daily(self) -> list[dg.RunRequest]:
        """Return what a tick of the schedule requests."""
        moment = dt.datetime(2014, 1, 1, 5, tzinfo=dt.UTC)
        context = dg.build_schedule_context(
            self.instance, scheduled_execution_time=moment, repository_def=self.repository
        )
        context._instance = self.instance
        return list(self.repository.get_schedule_def("daily").evaluate_tick(context).run_requests or [])

    def source_changes(self) -> list[dg.RunRequest]:
        """Return what a tick of the sensor requests, and record what it observes."""
        name = "source_changes"
        context = dg.build_sensor_context(
            self.instance, cursor=self.cursor, repository_def=self.repository, sensor_name=name
        )
        data = self.repository.get_sensor_def(name).evaluate_tick(context)
        for event in data.asset_events:
            self.instance.report_runless_asset_event(event)
        self.cursor = data.cursor
        return list(data.run_requests or [])

    def start(self, request: dg.RunRequest) -> set[str]:
        """Record a run that is about to begin, and return its days."""
        tags = {**request.tags, **({PARTITION_TAG: request.partition_key} if request.partition_key else {})}
        self.instance.create_run_for_job(self.job, tags=tags, status=dg.DagsterRunStatus.STARTING)
        assert self.job.partitions_def is not None
        return set(partition_keys(self.job.partitions_def, tags, self.instance))


def test_days_that_the_sensor_requested_are_not_asked_for_by_the_schedule(
    instance: dg.DagsterInstance,
) -> None:
    both = Both(instance)
    assert both.source_changes() == []  # what it observes is requested by the next tick
    requests = both.source_changes()
    days = [str(request.partition_key) for request in requests]
    assert len(set(days)) == len(days) == 13
    assert set(NEWEST) < set(days)
    for request in requests:
        if request.partition_key in NEWEST:
            both.start(request)
    [request] = both.daily()
    assert both.start(request) == {f"2013-12-{day}" for day in (25, 26, 27, 28)}
    assert both.daily() == []


def test_days_that_the_schedule_requested_are_requested_again_once_their_source_was_seen(
    instance: dg.DagsterInstance,
) -> None:
    both = Both(instance)
    [request] = both.daily()
    days = both.start(request)
    assert len(days) == 7
    both.source_changes()
    again = {str(request.partition_key) for request in both.source_changes()}
    assert again & days == set(NEWEST)  # nobody knows what the run that is about to begin will have read
    further = {str(request.partition_key) for request in both.source_changes()}
    assert not further & (days | again)
    assert both.daily() == []
