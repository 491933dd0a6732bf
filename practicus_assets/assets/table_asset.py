"""`@table_asset`: a Dagster asset whose value is a Delta table, committed inside the step."""

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast, get_type_hints, overload

import dagster as dg

from practicus_assets.assets.io_manager import DeltaIOManager, begin
from practicus_assets.assets.materialization import (
    check_results,
    check_specs,
    commit_metadata,
    data_version,
    partition_metadata,
    table_schema,
)
from practicus_assets.assets.runs import provenance_of
from practicus_assets.assets.settings import PartitionBy, TableSettings
from practicus_assets.errors import AuditFailed, DeclarationError, LossyValues, SchemaMismatch
from practicus_assets.lake.contracts.audit import schema_failure
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.contracts.declared import as_contract
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.partitions.scope import Mode
from practicus_assets.lake.rows.schema import SchemaChange
from practicus_assets.workers.placement.declaration import WorkerOf, declare
from practicus_assets.workers.request.worker import Worker

_CONTEXT_NAMES = {"context", "_context", "context_", "_"}  # those that Dagster knows
_NOT_TAKEN = {
    "check_specs": "Declare rules in the contract, or write a @dg.asset_check.",
    "io_manager_def": "Give the DeltaIOManager as a resource, and its name as io_manager_key.",
}

Function = Callable[..., Any]


@overload
def table_asset(compute_fn: Function) -> dg.AssetsDefinition: ...


@overload
def table_asset(
    *,
    partition_by: PartitionBy | None = ...,
    contract: Any = ...,
    mode: Mode = ...,
    merge_keys: Sequence[str] = ...,
    delete_unmatched: bool = ...,
    on_schema_change: SchemaChange = ...,
    worker: Worker | WorkerOf | None = ...,
    **asset_options: Any,
) -> Callable[[Function], dg.AssetsDefinition]: ...


def table_asset(
    compute_fn: Function | None = None,
    *,
    partition_by: PartitionBy | None = None,
    contract: Any = None,
    mode: Mode = "replace",
    merge_keys: Sequence[str] = (),
    delete_unmatched: bool = False,
    on_schema_change: SchemaChange = "add",
    worker: Worker | WorkerOf | None = None,
    **asset_options: Any,
) -> dg.AssetsDefinition | Callable[[Function], dg.AssetsDefinition]:
    """Make a function that returns rows a Dagster asset that is a Delta table.

    The function returns a DataFrame, a `pyarrow.Table`, any object with `__arrow_c_stream__`, or a generator
    of record batches; its parameters are those of a `dg.asset`. The table is audited and committed in one
    transaction inside the step.

    Args:
        compute_fn: the author's function.
        partition_by: the table's partition columns. Of a partitioned asset the first holds the partition
            key; of several dimensions, a mapping from each dimension to its column.
        contract: what the table promises, a `Contract` or a pandera model; each rule is an asset check.
        mode: "replace" the run's partitions (or the table), "append" to them, or "merge" by `merge_keys`.
        merge_keys: the columns that identify a row, for "merge".
        delete_unmatched: for "merge": delete old rows in scope that no new row matches.
        on_schema_change: "add" new columns, "refuse" them, or "replace" the schema of a whole table.
        worker: what a step asks of the place where it runs, or a function from partition key to that.
        asset_options: what `dg.asset` takes, except `check_specs` and `io_manager_def`. `code_version` is by
            default one derived from the function's source, `kinds` gets "deltalake", and `io_manager_key`
            names the `DeltaIOManager`.

    Raises:
        DeclarationError: if the settings contradict each other.

    """
    settings = TableSettings(partition_by, mode, merge_keys, delete_unmatched, on_schema_change)
    promised = as_contract(contract)

    def decorate(function: Function) -> dg.AssetsDefinition:
        _refuse(function, settings, asset_options)
        options = dict(asset_options)
        io_manager_key = options.setdefault("io_manager_key", "io_manager")
        if "compute_kind" not in options:
            options["kinds"] = {"deltalake", *(options.get("kinds") or ())}
        declared = promised.schema if promised is not None else None
        schema = {"dagster/column_schema": table_schema(declared, promised)} if declared is not None else {}
        options["metadata"] = {**schema, **(options.get("metadata") or {}), **settings.metadata()}
        options.setdefault("code_version", _code_version(function))
        options["check_specs"] = check_specs(promised, _key(function, options))
        compute = _Step(function, settings, promised, io_manager_key).compute()
        options["op_tags"] = declare(worker, compute, options, function.__name__)
        return cast("dg.AssetsDefinition", dg.asset(**options)(compute))

    return decorate if compute_fn is None else decorate(compute_fn)


class _Step:
    """What one step of a table asset does."""

    def __init__(
        self, function: Function, settings: TableSettings, contract: Contract | None, io_manager_key: str
    ) -> None:
        self._function = function
        self._settings = settings
        self._contract = contract
        self._io_manager_key = io_manager_key

    def compute(self) -> Function:
        """Return the function that Dagster runs, with the parameters of the author's."""
        try:
            hints = get_type_hints(self._function, include_extras=True)
        except NameError as error:
            raise DeclarationError(
                f"an annotation of {self._function.__qualname__} cannot be resolved: {error}.",
                "Import the name at run time, not only for type checking.",
            ) from error
        parameters = [
            parameter.replace(annotation=hints.get(name, parameter.empty), kind=_named(parameter.kind))
            for name, parameter in inspect.signature(self._function).parameters.items()
        ]
        takes_context = bool(parameters) and parameters[0].name in _CONTEXT_NAMES
        own = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        context, inputs = (parameters[0], parameters[1:]) if takes_context else (own, parameters)
        signature = inspect.Signature([context.replace(name="context"), *inputs])

        def compute(context: Any, **values: Any) -> Iterator[Any]:
            arguments = (context,) if takes_context else ()
            yield from self._run(_asset_context(context), lambda: self._function(*arguments, **values))

        compute.__name__ = self._function.__name__
        compute.__doc__ = self._function.__doc__
        compute.__module__ = self._function.__module__
        compute.__signature__ = signature  # type: ignore[attr-defined] # what inspect.signature reads
        compute.__annotations__ = {
            p.name: p.annotation for p in signature.parameters.values() if p.annotation is not p.empty
        }
        return compute

    def _run(self, context: dg.AssetExecutionContext, rows: Callable[[], Any]) -> Iterator[Any]:
        lake = getattr(context.resources, self._io_manager_key)
        if not isinstance(lake, DeltaIOManager):
            raise DeclarationError(
                f"the resource {self._io_manager_key!r} is a {type(lake).__qualname__}.",
                "Give table assets a DeltaIOManager.",
            )
        key = context.asset_key
        table = lake.table(key)
        partitions_def = context.assets_def.partitions_def
        scope = self._settings.scope(
            partitions_def, context.partition_keys if partitions_def is not None else []
        )
        code_version = context.assets_def.get_asset_spec(key).code_version
        provenance = provenance_of(context, key, code_version, once=self._settings.mode == "append")
        transaction = begin(table, scope, self._settings, self._contract, provenance)
        commit = transaction.landed
        if commit is None:
            data = rows()
            try:
                commit = transaction.write(data)
            except AuditFailed as error:
                yield from check_results(error.results, key, scope)
                raise
            except (SchemaMismatch, LossyValues) as error:
                if self._contract is not None:
                    yield from check_results(schema_failure(self._contract.checks, error), key, scope)
                raise
        snapshot = Snapshot.open(table, commit.version, scope)
        metadata = commit_metadata(
            table, snapshot, commit, self._contract, provenance.input_versions, preview_rows=lake.preview_rows
        )
        if len(scope.keys) > 1:
            for partition, told in partition_metadata(snapshot, commit).items():
                context.add_asset_metadata(told, key, partition)
        yield dg.MaterializeResult(
            asset_key=key,
            metadata=metadata,
            data_version=data_version(context.instance, key, commit, self._settings.mode),
            check_results=check_results(commit.audits, key, scope),
        )


def _refuse(function: Function, settings: TableSettings, options: dict[str, Any]) -> None:
    """Raise DeclarationError for what a table asset cannot be made of."""
    for option, advice in _NOT_TAKEN.items():
        if options.get(option):
            raise DeclarationError(f"a table asset takes no {option}.", advice)
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise DeclarationError(
            f"{function.__qualname__} is asynchronous.", "Run what it awaits inside, with asyncio.run."
        )
    if options.get("partitions_def") is not None:
        settings.columns_of(options["partitions_def"])
        if settings.on_schema_change == "replace":
            raise DeclarationError(
                f'{function.__qualname__} has partitions, and on_schema_change is "replace".',
                "Only a table that each run replaces as a whole can change so.",
            )
    if not settings.agree_with(options.get("metadata") or {}):
        raise DeclarationError(
            f"metadata of {function.__qualname__} say otherwise than its arguments: {options['metadata']}.",
            "Pass mode, partition_by and the like as arguments.",
        )


def _named(kind: Any) -> Any:
    """Return a kind of parameter that Dagster takes for an input; `**kwargs` stay what they are."""
    return kind if kind is inspect.Parameter.VAR_KEYWORD else inspect.Parameter.POSITIONAL_OR_KEYWORD


def _key(function: Function, options: dict[str, Any]) -> dg.AssetKey:
    """Return the asset key that `dg.asset` will give the function."""
    if options.get("key") is not None:
        return dg.AssetKey.from_coercible(options["key"])
    prefix = options.get("key_prefix") or []
    parts = [prefix] if isinstance(prefix, str) else prefix
    return dg.AssetKey([*parts, options.get("name") or function.__name__])


def _code_version(function: Function) -> str | None:
    """Return a hash of a function's code without comments, layout and docstring; None if there is none."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return None
    node = tree.body[0]
    code = ast.unparse(tree)
    if isinstance(node, ast.FunctionDef):
        body = node.body[1:] if ast.get_docstring(node) is not None else node.body
        code = "\n".join([ast.unparse(node.args), *map(ast.unparse, body)])
    return hashlib.sha256(code.encode()).hexdigest()[:12]


def _asset_context(context: Any) -> dg.AssetExecutionContext:
    """Return a step's own context, also where the author asked for an `OpExecutionContext`."""
    return context if isinstance(context, dg.AssetExecutionContext) else dg.AssetExecutionContext.get()
