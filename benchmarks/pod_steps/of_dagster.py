"""Steps in pods by Dagster alone: its executor, and assets that do nothing."""

from typing import Any

import dagster as dg
from dagster_k8s import k8s_job_executor
from timed import said

STEPS = 5


def _asset(number: int) -> dg.AssetsDefinition:
    @dg.asset(name=f"step_{number}", deps=[f"step_{number - 1}"] if number else [])
    def step(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        context.log.info(said())
        return dg.MaterializeResult()

    return step


defs = dg.Definitions(
    [_asset(number) for number in range(STEPS)],
    jobs=[dg.define_asset_job("steps")],
    executor=k8s_job_executor,
)
