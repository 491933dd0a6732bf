"""A daemon process on PostgreSQL that was away, is killed, and finds another cron: each partition once."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    TickStatus,
)
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import PythonFileTarget
from deltalake import DeltaTable

from tests.faults.tally import ROUNDS
from tests.integration.scheduled import DAYS, ZONE
from tests.servers.postgresql import PostgreSQL

MANY = 365 if ROUNDS > 1 else 60  # runs of one tick, of which a daemon makes about two in a second
HANGS_S = 1800  # ends a daemon that hangs; a busy machine takes long
SPEAKS_S = 15  # between two lines of progress
pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.process]
FILE = str(Path(__file__).with_name("scheduled.py"))
ROOT = str(Path(__file__).parents[2])
SETTINGS = """
storage: {{postgres: {{postgres_url: "{url}"}}}}
run_coordinator:
  module: tests.integration.scheduled
  class: Deadly
  config:
    max_concurrent_runs: {{env: MOST_RUNS}}
    dequeue_interval_seconds: 1
    tag_concurrency_limits: [{{key: hold, limit: 0}}]
run_launcher: {{module: dagster._core.launcher.sync_in_memory_run_launcher, class: SyncInMemoryRunLauncher}}
schedules: {{use_threads: true, num_workers: 4, num_submit_workers: 4}}
sensors: {{use_threads: true, num_workers: 2}}
telemetry: {{enabled: false}}
"""


class Site:
    """An instance on PostgreSQL, its code location, and the daemon that we start and end."""

    def __init__(self, home: Path, server: PostgreSQL) -> None:
        self.server, self.database = server, f"daemon_{os.getpid()}"
        server.create_database(self.database)
        login = f"{server.user}:{server.password}@{server.host}:{server.port}"
        settings = SETTINGS.format(url=f"postgresql+psycopg2://{login}/{self.database}")
        (home / "dagster.yaml").write_text(settings, encoding="utf-8")
        self.home, self.lake = home, home / "lake"
        self.variables = {
            "DAGSTER_HOME": str(home),
            "PYTHONPATH": ROOT,
            "DAGSTER_EVENT_BATCH_SIZE": "100",
            "DAGSTER_DAEMON_HEARTBEAT_TOLERANCE": "1000000000",  # the clock makes leaps
            "LAKE": str(self.lake),
            "MOST_RUNS": "2",
            "CRON": "0 0 * * *",
            "CONDITIONS": "STOPPED",
            "MANY": str(MANY),
            "CLOCK": str(home / "clock"),
        }
        self.most_connections = 0
        self.deadline = 0.0  # of the daemon that runs

    def set_clock(self, local: str) -> None:
        """Let it be some time in New York for the daemon, until it is set again.

        It is short of a full minute, for which the scheduler then waits half a second, at each of its loops.
        """
        moment = datetime.fromisoformat(local.rstrip("*")).replace(tzinfo=ZoneInfo(ZONE), fold="*" in local)
        written = self.home / "clock.next"
        written.write_text(str(moment.timestamp() + 59.5), encoding="utf-8")
        written.replace(self.home / "clock")

    @contextmanager
    def daemon(self, **variables: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Run a daemon for the block, with its code server and the runs that it launches."""
        self.variables |= variables
        program = [sys.executable, "-W", "ignore", "-m", "dagster._daemon", "run", "-f", FILE, "-d", ROOT]
        environment = {**os.environ, **self.variables}
        self.deadline = time.monotonic() + HANGS_S
        with (self.home / "daemon.log").open("ab") as log:
            process = subprocess.Popen(
                program, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def wait(self, done: Callable[[], object], process: "subprocess.Popen[bytes]") -> None:
        """Wait until something is true, or the daemon has ended or hangs; say now and then how far it is."""
        spoken = time.monotonic()
        while not done():
            if time.monotonic() - spoken > SPEAKS_S:
                spoken = time.monotonic()
                self.say(f"the daemon has {self.deadline - spoken:.0f} s left")
            log = (self.home / "daemon.log").read_text(encoding="utf-8", errors="replace")
            assert process.poll() is None, f"the daemon ended: {log[-3000:]}"
            assert time.monotonic() < self.deadline, log[-3000:]
            time.sleep(0.2)

    def say(self, what: str) -> None:
        """Print a line of progress, so that a daemon that no longer comes on is seen."""
        query = "SELECT status, count(*) FROM runs GROUP BY 1 ORDER BY 1"
        counts = self.server.execute(query, database=self.database)
        runs = ", ".join(f"{count} {status}" for status, count in counts) or "none"
        print(f"{time.strftime('%H:%M:%S')} {what}; runs: {runs}", flush=True)

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count the connections that are open during the block, all few milliseconds."""
        ended = threading.Event()
        query = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{self.database}'"

        def count() -> None:
            while not ended.wait(0.05):
                [(number,)] = self.server.execute(query)
                self.most_connections = max(self.most_connections, number)

        thread = threading.Thread(target=count)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def commits(self, name: str, column: str = "day", length: int = 10) -> Counter[str]:
        """Return how many commits of a table there are for each partition, as its log has them."""
        found: Counter[str] = Counter()
        for version in range(DeltaTable(str(self.lake / name)).version() + 1):
            log = self.lake / name / "_delta_log" / f"{version:020}.json"
            entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
            values = {entry["add"]["partitionValues"][column] for entry in entries if "add" in entry}
            found.update({unquote(value)[:length] for value in values})
        return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, postgresql: PostgreSQL) -> Site:
    return Site(tmp_path_factory.mktemp("home"), postgresql)


@pytest.fixture(scope="module")
def ours(site: Site) -> Iterator[dg.DagsterInstance]:
    before = {name: os.environ.get(name) for name in site.variables}
    os.environ.update(site.variables)
    try:
        with dg.DagsterInstance.from_config(str(site.home)) as instance:
            yield instance
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture(scope="module")
def schedules(ours: dg.DagsterInstance) -> Mapping[str, Any]:
    target = PythonFileTarget(FILE, attribute=None, working_directory=ROOT, location_name=None)
    with WorkspaceProcessContext(ours, target) as workspace:
        [location] = workspace.create_request_context().code_locations
        [repository] = location.get_repositories().values()
        return {schedule.name: schedule for schedule in repository.get_schedules()}


def switch_on(instance: dg.DagsterInstance, schedule: Any, since: str) -> None:
    """Switch a schedule on, at some time in New York."""
    moment = datetime.fromisoformat(since).replace(tzinfo=ZoneInfo(ZONE)).timestamp()
    data = ScheduleInstigatorData(schedule.cron_schedule, moment)
    origin, running = schedule.get_remote_origin(), InstigatorStatus.RUNNING
    instance.add_instigator_state(InstigatorState(origin, InstigatorType.SCHEDULE, running, data))


def ticks(instance: dg.DagsterInstance, name: str) -> list[tuple[TickStatus, float]]:
    """Return the ticks of a schedule or a sensor with their moments, the newest first."""
    for state in instance.all_instigator_state():
        if state.instigator_name == name:
            found = instance.get_ticks(state.instigator_origin_id, state.selector_id)
            return [(tick.status, tick.timestamp) for tick in found]
    return []


def last(instance: dg.DagsterInstance, name: str) -> TickStatus | None:
    return next((status for status, _ in ticks(instance, name)), None)


def runs(instance: dg.DagsterInstance, job: str) -> list[Any]:
    return list(instance.get_runs(dg.RunsFilter(job_name=job)))


def all_succeeded(instance: dg.DagsterInstance, job: str) -> bool:
    statuses = {run.status for run in runs(instance, job)}
    assert dg.DagsterRunStatus.FAILURE not in statuses, job
    return statuses <= {dg.DagsterRunStatus.SUCCESS}


def test_a_daemon_that_was_away_for_three_days_and_is_killed_twice_has_each_partition_made_once(
    ours: dg.DagsterInstance, schedules: Mapping[str, Any], site: Site
) -> None:
    switch_on(ours, schedules["daily"], "2024-03-09 12:00")
    switch_on(ours, schedules["history"], "2024-03-09 12:00")
    site.set_clock("2024-03-12 06:00")
    for _ in range(2):  # once after it queued the first run, once after it made the second
        with site.daemon(MOST_RUNS="0") as daemon:
            daemon.wait(HANGS_S)
            assert daemon.returncode == -signal.SIGKILL
    assert dg.DagsterRunStatus.NOT_STARTED in [run.status for run in runs(ours, "daily_job")]
    assert sum(run.status is dg.DagsterRunStatus.QUEUED for run in runs(ours, "daily_job")) == 1
    with site.daemon(MOST_RUNS="2") as daemon:
        site.wait(
            lambda: (
                {last(ours, name) for name in ("daily", "history")} == {TickStatus.SUCCESS}
                and all(all_succeeded(ours, job) for job in ("daily_job", "history_job"))
            ),
            daemon,
        )
    assert site.commits("orders") == dict.fromkeys(DAYS, 1)
    assert len(runs(ours, "daily_job")) == 3


def test_a_year_is_made_by_one_run_where_a_run_may_have_it(ours: dg.DagsterInstance, site: Site) -> None:
    [run] = runs(ours, "history_job")
    assert run.is_success
    commits = site.commits("history")
    assert (len(commits), set(commits.values())) == (365, {1})
    assert DeltaTable(str(site.lake / "history")).version() == 0


def test_the_hours_of_both_nights_in_which_clocks_change_are_made_once(
    ours: dg.DagsterInstance, schedules: Mapping[str, Any], site: Site
) -> None:
    switch_on(ours, schedules["hourly"], "2025-03-09 00:30")
    spring = ("2025-03-09 01:00", "2025-03-09 03:00", "2025-03-09 04:00")
    autumn = ("2025-11-02 01:00", "2025-11-02 01:00*", "2025-11-02 02:00", "2025-11-02 03:00")
    site.set_clock(spring[0])
    with site.daemon() as daemon:
        for number, moment in enumerate((*spring, *autumn), start=1):
            site.set_clock(moment)
            site.wait(lambda number=number: len(ticks(ours, "hourly")) == number, daemon)
            site.wait(
                lambda: last(ours, "hourly") is TickStatus.SUCCESS and all_succeeded(ours, "hourly_job"),
                daemon,
            )
    made = site.commits("hours", "hour", length=13)
    assert set(made.values()) == {1}
    assert sorted(made) == [
        *("2025-03-09T05", "2025-03-09T06", "2025-03-09T07"),  # in UTC: those from 0, 1 and 3 o'clock
        *("2025-11-02T03", "2025-11-02T04", "2025-11-02T05", "2025-11-02T06", "2025-11-02T07"),
    ]


def test_many_single_runs_of_one_tick_are_queued_once_and_without_a_connection_for_each(
    ours: dg.DagsterInstance, schedules: Mapping[str, Any], site: Site
) -> None:
    switch_on(ours, schedules["many"], "2025-11-02 12:00")
    site.set_clock("2025-11-03 06:00")
    with site.daemon() as daemon, site.counted():
        site.wait(lambda: last(ours, "many") is TickStatus.SUCCESS, daemon)
    queued = runs(ours, "many_job")
    assert {run.status for run in queued} == {dg.DagsterRunStatus.QUEUED}
    assert len({run.tags["dagster/partition"] for run in queued}) == len(queued) == MANY
    print(f"at most {site.most_connections} connections while {MANY} runs were requested")
    assert 0 < site.most_connections < 30


def test_another_cron_and_an_input_with_other_rows_make_nothing_twice(
    ours: dg.DagsterInstance, site: Site
) -> None:
    (site.home / "clock").unlink()  # sensors have to see time pass
    now = datetime.now(ZoneInfo(ZONE))
    with site.daemon(CRON=f"{now.minute} {now.hour} * * *", CONDITIONS="RUNNING") as daemon:
        before = len(ticks(ours, "daily"))
        site.wait(lambda: len(ticks(ours, "daily")) > before, daemon)
        site.wait(lambda: last(ours, "daily") is TickStatus.SKIPPED, daemon)
        site.wait(lambda: len(ticks(ours, "conditions")) > 1, daemon)  # what there was is no change
        for _ in range(2):  # other rows, and then the same ones again
            event = dg.AssetMaterialization(
                "orders", partition=DAYS[0], tags={"dagster/data_version": "other"}
            )
            after = len(ticks(ours, "conditions")) + 2
            ours.report_runless_asset_event(event)
            site.wait(lambda after=after: len(ticks(ours, "conditions")) >= after, daemon)
            site.wait(lambda: ours.get_latest_materialization_event(dg.AssetKey("revenue")), daemon)
    assert len(runs(ours, "daily_job")) == 3
    assert site.commits("revenue") == {DAYS[0]: 1}
