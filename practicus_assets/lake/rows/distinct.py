"""Distinct rows and values: how often each occurs, whatever its columns are called."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

_COUNTED_ROWS = 1 << 18  # that wait to be added up
_SAMPLED_ROWS = 1 << 13
_REPETITIVE = 2  # rows per distinct value, from which on a dictionary makes a column smaller


def positional(table: pa.Table) -> pa.Table:
    """Return a table with columns 0, 1, …, for pyarrow takes a name such as `.x` for a path."""
    return table.rename_columns([str(i) for i in range(table.num_columns)])


def counted(table: pa.Table) -> pa.Table:
    """Return each distinct row once, in the order of appearance, with its count as the last column."""
    plain = positional(table)
    counts = plain.group_by(plain.column_names, use_threads=False).aggregate([([], "count_all")])
    return counts.rename_columns([*table.column_names, "times"])


class Counts:
    """Counts how often each distinct row occurs, of rows that come in tables; each is held once."""

    def __init__(self) -> None:
        self._counted: pa.Table | None = None
        self._waiting: list[pa.Table] = []

    def add(self, rows: pa.Table) -> None:
        """Count further rows; all have the same columns."""
        self._waiting.append(counted(rows))
        known = self._counted.num_rows if self._counted is not None else 0
        if sum(table.num_rows for table in self._waiting) > max(known, _COUNTED_ROWS):
            self.result()

    def result(self) -> pa.Table:
        """Return each distinct row once, in the order of appearance, with its count as the last column.

        Raises:
            ValueError: if no table was added, which would say the columns.

        """
        parts = ([self._counted] if self._counted is not None else []) + self._waiting
        if not parts:
            raise ValueError("no rows were counted")
        plain = positional(pa.concat_tables(parts))
        *names, times = plain.column_names
        counts = plain.group_by(names, use_threads=False).aggregate([(times, "sum")])
        self._counted, self._waiting = counts.rename_columns(parts[0].column_names), []
        return self._counted


def repetitive_columns(rows: pa.Table) -> list[str]:
    """Return the columns whose first values repeat, and all those inside of nested ones, as Parquet's paths.

    A dictionary of values that do not repeat takes twice the time of writing them, and more space.
    """
    sample = rows.slice(0, _SAMPLED_ROWS)
    return [
        path
        for field, column in zip(sample.schema, sample.columns, strict=True)
        if pa.types.is_nested(field.type) or pc.count_distinct(column).as_py() * _REPETITIVE <= len(column)
        for path in _leaves(field.name, field.type)
    ]


def _leaves(path: str, type_: pa.DataType) -> Iterator[str]:
    """Yield the paths of the columns as which Parquet stores a column ("Nested Types" of its format)."""
    if pa.types.is_struct(type_):
        for field in type_:
            yield from _leaves(f"{path}.{field.name}", field.type)
    elif pa.types.is_map(type_):
        yield from _leaves(f"{path}.key_value.key", type_.key_type)
        yield from _leaves(f"{path}.key_value.value", type_.item_type)
    elif pa.types.is_list(type_):
        yield from _leaves(f"{path}.list.element", type_.value_type)
    else:
        yield path
