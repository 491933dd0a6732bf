"""Table settings: how an asset is stored, kept in its Dagster metadata so that readers find it there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import dagster as dg

from practicus_assets.errors import DeclarationError
from practicus_assets.lake.partitions import Key, Mode, Scope, Window
from practicus_assets.lake.schema import SchemaChange

PartitionBy = str | Sequence[str] | Mapping[str, str]

_MODES = {**{mode: mode for mode in get_args(Mode)}, "overwrite": "replace"}


@dataclass(frozen=True)
class TableSettings:
    """How an asset is stored.

    Attributes:
        partition_by: the table's partition columns. Of a partitioned asset, the first holds the partition
            key; for several dimensions, a mapping from each dimension to its column.
        mode: "replace" (also called "overwrite"), "append" or "merge".
        merge_keys, delete_unmatched, on_schema_change: see `Transaction`.

    """

    partition_by: PartitionBy | None = None
    mode: Mode = "replace"
    merge_keys: Sequence[str] = ()
    delete_unmatched: bool = False
    on_schema_change: SchemaChange = "add"

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other.

        Raises:
            DeclarationError: naming the setting.

        """
        if self.mode not in _MODES:
            raise DeclarationError(f"mode {self.mode!r} is unknown.", f"Use one of {get_args(Mode)}.")
        object.__setattr__(self, "mode", _MODES[self.mode])
        if self.on_schema_change not in get_args(SchemaChange):
            raise DeclarationError(
                f"on_schema_change {self.on_schema_change!r} is unknown.", f"Use one of {get_args(SchemaChange)}."
            )
        if isinstance(self.merge_keys, str):
            raise DeclarationError("merge_keys is a text.", f"Write merge_keys=[{self.merge_keys!r}].")
        if (self.mode == "merge") != bool(self.merge_keys) or (self.delete_unmatched and self.mode != "merge"):
            raise DeclarationError('mode="merge" and merge_keys go together, and delete_unmatched with them.')

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> "TableSettings":
        """Read the settings of an asset from its definition metadata; `partition_expr` is Dagster's own key."""
        plain = {key: getattr(value, "value", value) for key, value in metadata.items()}
        given = {
            "partition_by": plain.get("partition_by", plain.get("partition_expr")),
            **{key: plain[key] for key in ("mode", "merge_keys", "delete_unmatched", "on_schema_change") if key in plain},
        }
        return cls(**given)

    def metadata(self) -> dict[str, Any]:
        """Return the definition metadata from which `from_metadata` makes these settings."""
        found: dict[str, Any] = {}
        if self.partition_by is not None:
            columns = self.partition_by
            found["partition_by"] = columns if isinstance(columns, str | Mapping) else list(columns)
            found["partition_expr"] = columns if isinstance(columns, str | Mapping) else columns[0]
        if self.mode != "replace":
            found["mode"] = self.mode
        if self.merge_keys:
            found |= {"merge_keys": list(self.merge_keys), "delete_unmatched": self.delete_unmatched}
        if self.on_schema_change != "add":
            found["on_schema_change"] = self.on_schema_change
        return found

    @property
    def columns(self) -> tuple[str, ...]:
        """The table's partition columns, in order."""
        if self.partition_by is None:
            return ()
        if isinstance(self.partition_by, str):
            return (self.partition_by,)
        return tuple(self.partition_by.values() if isinstance(self.partition_by, Mapping) else self.partition_by)

    def scope(self, partitions_def: dg.PartitionsDefinition[Any] | None, keys: Sequence[str]) -> Scope:
        """Return what a run of these partitions replaces.

        Args:
            partitions_def: of the asset; None if it has none, then the scope is the whole table.
            keys: the run's partitions; at least one if the asset has partitions.

        Raises:
            DeclarationError: if no column holds the partition key.

        """
        if partitions_def is None:
            return Scope()
        columns = self.columns_of(partitions_def)
        if isinstance(partitions_def, dg.MultiPartitionsDefinition):
            dimensions = {d.name: d.partitions_def for d in partitions_def.partitions_defs}
            parts = []
            ordered = sorted(keys)
            for key in ordered:
                by_dimension = partitions_def.get_partition_key_from_str(key).keys_by_dimension
                parts.append(tuple(_condition(dimensions[name], by_dimension[name]) for name in columns))
            return Scope(tuple(columns.values()), tuple(parts), tuple(map(str, ordered)))
        ordered = keys if isinstance(partitions_def, dg.TimeWindowPartitionsDefinition) else sorted(keys)
        return Scope(tuple(columns.values()), tuple((_condition(partitions_def, key),) for key in ordered))

    def columns_of(self, partitions_def: dg.PartitionsDefinition[Any]) -> dict[str, str]:
        """Return the column of each dimension of the partitions; the one of a single dimension is unnamed.

        Raises:
            DeclarationError: if a dimension has no column, or a column no dimension.

        """
        if isinstance(partitions_def, dg.MultiPartitionsDefinition):
            names = [d.name for d in partitions_def.partitions_defs]
            if not isinstance(self.partition_by, Mapping) or set(self.partition_by) != set(names):
                example = {name: name for name in names}
                raise DeclarationError(
                    f"the asset has the partition dimensions {names}, and partition_by is {self.partition_by!r}.",
                    f"Name the column of each dimension, e.g. partition_by={example}.",
                )
            return dict(self.partition_by)
        if not self.columns or isinstance(self.partition_by, Mapping):
            raise DeclarationError(
                f"the asset is partitioned, and partition_by is {self.partition_by!r}.",
                'Name the column that holds the partition key: partition_by="day", '
                'or metadata={"partition_expr": "day"} on a plain asset.',
            )
        return {"": self.columns[0]}


def _condition(partitions_def: dg.PartitionsDefinition[Any], key: str) -> Key | Window:
    if isinstance(partitions_def, dg.TimeWindowPartitionsDefinition):
        window = partitions_def.time_window_for_partition_key(key)
        return Window(key, window.start, window.end)
    return Key(key)
