"""The three tables: table1_new and table2_new side by side, then final_table, which joins all four."""

from datetime import timedelta
from typing import Any

import dagster as dg
import pandas as pd

from pipelines.contracts import Flights, FlightsInWeather, Weather
from pipelines.sources import days
from practicus_assets import Worker, table_asset, when_inputs_ready

by_day: dict[str, Any] = {
    "partitions_def": days,
    "partition_by": "day",
    "backfill_policy": dg.BackfillPolicy.single_run(),
    "freshness_policy": dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=36)),
}


@table_asset(
    **by_day, contract=Flights, group_name="flights", worker=Worker(size="Small", memory_limit="4Gi")
)
def table1_new(table1: pd.DataFrame) -> pd.DataFrame:
    """Flights by local day, with midnight as 0 and not as 2400."""
    return table1.assign(
        day=pd.to_datetime(table1[["year", "month", "day"]]),
        dep_time=table1["dep_time"] % 2400,
        arr_time=table1["arr_time"] % 2400,
    ).drop(columns=["year", "month", "hour", "minute"])


@table_asset(
    **by_day, contract=Weather, group_name="flights", worker=Worker(size="X-Small", memory_limit="2Gi")
)
def table2_new(table2: pd.DataFrame) -> pd.DataFrame:
    """Weather by local day; the hour that clocks repeat in November is two instants; no wind of 1,048 mph."""
    return table2.assign(
        day=pd.to_datetime(table2[["year", "month", "day"]]),
        wind_speed=table2["wind_speed"].where(table2["wind_speed"] < 200),  # mph
    ).drop(columns=["year", "month", "hour"])


@table_asset(
    **by_day,
    contract=FlightsInWeather,
    group_name="flights",
    worker=Worker(size="Small", memory_limit="4Gi"),
    automation_condition=when_inputs_ready(all_partitions=True),
)
def final_table(
    table1_new: pd.DataFrame, table2_new: pd.DataFrame, table3: pd.DataFrame, table4: pd.DataFrame
) -> pd.DataFrame:
    """Each flight with the weather at its departure, its plane and its airline, where they are known."""
    planes = table3.rename(columns={"year": "built"})[["tailnum", "manufacturer", "model", "built", "seats"]]
    return (
        table1_new.merge(table2_new.drop(columns="day"), "left", ["origin", "time_hour"], validate="m:1")
        .merge(planes, "left", "tailnum", validate="m:1")
        .merge(table4.rename(columns={"name": "airline"}), "left", "carrier", validate="m:1")
    )
