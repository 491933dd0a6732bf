"""Distinct rows: how often each occurs, whatever its columns are called."""

import pyarrow as pa


def positional(table: pa.Table) -> pa.Table:
    """Return a table with columns 0, 1, …, for pyarrow takes a name such as `.x` for a path."""
    return table.rename_columns([str(i) for i in range(table.num_columns)])


def counted(table: pa.Table) -> pa.Table:
    """Return each distinct row once, in the order of appearance, with its count as the last column."""
    plain = positional(table)
    counts = plain.group_by(plain.column_names, use_threads=False).aggregate([([], "count_all")])
    return counts.rename_columns([*table.column_names, "times"])
