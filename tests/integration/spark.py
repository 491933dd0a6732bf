"""What tests of Spark Connect share: pyspark without a JVM, rows of many types, servers of a process."""

import math
import os
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path

import dagster as dg
import pyarrow as pa

os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"
F = import_module("pyspark.sql.functions")  # it looks at the variable when it is imported
DataFrame = import_module("pyspark.sql").DataFrame

ROWS = pa.table(
    {
        "id": pa.array([1, 2, 3, 4], pa.int32()),
        "day": pa.array([date(2026, 1, 1), date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 2)]),
        "shop": ["a b/c=%1", "a b/c=%1", "é'?#", "é'?#"],
        "ratio": [1.5, math.nan, -0.0, None],
        "amount": pa.array([Decimal("1.23"), None, Decimal("-9.99"), Decimal(0)], pa.decimal128(38, 2)),
        "at": pa.array([datetime(1500, 1, 1, tzinfo=UTC), None] * 2, pa.timestamp("us", "UTC")),
        "local": pa.array([datetime.fromisoformat("2026-01-01 01:02:03.04"), None] * 2, pa.timestamp("us")),
        "raw": [b"\x00\xff", None, b"", b"x"],
        "tags": pa.array([[1, None], [], None, [2]], pa.list_(pa.int64())),
    }
)


@dg.asset
def given() -> pa.Table:
    return ROWS


def version_of(result: dg.ExecuteInProcessResult, name: str) -> str:
    """Return the data version of an asset that a run materialized."""
    [event] = [e for e in result.get_asset_materialization_events() if e.asset_key == dg.AssetKey(name)]
    assert event.step_materialization_data.materialization.tags is not None
    return event.step_materialization_data.materialization.tags["dagster/data_version"]


def children_of(pid: int) -> list[int]:
    """Return the processes that a process started."""
    text = "".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    return [int(child) for child in text.split()]


def servers_of(pid: int) -> list[int]:
    """Return the servers of engines that a process started."""
    return [
        child
        for child in children_of(pid)
        if b"practicus_assets.engines.spark.program" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
