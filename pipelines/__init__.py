"""The pipeline that ships: a year of flights out of New York, cleaned, and joined with weather and planes."""

import os

import dagster as dg

from pipelines.sources import are_on_servers, source_tables, warehouse
from pipelines.tables import final_table, table1_new, table2_new
from practicus_assets import (
    DeltaIOManager,
    Log,
    build_catch_up_schedule,
    build_condition_sensor,
    build_diff_job,
    build_history_job,
    build_maintain_job,
    build_maintain_schedule,
    build_notification_sensor,
    build_rollback_job,
    build_source_sensor,
    build_verify_job,
    export_asset,
    worker_executor,
)

tables = [table1_new, table2_new, final_table]
exports = []
if are_on_servers():
    single_run = dg.BackfillPolicy.single_run()
    exports.append(
        export_asset(final_table, warehouse(), "public.final_table", create=True, backfill_policy=single_run)
    )
maintain = build_maintain_job(tables)
daily = [table1_new, table2_new]  # final_table follows by its condition

defs = dg.Definitions(
    assets=[*source_tables, *tables, *exports],
    jobs=[
        build_history_job(tables),
        build_diff_job(tables),
        build_rollback_job(tables),
        build_verify_job(tables),
        maintain,
    ],
    schedules=[
        build_catch_up_schedule(daily, name="daily"),
        build_maintain_schedule(maintain, execution_timezone="America/New_York"),
    ],
    sensors=[
        build_source_sensor(source_tables, target=daily),
        build_condition_sensor(),
        build_notification_sensor([Log()], base_url=os.environ.get("DAGSTER_URL", "")),
    ],
    executor=worker_executor,
    resources={"io_manager": DeltaIOManager(root_uri=os.environ.get("PRACTICUS_LAKE", "lake"))},
)
