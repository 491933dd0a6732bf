"""Samples: rows as people see them, in errors, checks, previews and diffs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from practicus_assets.errors import DataRefused

SAMPLE_ROWS = 5  # unless the lake says otherwise


def shown(rows: pa.RecordBatch | pa.Table) -> list[dict[str, Any]]:
    """Return rows for people: values that Python has no object for, such as the year 10000, as text."""
    columns = []
    for column in rows.columns:
        try:
            columns.append(column.to_pylist())
        except (OverflowError, ValueError):
            columns.append(column.cast(pa.string()).to_pylist())
    return [dict(zip(rows.schema.names, values, strict=True)) for values in zip(*columns, strict=True)]


@contextmanager
def sampling(sample_rows: int) -> Iterator[None]:
    """Take every value of a row out of an error that passes, where no rows may be shown.

    Its causes go as well: what pandas, pyarrow, or a rule raises may quote a value.
    """
    try:
        yield
    except DataRefused as error:
        if sample_rows:
            raise
        error.sample = ""
        raise error from None
