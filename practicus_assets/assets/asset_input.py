"""Asset inputs: the asset that a parameter reads, in a run and in a unit test of an IO manager."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dagster as dg

from practicus_assets.assets.report.names import IO_MANAGER_KEY
from practicus_assets.assets.runs import step_of
from practicus_assets.errors import TableNotFound
from practicus_assets.lake.delta.table import Table


@dataclass(frozen=True)
class AssetInput:
    """What an input's context says of the asset that is read.

    Attributes:
        context: the input's context.
        key: the asset's key.
        metadata: those of the asset's definition.
        partitions_def: the asset's partitions; None if it has none.
        partition_keys: the keys of those that map to the run's.
        annotation: the annotation of the parameter; None if there is none.

    """

    context: dg.InputContext
    key: dg.AssetKey
    metadata: Mapping[str, Any]
    partitions_def: dg.PartitionsDefinition[Any] | None
    partition_keys: Sequence[str]
    annotation: Any

    @classmethod
    def of(cls, context: dg.InputContext) -> "AssetInput | None":
        """Return what a context reads; None if it is no asset.

        A context that `dg.build_input_context` made may know the asset by its `upstream_output` alone, and
        has a type only if it was given one.
        """
        upstream = context.upstream_output
        source: dg.InputContext | dg.OutputContext = context
        if not context.has_asset_key:
            if upstream is None or not upstream.has_asset_key:
                return None
            source = upstream
        partitioned = source.has_asset_partitions
        return cls(
            context,
            source.asset_key,
            (upstream.definition_metadata if upstream is not None else None) or {},
            source.asset_partitions_def if partitioned else None,
            source.asset_partition_keys if partitioned else (),
            _annotation(context),
        )

    @contextmanager
    def own_past(self) -> Iterator[None]:
        """Say what to do where an asset reads earlier partitions of its own table, and there is none yet."""
        try:
            yield
        except TableNotFound:
            step = step_of(self.context)
            assets = step.job_def.asset_layer.get_assets_def_for_node(step.node_handle) if step else None
            if assets is None or self.key not in assets.keys or self.partitions_def is None:
                raise
            name = self.key.to_user_string()
            first = self.partitions_def.get_first_partition_key()
            raise TableNotFound(
                f"the run reads {', '.join(self.partition_keys[:3])} of {name}, its own table, and there is "
                "none yet.",
                f"Materialize the partitions of {name} in their order, from the first one, {first}; or let "
                "its partitions_def begin with the partition of this run, which then reads no rows.",
            ) from None

    @contextmanager
    def made_by_somebody(self, table: Table) -> Iterator[None]:
        """Say what to do where a table is missing that no asset of the code location makes, or may make."""
        try:
            yield
        except TableNotFound:
            step = step_of(self.context)
            graph = step.job_def.asset_layer.asset_graph if step is not None else None
            node = graph.get(self.key) if graph is not None and graph.has(self.key) else None
            if node is None or not node.is_external or table.open_if_exists() is not None:
                raise
            name = self.key.to_user_string()
            missing = f"there is no Delta table at {table.uri}"
            if IO_MANAGER_KEY in node.metadata:  # Dagster notes it for assets that a run does not select, too
                raise TableNotFound(
                    f"{missing}.", f"Materialize {name} first; if no asset makes it, put a Delta table there."
                ) from None
            raise TableNotFound(
                f"{missing}: {name} is declared, but no asset makes it.",
                f"Put a Delta table there, or give it another io_manager_key: "
                f'dg.AssetSpec("{name}").with_io_manager_key(…).',
            ) from None


def _annotation(context: dg.InputContext) -> Any:
    try:
        return context.dagster_type.typing_type
    except dg.DagsterInvariantViolationError:
        return None
