"""The variant on flights times N: one join and one sum in four ways, from one process to Spark Connect.

It is a code location of its own, which the shipped one does not load: `dagster dev -m pipelines.large`.
Each way makes the same tables from the same inputs, so their data versions are equal.
`make large FACTOR=100` runs and compares them all.
"""

import os

import dagster as dg

from pipelines.large.inputs import airlines, flights, planes, weather
from pipelines.large.spark_tables import by_spark
from pipelines.large.tables import by_splits, in_memory, streamed
from pipelines.sources import source_tables
from practicus_assets import DeltaIOManager

inputs = [flights, weather, planes, airlines]
WAYS = {"memory": in_memory, "stream": streamed, "splits": by_splits, "spark": by_spark}

# one process for a run, so that what a way takes is what it takes, and not what its workers take to start
_jobs = {"inputs": inputs, **WAYS}
defs = dg.Definitions(
    assets=[*source_tables, *inputs, *(table for tables in WAYS.values() for table in tables)],
    jobs=[
        dg.define_asset_job(name, dg.AssetSelection.assets(*tables), executor_def=dg.in_process_executor)
        for name, tables in _jobs.items()
    ],
    resources={"io_manager": DeltaIOManager(root_uri=os.environ.get("PRACTICUS_LAKE", "lake"))},
)
