"""Incoming rows: what an author returned, made into rows of the table."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pyarrow as pa

from practicus_assets.errors import DataRefused, OutOfScope, SchemaMismatch, did_you_mean
from practicus_assets.lake.partitions.bounds import Bounds
from practicus_assets.lake.partitions.misspelt import Misspelt
from practicus_assets.lake.partitions.values import can_partition, is_null
from practicus_assets.lake.rows.chunks import BATCH_ROWS
from practicus_assets.lake.rows.frames import record_batches
from practicus_assets.lake.rows.histories.declaration import VALID_COLUMNS
from practicus_assets.lake.rows.python_values import NO_COLUMNS
from practicus_assets.lake.rows.samples import shown
from practicus_assets.lake.rows.schema import conformed, reconcile
from practicus_assets.lake.transactions.attempt import Attempt
from practicus_assets.lake.transactions.effect import Stopwatch
from practicus_assets.wording import names_of, number_of, readable, readable_row

_BATCH_BYTES = 64 << 20


class IncomingRows:
    """Rows that an author returned, with the columns and types that the table has after the commit.

    Args:
        attempt: the attempt that writes them.
        data: what `record_batches` takes.

    Attributes:
        schema: the table's columns after the commit.
        given: those of them that the rows have; a history computes the others.
        bounds: the attempt's scope on these columns.
        filled: the partition columns of the scope that the output lacks, and that are filled in.
        waiting: how long the rows themselves took to come.

    Raises:
        SchemaMismatch: if the columns fit neither the table nor its contract.
        DataRefused: if there are partition columns alone.
        OutOfScope: if the scope cannot be expressed on them.

    """

    def __init__(self, attempt: Attempt, data: Any) -> None:
        self._attempt = attempt
        self.waiting = Stopwatch()
        with self.waiting:  # a generator gives its first chunk, which decides the columns
            self._reader = self._with_columns(record_batches(data, self._declared()))
        self.schema = self._reconciled(self._reader.schema)
        self.given = pa.schema([field for field in self.schema if field.name not in self._computed])
        self.bounds = attempt.scope.on(self.schema)
        self.filled = tuple(c for c in self.bounds.columns if c not in self._reader.schema.names)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Stream the rows; values that would change, and nulls where there must be none, are refused."""
        waiting: list[pa.RecordBatch] = []
        rows = size = 0
        for batch in self._conformed():
            if rows + batch.num_rows > BATCH_ROWS or size + batch.nbytes > _BATCH_BYTES:
                yield from _joined(waiting)
                waiting, rows, size = [], 0, 0
            waiting.append(batch)
            rows += batch.num_rows
            size += batch.nbytes
        yield from _joined(waiting)

    def _conformed(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows with the table's columns and types, in batches that are not too large."""
        constants = self.bounds.constants()
        misspelt = Misspelt(
            {c: constants[c] for c in self.filled if c in constants},
            self._reader.schema.names,
            self._attempt.scope.starts(),
        )
        first_row = 0
        for batch in self.waiting.each(self._reader):
            parts = -(-batch.nbytes // _BATCH_BYTES) or 1
            size = min(BATCH_ROWS, -(-batch.num_rows // parts) or 1)
            for start in range(0, batch.num_rows, size):
                rows = batch.slice(start, size)
                misspelt.observe(rows)
                yield conformed(rows, self.given, constants, first_row + start)
            first_row += batch.num_rows
        misspelt.refuse()

    def _declared(self) -> pa.Schema:
        """Return the contract's columns, without those of the scope, which are filled in where they lack."""
        declared, attempt = self._attempt.contract.schema or NO_COLUMNS, self._attempt
        absent = {*attempt.scope.columns, *self._computed}
        return pa.schema([field for field in declared if field.name not in absent])

    @property
    def _computed(self) -> Sequence[str]:
        """The columns that the output has not."""
        return VALID_COLUMNS if self._attempt.options.history is not None else ()

    def _with_columns(self, reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
        """Give an empty stream, which could not say its columns, those of the table or of the contract."""
        if reader.schema.names:
            return reader
        schema = self._attempt.schema or self._attempt.contract.schema
        if schema is None:
            raise SchemaMismatch(
                "the output has no columns, and neither the table nor a contract tells them.",
                "Return a table that has the columns, and no rows, or declare them in the contract.",
            )
        return schema.empty_table().drop_columns([*({*self._computed} & {*schema.names})]).to_reader()

    def _reconciled(self, output: pa.Schema) -> pa.Schema:
        """Return the table's columns after the commit."""
        attempt = self._attempt
        contract, options = attempt.contract, attempt.options
        contract.refuse_undeclared(output.names)
        filled = {c: t for c, t in attempt.scope.natural_types().items() if c not in output.names}
        if options.history is not None:
            options.history.refuse_output(output)
            time = options.history.sequence_by
            filled |= dict.fromkeys(VALID_COLUMNS, self._after(output, {}, time).field(time).type)
        schema = self._after(output, filled)
        if options.history is not None:
            options.history.refuse_types(schema)
        keys = [column for key in contract.unique for column in key]
        for whose, needed in (("of partition_by", options.partition_by), ("of a unique key", keys)):
            lost = sorted(set(needed) - set(schema.names))
            if lost:
                raise SchemaMismatch(
                    f"the output lacks the {names_of('column', lost)} {whose}; it has {output.names}.",
                    did_you_mean(lost[0], output.names, "Return what is missing."),
                )
        types = {column: schema.field(column).type for column in options.partition_by}
        unfit = [f"{column} ({type_})" for column, type_ in types.items() if not can_partition(type_)]
        if unfit:
            raise SchemaMismatch(
                f"the table {attempt.table.name} cannot be partitioned by {unfit}.",
                "Partition by strings, integers, booleans, dates or timestamps.",
            )
        if len(types) == len(schema):  # no column breaks the contract, so this is no SchemaMismatch
            raise DataRefused(
                f"the output has no column besides the partition {names_of('column', types)}, and a table "
                "needs one.",
                "Return a further column, or leave partition_by out.",
            )
        return schema

    def _after(
        self, output: pa.Schema, filled: Mapping[str, pa.DataType], only: str | None = None
    ) -> pa.Schema:
        """Return the table's columns after the commit, or one of them, with what fills in others."""
        attempt, options = self._attempt, self._attempt.options

        def chosen(schema: pa.Schema | None) -> pa.Schema | None:
            if schema is None or only is None:
                return schema
            return pa.schema([field for field in schema if field.name == only])

        return reconcile(
            chosen(output),
            chosen(attempt.schema),
            chosen(attempt.contract.schema),
            filled,
            options.schema_change,
            all_rows=attempt.written.is_whole_table and not attempt.appends,
            keeps_rows=options.mode in {"merge", "history"},
            null_types=options.null_types,
        )


@contextmanager
def closing(data: Any) -> Iterator[None]:
    """Close an author's generator after an error of somebody else, so that it can let go of what it holds."""
    try:
        yield
    except BaseException:
        if isinstance(data, Generator):
            with suppress(Exception):
                data.close()
        raise


def _joined(batches: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield batches as one, if there are any: small ones would cost more time than their rows."""
    if batches:
        yield pa.concat_batches(batches) if len(batches) > 1 else batches[0]


def refuse_outside(values: dict[str, Any], rows: pa.RecordBatch, bounds: Bounds) -> None:
    """Raise OutOfScope for rows that belong to no partition of the scope, or to none at all.

    Args:
        values: their values of the table's partition columns, by column.
        rows: the rows.
        bounds: the scope.

    """
    empty = [(column, value) for column, value in values.items() if is_null(value)]
    if empty:
        raise OutOfScope(
            f"the partition column {empty[0][0]!r} has the value {readable(empty[0][1])} in "
            f"{number_of(rows.num_rows, 'row')}, where it would be read as null.",
            "Fill or drop these rows.",
        )
    if bounds.part_of(values) is None:
        raise OutOfScope(
            f"the output has {number_of(rows.num_rows, 'row')} outside the scope, by "
            f"{names_of('column', values)}.",
            "Return only rows of the partitions that the run materializes.",
            f"E.g. {readable_row(shown(rows.slice(0, 1))[0])}.",
        )
