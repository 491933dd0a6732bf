"""Cells: columns of a table as the columns of another system take them, or the reason why they cannot."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.destinations.export import Export
from practicus_assets.errors import LossyValues, PracticusAssetsError, SchemaMismatch, did_you_mean
from practicus_assets.wording import names_of, number_of, readable

Convert = Callable[[pa.Array], pa.Array]


@dataclass(frozen=True)
class TargetColumn:
    """A column of a table of another system.

    Attributes:
        name: its name.
        type: its type as the system spells it, such as `numeric(10,2)`.
        nullable: whether it takes nulls.
        fills_itself: whether rows may leave it out, because it is nullable, or has a default.
        is_generated: whether the system alone gives it values.

    """

    name: str
    type: str
    nullable: bool = True
    fills_itself: bool = True
    is_generated: bool = False


@dataclass(frozen=True)
class Cells:
    """How the columns of an export become those of a target.

    Attributes:
        schema: the columns as they are sent, by their names there.
        converts: what turns each column of the table into that.

    """

    schema: pa.Schema
    converts: Sequence[Convert]

    def sent(self, rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield batches as they are sent.

        Raises:
            LossyValues: for a value that the target cannot hold.

        """
        for batch in rows:
            columns = [convert(c) for convert, c in zip(self.converts, batch.columns, strict=True)]
            yield pa.record_batch(columns, schema=self.schema)


def refuse_unlike(export: Export, columns: Mapping[str, TargetColumn], kind: str) -> None:
    """Raise SchemaMismatch for a target whose columns do not take the rows.

    Args:
        export: the export.
        columns: the target's columns by name.
        kind: what the system is called.

    """
    missing = [name for name in export.schema.names if name not in columns]
    if missing:
        raise SchemaMismatch(
            f"{export.target} has no {names_of('column', missing)}; it has {list(columns)}.",
            did_you_mean(
                missing[0],
                columns,
                f"Add {'it' if len(missing) == 1 else 'them'} in {kind}, or name with "
                "columns= which go there, and under which names.",
            ),
        )
    generated = [name for name in export.schema.names if columns[name].is_generated]
    if generated:
        raise SchemaMismatch(
            f"{kind} alone gives values to the {names_of('column', generated)} of {export.target}.",
            "Leave them out with columns=.",
        )
    needed = [c.name for c in columns.values() if c.name not in export.schema.names and not c.fills_itself]
    if needed:
        raise SchemaMismatch(
            f"{export.target} needs the {names_of('column', needed)}, which the table lacks: NOT NULL, "
            "and without a default.",
            "Give them a default there, or add them to the table.",
        )


def mismatch(export: Export, field: pa.Field, column: TargetColumn, expected: str) -> SchemaMismatch:
    """Return the error for a column whose type is another, or narrower."""
    return SchemaMismatch(
        f"column {field.name!r} is of type {column.type} in {export.target}, and {field.type} in the table.",
        f"Make it {expected} there, or cast it in the table.",
    )


def refused(array: pa.Array, bad: pa.Array, column: str, what: str, *, advice: str, sample_rows: int) -> None:
    """Raise LossyValues if some values cannot go there.

    Args:
        array: the values.
        bad: whether each is one of these; null is no.
        column: the column's name.
        what: what they are: "texts longer than 3 characters".
        advice: what to do about them.
        sample_rows: how many of them the error may show.

    """
    count = pc.sum(bad).as_py() or 0
    if not count:
        return
    sample = ""
    if sample_rows:
        [position] = np.flatnonzero(pc.fill_null(bad, False).to_numpy(zero_copy_only=False))[:1]  # noqa: FBT003 the value
        sample = f"One is {readable(shown(array[int(position)]))}."
    raise LossyValues(f"column {column!r} holds {what} in {number_of(count, 'row')}.", advice, sample)


def shown(value: pa.Scalar) -> Any:
    """Return a value for an error; a date that Python does not know as its number."""
    try:
        return value.as_py()
    except (ValueError, OverflowError):
        return str(value.cast(pa.int64()) if pa.types.is_timestamp(value.type) else value.cast(pa.int32()))


class Stream:
    """Batches on their way into a driver, which may hide the error that ends them.

    Attributes:
        error: the error that ended the stream; None if none did.
        rows: how many rows have passed.

    """

    def __init__(self, batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> None:
        self.error: BaseException | None = None
        self.rows = 0
        self.reader = pa.RecordBatchReader.from_batches(schema, self._passing(batches))

    def _passing(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        try:
            for batch in batches:
                self.rows += batch.num_rows
                yield batch
        except BaseException as error:
            self.error = error
            raise

    def refuse_broken(self) -> None:
        """Raise the error that ended the stream."""
        if self.error is not None:
            if isinstance(self.error, PracticusAssetsError):
                self.error.nothing_written = True
            raise self.error
