"""Bad rows: which rows of a batch break a rule on rows."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.errors import DataRefused
from practicus_assets.lake.contracts.check import Check, blaming, rows_parameter
from practicus_assets.lake.rows.frames import read_as
from practicus_assets.wording import number_of


def bad_rows(check: Check, batch: pa.RecordBatch) -> pa.BooleanArray:
    """Return which rows break a rule; nulls break only not_null."""
    if check.kind == "row":
        return _run_row_rule(check, batch)
    column = batch.column(check.columns[0])
    if check.kind == "not_null":
        return column.is_null()
    if check.kind in {"minimum", "maximum", "range"}:
        bad = _outside(column, *check.argument)
    elif check.kind == "allowed":
        bad = pc.and_(pc.invert(pc.is_in(column, pa.array(check.argument, column.type))), column.is_valid())
    else:
        bad = pc.invert(pc.match_substring_regex(column, rf"\A(?:{check.argument})\z"))
    return pc.fill_null(bad, False)  # noqa: FBT003 a fill value


def _outside(column: pa.Array, low: Any, high: Any) -> pa.BooleanArray:
    """Return which values lie outside inclusive bounds; a NaN lies outside of any."""
    bad = pa.repeat(pa.scalar(value=False), len(column))
    if low is not None:
        bad = pc.or_(bad, pc.less(column, pa.scalar(low, column.type)))
    if high is not None:
        bad = pc.or_(bad, pc.greater(column, pa.scalar(high, column.type)))
    return pc.or_(bad, pc.is_nan(column)) if pa.types.is_floating(column.type) else bad


def _run_row_rule(check: Check, batch: pa.RecordBatch) -> pa.BooleanArray:
    annotation = rows_parameter(check.argument) or pa.Table
    rows = read_as(pa.Table.from_batches([batch]).to_reader(), annotation)
    with blaming(check):
        answer = check.argument(rows)
    if isinstance(answer, pa.ChunkedArray):
        answer = answer.combine_chunks()
    if not isinstance(answer, pa.Array):
        answer = _as_array(answer)
    if not pa.types.is_boolean(answer.type) or len(answer) != batch.num_rows:
        raise DataRefused(
            f"row rule {check.name!r} returned {number_of(len(answer), 'value')} of type {answer.type} "
            f"for {number_of(batch.num_rows, 'row')}.",
            "Return one boolean per row.",
        )
    return pc.invert(pc.fill_null(answer, True))  # noqa: FBT003 a fill value


def _as_array(answer: Any) -> pa.Array:
    """Return what a rule answered as Arrow, whatever it is."""
    if hasattr(answer, "__arrow_array__"):
        return pa.array(answer, from_pandas=True)
    try:
        return pa.array(np.atleast_1d(np.asarray(answer)), from_pandas=True)
    except pa.ArrowException:
        return pa.nulls(np.size(answer))
