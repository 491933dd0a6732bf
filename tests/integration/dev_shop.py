"""A code location with a table, or what is like one, of every kind, for lakes over a base."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import polars as pl

from practicus_assets import (
    Column,
    Contract,
    DeltaIOManager,
    Files,
    Snapshot,
    build_diff_job,
    build_history_job,
    build_maintain_job,
    build_maintain_schedule,
    build_plan_job,
    build_release_asset,
    build_rollback_job,
    build_verify_job,
    export_asset,
    table_asset,
    task_asset,
)

KEYS = dg.StaticPartitionsDefinition(["a", "b", "c", "d"])
TASK = "from practicus_assets import task\ntask.table('task_rows').append([{'n': 1}])\n"
SMALL = Contract({"n": Column("int64", minimum=0)})


@dataclass
class Output:
    """What the tables' functions return next.

    Attributes:
        number: the number in their rows.

    """

    number: int = 1


NEXT = Output()


def numbers(key: str = "") -> pd.DataFrame:
    return pd.DataFrame({"p": [key] * 2, "n": [NEXT.number, NEXT.number + 1]})


@table_asset(
    partitions_def=KEYS, partition_by="p", contract=SMALL, backfill_policy=dg.BackfillPolicy.single_run()
)
def orders(context: dg.AssetExecutionContext) -> Iterator[pd.DataFrame]:
    for key in context.partition_keys:
        yield numbers(key)


@table_asset
def total(orders: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"n": [int(orders["n"].sum())]})


@table_asset(mode="append", partitions_def=KEYS, partition_by="p")
def events(context: dg.AssetExecutionContext) -> pd.DataFrame:
    return numbers(context.partition_key)


@table_asset(mode="merge", merge_keys=["n"])
def customers() -> pd.DataFrame:
    return numbers("x")


@table_asset(mode="merge", merge_keys=["n"], delete_unmatched=True)
def stock(total: Snapshot) -> pl.DataFrame:
    return pl.DataFrame({"n": total.to_polars()["n"]})


@dg.asset
def plain() -> pd.DataFrame:
    return numbers("x")


@dg.asset(partitions_def=KEYS, metadata={"delta/partition_by": "p", "delta/mode": "append"})
def plain_parts(context: dg.AssetExecutionContext) -> pd.DataFrame:
    return numbers(context.partition_key)


@dg.multi_asset(outs={"left": dg.AssetOut(), "right": dg.AssetOut()})
def both() -> tuple[pd.DataFrame, pd.DataFrame]:
    return numbers("l"), numbers("r")


@dg.op
def op_rows() -> pd.DataFrame:
    return numbers("o")


@dg.op
def op_table(rows: pd.DataFrame) -> pd.DataFrame:
    return rows


@dg.graph_asset
def of_graph() -> Any:
    return op_table(op_rows())


@table_asset
def only_here() -> pd.DataFrame:
    return numbers("x")


JOBS = {
    "build_diff_job": build_diff_job,
    "build_history_job": build_history_job,
    "build_maintain_job": build_maintain_job,
    "build_plan_job": build_plan_job,
    "build_rollback_job": build_rollback_job,
    "build_verify_job": build_verify_job,
}


def make(lake: DeltaIOManager, folder: Path) -> dg.Definitions:
    """Return the definitions; `folder` has the task's file, and gets what is exported."""
    tables = [orders, total, events, customers, stock, plain, plain_parts, both, of_graph, only_here]
    out = Files(str(folder / "out"))
    exports = [
        export_asset(orders, to=out, table="orders/{p}.csv", key="orders_there"),
        export_asset(customers, to=out, table="customers.csv", key="customers_there"),
    ]
    jobs = [build() for build in JOBS.values()]
    maintain = jobs[[*JOBS].index("build_maintain_job")]
    return dg.Definitions(
        assets=[
            *tables,
            *exports,
            build_release_asset("release", ["only_here"]),
            build_release_asset("mixed", ["orders"]),
            task_asset(folder / "load.py", key="task_rows", table={"mode": "append"}, artifacts=["*.txt"]),
        ],
        jobs=jobs,
        schedules=[build_maintain_schedule(maintain)],
        resources={"io_manager": lake},
    )
