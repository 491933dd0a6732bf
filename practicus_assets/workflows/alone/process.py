"""The process in which a task runs alone.

It is the task's worker, or, for a task that is sent to a cluster, the process of its run. It ends when its
standard input does, which is that of the command that started it.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

from practicus_assets.assets.io_manager import DeltaIOManager
from practicus_assets.code_location import CodeLocation
from practicus_assets.definitions import definitions_of
from practicus_assets.errors import PracticusAssetsError
from practicus_assets.tasks.task_asset import task_asset
from practicus_assets.workers.launch import variables
from practicus_assets.workers.launch.backend import backend_of, k8s_launcher
from practicus_assets.workers.placement.configuration import Configuration
from practicus_assets.workers.placement.placement import Placement
from practicus_assets.workers.request.tags import WORKER_TAG
from practicus_assets.workers.request.worker import Worker
from practicus_assets.workers.steps import JobPlan, Step, jobs, partition_tags
from practicus_assets.workflows.alone.trial import KEEP, LAKE, Keep, Outcome, Trial, keeps
from practicus_assets.workflows.practicus.worker_file import Site, worker_files_of, worker_of

_KEPT_S = 3600
_JOB = "practicus_alone"
_ALONE = {"practicus/alone": "yes"}


def main() -> None:
    """Run the task that the first argument's file asks for, and write what came of it to the second's."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    trial, answer = Trial.read(Path(sys.argv[1])), Path(sys.argv[2])
    try:
        outcome = _of_location(trial) if trial.location else _of_folder(trial, answer.parent / LAKE)
    except PracticusAssetsError as error:
        outcome = Outcome(trial.task, "failed", error=str(error))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGTERM)
    outcome.write(answer)


def _of_folder(trial: Trial, lake: Path) -> Outcome:
    folder = Path(trial.folder)
    worker, unread = worker_of(worker_files_of(folder, trial.task), Site(regions=None))
    for sentence in unread:
        sys.stderr.write(f"{sentence}\n")
    _enter(worker or Worker(), {}, trial)
    defaults = {name: type(value)() for name, value in trial.parameters.items()}
    asset = task_asset(folder / trial.file, arguments=trial.arguments, parameters=defaults)
    key = next(iter(asset.keys))
    definitions = dg.Definitions([asset], resources={"io_manager": DeltaIOManager(root_uri=str(lake))})
    config = {"ops": {asset.node_def.name: {"config": dict(trial.parameters)}}} if defaults else {}
    with dg.DagsterInstance.ephemeral() as instance:
        return _in_process(trial, definitions, key, instance, config)


def _of_location(trial: Trial) -> Outcome:
    definitions = definitions_of(CodeLocation(**trial.location))
    key = dg.AssetKey(trial.task.split("/"))
    plan, step = _step(definitions, trial.task)
    with _instance() as instance:
        config = plan.config if plan.has_workers else {}
        configuration = Configuration.of(config)
        tags = partition_tags(trial.partition) if trial.partition is not None else {}
        placement = step.declaration.placement(configuration, tags, instance)
        if plan.has_workers and backend_of(configuration, config, instance)[0] == "kubernetes":
            assert instance is not None  # it is what launches pods, or none could report
            return _in_pod(trial, plan.name, instance, placement, tags)
        _enter(placement.worker, placement.region.roots, trial)
        if trial.writes_table and instance is not None:
            return _in_process(trial, definitions, key, instance, {})
        with dg.DagsterInstance.ephemeral() as own:
            return _in_process(trial, definitions, key, own, {})


def _step(definitions: dg.Definitions, name: str) -> tuple[JobPlan, Step]:
    """Return the step of a task, in a job that sends it to workers if there is one."""
    found = [(plan, step) for plan in jobs(definitions) for step in plan.steps if name in step.assets]
    return next((each for each in found if each[0].has_workers), found[0])


def _enter(worker: Worker, roots: Mapping[str, str], trial: Trial) -> None:
    """Make this process a worker."""
    os.environ.update(worker.env or {})
    if roots:
        os.environ[variables.ROOTS] = json.dumps(dict(roots))
    limit = _limit(worker, trial)
    if limit is not None:
        os.environ[variables.TIME_LIMIT] = str(limit)


def _limit(worker: Worker, trial: Trial) -> float | None:
    """Return the time that a task has, in seconds; None for any."""
    limits = (worker.time_limit_seconds, trial.time_limit_seconds)
    return min((limit for limit in limits if limit is not None), default=None)


def _in_process(
    trial: Trial,
    definitions: dg.Definitions,
    key: dg.AssetKey,
    instance: dg.DagsterInstance,
    config: Mapping[str, Any],
) -> Outcome:
    job = definitions.resolve_implicit_global_asset_job_def()
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    result = job.execute_in_process(
        run_config={**(quiet if "console" in job.loggers else {}), **config},
        instance=instance,
        partition_key=trial.partition,
        asset_selection=[key],
        raise_on_error=False,
        tags=_ALONE,
    )
    return _outcome(trial, result, "process", "")


def job_of(location: str, name: str, task: str) -> dg.JobDefinition:
    """Return a job of one task, with the executor of another job.

    Args:
        location: the fields of the `CodeLocation`, as JSON.
        name: the other job's name.
        task: the task's key.

    """
    definitions = definitions_of(CodeLocation(**json.loads(location)))
    other = definitions.get_repository_def().get_job(name)
    execution = {key: value for key, value in (other.run_config or {}).items() if key == "execution"}
    job = dg.define_asset_job(
        _JOB,
        [dg.AssetKey(task.split("/"))],
        config=execution or None,
        tags=other.run_tags,
        executor_def=other.executor_def,
    )
    return dg.Definitions.merge(definitions, dg.Definitions(jobs=[job])).resolve_job_def(_JOB)


def _in_pod(
    trial: Trial,
    job_name: str,
    instance: dg.DagsterInstance,
    placement: Placement,
    tags: Mapping[str, str],
) -> Outcome:
    limit = _limit(placement.worker, trial)
    own = {"time_limit_seconds": int(limit)} if limit is not None else {}
    arguments: Any = (json.dumps(dict(trial.location)), job_name, trial.task)
    result = dg.execute_job(
        dg.build_reconstructable_job(__name__, job_of.__name__, arguments),
        instance,
        tags={**_ALONE, **tags, WORKER_TAG: json.dumps(own)},
        raise_on_error=False,
    )
    keep: Keep = os.environ.get(KEEP, "failed")  # type: ignore[assignment] # the command checked it
    return _outcome(trial, result, "pod", _kept_pod(result, placement, instance, keep))


def _kept_pod(result: Any, placement: Placement, instance: dg.DagsterInstance, keep: Keep) -> str:
    """Have the pods of a run stay, or go, and return where they are; empty if they are gone."""
    from practicus_assets.workers.kubernetes.cluster import Cluster  # noqa: PLC0415 takes half a second

    names = [
        metadata["Kubernetes Job name"].value
        for event in result.all_events
        if (metadata := getattr(event.event_specific_data, "metadata", None) or {})
        and "Kubernetes Job name" in metadata
    ]
    cluster = Cluster.of(placement.region, k8s_launcher(instance))
    stays = keeps(keep, failed=not result.success)
    for name in names:
        cluster.keep_job(name, placement.worker.keep_failed_seconds or _KEPT_S if stays else 1)
    return cluster.kubectl("describe", f"job/{names[-1]}") if stays and names else ""


def _outcome(trial: Trial, result: Any, worker: str, kept: str) -> Outcome:
    if not result.success:
        return Outcome(trial.task, "failed", error=_error(result), worker=worker, kept=kept)
    done = any(event.is_step_materialization for event in result.all_events)
    return Outcome(trial.task, "passed" if done else "skipped", worker=worker, kept=kept)


def _error(result: Any) -> str:
    for event in result.all_events:
        error = getattr(event.event_specific_data, "error", None)
        if event.is_failure and error is not None:
            text = (error.cause or error).message
            return str(text).partition(": ")[2].strip() or str(text)
    return "its run failed, and says no more"


@contextmanager
def _instance() -> Iterator[dg.DagsterInstance | None]:
    if not os.environ.get("DAGSTER_HOME"):
        yield None
        return
    with dg.DagsterInstance.get() as instance:
        yield instance


def _end_with_parent() -> None:
    while os.read(0, 1):  # below sys.stdin, whose lock a thread would hold when the interpreter ends
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
