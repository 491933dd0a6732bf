"""Tables whose splits are pods, and the same rows by processes; in a pod this file is a ConfigMap's."""

import os
import time

import dagster as dg
import pandas as pd
import pyarrow as pa

from practicus_assets import DeltaIOManager, Split, Splits, Worker, table_asset, worker_executor

SMALL = Worker(cpu="50m", memory="500Mi")
GROWING = Worker(cpu="50m", memory="400Mi", memory_limit="1Gi")
HUNGER = 12 * 50  # MiB, more than the first pod of a split may have


@table_asset(worker=SMALL)
def orders() -> pa.Table:
    return pa.table({"id": range(1000), "amount": [i / 8 for i in range(1000)]})


@table_asset(worker=SMALL, splits=Splits(3, worker=GROWING))
def in_pods(orders: pd.DataFrame, split: Split) -> pd.DataFrame:
    print(f"this is {split}", flush=True)
    if split.index == 1:
        held = [bytearray(50 << 20) for _ in range(HUNGER // 50)]
        print(f"held {len(held)}", flush=True)
    return orders.assign(amount=orders["amount"] * 2)


@table_asset(worker=SMALL, splits=Splits(3, at_once=1))
def in_processes(orders: pd.DataFrame) -> pd.DataFrame:
    return orders.assign(amount=orders["amount"] * 2)


@table_asset(worker=SMALL, splits=Splits(2, worker=SMALL))
def slow(split: Split) -> pa.Table:
    print("begun", flush=True)
    time.sleep(3600)
    return pa.table({"part": [split.index]})


defs = dg.Definitions(
    assets=[orders, in_pods, in_processes, slow],
    resources={
        "io_manager": DeltaIOManager(
            root_uri=os.environ["LAKE"],
            storage_options={"AWS_SECRET_ACCESS_KEY": dg.EnvVar("AWS_SECRET_ACCESS_KEY")},
        )
    },
    jobs=[
        dg.define_asset_job("job_both", ["orders", "in_pods", "in_processes"], executor_def=worker_executor),
        dg.define_asset_job("job_slow", "slow", executor_def=worker_executor),
    ],
)
