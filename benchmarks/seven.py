"""Seven assets of a million rows, by hand and as table assets, in one process, in one each, and in workers.

python benchmarks/seven.py WAY EXECUTOR FOLDER

The first asset has rows, and each of the others reads one before it and writes as many.
"""

import os
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
from data import events

ROWS = 1_000_000
UPSTREAM = {"a": "", "b": "a", "c": "a", "d": "b", "e": "b", "f": "c", "g": "c"}
LAKE = "SEVEN_LAKE"


def _by_hand(name: str, upstream: str) -> dg.AssetsDefinition:
    from deltalake import DeltaTable, QueryBuilder, write_deltalake

    lake = Path(os.environ[LAKE])

    @dg.asset(name=name, deps=[upstream] if upstream else [])
    def table() -> dg.MaterializeResult[Any]:
        if upstream:
            stored = QueryBuilder().register("t", DeltaTable(lake / upstream)).execute("SELECT * FROM t")
            rows = pa.table(stored.read_all())
        else:
            rows = events(ROWS)
        write_deltalake(lake / name, rows, mode="overwrite")
        columns = [dg.TableColumn(field.name, str(field.type)) for field in rows.schema]
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": rows.num_rows,
                "dagster/column_schema": dg.TableSchema(columns),
            }
        )

    return table


def _ours(name: str, upstream: str) -> dg.AssetsDefinition:
    from practicus_assets import table_asset

    if not upstream:

        @table_asset(name=name)
        def first() -> pa.Table:
            return events(ROWS)

        return first

    @table_asset(name=name, ins={"rows": dg.AssetIn(upstream)})
    def next_one(rows: pa.Table) -> pa.Table:
        return rows

    return next_one


def _job(way: str, executor: dg.ExecutorDefinition) -> dg.JobDefinition:
    resources: dict[str, Any] = {}
    if way == "ours":
        from practicus_assets import DeltaIOManager

        resources["io_manager"] = DeltaIOManager(root_uri=os.environ[LAKE])
    make = _ours if way == "ours" else _by_hand
    assets = [make(name, upstream) for name, upstream in UPSTREAM.items()]
    job = dg.define_asset_job("seven", selection="*")
    definitions = dg.Definitions(assets=assets, jobs=[job], resources=resources, executor=executor)
    return definitions.resolve_job_def("seven")


def hand_in_process() -> dg.JobDefinition:
    """Return the job of assets by hand, in one process."""
    return _job("hand", dg.in_process_executor)


def hand_default() -> dg.JobDefinition:
    """Return the job of assets by hand, with Dagster's default: a process for each step."""
    return _job("hand", dg.multi_or_in_process_executor)


def ours_in_process() -> dg.JobDefinition:
    """Return the job of table assets, in one process."""
    return _job("ours", dg.in_process_executor)


def ours_default() -> dg.JobDefinition:
    """Return the job of table assets, with Dagster's default: a process for each step."""
    return _job("ours", dg.multi_or_in_process_executor)


def ours_worker() -> dg.JobDefinition:
    """Return the job of table assets in workers of this machine."""
    from practicus_assets import worker_executor

    return _job("ours", worker_executor)


def main() -> None:
    """Run one job; raise if it fails."""
    job = globals()[f"{sys.argv[1]}_{sys.argv[2]}"]
    folder = Path(sys.argv[3])
    os.environ[LAKE] = str(folder / "lake")
    home = folder / "home"
    home.mkdir(parents=True)
    os.environ["DAGSTER_HOME"] = str(home)
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    with dg.DagsterInstance.get() as instance:
        result = dg.execute_job(dg.reconstructable(job), instance, raise_on_error=False)
    if not result.success:
        raise SystemExit("the run failed")


if __name__ == "__main__":
    main()
