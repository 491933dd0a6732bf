"""Merges: an upsert as the rows that replace a scope, its old rows without a successor and the new ones."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.errors import DataRefused, SchemaMismatch
from practicus_assets.lake.rows.distinct import counted, positional
from practicus_assets.lake.rows.samples import shown
from practicus_assets.wording import names_of, number_of, readable_row

_CHUNK_ROWS = 1 << 20


class Merge:
    """Remembers the keys of new rows, then streams the old rows that they do not replace.

    Args:
        columns: the columns that tell which old row a new one replaces.
        seen: the keys of new rows that were seen before, elsewhere.

    """

    def __init__(self, columns: Sequence[str], seen: Sequence[pa.Table] = ()) -> None:
        self._columns = list(columns)
        self._seen = list(seen)

    @property
    def seen(self) -> tuple[pa.Table, ...]:
        """The keys of the new rows that were seen."""
        return tuple(self._seen)

    def observed(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Pass new rows on, and remember their keys."""
        for batch in batches:
            self._observe(batch)
            yield batch

    def _observe(self, batch: pa.RecordBatch) -> None:
        missing = [name for name in self._columns if name not in batch.schema.names]
        if missing:
            raise SchemaMismatch(f"the output lacks the {names_of('merge key', missing)}.", "Return them.")
        keys = pa.table(batch.select(self._columns))
        odd = [
            f"{f.name} ({f.type})"
            for f in keys.schema
            if pa.types.is_nested(f.type) or pa.types.is_floating(f.type)
        ]
        if odd:
            raise SchemaMismatch(
                f"the {names_of('merge key', odd)} cannot be compared exactly.", "Merge by other columns."
            )
        empty = [name for name in self._columns if keys[name].null_count]
        if empty:
            raise DataRefused(
                f"nulls in the {names_of('merge key', empty)} match no row.", "Fill or drop these rows."
            )
        self._seen.append(keys)

    def refuse_duplicates(self) -> None:
        """Raise DataRefused if two new rows have the same keys: either could be the successor."""
        if not self._seen:
            return
        counts = counted(pa.concat_tables(self._seen))
        twice = counts.filter(pc.greater(counts.columns[-1], 1))
        if twice.num_rows:
            raise DataRefused(
                f"the output has more than one row for {number_of(twice.num_rows, 'merge key')}.",
                "Keep one row per key.",
                f"E.g. {'; '.join(map(readable_row, shown(twice.slice(0, 3).select(self._columns))))}.",
            )

    def kept(self, old: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Stream the old rows whose keys no new row has; both have the same columns and types."""
        if not self._seen:
            yield from old
            return
        keys = pa.concat_tables(self._seen).combine_chunks()
        waiting: list[pa.RecordBatch] = []
        for batch in old:
            waiting.append(batch)
            if sum(b.num_rows for b in waiting) >= _CHUNK_ROWS:
                yield from self._without(waiting, keys)
                waiting = []
        if waiting:
            yield from self._without(waiting, keys)

    def _without(self, batches: list[pa.RecordBatch], keys: pa.Table) -> Iterator[pa.RecordBatch]:
        rows = positional(pa.Table.from_batches(batches).select(self._columns))
        numbered = rows.append_column("row", pa.array(np.arange(rows.num_rows)))
        left = np.zeros(rows.num_rows, dtype=bool)
        unmatched = numbered.join(positional(keys), rows.column_names, join_type="left anti")
        left[unmatched["row"].to_numpy()] = True
        first = 0
        for batch in batches:
            yield batch.filter(pa.array(left[first : first + batch.num_rows]))
            first += batch.num_rows
