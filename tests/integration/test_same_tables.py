"""One table, made in each way there is: the same fingerprint from one process, splits and engines."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pyarrow as pa
import pytest

from practicus_assets import Contract, DeltaIOManager, Snapshot, SparkConnect, Splits, table_asset
from practicus_assets.engines.spark.server import Server
from tests.integration.spark import DataFrame, F, version_of

pytestmark = [pytest.mark.slow, pytest.mark.process]

DAYS = [date(2026, 1, 1) + timedelta(days) for days in range(3)]
CONTRACT = Contract({"day": "date32", "shop": "string", "amount": "decimal(18, 2)", "orders": "int64"})
KEYS = ["day", "shop"]
SHAPES: dict[str, dict[str, Any]] = {
    "whole": {},
    "partitioned": {"partition_by": ["day"]},
    "merged": {"mode": "merge", "merge_keys": KEYS, "partition_by": ["day"]},
    "merged whole": {"mode": "merge", "merge_keys": KEYS},
}


def rows_of(first: int, last: int) -> pa.Table:
    """Return orders, of which those of later numbers have keys of earlier ones and new ones."""
    numbers = range(first, last)
    return pa.table(
        {
            "day": pa.array([DAYS[i % 3] for i in numbers]),
            "shop": [f"shop é/{i % (7 + first)}" if i % 11 else None for i in numbers],
            "amount": pa.array([Decimal(i * 37 % 1000) / 100 for i in numbers], pa.decimal128(18, 2)),
        }
    )


@dg.asset
def orders(context: dg.AssetExecutionContext) -> pa.Table:
    return rows_of(0, 300) if context.run.tags.get("part") == "1" else rows_of(200, 420)


def in_polars(orders: pl.DataFrame) -> pl.DataFrame:
    sums = orders.with_columns(shop=pl.col("shop").fill_null("?")).group_by("day", "shop")
    return sums.agg(pl.sum("amount").cast(pl.Decimal(18, 2)), orders=pl.len().cast(pl.Int64))


def in_spark(orders: DataFrame) -> DataFrame:
    sums = orders.fillna("?", ["shop"]).groupBy("day", "shop")
    return sums.agg(F.sum("amount").cast("decimal(18,2)").alias("amount"), F.count(F.lit(1)).alias("orders"))


Way = Callable[..., Any]  # returns the table's definition, for its options


@pytest.fixture(scope="module")
def sail() -> Iterator[SparkConnect]:
    with Server("sail") as server:
        yield SparkConnect("sail", server.address)


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkConnect]:
    with Server("spark") as server:
        yield SparkConnect("spark", server.address)


@pytest.fixture(params=["4 splits", "Sail", pytest.param("Apache Spark", marks=pytest.mark.long)])
def way(request: pytest.FixtureRequest) -> Way:
    if request.param == "4 splits":
        return lambda **options: table_asset(splits=Splits(4, by="shop"), name="made", **options)(in_polars)
    engine = request.getfixturevalue("sail" if request.param == "Sail" else "spark")
    return lambda **options: table_asset(engine=engine, name="made", **options)(in_spark)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_table_has_the_fingerprint_that_one_process_gives_it(tmp_path: Path, way: Way, shape: str) -> None:
    options = {**SHAPES[shape], "contract": CONTRACT}
    alone = table_asset(name="alone", **options)(in_polars)
    made = way(**options)
    lake = DeltaIOManager(root_uri=str(tmp_path))
    for part in ("1", "2"):
        result = dg.materialize([orders, alone, made], resources={"io_manager": lake}, tags={"part": part})
        assert version_of(result, "made") == version_of(result, "alone")
    there, here = (Snapshot.open(tmp_path / name).to_arrow() for name in ("made", "alone"))
    order = [(key, "ascending") for key in KEYS]
    assert there.select(here.column_names).sort_by(order).equals(here.sort_by(order))
    assert here.num_rows > rows_of(200, 420).group_by(KEYS).aggregate([]).num_rows * ("merged" in shape)
