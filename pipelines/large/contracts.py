"""What the variant's tables promise: what the shipped ones do, of each copy of the year."""

from pipelines.contracts import Flights, FlightsInWeather
from practicus_assets import Column, Contract

_COPY = {
    "month": Column("string", "month of departure, 2013-01", nullable=False),
    "copy": Column("int32", "which copy of the year, from 0", nullable=False, minimum=0),
}

LargeFlights = Contract(
    columns={**_COPY, **Flights.columns},
    rules=[rule for rule in Flights.rules if rule.name != "few_cancelled"],
    closed=True,
)

LargeFlightsInWeather = Contract(
    columns={**_COPY, **FlightsInWeather.columns},
    unique=[["copy", *key] for key in Flights.unique],
    closed=True,
)

Delays = Contract(
    columns={
        **{name: LargeFlightsInWeather.columns[name] for name in ("month", "day", "origin", "airline")},
        "flights": Column("int64", "how many were scheduled", nullable=False, minimum=1),
        "cancelled": Column("int64", "how many of them did not depart", nullable=False, minimum=0),
        "minutes": Column("int64", "sum of the delays at departure", nullable=False),
        "longest": Column("int64", "minutes"),
        "least_visib": Column("float64", "miles"),
        "strongest_wind": Column("float64", "mph"),
    },
    unique=[["day", "origin", "airline"]],
    closed=True,
)
