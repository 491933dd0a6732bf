"""Table settings: how an asset is stored, kept in its Dagster metadata so that readers find it there."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any

import dagster as dg

from practicus_assets.assets.metadata.column_types import declared_types
from practicus_assets.assets.metadata.spellings import OF_RUNS, ours
from practicus_assets.assets.report import names
from practicus_assets.errors import DeclarationError, did_you_mean
from practicus_assets.lake.partitions.scope import Key, Scope, Window
from practicus_assets.lake.rows.histories.declaration import HistoryDeclaration
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.wording import readable

PartitionBy = str | Sequence[str] | Mapping[str, str]

_OPTIONS = {
    names.MODE: "mode",
    names.MERGE_KEYS: "merge_keys",
    names.MERGE_KIND: "merge_kind",
    names.DELETE_UNMATCHED: "delete_unmatched",
    names.HISTORY_KEYS: "history_keys",
    names.SEQUENCE_BY: "sequence_by",
    names.APPLY_AS_DELETES: "apply_as_deletes",
    names.ON_SCHEMA_CHANGE: "on_schema_change",
    names.TABLE_PROPERTIES: "table_properties",
    names.COMMIT_METADATA: "commit_metadata",
}
_SETTINGS = (names.PARTITION_BY, names.PROTECTED, *_OPTIONS)
_KNOWN = (*_SETTINGS, names.PATH, names.STATISTICS)
_OF_MERGES = (names.MERGE_KEYS, names.MERGE_KIND, names.DELETE_UNMATCHED)
_OF_HISTORIES = (names.HISTORY_KEYS, names.SEQUENCE_BY, names.APPLY_AS_DELETES)
_OF_RUNS = (names.MODE, *_OF_MERGES, names.ON_SCHEMA_CHANGE, names.COMMIT_METADATA)


@dataclass(frozen=True)
class TableSettings:
    """How an asset is stored.

    Attributes:
        partition_by: the table's partition columns. Of a partitioned asset, the first holds the partition
            key; for several dimensions, a mapping from each dimension to its column.
        options: how a transaction writes it; its partition columns are those of `partition_by`.
        protected: whether a run must name the table to replace it: as a whole, or more than one of its
            partitions; a number says how many partitions instead of one.

    """

    partition_by: PartitionBy | None = None
    options: WriteOptions = field(default_factory=WriteOptions)
    protected: bool | int = False

    def __post_init__(self) -> None:
        """Refuse partition columns that are none.

        Raises:
            DeclarationError: naming them.

        """
        by = self.partition_by
        if by is not None and not isinstance(by, str | Sequence | Mapping):
            raise DeclarationError(f"partition_by is {by!r}.", 'Name the columns, e.g. partition_by="day".')
        if not isinstance(self.protected, int) or self.protected < 0:
            raise DeclarationError(
                f"protected is {readable(self.protected)}.",
                "Write True, or the number of partitions that a run may replace without naming the table.",
            )
        object.__setattr__(self, "options", replace(self.options, partition_by=self.columns))

    @classmethod
    def from_metadata(
        cls, metadata: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
    ) -> "TableSettings":
        """Return the settings that an asset's definition metadata declare.

        Args:
            metadata: as `metadata()` writes it, with Dagster's own key `partition_expr`, or in the words of
                other IO managers.
            defaults: the lake's settings, by the same names, of what the metadata do not say.

        Raises:
            DeclarationError: as for the settings themselves.

        """
        plain = {**(defaults or {}), **ours(metadata)}
        unknown = [key for key in plain if key.startswith("delta/") and key not in _KNOWN]
        if unknown:
            raise DeclarationError(
                f"the metadata has {unknown[0]!r}, which is no setting of a table.",
                did_you_mean(unknown[0], _KNOWN, f"The settings are {', '.join(_KNOWN)}."),
            )
        options = {option: plain[key] for key, option in _OPTIONS.items() if key in plain}
        partition_by = plain.get(names.PARTITION_BY, plain.get(names.PARTITION_EXPR))
        return cls(partition_by, WriteOptions(**options), plain.get(names.PROTECTED, False))

    def metadata(self) -> dict[str, Any]:
        """Return the definition metadata from which `from_metadata` makes these settings."""
        metadata: dict[str, Any] = {}
        if self.partition_by is not None:
            columns = self.partition_by
            metadata[names.PARTITION_EXPR] = columns if isinstance(columns, str | Mapping) else columns[0]
            if len(self.columns) > 1 and not isinstance(columns, Mapping):
                metadata[names.PARTITION_BY] = list(columns)
        if self.protected is not False:
            metadata[names.PROTECTED] = self.protected
        options = self.options
        if options.mode != "replace":
            metadata[names.MODE] = options.mode
        if options.merge_keys:
            metadata[names.MERGE_KEYS] = list(options.merge_keys)
            metadata[names.DELETE_UNMATCHED] = options.delete_unmatched
        if options.merge_kind != "upsert":
            metadata[names.MERGE_KIND] = options.merge_kind
        metadata |= _history_metadata(options.history)
        if options.on_schema_change != "add":
            metadata[names.ON_SCHEMA_CHANGE] = options.on_schema_change
        if options.table_properties:
            metadata[names.TABLE_PROPERTIES] = dict(options.table_properties)
        if options.commit_metadata:
            metadata[names.COMMIT_METADATA] = dict(options.commit_metadata)
        return metadata

    def decided(self, added: Mapping[str, Any]) -> "TableSettings":
        """Return the settings of one run, which its function may decide by the metadata that it adds.

        Args:
            added: the metadata; entries that are no settings say nothing here.

        Raises:
            DeclarationError: for a setting that no run can decide, and as for the settings themselves.

        """
        said = {key: value for key, value in ours(added, OF_RUNS).items() if key in _KNOWN}
        mine = self.metadata()
        for key, value in said.items():
            if key not in _OF_RUNS and mine.get(key) != value:
                raise DeclarationError(
                    f"the function added {key}={value!r} to its metadata, which no run can decide.",
                    "Write it into the metadata of the asset's definition.",
                )
        for mode, of_mode in (("merge", _OF_MERGES), ("history", _OF_HISTORIES)):
            if said.get(names.MODE, mode) != mode:
                mine = {key: value for key, value in mine.items() if key not in of_mode}
        return type(self).from_metadata({**mine, **said}) if said else self

    def refuse_decided(self, added: Mapping[str, Any]) -> None:
        """Raise DeclarationError if a table asset's function decides otherwise than its arguments."""
        decided, mine = self.decided(added).metadata(), self.metadata()
        for key in sorted(decided.keys() | mine.keys()):
            if decided.get(key) != mine.get(key):
                raise DeclarationError(
                    f"the function added {key}={decided.get(key)!r} to its metadata, and what a table asset "
                    "does is settled before its function runs.",
                    "Pass it to @table_asset. If the entry is your own, rename it.",
                )

    def described(
        self,
        spec: dg.AssetSpec | None,
        commit_metadata: Mapping[str, str],
        output: dg.DagsterType | None = None,
    ) -> WriteOptions:
        """Return the options of a run.

        Args:
            spec: what the asset says of itself: its description goes into the log of a table that is
                created, and its column schema tells the types of columns without values.
            commit_metadata: the entries that all commits of the lake have.
            output: the type of the asset's value, which may have a column schema, too.

        """
        return replace(
            self.options,
            description=inspect.cleandoc((spec.description if spec is not None else None) or ""),
            null_types=declared_types(spec.metadata if spec is not None else {}, output),
            commit_metadata={**commit_metadata, **self.options.commit_metadata},
        )

    def in_full(self) -> dict[str, Any]:
        """Return the metadata of a table asset, to which no setting of its lake applies."""
        options = self.options
        said = {names.MODE: options.mode, names.ON_SCHEMA_CHANGE: options.on_schema_change}
        return {**self.metadata(), **said}

    def agree_with(self, metadata: Mapping[str, Any]) -> bool:
        """Return whether an asset's own metadata agree with these settings."""
        mine = self.metadata()
        expression = metadata.get(names.PARTITION_EXPR, mine.get(names.PARTITION_EXPR))
        both = type(self).from_metadata({**mine, **ours(metadata)}).metadata()
        return both == mine and expression == mine.get(names.PARTITION_EXPR)

    @property
    def most_replaced(self) -> int | None:
        """How many partitions a run may replace without naming the table; None for any number of them."""
        mode = self.options.mode
        gives_all = mode == "replace" or (mode == "history" and bool(self.columns))
        takes_rows_away = gives_all or self.options.delete_unmatched
        if self.protected is False or not takes_rows_away:
            return None
        return int(self.protected)

    @property
    def columns(self) -> tuple[str, ...]:
        """The table's partition columns, in order."""
        by = self.partition_by
        if by is None:
            return ()
        if isinstance(by, str):
            return (by,)
        return tuple(by.values() if isinstance(by, Mapping) else by)

    def scope(self, partitions_def: dg.PartitionsDefinition[Any] | None, keys: Sequence[str]) -> Scope:
        """Return what a run of these partitions replaces.

        Args:
            partitions_def: the asset's partitions; None if it has none, then the scope is the whole table.
            keys: the keys of the run's partitions; at least one if the asset has partitions.

        Raises:
            DeclarationError: if no column holds the partition key.

        """
        if partitions_def is None:
            return Scope()
        columns = self.columns_of(partitions_def)
        ordered = _in_order(partitions_def, keys)
        parts: list[tuple[Key | Window, ...]]
        if isinstance(partitions_def, dg.MultiPartitionsDefinition):
            conditions = {
                dimension.name: cache(partial(_condition, dimension.partitions_def))
                for dimension in partitions_def.partitions_defs
            }
            split = [partitions_def.get_partition_key_from_str(key).keys_by_dimension for key in ordered]
            parts = [tuple(conditions[name](key[name]) for name in columns) for key in split]
        else:
            parts = [(_condition(partitions_def, key),) for key in ordered]
        return Scope(tuple(columns.values()), tuple(parts), tuple(map(str, ordered)))

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
                    f"the asset has the dimensions {names}, and partition_by is {self.partition_by!r}.",
                    f"Name the column of each dimension: partition_by={example}, "
                    f'or metadata={{"partition_expr": {example}}} on a plain asset.',
                )
            return dict(self.partition_by)
        if not self.columns or isinstance(self.partition_by, Mapping):
            raise DeclarationError(
                f"the asset is partitioned, and partition_by is {self.partition_by!r}.",
                'Name the column that holds the partition key: partition_by="day", '
                'or metadata={"partition_expr": "day"} on a plain asset.',
            )
        return {"": self.columns[0]}


def _history_metadata(history: HistoryDeclaration | None) -> dict[str, Any]:
    """Return the definition metadata that say how a history is kept."""
    if history is None:
        return {}
    entries: dict[str, Any] = {names.HISTORY_KEYS: list(history.keys), names.SEQUENCE_BY: history.sequence_by}
    deletes = history.apply_as_deletes
    entries |= {names.APPLY_AS_DELETES: deletes} if deletes is not None else {}
    return entries | ({names.DELETE_UNMATCHED: True} if history.is_of_lists else {})


def _in_order(partitions_def: dg.PartitionsDefinition[Any], keys: Sequence[str]) -> list[str]:
    """Return keys in one order: Dagster gives sets of them in any, and equal runs must have equal scopes."""
    if isinstance(partitions_def, dg.TimeWindowPartitionsDefinition):
        return list(keys)
    places: dict[str, int] = {}
    if isinstance(partitions_def, dg.StaticPartitionsDefinition) and len(keys) > 1:
        places = {key: place for place, key in enumerate(partitions_def.get_partition_keys())}
    return sorted(keys, key=lambda key: (places.get(key, len(places)), key))


def _condition(partitions_def: dg.PartitionsDefinition[Any], key: str) -> Key | Window:
    if isinstance(partitions_def, dg.TimeWindowPartitionsDefinition):
        window = partitions_def.time_window_for_partition_key(key)
        return Window(key, window.start, window.end, daily=partitions_def.is_basic_daily)
    return Key(key)
