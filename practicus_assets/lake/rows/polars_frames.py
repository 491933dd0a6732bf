"""polars frames as streams of their rows; polars is loaded by the author, or not at all."""

import sys
from collections.abc import Iterator
from typing import Any

from practicus_assets.errors import SchemaMismatch
from practicus_assets.wording import names_of

_POLARS_ONLY = {"Int128", "UInt128", "Object"}


def is_lazy(value: Any) -> bool:
    """Return whether a value is a polars `LazyFrame`."""
    return "polars" in sys.modules and isinstance(value, sys.modules["polars"].LazyFrame)


def from_lazy(query: Any, batch_rows: int) -> Iterator[Any]:
    """Stream the rows of a `LazyFrame` as DataFrames, the first of them without rows.

    polars computes a few batches ahead, and waits while they are written; no more of them is held.

    Args:
        query: the `LazyFrame`.
        batch_rows: the number of rows of a DataFrame.

    Raises:
        SchemaMismatch: if it cannot be computed.

    """
    polars = sys.modules["polars"]
    if not hasattr(query, "collect_batches"):
        raise SchemaMismatch(
            f"polars {polars.__version__} cannot give the rows of a LazyFrame in batches.",
            "Install polars 1.34 or newer, or return query.collect().",
        )
    try:
        yield polars.DataFrame(schema=query.collect_schema())
        batches = query.collect_batches(chunk_size=batch_rows, maintain_order=True)
        try:
            yield from batches
        finally:
            if hasattr(batches, "stop"):  # or polars computes the rest for nobody
                batches.stop()
    except polars.exceptions.PolarsError as error:
        raise SchemaMismatch(
            f"the LazyFrame cannot be computed: {type(error).__name__}.",
            "query.collect() raises the same.",
            f"polars says: {str(error).splitlines()[0]}.",
        ) from error


def refuse_polars_types(value: Any) -> None:
    """Raise SchemaMismatch for columns of a polars frame that Arrow has no type for.

    polars gives the addresses of Python objects as bytes.
    """
    if not type(value).__module__.startswith("polars.") or not hasattr(value, "schema"):
        return
    odd = [f"{name} ({dtype})" for name, dtype in value.schema.items() if _POLARS_ONLY & _dtypes(dtype)]
    if odd:
        raise SchemaMismatch(
            f"Arrow does not have the type of {names_of('column', odd)}.",
            "Cast them: 128-bit integers to Decimal(38, 0), objects to what they hold.",
        )


def _dtypes(dtype: Any) -> set[str]:
    """Return the names of a polars dtype and of those inside of it."""
    inner = [getattr(dtype, name) for name in ("inner", "key", "value") if hasattr(dtype, name)]
    inner += [field.dtype for field in getattr(dtype, "fields", ())]
    return {str(dtype.base_type()), *(name for part in inner for name in _dtypes(part))}
