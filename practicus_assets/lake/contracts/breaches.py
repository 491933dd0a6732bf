"""Breaches: how many rows of each partition break a rule, and some of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from practicus_assets.lake.partitions.bounds import Bounds
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.partitions.values import split
from practicus_assets.lake.rows.samples import shown

_SAMPLED_PARTITIONS = 200  # of one rule; further ones are only counted


@dataclass
class Breach:
    """The rows of one partition that break a rule.

    Attributes:
        rows: how many rows break it (cases for a table rule).
        sample: the first few of them.

    """

    rows: int = 0
    sample: list[dict[str, Any]] = field(default_factory=list)


Breaches = dict[str, Breach]


def add(total: Breaches, breaches: Mapping[str, Breach], sample_rows: int) -> None:
    """Add breaches of further rows to those of earlier ones, with samples of so many rows at most.

    As within one piece, only the first partitions get samples.
    """
    for key, breach in breaches.items():
        mine = total.setdefault(key, Breach())
        mine.rows += breach.rows
        if mine.sample or len(total) <= _SAMPLED_PARTITIONS:
            mine.sample += breach.sample[: max(0, sample_rows - len(mine.sample))]


@dataclass(frozen=True)
class AuditedPartitions:
    """The partitions that an audit tells apart.

    Args:
        scope: the partitions.
        bounds: the scope on the columns of the audited rows.

    """

    scope: Scope
    bounds: Bounds

    @classmethod
    def of(cls, scope: Scope, schema: pa.Schema) -> "AuditedPartitions | None":
        """Return the partitions of a scope; None for a single one, which has whatever breaks a rule."""
        return cls(scope, scope.on(schema)) if len(scope.keys) > 1 else None

    def breaches(self, rows: pa.Table | pa.RecordBatch, sample_rows: int) -> Breaches | None:
        """Return the breaches of rows that break a rule, by partition key.

        Args:
            rows: the rows.
            sample_rows: the number of rows in the sample of a partition at most.

        Returns:
            None if the rows do not say which partition they are of.

        """
        values = self._values(rows)
        if values is None:
            return None
        breaches: Breaches = {}
        for part, positions in values:
            breach = breaches.setdefault(self.scope.keys[part], Breach())
            breach.rows += len(positions)
            room = sample_rows - len(breach.sample) if len(breaches) <= _SAMPLED_PARTITIONS else 0
            if room > 0:
                breach.sample += shown(rows.take(pa.array(positions[:room])))
        return breaches

    def _values(self, rows: pa.Table | pa.RecordBatch) -> list[tuple[int, Any]] | None:
        columns, types = self.bounds.columns, self.bounds.types
        if not set(columns) <= set(rows.schema.names):
            return None
        try:
            typed = [_flat(rows.column(name)).cast(type_) for name, type_ in zip(columns, types, strict=True)]
        except pa.ArrowException:  # cases of a rule, whose columns are called so by chance
            return None
        parts = []
        for values, positions in split(pa.record_batch(typed, names=list(columns)), columns):
            part = self.bounds.part_of(dict(zip(columns, values, strict=True)))
            if part is not None:
                parts.append((part, positions))
        return parts


def _flat(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
