"""Tables: where one lives, and one version of it, with every error of delta-rs in our words."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pyarrow as pa
from deltalake import (
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    QueryBuilder,
    Schema,
    TableFeatures,
)
from deltalake.exceptions import DeltaError
from deltalake.exceptions import TableNotFoundError as DeltaTableNotFoundError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from practicus_assets.errors import PracticusAssetsError, StoreFailed, TableNotFound
from practicus_assets.lake.delta.conditions import ALIAS, queries
from practicus_assets.lake.delta.data_file import DataFile, FileList
from practicus_assets.lake.delta.failures import is_denied, other_table, version_gone
from practicus_assets.lake.delta.log_files import LogFolder
from practicus_assets.lake.delta.root import refuse_unusable_endpoint, refuse_unusable_key, resolved
from practicus_assets.lake.delta.table_folder import TableFolder, options_of
from practicus_assets.lake.partitions.bounds import Bounds
from practicus_assets.lake.rows.samples import SAMPLE_ROWS

_IN_ORDER = {"datafusion.execution.target_partitions": "1"}  # more would mix the order of rows
CHECKPOINT_INTERVAL = "20"  # commits; delta-rs has 100, and to open a table it reads twice what came since
# the log's expiry is left to maintenance, which knows what releases need
_HOOKS = PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False)


@dataclass(frozen=True)
class Table(TableFolder):
    """A Delta table's place in a lake; the table itself need not exist.

    Attributes:
        sample_rows: the number of its rows that errors, failed checks, previews and diffs show at most; with
            0 they show no value of any row.

    """

    sample_rows: int = field(default=SAMPLE_ROWS, repr=False, compare=False, hash=False)

    @classmethod
    def at(
        cls,
        root_uri: str | os.PathLike[str],
        key: Sequence[str],
        storage_options: Mapping[str, str] | None = None,
        sample_rows: int = SAMPLE_ROWS,
        *,
        read_only: bool = False,
    ) -> "Table":
        """Return the table of an asset key: the resolved root and the key's parts, joined by `/`.

        Args:
            root_uri: the lake's root, in any spelling that `resolved` takes.
            key: the parts of the asset's key.
            storage_options: delta-rs's own, e.g. `AWS_REGION`.
            sample_rows: see the class.
            read_only: see the class.

        Raises:
            DeclarationError: for a part that would leave the root or hide in another table's log, or a root
                that cannot be used.

        """
        refuse_unusable_key(key)
        root, options = resolved(root_uri), options_of(storage_options)
        refuse_unusable_endpoint(root, options)
        uri = "/".join([root.rstrip("/"), *key])
        return cls("/".join(key), uri, options, sample_rows, read_only=read_only)

    @classmethod
    def from_uri(
        cls, uri: str | os.PathLike[str], storage_options: Mapping[str, str] | None = None
    ) -> "Table":
        """Return the table at a place, named after the last part of it; raises as `at` for the place.

        Args:
            uri: the table's folder, or its prefix in an object store, in any spelling that `resolved` takes.
            storage_options: delta-rs's own, e.g. `AWS_REGION`.

        """
        place, options = resolved(uri, what="the table's URI"), options_of(storage_options)
        refuse_unusable_endpoint(place, options)
        return cls(place.rpartition("/")[2], place, options)

    def beside(self, suffix: str) -> "Table":
        """Return the table whose name is this one's with a suffix; it need not exist."""
        return replace(self, name=f"{self.name}{suffix}", uri=f"{self.uri}{suffix}")

    def open(self, version: int | None = None) -> "TableVersion":
        """Open the newest version, or the given one.

        Raises:
            TableNotFound: if there is no table.
            VersionGone: if the log no longer reaches that version.
            UnsupportedTable: if delta-rs does not know a feature that readers must know.
            StoreFailed: if the store does not answer, or the log is damaged; it then names the file.

        """
        try:
            with self.reaching("the table's log"):
                handle = DeltaTable(self.uri, version=version, storage_options=dict(self.storage_options))
        except StoreFailed as failed:
            error = failed.__cause__
            # to delta-rs, a folder that may not be entered is not there
            missing = isinstance(error, DeltaTableNotFoundError) and not is_denied(error)
            if not missing and isinstance(error, DeltaError):
                LogFolder(self).refuse_unreadable()
            if not missing and (version is None or not isinstance(error, DeltaError)):
                raise
            newest = self.open_if_exists() if version is not None else None
            if version is None or newest is None:
                raise TableNotFound(
                    f"there is no Delta table at {self.uri}.",
                    f"Materialize {self.name} first, or correct the place.",
                ) from None
            raise version_gone(self.uri, version, newest.version) from error
        LogFolder(self).refuse_emptied(handle.version())
        return TableVersion(self, handle)

    def open_same(self, version: int, table_id: str) -> "TableVersion":
        """Open a version of the table that has an id; raises as `open`, and CommitConflict for another."""
        if (found := self.open(version)).id != table_id:
            raise other_table(self.name)
        return found

    def open_if_exists(self) -> "TableVersion | None":
        """Open the newest version, or return None where there is no table."""
        with suppress(TableNotFound):
            return self.open()
        return None

    def create(
        self,
        files: Sequence[AddAction],
        schema: pa.Schema,
        partition_by: Sequence[str],
        configuration: Mapping[str, str],
        properties: CommitProperties,
        *,
        description: str = "",
    ) -> None:
        """Create the table with these files, in one commit of version 0; raises as `TableVersion.commit`."""
        self.refuse_read_only()
        with self.failures.committing(0):
            create_table_with_add_actions(
                self.uri,
                Schema.from_arrow(schema),
                list(files),
                mode="error",
                partition_by=list(partition_by),
                description=description or None,
                configuration={"delta.checkpointInterval": CHECKPOINT_INTERVAL, **configuration},
                storage_options=dict(self.storage_options),
                commit_properties=properties,
            )


class TableVersion:
    """A table at one version, as its log describes it; no error of delta-rs leaves it untranslated.

    Attributes:
        table, version: the table, and which of its versions this is.
        id: the identifier that Delta gave the table when it was created.
        partition_by: the table's partition columns, in order.
        configuration: the table's properties, such as `delta.appendOnly`.
        features: the protocol's table features that readers or writers must honour.

    """

    def __init__(self, table: Table, handle: DeltaTable) -> None:
        self.table = table
        self._held: DeltaTable | None = handle
        with self._reaching_log():
            metadata, protocol, self.version = handle.metadata(), handle.protocol(), handle.version()
        self.id = str(metadata.id)
        self.partition_by = tuple(metadata.partition_columns)
        self.configuration: Mapping[str, str] = dict(metadata.configuration)
        self.features = frozenset((*(protocol.writer_features or ()), *(protocol.reader_features or ())))

    @property
    def _handle(self) -> DeltaTable:
        if self._held is None:  # a newer version has it
            self._held = self.table.open_same(self.version, self.id)._handle  # noqa: SLF001 of this class
        return self._held

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns, as plain Arrow types; raises UnsupportedTable for some that delta-rs does not know."""
        with self._reaching_log():
            return pa.schema(self._handle.schema().to_arrow())

    @cached_property
    def column_metadata(self) -> Mapping[str, Mapping[str, Any]]:
        """What the table's schema says of each column beside its type, such as `delta.invariants`."""
        with self._reaching_log():
            return {column.name: column.metadata for column in self._handle.schema().fields}

    def files(self, bounds: Bounds | None = None) -> Sequence[DataFile]:
        """Return the data files, of a scope or all; raises StoreFailed if the log cannot be read."""
        with self._reaching_log():
            return self._list.files(bounds)

    def present_values(self, columns: Sequence[str]) -> set[tuple[Any, ...]]:
        """Return the combinations of values that partition columns have; raises as `files` does."""
        with self._reaching_log():
            return self._list.values(columns)

    @cached_property
    def _list(self) -> FileList:
        return FileList(self._handle, has_vectors="deletionVectors" in self.features)

    @property
    def row_count(self) -> int | None:
        """How many rows the table has, by its log; None if the log does not say it of some file."""
        with self._reaching_log():
            return self._list.row_count

    @property
    def size(self) -> int:
        """How many bytes the table's data files have."""
        with self._reaching_log():
            return self._list.size

    def transaction_version(self, app_id: str) -> int | None:
        """Return the version that an application recorded with its last commit; None if there is none."""
        with self._reaching_log():
            return self._handle.transaction_version(app_id)

    def count_selected(self, filters: Sequence[tuple[str, str, Sequence[str]]]) -> int:
        """Return how many files an overwrite with these partition filters would remove."""
        with self._reaching_log():
            return len(self._handle.file_uris(file_pruning_predicate=list(filters)))

    def select(
        self, columns: Sequence[str], bounds: Bounds | None, predicate: str | None = None
    ) -> Iterator[pa.RecordBatchReader]:
        """Return streams of the rows of a scope, in an order that is the same each time.

        Raises StoreFailed if the log cannot be read, and where a stream is asked for and refused.

        Args:
            columns: the names of the columns to read.
            bounds: the scope; None for no row.
            predicate: a SQL condition that the rows must satisfy.

        """
        return map(self.query, queries(columns, bounds, predicate, self.partition_by, self.present_values))

    def query(self, sql: str) -> pa.RecordBatchReader:
        """Return the answer to one of `queries`; raises StoreFailed."""
        with self.table.reaching("a query"):
            return pa.RecordBatchReader.from_stream(self.in_engine(ALIAS).execute(sql))

    def in_engine(self, name: str, engine: QueryBuilder | None = None) -> QueryBuilder:
        """Return an engine of SQL, by default a new one, in which this version has a name."""
        return (engine or QueryBuilder(_IN_ORDER)).register(name, self._handle)

    def moved_to(self, version: int) -> "TableVersion":
        """Return this version or a later one as `open` does; only new entries are read."""
        if version == self.version:
            return self
        moved = self._updated()
        is_it = moved is not None and (moved.version, moved.id) == (version, self.id)
        return moved if moved is not None and is_it else self.table.open(version)

    def caught_up(self) -> "TableVersion | None":
        """Return the newest version, by its new entries; None if it may be another table's of that place."""
        with suppress(PracticusAssetsError), self._reaching_log():
            (files := self._list).load()
            newest, actions = self._updated(), LogFolder(self.table).actions(self.version)
            adds = [action["add"] for action in actions or () if "add" in action]
            return newest if adds and files.names(adds[0]) else None
        return None

    def _updated(self) -> "TableVersion | None":
        """Return the newest version, which has this one's handle from now on; None if `open` has to tell."""
        files = self.__dict__.pop("_list", None)  # it asks the handle
        try:
            with self._reaching_log():
                handle, self._held = self._handle, None
                handle.update_incremental()
            newest = TableVersion(self.table, handle)
            LogFolder(self.table).refuse_emptied(newest.version)
        except PracticusAssetsError:
            return None
        if newest.version != self.version:
            return newest
        self.__dict__ |= {"_held": handle} | ({"_list": files} if files is not None else {})
        return self

    def commit(
        self,
        actions: Sequence[AddAction | RemoveAction],
        schema: pa.Schema,
        properties: CommitProperties,
        *,
        mode: str = "append",
        filters: Sequence[tuple[str, str, Sequence[str]]] | None = None,
    ) -> None:
        """Commit files that are added or removed, as exactly the next version.

        Raises CommitUnsettled if that ends with an error; it may have landed, or somebody else's.

        Args:
            actions: the files.
            schema: the table's columns after the commit.
            properties: the commit's metadata; without retries, so that this is a compare-and-set.
            mode: "overwrite" removes the files that the partition filters select; "append" none by itself.
            filters: these filters.

        """
        self.table.refuse_read_only()
        with self.table.failures.committing(self.version + 1):
            self._handle.create_write_transaction(
                list(actions),
                mode,
                schema,
                list(self.partition_by),
                list(filters) if filters is not None else None,
                commit_properties=properties,
                post_commithook_properties=_HOOKS,
            )

    def add_features(self, features: Sequence[TableFeatures]) -> None:
        """Commit table features, and raise the protocol's versions for them; raises as `commit`."""
        self.table.refuse_read_only()
        with self.table.failures.committing(self.version + 1):
            self._handle.alter.add_feature(
                list(features), allow_protocol_versions_increase=True, post_commithook_properties=_HOOKS
            )

    def set_properties(self, properties: Mapping[str, str], metadata: Mapping[str, str]) -> None:
        """Commit table properties, with metadata for the commit; raises as `commit`."""
        self.table.refuse_read_only()
        with self.table.failures.committing(self.version + 1):
            self._handle.alter.set_table_properties(
                dict(properties),
                commit_properties=CommitProperties(custom_metadata=dict(metadata)),
                post_commithook_properties=_HOOKS,
            )

    def checkpoint(self) -> None:
        """Write a checkpoint of this version; raises StoreFailed if it cannot be written."""
        self.table.refuse_read_only()
        with self.table.reaching("writing a checkpoint"):
            self._handle.create_checkpoint()

    def _reaching_log(self) -> AbstractContextManager[None]:
        return self.table.reaching("the table's log")
