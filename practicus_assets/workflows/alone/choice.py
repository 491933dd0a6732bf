"""The choice of tasks that are run alone: of a folder, or of a code location."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path

import dagster as dg

from practicus_assets.code_location import CodeLocation
from practicus_assets.errors import DeclarationError, did_you_mean
from practicus_assets.workers.request.tags import TASK_TAG
from practicus_assets.workflows.alone.trial import Trial
from practicus_assets.workflows.flow import Flow
from practicus_assets.workflows.practicus.dag_file import read_dag_file
from practicus_assets.workflows.workflow import task_file, tasks_in


def in_folder(
    folder: Path, flow: str | None, names: Sequence[str], time_limit_seconds: float | None
) -> list[Trial]:
    """Return the tasks of a folder, in the order of a flow, or in which they are named.

    Without both, they are those of the folder's dag file, which is read and never run.

    Args:
        folder: the folder.
        flow: the order of tasks, which need not be all of the folder.
        names: the names of tasks.
        time_limit_seconds: of each.

    Raises:
        DeclarationError: if there is no such folder or task, the text is no flow, or nothing says which.

    """
    known = tasks_in(folder)
    dag_files = sorted(folder.glob("*_dag.py"))
    dag = read_dag_file(dag_files[0]) if len(dag_files) == 1 else None
    operators = [node.task_id for node in dag.nodes.values() if node.operator != "task"] if dag else []
    scripts = [name for name in known if not name.endswith("_dag")]
    if flow is None and not names:
        if dag is None:
            raise DeclarationError(
                f"nothing says which files of {folder} are tasks: it has no dag file.",
                f'Give --flow "a >> b" or --tasks a,b; there is {", ".join(scripts) or "no script"}.',
            )
        names = [task for task in dag.flow.tasks if task not in operators]
    trials = []
    for task in _chosen(flow, names, scripts):
        parameters = dict(dag.nodes[task].environment) if dag is not None and task in dag.nodes else {}
        file = task_file(folder, task).name
        trials.append(
            Trial(
                task,
                folder=str(folder.resolve()),
                file=file,
                parameters=parameters,
                time_limit_seconds=time_limit_seconds,
            )
        )
    return trials


def in_location(
    definitions: dg.Definitions,
    location: CodeLocation,
    *,
    flow: str | None,
    names: Sequence[str],
    partition: str | None,
    time_limit_seconds: float | None,
) -> list[Trial]:
    """Return the tasks of a code location, in the order of a flow, or in which they are named; else all.

    Args:
        definitions: the code location's definitions.
        location: the code location.
        flow: the order of tasks, by the last parts of their keys.
        names: the keys of tasks, or the last parts of these.
        partition: the partition that partitioned tasks are run for; by default the newest.
        time_limit_seconds: of each.

    Raises:
        DeclarationError: if there is no such task or partition, or the text is no flow.

    """
    found: dict[str, Trial] = {}
    for asset in definitions.resolve_asset_graph().assets_defs:
        if not asset.is_executable or TASK_TAG not in getattr(asset.node_def, "tags", {}):
            continue
        for key in asset.keys:
            trial = Trial(
                key.to_user_string(),
                location=asdict(location),
                partition=_partition(asset, key, partition),
                writes_table="deltalake" in asset.get_asset_spec(key).kinds,
                time_limit_seconds=time_limit_seconds,
            )
            found[trial.task] = trial
    if not found:
        raise DeclarationError(
            f"the code location {location.name} has no tasks.", "Name a folder of tasks, or another location."
        )
    if flow is None and not names:
        return [found[name] for name in sorted(found)]
    by_end: dict[str, list[str]] = {}
    for name in found:
        by_end.setdefault(name.rpartition("/")[2], []).append(name)
    short = {end: keys[0] for end, keys in by_end.items() if len(keys) == 1}
    return [found[short.get(task, task)] for task in _chosen(flow, names, {**short, **found})]


def _chosen(flow: str | None, names: Sequence[str], known: Collection[str]) -> Sequence[str]:
    if flow is not None and names:
        raise DeclarationError("--flow and --tasks are given.", "Give one of them.")
    if flow is not None:
        return Flow.parse(flow, known).tasks
    for name in names:
        if name not in known:
            there = f"There is {', '.join(sorted(known)) or 'none'}."
            raise DeclarationError(f"there is no task {name!r}.", did_you_mean(name, known, there))
    return list(dict.fromkeys(names))


def _partition(asset: dg.AssetsDefinition, key: dg.AssetKey, wanted: str | None) -> str | None:
    partitions_def = asset.partitions_def
    if partitions_def is None:
        return None
    name = key.to_user_string()
    if isinstance(partitions_def, dg.DynamicPartitionsDefinition):
        return wanted
    keys = partitions_def.get_partition_keys()
    if wanted is None and not keys:
        raise DeclarationError(f"{name} has no partition yet.", "Name other tasks.")
    if wanted is not None and wanted not in keys:
        ends = f"it has {len(keys):,}, from {keys[0]} to {keys[-1]}" if keys else "it has none"
        raise DeclarationError(
            f"{name} has no partition {wanted!r}; {ends}.",
            did_you_mean(wanted, keys, "Give a key as Dagster shows it; of two dimensions, joined by '|'."),
        )
    return wanted or keys[-1]
