"""Runs: the partitions of a run, the provenance of its commits, and the versions at which it reads tables."""

import os
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dagster as dg

from practicus_assets.assets.report.account import InputsRead
from practicus_assets.assets.report.names import VERSION
from practicus_assets.errors import DeclarationError
from practicus_assets.instance.events import CLOCK_SKEW, began_by, materializations
from practicus_assets.lake.delta.record import SourceRead
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.unchanged.reuse import InputRead
from practicus_assets.workers.launch import variables

Context = dg.InputContext | dg.OutputContext | dg.AssetExecutionContext

# by run and step, for inputs may come through other IO managers than the one that takes the output
_inputs: dict[tuple[str, str], dict[tuple[str, str], InputRead]] = defaultdict(dict)
_sources: dict[tuple[str, str], dict[str, SourceRead]] = defaultdict(dict)
_reading: dict[tuple[str, str], float] = defaultdict(float)
_ends: dict[tuple[str, str], list[Callable[..., None]]] = defaultdict(list)


def step_of(context: Context) -> Any:
    """Return the step that a context belongs to; None outside of a run, e.g. in a direct invocation."""
    try:
        if isinstance(context, dg.AssetExecutionContext):
            return context.get_step_execution_context()
        return context.step_context  # noqa: TRY300 an else block would move it out of the try
    except dg.DagsterError:
        return None


def at_end(step: Any, end: Callable[..., None]) -> None:
    """Have a function called when a table's step ends in this process, with `failed` by name.

    A step of another asset ends without a word.
    """
    _ends[step.run_id, step.step.key].append(end)


@contextmanager
def until_end(context: Context) -> Iterator[None]:
    """Call what was to be called at the end of a context's step."""
    step = step_of(context)
    failed = True
    try:
        yield
        failed = False
    finally:
        for end in _ends.pop((step.run_id, step.step.key), ()) if step is not None else ():
            end(failed=failed)


@contextmanager
def reading(context: Context) -> Iterator[None]:
    """Add up how long a step takes to read its inputs."""
    step, began = step_of(context), time.monotonic()
    yield
    if step is not None:
        _reading[step.run_id, step.step.key] += time.monotonic() - began


def inputs_read(step: Any, versions: Mapping[str, int]) -> InputsRead:
    """Return what a step has read so far: the given versions of tables, their assets, and sources.

    Args:
        step: the step; None outside of a run.
        versions: the version of each table that was read, by its name.

    """
    if step is None:
        return InputsRead(versions)
    place = step.run_id, step.step.key
    assets = step.job_def.asset_layer.get_assets_def_for_node(step.node_handle)
    by_name = assets.keys_by_input_name if assets is not None else {}
    tables = [by_name[name] for _, name in _inputs.get(place, ()) if name in by_name]
    sources = [dg.AssetKey.from_user_string(source) for source in _sources.get(place, ())]
    return InputsRead(versions, list(dict.fromkeys([*tables, *sources])), _reading.get(place))


def record_input(step: Any, place: tuple[str, str], read: InputRead) -> None:
    """Take note of the version at which a step reads a table, for the provenance of its commit.

    Args:
        step: the step.
        place: the table's URI, and the name of the input.
        read: the version, and where it was read.

    """
    _inputs[step.run_id, step.step.key][place] = read


def inputs_of(step: Any) -> dict[tuple[str, str], InputRead]:
    """Return what a step has read so far of tables, by URI and name of the input, in order."""
    return dict(_inputs[step.run_id, step.step.key])


def record_source(step: Any, read: SourceRead) -> None:
    """Take note of what a step read in another system, for the provenance of its commit."""
    _sources[step.run_id, step.step.key][read.source] = read


def subject_of(context: dg.AssetExecutionContext) -> dg.AssetKey:
    """Return the key of a step's asset; where its op has several, the name of that."""
    keys = set(context.assets_def.node_keys_by_output_name.values())
    return keys.pop() if len(keys) == 1 else dg.AssetKey(context.op_def.name)


def metadata_of(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, key: dg.AssetKey
) -> Mapping[str, Any]:
    """Return the metadata of an asset's definition, as the job of a step knows it, or none."""
    graph = context.job_def.asset_layer.asset_graph
    return graph.get(key).metadata if graph.has(key) else {}


def added_metadata(context: dg.AssetExecutionContext | dg.OutputContext, key: dg.AssetKey) -> dict[str, Any]:
    """Return the metadata that a function added to its context."""
    step = step_of(context)
    if step is None:
        return {}
    assets = step.job_def.asset_layer.get_assets_def_for_node(step.node_handle)
    names = [assets.get_output_name_for_asset_key(key)] if assets is not None else []
    outputs = [step.get_output_metadata(name) or {} for name in names]
    return {**step.get_asset_metadata(key), **{n: entry for output in outputs for n, entry in output.items()}}


def provenance_of(
    context: Context, key: dg.AssetKey, code_version: str | None = None, *, once: bool = False
) -> Provenance:
    """Return the provenance of a step's commit. All attempts at the step share it, except for `attempt`.

    Args:
        context: the step's context.
        key: the asset's key.
        code_version: the asset's code version.
        once: whether a re-execution is the same work as its parent run, so that rows which the parent
            committed and did not report are not appended again. Otherwise every run is work of its own.

    """
    asset_key = key.to_user_string()
    step = step_of(context)
    if step is None:
        nobody = f"no-run-{uuid.uuid4()}"
        return Provenance(run_id=nobody, asset_key=asset_key, code_version=code_version or "")
    return Provenance(
        run_id=_work_of(step, key) if once else step.run_id,
        step=step.step.key,
        attempt=_attempt(step) + _retries_another(step),
        asset_key=asset_key,
        code_version=code_version or "",
        inputs=tuple(each.read for each in _inputs[step.run_id, step.step.key].values()),
        sources=tuple(_sources[step.run_id, step.step.key].values()),
    )


def refuse_no_partition(
    context: dg.AssetExecutionContext, partitions_def: dg.PartitionsDefinition[Any] | None
) -> None:
    """Raise DeclarationError for a run of no partition, where the asset has partitions."""
    if partitions_def is None or context.has_partition_key or context.has_partition_key_range:
        return
    raise DeclarationError(
        "the asset has partitions, and the run is of none.",
        "Name one: --partition KEY on the command line, partition_key=… of dg.materialize.",
    )


def made_by(run: dg.RunRecord, instance: dg.DagsterInstance, key: dg.AssetKey) -> int | None:
    """Return the table version of the newest materialization that a run reported."""
    run_id = run.dagster_run.run_id
    start = began_by(instance, {run_id: run}).get(run_id)
    records = dg.AssetRecordsFilter(asset_key=key, after_storage_id=start)  # others may have made many before
    if start is None:  # as in databases of old releases of Dagster
        since = (run.create_timestamp - CLOCK_SKEW).timestamp()
        records = dg.AssetRecordsFilter(asset_key=key, after_timestamp=since)
    for maker, event in materializations(instance, records):
        if maker == run_id and VERSION in event.metadata:
            return int(str(event.metadata[VERSION].value))
    return None


def attempt_of(context: dg.AssetExecutionContext) -> int:
    """Return the number of the attempt at a step, from 1."""
    step = step_of(context)
    return _attempt(step) if step is not None else 1


def _attempt(step: Any) -> int:
    """Return the number of this attempt; a worker's attempts count more than those of the author's policy."""
    return int(os.environ.get(variables.ATTEMPT, step.previous_attempt_count + 1))


def _retries_another(step: Any) -> bool:
    """Whether the run retries one that did not succeed, and whose worker may still wake up."""
    parent = step.dagster_run.parent_run_id
    run = step.instance.get_run_by_id(parent) if parent is not None else None
    return run is not None and run.status is not dg.DagsterRunStatus.SUCCESS


def _work_of(step: Any, key: dg.AssetKey) -> str:
    """Return the first of the runs that tried this work: the run, or one that it retries."""
    run = step.dagster_run
    while run.parent_run_id is not None:
        parent = step.instance.get_run_record_by_id(run.parent_run_id)
        if parent is None or _made_all(parent, step, key):
            break
        run = parent.dagster_run
    return str(run.run_id)


def _made_all(run: dg.RunRecord, step: Any, key: dg.AssetKey) -> bool:
    """Whether a run reported the asset, and its step succeeded: another table of it may have failed."""
    if made_by(run, step.instance, key) is None:
        return False
    stats = step.instance.get_run_step_stats(run.dagster_run.run_id, [step.step.key])
    return any(each.status is not None and each.status.value == "SUCCESS" for each in stats)
