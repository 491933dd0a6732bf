"""Inputs of splits: tables that the step pins, and that each split reads by itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pyarrow as pa

from practicus_assets.assets.metadata.input_settings import InputSettings
from practicus_assets.engines.shares import SnapshotShare
from practicus_assets.engines.splits import Split, Splits
from practicus_assets.errors import SchemaMismatch
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.rows.annotations import kind_by_partition, written
from practicus_assets.wording import enumerated

_types: dict[str, dg.DagsterType] = {}  # by their names


@dataclass(frozen=True)
class SplitInput:
    """A table that a split reads by itself.

    Attributes:
        snapshot: the pinned table; None if there is none yet, and the input may do without.
        settings: which of its columns and rows are read.

    """

    snapshot: Snapshot | None
    settings: InputSettings

    def given(self, annotation: Any, split: Split, *, by: str | None, divided: bool) -> Any:
        """Return what the function gets.

        Args:
            annotation: that of the parameter.
            split: the split.
            by: the column to divide by; None for none.
            divided: whether the split gets a part of the rows, and not all of them.

        """
        snapshot = self.snapshot
        if divided and snapshot is not None:
            snapshot = SnapshotShare(snapshot, split, by, has_predicate=self.settings.predicate is not None)
        return self.settings.given(snapshot, annotation)


@dataclass(frozen=True)
class ReadBySplits:
    """What the parameter of a step with splits is annotated as for Dagster.

    Attributes:
        annotation: the author's annotation.

    """

    annotation: Any


def asked(annotation: Any) -> Any:
    """Return the author's annotation of an input, whose rows are read by splits or by the step."""
    return annotation.annotation if isinstance(annotation, ReadBySplits) else annotation


def input_type(annotation: Any) -> dg.DagsterType:
    """Return the type of an input that splits read, one for each annotation: Dagster wants its name once.

    Args:
        annotation: the author's annotation; None if there is none.

    """
    name = first = f"{written(annotation)} of splits" if annotation is not None else "table of splits"
    number = 1
    while name in _types and _types[name].typing_type != ReadBySplits(annotation):
        number += 1
        name = f"{first} {number}"
    if name not in _types:
        _types[name] = dg.DagsterType(
            type_check_fn=_check,
            name=name,
            description="A table that each split reads by itself.",
            typing_type=ReadBySplits(annotation),
        )
    return _types[name]


def divided_inputs(splits: Splits, of: str | None, values: Mapping[str, Any]) -> set[str]:
    """Return the names of the inputs that are divided.

    Args:
        splits: the splits.
        of: the input that is divided where none is by a column; None if there is none.
        values: what the step has for each parameter.

    Raises:
        SchemaMismatch: if no input has the column to divide by, or two have it with different types.

    """
    if splits.by is None:
        return {of} if of is not None else set()
    schemas = {name: _schema(value) for name, value in sorted(values.items())}
    types = {
        name: schema.field(splits.by).type
        for name, schema in schemas.items()
        if schema is not None and splits.by in schema.names
    }
    tables = {name: schema.names for name, schema in schemas.items() if schema is not None}
    if not types and tables:
        raise SchemaMismatch(
            f"no input has the column {splits.by!r}, by which the splits divide them: {tables}.",
            "Name a column of an input: Splits(16, by=…).",
        )
    if len(set(types.values())) > 1:
        shown = {name: str(type_) for name, type_ in types.items()}
        raise SchemaMismatch(
            f"the column {splits.by!r}, by which the splits divide the inputs, has different types: {shown}, "
            "so that equal values would not meet.",
            f"Give {enumerated(list(types))} the same type of this column.",
        )
    if any(pa.types.is_floating(type_) for type_ in types.values()):
        raise SchemaMismatch(
            f"the splits divide the inputs by {splits.by!r}, a column of floating-point numbers: "
            "0.0 and -0.0 are equal, and would not meet.",
            "Divide by a column of another type.",
        )
    return set(types)


def given(value: Any, annotation: Any, split: Split, *, by: str | None, divided: bool) -> Any:
    """Return what a function gets for a parameter; what is no table is given as it is."""
    if isinstance(value, SplitInput):
        return value.given(annotation, split, by=by, divided=divided)
    if isinstance(value, Mapping) and any(isinstance(part, SplitInput) for part in value.values()):
        kind = kind_by_partition(annotation)
        return {key: given(part, kind, split, by=by, divided=divided) for key, part in value.items()}
    return value


def _schema(value: Any) -> Any:
    if isinstance(value, Mapping):
        return next((schema for part in value.values() if (schema := _schema(part)) is not None), None)
    if isinstance(value, SplitInput) and value.snapshot is not None:
        return value.snapshot.schema
    return None


def _check(_context: dg.TypeCheckContext, value: Any) -> bool | dg.TypeCheck:
    parts = list(value.values()) if isinstance(value, Mapping) else [value]
    if all(part is None or isinstance(part, SplitInput) for part in parts):
        return True
    return dg.TypeCheck(
        success=False,
        description=(
            f"A step with splits reads tables of a DeltaIOManager, and this input is {type(value).__name__} "
            "of another one. Store it as a table first, or read it in the function."
        ),
    )
