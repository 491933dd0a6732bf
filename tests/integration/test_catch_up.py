"""Schedules that catch up: what a tick asks for, by what the instance has recorded."""

import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd
import pytest
from dagster._core.execution.backfill import PartitionBackfill
from deltalake import DeltaTable

from practicus_assets import DeltaIOManager, build_catch_up_schedule, table_asset
from practicus_assets.automation import own_runs
from practicus_assets.errors import DeclarationError

ZONE = "America/New_York"
DAYS = dg.DailyPartitionsDefinition("2024-03-01", timezone=ZONE)
DAILY: dict[str, Any] = {"partitions_def": DAYS, "partition_by": "day"}
_SCHEDULE, _TICK = "dagster/schedule_name", ".dagster/scheduled_execution_time"


@pytest.fixture(scope="module")
def persistent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("instance"))) as shared:
        yield shared


class Calendar:
    """A schedule that ticks at moments of our choice, and runs that end as we say."""

    def __init__(
        self, instance: dg.DagsterInstance, root: str, assets: Sequence[Any], **options: Any
    ) -> None:
        instance.wipe()
        self.instance, self.root, self.message = instance, root, ""
        self.zone = ZoneInfo(options.pop("zone", ZONE))
        self.schedule = build_catch_up_schedule(list(assets), name="daily", **options)
        definitions = dg.Definitions(
            assets=assets,
            schedules=[self.schedule],
            resources={"io_manager": DeltaIOManager(root_uri=root)},
        )
        self.repository = definitions.get_repository_def()
        self.job = self.repository.get_job(self.schedule.job_name)
        self.now = dt.datetime(2024, 1, 1, tzinfo=self.zone)

    def tick(self, now: str) -> list[dg.RunRequest]:
        """Return what a tick at a local time asks for; one hour has a `fold`, written as a star after it."""
        self.now = dt.datetime.fromisoformat(now.rstrip("*")).replace(tzinfo=self.zone, fold="*" in now)
        context = dg.build_schedule_context(
            self.instance, scheduled_execution_time=self.now, repository_def=self.repository
        )
        context._instance = self.instance  # else it opens one of its own for each tick
        data = self.schedule.evaluate_tick(context)
        self.message = data.skip_message or ""
        return list(data.run_requests or [])

    def asked(self, now: str) -> list[str]:
        """Return the run keys of what a tick asks for."""
        return [str(request.run_key) for request in self.tick(now)]

    def tags(self, request: dg.RunRequest) -> dict[str, str]:
        """Return the tags that the daemon gives a run that was asked for at this tick."""
        tick = self.now.astimezone(dt.UTC).isoformat()
        key = str(request.run_key)
        return {**request.tags, "dagster/run_key": key, _SCHEDULE: "daily", _TICK: tick}

    def run(self, *requests: dg.RunRequest) -> None:
        """Run what was asked for."""
        for request in requests:
            self.job.execute_in_process(
                instance=self.instance,
                tags=self.tags(request),
                asset_selection=request.asset_selection,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                raise_on_error=False,
            )

    def record(self, request: dg.RunRequest, status: dg.DagsterRunStatus) -> dg.DagsterRun:
        """Record a run that was asked for, in some status, without running it."""
        return self.instance.create_run_for_job(self.job, tags=self.tags(request), status=status)

    def commits(self, name: str) -> dict[str, int]:
        """Return how many commits of a table replaced each day; each replaced one or several."""
        counts: dict[str, int] = {}
        handle = DeltaTable(f"{self.root}/{name}")
        for version in range(handle.version() + 1):
            for file in (Path(self.root, name, "_delta_log", f"{version:020}.json")).read_text().splitlines():
                if '"add":' in file:
                    day = file.split("day=")[1][:10]
                    counts[day] = counts.get(day, 0) + 1
        return counts


def table(name: str = "orders", **options: Any) -> dg.AssetsDefinition:
    @table_asset(name=name, **{**DAILY, **options})
    def daily(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return pd.DataFrame({"day": pd.to_datetime(context.partition_keys), "n": 1})

    return daily


def plain(name: str = "orders", partitions_def: Any = DAYS, **options: Any) -> dg.AssetsDefinition:
    @dg.asset(name=name, partitions_def=partitions_def, **options)
    def nothing() -> None: ...

    return nothing


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path / "lake")


# --- Each partition once ------------------------------------------------------------------------------------


def test_three_missed_days_are_made_once_by_the_next_tick(persistent: dg.DagsterInstance, root: str) -> None:
    calendar = Calendar(persistent, root, [table()])
    first = calendar.tick("2024-03-03 00:00")
    assert [request.run_key for request in first] == ["2024-03-01|1", "2024-03-02|1"]
    calendar.run(*first)
    later = calendar.tick("2024-03-06 00:00")  # nothing ticked on the 4th and 5th
    assert [request.partition_key for request in later] == ["2024-03-03", "2024-03-04", "2024-03-05"]
    calendar.run(*later)
    for again in ("2024-03-06 00:00", "2024-03-06 00:01", "2024-03-06 23:59"):  # repeated, late, other cron
        assert calendar.asked(again) == []
    assert calendar.message == "Nothing to ask for in the last 7 windows."
    assert calendar.commits("orders") == {f"2024-03-0{day}": 1 for day in range(1, 6)}


@pytest.mark.parametrize(
    ("partitions_def", "ticks", "days"),
    [
        pytest.param(DAYS, ["2024-03-10 00:00", "2024-03-10 03:00", "2024-03-11 00:00"], 10, id="spring"),
        pytest.param(
            dg.DailyPartitionsDefinition("2024-10-30", timezone=ZONE),
            ["2024-11-03 00:00", "2024-11-03 01:30", "2024-11-03 01:30*", "2024-11-04 00:00"],
            5,
            id="autumn",
        ),
    ],
)
def test_the_days_of_both_nights_that_clocks_change_are_made_once(
    persistent: dg.DagsterInstance, root: str, partitions_def: Any, ticks: list[str], days: int
) -> None:
    calendar = Calendar(persistent, root, [table(partitions_def=partitions_def)], look_back=10)
    for now in ticks:
        calendar.run(*calendar.tick(now))
    commits = calendar.commits("orders")
    assert (len(commits), set(commits.values())) == (days, {1})


@pytest.mark.parametrize(
    ("start", "ticks", "keys"),
    [
        ("2024-03-10-00:00", ["2024-03-10 01:00", "2024-03-10 03:00", "2024-03-10 04:00"], "00 01 03"),
        (
            "2024-11-03-00:00",
            ["2024-11-03 01:00", "2024-11-03 01:00*", "2024-11-03 02:00", "2024-11-03 03:00"],
            "00 01 01 02",
        ),
    ],
    ids=["spring", "autumn"],
)
def test_the_hours_of_both_nights_are_asked_for_once_and_the_one_that_comes_twice_twice(
    persistent: dg.DagsterInstance, root: str, start: str, ticks: list[str], keys: str
) -> None:
    hours = dg.HourlyPartitionsDefinition(start, timezone=ZONE)
    calendar, made = Calendar(persistent, root, [plain(partitions_def=hours)]), []
    for now in [*ticks, *ticks]:
        for request in calendar.tick(now):
            made.append(request.partition_key)
            persistent.report_runless_asset_event(dg.AssetMaterialization("orders", partition=made[-1]))
    assert len(made) == len(set(made))
    assert " ".join(str(key)[11:13] for key in made) == keys


def test_a_window_that_has_not_ended_in_the_zone_of_the_partitions_is_not_asked_for(
    persistent: dg.DagsterInstance, root: str
) -> None:
    ahead = dg.DailyPartitionsDefinition("2024-03-01", timezone=ZONE, end_offset=3)
    calendar = Calendar(persistent, root, [plain(partitions_def=ahead)])
    assert (calendar.schedule.cron_schedule, calendar.schedule.execution_timezone) == ("0 0 * * *", ZONE)
    assert calendar.asked("2024-03-02 23:59") == ["2024-03-01|1"]
    behind = dg.DailyPartitionsDefinition("2024-03-01", timezone=ZONE, end_offset=-1)
    calendar = Calendar(persistent, root, [plain(partitions_def=behind)])
    assert calendar.asked("2024-03-03 00:00") == ["2024-03-01|1"]


def test_no_more_windows_than_the_look_back_and_no_more_runs_than_a_tick_may_have(
    persistent: dg.DagsterInstance, root: str
) -> None:
    calendar = Calendar(persistent, root, [plain()], look_back=5, max_runs=3)
    first = calendar.tick("2024-03-31 00:00")
    assert [request.partition_key for request in first] == ["2024-03-26", "2024-03-27", "2024-03-28"]
    for request in first:
        calendar.record(request, dg.DagsterRunStatus.STARTING)
    assert calendar.asked("2024-03-31 00:00") == ["2024-03-29|1", "2024-03-30|1"]


@pytest.mark.filterwarnings("ignore:Non-compliant tag keys:DeprecationWarning")  # Dagster adds them
def test_partitions_with_further_dimensions_are_asked_for_with_each_of_their_values(
    persistent: dg.DagsterInstance, root: str
) -> None:
    both = dg.MultiPartitionsDefinition({"shop": dg.StaticPartitionsDefinition(["a", "b"]), "day": DAYS})
    single = dg.BackfillPolicy.single_run()
    options: dict[str, Any] = {"partitions_def": both, "partition_by": {"day": "day", "shop": "shop"}}

    @table_asset(backfill_policy=single, **options)
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        keys = [key.keys_by_dimension for key in context.partition_keys]  # type: ignore[attr-defined] # Dagster's
        days = pd.to_datetime([key["day"] for key in keys])
        return pd.DataFrame({"day": days, "shop": [key["shop"] for key in keys], "n": 1})

    calendar = Calendar(persistent, root, [orders])
    persistent.report_runless_asset_event(dg.AssetMaterialization("orders", partition="2024-03-02|b"))
    requests = calendar.tick("2024-03-04 00:00")
    assert sorted(str(request.run_key) for request in requests) == [
        "2024-03-01|a...2024-03-03|a|1",
        "2024-03-01|b|1",
        "2024-03-03|b|1",
    ]
    calendar.run(*requests)
    assert calendar.asked("2024-03-04 00:00") == []
    assert calendar.commits("orders") == {"2024-03-01": 2, "2024-03-02": 1, "2024-03-03": 2}


# --- Runs that are still going, that failed, or that were lost ----------------------------------------------


@pytest.mark.parametrize("status", ["STARTING", "STARTED", "CANCELING"])
def test_a_partition_that_a_run_is_to_make_is_not_asked_for(
    persistent: dg.DagsterInstance, root: str, status: str
) -> None:
    calendar = Calendar(persistent, root, [plain()])
    [request] = calendar.tick("2024-03-02 00:00")
    calendar.record(request, dg.DagsterRunStatus[status])
    assert calendar.asked("2024-03-03 00:00") == ["2024-03-02|1"]
    assert calendar.asked("2024-03-02 06:00") == []
    assert calendar.message == (
        "Nothing to ask for in the last 7 windows. 1 partition in progress: 2024-03-01."
    )


@pytest.mark.filterwarnings("ignore:Function `AssetSelection.sources`:DeprecationWarning")  # Dagster's own
def test_a_partition_that_a_backfill_is_to_make_is_not_asked_for(
    persistent: dg.DagsterInstance, root: str
) -> None:
    calendar = Calendar(persistent, root, [plain()])
    persistent.add_backfill(
        PartitionBackfill.from_asset_partitions(
            backfill_id="of-a-person",
            asset_graph=calendar.repository.asset_graph,
            partition_names=["2024-03-01"],
            asset_selection=[dg.AssetKey("orders")],
            backfill_timestamp=dt.datetime.now(dt.UTC).timestamp(),
            tags={},
            dynamic_partitions_store=persistent,
            all_partitions=False,
            title=None,
            description=None,
            run_config=None,
        )
    )
    assert calendar.asked("2024-03-03 00:00") == ["2024-03-02|1"]


def test_a_partition_that_failed_is_asked_for_again_by_the_next_ticks_so_many_times(
    persistent: dg.DagsterInstance, root: str
) -> None:
    @table_asset(**DAILY)
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        if context.partition_key == "2024-03-02":
            raise OSError("broken")
        return pd.DataFrame({"day": pd.to_datetime([context.partition_key]), "n": 1})

    calendar = Calendar(persistent, root, [orders], max_attempts=2)
    asked = []
    for hour in range(3):
        requests = calendar.tick(f"2024-03-04 0{hour}:00")
        asked.append([request.run_key for request in requests])
        calendar.run(*requests)
    assert asked == [["2024-03-01|1", "2024-03-02|1", "2024-03-03|1"], ["2024-03-02|2"], []]
    assert "Not asked for again after 2 attempts: 2024-03-02." in calendar.message
    assert calendar.asked("2024-03-05 00:00") == ["2024-03-04|1"]


def test_partitions_that_were_never_tried_come_before_those_that_failed(
    persistent: dg.DagsterInstance, root: str
) -> None:
    calendar = Calendar(persistent, root, [plain()], max_runs=2)
    for request in calendar.tick("2024-03-03 00:00"):
        calendar.record(request, dg.DagsterRunStatus.FAILURE)
    assert calendar.asked("2024-03-04 00:00") == ["2024-03-03|1", "2024-03-01|2"]


def test_a_run_that_dagster_is_about_to_retry_is_waited_for(
    persistent: dg.DagsterInstance, root: str
) -> None:
    calendar = Calendar(persistent, root, [plain()])
    [request] = calendar.tick("2024-03-02 00:00")
    run = calendar.record(request, dg.DagsterRunStatus.FAILURE)
    persistent.add_run_tags(run.run_id, {"dagster/will_retry": "true"})
    assert calendar.asked("2024-03-02 01:00") == []
    persistent.add_run_tags(run.run_id, {"dagster/auto_retry_run_id": "another"})
    assert calendar.asked("2024-03-02 01:00") == ["2024-03-01|2"]


def test_a_run_that_the_killed_daemon_made_and_did_not_launch_is_launched_by_the_same_tick(
    persistent: dg.DagsterInstance, root: str
) -> None:
    calendar = Calendar(persistent, root, [plain()])
    first, second = calendar.tick("2024-03-03 00:00")
    calendar.record(first, dg.DagsterRunStatus.STARTING)
    calendar.record(second, dg.DagsterRunStatus.NOT_STARTED)
    assert calendar.asked("2024-03-03 00:00") == [second.run_key]  # by which the daemon finds that run


def test_a_run_of_which_the_killed_daemon_recorded_no_partition_has_all_that_its_tags_name(
    persistent: dg.DagsterInstance, root: str
) -> None:
    calendar = Calendar(persistent, root, [plain(backfill_policy=dg.BackfillPolicy.single_run())])
    [request] = calendar.tick("2024-03-04 00:00")
    persistent.run_storage.add_run(dg.DagsterRun("daily_job", tags=calendar.tags(request)))
    assert calendar.asked("2024-03-04 00:00") == [request.run_key]
    assert calendar.asked("2024-03-05 00:00") == ["2024-03-04|1"]


def test_a_run_that_was_never_launched_is_canceled_by_a_later_tick_and_asked_for_again(
    persistent: dg.DagsterInstance, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calendar = Calendar(persistent, root, [plain()])
    [request] = calendar.tick("2024-03-02 00:00")
    lost = calendar.record(request, dg.DagsterRunStatus.NOT_STARTED)
    assert calendar.asked("2024-03-02 01:00") == []  # it may be launched in this moment
    monkeypatch.setattr(own_runs, "_LOST_AFTER", dt.timedelta(0))
    assert calendar.asked("2024-03-02 02:00") == ["2024-03-01|2"]
    run = persistent.get_run_by_id(lost.run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.CANCELED


# --- Several tables, several partitions in one run ----------------------------------------------------------


def test_only_the_tables_that_lack_a_partition_are_made(persistent: dg.DagsterInstance, root: str) -> None:
    broken = [True]
    orders = table()

    @table_asset(**DAILY)
    def revenue(orders: pd.DataFrame) -> pd.DataFrame:
        if broken[0]:
            raise OSError("broken")
        return orders

    calendar = Calendar(persistent, root, [orders, revenue])
    calendar.run(*calendar.tick("2024-03-02 00:00"))
    broken[0] = False
    [request] = calendar.tick("2024-03-02 01:00")
    assert request.asset_selection == [dg.AssetKey("revenue")]
    calendar.run(request)
    assert calendar.asked("2024-03-02 02:00") == []
    assert calendar.commits("orders") == calendar.commits("revenue") == {"2024-03-01": 1}


def test_one_run_makes_partitions_that_follow_each_other_and_each_has_its_own_after_a_failure(
    persistent: dg.DagsterInstance, root: str
) -> None:
    @table_asset(backfill_policy=dg.BackfillPolicy.single_run(), **DAILY)
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        if "2024-03-05" in context.partition_keys:
            raise OSError("broken")
        return pd.DataFrame({"day": pd.to_datetime(context.partition_keys), "n": 1})

    calendar = Calendar(persistent, root, [orders])
    persistent.report_runless_asset_event(dg.AssetMaterialization("orders", partition="2024-03-03"))
    first = calendar.tick("2024-03-07 00:00")
    assert [r.run_key for r in first] == ["2024-03-01...2024-03-02|1", "2024-03-04...2024-03-06|1"]
    calendar.run(*first)
    second = calendar.tick("2024-03-07 01:00")
    assert [r.run_key for r in second] == ["2024-03-04|2", "2024-03-05|2", "2024-03-06|2"]
    calendar.run(*second)
    assert calendar.asked("2024-03-07 02:00") == ["2024-03-05|3"]
    assert calendar.commits("orders") == {f"2024-03-0{day}": 1 for day in (1, 2, 4, 6)}


def test_a_range_that_is_in_progress_is_not_asked_for(persistent: dg.DagsterInstance, root: str) -> None:
    single = dg.BackfillPolicy.single_run()
    calendar = Calendar(persistent, root, [plain(backfill_policy=single)])
    [request] = calendar.tick("2024-03-04 00:00")
    calendar.record(request, dg.DagsterRunStatus.STARTED)
    assert calendar.asked("2024-03-05 00:00") == ["2024-03-04|1"]


def test_a_policy_of_several_runs_bounds_the_partitions_of_each(
    persistent: dg.DagsterInstance, root: str
) -> None:
    policy = dg.BackfillPolicy.multi_run(2)
    calendar = Calendar(persistent, root, [plain(backfill_policy=policy)], look_back=3)
    assert calendar.asked("2024-03-04 00:00") == ["2024-03-01...2024-03-02|1", "2024-03-03|1"]


def test_a_table_that_reads_its_own_last_partition_gets_them_in_order(
    persistent: dg.DagsterInstance, root: str
) -> None:
    @dg.asset(
        partitions_def=DAYS,
        ins={
            "stock": dg.AssetIn(
                partition_mapping=dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)
            )
        },
    )
    def stock(stock: Any) -> None: ...

    calendar, asked = Calendar(persistent, root, [stock], look_back=2), []
    for hour in range(3):
        for request in calendar.tick(f"2024-03-04 0{hour}:00"):
            asked.append(request.partition_key)
            persistent.report_runless_asset_event(dg.AssetMaterialization("stock", partition=asked[-1]))
    assert asked == ["2024-03-02", "2024-03-03"]


# --- What cannot be scheduled -------------------------------------------------------------------------------


def test_a_job_that_says_its_partitions_can_be_given(persistent: dg.DagsterInstance) -> None:
    persistent.wipe()
    orders = plain()
    schedule = build_catch_up_schedule(
        dg.define_asset_job("nightly", [orders]),
        partitions_def=DAYS,
        cron_schedule="30 6 * * *",
        tags={"team": "sales"},
    )
    assert (schedule.name, schedule.default_status) == ("nightly_catch_up", dg.DefaultScheduleStatus.STOPPED)
    repository = dg.Definitions(assets=[orders], schedules=[schedule]).get_repository_def()
    now = dt.datetime(2024, 3, 2, 6, 30, tzinfo=ZoneInfo(ZONE))
    context = dg.build_schedule_context(persistent, scheduled_execution_time=now, repository_def=repository)
    context._instance = persistent
    [request] = schedule.evaluate_tick(context).run_requests or ()
    assert (request.partition_key, request.tags["team"]) == ("2024-03-01", "sales")


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ([], {}, "Give it a job, or a list of tables"),
        ("orders", {}, "Give it a job, or a list of tables"),
        ([plain(partitions_def=None)], {}, "without partitions by time"),
        ([plain(partitions_def=dg.StaticPartitionsDefinition(["a"]))], {}, "without partitions by time"),
        ([plain(), plain("other", dg.DailyPartitionsDefinition("2020-01-01"))], {}, "2 partitions_defs"),
        (dg.define_asset_job("nightly", ["orders"]), {}, "partitions_def="),
        ([plain()], {"look_back": 0}, "look_back=0"),
        ([plain()], {"max_runs": -1}, "max_runs=-1"),
        ([plain()], {"max_attempts": 0}, "max_attempts=0"),
        ([plain()], {"lookback": 3}, "look_back"),
    ],
    ids=[
        "none",
        "text",
        "unpartitioned",
        "static",
        "several",
        "job",
        "look_back",
        "runs",
        "attempts",
        "name",
    ],
)
def test_what_cannot_be_scheduled_is_refused_with_what_to_do(
    target: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DeclarationError, match=message):
        build_catch_up_schedule(target, **options)
