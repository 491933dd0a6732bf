"""Notifications of what stands still: tables late by their policy, sensors and schedules that do not work."""

import datetime as dt
import time
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.test_utils import instance_for_test
from dagster._utils.error import SerializableErrorInfo

from practicus_assets.notifications import outbox
from practicus_assets.notifications.ticks import tick
from tests.integration.alerts import Alerts


@pytest.fixture(scope="module")
def shared() -> Iterator[dg.DagsterInstance]:
    with instance_for_test(overrides={"run_retries": {"enabled": True, "max_retries": 1}}) as instance:
        yield instance


@pytest.fixture
def stored(shared: dg.DagsterInstance) -> dg.DagsterInstance:
    """Return an instance that keeps schedules in a database, as deployments do."""
    shared.wipe()
    shared.wipe_all_schedules()
    return shared


def change(instance: dg.DagsterInstance, before: FreshnessState, after: FreshnessState) -> None:
    instance._report_runless_asset_event(
        FreshnessStateChange(
            key=dg.AssetKey("orders"),
            previous_state=before,
            new_state=after,
            state_change_timestamp=time.time(),
        )
    )


def test_a_table_that_is_late_by_its_policy_is_told_and_when_it_no_longer_is(
    stored: dg.DagsterInstance,
) -> None:
    policy = dg.FreshnessPolicy.time_window(dt.timedelta(hours=2), dt.timedelta(hours=1))
    orders = dg.AssetSpec("orders", freshness_policy=policy, owners=["team:sales"])
    alerts = Alerts(stored, orders)
    change(stored, FreshnessState.PASS, FreshnessState.WARN)
    assert alerts.tick() == []
    change(stored, FreshnessState.WARN, FreshnessState.FAIL)
    assert alerts.tick() == ["orders is late"]
    assert "Owner: team:sales" in alerts.shelf.last()
    assert alerts.tick() == []
    change(stored, FreshnessState.FAIL, FreshnessState.PASS)
    assert alerts.tick() == ["orders is in time again"]


class Instigator:
    """A sensor or schedule of another code location, and its ticks."""

    def __init__(self, instance: dg.DagsterInstance, name: str, kind: InstigatorType) -> None:
        repository = RemoteRepositoryOrigin(
            GrpcServerCodeLocationOrigin(host="localhost", port=1, location_name="shop"), "__repository__"
        )
        self._instance, self._name, self._kind = instance, name, kind
        self._origin = RemoteInstigatorOrigin(repository, name)
        self.state = instance.add_instigator_state(
            InstigatorState(
                self._origin,
                kind,
                InstigatorStatus.RUNNING,
                SensorInstigatorData()
                if kind is InstigatorType.SENSOR
                else ScheduleInstigatorData("0 6 * * *", time.time()),
            )
        )

    def tick(self, status: TickStatus, in_a_row: int = 0, age: float = 0.0) -> None:
        error = SerializableErrorInfo("ValueError: no connection\n", [], "ValueError")
        self._instance.create_tick(
            TickData(
                instigator_origin_id=self._origin.get_id(),
                instigator_name=self._name,
                instigator_type=self._kind,
                status=status,
                timestamp=time.time() - age,
                selector_id=self.state.selector_id,
                run_ids=[],
                error=error if status is TickStatus.FAILURE else None,
                consecutive_failure_count=in_a_row,
            )
        )


def test_a_sensor_is_told_when_it_fails_twice_in_a_row_and_when_it_works_again(
    stored: dg.DagsterInstance,
) -> None:
    alerts = Alerts(stored, all_code_locations=True)
    sensor = Instigator(stored, "shop_changes", InstigatorType.SENSOR)
    sensor.tick(TickStatus.FAILURE, 1, age=3)
    assert alerts.tick() == []
    sensor.tick(TickStatus.FAILURE, 2, age=2)
    assert alerts.tick() == ["The sensor shop_changes fails"]
    assert "2 ticks failed in a row. ValueError: no connection" in alerts.shelf.last()
    sensor.tick(TickStatus.STARTED, age=1)  # says nothing yet
    assert alerts.tick() == []
    sensor.tick(TickStatus.SKIPPED)
    assert alerts.tick() == ["sensor shop_changes works again"]


def test_the_text_of_a_sensors_error_is_left_out_on_request(stored: dg.DagsterInstance) -> None:
    Instigator(stored, "shop_changes", InstigatorType.SENSOR).tick(TickStatus.FAILURE, 2)
    text = Alerts(stored, all_code_locations=True, error_text=False).shelf.last()
    assert "2 ticks failed in a row. ValueError" in text
    assert "no connection" not in text


def test_a_schedule_is_told_at_its_first_failure_and_a_tick_that_never_ends(
    stored: dg.DagsterInstance,
) -> None:
    alerts = Alerts(stored, all_code_locations=True)
    nightly = Instigator(stored, "nightly", InstigatorType.SCHEDULE)
    nightly.tick(TickStatus.FAILURE, 1, age=7200)
    assert alerts.tick() == ["The schedule nightly fails"]
    nightly.tick(TickStatus.SUCCESS, age=3700)
    assert alerts.tick() == ["schedule nightly works again"]
    nightly.tick(TickStatus.STARTED, age=3600)
    assert alerts.tick() == ["The schedule nightly is stuck"]
    assert "Its tick began 60 minutes ago and has not ended." in alerts.shelf.last()


def test_sensors_of_other_code_locations_are_left_to_their_own(stored: dg.DagsterInstance) -> None:
    sensor = Instigator(stored, "shop_changes", InstigatorType.SENSOR)
    sensor.tick(TickStatus.FAILURE, 5)
    assert Alerts(stored, all_code_locations=True).shelf.titles == ["The sensor shop_changes fails"]


def run(instance: dg.DagsterInstance, **options: object) -> dg.DagsterRun:
    made = dg.DagsterRun("nightly", status=dg.DagsterRunStatus.STARTED, **options)  # type: ignore[arg-type]
    return instance.add_run(made)


def test_a_run_that_is_retried_is_told_of_when_its_last_retry_failed(stored: dg.DagsterInstance) -> None:
    alerts = Alerts(stored)
    first = run(stored)
    stored.report_run_failed(first)
    found = stored.get_run_by_id(first.run_id)
    assert found is not None
    assert found.tags["dagster/will_retry"] == "true"
    assert alerts.tick() == []
    second = run(
        stored,
        parent_run_id=first.run_id,
        root_run_id=first.run_id,
        tags={"dagster/retry_number": "1", "dagster/root_run_id": first.run_id},
    )
    stored.add_run_tags(first.run_id, {"dagster/auto_retry_run_id": second.run_id})
    assert alerts.tick() == []
    stored.report_run_failed(second)
    assert alerts.tick() == ["job nightly failed"]
    assert "That was after 1 retry of the run." in alerts.shelf.last()
    assert alerts.tick() == []


def test_a_run_whose_retry_never_begins_is_told_of(
    stored: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts = Alerts(stored)
    given_up, forgotten = run(stored), run(stored)
    for failed in (given_up, forgotten):
        stored.report_run_failed(failed)
    assert alerts.tick() == []
    stored.add_run_tags(given_up.run_id, {"dagster/will_retry": "false"})
    assert alerts.tick() == ["job nightly failed"]
    later = time.time() + 601
    monkeypatch.setattr(tick.time, "time", lambda: later)
    assert alerts.tick() == ["job nightly failed"]
    assert "Dagster was to retry the run, and did not." in alerts.shelf.last()
    assert alerts.tick() == []


def test_an_event_that_is_stored_late_is_told_of_all_the_same(stored: dg.DagsterInstance) -> None:
    alerts = Alerts(stored)
    late = run(stored, tags={"dagster/max_retries": "0"})
    stored.report_run_failed(late)
    alerts.cursor = str(alerts.cursor).replace('"position":0', '"position":40')
    assert alerts.tick() == ["job nightly failed"]
    assert alerts.tick() == []


def test_the_limit_of_messages_holds_for_failures_that_differ(
    stored: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts = Alerts(stored, messages=3, window_minutes=10)
    for number in range(6):
        made = dg.DagsterRun(
            f"job_{number}", status=dg.DagsterRunStatus.STARTED, tags={"dagster/max_retries": "0"}
        )
        stored.report_run_failed(stored.add_run(made))
    assert alerts.tick() == ["6 failures"]
    assert alerts.shelf.last().splitlines()[1:3] == ["• job job_0 failed: run", "• job job_1 failed: run"]
    stored.report_run_failed(run(stored, tags={"dagster/max_retries": "0"}))
    assert alerts.tick() == []
    later = time.time() + 601
    monkeypatch.setattr(tick.time, "time", lambda: later)
    assert alerts.tick() == ["job nightly failed"]
    assert outbox._ALIKE == 3
