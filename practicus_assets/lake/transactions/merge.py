"""Merges: an upsert as the rows that replace a scope, its old rows without a successor and the new ones."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.errors import DataRefused, DeclarationError, SchemaMismatch
from practicus_assets.lake.rows.distinct import counted, positional
from practicus_assets.lake.rows.samples import shown

_CHUNK_ROWS = 1 << 20


class Merge:
    """Passes new rows on and remembers their keys, then streams the old rows that they do not replace.

    Args:
        keys: the columns that tell which old row a new one replaces.

    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys or isinstance(keys, str):
            raise DeclarationError('mode="merge" needs merge_keys.', "Name the columns that identify a row.")
        self._columns = list(keys)
        self._seen: list[pa.Table] = []

    def observe(self, batch: pa.RecordBatch) -> None:
        """Remember the keys of new rows."""
        missing = [name for name in self._columns if name not in batch.schema.names]
        if missing:
            raise SchemaMismatch(f"the output lacks the merge keys {missing}.", "Return them.")
        keys = pa.table(batch.select(self._columns))
        odd = [
            f"{f.name} ({f.type})"
            for f in keys.schema
            if pa.types.is_nested(f.type) or pa.types.is_floating(f.type)
        ]
        if odd:
            raise SchemaMismatch(f"merge keys {odd} cannot be compared exactly.", "Merge by other columns.")
        empty = [name for name in self._columns if keys[name].null_count]
        if empty:
            raise DataRefused(
                f"merge keys {empty} have nulls, which match no row.", "Fill or drop these rows."
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
                f"{twice.num_rows:,} merge keys appear more than once.",
                "Keep one row per key.",
                f"E.g. {shown(twice.slice(0, 3))}.",
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
