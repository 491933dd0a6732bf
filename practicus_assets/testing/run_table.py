"""The run of one table in memory."""

from collections.abc import Generator, Mapping
from functools import cache, partial
from typing import Any

import dagster as dg
import pyarrow as pa

from practicus_assets.assets.author_checks import AuthorChecks, audits
from practicus_assets.assets.output import NOTHING, Output, warn_of_owned
from practicus_assets.assets.report.materialization import commit_metadata, partition_metadata, run_metadata
from practicus_assets.assets.settings import TableSettings
from practicus_assets.assets.table_definition import TableDefinition
from practicus_assets.assets.value_annotation import may_be_none
from practicus_assets.errors import DataRefused, DeclarationError, naming
from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.rows.frames import record_batches
from practicus_assets.lake.transactions.commit import Commit
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.quarantine.rejected_table import SUFFIX
from practicus_assets.parameters import named_parameters
from practicus_assets.testing.inputs import as_read, left_out
from practicus_assets.testing.memory import MemoryTable
from practicus_assets.testing.partitions import Partition, keys_of
from practicus_assets.testing.rehearsal import Rehearsal
from practicus_assets.testing.table_run import TableRun


@named_parameters
def run_table(
    table: dg.AssetsDefinition,
    inputs: Mapping[str, Any] | None = None,
    *,
    partition: Partition | None = None,
    config: Any = None,
    resources: Mapping[str, Any] | None = None,
    existing: Any = None,
) -> TableRun:
    """Run a table in memory: what its function returns is cast, audited and committed as in a run.

        run = run_table(orders, {"raw_orders": frame}, partition="2026-01-01")
        assert run.to_pandas()["amount"].tolist() == [1.5]

    Inputs that are tables reach the function as its parameters are annotated, as if they had been stored.
    One that is `X | None` may be left out: then there is no such table, and it is None. For a parameter
    `StagedParquet`, give the folder in which the function's engine is to write: `StagedParquet(tmp_path)`.

    Args:
        table: a table asset, or a plain asset that returns one table.
        inputs: the value of each input, by its parameter's name.
        partition: the run's partition: its key, several keys, or a `dg.PartitionKeyRange`. A key of several
            dimensions is `"2026-01-01|a"` or `{"day": "2026-01-01", "shop": "a"}`.
        config: the function's configuration, a `dg.Config` or a mapping.
        resources: the function's resources, by name.
        existing: the rows that the table has before the run, as a function would return them. By default
            there is no table.

    Returns:
        The rows as they are stored, the results of the contract's rules, and the table after the run.

    Raises:
        DataRefused: as in a run, e.g. `AuditFailed` if a rule of severity "ERROR" is broken.
        DeclarationError: if the arguments do not fit the asset.

    """
    key = _key(table)
    _refuse_no_mapping("inputs", inputs)
    _refuse_no_mapping("resources", resources)
    if not isinstance(config, dg.Config):
        _refuse_no_mapping("config", config)
    spec = table.get_asset_spec(key)
    settings = TableSettings.from_metadata(spec.metadata)
    contract = table.contract if isinstance(table, TableDefinition) else None
    stored = MemoryTable.named("/".join(key.path))
    instance = _instance()
    if isinstance(table.partitions_def, dg.DynamicPartitionsDefinition):  # no other test's partitions
        instance = dg.DagsterInstance.ephemeral()
    keys = keys_of(stored.name, table.partitions_def, partition, instance)
    with naming(stored.name):
        scope = settings.scope(table.partitions_def, keys)
    if existing is not None:
        _fill(stored, existing, settings.options, contract)
    transaction = Rehearsal(stored, scope, settings.described(spec, {}), contract=contract)
    partitions: dict[str, Any] = {"partition_key": keys[0]} if len(keys) == 1 else {}
    if len(keys) > 1:
        partitions["partition_key_range"] = dg.PartitionKeyRange(keys[0], keys[-1])
    values: dict[str, Any] = {name: as_read(name, value, table) for name, value in (inputs or {}).items()}
    values |= left_out(table, values)
    if isinstance(config, dg.Config):
        values["config"] = config
    elif config is not None:
        partitions["asset_config"] = dict(config)
    with dg.build_asset_context(resources=resources, instance=instance, **partitions) as context:
        returned = table(context, **values)
        output_name = table.get_output_name_for_asset_key(key)
        output = Output(key, _author_checks(table, contract), required=_required(table, output_name))
        with naming(stored.name, str(scope), nothing_written=True):
            rows = output.rows_of(returned)
        if rows is NOTHING:
            is_table_asset = isinstance(table, TableDefinition)
            return _unchanged(stored, is_materialized=not (is_table_asset or isinstance(returned, Generator)))
        staged = transaction.stage(rows)
        decided = context.op_execution_context.get_output_metadata(output_name) or {}
        with naming(stored.name, str(scope), nothing_written=True):
            settings.refuse_decided({**output.metadata, **decided})
        commit = transaction.commit(staged, further=audits(output.check_results))
        with naming(stored.name, str(scope)):
            list(output.finish())
        added = context.op_execution_context.get_output_metadata(output_name) or {}
        authored = {**output.metadata, **added}
        own = _own_metadata(table, stored, scope, commit, inputs or {})
        replaced = warn_of_owned(authored, own, partial(context.log.warning, "%s: %s", stored.name))
    stored_rows = (
        pa.concat_tables(staged.given)
        if staged.given
        else staged.scan(stored, settings.options.partition_by).read_all()
    )
    metadata = {
        name: getattr(entry, "value", entry) for name, entry in authored.items() if name not in replaced
    }
    rejected = (
        staged.rejected
        and staged.rejected.scan(stored.beside(SUFFIX), settings.options.partition_by).read_all()
    )
    return TableRun(stored_rows, commit.audits, metadata, after=Snapshot.of(stored), rejected=rejected)


@cache
def _instance() -> dg.DagsterInstance:
    """Return the instance of contexts: Dagster makes one in memory for each context that is given none."""
    return dg.DagsterInstance.ephemeral()


def _key(table: Any) -> dg.AssetKey:
    """Return the asset's key.

    Raises:
        DeclarationError: if it is not one asset that runs a function.

    """
    runs = isinstance(table, dg.AssetsDefinition) and table.is_executable
    if not runs or not isinstance(table.node_def, dg.OpDefinition):
        raise DeclarationError(
            f"{table!r} is no asset that runs one function.",
            "Give run_table what @table_asset or @dg.asset made.",
        )
    if len(table.keys) != 1:
        names = sorted(key.to_user_string() for key in table.keys)
        raise DeclarationError(f"the assets {names} are made by one function.", "Test a table at a time.")
    key: dg.AssetKey = table.key
    return key


def _author_checks(table: dg.AssetsDefinition, contract: Contract | None) -> AuthorChecks:
    """Return the checks that the author declared beside those of the contract."""
    rules = {check.name for check in contract.checks} if contract is not None else set()
    return AuthorChecks([spec for spec in table.check_specs if spec.name not in rules], table.check_keys)


def _required(table: dg.AssetsDefinition, output_name: str) -> bool:
    """Return whether the function must return rows."""
    definition = table.op.output_dict[output_name]
    return definition.is_required and not may_be_none(definition.dagster_type.typing_type)


def _own_metadata(
    table: dg.AssetsDefinition, stored: MemoryTable, scope: Scope, commit: Commit, inputs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the entries of a materialization that a run sets itself, in the place of an author's."""
    snapshot = Snapshot.of(stored, commit.version, scope)
    settings = TableSettings.from_metadata(table.get_asset_spec(table.key).metadata)
    appends = settings.options.mode == "append"
    contract = table.contract if isinstance(table, TableDefinition) else None
    versions = dict.fromkeys(inputs, 0)
    own = commit_metadata(stored, snapshot, commit, contract, versions, preview_rows=1, appends=appends)
    if isinstance(table, TableDefinition) and len(scope.keys) > 1:
        partitions = partition_metadata(stored, snapshot, commit, preview_rows=1, appends=appends)
        return {**own, **{name: entry for entries in partitions.values() for name, entry in entries.items()}}
    return own | run_metadata(snapshot, commit)


def _fill(table: MemoryTable, rows: Any, options: WriteOptions, contract: Contract | None) -> None:
    """Put the rows that a table has before the run into it, with the types that its contract declares."""
    declared = contract.columns if contract is not None else {}
    how = WriteOptions(
        partition_by=options.partition_by, mode="append", table_properties=options.table_properties
    )
    try:
        reader = record_batches(rows)
        types = {name: Column(declared[name].type) for name in reader.schema.names if name in declared}
        Rehearsal(table, None, how, contract=Contract(columns=types)).write(reader)
    except DataRefused as error:
        raise DeclarationError(
            f"{table.name}: the rows of existing make no table: {error.problem} {error.sample}".strip(),
            error.advice,
        ) from error


def _refuse_no_mapping(name: str, value: Any) -> None:
    """Raise DeclarationError for an argument that does not name its values."""
    if value is not None and not isinstance(value, Mapping):
        raise DeclarationError(
            f"{name} is a value of type {type(value).__qualname__}.",
            f'Name what is in it: {name}={{"…": …}}.',
        )


def _unchanged(table: MemoryTable, *, is_materialized: bool) -> TableRun:
    """Return the run of a function that returned nothing; of a plain asset Dagster records it."""
    after = Snapshot.of(table) if table.versions else None
    schema = after.schema if after is not None else pa.schema([])
    return TableRun(schema.empty_table(), is_materialized=is_materialized, after=after)
