"""Staging by splits: parts of one transaction, each from a call of the function on its part of the inputs."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from practicus_assets.assets.runs import step_of
from practicus_assets.assets.splits.call import Call, parcel, stage, stage_parcel
from practicus_assets.assets.splits.declared import DeclaredSplits
from practicus_assets.assets.splits.inputs import divided_inputs
from practicus_assets.engines.processes import SplitProcesses
from practicus_assets.engines.splits import Split
from practicus_assets.errors import SchemaMismatch
from practicus_assets.lake.transactions.stage.staged import Staged
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.wording import number_of
from practicus_assets.workers.launch import variables
from practicus_assets.workers.launch.pod_storage import in_pod


def staged(
    context: dg.AssetExecutionContext,
    declared: DeclaredSplits,
    values: Mapping[str, Any],
    transaction: Transaction,
) -> list[Staged]:
    """Run all splits, and return what they staged.

    Each is a process of its own, or a pod where the step is one and they have a worker. Where the job cannot
    be loaded by another process, as in `dg.materialize`, they run in this one, one after the other.

    Args:
        context: the step's context.
        declared: the splits.
        values: what the step has for each parameter.
        transaction: the attempt's transaction.

    Raises:
        SplitFailed: with the error of the first split that failed.
        WorkerFailed: if the process or pod of one died again and again.
        DeclarationError: for a value that no other process can have.
        SchemaMismatch: if no input has the column to divide by.

    """
    splits, key = declared.splits, context.asset_key
    name = key.to_user_string()
    divided = frozenset(divided_inputs(splits, declared.of, values))
    keys = (
        tuple(context.partition_keys) if context.has_partition_key_range or context.has_partition_key else ()
    )
    call = Call(key, transaction, values, divided, keys)
    every = [Split(index, splits.count) for index in range(splits.count)]
    parts: dict[int, Staged] = {}
    ended: list[Split] = []

    def done(split: Split, part: Staged | None) -> None:
        ended.append(split)
        if part is None:
            context.log.info("%s: %s has no rows; %d of %d done", name, split, len(ended), split.count)
            return
        parts[split.index] = part
        context.log.info(
            "%s: %s has %s in %s, after %.1f s; %d of %d done",
            name,
            split,
            number_of(part.rows, "row"),
            number_of(len(part.files), "file"),
            part.seconds,
            len(ended),
            split.count,
        )

    job, warn = step_of(context).job, _Warnings(context, name)
    try:
        if not hasattr(job, "get_reconstructable_repository"):
            context.log.info(
                "%s: its splits run in this process, for no other one can load the job %s",
                name,
                context.job_name,
            )
            for split in every:
                done(split, stage(declared, call, split))
        elif splits.worker is not None and variables.SPLIT_JOBS in os.environ:
            from practicus_assets.assets.splits.in_pods import run_in_pods  # noqa: PLC0415 takes half a second

            run_in_pods(context, job, call, every, at_once=splits.at_once, done=done, warn=warn)
        else:
            if splits.worker is not None and in_pod():
                warn("its splits run in this pod, for its executor is not worker_executor with pods")
            work = parcel(job, context.assets_def, call)
            SplitProcesses(stage_parcel, work, at_once=splits.at_once, done=done, warn=warn).run(every)
        if not parts:
            parts[0] = transaction.stage([])
        return _fitting([parts[index] for index in sorted(parts)])
    except BaseException:
        transaction.discard(*parts.values())
        raise


@dataclass(frozen=True)
class _Warnings:
    context: dg.AssetExecutionContext
    name: str

    def __call__(self, text: str) -> None:
        self.context.log.warning("%s: %s", self.name, text)


def _fitting(parts: Sequence[Staged]) -> list[Staged]:
    """Return the parts without those that have no rows, whose columns may have no types; at least one.

    Raises:
        SchemaMismatch: naming two splits that have other columns.

    """
    with_rows = [part for part in parts if part.rows or part.rejected is not None]
    first, *others = with_rows or parts[:1]
    for part in parts:
        if part.schema.names != first.schema.names or (part.rows and part.schema != first.schema):
            raise SchemaMismatch(
                f"{first.parts[0]} has the columns {_columns(first)}, "
                f"and {part.parts[0]} has {_columns(part)}.",
                "Return the same columns, in the same order and of the same types, in each split: declare "
                "them in the contract.",
            )
    return [first, *others]


def _columns(part: Staged) -> dict[str, str]:
    return {field.name: f"{field.type}{'' if field.nullable else ' not null'}" for field in part.schema}
