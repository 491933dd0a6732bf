"""Releases as assets: what publishes the versions of tables that a run made together."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import dagster as dg

from practicus_assets.assets.catalog import TableEntry, entry
from practicus_assets.assets.io_manager import DeltaIOManager
from practicus_assets.assets.runs import made_by
from practicus_assets.errors import DeclarationError
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.upkeep.releases import publish


def release_asset(
    name: str, tables: Sequence[dg.AssetsDefinition], **asset_options: Any
) -> dg.AssetsDefinition:
    """Return an asset that publishes a release of tables: after them, and only if all their audits passed.

    The release is named after the asset and the run. It has the versions that the run made, and of tables
    that the run did not materialize the newest ones when it began.

    Args:
        name: of the asset.
        tables: table assets of one lake.
        asset_options: of `dg.asset`, e.g. `group_name`.

    Raises:
        DeclarationError: if the tables are not in one lake.

    """
    keys = [(assets, key) for assets in tables for key in sorted(assets.keys)]
    io_managers = {assets.get_io_manager_key_for_asset_key(key) for assets, key in keys}
    if len(io_managers) != 1:
        raise DeclarationError(
            f"the release {name} is of tables with the IO managers {sorted(io_managers)}.",
            "Release tables of one lake.",
        )
    [resource_key] = io_managers

    def publish_release(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        lake = getattr(context.resources, resource_key)
        if not isinstance(lake, DeltaIOManager):
            raise DeclarationError(f"the resource {resource_key!r} is no DeltaIOManager.", "Give it one.")
        entries = [entry(assets, key, lake) for assets, key in keys]
        versions = {each.name: _version(context, each) for each in entries}
        options = entries[0].table.storage_options
        made = publish(
            lake.root_uri, f"{name}-{context.run.run_id[:8]}", versions, options, run_id=context.run.run_id
        )
        content = hashlib.sha256(json.dumps(versions, sort_keys=True).encode()).hexdigest()[:16]
        return dg.MaterializeResult(
            metadata={"release/name": made.name, "release/number": made.number, "release/versions": versions},
            data_version=dg.DataVersion(content),
        )

    options = {"description": "Publishes a release of its tables.", **asset_options}
    decorate = dg.asset(
        name=name, deps=[key for _, key in keys], required_resource_keys={resource_key}, **options
    )
    return cast("dg.AssetsDefinition", decorate(publish_release))


def _version(context: dg.AssetExecutionContext, table: TableEntry) -> int:
    record = context.instance.get_run_record_by_id(context.run.run_id)
    if record is None:
        return table.table.open().version()
    made = made_by(record, context.instance, table.key)
    if made is not None:
        return made
    began = record.start_time or record.create_timestamp.timestamp()
    return Snapshot.at(table.table, datetime.fromtimestamp(began, UTC)).version
