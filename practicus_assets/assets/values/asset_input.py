"""Asset inputs: the asset that a parameter reads, in a run and in a unit test of an IO manager."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dagster as dg

from practicus_assets.assets.metadata.input_settings import InputSettings
from practicus_assets.assets.report.names import IO_MANAGER_KEY
from practicus_assets.assets.runs import step_of
from practicus_assets.assets.splits.inputs import ReadBySplits, SplitInput, asked
from practicus_assets.errors import TableNotFound
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.rows.annotations import is_optional, kind_by_partition
from practicus_assets.wording import enumerated


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
        is_for_splits: whether splits read it, and not the step.

    """

    context: dg.InputContext
    key: dg.AssetKey
    metadata: Mapping[str, Any]
    partitions_def: dg.PartitionsDefinition[Any] | None
    partition_keys: Sequence[str]
    annotation: Any
    is_for_splits: bool = False

    def read(self, snapshot: Snapshot | None, settings: InputSettings, annotation: Any) -> Any:
        """Return what the step gets of a snapshot: what the parameter asks for, or what its splits read."""
        if self.is_for_splits:
            return SplitInput(snapshot, settings)
        return settings.given(snapshot, annotation)

    def may_do_without_table(self, settings: InputSettings) -> bool:
        """Return whether the input may be read where there is no table yet."""
        if is_optional(self.annotation) or is_optional(kind_by_partition(self.annotation)):
            return True
        no_partition_is_read = not self.partition_keys or settings.allow_missing_partitions
        return self.partitions_def is not None and no_partition_is_read and self.annotation is not Snapshot

    def is_none(self, snapshot: Snapshot | None) -> bool:
        """Return whether an input `X | None` is None, and say so in the log of the run.

        It is where there is no table, and where no partition that is read has rows by the table's log.
        """
        if not is_optional(self.annotation):
            return False
        if snapshot is None:
            reason = "there is no table yet"
        else:
            is_mapping = kind_by_partition(self.annotation) is not None
            if self.partitions_def is None or is_mapping or set(snapshot.partition_rows.values()) - {0}:
                return False
            reason = f"there are no rows of {enumerated(self.partition_keys[:3]) or 'earlier partitions'}"
        name = f" {self.context.name!r}" if self.context.has_input_name else ""
        self.context.log.info("%s: %s, so the input%s is None", self.key.to_user_string(), reason, name)
        return True

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
            annotation_of(context),
            isinstance(_typing_type(context), ReadBySplits),
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


def annotation_of(context: dg.InputContext | dg.OutputContext) -> Any:
    """Return the annotation of an input's parameter, or of an output; None if there is none."""
    return asked(_typing_type(context))


def _typing_type(context: dg.InputContext | dg.OutputContext) -> Any:
    try:
        return context.dagster_type.typing_type
    except dg.DagsterInvariantViolationError:
        return None
