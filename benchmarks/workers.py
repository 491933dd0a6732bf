"""What a small step costs on this machine: in the run's process, forked from a warm server, and spawned.

Run it by hand: python -W ignore benchmarks/workers.py. It prints seconds a step, and ratios within one run.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import dagster as dg
import pandas as pd

from practicus_assets import DeltaIOManager, table_asset, worker_executor

STEPS = 8
EXECUTORS = {
    "in the run's process": worker_executor.configured({"backend": "local", "isolation": "none"}, "bare"),
    "forked, warm": worker_executor.configured(
        {"backend": "local", "isolation": "process", "max_concurrent": 1}, "forked"
    ),
    "spawned (Dagster's multiprocess)": dg.multiprocess_executor.configured({"max_concurrent": 1}, "spawned"),
}


def _table(number: int) -> dg.AssetsDefinition:
    @table_asset(name=f"table_{number}")
    def table() -> pd.DataFrame:
        return pd.DataFrame({"n": [number]})

    return table


def _job(executor: str) -> dg.JobDefinition:
    return dg.Definitions(
        assets=[_table(number) for number in range(STEPS)],
        executor=EXECUTORS[executor],
        jobs=[dg.define_asset_job("all_tables")],
        resources={"io_manager": DeltaIOManager(root_uri=os.environ["LAKE"])},
    ).resolve_job_def("all_tables")


def bare() -> dg.JobDefinition:
    """Return the job whose steps share the run's process."""
    return _job("in the run's process")


def forked() -> dg.JobDefinition:
    """Return the job whose steps are forked."""
    return _job("forked, warm")


def spawned() -> dg.JobDefinition:
    """Return the job whose steps are spawned."""
    return _job("spawned (Dagster's multiprocess)")


def main() -> None:
    """Time each executor on the same steps, one at a time."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DAGSTER_HOME"] = folder
        Path(folder, "dagster.yaml").write_text(
            "telemetry: {enabled: false}\npython_logs: {python_log_level: ERROR}\n"
        )
        first = None
        for name, job in zip(EXECUTORS, (bare, forked, spawned), strict=True):
            os.environ["LAKE"] = f"{folder}/{job.__name__}"
            with dg.DagsterInstance.get() as instance:
                dg.execute_job(dg.reconstructable(job), instance)  # starts the server, fills caches
                started = time.perf_counter()
                result = dg.execute_job(dg.reconstructable(job), instance)
                seconds = (time.perf_counter() - started) / STEPS
            assert result.success
            first = first or seconds
            print(f"{name:34} {seconds:6.2f} s a step, {seconds / first:5.1f} times", file=sys.stdout)


if __name__ == "__main__":
    main()
