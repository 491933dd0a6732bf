"""`@table_asset`: a Dagster asset whose value is a Delta table, committed inside the step."""

import ast
import hashlib
import inspect
import textwrap
import tokenize
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any, Unpack, cast, overload

import dagster as dg

from practicus_assets.assets.asset_options import (
    AssetOptions,
    as_declaration_error,
    refuse_mistaken,
    refuse_other_than_function,
    refuse_others,
)
from practicus_assets.assets.check_specs import check_specs
from practicus_assets.assets.metadata.places import refuse_place
from practicus_assets.assets.report.column_schema import table_schema
from practicus_assets.assets.report.lineage import code_reference, column_lineage, refuse_strangers
from practicus_assets.assets.report.names import (
    CODE_REFERENCES,
    COLUMN_LINEAGE,
    COLUMN_SCHEMA,
    STORAGE_KIND,
)
from practicus_assets.assets.report.statistics import Statistics
from practicus_assets.assets.settings import PartitionBy, TableSettings
from practicus_assets.assets.splits.declared import split_parameter
from practicus_assets.assets.step import Function, Step
from practicus_assets.assets.table_definition import TableDefinition
from practicus_assets.assets.value_annotation import may_be_none, refuse_unvalidated
from practicus_assets.assets.writes.terms import TableTerms
from practicus_assets.engines.spark.annotations import refuse_without_engine
from practicus_assets.engines.spark.spark_connect import SparkConnect
from practicus_assets.engines.splits import Splits
from practicus_assets.errors import DeclarationError
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.contracts.declared import as_contract
from practicus_assets.lake.rows.annotations import hints, without_none
from practicus_assets.lake.transactions.engine_files.staged_parquet import StagedParquet, refuse_unfit
from practicus_assets.lake.transactions.options import (
    MergeKind,
    Mode,
    OnSchemaChange,
    WriteOptions,
    refuse_rejecting,
    refuse_unpromised,
)
from practicus_assets.workers.placement.declaration import WorkerOf, declare
from practicus_assets.workers.request.worker import Worker

_OWN = (  # what a table asset takes beside the options of dg.asset
    "partition_by",
    "contract",
    "mode",
    "merge_keys",
    "merge_kind",
    "delete_unmatched",
    "history_keys",
    "sequence_by",
    "apply_as_deletes",
    "on_schema_change",
    "table_properties",
    "commit_metadata",
    "engine",
    "protected",
    "reuse",
    "splits",
    "worker",
)


@overload
def table_asset(compute_fn: Function) -> dg.AssetsDefinition: ...


@overload
def table_asset(
    *,
    partition_by: PartitionBy | None = ...,
    contract: Any = ...,
    mode: Mode = ...,
    merge_keys: Sequence[str] = ...,
    merge_kind: MergeKind = ...,
    delete_unmatched: bool = ...,
    history_keys: Sequence[str] = ...,
    sequence_by: str | None = ...,
    apply_as_deletes: str | None = ...,
    on_schema_change: OnSchemaChange = ...,
    table_properties: Mapping[str, str] | None = ...,
    commit_metadata: Mapping[str, str] | None = ...,
    protected: bool | int = ...,
    reuse: bool = ...,
    splits: int | Splits | None = ...,
    engine: SparkConnect | None = ...,
    worker: Worker | WorkerOf | None = ...,
    **asset_options: Unpack[AssetOptions],
) -> Callable[[Function], dg.AssetsDefinition]: ...


def table_asset(
    compute_fn: Function | None = None,
    *,
    partition_by: PartitionBy | None = None,
    contract: Any = None,
    mode: Mode = "replace",
    merge_keys: Sequence[str] = (),
    merge_kind: MergeKind = "upsert",
    delete_unmatched: bool = False,
    history_keys: Sequence[str] = (),
    sequence_by: str | None = None,
    apply_as_deletes: str | None = None,
    on_schema_change: OnSchemaChange = "add",
    table_properties: Mapping[str, str] | None = None,
    commit_metadata: Mapping[str, str] | None = None,
    protected: bool | int = False,
    reuse: bool = False,
    splits: int | Splits | None = None,
    engine: SparkConnect | None = None,
    worker: Worker | WorkerOf | None = None,
    **asset_options: Unpack[AssetOptions],
) -> dg.AssetsDefinition | Callable[[Function], dg.AssetsDefinition]:
    """Make a function that returns rows a Dagster asset that is a Delta table.

    The function returns a DataFrame, a `LazyFrame`, a `pyarrow.Table`, any object with `__arrow_c_stream__`,
    a list of dicts, or a generator of chunks of rows; its parameters are those of a `dg.asset`. The table is
    audited and committed in one transaction inside the step.

    Args:
        compute_fn: the author's function.
        partition_by: the table's partition columns. Of a partitioned asset the first holds the partition
            key; of several dimensions, a mapping from each dimension to its column.
        contract: what the table promises, a `Contract` or a pandera model; each rule is an asset check.
        mode: "replace" the run's partitions (or the table; delta-rs says "overwrite", which is taken too),
            "append" to them, which each further run of the same partitions does again, "merge" by
            `merge_keys`, or keep a "history": each row with the time in which it was valid, in the columns
            `valid_from` and `valid_to` (SCD type 2).
        merge_keys: the columns that identify a row, for "merge".
        merge_kind: for "merge": "upsert" takes all rows, "insert" only those with new keys, and "update" only
            those whose keys the table has.
        delete_unmatched: for "merge": delete old rows in scope that no new row matches; for "history": the
            rows of one time list all keys, and one ends where a list lacks it.
        history_keys: for "history": the columns that identify what rows are about, e.g. a customer.
        sequence_by: for "history": the column that says from when on a row is valid.
        apply_as_deletes: for "history": the boolean column that is true in rows by which a key ends.
        on_schema_change: "add" new columns (delta-rs: `schema_mode="merge"`), "refuse" them, or "replace" the
            columns of a whole table (delta-rs: "overwrite"). "merge" and "overwrite" are taken too.
        table_properties: the Delta properties that the table is created with, as texts by name, e.g.
            `{"delta.enableChangeDataFeed": "true"}`.
        commit_metadata: entries that the table's commits have in its history, as texts by name, e.g.
            `{"userName": "ann"}`.
        protected: whether a run is refused that would replace the whole table, or more than one partition
            that has rows, without the tag `practicus/replace`, which names the table; a number says how many
            partitions instead of one. The runs of a backfill count together.
        reuse: whether a run ends before the function, and reports the table as it is, if the function's code,
            its config, the contract and the rows of all inputs are those of the last commit.
        splits: into how many parts a step's work is cut, each of which a process or pod of its own does: a
            number, which divides the rows of the one input, or `Splits`.
        engine: the engine of the function's queries; then it takes and returns DataFrames of Spark.
        worker: what a step asks of the place where it runs, or a function from partition key to that.
        asset_options: what `dg.asset` takes. `code_version` is by default derived from the function's source,
            `kinds` gets "deltalake", and `io_manager_key` names the `DeltaIOManager`. With
            `output_required=False`, a function that yields nothing, or returns None, leaves the table as it
            is; so does one that is annotated `-> X | None`.

    Raises:
        DeclarationError: if the settings contradict each other.

    """
    refuse_others(asset_options, _OWN)
    refuse_mistaken(asset_options)
    if compute_fn is not None:
        refuse_other_than_function(compute_fn)
    settings = TableSettings(
        partition_by,
        WriteOptions(
            mode=mode,
            merge_keys=merge_keys,
            merge_kind=merge_kind,
            delete_unmatched=delete_unmatched,
            history_keys=history_keys,
            sequence_by=sequence_by,
            apply_as_deletes=apply_as_deletes,
            on_schema_change=on_schema_change,
            table_properties=table_properties if table_properties is not None else {},
            commit_metadata=commit_metadata if commit_metadata is not None else {},
        ),
        protected,
    )
    if reuse and settings.options.mode != "replace":
        raise DeclarationError(
            f'reuse is True, and mode is "{mode}": the rows depend on those that were there.',
            "Leave out reuse, or replace the rows of the run's partitions.",
        )
    cut = Splits.of_value(splits)
    if engine is not None and cut is not None:
        raise DeclarationError("the asset has splits and an engine.", "Leave out one of them.")
    if engine is not None and not isinstance(engine, SparkConnect):
        raise DeclarationError(f"engine is a {type(engine).__qualname__}.", "Write engine=SparkConnect().")
    promised = as_contract(contract)
    if promised is not None:
        refuse_unpromised(settings.options, promised.columns, closed=promised.closed)
        refuse_rejecting(settings.options, rejects=promised.rejects)

    def decorate(function: Function) -> dg.AssetsDefinition:
        refuse_other_than_function(function)
        _refuse(function, settings, promised, asset_options)
        if engine is None:
            refuse_without_engine(function)
        else:
            refuse_unfit(settings.options, promised)
        with as_declaration_error(asset_options.get("name") or function.__name__):
            refuse_place(_key(function, asset_options))
        options: dict[str, Any] = {"io_manager_key": "io_manager", **asset_options}
        options["kinds"] = {"deltalake", *(options.get("kinds") or ())}
        options["metadata"] = {
            **_catalog_metadata(function, promised),
            **(options.get("metadata") or {}),
            **settings.in_full(),
        }
        options.setdefault("code_version", _code_version(function))
        returned = hints(function).get("return")
        refuse_unvalidated(returned, "Annotate pl.DataFrame, and declare columns and rules in the contract.")
        if may_be_none(returned):
            options.setdefault("output_required", False)
        rules = check_specs(promised, _key(function, options), options.get("partitions_def"))
        author_specs = _author_specs(options.pop("check_specs", None), rules)
        specs = [*rules, *author_specs]
        required = options.get("output_required", True)
        terms = TableTerms(settings, promised, author_specs, required, reuse, engine=engine)
        step = Step(function, terms, options.get("partitions_def"), io_manager_key=options["io_manager_key"])
        if cut is not None or split_parameter(function) is not None:
            step = step.divided(cut, _asset(step.invoke(), options).op.input_dict)
        compute, evaluate = step.compute(), step.evaluate()
        name = function.__name__
        options["op_tags"], _ = (declare(worker, op, options, name) for op in (compute, evaluate))
        with as_declaration_error(options.get("name") or name):
            tags = {**options["op_tags"], **Splits.tags(cut), **SparkConnect.tags(engine)}
            assets = _asset(compute, {**options, "check_specs": specs, "op_tags": tags})
        refuse_strangers(assets.key.to_user_string(), promised, assets.asset_deps[assets.key])
        checks_op = _checks_op(assets, specs, evaluate, options) if specs else None
        return TableDefinition.of(assets, cache(partial(_function_op, step, options)), checks_op, step.terms)

    return decorate if compute_fn is None else decorate(compute_fn)


def _catalog_metadata(function: Function, contract: Contract | None) -> dict[str, Any]:
    """Return what the catalog shows of a table before its first run."""
    schema = contract.schema if contract is not None else None
    entries = {
        COLUMN_SCHEMA: table_schema(schema, contract) if schema is not None else None,
        COLUMN_LINEAGE: column_lineage(contract),
        CODE_REFERENCES: code_reference(function),
        STORAGE_KIND: "deltalake",
    }
    return {name: entry for name, entry in entries.items() if entry is not None}


def _author_specs(
    declared: Iterable[dg.AssetCheckSpec] | None, rules: Sequence[dg.AssetCheckSpec]
) -> list[dg.AssetCheckSpec]:
    """Return the checks of an author, none of which has the name of a rule of the contract."""
    author_specs = list(declared or ())
    doubled = sorted({spec.name for spec in author_specs} & {rule.name for rule in rules})
    if doubled:
        raise DeclarationError(
            f"check_specs has the names {doubled}, which are rules of the contract.", "Rename them."
        )
    return author_specs


def _asset(function: Function, options: Mapping[str, Any]) -> dg.AssetsDefinition:
    """Return Dagster's asset, without its warning that backfill policies are young: our docs use them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Parameter `backfill_policy`", dg.BetaWarning)
        return cast("dg.AssetsDefinition", dg.asset(**options)(function))


def _function_op(step: Step, options: dict[str, Any]) -> dg.OpDefinition:
    """Return the op that a direct call of the asset runs, or a graph that calls it.

    It has a name of its own, for a job may have it beside the asset's op.
    """
    op = _asset(step.invoke(), options).op
    return op.with_replaced_properties(name=f"{op.name}_function")


def _checks_op(
    assets: dg.AssetsDefinition,
    specs: Sequence[dg.AssetCheckSpec],
    evaluate: Function,
    options: Mapping[str, Any],
) -> dg.OpDefinition:
    """Return the op of a run that selects an asset's checks and not the asset."""
    checks = dg.multi_asset_check(
        name=f"{assets.op.name}_checks",
        specs=specs,
        description=f"Evaluates the contract of {assets.key.to_user_string()} on the table as it is.",
        can_subset=True,
        op_tags=options.get("op_tags"),
        required_resource_keys={options["io_manager_key"]},
        retry_policy=options.get("retry_policy"),
        pool=options.get("pool"),
    )(evaluate)
    return checks.op


def _refuse(
    function: Function, settings: TableSettings, contract: Contract | None, options: Mapping[str, Any]
) -> None:
    """Raise DeclarationError for what a table asset cannot be made of."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise DeclarationError(
            f"{function.__qualname__} is asynchronous.", "Run what it awaits inside, with asyncio.run."
        )
    if options.get("partitions_def") is not None:
        settings.columns_of(options["partitions_def"])
        if settings.options.on_schema_change == "replace":
            raise DeclarationError(
                f'{function.__qualname__} has partitions, and on_schema_change is "replace".',
                "Only a table that each run replaces as a whole can change so.",
            )
    if StagedParquet in map(without_none, hints(function).values()):
        refuse_unfit(settings.options, contract)
    Statistics.from_metadata(options.get("metadata") or {})
    if not settings.agree_with(options.get("metadata") or {}):
        raise DeclarationError(
            f"metadata of {function.__qualname__} say otherwise than its arguments: {options['metadata']}.",
            "Pass mode, partition_by and the like as arguments.",
        )


def _key(function: Function, options: Mapping[str, Any]) -> dg.AssetKey:
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
    except (OSError, TypeError, SyntaxError, tokenize.TokenError):
        return None
    node = tree.body[0]
    code = ast.unparse(tree)
    if isinstance(node, ast.FunctionDef):
        body = node.body[1:] if ast.get_docstring(node) is not None else node.body
        code = "\n".join([ast.unparse(node.args), *map(ast.unparse, body)])
    return hashlib.sha256(code.encode()).hexdigest()[:12]
