"""Rows of a scope, chosen from batches that have others, too."""

from collections.abc import Iterator
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.lake.partitions.bounds import Bounds, Range


class RowsIn:
    """Chooses the rows of a scope.

    Args:
        bounds: the scope, on columns of the batches.

    """

    def __init__(self, bounds: Bounds) -> None:
        self._columns = bounds.columns
        self._types = bounds.types
        merged = [part for piece in bounds.divided(len(bounds.parts)) for part in piece.parts]
        self._by_rest: dict[tuple[Any, ...], list[Any]] = {}
        for first, *rest in merged:
            self._by_rest.setdefault(tuple(rest), []).append(first)

    def of(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows of a batch that are in the scope, in their order; rows with a null in none."""
        masks = [
            reduce(
                pc.and_,
                [
                    self._any_of(batch, 0, firsts),
                    *(self._any_of(batch, i, [condition]) for i, condition in enumerate(rest, 1)),
                ],
            )
            for rest, firsts in self._by_rest.items()
        ]
        return batch.filter(reduce(pc.or_kleene, masks))

    def _any_of(self, batch: pa.RecordBatch, number: int, conditions: list[Any]) -> pa.Array:
        """Return for each row whether a column satisfies any of these conditions."""
        column = batch.column(self._columns[number])
        return reduce(pc.or_, _masks(column, self._types[number], conditions))


def _masks(column: pa.Array, type_: pa.DataType, conditions: list[Any]) -> Iterator[pa.Array]:
    equal = [condition for condition in conditions if not isinstance(condition, Range)]
    if equal:
        yield pc.is_in(column, pa.array(equal, type_))
    for window in conditions:
        if isinstance(window, Range):
            begun = pc.greater_equal(column, pa.scalar(window.low, type_))
            yield pc.and_(begun, pc.less(column, pa.scalar(window.high, type_)))
