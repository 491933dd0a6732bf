"""Tables that Ray computes, made by `python -m tests.integration.ray_tables ROOT CASE` where Ray is.

The last line of its output says how each run ended, as JSON.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import ray
from dagster_ray import Lifecycle, LocalRay, RayResource

import practicus_assets
from practicus_assets import Column, Contract, DeltaIOManager, Snapshot, StagedParquet, table_asset

ROOT = Path(sys.argv[1])
PAGE = Path(__file__).parents[2] / "docs" / "scale.md"
CONTRACT = Contract({"day": "date32", "shop": "string", "amount": Column("float64", minimum=0)})
DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-07")
NEVER: dict[str, Any] = {"max_retries": 0}


@table_asset(partition_by="day")
def orders() -> pl.DataFrame:
    numbers = range(3000)
    rows = pl.DataFrame({"shop": [f"s{i % 97}" for i in numbers], "amount": [float(i) for i in numbers]})
    return rows.with_columns(day=pl.Series([f"2026-01-0{1 + i % 6}" for i in numbers]).str.to_date())


@table_asset(partition_by="day", contract=CONTRACT)
def alone(orders: pl.DataFrame) -> pl.DataFrame:
    return orders.group_by("day", "shop").agg(pl.sum("amount"))


def table(
    name: str,
    then: Callable[[str, str], object] = lambda *_: None,
    change: Callable[[pa.Table], pa.Table] = lambda rows: rows,
    retries: dict[str, Any] = NEVER,
    only: str = "",
    **options: Any,
) -> Any:
    """Return a table as that of the page.

    Args:
        name: its name.
        then: is called in a worker of Ray before it gives a day's rows, with the day and the staged place.
        change: makes bad rows of good ones.
        retries: how often Ray runs a task again whose worker died.
        only: the day that is computed; all by default.
        options: of the asset.

    """

    @table_asset(name=name, partition_by="day", contract=CONTRACT, **options)
    def made(orders: Snapshot, staged: StagedParquet, ray_cluster: RayResource) -> StagedParquet:
        uri, version, place = orders.table_uri, orders.version, staged.uri

        def totals_of(days: pa.Table) -> Iterator[pa.Table]:
            for day in days["day"].to_pylist():
                rows = Snapshot.open(uri, version, partitions=[day]).to_arrow()
                sums = rows.group_by(["day", "shop"]).aggregate([("amount", "sum")])
                then(str(day), place)
                yield change(sums.rename_columns(["day", "shop", "amount"]))

        days = sorted({file.values["day"] for file in orders.table_files if only in str(file.values["day"])})
        parts = ray.data.from_items([{"day": day} for day in days], override_num_blocks=len(days))
        rows = parts.map_batches(totals_of, batch_format="pyarrow", batch_size=1, **retries)
        rows.write_parquet(staged.uri, partition_cols=["day"], ray_remote_args=retries)
        return staged

    return made


def of_the_page() -> Any:
    [block] = [code for code in PAGE.read_text(encoding="utf-8").split("```") if "write_parquet" in code]
    names = {
        **{name: getattr(practicus_assets, name) for name in practicus_assets.__all__},
        "dg": dg,
        "pa": pa,
    }
    names["Iterator"] = Iterator
    exec(compile(block.removeprefix("python"), str(PAGE), "exec"), names)  # noqa: S102 our own page
    return names["totals"]


def first(marker: str, end: Callable[[], object], day: str, place: str) -> None:
    """Do something in the worker that has one of the days, once others have written, the first time alone."""
    if day != "2026-01-05" or (ROOT / marker).exists():
        return
    while not any(Path(place).rglob("*.parquet")):
        time.sleep(0.1)
    (ROOT / marker).touch()
    end()


def killed(name: str, **options: Any) -> Any:
    """Return a table whose first worker of Ray for a day is killed."""
    return table(name, partial(first, f"{name}-now", lambda: os.kill(os.getpid(), signal.SIGKILL)), **options)


def held(name: str) -> Any:
    """Return a table whose first worker of Ray for a day goes on for long."""
    return table(name, partial(first, f"{name}-now", lambda: time.sleep(600)))


def tomorrow(rows: pa.Table) -> pa.Table:
    days = pa.array([pa.scalar("2026-01-06").cast(pa.date32())] * rows.num_rows)
    return rows.set_column(0, "day", days)


def null(rows: pa.Table) -> pa.Table:
    return rows.set_column(0, "day", pa.nulls(rows.num_rows, pa.date32()))


def narrow(rows: pa.Table) -> pa.Table:
    return rows.set_column(2, "amount", rows["amount"].cast(pa.float32()))


def negative(rows: pa.Table) -> pa.Table:
    return rows.set_column(2, "amount", pc.negate(rows["amount"]))


def run(name: str, asset: Any, **options: Any) -> dict[str, Any]:
    """Return how a run ended, and what the table holds then."""
    cluster = LocalRay(lifecycle=Lifecycle(connect=not ray.is_initialized()))
    resources = {"io_manager": DeltaIOManager(root_uri=str(ROOT)), "ray_cluster": cluster}
    result = dg.materialize(
        [orders, alone, asset], selection=[name], resources=resources, raise_on_error=False, **options
    )
    ended: dict[str, Any] = {"error": None, "data_version": None}
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            ended["error"] = (
                f"{error.cls_name}: {error.message}" if error.cause is None else error.cause.to_string()
            )
    for event in result.get_asset_materialization_events():
        ended["data_version"] = event.step_materialization_data.materialization.tags["dagster/data_version"]
    if (ROOT / name / "_delta_log").exists():
        there = Snapshot.open(ROOT / name)
        ended |= {"version": there.version, "rows": there.row_count}
        ended["amount"] = there.to_polars()["amount"].sum()
    return ended


CASES: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "the inputs": lambda: [run("orders", orders), run("alone", alone)],
    "the page": lambda: [run("totals", of_the_page())],
    "a worker dies": lambda: [run("dies", killed("dies")), run("dies", killed("dies"))],
    "a worker dies, and Ray tries again": lambda: [run("again", killed("again", retries={}))],
    "held": lambda: [run("held", held("held"))],
    "bad rows": lambda: [
        run(
            "bad",
            table("bad", change=change, only="2026-01-01", partitions_def=DAYS),
            partition_key="2026-01-01",
        )
        for change in (lambda rows: rows, tomorrow, null, narrow, negative)
    ],
}

if __name__ == "__main__":
    if sys.argv[2] != "the page":  # there the resource connects
        ray.init()  # to RAY_ADDRESS
    sys.stdout.write(f"\n{json.dumps(CASES[sys.argv[2]]())}\n")
