"""Jobs whose steps read PostgreSQL, at POSTGRESQL_PORT, with POSTGRESQL_PASSWORD."""

import os
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import dagster as dg
import psycopg2
import pyarrow as pa

from practicus_assets import DeltaIOManager, PostgreSQL, Source, table_asset, worker_executor


def database() -> PostgreSQL:
    return PostgreSQL(
        host="127.0.0.1",
        port=int(os.environ["POSTGRESQL_PORT"]),
        database=os.environ["POSTGRESQL_DATABASE"],
        user="tests",
        password=dg.EnvVar("POSTGRESQL_PASSWORD"),
        connect_attempts=1,
    )


def execute(statement: str) -> None:
    """Run a statement as somebody else."""
    shop = database()
    password = os.environ["POSTGRESQL_PASSWORD"]
    login = {"host": shop.host, "port": shop.port, "dbname": shop.database, "user": shop.user}
    with closing(psycopg2.connect(**login, password=password)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        connection.commit()


@table_asset
def early(orders: pa.RecordBatchReader) -> Iterator[Any]:
    """Copy the orders, and let somebody else delete them meanwhile."""
    for batch in orders:
        execute("DELETE FROM orders")
        yield batch


@table_asset(deps=["early"])
def late(orders: pa.RecordBatchReader, doubled: pa.Table) -> Iterator[Any]:
    """Copy the orders after that, and count what a query of the same database gives."""
    for batch in orders:
        yield batch.append_column("doubled", pa.array([doubled.num_rows] * batch.num_rows))


def definitions() -> dg.Definitions:
    shop = database()
    workers = worker_executor.configured({"isolation": "process"})
    return dg.Definitions(
        assets=[
            Source("orders", shop.table("public.orders")),
            Source("doubled", shop.query("SELECT id * 2 AS id FROM orders", name="doubled")),
            early,
            late,
        ],
        jobs=[
            dg.define_asset_job("in_workers", ["early", "late"], executor_def=workers),
            dg.define_asset_job("in_one_process", ["early", "late"], executor_def=dg.in_process_executor),
        ],
        resources={"io_manager": DeltaIOManager(root_uri=os.environ["LAKE"])},
    )


def in_workers() -> dg.JobDefinition:
    return definitions().resolve_job_def("in_workers")


def in_one_process() -> dg.JobDefinition:
    return definitions().resolve_job_def("in_one_process")
