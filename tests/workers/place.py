"""A place where steps run, as the tests of workers see it: start a job there, and look at what it did."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._grpc.types import ResumeRunArgs
from deltalake import DeltaTable

from tests.servers.server import HANGS_S

HERE = Path(__file__).parent


@dataclass
class Run:
    """A run, by the events that it left."""

    instance: dg.DagsterInstance
    run_id: str
    output: str = ""

    @property
    def succeeded(self) -> bool:
        run = self.instance.get_run_by_id(self.run_id)
        return run is not None and run.status is dg.DagsterRunStatus.SUCCESS

    def events(self, kind: str, step: str | None = None) -> list[Any]:
        entries = self.instance.all_logs(self.run_id, of_type=dg.DagsterEventType(kind))
        found = [each.dagster_event for each in entries]
        return [each for each in found if each is not None and step in {None, each.step_key}]

    def messages(self, step: str | None = None) -> str:
        return "\n".join(each.message or "" for each in self.events("ENGINE_EVENT", step))

    def error(self, kind: str, step: str) -> str:
        [event] = self.events(kind, step)
        return str(event.event_specific_data.error.to_string())

    def metadata(self, kind: str, step: str, position: int = 0) -> dict[str, Any]:
        data = self.events(kind, step)[position].event_specific_data
        metadata = data.user_failure_data.metadata if kind == "STEP_FAILURE" else data.metadata
        return {key: value.value for key, value in metadata.items()}

    def times(self, kind: str, step: str) -> list[float]:
        entries = self.instance.all_logs(self.run_id, of_type=dg.DagsterEventType(kind))
        return [e.timestamp for e in entries if e.dagster_event and e.dagster_event.step_key == step]


@dataclass
class Place:
    """A place: an instance, a lake, and the executor's configuration."""

    home: Path
    lake: str
    storage_options: Mapping[str, str] = field(repr=False)
    config: Mapping[str, Any]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    module: str = "steps"
    folder: Path = HERE

    def start(
        self, job: str, *, tags: Mapping[str, str] | None = None, config: Mapping[str, Any] | None = None
    ) -> "subprocess.Popen[str]":
        """Start a job by Dagster's command line."""
        executor = {**self.config, **(config or {})}
        file = self.home / f"{job}.json"
        file.write_text(json.dumps({"execution": {"config": executor}}))
        command = [sys.executable, "-W", "ignore", "-m", "dagster", "job", "execute", "-m", self.module]
        command += ["-a", "defs", "-j", f"job_{job}", "-c", str(file), "--tags", json.dumps(dict(tags or {}))]
        return subprocess.Popen(
            command,
            env=self._whole_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(
        self,
        job: str,
        *,
        tags: Mapping[str, str] | None = None,
        config: Mapping[str, Any] | None = None,
        parent: str | None = None,
    ) -> Run:
        """Run a job to its end, without a process of its own for the run.

        The executor then is this process's, and so is the server that local steps are forked from: it has
        imported everything when the second run begins. Steps must not run in this process.
        """
        executor = {**self.config, **(config or {})}
        result = dg.execute_job(
            self._job(job),
            instance=self.instance,
            run_config={"execution": {"config": executor}},
            tags=dict(tags or {}),
            reexecution_options=dg.ReexecutionOptions(parent) if parent is not None else None,
        )
        return Run(self.instance, result.run_id)

    def run_by_command(self, job: str, **options: Any) -> Run:
        """Run a job to its end by Dagster's command line."""
        process = self.start(job, **options)
        try:
            output, _ = process.communicate(timeout=HANGS_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(process.communicate()[0][-4000:]) from None
        run = self.newest(job)
        run.output = output
        return run

    def resume(self, job: str) -> Run:
        """Go on with a run whose process died, as Dagster's monitoring of runs does."""
        run = self.newest(job)
        recorded = run.instance.get_run_by_id(run.run_id)
        assert recorded is not None
        assert recorded.job_code_origin is not None
        args = ResumeRunArgs(recorded.job_code_origin, run.run_id, run.instance.get_ref())
        process = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", *args.get_command_args()],
            env=self._whole_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        run.output = process.stdout
        return run

    def _whole_environment(self) -> dict[str, str]:
        return {**os.environ, "DAGSTER_HOME": str(self.home), "LAKE": self.lake, **self.environment}

    def _job(self, job: str) -> Any:
        repository = ReconstructableRepository.for_module(
            self.module, "defs", working_directory=str(self.folder)
        )
        os.environ.update(self.environment)
        return repository.get_reconstructable_job(f"job_{job}")

    @property
    def instance(self) -> dg.DagsterInstance:
        os.environ.update(self.environment)  # passwords that the instance's configuration names
        return dg.DagsterInstance.from_config(str(self.home))

    def newest(self, job: str) -> Run:
        instance, filters = self.instance, dg.RunsFilter(job_name=f"job_{job}")
        [run] = until(lambda: instance.get_runs(filters, limit=1), f"a run of {job} to be recorded")
        return Run(instance, run.run_id)

    def table(self, name: str) -> DeltaTable:
        return DeltaTable(f"{self.lake}/{name}", storage_options=dict(self.storage_options))

    def rows(self, name: str) -> list[dict[str, Any]]:
        return self.table(name).to_pyarrow_table().to_pylist()


def until(condition: Callable[[], Any], what: str) -> Any:
    """Return what a condition gives once it gives something.

    The bound only ends a test that hangs; a busy machine takes long.
    """
    deadline = time.monotonic() + HANGS_S
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {HANGS_S} s in vain for {what}"
        time.sleep(0.3)
