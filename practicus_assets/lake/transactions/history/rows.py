"""Rows of a history: those that the table keeps and those that a run gave, each with its validity."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.errors import DataRefused
from practicus_assets.lake.partitions.values import split
from practicus_assets.lake.rows.chunks import BATCH_ROWS
from practicus_assets.lake.rows.distinct import positional
from practicus_assets.lake.rows.fingerprints.hashes import hash_rows
from practicus_assets.lake.rows.histories.declaration import VALID_COLUMNS, VALID_FROM, VALID_TO
from practicus_assets.lake.rows.histories.validity import Flags, flags, same_as_before, validity
from practicus_assets.lake.rows.histories.versions import Before, Versions
from practicus_assets.lake.rows.samples import shown
from practicus_assets.lake.transactions.attempt import Attempt
from practicus_assets.wording import readable_row

_SLICE_ROWS = 1 << 21  # that are held in memory at once, about


@dataclass
class HistoryRows:
    """All rows that a history has after a commit, computed from nothing but the rows that were ever given.

    A run of partitions gives all rows of these partitions: those that they had before and that are not
    given again are gone. A run of a table without partitions gives further rows; one of a key and time that
    the table has takes the place of the old one. Of lists, all rows of its time take the place of all old
    ones.

    Args:
        attempt: the attempt.
        schema: the table's columns after the commit.
        given: the rows that the run gave, without the columns that a history adds.

    Attributes:
        versions: what becomes of the versions of all keys, once all rows were read.

    """

    attempt: Attempt
    schema: pa.Schema
    given: Sequence[pa.Table]
    versions: Versions = field(default_factory=Versions)

    def __post_init__(self) -> None:
        """Find the columns by which rows are put in order and compared."""
        declaration = self.attempt.options.history
        assert declaration is not None, "the attempt is at a history"
        self._history = declaration
        self._bounds = self.attempt.scope.on(self.schema)
        # of two partitions that have a row of one key and time, the later one's counts
        self._place = [*declaration.keys, declaration.sequence_by, *self._bounds.columns]
        self._stored = [name for name in self.schema.names if name not in VALID_COLUMNS]
        self._compared = [n for n in self._stored if n not in {*self._place, *declaration.columns}]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Stream the rows, with the table's columns.

        Raises:
            DataRefused: if the table has two rows of one key and time.

        """
        began, count = self.attempt.began, sum(table.num_rows for table in self.given)
        if began is not None:
            count += sum(file.rows or 0 for file in began.files())
        self._lists = self._times_of_lists() if self._history.is_of_lists else None
        slices = 1 + count // _SLICE_ROWS
        for number in range(slices):
            yield from self._valid(self._slice(slices, number)).to_batches(max_chunksize=BATCH_ROWS)

    def _times_of_lists(self) -> pa.Array:
        """Return the times of the lists that the table has after the commit, in order."""
        time = self._history.sequence_by
        self._given_times = pc.unique(
            pa.chunked_array(
                [c for table in self.given for c in table[time].chunks], self.schema.field(time).type
            )
        )
        kept = [self._given_times]
        if self.attempt.began is not None:
            columns = list(dict.fromkeys([time, *self._bounds.columns]))
            kept += [
                pc.unique(batch.column(time).filter(pa.array(~self._replaced(batch))))
                for batch in self.attempt.old_rows(self.schema)(columns)
            ]
        every = pc.unique(pa.chunked_array(kept))
        return every.take(pc.sort_indices(every))

    def _slice(self, slices: int, number: int) -> "_Rows":
        """Return the old and the given rows of some keys, in order."""
        time = self.schema.field(VALID_TO).type
        given = (batch for table in self.given for batch in table.to_batches())
        nothing = pa.record_batch([pa.nulls(0, f.type) for f in self.schema], schema=self.schema)
        parts = [_Rows.given_now(nothing.select(self._stored), time)]
        parts += [_Rows.given_now(batch, time) for batch in self._of(given, slices, number)]
        if self.attempt.began is not None:
            old = self.attempt.old_rows(self.schema)(None)
            parts += [self._old(batch) for batch in self._of(old, slices, number)]
        return _Rows.joined(parts).ordered(self._place)

    def _of(self, batches: Iterable[pa.RecordBatch], slices: int, number: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the keys of one slice."""
        for batch in batches:
            if slices == 1:
                yield batch
            else:
                hashes = hash_rows(batch, self._history.keys)
                yield batch.filter(pa.array(hashes % np.uint64(slices) == number))

    def _old(self, batch: pa.RecordBatch) -> "_Rows":
        """Return old rows."""
        start, end = batch.column(VALID_FROM), batch.column(VALID_TO)
        was = pc.and_(start.is_valid(), pc.fill_null(pc.not_equal(start, end), True))  # noqa: FBT003 a fill value
        rows = pa.table(batch.select(self._stored))
        return _Rows(
            rows,
            np.zeros(batch.num_rows, dtype=bool),
            self._replaced(batch),
            flags(was),
            pa.chunked_array([end]),
        )

    def _replaced(self, batch: pa.RecordBatch) -> Flags:
        """Return which old rows are replaced, whatever the run gave: those of its partitions, or lists."""
        if self._history.is_of_lists and not self._bounds.columns:
            return flags(pc.is_in(batch.column(self._history.sequence_by), value_set=self._given_times))
        replaced = np.zeros(batch.num_rows, dtype=bool)
        for values, positions in split(batch, self._bounds.columns) if self._bounds.columns else ():
            named = dict(zip(self._bounds.columns, values, strict=True))
            replaced[positions] = self._bounds.part_of(named) is not None
        return replaced

    def _valid(self, rows: "_Rows") -> pa.Table:
        """Return rows in order as the table has them after the commit, and count what becomes of them."""
        history, every = self._history, rows.table
        same_place = same_as_before(every, self._place)
        self._refuse_two_in_one_place(every, same_place & ~rows.given)
        goes = rows.replaced.copy()
        goes[:-1] |= same_place[1:]  # another row takes its place
        heirs = np.flatnonzero(same_place)
        before = Before(rows.was, rows.old_to, same_as_before(every, self._stored) | ~rows.given)
        lost = goes.copy()
        lost[heirs - 1] = False
        self.versions += Versions(withdrawn=int((lost & rows.was).sum()))
        stays = np.flatnonzero(~goes)
        table = every.take(pa.array(stays))
        ends = self._ends(table)
        valid = validity(table, history.keys, history.sequence_by, self._compared, ends, self._lists)
        self.versions += before.inherited(heirs).taken(stays).compared(valid)
        added = (table[history.sequence_by], pa.chunked_array([valid.valid_to]))
        columns = {**{n: table[n] for n in self._stored}, **dict(zip(VALID_COLUMNS, added, strict=True))}
        return pa.table([columns[name] for name in self.schema.names], schema=self.schema)

    def _ends(self, rows: pa.Table) -> Flags:
        """Return the rows by which a key ends."""
        column = self._history.apply_as_deletes
        if column is None:
            return np.zeros(rows.num_rows, dtype=bool)
        return flags(pc.fill_null(rows[column], False))  # noqa: FBT003 old rows may not say it

    def _refuse_two_in_one_place(self, rows: pa.Table, second: Flags) -> None:
        if second.any():
            twice = rows.select(self._place).take(pa.array(np.flatnonzero(second)[:1]))
            raise DataRefused(
                "the table has more than one row of one key and time, which no history has.",
                'Replace the table once, in a version of this asset that says mode="replace".',
                f"E.g. {readable_row(shown(twice)[0])}.",
            )


@dataclass(frozen=True)
class _Rows:
    """Rows, and what is known of each.

    Attributes:
        table: the rows, without the columns that a history adds.
        given: which of them the run gave.
        replaced: which old ones are of the run's partitions.
        was: which old ones were valid for some time.
        old_to: until when; null for rows that the run gave.

    """

    table: pa.Table
    given: Flags
    replaced: Flags
    was: Flags
    old_to: pa.ChunkedArray

    @classmethod
    def given_now(cls, batch: pa.RecordBatch, time: pa.DataType) -> "_Rows":
        """Return rows that the run gave; times are of a type."""
        no = np.zeros(batch.num_rows, dtype=bool)
        return cls(pa.table(batch), ~no, no, no, pa.chunked_array([pa.nulls(batch.num_rows, time)]))

    @classmethod
    def joined(cls, parts: Sequence["_Rows"]) -> "_Rows":
        """Return rows of several parts; at least one."""
        return cls(
            pa.concat_tables([part.table for part in parts]),
            np.concatenate([part.given for part in parts]),
            np.concatenate([part.replaced for part in parts]),
            np.concatenate([part.was for part in parts]),
            pa.chunked_array([chunk for part in parts for chunk in part.old_to.chunks]),
        )

    def ordered(self, place: Sequence[str]) -> "_Rows":
        """Return the rows in the order of some columns, old ones before those that the run gave."""
        columns = positional(self.table.select(place))
        columns = columns.append_column("given", pa.array(self.given.astype(np.int8)))
        order = pc.sort_indices(columns, sort_keys=[(name, "ascending") for name in columns.column_names])
        at = order.to_numpy()
        return _Rows(
            self.table.take(order), self.given[at], self.replaced[at], self.was[at], self.old_to.take(order)
        )
