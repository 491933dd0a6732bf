"""`workflow_from_folder`: a Practicus workflow's folder, as definitions."""

import logging
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from practicus_assets.errors import DeclarationError
from practicus_assets.tasks.program import folder_of
from practicus_assets.workflows.plan import Plan
from practicus_assets.workflows.practicus.dag_file import DagFile, read_dag_file
from practicus_assets.workflows.practicus.operators import command_of
from practicus_assets.workflows.practicus.syntax.node import TASK
from practicus_assets.workflows.practicus.worker_file import Site, worker_files_of, worker_of
from practicus_assets.workflows.workflow import GetAssetSpec, build

_log = logging.getLogger("practicus_assets")
FOLDER = "practicus/folder"
_UNFIT = re.compile(r"[^A-Za-z0-9_]")  # in names of Dagster's jobs
WITHOUT_COUNTERPART = "practicus/without_counterpart"


def workflow_from_folder(
    path: str | Path,
    *,
    images: Mapping[str, str] | None = None,
    regions: Mapping[str, str] | None = None,
    tables: Mapping[str, Mapping[str, Any]] | None = None,
    gates: Mapping[str, str] | None = None,
    execution_timezone: str | None = None,
    get_asset_spec: GetAssetSpec | None = None,
) -> dg.Definitions:
    """Read a folder as Practicus AI wrote it: a dag file, scripts and worker files, none of which is run.

    What has no counterpart is a warning when the folder is loaded, and metadata of the assets
    (`practicus/without_counterpart`). Logins in the files reach nothing.

    Args:
        path: the folder, relative to that of the module that calls this; it has one file `<dag_key>_dag.py`.
        images: the image of each name that worker files use, e.g. `{"practicus": "registry/ours:7"}`.
        regions: the region of each `service_url` of worker files.
        tables: the tasks that write a table, with its options: see `table` of `task_asset`.
        gates: the URL that an `HttpSensor` waits for, by its task id.
        execution_timezone: the schedule's time zone; by default that of the dag's `start_date`, else UTC.
        get_asset_spec: as of `workflow`.

    Raises:
        DeclarationError: if there is no dag file, or more than one, or it orders what the folder does not
            have; and for worker files that nobody can follow.

    """
    folder = Path(folder_of(sys._getframe(1)), path)  # noqa: SLF001 as warnings do
    dag = dag_of(folder)
    unread = unread_of(dag)
    name = _UNFIT.sub("_", dag.name)
    if name != dag.name:
        unread.append(f"the name {dag.name} is none in Dagster: the job and its group are {name}")
    plan = Plan(
        name=name,
        folder=folder,
        flow=dag.flow,
        tables=tables or {},
        parameters=dag.parameters,
        schedule=_cron(dag),
        execution_timezone=execution_timezone or dag.settings.timezone,
        retries=dag.retries,
        retry_delay_seconds=dag.retry_delay_seconds,
        at_most_one_run=dag.max_active_runs == 1,
    )
    site = Site(images or {}, regions or {})
    for task, node in dag.nodes.items():
        own: list[str] = []
        worker, of_files = worker_of(worker_files_of(folder, task), site)
        own += of_files
        if worker is not None:
            plan.workers[task] = worker
        plan.environments[task] = dict(node.environment)
        if node.operator != TASK:
            plan.commands[task] = command_of(node, gates or {}, own)
        plan.metadata[task] = {FOLDER: dg.MetadataValue.path(str(folder))}
        plan.metadata[task] |= {WITHOUT_COUNTERPART: own} if own else {}
        unread += own
    for sentence in dict.fromkeys(unread):
        _log.warning("%s: %s", folder.name, sentence)
    owner = dag.owner

    def spec_of(task: str, spec: dg.AssetSpec) -> dg.AssetSpec:
        tags = {"practicus/owner": owner} if owner is not None else {}
        spec = spec.replace_attributes(tags={**spec.tags, **tags})
        return get_asset_spec(task, spec) if get_asset_spec is not None else spec

    return build(plan, spec_of)


def dag_of(folder: Path) -> DagFile:
    """Return what a folder's dag file says.

    Raises:
        DeclarationError: if there is none, or more than one, or it cannot be read.

    """
    found = sorted(folder.glob("*_dag.py"))
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise DeclarationError(
            f"the folder {folder} has {len(found)} dag files ({names}).",
            "A workflow has one, <dag_key>_dag.py.",
        )
    return read_dag_file(found[0])


def unread_of(dag: DagFile) -> list[str]:
    """Return what of a dag file has no counterpart, as sentences."""
    unread = list(dag.unread)
    if dag.schedule is None and not dag.settings.has_schedule:
        unread.append(
            "the dag has no schedule, which is daily to Airflow 2 and none to Airflow 3: there is none"
        )
    if dag.schedule is not None and _cron(dag) is None:
        unread.append(f"the schedule {dag.schedule} is no time: run the job by hand")
    if dag.max_active_runs not in (None, 1):
        unread.append(f"max_active_runs={dag.max_active_runs}: Dagster's run queue has such limits, by tags")
    return unread


def _cron(dag: DagFile) -> str | None:
    return None if dag.schedule in {"@once", "@continuous", "None"} else dag.schedule
