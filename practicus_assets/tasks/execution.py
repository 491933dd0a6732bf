"""Executions: one attempt at a task, from its folder to what it left."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from practicus_assets.assets.io_manager import DeltaIOManager
from practicus_assets.assets.runs import attempt_of, subject_of
from practicus_assets.errors import PracticusAssetsError, TaskFailed
from practicus_assets.tasks import in_pod, told, variables
from practicus_assets.tasks.artifacts import Artifacts
from practicus_assets.tasks.exit_codes import ExitCodes
from practicus_assets.tasks.folder import Workspace
from practicus_assets.tasks.masking import secrets_of
from practicus_assets.tasks.pipes import pipes_session
from practicus_assets.tasks.process import run
from practicus_assets.tasks.program import Program
from practicus_assets.workers.launch import pod_memory
from practicus_assets.workers.launch.variables import TIME_LIMIT

_CLOCKS_DIFFER_S = 2.0  # of a folder on another machine


@dataclass(frozen=True)
class Report:
    """What an attempt at a task left.

    Attributes:
        succeeded: whether the asset is materialized; False if the task skipped it.
        shown: what to show of it.
        reported: what the task reported of its assets.
        check_results: results of checks that the task reported.
        failure: what to raise once these are recorded; None if it did not fail.

    """

    succeeded: bool
    shown: Mapping[str, Any] = field(default_factory=dict)
    reported: Sequence[dg.MaterializeResult[Any]] = ()
    check_results: Sequence[dg.AssetCheckResult] = ()
    failure: Exception | None = None

    def metadata(self, key: dg.AssetKey) -> dict[str, Any]:
        """Return what to show of the materialization of an asset."""
        metadata = dict(self.shown)
        for report in self._of(key):
            metadata |= report.metadata or {}
        return metadata

    def data_version(self, key: dg.AssetKey) -> dg.DataVersion | None:
        """Return the data version that the task reported of an asset; None if it reported none."""
        versions = [report.data_version for report in self._of(key) if report.data_version is not None]
        return versions[-1] if versions else None

    def _of(self, key: dg.AssetKey) -> list[dg.MaterializeResult[Any]]:
        return [report for report in self.reported if report.asset_key == key]


@dataclass(frozen=True)
class Execution:
    """How a task is run.

    Attributes:
        program: what is run.
        in_place: whether it runs in its own folder, and not in a copy.
        bare_image: whether in a pod it runs in an image that has not this package.
        exit_codes: what its exit code means.
        artifacts: which of its files are kept.
        time_limit_seconds: the time after which it is ended; None for no limit.

    """

    program: Program
    in_place: bool = False
    bare_image: bool = False
    exit_codes: ExitCodes = field(default_factory=ExitCodes)
    artifacts: Artifacts = field(default_factory=Artifacts)
    time_limit_seconds: float | None = None

    @property
    def copied(self) -> Path | None:
        """The folder of which an attempt gets a copy; None for none."""
        return None if self.in_place else self.program.folder

    def run(
        self,
        context: dg.AssetExecutionContext,
        workspace: Workspace,
        parameters: Mapping[str, Any],
        lake: DeltaIOManager | None,
        tables: Path,
    ) -> Report:
        """Run the task to its end.

        Args:
            context: the step's.
            workspace: where it runs.
            parameters: by name; they become environment variables.
            lake: where artifacts are kept; None if there are none.
            tables: the folder that takes rows of tables.

        Raises:
            TaskFailed: if what it reported is not complete.

        """
        folder = self.program.folder if self.in_place and self.program.folder else workspace.folder
        attempt = attempt_of(context)
        failure: Exception | None = None
        succeeded = False
        in_own_pod = self.bare_image and in_pod.is_asked_for()
        if in_own_pod:
            environment = told.by_value(context, parameters, attempt)
        else:
            environment = told.environment(context, parameters, attempt, workspace.beside)
            environment[variables.TABLES] = str(tables)
        secrets = secrets_of(environment)
        with pipes_session(context, dict(parameters), by_files=not in_own_pod) as pipes:
            began = time.time()
            environment |= pipes.variables
            try:
                if in_own_pod:
                    told.refuse_long(environment)
                    ended = in_pod.run(self.program.command, environment, secrets, pipes.take)
                else:
                    killed = pod_memory.kills()
                    ended = run(self.program.command, folder, environment, secrets, self._time_limit())
                    pod_memory.end_if_killed(ended.code, killed)
                succeeded = self.exit_codes.judge(ended, context.op_def.retry_policy)
            except (TaskFailed, dg.Failure, dg.RetryRequested) as error:
                failure = _final(error) if variables.WORKSPACE in os.environ else error
            kept = self._kept(folder, began, lake, context, failure)
        checks = [report for report in pipes.reports if isinstance(report, dg.AssetCheckResult)]
        if failure is not None:
            return Report(succeeded=False, check_results=checks, failure=failure)
        if succeeded:
            pipes.refuse_unclosed()
        outcome = "" if succeeded else ", by which it says that there is nothing to do"
        name = subject_of(context).to_user_string()
        context.log.info("%s: the task %s after %.1f s%s", name, ended.how, ended.seconds, outcome)
        metadata: dict[str, Any] = {
            "practicus/exit_code": ended.code,
            "practicus/duration_s": round(ended.seconds, 3),
            **kept,
        }
        reported = [report for report in pipes.reports if isinstance(report, dg.MaterializeResult)]
        return Report(succeeded, metadata, reported, checks)

    def _time_limit(self) -> float | None:
        """Return the limit that the step's worker has in this run; that of its declaration is part of it."""
        limit = os.environ.get(TIME_LIMIT)
        return float(limit) if limit else self.time_limit_seconds

    def _kept(
        self,
        folder: Path,
        began: float,
        lake: DeltaIOManager | None,
        context: dg.AssetExecutionContext,
        failure: Exception | None,
    ) -> Mapping[str, Any]:
        """Keep artifacts; where the task failed, that is what its step says, whatever becomes of them."""
        if lake is None:
            return {}
        since = began - _CLOCKS_DIFFER_S if self.in_place else None
        try:
            return self.artifacts.keep(folder, since, lake, context)
        except (PracticusAssetsError, OSError) as error:
            if failure is None:
                raise
            context.log.warning(
                "%s: its artifacts are not kept: %s", subject_of(context).to_user_string(), error
            )
            return {}


def _final(error: Exception) -> Exception:
    """Return an error after which the task is not tried again."""
    cause = error.__cause__ if isinstance(error, dg.RetryRequested) else error
    return dg.Failure(str(cause), allow_retries=False)
