"""Definitions for a daemon process: tables with schedules, a clock that is set, and a coordinator that kills.

The environment says where the lake is (LAKE), when the schedule by day ticks (CRON), whether conditions are
evaluated (CONDITIONS), how many runs one tick requests (MANY), and which file says what time it is (CLOCK).
"""

import os
import signal
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import dagster._time as clock
import pandas as pd
from dagster._core.run_coordinator.queued_run_coordinator import QueuedRunCoordinator

from practicus_assets import (
    DeltaIOManager,
    build_catch_up_schedule,
    build_condition_sensor,
    table_asset,
    when_inputs_ready,
)

ZONE = "America/New_York"
DAYS = ("2024-03-09", "2024-03-10", "2024-03-11")  # the clocks went forward on the second one
_YEAR = "2023-03-13"  # 365 days before the end of the last one
_END = "2024-03-12"
_KILLS = 2


def _now() -> float:
    file = Path(os.environ["CLOCK"])
    return float(file.read_text(encoding="utf-8")) if file.exists() else time.time()


if "CLOCK" in os.environ:  # in the daemon and its code server, and not where tests import this
    clock._mockable_get_current_timestamp = _now  # as Dagster's `freeze_time` does it in its own tests
    clock._mockable_get_current_datetime = lambda: datetime.fromtimestamp(_now(), UTC)


class Deadly(QueuedRunCoordinator):
    """Kills the daemon when it has queued the first run of the daily job, and before it queues the second."""

    _one_at_a_time = threading.Lock()

    def submit_run(self, context: Any) -> Any:
        if context.dagster_run.job_name != "daily_job":
            return super().submit_run(context)
        with self._one_at_a_time:
            file = Path(os.environ["DAGSTER_HOME"], "kills")
            kills = file.stat().st_size if file.exists() else 0
            submitted = super().submit_run(context) if kills != 1 else None
            if kills < _KILLS:
                with file.open("a") as written:
                    written.write("x")
                os.kill(os.getpid(), signal.SIGKILL)
            return submitted


@dg.definitions
def defs() -> dg.Definitions:
    days = dg.DailyPartitionsDefinition(DAYS[0], end_date=_END, timezone=ZONE)
    year = dg.DailyPartitionsDefinition(_YEAR, end_date=_END, timezone=ZONE)
    every_hour = dg.HourlyPartitionsDefinition("2025-03-09-00:00", timezone=ZONE)
    single = dg.BackfillPolicy.single_run()
    asked = int(os.environ["MANY"])

    def rows(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return pd.DataFrame({"day": pd.to_datetime(context.partition_keys), "n": 1})

    @table_asset(partitions_def=days, partition_by="day")
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return rows(context)

    @table_asset(
        partitions_def=days,
        partition_by="day",
        backfill_policy=single,
        automation_condition=when_inputs_ready(all_partitions=True),
    )
    def revenue(orders: pd.DataFrame) -> pd.DataFrame:
        return orders

    @table_asset(partitions_def=year, partition_by="day", backfill_policy=single)
    def history(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return rows(context)

    @table_asset(partitions_def=year, partition_by="day")
    def many(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return rows(context)

    @table_asset(partitions_def=every_hour, partition_by="hour")
    def hours(context: dg.AssetExecutionContext) -> pd.DataFrame:
        hour = pd.Timestamp(context.partition_time_window.start).tz_convert(UTC)
        return pd.DataFrame({"hour": [hour], "n": 1})

    status = dg.DefaultSensorStatus[os.environ["CONDITIONS"]]
    return dg.Definitions(
        assets=[orders, revenue, history, many, hours],
        schedules=[
            build_catch_up_schedule([orders], name="daily", cron_schedule=os.environ["CRON"]),
            build_catch_up_schedule([history], name="history", look_back=365),
            build_catch_up_schedule(
                [many], name="many", look_back=asked, max_runs=asked, tags={"hold": "yes"}
            ),
            build_catch_up_schedule([hours], name="hourly", look_back=2),
        ],
        sensors=[build_condition_sensor(minimum_interval_seconds=1, default_status=status)],
        executor=dg.in_process_executor,
        resources={"io_manager": DeltaIOManager(root_uri=os.environ["LAKE"])},
    )
