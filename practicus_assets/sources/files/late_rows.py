"""Late rows: which values of columns the rows hold that were changed since a moment."""

import datetime as dt
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.errors import SourceFailed, did_you_mean
from practicus_assets.wording import enumerated, names_of


def since_on(
    name: str, schema: pa.Schema, columns: Sequence[str], updated_at: str, since: dt.datetime
) -> pa.Scalar:
    """Return a moment as a value of the column that holds when a row was changed.

    Args:
        name: the relation's name.
        schema: its columns.
        columns: those whose values are asked for.
        updated_at: the column that holds when a row was changed; one without a zone is in UTC.
        since: the moment.

    Raises:
        SourceFailed: for a column that is not there, or is no time and no date.

    """
    unknown = [column for column in (*columns, updated_at) if column not in schema.names]
    if unknown:
        raise SourceFailed(
            f"{name} has no {names_of('column', unknown)}.",
            did_you_mean(unknown[0], schema.names, f"It has {enumerated(schema.names)}."),
        )
    type_ = schema.field(updated_at).type
    if not (pa.types.is_timestamp(type_) or pa.types.is_date(type_)):
        raise SourceFailed(
            f"column {updated_at!r} of {name} is of type {type_}, which is no time.",
            "Declare it as timestamp or date.",
        )
    moment = since.astimezone(dt.UTC)
    if pa.types.is_date(type_):
        return pa.scalar(moment.date(), type_)
    return pa.scalar(moment if type_.tz else moment.replace(tzinfo=None), type_)


def late_values(
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    columns: Sequence[str],
    updated_at: str,
    since: pa.Scalar,
) -> pa.RecordBatchReader:
    """Return the distinct values of columns, without nulls, in rows that were changed since a moment."""
    names = list(columns)
    found: pa.Table = pa.schema([schema.field(name) for name in names]).empty_table()
    for batch in batches:
        late = batch.filter(pc.greater_equal(batch[updated_at], since)).select(names)
        rows = pa.Table.from_batches([late], found.schema).drop_null()
        found = pa.concat_tables([found, rows]).group_by(names).aggregate([]).select(names)
    return found.to_reader()
