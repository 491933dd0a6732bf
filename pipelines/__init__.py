"""The pipeline that ships: a year of flights out of New York, cleaned, and joined with weather and planes."""

import os

import dagster as dg

from pipelines.sources import NYCFlights, source_tables
from pipelines.tables import final_table, table1_new, table2_new
from practicus_assets import (
    DeltaIOManager,
    build_diff_job,
    build_history_job,
    build_maintain_job,
    build_maintain_schedule,
    build_rollback_job,
    build_verify_job,
    worker_executor,
)

tables = [table1_new, table2_new, final_table]
maintain = build_maintain_job(tables)

defs = dg.Definitions(
    assets=[*source_tables, *tables],
    jobs=[
        build_history_job(tables),
        build_diff_job(tables),
        build_rollback_job(tables),
        build_verify_job(tables),
        maintain,
    ],
    schedules=[build_maintain_schedule(maintain, execution_timezone="America/New_York")],
    executor=worker_executor,
    resources={
        "io_manager": DeltaIOManager(root_uri=os.environ.get("PRACTICUS_LAKE", "lake")),
        "nycflights13": NYCFlights(),
    },
)
