"""Sail, where it differs from Spark: a test fails here once an upgrade changes what docs/scale.md says."""

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from practicus_assets.engines.spark.server import Server
from tests.integration.spark import F

pytestmark = [pytest.mark.slow, pytest.mark.process]


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "ps1", "", raising=False)  # else pyspark takes a process of xdist for doctests
        from pyspark.sql.connect.session import SparkSession

    with Server("sail") as server:
        session = SparkSession.builder.remote(server.address).create()
        yield session
        session.stop()


def bounds(session: Any, tmp_path: Path, *, grouped: bool) -> list[tuple[float, float]]:
    """Return the minimum and the maximum of the same numbers, in three orders."""
    found = []
    for order in ([1.0, math.nan, 3.0], [math.nan, 1.0, 3.0], [1.0, 3.0, math.nan]):
        pq.write_table(pa.table({"x": order, "g": [0, 0, 0]}), tmp_path / "x.parquet")
        rows = session.read.parquet(str(tmp_path / "x.parquet"))
        [row] = (
            (rows.groupBy("g") if grouped else rows)
            .agg(F.min("x").alias("a"), F.max("x").alias("z"))
            .collect()
        )
        found.append((row["a"], row["z"]))
    return found


def test_nan_is_the_largest_number_where_rows_are_not_grouped(session: Any, tmp_path: Path) -> None:
    assert [(low, math.isnan(high)) for low, high in bounds(session, tmp_path, grouped=False)] == [
        (1, True)
    ] * 3


def test_bounds_by_groups_depend_on_the_order_of_rows_with_nan(session: Any, tmp_path: Path) -> None:
    assert bounds(session, tmp_path, grouped=True)[:2] == [(3, 3), (1, 3)]


def test_bounds_by_groups_are_right_without_nan(session: Any, tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [3.0, math.nan, 1.0], "g": [0, 0, 0]}), tmp_path / "x.parquet")
    rows = session.read.parquet(str(tmp_path / "x.parquet")).where(~F.isnan("x"))
    [row] = rows.groupBy("g").agg(F.min("x").alias("a"), F.max("x").alias("z")).collect()
    assert (row["a"], row["z"]) == (1, 3)
