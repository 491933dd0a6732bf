"""Merges: an upsert as the rows that replace a scope, its old rows without a successor and the new ones."""

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.errors import DataRefused, SchemaMismatch, did_you_mean
from practicus_assets.lake.contracts.unique import Rescan
from practicus_assets.lake.rows.distinct import counted, positional
from practicus_assets.lake.rows.samples import shown
from practicus_assets.lake.transactions.attempt import Attempt
from practicus_assets.lake.transactions.effect import Matched
from practicus_assets.lake.transactions.options import MergeKind
from practicus_assets.lake.transactions.stage.staged import Staged
from practicus_assets.wording import names_of, number_of, readable_row

_CHUNK_ROWS = 1 << 20

Stage = Callable[[Iterator[pa.RecordBatch], pa.Schema, str], Staged]


class Merge:
    """Remembers the keys of new rows, then streams the old rows that they do not replace.

    Args:
        columns: the columns that tell which old row a new one replaces.
        seen: the keys of new rows that were seen before, elsewhere.
        kind: which new rows are taken: "insert" takes those that match no old row, "update" those that match
            one, "upsert" all.
        old: what streams columns of the old rows; None if there are none.

    """

    def __init__(
        self,
        columns: Sequence[str],
        seen: Sequence[pa.Table] = (),
        kind: MergeKind = "upsert",
        old: Rescan | None = None,
    ) -> None:
        self._columns = list(columns)
        self._seen = list(seen)
        self._kind = kind
        self._old = old
        self._gone: list[pa.Table] = []  # the keys of old rows that new ones take the place of

    @classmethod
    def of(cls, attempt: Attempt, schema: pa.Schema) -> "Merge":
        """Return the merge of an attempt, before any row is seen.

        Args:
            attempt: the attempt.
            schema: the table's columns after the commit.

        """
        options = attempt.options
        old = attempt.old_rows(schema) if attempt.began is not None else None
        return cls(options.merge_keys, (), options.merge_kind, old)

    @property
    def seen(self) -> tuple[pa.Table, ...]:
        """The keys of the new rows that were seen."""
        return tuple(self._seen)

    def observed(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Pass on the new rows that are taken, and remember their keys."""
        for batch in self._taken(map(self._comparable, batches)):
            self._seen.append(pa.table(batch.select(self._columns)))
            yield batch

    def _taken(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        if self._kind == "upsert" or (self._kind == "insert" and self._old is None):
            return batches
        if self._old is None:
            return (batch.slice(0, 0) for batch in batches)
        keys = self._old(self._columns).read_all()
        return self._joined(batches, keys, "left anti" if self._kind == "insert" else "left semi")

    def _comparable(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return new rows; raise if their keys cannot be compared."""
        missing = [name for name in self._columns if name not in batch.schema.names]
        if missing:
            raise SchemaMismatch(
                f"the output lacks the {names_of('merge key', missing)}; it has {batch.schema.names}.",
                did_you_mean(missing[0], batch.schema.names, "Return what is missing."),
            )
        refuse_incomparable(batch, self._columns, "merge key")
        return batch

    def refuse_duplicates(self) -> None:
        """Raise DataRefused if two new rows have the same keys: either could be the successor."""
        refuse_doubled(self._seen, lambda count: f"for {number_of(count, 'merge key')}", "key")

    def kept(self, old: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Stream the old rows whose keys no new row has; both have the same columns and types."""
        if not self._seen:
            yield from old
            return
        yield from self._joined(
            old, pa.concat_tables(self._seen).combine_chunks(), "left anti", self._gone.append
        )

    def matched(self, rows: int) -> Matched:
        """Return what the keys matched, once all old rows have been streamed.

        Args:
            rows: the number of new rows that were taken; no two of them have the same keys.

        """
        old = sum(keys.num_rows for keys in self._gone)
        return Matched(rows, counted(pa.concat_tables(self._gone)).num_rows if old else 0, old)

    def _joined(
        self,
        batches: Iterable[pa.RecordBatch],
        keys: pa.Table,
        join: str,
        others: Callable[[pa.Table], object] = len,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows that pyarrow's join with some keys leaves, of many batches at once.

        Args:
            batches: the rows.
            keys: the keys.
            join: the kind of the join.
            others: the function that gets the keys of the rows that are not left.

        """
        waiting: list[pa.RecordBatch] = []
        for batch in batches:
            waiting.append(batch)
            if sum(b.num_rows for b in waiting) >= _CHUNK_ROWS:
                yield from self._left(waiting, keys, join, others)
                waiting = []
        if waiting:
            yield from self._left(waiting, keys, join, others)

    def _left(
        self,
        batches: list[pa.RecordBatch],
        keys: pa.Table,
        join: str,
        others: Callable[[pa.Table], object],
    ) -> Iterator[pa.RecordBatch]:
        rows = positional(pa.Table.from_batches(batches).select(self._columns))
        numbered = rows.append_column("row", pa.array(np.arange(rows.num_rows)))
        left = np.zeros(rows.num_rows, dtype=bool)
        joined = numbered.join(positional(keys), rows.column_names, join_type=join)
        left[joined["row"].to_numpy()] = True
        others(rows.filter(pa.array(~left)))
        first = 0
        for batch in batches:
            yield batch.filter(pa.array(left[first : first + batch.num_rows]))
            first += batch.num_rows


def with_kept(attempt: Attempt, new: Staged, stage: Stage) -> tuple[Staged, Matched | None, float]:
    """Return the rows of a scope after a merge, what its keys matched, and how long rules took over old rows.

    What the keys matched is None where the old rows that they do not match go as well, for none is read then.

    Args:
        attempt: the attempt.
        new: the new rows.
        stage: writes old rows that stay to staged files while the rules run, given their columns and a name.

    Raises:
        DataRefused: if two new rows have the same keys.

    """
    merge = Merge(attempt.options.merge_keys, new.merge_keys)
    merge.refuse_duplicates()
    if attempt.began is None:
        return new, merge.matched(new.rows), 0.0
    if attempt.options.delete_unmatched:
        return new, None, 0.0
    old = attempt.old_rows(new.schema)(None)
    kept = stage(merge.kept(old), new.schema, f"kept {uuid.uuid4()}")
    return Staged.merged([new, kept]), merge.matched(new.rows), kept.durations.audit


def refuse_incomparable(batch: pa.RecordBatch, columns: Sequence[str], noun: str) -> None:
    """Raise if the keys of new rows cannot be compared with those of others.

    Args:
        batch: the rows.
        columns: the columns of their keys.
        noun: what such a column is called.

    Raises:
        SchemaMismatch: for columns whose values have no exact equality.
        DataRefused: for nulls.

    """
    keys = pa.table(batch.select(columns))
    odd = [
        f"{f.name} ({f.type})"
        for f in keys.schema
        if pa.types.is_nested(f.type) or pa.types.is_floating(f.type)
    ]
    if odd:
        raise SchemaMismatch(
            f"the {names_of(noun, odd)} cannot be compared exactly.",
            f"{'Merge' if noun == 'merge key' else 'Keep the history'} by other columns.",
        )
    empty = [name for name in columns if keys[name].null_count]
    if empty:
        raise DataRefused(f"nulls in the {names_of(noun, empty)} match no row.", "Fill or drop these rows.")


def refuse_doubled(keys: Sequence[pa.Table], cases: Callable[[int], str], one: str) -> None:
    """Raise DataRefused if two new rows have the same keys.

    Args:
        keys: the keys of all new rows.
        cases: returns in words what has more than one row, given how often.
        one: what may have one row.

    """
    if not keys:
        return
    counts = counted(pa.concat_tables(keys))
    twice = counts.filter(pc.greater(counts.columns[-1], 1)).select(keys[0].column_names)
    if twice.num_rows:
        raise DataRefused(
            f"the output has more than one row {cases(twice.num_rows)}.",
            f"Keep one row per {one}.",
            f"E.g. {'; '.join(map(readable_row, shown(twice.slice(0, 3))))}.",
        )
