"""Options: how a transaction writes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import pyarrow as pa

from practicus_assets.errors import DeclarationError, did_you_mean
from practicus_assets.lake.delta.record import RECORD
from practicus_assets.lake.rows.histories.declaration import HistoryDeclaration, refuse_without_mode
from practicus_assets.lake.transactions.table_properties import APPEND_ONLY, refuse_undeclarable
from practicus_assets.parameters import named_parameters
from practicus_assets.wording import readable

if TYPE_CHECKING:
    from practicus_assets.lake.rows.schema import SchemaChange

Mode = Literal["replace", "append", "merge", "history", "overwrite"]
MergeKind = Literal["upsert", "insert", "update", "deduplicate_insert", "update_only"]
OnSchemaChange = Literal["add", "refuse", "replace", "merge", "overwrite"]

_MODES: dict[Mode, Mode] = {"overwrite": "replace"}  # delta-rs's words for ours
_MERGE_KINDS: dict[MergeKind, MergeKind] = {  # dagster-delta's words for ours
    "deduplicate_insert": "insert",
    "update_only": "update",
}
_SCHEMA_CHANGES: dict[OnSchemaChange, "SchemaChange"] = {
    "add": "add",
    "merge": "add",
    "refuse": "refuse",
    "replace": "replace",
    "overwrite": "replace",
}
_EVERY_MODE = 'The modes are "replace" (delta-rs: "overwrite"), "append", "merge" and "history".'
_EVERY_CHANGE = 'Write "add" (delta-rs: "merge"), "refuse", or "replace" (delta-rs: "overwrite").'
_OWN_ENTRIES = {  # of a commit, by the Delta protocol or by this package
    RECORD,
    "clientVersion",
    "engineInfo",
    "inCommitTimestamp",
    "isBlindAppend",
    "isolationLevel",
    "operation",
    "operationMetrics",
    "operationParameters",
    "readVersion",
    "timestamp",
    "txnId",
    "version",
}
_MEANT = {  # what people write for a mode
    **dict.fromkeys(("upsert", "update", "insert_update"), "Did you mean merge?"),
    "insert": "Did you mean append?",
    **dict.fromkeys(("delete_insert", "truncate"), "Did you mean replace?"),
    **dict.fromkeys(("scd", "scd2", "scd_type_2", "snapshot", "apply_changes"), "Did you mean history?"),
    "create_or_replace": 'Did you mean "replace", with on_schema_change="replace"?',
    **dict.fromkeys(
        ("error", "errorifexists", "ignore"), 'A run always writes: there is no "error" and no "ignore".'
    ),
}


@named_parameters
@dataclass(frozen=True)
class WriteOptions:
    """How a transaction writes the rows of its scope.

    Attributes:
        partition_by: the columns that the table is partitioned by on disk; a table that exists keeps the
            order of its own.
        mode: "replace" the scope (delta-rs says "overwrite", which is taken too), "append" to it, which each
            run does again, "merge":
            replace old rows that have the same `merge_keys` as a new row, and add the others; or "history":
            keep each row with the time from which and to which it was valid.
        merge_keys: the columns that tell which old row a new one replaces, for "merge".
        merge_kind: for "merge": "upsert" takes all new rows, "insert" those that match no old row
            (dagster-delta: "deduplicate_insert"), "update" those that match one ("update_only").
        delete_unmatched: for "merge": whether old rows of the scope that no new row matches are deleted; for
            "history": whether the rows of one time list all keys, so that a key ends where a list lacks it.
        history_keys: for "history": the columns that identify what rows are about, e.g. a customer.
        sequence_by: for "history": the column that says from when on a row is valid.
        apply_as_deletes: for "history": the boolean column that is true in rows by which a key ends.
        on_schema_change: "add" new columns, and widen those of which all rows are replaced (delta-rs:
            `schema_mode="merge"`); "refuse" any change; or "replace" the columns of a table that is replaced
            as a whole (delta-rs: `schema_mode="overwrite"`). "merge" and "overwrite" are taken too.
        table_properties: the Delta properties that the table is created with; those of a table that exists
            stay as they are.
        commit_metadata: entries that commits have beside those of the transaction, such as `userName`, as
            texts by name; they show in the table's history.
        description: what the table holds, written into its log when it is created.
        null_types: the types of new columns that hold only nulls, where a contract does not say it.

    """

    partition_by: Sequence[str] = ()
    mode: Mode = "replace"
    merge_keys: Sequence[str] = ()
    merge_kind: MergeKind = "upsert"
    delete_unmatched: bool = False
    history_keys: Sequence[str] = ()
    sequence_by: str | None = None
    apply_as_deletes: str | None = None
    on_schema_change: OnSchemaChange = "add"
    table_properties: Mapping[str, str] = field(default_factory=dict, hash=False)
    commit_metadata: Mapping[str, str] = field(default_factory=dict, hash=False)
    description: str = ""
    null_types: Mapping[str, pa.DataType] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Put the options into their one spelling, and refuse those that contradict each other.

        Raises:
            DeclarationError: naming the option.

        """
        for name in ("partition_by", "merge_keys", "history_keys"):
            object.__setattr__(self, name, _columns(name, getattr(self, name)))
        if self.mode not in get_args(Mode):
            meant = _MEANT.get(str(self.mode), did_you_mean(self.mode, get_args(Mode)))
            raise DeclarationError(f"mode {self.mode!r} is unknown.", f"{meant} {_EVERY_MODE}".strip())
        if self.on_schema_change not in _SCHEMA_CHANGES:
            meant = did_you_mean(self.on_schema_change, _SCHEMA_CHANGES)
            raise DeclarationError(
                f"on_schema_change {self.on_schema_change!r} is unknown.", f"{meant} {_EVERY_CHANGE}".strip()
            )
        object.__setattr__(self, "mode", _MODES.get(self.mode, self.mode))
        object.__setattr__(self, "on_schema_change", self.schema_change)
        self._refuse_merge_kind()
        self._refuse_merge_keys()
        if self.mode != "history":
            refuse_without_mode(self.mode, self.history_keys, self.sequence_by, self.apply_as_deletes)
        elif self.history is not None:
            self.history.refuse_taken(self.partition_by)
        if self.schema_change == "replace" and self.mode != "replace":
            raise DeclarationError(
                f'on_schema_change="replace" would change rows that mode={self.mode!r} keeps.',
                'Use mode="replace", or on_schema_change="add".',
            )
        refuse_undeclarable(self.table_properties)
        object.__setattr__(self, "table_properties", dict(self.table_properties))
        object.__setattr__(self, "commit_metadata", _commit_metadata(self.commit_metadata))
        if APPEND_ONLY in self.table_properties and self.mode != "append":
            raise DeclarationError(
                f"a table with {APPEND_ONLY} keeps its rows, and mode={self.mode!r} would replace some.",
                'Use mode="append", or leave the property out.',
            )

    def in_order_of(self, columns: Sequence[str]) -> "WriteOptions":
        """Return the options with the partition columns in a table's order, if they are the table's."""
        return replace(self, partition_by=columns) if {*columns} == {*self.partition_by} else self

    def _refuse_merge_keys(self) -> None:
        if self.mode == "merge" and not self.merge_keys:
            raise DeclarationError(
                'mode="merge" needs merge_keys: the columns that tell which old row a new one replaces.',
                'Write merge_keys=["id"], the columns that identify a row; in metadata "delta/merge_keys".',
            )
        if self.mode == "history" and self.merge_keys:
            raise DeclarationError(
                'merge_keys need mode="merge", and it is "history".', "Name the columns as history_keys."
            )
        if self.mode not in {"merge", "history"} and (self.merge_keys or self.delete_unmatched):
            raise DeclarationError(
                f'merge_keys and delete_unmatched need mode="merge", and it is "{self.mode}".',
                'Write mode="merge", or drop them.',
            )

    def _refuse_merge_kind(self) -> None:
        kinds = 'Write "upsert", "insert" (dagster-delta: "deduplicate_insert") or "update" ("update_only").'
        if self.merge_kind not in get_args(MergeKind):
            meant = _KINDS_MEANT.get(str(self.merge_kind), did_you_mean(self.merge_kind, get_args(MergeKind)))
            raise DeclarationError(f"merge_kind {self.merge_kind!r} is unknown.", f"{meant} {kinds}".strip())
        object.__setattr__(self, "merge_kind", _MERGE_KINDS.get(self.merge_kind, self.merge_kind))
        if self.merge_kind != "upsert" and self.mode != "merge":
            raise DeclarationError(
                f'merge_kind="{self.merge_kind}" needs mode="merge", and it is "{self.mode}".',
                'Write mode="merge", or drop it.',
            )
        if self.merge_kind == "insert" and self.delete_unmatched:
            raise DeclarationError(
                'merge_kind="insert" keeps all old rows, and delete_unmatched would delete some.',
                "Drop one of them.",
            )

    @property
    def history(self) -> HistoryDeclaration | None:
        """How a history is kept; None in another mode."""
        if self.mode != "history":
            return None
        return HistoryDeclaration.of(
            self.history_keys, self.sequence_by, self.apply_as_deletes, is_of_lists=self.delete_unmatched
        )

    @property
    def schema_change(self) -> "SchemaChange":
        """What `on_schema_change` says, in the words of this package."""
        return _SCHEMA_CHANGES[self.on_schema_change]


_KINDS_MEANT = {
    "replace_and_delete_unmatched": 'Did you mean merge_kind="update" with delete_unmatched=True?',
    "custom": 'Compute the rows in the function, which may read its own table, and write mode="replace".',
}


def refuse_unpromised(options: WriteOptions, columns: Collection[str], *, closed: bool) -> None:
    """Raise DeclarationError for a column to partition or merge by of which a contract knows better.

    Args:
        options: how a table is written.
        columns: the names of the contract's columns; none if it declares none.
        closed: whether the table may have no others.

    """
    named = {name: getattr(options, name) for name in ("partition_by", "merge_keys", "history_keys")}
    for name in ("sequence_by", "apply_as_deletes"):
        named[name] = [column for column in (getattr(options, name),) if column is not None]
    for option, of_option in named.items():
        for column in of_option:
            nearest = did_you_mean(column, columns)
            if columns and column not in columns and (closed or nearest):
                raise DeclarationError(
                    f"{option} names {column!r}, which is no column of the contract ({', '.join(columns)}).",
                    nearest or "Declare it in the contract, or name one of these.",
                )


def refuse_rejecting(options: WriteOptions, *, rejects: bool) -> None:
    """Raise DeclarationError for a mode whose rows cannot be divided into good and bad ones.

    Args:
        options: how a table is written.
        rejects: whether a rule of its contract rejects rows.

    """
    if rejects and options.mode not in {"replace", "append"}:
        raise DeclarationError(
            f'a rule of the contract has the severity "QUARANTINE", and the mode is "{options.mode}", in '
            "which rows of earlier runs stay, and would be judged again.",
            'Reject rows in a table with mode="replace" or "append" that this one is made from, or write the '
            'severity "ERROR" or "WARN".',
        )


def _commit_metadata(entries: Any) -> dict[str, str]:
    """Return a commit's own entries; raise DeclarationError for what cannot be some."""
    example = 'Write commit_metadata={"userName": "ann"}.'
    if not isinstance(entries, Mapping):
        raise DeclarationError(f"commit_metadata is {readable(entries)}, which is no mapping.", example)
    for name, value in entries.items():
        if not isinstance(name, str) or not name or not isinstance(value, str):
            raise DeclarationError(f"commit_metadata has {name!r}: {readable(value)}.", "Give texts by name.")
        if name in _OWN_ENTRIES:
            raise DeclarationError(
                f"commit_metadata has {name!r}, which a commit says by itself.", "Use another name."
            )
    return dict(entries)


def _columns(name: str, columns: Any) -> tuple[str, ...]:
    """Return an option that names columns; raise DeclarationError if it does not."""
    if isinstance(columns, str):
        raise DeclarationError(f"{name} is the text {columns!r}.", f"Write {name}=[{columns!r}].")
    if not isinstance(columns, Sequence):
        raise DeclarationError(f"{name} is {columns!r}.", f'Write a list, e.g. {name}=["id"].')
    if not all(isinstance(c, str) and c for c in columns) or len(set(columns)) < len(columns):
        raise DeclarationError(f"{name} is {columns!r}.", "Name each column once.")
    return tuple(columns)
