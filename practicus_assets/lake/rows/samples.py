"""Samples: rows as people see them, in errors, checks and previews."""

from typing import Any

import pyarrow as pa


def shown(rows: pa.RecordBatch | pa.Table) -> list[dict[str, Any]]:
    """Return rows for people: values that Python has no object for, such as the year 10000, as text."""
    columns = []
    for column in rows.columns:
        try:
            columns.append(column.to_pylist())
        except (OverflowError, ValueError):
            columns.append(column.cast(pa.string()).to_pylist())
    return [dict(zip(rows.schema.names, values, strict=True)) for values in zip(*columns, strict=True)]
