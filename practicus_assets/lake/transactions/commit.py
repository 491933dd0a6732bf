"""Commits: compare and swap on the newest version of a table."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, Schema, TableFeatures
from deltalake import Transaction as AppTransaction
from deltalake.transaction import RemoveAction

from practicus_assets.errors import (
    CommitConflict,
    CommitStateUnknown,
    OutOfScope,
    PracticusAssetsError,
    StoreFailed,
)
from practicus_assets.lake.delta.conditional_puts import PROOF, prove
from practicus_assets.lake.delta.data_file import DataFile
from practicus_assets.lake.delta.failures import CommitUnsettled, in_one_line
from practicus_assets.lake.delta.log import KEEPS_LOG, LogEntry
from practicus_assets.lake.delta.record import RECORD, TransactionRecord
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table, TableVersion
from practicus_assets.lake.partitions.bounds import Bounds
from practicus_assets.lake.partitions.scope import Mode, Scope
from practicus_assets.lake.partitions.values import serialized, split
from practicus_assets.lake.rows.fingerprint import Fingerprint, hash_rows
from practicus_assets.lake.transactions.commit_window import Watch
from practicus_assets.lake.transactions.record import Commit, Provenance
from practicus_assets.lake.transactions.staging import Staging

_LONGEST_PAUSE_S = 1.0


@dataclass(frozen=True)
class Committer:
    """Lands staged files in one commit, if nobody has committed the same scope since the attempt began.

    Attributes:
        table: the table.
        began: the table when the attempt began; None if it did not exist.
        scope, bounds: what is replaced; files outside it are never removed.
        mode: "append" removes nothing, the others replace the scope.
        partition_by: the table's partition columns.
        provenance: who commits.
        alone: whether even another append to the scope is a conflict.
        contract_digest: of the contract that the rows passed.
        attempt_id: tells this attempt's commit from every other.
        began_at: when the attempt began.

    """

    table: Table
    began: TableVersion | None
    scope: Scope
    bounds: Bounds
    mode: Mode
    partition_by: Sequence[str]
    provenance: Provenance
    alone: bool
    contract_digest: str
    attempt_id: str
    began_at: datetime

    def land(  # noqa: C901 one loop, in the order of its steps
        self, staging: Staging, schema: pa.Schema, result: Commit, *, unless_equal: bool
    ) -> Commit:
        """Commit the staged files, and return the result with its version; without a commit, delete them.

        Args:
            staging: the files.
            schema: the table's columns after the commit.
            result: what was staged.
            unless_equal: whether to commit nothing if the scope already holds the same rows.

        Raises:
            CommitConflict: if the scope was committed by somebody else since the attempt began.
            CommitStateUnknown: if the store does not say whether the commit landed.
            StoreFailed: if the store fails before the commit.
            OutOfScope: if the commit would remove a file outside the scope.

        """
        equal: bool | None = None
        pause = 0.02
        in_doubt = False  # whether the staged files may belong to the table already
        answer: CommitUnsettled | None = None  # the store's, to the last commit that was tried
        watch = Watch(self.table, self.began, self.partition_by)
        try:
            while True:
                self._look(watch, result.version, answer)
                handle, since = watch.handle, watch.since
                own = [entry.version for entry in since if self._is_own(entry)]
                if own:
                    return replace(result, version=own[0])
                in_doubt, answer = False, None
                self._refuse_superseded(since)
                version = watch.newest + 1
                if equal is None and handle is not None:
                    equal = unless_equal and self._is_equal(handle, staging, schema)
                if equal:
                    staging.discard()
                    result = replace(result, changed=False)
                    if self.provenance.attempt == 1:
                        return replace(result, version=version - 1)
                    # an empty commit in this attempt's name: an earlier attempt that wakes up is refused
                result = replace(result, version=version)
                prove(self.table, handle)
                in_doubt = True
                try:
                    self._swap(handle, staging, schema, result)
                except CommitUnsettled as error:
                    answer = error
                except PracticusAssetsError:
                    in_doubt = False  # raised before the commit
                    raise
                else:
                    return result
                time.sleep(random.uniform(0, pause))  # noqa: S311 not cryptographic
                pause = min(2 * pause, _LONGEST_PAUSE_S)
        except BaseException as error:
            if not in_doubt or isinstance(error, StoreFailed):  # in doubt, that is CommitStateUnknown
                staging.discard()
                if isinstance(error, PracticusAssetsError):
                    error.nothing_written = True
            raise

    def _look(self, watch: Watch, version: int, answer: CommitUnsettled | None) -> None:
        """Look at the table; raise if the commit that was tried last may land, and has not yet.

        Args:
            watch: of the table.
            version: the one that was tried last.
            answer: what the store said to it; None if nothing was tried.

        """
        try:
            watch.look(in_doubt=answer is not None)
        except StoreFailed as error:
            if answer is None:
                raise
            raise self._unknown(version, answer) from error
        if answer is not None and watch.newest < version:
            if self.table.local_path is not None and isinstance(answer.__cause__, OSError):
                raise answer.settled()  # a disk does nothing later that it refused
            raise self._unknown(version, answer) from answer

    def _is_own(self, entry: LogEntry) -> bool:
        return entry.record is not None and entry.record.attempt_id == self.attempt_id

    def _refuse_superseded(self, since: Sequence[LogEntry]) -> None:
        """Raise CommitConflict if somebody has committed the scope since the attempt began."""
        for entry in since:
            record = entry.record
            advice = "Run again on fresh inputs."
            if entry.unreadable is not None:
                who = f"a newer release of this package, whose record cannot be read ({entry.unreadable}),"
                advice = f"{advice} {entry.unreadable.advice}"
            elif record is not None and self._is_superseded_by(record):
                who = f"run {record.run_id}, step {record.step!r}, attempt {record.attempt}"
            elif record is None and (self._replaces or entry.removes) and entry.touches(self.bounds):
                operation = entry.info.get("operation", "unnamed operation")
                who = f"another writer ({operation}, {entry.info.get('engineInfo', 'unnamed engine')})"
            else:
                continue
            raise CommitConflict(
                f"{who} committed the same scope as version {entry.version}, after this attempt began"
                + (f" at version {self.began.version}." if self.began is not None else "."),
                advice,
            )

    @property
    def _replaces(self) -> bool:
        """Whether the rows depend on what the scope held when the attempt began."""
        return self.alone or self.mode != "append"

    def _is_superseded_by(self, record: TransactionRecord) -> bool:
        if record.work == self.provenance.app_id(self.scope):
            return True
        return (self._replaces or record.mode != "append") and self.bounds.overlaps(record.scope)

    def _is_equal(self, handle: TableVersion, staging: Staging, schema: pa.Schema) -> bool:
        """Whether the table already holds the staged rows, and nothing would change."""
        current = handle.schema
        if not self._joined(schema, current).equals(current):
            return False
        staged = sum(file.rows for file in staging.files)
        if self.mode == "append":
            return not staged
        counts = [file.rows for file in self._files(handle)]
        if None in counts or sum(map(int, filter(None, counts))) != staged or schema.names != current.names:
            return False
        found: dict[tuple[Any, ...], Fingerprint] = {}
        for batch in Snapshot(handle, self.scope).scan():
            hashes = hash_rows(batch, schema.names)
            for values, positions in split(batch, self.partition_by):
                found.setdefault(values, Fingerprint()).add(hashes[positions])
        return {k: str(v) for k, v in found.items()} == {k: str(v) for k, v in staging.fingerprints.items()}

    def _swap(self, handle: TableVersion | None, staging: Staging, schema: pa.Schema, result: Commit) -> None:
        """Commit at exactly the version after the handle's, or raise CommitUnsettled."""
        adds = [file.action(self.partition_by) for file in staging.files]
        properties = self._properties(result)
        if handle is None:
            self.table.create(adds, schema, self.partition_by, KEEPS_LOG, properties)
            return
        current = handle.schema
        after = self._joined(schema, current)
        removes = self._files(handle) if result.changed and self.mode != "append" else []
        if after.equals(current):
            gone = [self._removal(file) for file in removes]
            handle.commit([*adds, *gone], after, properties)
        else:  # delta-rs lets only an overwrite change the schema
            self._allow_naive_times(handle, after)
            filters = self._filters(handle, removes)
            handle.commit(adds, after, properties, mode="overwrite", filters=filters)

    def _removal(self, file: DataFile) -> RemoveAction:
        """Return the Delta action that takes a file out of the table."""
        return RemoveAction(file.path, True, int(time.time() * 1000))  # noqa: FBT003 dataChange

    def _allow_naive_times(self, handle: TableVersion, schema: pa.Schema) -> None:
        """Switch on the table feature that a first column of times without zone needs, before it is there."""
        naive = any("timestamp_ntz" in f.to_json() for f in Schema.from_arrow(schema).fields)
        if naive and "timestampNtz" not in handle.features:
            handle.add_feature(TableFeatures.TimestampWithoutTimezone)
            raise CommitUnsettled("the protocol was raised.", "Commit on top of it.")

    def _joined(self, schema: pa.Schema, current: pa.Schema) -> pa.Schema:
        """Return the schema with the columns that others added since the attempt began."""
        before = self.began.schema if self.began is not None else pa.schema([])
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
                f"another writer changed the columns {changed} after this attempt began.",
                "Run again on fresh inputs.",
            )
        return pa.schema([*schema, *added])

    def _filters(
        self, handle: TableVersion, removes: Sequence[DataFile]
    ) -> list[tuple[str, str, list[str]]] | None:
        """Return the partition filters that select exactly the files to remove, for an overwrite."""
        if self.mode != "append" and not self.bounds.columns:
            return None
        columns = self.bounds.columns or handle.schema.names[:1]
        values = {column: [file.values[column] for file in removes] for column in columns}
        filters = [
            (column, "in", sorted({serialized(value) for value in values[column] if value is not None}))
            for column in columns
        ]
        selected = handle.count_selected(filters)
        if selected != len(removes):
            raise OutOfScope(
                f"the commit would remove {selected} files, and {len(removes)} are inside the scope.",
                "While columns change, run partitions that form a full grid, or each in a run of its own.",
            )
        return filters

    def _files(self, handle: TableVersion) -> list[DataFile]:
        """Return the files inside the scope."""
        columns = self.bounds.columns
        return [
            file
            for file in handle.files()
            if self.bounds.part_of([file.values[column] for column in columns]) is not None
        ]

    def _unknown(self, version: int, answer: CommitUnsettled) -> CommitStateUnknown:
        cause = answer.__cause__ or answer
        return CommitStateUnknown(
            f"the commit of version {version} ended with {type(cause).__name__}: {in_one_line(cause)}.",
            "Staged files are kept. Run again: the next attempt finds the commit if it landed.",
        )

    def _properties(self, result: Commit) -> CommitProperties:
        who = self.provenance
        record = TransactionRecord(
            run_id=who.run_id,
            step=who.step,
            attempt=who.attempt,
            attempt_id=self.attempt_id,
            work=who.app_id(self.scope),
            mode=self.mode,
            scope=self.bounds.recorded,
            asset_key=who.asset_key,
            code_version=who.code_version,
            inputs=who.inputs,
            restores_version=who.restores,
            contract_digest=self.contract_digest,
            changed=result.changed,
            rows=result.rows,
            files=result.files,
            size_bytes=result.bytes,
            duration_seconds=result.seconds,
            fingerprint=result.fingerprint,
            fingerprints=result.recorded_fingerprints,
            audits=result.recorded_audits,
            began_at=self.began_at,
            began_version=self.began.version if self.began is not None else None,
        )
        return CommitProperties(
            custom_metadata={RECORD: record.to_json()},
            max_commit_retries=0,  # makes the commit a compare-and-set on the table's version
            app_transactions=[
                AppTransaction(record.work, result.version),
                *([AppTransaction(PROOF, 1)] if self.table.local_path is None else []),
            ],
        )
