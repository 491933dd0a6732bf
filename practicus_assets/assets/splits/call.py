"""One call of a function by a split: sent as a parcel, and done by whichever process or pod unpacks it."""

import pickle
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg
import pyarrow as pa

from practicus_assets.assets.author_checks import AuthorChecks
from practicus_assets.assets.output import Output
from practicus_assets.assets.splits.declared import DeclaredSplits, split_parameter
from practicus_assets.assets.splits.inputs import given
from practicus_assets.assets.splits.resources import received, sent
from practicus_assets.engines.answers import SplitFailed
from practicus_assets.engines.parcels import packed, unpacked
from practicus_assets.engines.secrets import Secrets
from practicus_assets.engines.splits import Split
from practicus_assets.errors import DataRefused, DeclarationError
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.rows.annotations import hints
from practicus_assets.lake.transactions.stage.staged import Staged
from practicus_assets.lake.transactions.transaction import Transaction

_NOTHING = object()


@dataclass(frozen=True)
class Call:
    """What all splits of one attempt have in common.

    Attributes:
        key: the asset's key.
        transaction: the attempt's transaction.
        values: what the step has for each parameter.
        divided: the inputs that are divided.
        partition_keys: the keys of the run's partitions.

    """

    key: dg.AssetKey
    transaction: Transaction
    values: Mapping[str, Any]
    divided: frozenset[str]
    partition_keys: tuple[str, ...]


@dataclass(frozen=True)
class _Parcel:
    """What the process of a split is given: where the code is, and a `Call` that is unpacked with it.

    Attributes:
        job: the job, which the process loads anew.
        key: the asset's key.
        code: what tells the code of the step from other code.
        call: the packed `Call`.

    """

    job: Any
    key: dg.AssetKey
    code: tuple[str | None, str]
    call: bytes


def parcel(job: Any, assets_def: dg.AssetsDefinition, call: Call, secrets: Secrets | None = None) -> bytes:
    """Return a call as bytes for the process or pod of a split.

    Args:
        job: the step's job, which the other loads anew.
        assets_def: the asset.
        call: the call.
        secrets: what is sent by the names of variables, see `packed`.

    Raises:
        DeclarationError: for a value that no other process can have.

    """
    spec = assets_def.get_asset_spec(call.key)
    code = spec.code_version, call.transaction.attempt.contract.digest
    return pickle.dumps(_Parcel(job, call.key, code, _packed(call, secrets)))


def stage_parcel(parcel: bytes, split: Split) -> Staged | None:
    """Stage one split in a process or pod of its own, by the code that it loads."""
    what: _Parcel = pickle.loads(parcel)  # noqa: S301 from the step that started this process
    table: Any = what.job.get_repository_definition().assets_defs_by_key[what.key]
    contract = table.terms.contract or Contract()
    code = table.get_asset_spec(what.key).code_version, contract.digest
    if code != what.code:
        raise DeclarationError(
            f"the code of {what.key.to_user_string()} was changed while its step ran.",
            "Run it again.",
        )
    call: Call = unpacked(what.call, {"contract": contract})
    with ExitStack() as until:
        values = {name: received(value, until) for name, value in call.values.items()}
        return stage(table.terms.splits, replace(call, values=values), split)


def stage(declared: DeclaredSplits, call: Call, split: Split) -> Staged | None:
    """Call the function on a split's part of the inputs, and stage the rows that it returns.

    None stands for no rows, of which nobody knows the columns.
    """
    split = replace(split, partition_keys=call.partition_keys)
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


def _packed(call: Call, secrets: Secrets | None) -> bytes:
    references = {"contract": call.transaction.attempt.contract}
    values = {name: sent(value) for name, value in call.values.items()}
    for name, value in values.items():
        try:
            packed(value, references, secrets)
        except DeclarationError:
            raise
        except Exception as error:  # noqa: BLE001 whatever a class of theirs raises
            raise DeclarationError(
                f"the parameter {name!r} is {type(value).__name__}, which the processes of splits cannot be "
                f"given: {type(error).__name__}: {error}.",
                "Make it in the function.",
            ) from None
    return packed(replace(call, values=values), references, secrets)
