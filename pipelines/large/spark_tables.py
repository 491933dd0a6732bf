"""The same join and sum as queries of Spark, by Sail in the step's worker."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 as everybody writes it

from pipelines.large.contracts import Delays, LargeFlightsInWeather
from pipelines.large.tables import declared
from practicus_assets import SparkConnect


def _join(flights: DataFrame, weather: DataFrame, planes: DataFrame, airlines: DataFrame) -> DataFrame:
    """Each flight with its weather, plane and airline; a query of Spark.

    Sail holds the left side of each join in memory, whatever the sizes: so the small one is written first.
    """
    with_weather = weather.join(flights, ["origin", "time_hour"], "right")
    with_planes = planes.join(with_weather, ["tailnum"], "right")
    return airlines.join(with_planes, ["carrier"], "right").select(*LargeFlightsInWeather.columns)


def _sum(flights_in_weather: DataFrame) -> DataFrame:
    """Delays by day, airport and airline; a query of Spark."""
    sums = {
        "flights": F.count(F.lit(1)),
        "cancelled": F.count(F.lit(1)) - F.count("dep_time"),
        "minutes": F.coalesce(F.sum("dep_delay"), F.lit(0)),
        "longest": F.max("dep_delay"),
        "least_visib": F.min("visib"),
        "strongest_wind": F.max("wind_speed"),
    }
    keys = ["month", "day", "origin", "airline"]
    totals = flights_in_weather.groupBy(*keys).agg(*(total.alias(name) for name, total in sums.items()))
    return totals.select(*Delays.columns)


by_spark = declared("spark", _join, _sum, ({"engine": SparkConnect()}, {"engine": SparkConnect()}))
