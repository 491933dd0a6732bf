"""Staging by splits: parts of one transaction, each from a call of the function on its part of the inputs."""

import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg
import pyarrow as pa

from practicus_assets.assets.author_checks import AuthorChecks
from practicus_assets.assets.output import Output
from practicus_assets.assets.runs import step_of
from practicus_assets.assets.splits.declared import DeclaredSplits, split_parameter
from practicus_assets.assets.splits.inputs import divided_inputs, given
from practicus_assets.assets.splits.resources import received, sent
from practicus_assets.engines.parcels import packed, unpacked
from practicus_assets.engines.processes import SplitFailed, SplitProcesses
from practicus_assets.engines.splits import Split
from practicus_assets.errors import DataRefused, DeclarationError, SchemaMismatch
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.rows.annotations import hints
from practicus_assets.lake.transactions.stage.staged import Staged
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.wording import number_of

_NOTHING = object()


@dataclass(frozen=True)
class _Call:
    """What all splits of one attempt have in common.

    Attributes:
        key: the asset's key.
        transaction: the attempt's transaction.
        values: what the step has for each parameter.
        divided: the inputs that are divided.

    """

    key: dg.AssetKey
    transaction: Transaction
    values: Mapping[str, Any]
    divided: frozenset[str]


@dataclass(frozen=True)
class _Parcel:
    """What the process of a split is given: where the code is, and a `_Call` that is unpacked with it.

    Attributes:
        job: the job, which the process loads anew.
        key: the asset's key.
        code: what tells the code of the step from other code.
        call: the packed `_Call`.

    """

    job: Any
    key: dg.AssetKey
    code: tuple[str | None, str]
    call: bytes


def staged(
    context: dg.AssetExecutionContext,
    declared: DeclaredSplits,
    values: Mapping[str, Any],
    transaction: Transaction,
) -> list[Staged]:
    """Run all splits, and return what they staged.

    Each is a process of its own; where the job cannot be loaded by another process, as in `dg.materialize`,
    they run in this one, one after the other.

    Args:
        context: the step's context.
        declared: the splits.
        values: what the step has for each parameter.
        transaction: the attempt's transaction.

    Raises:
        SplitFailed: with the error of the first split that failed.
        WorkerCrashed: if the process of one died again and again.
        DeclarationError: for a value that no other process can have.
        SchemaMismatch: if no input has the column to divide by.

    """
    splits, key = declared.splits, context.asset_key
    name = key.to_user_string()
    divided = frozenset(divided_inputs(splits, declared.of, values))
    keys = (
        tuple(context.partition_keys) if context.has_partition_key_range or context.has_partition_key else ()
    )
    call = _Call(key, transaction, values, divided)
    every = [Split(index, splits.count, keys) for index in range(splits.count)]
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

    job = step_of(context).job
    try:
        if hasattr(job, "get_reconstructable_repository"):
            spec = context.assets_def.get_asset_spec(key)
            code = spec.code_version, transaction.attempt.contract.digest
            parcel = pickle.dumps(_Parcel(job, key, code, _packed(call)))
            warn = _Warnings(context, name)
            processes = SplitProcesses(
                _stage_in_process, parcel, at_once=splits.at_once, done=done, warn=warn
            )
            processes.run(every)
        else:
            context.log.info(
                "%s: its splits run in this process, for no other one can load the job %s",
                name,
                context.job_name,
            )
            for split in every:
                done(split, _stage(declared, call, split))
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


def _stage_in_process(parcel: bytes, split: Split) -> Staged | None:
    """Stage one split in a process of its own, by the code that it loads."""
    what: _Parcel = pickle.loads(parcel)  # noqa: S301 from the step that started this process
    table: Any = what.job.get_repository_definition().assets_defs_by_key[what.key]
    contract = table.terms.contract or Contract()
    code = table.get_asset_spec(what.key).code_version, contract.digest
    if code != what.code:
        raise DeclarationError(
            f"the code of {what.key.to_user_string()} was changed while its step ran.",
            "Run it again.",
        )
    call: _Call = unpacked(what.call, {"contract": contract})
    with ExitStack() as until:
        values = {name: received(value, until) for name, value in call.values.items()}
        return _stage(table.terms.splits, replace(call, values=values), split)


def _stage(declared: DeclaredSplits, call: _Call, split: Split) -> Staged | None:
    """Call the function on a split's part of the inputs, and stage the rows that it returns.

    None stands for no rows, of which nobody knows the columns.
    """
    function, annotations = declared.function, hints(declared.function)
    by = declared.splits.by
    arguments = {
        name: given(value, annotations.get(name), split, by=by, divided=name in call.divided)
        for name, value in call.values.items()
    }
    parameter = split_parameter(function)
    if parameter is not None:
        arguments[parameter] = split
    output = Output(call.key, AuthorChecks((), ()), required=True)
    try:
        rows = output.rows_of(function(**arguments))
    except Exception as error:
        raise SplitFailed(error, of_function=True) from error
    try:
        attempt = call.transaction.attempt
        if attempt.schema is None and attempt.contract.schema is None:
            rows = _with_first(rows)
        if rows is None:  # nobody knows its columns, but maybe another split
            return None
        part = call.transaction.stage(rows, part=str(split))
    except Exception as error:
        raise SplitFailed(error) from error
    try:
        list(output.finish())
        _refuse_said(output)
    except Exception as error:
        call.transaction.discard(part)
        raise SplitFailed(error) from error
    return part


def _with_first(rows: Any) -> Any:
    """Return an author's rows as they are; None for a list or a generator that has none."""
    if isinstance(rows, list) and not rows:
        return None
    if not isinstance(rows, Iterator) or isinstance(rows, pa.RecordBatchReader):  # which has columns
        return rows
    first = next(rows, _NOTHING)
    return None if first is _NOTHING else _after(first, rows)


def _after(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def _refuse_said(output: Output) -> None:
    """Raise DataRefused for what a split says to Dagster beside its rows."""
    said = {
        "metadata": output.metadata,
        "tags": output.tags,
        "a data version": output.data_version,
        "events": output.events,
        "check results": output.check_results,
    }
    given_ones = [name for name, value in said.items() if value]
    if given_ones:
        raise DataRefused(
            f"the function gave {' and '.join(given_ones)} beside its rows, and runs once for each split.",
            "Return rows alone; what is to be said of all rows is a rule of the contract.",
        )


def _packed(call: _Call) -> bytes:
    references = {"contract": call.transaction.attempt.contract}
    values = {name: sent(value) for name, value in call.values.items()}
    for name, value in values.items():
        try:
            packed(value, references)
        except Exception as error:  # noqa: BLE001 whatever a class of theirs raises
            raise DeclarationError(
                f"the parameter {name!r} is {type(value).__name__}, which the processes of splits cannot be "
                f"given: {type(error).__name__}: {error}.",
                "Make it in the function.",
            ) from None
    return packed(replace(call, values=values), references)


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
