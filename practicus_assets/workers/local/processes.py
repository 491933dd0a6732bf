"""Processes: workers on this machine, forked from a server that has the libraries loaded."""

import math
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import dagster as dg

from practicus_assets.errors import WorkerCrashed, WorkerTimedOut
from practicus_assets.instance.events import has_ended
from practicus_assets.workers.launch import usage, variables
from practicus_assets.workers.launch.attempt import Attempt
from practicus_assets.workers.launch.entrypoint import run_child
from practicus_assets.workers.launch.handler import Failure, WorkerHandler
from practicus_assets.workers.launch.pod_storage import in_pod
from practicus_assets.workers.placement.configuration import Configuration

# Libraries only: the author's module may start threads when it is imported, which do not survive a fork.
_PRELOADED = ["dagster._cli.api", "pandas", "pyarrow.parquet", "deltalake"]
_PRELOADED += ["practicus_assets.assets.table_asset", "practicus_assets.workers.executor"]
_PRELOADED += [  # what steps import when they begin
    "practicus_assets.assets.values.loaded_input",
    "practicus_assets.assets.values.plain_output",
    "practicus_assets.assets.writes.step_run",
    "practicus_assets.assets.splits.staging",
    "practicus_assets.engines.spark.run",
]
_GRACE_S = 15
_SIGKILL = 9


def process_context() -> Any:
    """Return the context of `multiprocessing` whose processes begin with the libraries loaded."""
    # elsewhere than on Linux, system libraries do not survive a fork either
    context: Any = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
    context.set_forkserver_preload(_PRELOADED)
    return context


class ProcessHandler(WorkerHandler):
    """Runs each step in a process of its own, with the `env`, logs and time limit of its worker."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__(configuration)
        self._processes: dict[str, multiprocessing.process.BaseProcess] = {}
        self._limits: dict[str, tuple[float, int]] = {}  # a moment of the monotonic clock, and its seconds
        self._context = process_context()

    @property
    def name(self) -> str:
        """The backend's name in the run's log."""
        return "local processes"

    def _launch(self, attempt: Attempt) -> Iterator[dg.DagsterEvent]:
        placement = attempt.placement(self.configuration)
        worker = placement.worker
        # the server that forks it may have started before a variable of this process was set
        environment = {**os.environ, **(worker.env or {})}
        environment |= attempt.environment(worker, placement.region.roots)
        environment |= usage.of_worker(attempt.run.run_id, attempt.step, worker)
        environment[variables.FOLDER] = str(variables.working_folder())
        environment[variables.IN_POD] = "yes" if in_pod() else "no"
        if worker.time_limit_seconds is not None:
            environment[variables.TIME_LIMIT] = str(worker.time_limit_seconds)
        process = self._context.Process(
            target=run_child, args=(["api", "execute_step"], environment), name=attempt.step
        )
        yield dg.DagsterEvent.step_worker_starting(
            attempt.step_context, f'Executing step "{attempt.step}" in a process of its own.', {}
        )
        process.start()
        self._processes[attempt.step] = process
        self._limits.pop(attempt.step, None)
        if worker.time_limit_seconds is not None and not attempt.is_task:
            limit = worker.time_limit_seconds
            self._limits[attempt.step] = (time.monotonic() + limit, limit)

    def _look(self, attempt: Attempt) -> Failure | None:
        process = self._processes.get(attempt.step)
        code = process.exitcode if process is not None else None
        moment, limit = self._limits.get(attempt.step, (math.inf, 0))
        late = process is not None and code is None and time.monotonic() > moment
        if process is not None and code is None:
            if not late:
                return None
            process.kill()  # without a word, as a pod ends: the step would report a failure of its own
            process.join()
        if has_ended(attempt.instance, attempt.run.run_id, attempt.step, attempt.number):
            return None
        if late:
            return Failure(
                WorkerTimedOut(
                    f"it ran longer than its time_limit_seconds, which is {limit}.",
                    "Raise time_limit_seconds, or find out what takes so long.",
                )
            )
        if code is None:
            return Failure(WorkerCrashed("its process is gone with the run's earlier process."))
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        advice = "The kernel does so when memory runs out." if code == -_SIGKILL else ""
        return Failure(
            WorkerCrashed(f"its process {how} before it reported the step's result.", advice),
            metadata={"Exit code": code},
        )

    def _terminate(self, attempt: Attempt) -> None:
        process = self._processes.get(attempt.step)
        if process is not None:
            process.terminate()
            process.join(_GRACE_S)
            process.kill()
