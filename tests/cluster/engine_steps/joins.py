"""Tables of Sail with workers in pods of their own; in a pod this folder is a ConfigMap's."""

import os
from pathlib import Path

import dagster as dg
import pyarrow as pa
from pyspark.sql import DataFrame

from practicus_assets import Contract, DeltaIOManager, SparkConnect, Worker, table_asset, worker_executor

LAKE = os.environ["LAKE"]
COUNT = 20_000
STEP = Worker(cpu="100m", memory="1Gi")
PODS = SparkConnect(workers=2, worker=Worker(cpu="100m", memory="600Mi"))
DAYS = Contract({"day": "string"})


@table_asset(partition_by="day", worker=STEP)
def orders() -> pa.Table:
    numbers = range(COUNT)
    return pa.table(
        {
            "day": [f"2026-01-0{n % 4 + 1}" for n in numbers],
            "shop": [f"shop {n % 97}" for n in numbers],
            "amount": pa.array(numbers, pa.int64()),
            "ratio": [float("nan") if n % 3 else n / 7 for n in numbers],
        }
    )


def joined(orders: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F  # noqa: N812 only where an engine runs

    totals = orders.groupBy("shop").agg(F.sum("amount").alias("total"), F.count("*").alias("rows"))
    return orders.join(totals, "shop").where("ratio > 1")


@table_asset(engine=SparkConnect(), partition_by="day", contract=DAYS, worker=STEP)
def alone(orders: DataFrame) -> DataFrame:
    return joined(orders)


@table_asset(engine=PODS, partition_by="day", contract=DAYS, worker=STEP)
def together(orders: DataFrame) -> DataFrame:
    return joined(orders)


def eaten(amount: int) -> int:
    """Return a number; the first of all calls takes memory until it is killed."""
    marker = Path(LAKE, "eaten")
    if not marker.exists():
        marker.touch()
        taken = []
        while True:
            taken.append(bytearray(b"x" * 50_000_000))
    return amount


@table_asset(engine=PODS, worker=STEP)
def hungry(orders: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F  # noqa: N812 only where an engine runs

    amount = F.udf(eaten, "bigint")("amount")
    return orders.groupBy("shop").agg(F.sum(amount).alias("total"))


defs = dg.Definitions(
    assets=[orders, alone, together, hungry],
    jobs=[
        dg.define_asset_job("job_equal", selection=["orders", "alone", "together"]),
        dg.define_asset_job("job_hungry", selection=["hungry"]),
    ],
    resources={"io_manager": DeltaIOManager(root_uri=LAKE)},
    executor=worker_executor,
)
