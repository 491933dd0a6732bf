"""What the tables promise, with the limits that the data of 2013 really keep once they are cleaned."""

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets import Column, Contract, RowRule, TableRule

_DAY = {"day": Column("date32", "local day of departure", nullable=False)}
_HOUR = Column(pa.timestamp("us", "UTC"), "the full hour, an instant", nullable=False)
_AIRPORT = Column("string", "FAA code of the airport", nullable=False, allowed=("EWR", "JFK", "LGA"))


def clock(description: str = "local clock, HHMM", *, nullable: bool = True) -> Column:
    """Return the promise of a wall clock time, written as HHMM."""
    return Column("int64", description, nullable=nullable, minimum=0, maximum=2359)


def cancelled(flights: pd.DataFrame) -> pd.DataFrame:
    """On no day is more than a fifth of the flights cancelled."""
    share = flights["dep_time"].isna().groupby(flights["day"]).mean()
    return share[share > 0.2].to_frame("cancelled")  # a fifth


def gaps(weather: pd.DataFrame) -> bool | pd.DataFrame:
    """Each day has at least 69 of its 72 readings."""
    if weather.empty:
        return False
    readings = weather.groupby("day").size()
    return readings[readings < 69].to_frame("readings")  # 23 hours at 3 airports


def unlucky(flights: pd.DataFrame) -> pd.DataFrame:
    """On no day do more than a tenth of the flights lack the weather."""
    share = flights["visib"].isna().groupby(flights["day"]).mean()
    return share[share > 0.1].to_frame("without_weather")  # a tenth


Flights = Contract(
    columns={
        **_DAY,
        "time_hour": Column(_HOUR.type, "hour of the scheduled departure, an instant", nullable=False),
        "carrier": Column("string", "airline", nullable=False, pattern="[0-9A-Z]{2}"),
        "flight": Column("int64", "flight number", nullable=False, minimum=1),
        "tailnum": Column("string", "plane; unknown for some", pattern="N[0-9A-Z]{4,5}", severity="WARN"),
        "origin": _AIRPORT,
        "dest": Column("string", "FAA code of the airport", nullable=False, pattern="[A-Z]{3}"),
        "sched_dep_time": clock(nullable=False),
        "dep_time": clock("local clock, HHMM; null if cancelled"),
        "dep_delay": Column("int64", "minutes", minimum=-60, maximum=24 * 60),
        "sched_arr_time": clock(nullable=False),
        "arr_time": clock(),
        "arr_delay": Column("int64", "minutes", minimum=-120, maximum=24 * 60),
        "air_time": Column("int64", "minutes", minimum=1, maximum=1000),
        "distance": Column("int64", "miles", nullable=False, minimum=1, maximum=5500),
    },
    unique=[["day", "carrier", "flight", "origin"]],
    rows=(500, 1200),
    rules=[
        RowRule("goes_somewhere", lambda t: pc.not_equal(t["origin"], t["dest"]), "origin is not dest"),
        RowRule(
            "delay_if_departed",
            lambda t: pc.equal(pc.is_null(t["dep_time"]), pc.is_null(t["dep_delay"])),
            "dep_delay is known just when dep_time is",
        ),
        TableRule("few_cancelled", cancelled, severity="WARN"),
    ],
    closed=True,
)

Weather = Contract(
    columns={
        **_DAY,
        "origin": _AIRPORT,
        "time_hour": _HOUR,
        "temp": Column("float64", "°F", minimum=-30, maximum=130),
        "dewp": Column("float64", "dew point, °F", minimum=-50, maximum=100),
        "humid": Column("float64", "relative humidity, %", minimum=0, maximum=100),
        "wind_dir": Column("int64", "degrees", minimum=0, maximum=360),
        "wind_speed": Column("float64", "mph", minimum=0, maximum=200),
        "wind_gust": Column("float64", "mph", minimum=0, maximum=250),
        "precip": Column("float64", "inches", nullable=False, minimum=0, maximum=10),
        "pressure": Column("float64", "millibars at sea level", minimum=900, maximum=1100),
        "visib": Column("float64", "miles", nullable=False, minimum=0, maximum=10),
    },
    unique=[["origin", "time_hour"]],
    rows=(0, 75),  # of 31 December there are none
    rules=[
        RowRule("dew_below_air", lambda t: pc.less_equal(t["dewp"], t["temp"]), "dewp is at most temp"),
        TableRule("no_gaps", gaps, severity="WARN"),
    ],
    closed=True,
)

FlightsInWeather = Contract(
    columns={
        **{name: Column(c.type, c.description) for name, c in {**Weather.columns, **Flights.columns}.items()},
        **_DAY,
        "airline": Column("string", "name of the carrier", nullable=False),
        "manufacturer": Column("string", "of the plane, where the register has it"),
        "model": Column("string", "of the plane"),
        "built": Column("int64", "year", minimum=1950, maximum=2013),
        "seats": Column("int64", "of the plane", minimum=1, maximum=600),
    },
    unique=Flights.unique,
    rows=Flights.rows,
    rules=[TableRule("weather_known", unlucky, severity="WARN")],
    closed=True,
)
