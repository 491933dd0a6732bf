"""Loaded inputs: what a step gets for a parameter, of a table or of another op."""

from functools import partial
from typing import Any

import dagster as dg

from practicus_assets.assets.lakes.lake import Lake
from practicus_assets.assets.lakes.layered_table import LayeredTable
from practicus_assets.assets.lakes.pins import pinned_for
from practicus_assets.assets.metadata.input_settings import InputSettings
from practicus_assets.assets.runs import reading
from practicus_assets.assets.values.asset_input import AssetInput
from practicus_assets.errors import DeclarationError, TableNotFound, naming
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.rows.annotations import is_optional, kind_by_partition, written


def load(lake: Lake, context: dg.InputContext) -> Any:
    """Return what an input's annotation asks for."""
    with reading(context):
        return _load(lake, context)


def _load(lake: Lake, context: dg.InputContext) -> Any:
    source = AssetInput.of(context)
    if source is None:
        if context.upstream_output is None:
            raise DeclarationError(
                f"the input {context.name!r} comes from no op and no asset.",
                "Give it a value in the config.",
            )
        if InputSettings.from_metadata(context.definition_metadata or {}) != InputSettings():
            raise DeclarationError(
                f"the metadata of the input {context.name!r} select some of a table, of which what "
                "another op handed on is none.",
                "Select in the function.",
            )
        return lake.op_outputs().load(context.upstream_output)
    layered = lake.layered(source.key, source.metadata)
    table, annotation = layered.own, source.annotation
    with naming(table.name), source.made_by_somebody(table):
        settings = InputSettings.from_metadata(context.definition_metadata or {})
        kind = kind_by_partition(annotation)
        if kind is not None and source.partitions_def is None:
            raise DeclarationError(
                f"the input {context.name!r} is of an asset without partitions, and annotated as "
                f"{written(annotation)}.",
                "Annotate it as one table, such as pd.DataFrame.",
            )
        if source.partitions_def is None:
            settings.refuse_without_partitions()
        snapshot = _snapshot(lake, source, layered, settings)
        if source.is_none(snapshot):
            return None
        if kind is None:
            return source.read(snapshot, settings, annotation)
        with_rows = settings.allow_missing_partitions or is_optional(kind)
        parts = snapshot.by_partition(with_rows=with_rows) if snapshot is not None else {}
        return {key: source.read(part, settings, kind) for key, part in parts.items()}


def _snapshot(
    lake: Lake, source: AssetInput, table: LayeredTable, settings: InputSettings
) -> Snapshot | None:
    """Return the snapshot to read; None if there is no table yet, and the input may do without."""
    read = partial(pinned_for, source.context, source.key, table, version=settings.version)
    try:
        if source.partitions_def is None:
            return read(Scope())
        if not source.partition_keys:
            return read(Scope()).without_rows()
        stored = lake.settings(source.metadata)
        with source.own_past():
            return read(stored.scope(source.partitions_def, source.partition_keys))
    except TableNotFound:
        if source.may_do_without_table(settings):
            return None
        raise
