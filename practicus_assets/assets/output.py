"""Output: the rows that an author's function returned or yielded, and what it says of them to Dagster."""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from practicus_assets.errors import DataRefused

_NOTHING = object()
_NO_VALUE: Any = dg.MaterializeResult().value  # how Dagster says that there is none


@dataclass(frozen=True)
class Output:
    """What a function returned.

    Attributes:
        rows: a table or a stream, as `record_batches` takes it.
        metadata: entries that the author adds to those of the materialization.
        tags: tags that the author adds to the materialization.
        rest: the function's generator, if it yielded the rows as one `dg.Output` or `dg.MaterializeResult`.

    """

    rows: Any
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    rest: Iterator[Any] | None = None

    def finish(self) -> None:
        """Run the function to its end, once the rows are committed.

        Raises:
            DataRefused: if it yields anything more.

        """
        for event in self.rest or ():
            raise DataRefused(
                f"the function yielded {type(event).__qualname__} after its rows, which are committed.",
                "Yield the rows once.",
            )


def output_of(returned: Any, *, required: bool) -> Output | None:
    """Return what a function returned; None if there is nothing to commit.

    Args:
        returned: what the function returned: rows, rows inside a `dg.Output` or a `dg.MaterializeResult`,
            or a generator of record batches or of one of these two.
        required: whether each run must materialize the asset, as `output_required` says. If not, a function
            that yields nothing, or returns None, leaves the table as it is.

    Raises:
        DataRefused: if the function says what only the transaction can know.

    """
    if returned is None and not required:
        return None
    if not isinstance(returned, Generator):
        return _unwrapped(returned, None)
    first = next(returned, _NOTHING)
    if first is _NOTHING:
        return Output(returned) if required else None
    if isinstance(first, dg.Output | dg.MaterializeResult):
        return _unwrapped(first, returned)
    return Output(_continued(first, returned))


def _continued(first: Any, rest: Generator[Any, None, None]) -> Iterator[Any]:
    yield first
    yield from rest


def _unwrapped(value: Any, rest: Iterator[Any] | None) -> Output:
    if not isinstance(value, dg.Output | dg.MaterializeResult):
        return Output(value)
    kind = type(value).__qualname__
    if value.value is _NO_VALUE:
        raise DataRefused(f"the function returned a {kind} without rows.", "Give it the table as value.")
    if value.data_version is not None:
        raise DataRefused(f"the {kind} names a data version.", "Leave it out: it is computed from the rows.")
    if isinstance(value, dg.MaterializeResult) and value.check_results:
        raise DataRefused(f"the {kind} has check results.", "Declare rules in the contract.")
    return Output(value.value, value.metadata or {}, value.tags or {}, rest)
