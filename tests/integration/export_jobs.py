"""A job that exports: the lake is where LAKE says, the servers where POSTGRESQL, MARIADB and FILES do."""

import os

import dagster as dg
import pandas as pd

from practicus_assets import (
    DeltaIOManager,
    Files,
    MySQL,
    PostgreSQL,
    Worker,
    export_asset,
    table_asset,
    worker_executor,
)

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-05")


@table_asset(partitions_def=DAYS, partition_by="day", backfill_policy=dg.BackfillPolicy.single_run())
def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
    days = pd.to_datetime(context.partition_keys).date
    return pd.DataFrame({"day": days, "n": range(len(days))})


def definitions() -> dg.Definitions:
    host, port, user, database = os.environ["POSTGRESQL"].split()
    shop = PostgreSQL(
        host=host, port=int(port), user=user, database=database, password=dg.EnvVar("POSTGRESQL_PASSWORD")
    )
    host, port, user, database = os.environ["MARIADB"].split()
    till = MySQL(
        host=host, port=int(port), user=user, database=database, password=dg.EnvVar("MARIADB_PASSWORD")
    )
    one_run = dg.BackfillPolicy.single_run()
    exports = [
        export_asset(
            orders, to=shop, table="orders", create=True, worker=Worker(memory="1Gi"), backfill_policy=one_run
        ),
        export_asset(orders, to=till, table="orders", create=True, backfill_policy=one_run),
        export_asset(
            orders, to=Files(os.environ["FILES"]), table="orders/day={day}.csv", backfill_policy=one_run
        ),
    ]
    return dg.Definitions(
        assets=[orders, *exports],
        jobs=[dg.define_asset_job("in_workers", "*", executor_def=worker_executor)],
        resources={"io_manager": DeltaIOManager(root_uri=dg.EnvVar("LAKE"))},
    )


def in_workers() -> dg.JobDefinition:
    return definitions().resolve_job_def("in_workers")
