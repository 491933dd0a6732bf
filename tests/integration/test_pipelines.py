"""The pipeline that ships, tested as its authors test it: table by table, in memory, on real days."""

from typing import Any

import pandas as pd
import pyarrow.compute as pc
import pytest

from pipelines.sources import read
from pipelines.tables import final_table, table1_new, table2_new
from practicus_assets import AuditFailed
from practicus_assets.testing import run_table

NEW_YEAR, CLOCKS_GO_BACK = "2013-01-01", "2013-11-03"


def of(day: str, file: str) -> pd.DataFrame:
    """Return the rows of a source table for one day."""
    table = read(file)
    year, month, number = map(int, day.split("-"))
    for column, value in {"year": year, "month": month, "day": number}.items():
        table = table.filter(pc.equal(table[column], value))
    return table.to_pandas()


def test_flights_are_of_their_day_and_midnight_is_zero() -> None:
    flights = of(NEW_YEAR, "flights.csv.zip")
    flights.loc[flights.index[0], "dep_time"] = 2400
    run = run_table(table1_new, {"table1": flights}, partition=NEW_YEAR)
    rows = run.to_pandas()
    assert {*rows["day"].astype(str)} == {NEW_YEAR}
    assert (len(rows), rows["dep_time"].iloc[0], run.broken()) == (len(flights), 0, [])


def test_the_hour_that_clocks_repeat_is_two_instants() -> None:
    weather = of(CLOCKS_GO_BACK, "weather.csv")
    run = run_table(table2_new, {"table2": weather}, partition=CLOCKS_GO_BACK)
    assert run.rows.num_rows == len(weather)


def test_a_wind_that_cannot_be_is_unknown() -> None:
    weather = of(NEW_YEAR, "weather.csv").assign(wind_speed=1048.36)
    assert run_table(table2_new, {"table2": weather}, partition=NEW_YEAR).rows["wind_speed"].null_count


def test_each_flight_is_once_in_the_final_table() -> None:
    flights = run_table(table1_new, {"table1": of(NEW_YEAR, "flights.csv.zip")}, partition=NEW_YEAR)
    weather = run_table(table2_new, {"table2": of(NEW_YEAR, "weather.csv")}, partition=NEW_YEAR)
    inputs: dict[str, Any] = {
        "table1_new": flights.to_pandas(),
        "table2_new": weather.to_pandas(),
        "table3": read("planes.csv").to_pandas(),
        "table4": read("airlines.csv").to_pandas(),
    }
    run = run_table(final_table, inputs, partition=NEW_YEAR)
    assert run.rows.num_rows == flights.rows.num_rows
    assert run.rows["airline"].null_count == 0


def test_a_flight_to_its_own_airport_is_refused() -> None:
    flights = of(NEW_YEAR, "flights.csv.zip")
    with pytest.raises(AuditFailed, match="goes_somewhere"):
        run_table(table1_new, {"table1": flights.assign(dest=flights["origin"])}, partition=NEW_YEAR)
