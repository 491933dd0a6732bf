"""Transactions: audit, stage and commit one scope of a table, all of it or nothing."""

import time
import uuid
from collections.abc import Iterator, Sequence, Sized
from datetime import UTC, datetime
from typing import Any, get_args

import pyarrow as pa

from practicus_assets.errors import DeclarationError, OutOfScope, SchemaMismatch, naming
from practicus_assets.lake.contracts.audit import Audit, AuditResult, Rescan, failure
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.delta.conditional_puts import refuse_unsafe_options
from practicus_assets.lake.delta.protocol import refuse_unsupported
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.bounds import Bounds
from practicus_assets.lake.partitions.scope import WHOLE_TABLE, Mode, Scope
from practicus_assets.lake.partitions.values import can_partition, is_null, split
from practicus_assets.lake.rows.fingerprint import Fingerprint, hash_rows
from practicus_assets.lake.rows.frames import BATCH_ROWS, record_batches
from practicus_assets.lake.rows.samples import sampling, shown
from practicus_assets.lake.rows.schema import SchemaChange, conformed, reconcile
from practicus_assets.lake.transactions.commit import Committer
from practicus_assets.lake.transactions.merge import Merge
from practicus_assets.lake.transactions.record import Commit, Provenance, landed
from practicus_assets.lake.transactions.staging import Staging


class Transaction:
    """Replaces one scope of a Delta table in one commit.

    The compare-and-swap begins when it is made: whoever commits the scope from then on makes `write` fail.

    Args:
        table: the table; it need not exist.
        scope: what is replaced; by default the whole table.
        partition_by: the columns that the table is partitioned by on disk.
        mode: "replace" the scope, "append" to it, or "merge": replace old rows that have the same
            `merge_keys` as a new row, and add the others.
        merge_keys: see `mode`.
        delete_unmatched: for "merge": also delete old rows of the scope that no new row matches.
        contract: what the rows must keep, checked before the commit.
        on_schema_change: "add" new columns (and widen, where all rows are replaced), "refuse" any change,
            or "replace" the schema of a table that is replaced as a whole.
        provenance: who commits, written into the commit.

    Attributes:
        began: the table's version when it was made; None if there was no table.
        landed: the commit of an earlier attempt at the same work; None if there is none.

    Raises:
        DeclarationError: if the arguments contradict each other or the table.
        UnsupportedTable: if the table uses Delta features that would not be honoured.
        StoreFailed: if the store cannot be read.

    """

    def __init__(
        self,
        table: Table,
        scope: Scope | None = None,
        *,
        partition_by: Sequence[str] = (),
        mode: Mode = "replace",
        merge_keys: Sequence[str] = (),
        delete_unmatched: bool = False,
        contract: Contract | None = None,
        on_schema_change: SchemaChange = "add",
        provenance: Provenance | None = None,
    ) -> None:
        self._table = table
        self._scope = scope or Scope()
        self._partition_by = tuple(partition_by)
        self._mode = mode
        self._merge: Merge | None = None
        self._keeps_unmatched = mode == "merge" and not delete_unmatched
        self._contract = contract or Contract()
        self._change = on_schema_change
        self._provenance = provenance or Provenance()
        with naming(table.name, str(self._scope), nothing_written=True):
            unknown = [column for column in self._scope.columns if column not in self._partition_by]
            if unknown or isinstance(partition_by, str) or len(set(partition_by)) != len(self._partition_by):
                raise DeclarationError(
                    f"the scope is on {list(self._scope.columns)}, and partition_by is {partition_by!r}.",
                    "Write partition_by as a list of columns, those of the scope among them.",
                )
            if mode not in get_args(Mode) or on_schema_change not in get_args(SchemaChange):
                raise DeclarationError(
                    f"mode={mode!r} with on_schema_change={on_schema_change!r} is unknown.",
                    f"Use one of {get_args(Mode)} with one of {get_args(SchemaChange)}.",
                )
            if mode == "merge":
                self._merge = Merge(merge_keys)
            elif merge_keys or delete_unmatched:
                raise DeclarationError(
                    "merge_keys and delete_unmatched need mode='merge'.", "Set it, or drop them."
                )
            refuse_unsafe_options(table)
            self._began_at = datetime.now(UTC)
            self._began = table.open_if_exists()
            self.landed = None
            if self._began is not None:
                refuse_unsupported(self._began, self._partition_by)
                self.landed = landed(self._began, self._provenance, self._scope)

    @property
    def began(self) -> int | None:
        """The table's version when the transaction was made."""
        return self._began.version if self._began is not None else None

    def write(self, data: Any) -> Commit:
        """Audit, stage and commit a table of rows.

        Args:
            data: what `record_batches` takes: a DataFrame, a `pyarrow.Table`, a stream, or a generator of
                record batches. A stream is read once and never held as a whole.

        Raises:
            DataRefused: if the rows do not fit the table, its contract or the scope. Nothing was written.
            CommitConflict: if somebody else committed the scope meanwhile. Nothing was written.
            CommitStateUnknown: if the object store did not say whether the commit landed.
            StoreFailed: if it failed before the commit. Nothing was written.

        """
        if self.landed is not None:
            return self.landed
        started = time.monotonic()
        with (
            naming(self._table.name, str(self._scope), nothing_written=True),
            sampling(self._table.sample_rows),
        ):
            reader = self._with_columns(record_batches(data))
            schema = self._reconciled(reader.schema)
            bounds = self._scope.on(schema)
            staging = Staging(self._table, schema, self._partition_by)
            try:
                result = self._staged(reader, bounds, staging, started)
            except BaseException:
                staging.discard()
                raise
        committer = Committer(
            self._table,
            self._began,
            self._scope,
            bounds,
            self._mode,
            self._partition_by,
            self._provenance,
            alone=bool(self._contract.unique),
            contract_digest=self._contract.digest,
            attempt_id=str(uuid.uuid4()),
            began_at=self._began_at,
        )
        with naming(self._table.name, str(self._scope)):
            return committer.land(staging, schema, result, unless_equal=isinstance(data, Sized))

    def _with_columns(self, reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
        """Give an empty stream, which could not say its columns, those of the table or of the contract."""
        if reader.schema.names:
            return reader
        known = self._began.schema if self._began is not None else self._contract.schema
        if known is None:
            raise SchemaMismatch(
                "the output has no columns, and neither the table nor a contract tells them.",
                "Return at least one record batch, empty if need be.",
            )
        return known.empty_table().to_reader()

    def _reconciled(self, output: pa.Schema) -> pa.Schema:
        """Return the table's columns after the commit."""
        promised = self._contract.schema
        self._contract.refuse_undeclared(output.names)
        filled = {c: t for c, t in self._scope.natural_types().items() if c not in output.names}
        table = self._began.schema if self._began is not None else None
        all_rows = self._scope.is_whole_table and self._mode != "append"
        schema = reconcile(
            output, table, promised, filled, self._change, all_rows=all_rows, keeps_rows=self._mode == "merge"
        )
        needed = {*self._partition_by, *(column for key in self._contract.unique for column in key)}
        lost = sorted(needed - set(schema.names))
        if lost:
            raise SchemaMismatch(
                f"the output lacks the columns {lost}, which tell its rows apart.", "Return them."
            )
        odd = [
            f"{c} ({schema.field(c).type})"
            for c in self._partition_by
            if not can_partition(schema.field(c).type)
        ]
        if odd or len(self._partition_by) == len(schema):
            raise SchemaMismatch(
                f"the table {self._table.name} cannot be partitioned by {odd or list(self._partition_by)}.",
                "Partition by strings, integers, booleans, dates or timestamps, and have a further column.",
            )
        return schema

    def _staged(
        self, reader: pa.RecordBatchReader, bounds: Bounds, staging: Staging, started: float
    ) -> Commit:
        """Write every row to staged files while the contract's rules run, and say what was staged."""
        audit = Audit(self._contract.checks, self._table.sample_rows)
        for batch in self._rows(reader, staging.schema, bounds):
            hashes = hash_rows(batch, staging.schema.names)
            for values, positions in split(batch, self._partition_by):
                rows = batch if len(positions) == batch.num_rows else batch.take(pa.array(positions))
                self._refuse_outside(values, rows, bounds)
                staging.add(rows, values, hashes[positions])
            audit.observe(batch)
        files = staging.finish()
        prints = self._prints_by_key(staging, bounds)
        whole = Fingerprint()
        for each in prints.values():
            whole.merge(each)
        return Commit(
            version=-1,
            rows=sum(file.rows for file in files),
            files=len(files),
            bytes=sum(file.size for file in files),
            fingerprints={key: str(each) for key, each in prints.items()},
            fingerprint=str(whole),
            audits=self._audited(audit, staging, {key: each.rows for key, each in prints.items()}),
            seconds=round(time.monotonic() - started, 3),
        )

    def _audited(self, audit: Audit, staging: Staging, rows: dict[str, int]) -> list[AuditResult]:
        rescans: list[Rescan] = [staging.scan]
        if self._mode == "append" and self._contract.unique and self._began is not None:
            rescans.append(self._existing(staging.schema))
            audit.observe_existing(rescans[-1])
        results = audit.finish(rescans, rows)
        if any(result.blocks for result in results):
            raise failure(results)
        return results

    def _existing(self, schema: pa.Schema) -> Rescan:
        """Return what streams the old rows of the scope as the table will hold them; new columns are null."""
        assert self._began is not None
        snapshot = Snapshot(self._began, self._scope)

        def scan(columns: Sequence[str] | None = None) -> pa.RecordBatchReader:
            wanted = pa.schema([schema.field(name) for name in columns or schema.names])
            nulls = {f.name: pa.scalar(None, f.type) for f in wanted}
            known = [name for name in wanted.names if name in snapshot.schema.names]
            old = snapshot.scan(known or snapshot.schema.names[:1])
            return pa.RecordBatchReader.from_batches(wanted, (conformed(b, wanted, nulls, 0) for b in old))

        return scan

    def _rows(
        self, reader: pa.RecordBatchReader, schema: pa.Schema, bounds: Bounds
    ) -> Iterator[pa.RecordBatch]:
        """Stream the rows as the table will hold them: the author's, then those that a merge keeps."""
        filled = bounds.constants()
        first_row = 0
        for batch in reader:
            for start in range(0, batch.num_rows, BATCH_ROWS):
                rows = conformed(batch.slice(start, BATCH_ROWS), schema, filled, first_row + start)
                if self._merge is not None:
                    self._merge.observe(rows)
                yield rows
            first_row += batch.num_rows
        if self._merge is None:
            return
        self._merge.refuse_duplicates()
        if self._keeps_unmatched and self._began is not None:
            yield from self._merge.kept(self._existing(schema)(None))

    def _refuse_outside(self, values: tuple[Any, ...], rows: pa.RecordBatch, bounds: Bounds) -> None:
        """Raise for rows that belong to no partition of the scope, or to none at all."""
        named = dict(zip(self._partition_by, values, strict=True))
        empty = [(column, value) for column, value in named.items() if is_null(value)]
        if empty:
            raise OutOfScope(
                f"{rows.num_rows:,} rows have the value {empty[0][1]!r} in {empty[0][0]!r}, "
                "a partition column, where it would be read as null.",
                "Fill or drop these rows.",
            )
        if bounds.part_of([named[column] for column in bounds.columns]) is None:
            raise OutOfScope(
                f"{rows.num_rows:,} rows lie outside the scope, by their {list(named)}.",
                "Return only rows of the partitions that the run materializes.",
                f"They have {named}, e.g. {shown(rows.slice(0, 1))[0]}.",
            )

    def _prints_by_key(self, staging: Staging, bounds: Bounds) -> dict[str, Fingerprint]:
        """Return the fingerprint of each partition of the scope, by its key; those without rows too."""
        keys = self._scope.keys or [WHOLE_TABLE]
        prints = {key: Fingerprint() for key in keys}
        for values, each in staging.fingerprints.items():
            named = dict(zip(self._partition_by, values, strict=True))
            part = bounds.part_of([named[column] for column in bounds.columns])
            if part is not None:
                prints[keys[part]].merge(each)
        return prints
