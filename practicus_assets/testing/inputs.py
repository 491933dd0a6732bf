"""Inputs: given values as a table's function gets them in a run."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from practicus_assets.assets.metadata.input_settings import InputSettings
from practicus_assets.assets.splits.inputs import asked
from practicus_assets.errors import DeclarationError, SchemaMismatch, did_you_mean
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.rows.annotations import is_optional, kind_by_partition, without_none
from practicus_assets.lake.rows.frames import record_batches
from practicus_assets.lake.transactions.engine_files.staged_parquet import StagedParquet
from practicus_assets.testing.memory import MemoryTable
from practicus_assets.testing.rehearsal import Rehearsal


def as_read(name: str, value: Any, table: dg.AssetsDefinition) -> Any:
    """Return the value of an input as the parameter's annotation asks for it.

    A value of that type stays as it is, and so does what is no table: Dagster judges it. Another table is
    stored in memory, and read; so is one of which the input's metadata select some columns or rows. So is
    each value of a mapping from partition key.

    Args:
        name: the parameter's name.
        value: the value that the test gives.
        table: the asset that reads it.

    Raises:
        DeclarationError: if the asset has no such input.

    """
    inputs = table.op.input_dict
    if isinstance(value, StagedParquet):  # which is no input, and judged by what the function does with it
        return value
    if name not in inputs:
        every = f"Its inputs are {', '.join(inputs)}." if inputs else "It has none."
        advice = did_you_mean(name, inputs, every)
        raise DeclarationError(f"{table.op.name} has no input {name!r}.", advice)
    annotation = asked(inputs[name].dagster_type.typing_type)
    settings = InputSettings.from_metadata(inputs[name].metadata)
    kind = kind_by_partition(annotation)
    if kind is not None:
        if not isinstance(value, Mapping):
            return value
        return {key: _as_read(name, part, kind, settings) for key, part in value.items()}
    return _as_read(name, value, annotation, settings)


def left_out(table: dg.AssetsDefinition, given: Mapping[str, Any]) -> dict[str, None]:
    """Return None for each input `X | None` that a test does not give, as where there is no table."""
    return {
        name: None
        for name, definition in table.op.input_dict.items()
        if name not in given
        and not definition.has_default_value
        and is_optional(asked(definition.dagster_type.typing_type))
    }


def _as_read(name: str, value: Any, annotation: Any, settings: InputSettings) -> Any:
    is_selection = settings.columns is not None or settings.predicate is not None
    if not is_selection and (annotation in (None, Any) or _is(value, annotation)):
        return value
    try:
        rows = record_batches(value)
    except SchemaMismatch:
        return value
    stored = MemoryTable.named(name)
    Rehearsal(stored).write(rows)
    snapshot = Snapshot.of(stored)
    if without_none(annotation) is Snapshot:
        return settings.given(snapshot, annotation)
    try:
        return settings.given(snapshot, annotation)
    except DeclarationError:
        return value


def _is(value: Any, annotation: Any) -> bool:
    try:
        return isinstance(value, annotation)
    except TypeError:  # such as list[int]
        return False
