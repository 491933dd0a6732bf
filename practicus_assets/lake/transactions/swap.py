"""The swap: one Delta commit that puts staged files in the place of the scope's, as the next version."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, Schema, TableFeatures
from deltalake import Transaction as AppTransaction
from deltalake.transaction import RemoveAction

from practicus_assets.errors import CommitConflict, OutOfScope, SchemaMismatch
from practicus_assets.lake.delta.conditional_puts import PROOF
from practicus_assets.lake.delta.data_file import DataFile
from practicus_assets.lake.delta.failures import CommitUnsettled
from practicus_assets.lake.delta.log import KEEPS_LOG
from practicus_assets.lake.delta.record import RECORD, TransactionRecord
from practicus_assets.lake.delta.table import TableVersion
from practicus_assets.lake.partitions.values import text_of
from practicus_assets.lake.transactions.attempt import Attempt
from practicus_assets.lake.transactions.effect import Before
from practicus_assets.lake.transactions.history.kind import DELETE_UNMATCHED
from practicus_assets.lake.transactions.stage.staged import Staged
from practicus_assets.lake.transactions.table_properties import APPEND_ONLY, CHANGE_FEED
from practicus_assets.wording import names_of

_FEATURES = {APPEND_ONLY: TableFeatures.AppendOnly, CHANGE_FEED: TableFeatures.ChangeDataFeed}
_MOST_VALUES = 200  # of partition columns, in a filter or a predicate


class Swap:
    """Makes the Delta commit of an attempt, on top of whatever version is the newest.

    Args:
        attempt: the attempt.
        staged: its rows.

    Attributes:
        before: the version that the last commit was made on; None if there was no table.

    """

    def __init__(self, attempt: Attempt, staged: Staged) -> None:
        self.before: Before | None = None
        self._attempt = attempt
        self._table = attempt.table
        self._partition_by = list(attempt.options.partition_by)
        self._staged = staged
        self._bounds = attempt.written.on(staged.schema)

    def on(self, handle: TableVersion | None, record: TransactionRecord) -> None:
        """Commit at exactly the version after the handle's.

        Args:
            handle: the newest version; None if there is no table.
            record: what the commit says about itself; if it changes nothing, no file comes or goes.

        Raises:
            CommitUnsettled: if the commit ended with an error, for one if there is such a version already.
            CommitConflict: if another writer changed the table's columns.
            OutOfScope: if the commit would remove a file outside the scope.
            SchemaMismatch: if delta-rs cannot change the columns.

        """
        staged = self._staged.files if record.changed else ()
        adds = [file.action(self._partition_by) for file in staged]
        properties = self._properties(record, handle)
        if handle is None:
            options = self._attempt.options
            self._table.create(
                adds,
                self._staged.schema,
                self._partition_by,
                {**options.table_properties, **KEEPS_LOG},
                properties,
                description=options.description,
            )
            self.before = None
            return
        current = handle.schema
        after = self.schema_on(current)
        removes = self.files(handle) if record.changed and not self._attempt.appends else []
        self.before = Before(handle.version, current, None if self._attempt.appends else removes)
        changes_columns = not after.equals(current)
        if changes_columns:
            self._allow_naive_times(handle, after)
        overwrites = record.changed and not self._attempt.appends
        selection = self._selection(handle, removes) if overwrites or changes_columns else None
        if selection is not None:
            handle.commit(adds, after, properties, mode="overwrite", filters=selection.filters)
        elif changes_columns:  # delta-rs lets only an overwrite change the columns
            raise OutOfScope(
                f"no overwrite of delta-rs removes just the {len(removes)} files that are inside the scope.",
                "While columns change, run partitions that form a full grid, or each in a run of its own.",
            )
        else:
            handle.commit(
                [*adds, *(removal(file, self._partition_by) for file in removes)], after, properties
            )

    def files(self, handle: TableVersion) -> list[DataFile]:
        """Return the files of a version that are inside the scope."""
        return [*handle.files(self._bounds)]

    def schema_on(self, current: pa.Schema) -> pa.Schema:
        """Return the table's columns after the commit, those among them that others added meanwhile.

        Args:
            current: the table's columns now.

        Raises:
            CommitConflict: if others changed a column since the attempt began.

        """
        schema, before = self._staged.schema, self._attempt.schema or pa.schema([])
        added = [f for f in current if f.name not in {*schema.names, *before.names}]
        changed = [f.name for f in added if not f.nullable]
        for name in schema.names:
            now = current.field(name) if name in current.names else None
            then = before.field(name) if name in before.names else None
            alike = [field for field in (then, schema.field(name)) if field is not None]
            if (now is None and then is not None) or (now is not None and now not in alike):
                changed.append(name)
        if changed:
            raise CommitConflict(
                f"another writer changed the {names_of('column', changed)} after this attempt began.",
                "Run again on fresh inputs.",
            )
        return pa.schema([*schema, *added])

    def _allow_naive_times(self, handle: TableVersion, schema: pa.Schema) -> None:
        """Switch on the table feature that a first column of times without zone needs, before it is there."""
        naive = any("timestamp_ntz" in f.to_json() for f in Schema.from_arrow(schema).fields)
        if naive and "timestampNtz" not in handle.features:
            # the older protocol implies the features of its properties, the newer one must list them
            active = [
                f for name, f in _FEATURES.items() if handle.configuration.get(name, "").lower() == "true"
            ]
            handle.add_features([TableFeatures.TimestampWithoutTimezone, *active])
            raise CommitUnsettled("the protocol was raised.", "Commit on top of it.")

    def _selection(self, handle: TableVersion, removes: Sequence[DataFile]) -> "_Selection | None":
        """Return the partition filters by which an overwrite removes just these files; None if none do."""
        columns = self._bounds.columns
        if not columns and not self._attempt.appends:
            return _Selection(None)
        columns = columns or _flat_column(handle)
        texts = [
            (column, sorted({text for file in removes if (text := text_of(file.values[column])) is not None}))
            for column in columns
        ]
        selections = []
        if sum(len(values) for _, values in texts) <= _MOST_VALUES:  # delta-rs compares each file with each
            selections.append(_Selection([(column, "in", values) for column, values in texts]))
        elif len(columns) == 1 and not pa.types.is_integer(
            self._bounds.types[0]
        ):  # they do not sort as texts
            [(column, values)] = texts
            selections.append(_Selection([(column, ">=", values[0]), (column, "<=", values[-1])]))
        exact = (s for s in selections if handle.count_selected(s.filters or []) == len(removes))
        return next(exact, None)

    def _parameters(self, record: TransactionRecord) -> dict[str, str]:
        """Return what the commit does, beside what delta-rs writes of it by itself."""
        parameters = {}
        if record.changed and not self._attempt.appends and 0 < len(self._bounds.parts) <= _MOST_VALUES:
            parameters["predicate"] = str(self._bounds.predicate())
        if record.mode == "merge":
            parameters["mergeKeys"] = json.dumps(list(self._attempt.options.merge_keys))
        if (history := self._attempt.options.history) is not None:
            parameters |= {"historyKeys": json.dumps(history.keys), "sequenceBy": history.sequence_by}
            parameters |= {DELETE_UNMATCHED: "true"} if history.is_of_lists else {}
        return parameters

    def _properties(self, record: TransactionRecord, handle: TableVersion | None) -> CommitProperties:
        version = handle.version + 1 if handle is not None else 0
        proof = [AppTransaction(PROOF, 1)] if self._table.local_path is None else []
        return CommitProperties(
            custom_metadata={
                **self._attempt.options.commit_metadata,
                RECORD: record.to_json(),
                "operationParameters": self._parameters(record),
                "isBlindAppend": self._attempt.appends and not self._attempt.depends_on_scope,
            },
            max_commit_retries=0,  # makes the commit a compare-and-set on the table's version
            app_transactions=[AppTransaction(record.work, version), *proof],
        )


@dataclass(frozen=True)
class _Selection:
    """Partition filters of an overwrite, as delta-rs takes them; None selects every file."""

    filters: list[tuple[str, str, Any]] | None


def _flat_column(handle: TableVersion) -> tuple[str]:
    """Return a column of which an overwrite can select no file: delta-rs takes no nested one.

    Raises:
        SchemaMismatch: if the table has only nested columns.

    """
    flat = [column.name for column in handle.schema if not pa.types.is_nested(column.type)]
    if not flat:
        raise SchemaMismatch(
            f"delta-rs cannot add columns beside {', '.join(handle.schema.names)}, which are all nested, "
            "while the table's rows stay.",
            "Replace the whole table once, with the new column.",
        )
    return (flat[0],)


def removal(file: DataFile, partition_by: Sequence[str], *, loses_rows: bool = True) -> RemoveAction:
    """Return the Delta action that takes a file out of the table, with all that a change feed needs of it.

    Args:
        file: the file.
        partition_by: the table's partition columns.
        loses_rows: False if its rows are in other files of the same commit.

    """
    values = {column: text_of(file.values.get(column)) for column in partition_by}
    return RemoveAction(file.path, loses_rows, int(time.time() * 1000), file.size, values)
