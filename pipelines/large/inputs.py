"""The inputs: flights times N, and the weather, planes and airlines that they are joined with."""

from collections.abc import Iterator
from typing import Any, cast

import dagster as dg
import pandas as pd
import polars as pl

from pipelines.large.contracts import LargeFlights
from pipelines.tables import table1_new, table2_new
from practicus_assets import table_asset


class Size(dg.Config):
    """How many flights there are.

    Attributes:
        factor: how often the table has each flight.
        last_day: the last day whose flights it has.

    """

    factor: int = 1
    last_day: str = "2013-12-31"


@table_asset(contract=LargeFlights, partition_by="month", group_name="large_inputs")
def flights(config: Size, table1: pd.DataFrame) -> Iterator[pl.DataFrame]:
    """Flights as in table1_new, `factor` times, month by month."""
    cleaned: Any = table1_new(table1=table1)
    year = pl.from_pandas(cleaned).with_columns(
        pl.col("day").cast(pl.Date), month=pl.col("day").dt.strftime("%Y-%m")
    )
    known = year.filter(pl.col("day") <= pl.lit(config.last_day).str.to_date())
    for (_,), of_month in sorted(known.group_by("month"), key=lambda part: str(part[0])):
        for copy in range(config.factor):
            with_copy = of_month.with_columns(copy=pl.lit(copy, pl.Int32))
            yield with_copy.select(list(LargeFlights.columns))


@table_asset(group_name="large_inputs")
def weather(table2: pd.DataFrame) -> pd.DataFrame:
    """Weather as in table2_new."""
    cleaned: Any = table2_new(table2=table2)
    return cast("pd.DataFrame", cleaned.drop(columns="day"))


@table_asset(group_name="large_inputs")
def planes(table3: pd.DataFrame) -> pd.DataFrame:
    """Planes, as final_table takes them."""
    return table3.rename(columns={"year": "built"})[["tailnum", "manufacturer", "model", "built", "seats"]]


@table_asset(group_name="large_inputs")
def airlines(table4: pd.DataFrame) -> pd.DataFrame:
    """Names of airlines by carrier."""
    return table4.rename(columns={"name": "airline"})
