"""Makes a lake with another Delta IO manager, or reads one by it.

Run by hand, in an environment that has the other manager and not this package:

    cd tests/golden/peers
    uv venv /tmp/peer && uv pip install -p /tmp/peer/bin/python dagster-deltalake==0.29.27
    /tmp/peer/bin/python make.py make dagster_deltalake dagster_deltalake
    uv venv /tmp/other && uv pip install -p /tmp/other/bin/python "dagster-delta==0.5.9" pyarrow
    /tmp/other/bin/python make.py make dagster_delta dagster_delta

`read` instead of `make` prints the rows that the other manager gives to an asset, as JSON. The lakes here
were made with deltalake 1.6.6. dagster-deltalake makes only the first hour of `hourly`, and reads none of it.
"""

import datetime as dt
import importlib
import json
import sys
from pathlib import Path

import dagster as dg
import pyarrow as pa

START = "2024-01-01"
DAYS = dg.DailyPartitionsDefinition(START, end_date="2024-01-04")
HOURS = dg.HourlyPartitionsDefinition(f"{START}-00:00", end_date=f"{START}-03:00")
COLORS = dg.StaticPartitionsDefinition(["red", "it's blue/ü"])
# the tables: their partitions, the columns of these, and the keys that are made
TABLES = {
    "whole": (None, None, [None]),
    "daily": (DAYS, "day", ["2024-01-01", "2024-01-02"]),
    "hourly": (HOURS, "hour", ["2024-01-01-00:00", "2024-01-01-01:00"]),
    "static": (COLORS, "color", ["red", "it's blue/ü"]),
    "grid": (
        dg.MultiPartitionsDefinition({"time": DAYS, "color": COLORS}),
        {"time": "day", "color": "color"},
        [{"time": "2024-01-01", "color": "red"}, {"time": "2024-01-02", "color": "red"}],
    ),
}
MANAGERS = {"dagster_deltalake": "DeltaLakePyarrowIOManager", "dagster_delta": "DeltaLakePyarrowIOManager"}


def rows(first_id: int = 1) -> pa.Table:
    """Return three rows, with columns of several types and without those of a partition."""
    noon = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)
    return pa.table(
        {
            "id": pa.array(range(first_id, first_id + 3), pa.int64()),
            "text": pa.array(["a", None, "ü"]),
            "price": pa.array([1.5, None, 2.5]),
            "at": pa.array([noon] * 3, pa.timestamp("us", "UTC")),
            "tags": pa.array([["x"], [], None], pa.list_(pa.string())),
        }
    )


def value(column: str, text: str) -> pa.Array:
    """Return a partition column of three rows."""
    if column == "day":
        return pa.array([dt.date.fromisoformat(text)] * 3)
    if column == "hour":
        moment = dt.datetime.strptime(text, "%Y-%m-%d-%H:%M").replace(tzinfo=dt.UTC)
        return pa.array([moment] * 3, pa.timestamp("us", "UTC"))
    return pa.array([text] * 3)


def rows_of(name: str, key: str | dict[str, str] | None, first_id: int = 1) -> pa.Table:
    """Return the rows of a partition of a table."""
    made, columns = rows(first_id), TABLES[name][1]
    if isinstance(key, dict):
        for dimension, text in key.items():
            made = made.append_column(columns[dimension], value(columns[dimension], text))
    elif key is not None:
        made = made.append_column(columns, value(columns, key))
    return made


def asset(name: str, first_id: int = 1) -> dg.AssetsDefinition:
    """Return the asset that makes a table."""
    partitions_def, columns, _ = TABLES[name]

    @dg.asset(
        name=name,
        key_prefix=["shop"],
        partitions_def=partitions_def,
        metadata={"partition_expr": columns} if columns else {},
    )
    def table(context: dg.AssetExecutionContext) -> pa.Table:
        key = context.partition_key if partitions_def is not None else None
        if isinstance(key, dg.MultiPartitionKey):
            key = key.keys_by_dimension
        return rows_of(name, key, first_id)

    return table


def reader(name: str, seen: list[dict]) -> dg.AssetsDefinition:
    """Return an asset that notes the rows which it is given of the same partition of a table."""
    partitions_def, columns, _ = TABLES[name]

    @dg.asset(
        name=f"{name}_read",
        partitions_def=partitions_def,
        ins={"table": dg.AssetIn(["shop", name])},
        metadata={"partition_expr": columns} if columns else {},
        io_manager_key="nowhere",
    )
    def read(table: pa.Table) -> None:
        seen.extend(pa.table(table).to_pylist())

    return read


def main(action: str, package: str, folder: str) -> None:
    """Make a lake, or print what its tables hold."""
    module = importlib.import_module(package)
    config = importlib.import_module(f"{package}.config").LocalConfig()
    manager = getattr(module, MANAGERS[package])(root_uri=str(Path(folder).resolve()), storage_options=config)
    found = {}
    for name, (_, _, keys) in TABLES.items():
        seen: list[dict] = []
        for key in keys:
            partition = dg.MultiPartitionKey(key) if isinstance(key, dict) else key
            assets = [asset(name), reader(name, seen)]
            try:
                dg.materialize(
                    assets,
                    selection=[assets[0 if action == "make" else 1]],
                    partition_key=partition,
                    resources={"io_manager": manager, "nowhere": dg.InMemoryIOManager()},
                )
            except Exception as error:  # noqa: BLE001 what a manager cannot make or read
                print(name, key, type(error).__name__, str(error)[:200].replace("\n", " "), file=sys.stderr)
        found[name] = sorted(seen, key=repr)
    if action == "read":
        print(json.dumps(found, default=str, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
