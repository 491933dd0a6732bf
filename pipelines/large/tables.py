"""The join and the sum in polars: of all rows at once, of a stream of them, and of the rows of one split."""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import polars as pl

from pipelines.large.contracts import Delays, LargeFlightsInWeather
from practicus_assets import Snapshot, Splits, table_asset

_KEYS = ["month", "day", "origin", "airline"]
_MOST_COUNTS = 100  # of batches, before they are added up
_SUMMED = [*_KEYS, "dep_time", "dep_delay", "visib", "wind_speed"]


def declared(
    way: str,
    joined: Callable[..., Any],
    summed: Callable[..., Any],
    options: tuple[dict[str, Any], dict[str, Any]] = ({}, {}),
) -> list[dg.AssetsDefinition]:
    """Return the two tables of one way.

    Args:
        way: its name, by which the tables' keys begin.
        joined: the function of the join.
        summed: the function of the sum, whose input is the joined table.
        options: what `table_asset` takes for each of them beside.

    """
    join = table_asset(
        name="flights_in_weather",
        key_prefix=way,
        contract=LargeFlightsInWeather,
        partition_by="month",
        group_name=way,
        **options[0],
    )
    total = table_asset(
        name="delays",
        key_prefix=way,
        ins={"flights_in_weather": dg.AssetIn([way, "flights_in_weather"])},
        contract=Delays,
        group_name=way,
        **options[1],
    )
    return [join(joined), total(summed)]


def _with_weather(
    flights: pl.DataFrame, weather: pl.DataFrame, planes: pl.DataFrame, airlines: pl.DataFrame
) -> pl.DataFrame:
    return (
        flights.join(weather, ["origin", "time_hour"], "left", validate="m:1")
        .join(planes, "tailnum", "left", validate="m:1")
        .join(airlines, "carrier", "left", validate="m:1")
        .select(list(LargeFlightsInWeather.columns))
    )


def _counted(flights: pl.DataFrame) -> pl.DataFrame:
    return flights.group_by(_KEYS).agg(
        flights=pl.len().cast(pl.Int64),
        cancelled=pl.col("dep_time").null_count().cast(pl.Int64),
        minutes=pl.col("dep_delay").sum(),
        longest=pl.col("dep_delay").max(),
        least_visib=pl.col("visib").min(),
        strongest_wind=pl.col("wind_speed").max(),
    )


def _added(counts: list[pl.DataFrame]) -> pl.DataFrame:
    sums = [pl.sum(name) for name in ("flights", "cancelled", "minutes")]
    extremes = [pl.max("longest"), pl.min("least_visib"), pl.max("strongest_wind")]
    return pl.concat(counts).group_by(_KEYS).agg(*sums, *extremes)


def _join_all(
    flights: pl.DataFrame, weather: pl.DataFrame, planes: pl.DataFrame, airlines: pl.DataFrame
) -> pl.DataFrame:
    """Each flight with its weather, plane and airline; all rows at once."""
    return _with_weather(flights, weather, planes, airlines)


def _sum_all(flights_in_weather: pl.DataFrame) -> pl.DataFrame:
    """Delays by day, airport and airline; of all rows at once."""
    return _counted(flights_in_weather)


def _join(
    flights: Snapshot, weather: pl.DataFrame, planes: pl.DataFrame, airlines: pl.DataFrame
) -> Iterator[pl.DataFrame]:
    """Each flight with its weather, plane and airline; batch by batch."""
    for batch in flights.scan():
        yield _with_weather(pl.DataFrame(batch), weather, planes, airlines)


def _sum(flights_in_weather: Snapshot) -> pl.DataFrame:
    """Delays by day, airport and airline; added up batch by batch."""
    counts = [_counted(pl.DataFrame(flights_in_weather.without_rows().to_arrow(_SUMMED)))]
    for batch in flights_in_weather.scan(_SUMMED):
        counts.append(_counted(pl.DataFrame(batch)))
        if len(counts) > _MOST_COUNTS:
            counts = [_added(counts)]
    return _added(counts)


in_memory = declared("memory", _join_all, _sum_all)
streamed = declared("stream", _join, _sum)
# a flight is joined by itself, so any part of them will do; the flights of one day must meet to be summed
by_splits = declared(
    "splits", _join, _sum, ({"splits": Splits(16, of="flights")}, {"splits": Splits(12, by="month")})
)
