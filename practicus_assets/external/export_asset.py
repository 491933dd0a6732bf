"""`export_asset`: a Dagster asset that brings a table's rows to another system."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, cast

import dagster as dg

from practicus_assets.assets.settings import PartitionBy, TableSettings
from practicus_assets.assets.table_definition import TableDefinition
from practicus_assets.destinations.destination import WAIT_S, Destination
from practicus_assets.errors import DeclarationError
from practicus_assets.external.upstream import Upstream
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.parameters import named_parameters, refuse_unknown
from practicus_assets.sources.system import System
from practicus_assets.workers.placement.declaration import WorkerOf, declare
from practicus_assets.workers.request.worker import Worker

Exported = dg.AssetsDefinition | dg.AssetSpec | dg.AssetKey | str | Sequence[str]

_OWN = ("to", "table", "columns", "create", "partition_by", "wait_s", "io_manager_key", "worker")
_REFUSED = {"ins", "deps", "io_manager_def", "dagster_type", "code_version", "check_specs", "output_required"}
_OPTIONS = [name for name in inspect.signature(dg.asset).parameters if name not in {"compute_fn", *_REFUSED}]


@named_parameters
def export_asset(
    asset: Exported,
    /,
    to: System | Destination,
    table: str,
    *,
    columns: Mapping[str, str] | Sequence[str] | None = None,
    create: bool = False,
    partition_by: PartitionBy | None = None,
    wait_s: float = WAIT_S,
    io_manager_key: str | None = None,
    worker: Worker | WorkerOf | None = None,
    **asset_options: Any,
) -> dg.AssetsDefinition:
    """Return an asset that brings a table's rows to another system, after each change of the table.

        orders_in_shop = export_asset(orders, to=PostgreSQL(…), table="public.orders", create=True)

    A run replaces its partitions there, or all rows, in one transaction there; a marker beside them says
    which data of which version they are, so that what is there already is not written again, and older rows
    never replace newer ones.

    Args:
        asset: the table asset, or its key.
        to: the system, a `PostgreSQL`, a `MySQL` or `Files`.
        table: the table there, such as `public.orders`; of files, the folder.
        columns: the columns that go there, all by default: their names, or a mapping from name in the table
            to name there.
        create: whether a table that is not there is made from the columns.
        partition_by: the column of the table that holds the partition key, as for `table_asset`; by default
            the table asset's.
        wait_s: how long to wait, in seconds, for another export of the same rows.
        io_manager_key: the name of the `DeltaIOManager` that has the table; by default the table asset's.
        worker: what a step asks of the place where it runs, or a function from partition key to that.
        asset_options: what `dg.asset` takes. `key` is by default the table's with the system's kind at its
            end, as in `orders_postgresql`; `partitions_def` and `group_name` are by default the table's, and
            `pool` the system's.

    Raises:
        DeclarationError: if the settings contradict each other.

    """
    refuse_unknown("export_asset", asset_options, [*_OWN, *_OPTIONS])
    from practicus_assets.destinations.systems import destination_of  # noqa: PLC0415 knows every system

    destination = destination_of(to, wait_s)
    destination.refuse_target(table)
    spec, contract = _declared(asset)
    options = {
        "partitions_def": spec.partitions_def,
        "group_name": spec.group_name,
        "description": f"Brings {spec.key.to_user_string()} to {table} in {destination.address}.",
        "pool": destination.pool,
        **asset_options,
    }
    options["kinds"] = {destination.kind, *(options.get("kinds") or ())}
    if not {"key", "name"} & asset_options.keys():
        *prefix, name = spec.key.path
        options["key"] = dg.AssetKey([*prefix, f"{name}_{destination.kind}"])
        if "key_prefix" in asset_options:
            options["key"] = options["key"].with_prefix(options.pop("key_prefix"))
    settings = TableSettings.from_metadata(spec.metadata)
    if partition_by is not None:
        settings = TableSettings(partition_by)
    if options["partitions_def"] is not None:
        settings.columns_of(options["partitions_def"])
    if isinstance(asset, dg.AssetsDefinition) and io_manager_key is None:
        io_manager_key = asset.get_io_manager_key_for_asset_key(spec.key)
    upstream = Upstream(
        spec.key, settings, io_manager_key or "io_manager", contract, _partition_columns(spec, settings)
    )
    named = _names(columns)

    def export(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        from practicus_assets.external.export_step import ExportStep  # noqa: PLC0415 definitions do without

        return ExportStep(upstream, destination, table, named, create=create).run(context)

    options["required_resource_keys"] = {
        upstream.io_manager_key,
        *(options.get("required_resource_keys") or ()),
    }
    options["op_tags"] = declare(worker, export, options, spec.key.to_user_string())
    decorate = dg.asset(deps=[spec.key], **options)
    return cast("dg.AssetsDefinition", decorate(export))


def _declared(asset: Exported) -> tuple[dg.AssetSpec, Contract | None]:
    """Return what the code says of the table, and its contract."""
    if isinstance(asset, dg.AssetSpec):
        return asset, None
    if not isinstance(asset, dg.AssetsDefinition):
        return dg.AssetSpec(dg.AssetKey.from_coercible(asset)), None
    if len(asset.keys) != 1:
        keys = sorted(key.to_user_string() for key in asset.keys)
        raise DeclarationError(
            f"the asset to export has the keys {keys}.",
            "Give the spec of one of them: export_asset(assets.get_asset_spec(key), …).",
        )
    [spec] = asset.specs
    return spec, asset.contract if isinstance(asset, TableDefinition) else None


def _partition_columns(spec: dg.AssetSpec, settings: TableSettings) -> tuple[str, ...]:
    """Return the columns that hold the table's partition keys, of which none is null."""
    if spec.partitions_def is None:
        return ()
    return tuple(settings.columns_of(spec.partitions_def).values())


def _names(columns: Mapping[str, str] | Sequence[str] | None) -> dict[str, str]:
    """Return the name there of each column that goes there; none for all."""
    if columns is None:
        return {}
    if isinstance(columns, str) or not columns:
        raise DeclarationError(
            f"columns={columns!r} is no selection.",
            'Name the columns, ["a", "b"], or give them other names, {"a": "amount"}.',
        )
    return dict(columns) if isinstance(columns, Mapping) else {name: name for name in columns}
