"""Statistics: numbers about columns of what a run committed, which Dagster plots from run to run."""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.assets.report import names
from practicus_assets.errors import DeclarationError, did_you_mean
from practicus_assets.wording import number_of, readable

if TYPE_CHECKING:
    from practicus_assets.lake.delta.snapshot import Snapshot

_MOST = 20  # columns: of each, up to five entries are kept in Dagster's event log for each materialization
_PARTITIONS = 1000  # of one run, as for previews
_OF_NUMBERS = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_boolean,
)


@dataclass(frozen=True)
class Statistics:
    """The columns of an asset of which statistics are shown.

    Attributes:
        columns: their names; True for all columns of numbers, of which a wide table's first are shown.

    """

    columns: tuple[str, ...] | bool = False

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> "Statistics":
        """Return what an asset's definition metadata ask for.

        Raises:
            DeclarationError: if that is neither a flag nor a list of names, or the list is too long.

        """
        said = metadata.get(names.STATISTICS, False)
        said = getattr(said, "value", said)  # as Dagster wraps it
        if isinstance(said, bool):
            return cls(said)
        is_list = isinstance(said, Sequence) and not isinstance(said, str)
        if not is_list or not said or not all(isinstance(name, str) for name in said):
            raise DeclarationError(
                f"{names.STATISTICS} is {readable(said)}.",
                'Name columns, e.g. ["amount"], or write True for those of numbers.',
            )
        columns = tuple(dict.fromkeys(said))
        if len(columns) > _MOST:
            raise DeclarationError(
                f"{names.STATISTICS} names {number_of(len(columns), 'column')}.",
                f"Name at most {_MOST}: Dagster keeps each number of each materialization.",
            )
        return cls(columns)

    def of(self, snapshot: "Snapshot") -> dict[str, float]:
        """Return the statistics of a snapshot as metadata; the columns are read for them.

        Of each column they are the number of nulls, and of one of numbers the mean, the standard deviation of
        the sample, the minimum and the maximum; of one of booleans the mean, which is the share of true.
        NaN and infinite values do not count. Where no value of any row is shown, the nulls alone are counted.
        """
        columns = self._present(snapshot)
        if not columns:
            return {}
        totals = {name: _Total() for name in columns}
        for batch in snapshot.scan(columns):
            for total, values in zip(totals.values(), batch.columns, strict=True):
                total.add(values)
        numbers: dict[str, float] = {}
        for name, total in totals.items():
            numbers[f"{names.STATISTICS}/{name}/nulls"] = total.nulls
            if snapshot.sample_rows:
                numbers |= {f"{names.STATISTICS}/{name}/{what}": value for what, value in total.of_values()}
        return numbers

    def by_partition(self, snapshot: "Snapshot") -> dict[str, dict[str, float]]:
        """Return the statistics of each partition of a snapshot, by key; of very many, of the first ones."""
        if not self._present(snapshot):
            return {}
        return {key: self.of(part) for key, part in islice(snapshot.by_partition().items(), _PARTITIONS)}

    def warn_of_missing(self, snapshot: "Snapshot", log: logging.Logger) -> None:
        """Say which columns that were asked for have no statistics."""
        if self.columns is True:
            count = len(_of_numbers(snapshot))
            if count > _MOST:
                log.warning("%s: of the %s columns of numbers, the first %s", names.STATISTICS, count, _MOST)
            return
        for name in self.columns or ():
            if name not in snapshot.schema.names:
                advice = did_you_mean(name, snapshot.schema.names, f"It has {snapshot.schema.names[:_MOST]}.")
                log.warning("%s: the table has no column %r. %s", names.STATISTICS, name, advice)

    def _present(self, snapshot: "Snapshot") -> list[str]:
        if self.columns is True:
            return _of_numbers(snapshot)[:_MOST]
        return [name for name in self.columns or () if name in snapshot.schema.names]


NO_STATISTICS = Statistics()


@dataclass
class _Total:
    """What is known of a column after some of its batches: the variance adds up by Chan's method."""

    nulls: int = 0
    count: int = 0
    mean: float = 0.0
    squares: float = 0.0  # of the distances from the mean
    ends: tuple[float, float] | None = None  # none of booleans

    def add(self, values: pa.Array) -> None:
        self.nulls += values.null_count
        if not _is_number(values.type):
            return
        floats = values.cast(pa.float64(), safe=False)
        finite = pc.is_finite(floats)
        floats, values = floats.filter(finite), values.filter(finite)  # nulls go, too
        count = len(floats)
        if not count:
            return
        mean = pc.mean(floats).as_py()
        apart = mean - self.mean if self.count else 0.0
        self.squares += pc.variance(floats).as_py() * count + apart**2 * self.count * count / (
            self.count + count
        )
        self.count += count
        self.mean = self.mean + apart * count / self.count if self.count > count else mean
        if not pa.types.is_boolean(values.type):
            low, high = (_plain(end) for end in pc.min_max(values).as_py().values())
            before = self.ends or (low, high)
            self.ends = min(before[0], low), max(before[1], high)

    def of_values(self) -> Iterator[tuple[str, float]]:
        """Yield what depends on values, by name; nothing where there are none."""
        if not self.count:
            return
        if math.isfinite(self.mean):
            yield "mean", self.mean
        if self.ends is None:
            return
        if self.count > 1 and math.isfinite(self.squares):
            yield "std", math.sqrt(self.squares / (self.count - 1))
        yield "min", self.ends[0]
        yield "max", self.ends[1]


def _plain(number: Any) -> float:
    """Return an integer as it is, and any other number, such as a decimal, as a float."""
    return number if isinstance(number, int) else float(number)


def _is_number(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in _OF_NUMBERS)


def _of_numbers(snapshot: "Snapshot") -> list[str]:
    """Return the columns of numbers, without those that hold the partition's key."""
    keys = snapshot.scope.columns
    return [f.name for f in snapshot.schema if _is_number(f.type) and f.name not in keys]
