"""Table jobs: Dagster jobs that look at or change tables, which are selected as for any asset job."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,  # what dg.define_asset_job returns
)

from practicus_assets.assets.io_manager import DeltaIOManager
from practicus_assets.errors import DeclarationError

if TYPE_CHECKING:
    from practicus_assets.assets.catalog import TableEntry

Selection = (
    dg.AssetSelection
    | str
    | Sequence[str]
    | Sequence[dg.AssetKey]
    | Sequence[dg.AssetsDefinition | dg.SourceAsset]
)
"""Assets as `dg.define_asset_job` takes them."""


class SelectedTables:
    """The tables that a job is about; their places are known once a run has its resources.

    Args:
        assets: the assets, each with its key.
        graph: all assets of the code location.

    Attributes:
        keys: the assets' keys.
        graph: all assets of the code location.
        resource_keys: the resources that store the tables.

    """

    def __init__(self, assets: Sequence[tuple[dg.AssetsDefinition, dg.AssetKey]], graph: AssetGraph) -> None:
        self._assets = assets
        self.keys = frozenset(key for _, key in assets)
        self.graph = graph
        self.resource_keys = {asset.get_io_manager_key_for_asset_key(key) for asset, key in assets}

    def with_all(self, resources: Mapping[str, Any]) -> "SelectedTables":
        """Return every table of the code location that these resources store."""
        keys = [
            (node.assets_def, node.key, node.assets_def.get_io_manager_key_for_asset_key(node.key))
            for node in self.graph.asset_nodes
        ]
        every = [(asset, key) for asset, key, io in keys if io in resources and _may_be_table(resources, io)]
        return SelectedTables(every, self.graph)

    def entries(self, context: dg.OpExecutionContext) -> "dict[str, TableEntry]":
        """Return the selected tables by name; assets that something else stores are left out."""
        from practicus_assets.assets.catalog import entry, may_be_table  # noqa: PLC0415 definitions do without

        entries: dict[str, TableEntry] = {}
        for asset, key in self._assets:
            lake = getattr(context.resources, asset.get_io_manager_key_for_asset_key(key))
            if isinstance(lake, DeltaIOManager) and may_be_table(asset, key, lake):
                table = entry(asset, key, lake)
                entries[table.name] = table
        return entries


class TableJob(UnresolvedAssetJobDefinition):
    """A job of one op, which is made when the code location is loaded and all its assets are known."""

    make_op: Callable[[SelectedTables], dg.OpDefinition]

    def resolve(
        self,
        asset_graph: AssetGraph,
        default_executor_def: dg.ExecutorDefinition | None = None,
        resource_defs: Mapping[str, dg.ResourceDefinition] | None = None,
    ) -> dg.JobDefinition:
        """Return the job about the tables that the selection has in a code location.

        Raises:
            DeclarationError: if none of the selected assets is a table.

        """
        keys = sorted(self.selection.resolve(asset_graph))
        assets = [
            (asset, key)
            for key in keys
            for asset in [asset_graph.get(key).assets_def]
            if _may_be_table(resource_defs or {}, asset.get_io_manager_key_for_asset_key(key))
        ]
        if not assets:
            raise DeclarationError(
                f"the job {self.name} selects no table: none of {[key.to_user_string() for key in keys]} "
                "is stored by a DeltaIOManager.",
                "Select table assets, or give them a DeltaIOManager.",
            )
        graph = dg.GraphDefinition(
            name=self.name, node_defs=[self.op_of(SelectedTables(assets, asset_graph), resource_defs or {})]
        )
        return graph.to_job(
            description=self.description, resource_defs=resource_defs, executor_def=default_executor_def
        )

    def op_of(self, tables: SelectedTables, resources: Mapping[str, Any]) -> dg.OpDefinition:  # noqa: ARG002 for those that look around
        """Return the job's op for the selected tables.

        Args:
            tables: the tables.
            resources: the resources of the code location, by their keys.

        """
        return self.make_op(tables)

    def with_metadata(self, metadata: Mapping[str, Any]) -> "TableJob":
        """Return the same job; Dagster adds where its code is, which is here."""
        del metadata
        return self


def table_job(
    name: str,
    selection: Selection | None,
    description: str,
    make_op: Callable[[SelectedTables], dg.OpDefinition],
) -> TableJob:
    """Return a job about tables.

    Args:
        name: the job's name.
        selection: the assets that it may be about; None for all of the code location.
        description: the job's description.
        make_op: the function that makes the job's op for the selected tables.

    """
    job = TableJob(name, dg.define_asset_job(name, selection).selection, description=description)
    job.make_op = make_op  # an attribute and no field: Dagster's class is a named tuple
    return job


def records(rows: Iterable[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Return rows as a table in Dagster's metadata; every cell is text."""
    cells = [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]
    columns = [dg.TableColumn(name) for name in (cells[0] if cells else ())]
    return dg.MetadataValue.table([dg.TableRecord(row) for row in cells], dg.TableSchema(columns))


def _may_be_table(resources: Mapping[str, Any], key: str) -> bool:
    """Return whether a resource is a `DeltaIOManager`, or may make one: only some name their class."""
    kind = getattr(resources.get(key), "configurable_resource_cls", DeltaIOManager)
    return isinstance(kind, type) and issubclass(kind, DeltaIOManager)
