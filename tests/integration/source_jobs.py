"""Jobs whose steps read a source: the shelf is where SHELF says, the lake where LAKE does."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pyarrow as pa

from practicus_assets import DeltaIOManager, Source, table_asset, worker_executor
from tests.integration.shelf import Shelf

shelf = Shelf(dg.EnvVar("SHELF"))
orders = Source("orders", shelf.table("orders"))


@table_asset
def early(orders: pa.RecordBatchReader) -> Iterator[Any]:
    """Copy the orders, and let somebody else empty them meanwhile."""
    shelf.put(orders=pa.table({"n": pa.array([], pa.int64())}))
    yield from orders


@table_asset(deps=["early"])
def late(orders: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """Copy the orders after that."""
    return orders


defs = dg.Definitions(
    assets=[orders, early, late],
    jobs=[
        dg.define_asset_job(
            "in_workers", ["early", "late"], executor_def=worker_executor.configured({"isolation": "process"})
        ),
        dg.define_asset_job("in_processes", ["early", "late"], executor_def=dg.multiprocess_executor),
    ],
    resources={"io_manager": DeltaIOManager(root_uri=dg.EnvVar("LAKE"))},
)


def in_workers() -> dg.JobDefinition:
    return defs.resolve_job_def("in_workers")


def in_processes() -> dg.JobDefinition:
    return defs.resolve_job_def("in_processes")
