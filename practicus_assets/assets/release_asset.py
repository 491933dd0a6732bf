"""Releases as assets: an asset that publishes the versions of tables that a run made together."""

import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import dagster as dg

from practicus_assets.assets.io_manager import lake_of
from practicus_assets.assets.lakes.layered_table import refuse_release_of_layers
from practicus_assets.assets.runs import made_by, metadata_of
from practicus_assets.errors import DeclarationError
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.upkeep.releases import publish
from practicus_assets.parameters import named_parameters, refuse_unknown


@named_parameters
def build_release_asset(
    name: str,
    tables: Sequence[dg.AssetsDefinition | dg.AssetKey | str | Sequence[str]],
    *,
    mixed: bool = False,
    io_manager_key: str = "io_manager",
    **asset_options: Any,
) -> dg.AssetsDefinition:
    """Return an asset that publishes a release of tables: after them, and only if all their audits passed.

    The release is named after the asset and the run. It has the versions that the run made, and of tables
    that the run did not materialize the newest ones when it began.

    Args:
        name: the asset's name.
        tables: table assets of one lake, or their keys.
        mixed: whether tables may have been computed from other rows of each other than those released.
        io_manager_key: the name of the `DeltaIOManager` of the tables that are given as keys.
        asset_options: other options of `dg.asset`, e.g. `group_name`.

    Raises:
        DeclarationError: if the tables are not in one lake.

    """
    own = ("name", "tables", "mixed", "io_manager_key")
    refuse_unknown("build_release_asset", asset_options, [*own, *inspect.signature(dg.asset).parameters])
    if isinstance(tables, str | dg.AssetKey | dg.AssetsDefinition) or not tables:
        example = repr(tables) if isinstance(tables, str) and tables else "orders, customers"
        raise DeclarationError(
            f"the release {name} is given tables={tables!r}, which is no list of tables.",
            f"Write tables=[{example}].",
        )
    io_managers: dict[dg.AssetKey, str] = {}
    metadata: dict[dg.AssetKey, Mapping[str, Any]] = {}
    for table in tables:
        if isinstance(table, dg.AssetsDefinition):
            metadata |= {spec.key: spec.metadata for spec in table.specs}
            io_managers |= {key: table.get_io_manager_key_for_asset_key(key) for key in sorted(table.keys)}
        else:
            io_managers[dg.AssetKey.from_coercible(table)] = io_manager_key
    if len(set(io_managers.values())) != 1:
        raise DeclarationError(
            f"the release {name} is of tables with the IO managers {sorted(set(io_managers.values()))}.",
            "Release tables of one lake.",
        )
    [resource_key] = set(io_managers.values())

    def publish_release(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        lake = lake_of(context, resource_key)
        layered = {
            key: lake.layered(key, metadata.get(key) or metadata_of(context, key)) for key in io_managers
        }
        refuse_release_of_layers(layered.values())
        places = {key: table.own for key, table in layered.items()}
        versions = {table.name: _version(context, key, table) for key, table in places.items()}
        options = next(iter(places.values())).storage_options
        release_name = f"{name}-{context.run.run_id[:8]}"
        release = publish(
            lake.root(), release_name, versions, options, run_id=context.run.run_id, mixed=mixed
        )
        content = hashlib.sha256(json.dumps(versions, sort_keys=True).encode()).hexdigest()[:16]
        return dg.MaterializeResult(
            metadata={
                "release/name": release.name,
                "release/number": release.number,
                "release/versions": versions,
            },
            data_version=dg.DataVersion(content),
        )

    options = {"description": "Publishes a release of its tables.", **asset_options}
    decorate = dg.asset(name=name, deps=list(io_managers), required_resource_keys={resource_key}, **options)
    return cast("dg.AssetsDefinition", decorate(publish_release))


def _version(context: dg.AssetExecutionContext, key: dg.AssetKey, table: Table) -> int:
    """Return the version that the run made of a table, else the newest one when the run began."""
    record = context.instance.get_run_record_by_id(context.run.run_id)
    if record is None:
        return table.open().version
    own = made_by(record, context.instance, key)
    if own is not None:
        return own
    began = record.start_time or record.create_timestamp.timestamp()
    return Snapshot.of(table, datetime.fromtimestamp(began, UTC)).version
