"""The pipeline that ships: a year of flights out of New York, cleaned, and joined with weather and planes."""

import os

import dagster as dg

from pipelines.sources import NYCFlights, source_tables
from pipelines.tables import final_table, table1_new, table2_new
from practicus_assets import DeltaIOManager, worker_executor

defs = dg.Definitions(
    assets=[*source_tables, table1_new, table2_new, final_table],
    executor=worker_executor,
    resources={
        "io_manager": DeltaIOManager(root_uri=os.environ.get("PRACTICUS_LAKE", "lake")),
        "nycflights13": NYCFlights(),
    },
)
