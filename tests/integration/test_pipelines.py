"""The pipeline that ships, tested as its authors test it: table by table, in memory, on real days."""

from typing import Any

import pandas as pd
import pytest

from pipelines import defs
from pipelines.sources import are_on_servers, source_tables, warehouse
from pipelines.tables import final_table, table1_new, table2_new
from practicus_assets import AuditFailed, DeclarationError
from practicus_assets.lake.rows.frames import read_as
from practicus_assets.testing import run_table

NEW_YEAR, CLOCKS_GO_BACK = "2013-01-01", "2013-11-03"


SOURCES = {source.key.to_user_string(): source for source in source_tables}


def rows(name: str, day: str = "") -> pd.DataFrame:
    """Return the rows of a source table, or those of one day."""
    source = SOURCES[name]
    scope = source.scope([day] if day else [])
    with source.relation.system.session() as session:
        frame: pd.DataFrame = read_as(source.relation.read(session, scope), None)
    return frame


def test_rows_of_a_day_are_those_of_its_year_month_and_day() -> None:
    for name in ("table1", "table2"):
        dates = rows(name, CLOCKS_GO_BACK)[["year", "month", "day"]].drop_duplicates()
        assert dates.to_numpy().tolist() == [[2013, 11, 3]]


@pytest.mark.parametrize(("name", "count"), [("table1", 842), ("table2", 67)])
def test_a_day_has_all_of_its_rows(name: str, count: int) -> None:
    assert len(rows(name, NEW_YEAR)) == count


def test_flights_are_of_their_day_and_midnight_is_zero() -> None:
    flights = rows("table1", NEW_YEAR)
    flights.loc[flights.index[0], "dep_time"] = 2400
    run = run_table(table1_new, {"table1": flights}, partition=NEW_YEAR)
    made = run.to_pandas()
    assert {*made["day"].astype(str)} == {NEW_YEAR}
    assert (len(made), made["dep_time"].iloc[0], run.broken()) == (len(flights), 0, [])


def test_the_hour_that_clocks_repeat_is_two_instants() -> None:
    weather = rows("table2", CLOCKS_GO_BACK)
    run = run_table(table2_new, {"table2": weather}, partition=CLOCKS_GO_BACK)
    assert run.rows.num_rows == len(weather)


def test_a_wind_that_cannot_be_is_unknown() -> None:
    weather = rows("table2", NEW_YEAR).assign(wind_speed=1048.36)
    assert run_table(table2_new, {"table2": weather}, partition=NEW_YEAR).rows["wind_speed"].null_count


def test_each_flight_is_once_in_the_final_table() -> None:
    flights = run_table(table1_new, {"table1": rows("table1", NEW_YEAR)}, partition=NEW_YEAR)
    weather = run_table(table2_new, {"table2": rows("table2", NEW_YEAR)}, partition=NEW_YEAR)
    inputs: dict[str, Any] = {
        "table1_new": flights.to_pandas(),
        "table2_new": weather.to_pandas(),
        "table3": rows("table3"),
        "table4": rows("table4"),
    }
    run = run_table(final_table, inputs, partition=NEW_YEAR)
    assert run.rows.num_rows == flights.rows.num_rows
    assert run.rows["airline"].null_count == 0


def test_a_flight_to_its_own_airport_is_refused() -> None:
    flights = rows("table1", NEW_YEAR)
    with pytest.raises(AuditFailed, match="goes_somewhere"):
        run_table(table1_new, {"table1": flights.assign(dest=flights["origin"])}, partition=NEW_YEAR)


def test_what_starts_by_itself_and_tells_people_is_off_until_it_is_switched_on() -> None:
    repository = defs.get_repository_def()
    assert [sensor.name for sensor in repository.sensor_defs if sensor.name == "notifications"]
    for each in [*repository.sensor_defs, *repository.schedule_defs]:
        assert each.default_status.value == "STOPPED", each.name
    graph = repository.asset_graph
    policies = [graph.get(table.key).freshness_policy for table in (table1_new, table2_new, final_table)]
    assert None not in policies


def test_a_place_that_is_none_and_a_variable_that_is_not_set_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PRACTICUS_SOURCES", "server")
    with pytest.raises(DeclarationError, match=r"PRACTICUS_SOURCES is 'server'\. Write files or servers"):
        are_on_servers()
    monkeypatch.delenv("POSTGRESQL_HOST", raising=False)
    with pytest.raises(DeclarationError, match="POSTGRESQL_HOST is not set"):
        warehouse()
