"""Steps in pods by our executor: tables of one row."""

import os

import dagster as dg
import pyarrow as pa
from timed import said

from practicus_assets import DeltaIOManager, table_asset, worker_executor

STEPS = 5


def _table(number: int) -> dg.AssetsDefinition:
    @table_asset(name=f"step_{number}", deps=[f"step_{number - 1}"] if number else [])
    def step(context: dg.AssetExecutionContext) -> pa.Table:
        context.log.info(said())
        return pa.table({"n": [number]})

    return step


defs = dg.Definitions(
    [_table(number) for number in range(STEPS)],
    jobs=[dg.define_asset_job("steps")],
    executor=worker_executor,
    resources={"io_manager": DeltaIOManager(root_uri=os.environ.get("LAKE", "lake"))},
)
