"""`workflow`: the tasks of a folder, in the order of a flow, as definitions."""

import re
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
from practicus_assets.workflows.plan import Plan
from practicus_assets.workflows.schedule import schedules_of
from practicus_assets.workflows.worker_files import worker_of_files

GetAssetSpec = Callable[[str, dg.AssetSpec], dg.AssetSpec]
_NAME = re.compile(r"[A-Za-z0-9_]+")  # of Dagster's ops and jobs
_TAKEN = "Dagster takes the letters A to Z, digits and underscores"


def workflow(
    name: str,
    flow: str,
    *,
    path: str | Path = ".",
    default_worker: Worker | None = None,
    workers: Mapping[str, Worker] | None = None,
    worker_files: bool = False,
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
        worker_files: whether the folder's `default_worker.json` and `<task>_worker.json` say what tasks ask
            for, too, in fields of `Worker`: they lie over `default_worker`, and `workers` over them.
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
    tasks = Flow.parse(flow, tasks_in(folder, f"the workflow {name} has"))
    _refuse_strangers("workers", workers or {}, tasks)
    plan = Plan(
        name=name,
        folder=folder,
        flow=tasks,
        tables=tables or {},
        parameters=parameters or {},
        schedule=schedule,
        execution_timezone=execution_timezone,
        retries=retries,
        retry_delay_seconds=retry_delay_seconds,
        partitions_def=partitions_def,
    )
    for task in tasks.tasks:
        worker = default_worker
        if worker_files:
            worker = _worker(worker, worker_of_files(folder, task))
        worker = _worker(worker, (workers or {}).get(task))
        if worker is not None:
            plan.workers[task] = worker
    return build(plan, get_asset_spec)


def build(plan: Plan, get_asset_spec: GetAssetSpec | None) -> dg.Definitions:
    """Return the definitions of a workflow. Raises as `workflow` does."""
    if not _NAME.fullmatch(plan.name):
        raise DeclarationError(f"the workflow's name is {plan.name!r}, and {_TAKEN}.", "Give it another one.")
    _refuse_strangers("tables", plan.tables, plan.flow)
    specs = {task: _spec(task, plan.name, get_asset_spec) for task in plan.flow.tasks}
    _refuse_names(specs)
    delay = plan.retry_delay_seconds
    policy = dg.RetryPolicy(max_retries=plan.retries, delay=delay) if plan.retries else None
    assets = [
        task_asset(
            plan.commands.get(task) or task_file(plan.folder, task),
            key=spec.key,
            deps=[*(specs[before].key for before in plan.flow.upstream[task]), *spec.deps],
            table=plan.tables.get(task),
            parameters={**plan.parameters, **plan.environments.get(task, {})},
            worker=plan.workers.get(task),
            retry_policy=policy,
            partitions_def=plan.partitions_def,
            group_name=spec.group_name,
            owners=spec.owners,
            tags=spec.tags,
            metadata={**plan.metadata.get(task, {}), **spec.metadata},
            description=spec.description,
            kinds=spec.kinds,
            automation_condition=spec.automation_condition,
        )
        for task, spec in specs.items()
    ]
    job = dg.define_asset_job(plan.name, [spec.key for spec in specs.values()], executor_def=worker_executor)
    return dg.Definitions(assets=assets, jobs=[job], schedules=list(schedules_of(plan, job)))


def tasks_in(folder: Path, whose: str = "there is") -> list[str]:
    """Return the names of the scripts in a folder, each of which may be a task.

    Args:
        folder: the folder.
        whose: how an error begins, such as "the workflow shop has".

    Raises:
        DeclarationError: if there is no such folder.

    """
    if not folder.is_dir():
        raise DeclarationError(f"{whose} no folder {folder}.", "Make it, or give its path.")
    return sorted({path.stem for path in folder.iterdir() if path.suffix in SUFFIXES})


def task_file(folder: Path, task: str) -> Path:
    """Return the file of a task.

    Raises:
        DeclarationError: if the folder has none, or more than one.

    """
    files = [path for suffix in SUFFIXES if (path := folder / f"{task}{suffix}").is_file()]
    if not files:
        *others, last = (f"{task}{suffix}" for suffix in SUFFIXES)
        raise DeclarationError(
            f"the task {task!r} has no file {', '.join(others)} or {last} in {folder}.",
            "Write it.",
        )
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


def _refuse_names(specs: Mapping[str, dg.AssetSpec]) -> None:
    """Raise DeclarationError for names that Dagster does not take, or not twice."""
    tasks: dict[str, str] = {}
    for task, spec in specs.items():
        name = spec.key.to_python_identifier()  # as Dagster makes an op's name of a key
        advice = "Rename it, or give its asset another key by get_asset_spec."
        if not _NAME.fullmatch(name):
            raise DeclarationError(f"the task {task!r} would be {name!r}, and {_TAKEN}.", advice)
        if tasks.setdefault(name, task) != task:
            raise DeclarationError(f"the tasks {tasks[name]!r} and {task!r} would both be {name!r}.", advice)


def _worker(default: Worker | None, own: Worker | None) -> Worker | None:
    if default is None or own is None:
        return own or default
    return Worker(**{**default.given(), **own.given()})


def _refuse_strangers(setting: str, by_task: Mapping[str, Any], flow: Flow) -> None:
    for task in by_task:
        if task not in flow.tasks:
            advice = did_you_mean(task, flow.tasks, f"It has {', '.join(flow.tasks)}.")
            raise DeclarationError(f"{setting} names {task!r}, which is no task of the flow.", advice)
