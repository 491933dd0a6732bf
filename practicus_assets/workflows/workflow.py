"""`workflow`: the tasks of a folder, in the order of a flow, as definitions."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from practicus_assets.errors import DeclarationError, did_you_mean
from practicus_assets.tasks.program import SUFFIXES, folder_of
from practicus_assets.tasks.task_asset import task_asset
from practicus_assets.workers.executor import worker_executor
from practicus_assets.workers.request.worker import Worker
from practicus_assets.workflows.flow import Flow

GetAssetSpec = Callable[[str, dg.AssetSpec], dg.AssetSpec]
_CRON = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


def workflow(
    name: str,
    flow: str,
    *,
    path: str | Path = ".",
    default_worker: Worker | None = None,
    workers: Mapping[str, Worker] | None = None,
    tables: Mapping[str, Mapping[str, Any]] | None = None,
    parameters: Mapping[str, Any] | None = None,
    schedule: str | None = None,
    execution_timezone: str | None = None,
    retries: int = 0,
    retry_delay_seconds: float = 0,
    partitions_def: dg.PartitionsDefinition[str] | None = None,
    get_asset_spec: GetAssetSpec | None = None,
) -> dg.Definitions:
    """Make the scripts of a folder a workflow: an asset for each task, a job, and its schedule.

    Args:
        name: the name of the job, and of the assets' group.
        flow: the order of the tasks, e.g. `"[table1, table2] >> final_table"`; each is the file `<task>.py`
            or `<task>.sh` of the folder. See `Flow`.
        path: the folder, relative to that of the module that calls this.
        default_worker: what a task asks of the place where it runs.
        workers: what single tasks ask for, laid over `default_worker`, by the task's name.
        tables: the tasks that write a table, with its options: see `table` of `task_asset`.
        parameters: environment variables of all tasks with their defaults; the Launchpad can set them.
        schedule: a cron expression, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. A partitioned
            workflow runs when a partition is complete, so its schedule is that of its partitions.
        execution_timezone: the schedule's time zone, UTC by default.
        retries: how often a task that failed is tried again.
        retry_delay_seconds: the time between attempts.
        partitions_def: the partitions of all tasks.
        get_asset_spec: returns the spec of a task's asset, given the task and the spec that it would have:
            with another key, group, owners, tags or metadata, or further `deps`.

    Raises:
        DeclarationError: for a flow that is none, a task without a file or with two, and a setting of a
            task that the flow does not have.

    Example:
        `defs = workflow("shop", "[orders, customers] >> report", path="shop", schedule="@daily")`

    """
    folder = Path(folder_of(sys._getframe(1)), path)  # noqa: SLF001 as warnings do
    tasks = Flow.parse(flow, _tasks_in(folder, name))
    _refuse_strangers("workers", workers or {}, tasks)
    _refuse_strangers("tables", tables or {}, tasks)
    specs = {task: _spec(task, name, get_asset_spec) for task in tasks.tasks}
    policy = dg.RetryPolicy(max_retries=retries, delay=retry_delay_seconds) if retries else None
    assets = [
        task_asset(
            _file(folder, task),
            key=spec.key,
            deps=[*(specs[before].key for before in tasks.upstream[task]), *spec.deps],
            table=(tables or {}).get(task),
            parameters=parameters,
            worker=_worker(default_worker, (workers or {}).get(task)),
            retry_policy=policy,
            partitions_def=partitions_def,
            group_name=spec.group_name,
            owners=spec.owners,
            tags=spec.tags,
            metadata=spec.metadata,
            description=spec.description,
            kinds=spec.kinds,
            automation_condition=spec.automation_condition,
        )
        for task, spec in specs.items()
    ]
    job = dg.define_asset_job(name, [spec.key for spec in specs.values()], executor_def=worker_executor)
    schedules = []
    if schedule is not None:
        schedules.append(_schedule(name, job, schedule, execution_timezone, partitions_def))
    return dg.Definitions(assets=assets, jobs=[job], schedules=schedules)


def _tasks_in(folder: Path, workflow_name: str) -> list[str]:
    if not folder.is_dir():
        raise DeclarationError(
            f"the workflow {workflow_name} has no folder {folder}.", "Make it, or give its path."
        )
    return sorted({path.stem for path in folder.iterdir() if path.suffix in SUFFIXES})


def _file(folder: Path, task: str) -> Path:
    files = [path for suffix in SUFFIXES if (path := folder / f"{task}{suffix}").is_file()]
    if len(files) > 1:
        names = " and ".join(path.name for path in files)
        raise DeclarationError(f"the task {task!r} has two files, {names}.", "Rename one.")
    return files[0]


def _spec(task: str, workflow_name: str, get_asset_spec: GetAssetSpec | None) -> dg.AssetSpec:
    spec = dg.AssetSpec(task, group_name=workflow_name)
    if get_asset_spec is None:
        return spec
    own = get_asset_spec(task, spec)
    if not isinstance(own, dg.AssetSpec):
        raise DeclarationError(
            f"get_asset_spec returned {own!r} for the task {task!r}.",
            "Return the spec that it was given, or spec.replace_attributes(…).",
        )
    return own


def _worker(default: Worker | None, own: Worker | None) -> Worker | None:
    if default is None or own is None:
        return own or default
    return Worker(**{**default.given(), **own.given()})


def _refuse_strangers(setting: str, by_task: Mapping[str, Any], flow: Flow) -> None:
    for task in by_task:
        if task not in flow.tasks:
            advice = did_you_mean(task, flow.tasks, f"It has {', '.join(flow.tasks)}.")
            raise DeclarationError(f"{setting} names {task!r}, which is no task of the flow.", advice)


def _schedule(
    name: str,
    job: Any,
    cron: str,
    timezone: str | None,
    partitions_def: dg.PartitionsDefinition[str] | None,
) -> Any:
    cron = _CRON.get(cron, cron)
    if cron.startswith("@"):
        raise DeclarationError(
            f"the schedule of {name} is {cron!r}, which is no time.", "Run the job by hand, or by a sensor."
        )
    if partitions_def is None:
        own = f"{name}_schedule"
        return dg.ScheduleDefinition(own, job=job, cron_schedule=cron, execution_timezone=timezone)
    windows = getattr(partitions_def, "cron_schedule", None)
    if cron != windows or timezone is not None:
        raise DeclarationError(
            f"the schedule of {name} is {cron!r}, and its partitions are complete at {windows!r}.",
            "A partitioned workflow runs when a partition is complete: give it the schedule and time zone "
            "of its partitions_def, and no execution_timezone.",
        )
    return dg.build_schedule_from_partitioned_job(job, name=f"{name}_schedule")
