"""Transactions: audit, stage and commit one scope of a table, all of it or nothing."""

import time
import uuid
from collections.abc import Iterator, Sequence, Sized
from typing import Any

import pyarrow as pa

from practicus_assets.errors import (
    CommitConflict,
    DataRefused,
    DeclarationError,
    OutOfScope,
    SchemaMismatch,
    naming,
)
from practicus_assets.lake.audit import Audit, AuditFailed, AuditResult
from practicus_assets.lake.commit import Committer
from practicus_assets.lake.contract import Contract
from practicus_assets.lake.conversion import record_batches
from practicus_assets.lake.fingerprint import Fingerprint
from practicus_assets.lake.merge import Merge
from practicus_assets.lake.partitions import Bounds, Mode, Scope, split
from practicus_assets.lake.protocol import refuse_unsupported
from practicus_assets.lake.provenance import Commit, Provenance, landed
from practicus_assets.lake.schema import SchemaChange, exact_cast, reconcile
from practicus_assets.lake.snapshot import Snapshot, arrow_schema
from practicus_assets.lake.staging import Staging
from practicus_assets.lake.storage import Table

WHOLE_TABLE = "(table)"  # the key of the one partition of a table that has none


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
        landed: the commit of an earlier attempt at the same work; None if there is none.

    Raises:
        DeclarationError: if the arguments contradict each other or the table.
        UnsupportedTable: if the table uses Delta features that would not be honoured.

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
        self._merge = Merge(merge_keys) if mode == "merge" else None
        self._keeps_unmatched = mode == "merge" and not delete_unmatched
        self._contract = contract or Contract()
        self._change = on_schema_change
        self._provenance = provenance or Provenance()
        with naming(table.name, str(self._scope), nothing_written=True):
            unknown = [column for column in self._scope.columns if column not in self._partition_by]
            if unknown:
                raise DeclarationError(
                    f"the scope is on {unknown}, and the table is partitioned by {list(self._partition_by)}.",
                    "Add them to partition_by.",
                )
            self._began = table.open_if_exists()
            self.landed = None if self._began is None else landed(table, self._began, self._provenance)
            if self._began is not None:
                refuse_unsupported(self._began)
                existing = self._began.metadata().partition_columns
                if tuple(existing) != self._partition_by:
                    raise DeclarationError(
                        f"the table is partitioned by {existing}, and partition_by is {list(self._partition_by)}.",
                        "Set partition_by as the table has it, or write to another table.",
                    )

    def write(self, data: Any) -> Commit:
        """Audit, stage and commit a table of rows.

        Args:
            data: what `record_batches` takes: a DataFrame, a `pyarrow.Table`, a stream, or a generator of
                record batches. A stream is read once and never held as a whole.

        Raises:
            DataRefused: if the rows do not fit the table, its contract or the scope. Nothing was written.
            CommitConflict: if somebody else committed the scope meanwhile. Nothing was written.
            CommitStateUnknown: if the object store did not say whether the commit landed.

        """
        if self.landed is not None:
            return self.landed
        started = time.monotonic()
        with naming(self._table.name, str(self._scope), nothing_written=True):
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
        )
        with naming(self._table.name, str(self._scope)):
            try:
                return committer.land(staging, schema, result, unless_equal=isinstance(data, Sized))
            except (CommitConflict, DataRefused) as error:
                error.nothing_written = True
                staging.discard()
                raise

    def _with_columns(self, reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
        """Give an empty stream, which could not say its columns, those of the table or of the contract."""
        if reader.schema.names:
            return reader
        known = arrow_schema(self._began) if self._began is not None else self._contract.schema
        if known is None:
            raise SchemaMismatch(
                "the output has no columns, and neither the table nor a contract tells them.",
                "Return at least one record batch, empty if need be.",
            )
        return known.empty_table().to_reader()

    def _reconciled(self, output: pa.Schema) -> pa.Schema:
        """Return the table's columns after the commit."""
        promised = self._contract.schema
        undeclared = [name for name in output.names if promised is not None and name not in promised.names]
        if undeclared and self._contract.closed:
            raise SchemaMismatch(f"the contract does not know the columns {undeclared}.", "Declare them.")
        filled = [column for column in self._scope.columns if column not in output.names]
        table = arrow_schema(self._began) if self._began is not None else None
        all_rows = self._scope.is_whole_table and self._mode != "append"
        schema = reconcile(output, table, promised, filled, self._change, all_rows=all_rows)
        lost = [column for column in self._partition_by if column not in schema.names]
        if lost:
            raise SchemaMismatch(f"the output lacks the partition columns {lost}.", "Return them.")
        return schema

    def _staged(
        self, reader: pa.RecordBatchReader, bounds: Bounds, staging: Staging, started: float
    ) -> Commit:
        """Write every row to staged files while the contract's rules run, and say what was staged."""
        audit = Audit(self._contract)
        for batch in self._rows(reader, staging.schema, bounds):
            for values, rows in split(batch, self._partition_by):
                self._refuse_outside(values, rows, bounds)
                staging.add(rows, values)
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
            partition_rows={key: each.rows for key, each in prints.items()},
            fingerprints={key: str(each) for key, each in prints.items()},
            fingerprint=str(whole),
            audits=self._audited(audit, staging, {key: each.rows for key, each in prints.items()}),
            seconds=round(time.monotonic() - started, 3),
        )

    def _audited(self, audit: Audit, staging: Staging, rows: dict[str, int]) -> list[AuditResult]:
        rescans = [staging.scan]
        if self._mode == "append" and self._contract.unique and self._began is not None:
            existing = Snapshot(self._table, self._began, self._scope)
            audit.observe_existing(existing.scan)
            rescans.append(existing.scan)
        results = audit.finish(rescans, rows)
        if any(result.blocks for result in results):
            raise AuditFailed(results)
        return results

    def _rows(
        self, reader: pa.RecordBatchReader, schema: pa.Schema, bounds: Bounds
    ) -> Iterator[pa.RecordBatch]:
        """Stream the rows as the table will hold them: the author's, then those that a merge keeps."""
        filled = bounds.constants()
        first_row = 0
        for batch in reader:
            rows = _conformed(batch, schema, filled, first_row)
            first_row += batch.num_rows
            if self._merge is not None:
                self._merge.observe(rows)
            yield rows
        if self._merge is None:
            return
        self._merge.refuse_duplicates()
        if self._keeps_unmatched and self._began is not None:
            nulls = {f.name: pa.scalar(None, f.type) for f in schema}
            for batch in self._merge.kept(Snapshot(self._table, self._began, self._scope)):
                yield _conformed(batch, schema, nulls, 0)

    def _refuse_outside(self, values: tuple[Any, ...], rows: pa.RecordBatch, bounds: Bounds) -> None:
        """Raise for rows that belong to no partition of the scope, or to none at all."""
        named = dict(zip(self._partition_by, values, strict=True))
        empty = [column for column, value in named.items() if value is None or value == ""]
        if empty:
            raise OutOfScope(
                f"{rows.num_rows:,} rows have a null or empty {empty[0]!r}, which is a partition column.",
                "Fill or drop these rows.",
            )
        if bounds.part_of([named[column] for column in bounds.columns]) is None:
            raise OutOfScope(
                f"{rows.num_rows:,} rows lie outside the scope: {named}, e.g. {rows.slice(0, 1).to_pylist()[0]}.",
                "Return only rows of the partitions that the run materializes.",
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


def _conformed(
    batch: pa.RecordBatch, schema: pa.Schema, filled: dict[str, pa.Scalar], first_row: int
) -> pa.RecordBatch:
    """Return a batch with exactly the table's columns and types; absent columns get their filled value."""
    arrays = []
    for field in schema:
        if field.name in batch.schema.names:
            array = exact_cast(batch.column(field.name), field.type, field.name, first_row)
        elif field.name in filled:
            array = pa.repeat(filled[field.name].cast(field.type), batch.num_rows)
        else:
            raise OutOfScope(
                f"the output lacks the partition column {field.name!r}, and the scope has more than one value for it.",
                "Return the column.",
            )
        if not field.nullable and array.null_count:
            raise DataRefused(
                f"column {field.name!r} is NOT NULL in the table, and {array.null_count:,} rows have no value.",
                "Fill or drop these rows.",
            )
        arrays.append(array)
    return pa.record_batch(arrays, schema=schema)
