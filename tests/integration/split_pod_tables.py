"""Tables whose splits are pods, for `test_split_pods`."""

import os

import dagster as dg
import pandas as pd
import pyarrow as pa

from practicus_assets import DeltaIOManager, Split, Splits, Worker, table_asset

DAYS = dg.StaticPartitionsDefinition(["a", "b"])
IN_PODS = Splits(3, worker=Worker(memory="1Gi"))


class Store(dg.ConfigurableResource):  # type: ignore[type-arg] # as authors write it
    user: str
    password: str


class Rate(dg.Config):
    rate: int = 2


@table_asset(partitions_def=DAYS, partition_by="day")
def orders(context: dg.AssetExecutionContext) -> pa.Table:
    return pa.table({"id": range(1000), "day": [context.partition_key] * 1000})


@table_asset(splits=IN_PODS, partitions_def=DAYS, partition_by="day")
def same(orders: pd.DataFrame, split: Split, store: Store, config: Rate) -> pd.DataFrame:
    assert store.password == os.environ["STORE_PASSWORD"]
    assert (split.partition_key, config.rate, len(orders)) == ("a", 5, 1000 // 3 + (split.index == 2))
    return orders


@table_asset(splits=IN_PODS)
def careless(split: Split, open_store: Store) -> pa.Table:
    return pa.table({"id": [split.index]})


@table_asset(splits=IN_PODS)
def raises(split: Split) -> pa.Table:
    raise ValueError(f"theirs, in {split}")


@table_asset(splits=IN_PODS)
def leaks(split: Split, store: Store) -> pa.Table:
    raise ConnectionError(f"no connection to postgresql://ann:{store.password}@base, by {split}")


defs = dg.Definitions(
    assets=[orders, same, careless, raises, leaks],
    resources={
        "io_manager": DeltaIOManager(
            root_uri=os.environ["LAKE"],
            storage_options={"AWS_SECRET_ACCESS_KEY": dg.EnvVar("STORE_PASSWORD")},
        ),
        "store": Store(user="ann", password=dg.EnvVar("STORE_PASSWORD")),
        "open_store": Store(user="ann", password="in the code for all to see"),  # noqa: S106 refused
    },
    jobs=[
        dg.define_asset_job(f"job_{name}", name, executor_def=dg.in_process_executor)
        for name in ("orders", "same", "careless", "raises", "leaks")
    ],
)
