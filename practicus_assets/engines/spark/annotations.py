"""Annotations of parameters that an engine reads: DataFrames of Spark, for which Dagster loads snapshots."""

from collections.abc import Callable
from typing import Any

from practicus_assets.errors import DeclarationError
from practicus_assets.lake.rows.annotations import hints, is_optional, kind_by_partition, without_none


def is_frame(annotation: Any) -> bool:
    """Return whether an annotation asks for DataFrames of Spark: also `X | None`, and `dict[str, X]`."""
    kind = without_none(annotation)
    if getattr(kind, "__origin__", None) is dict:
        kind = without_none(kind_by_partition(kind))
    module = str(getattr(kind, "__module__", ""))
    return getattr(kind, "__name__", "") == "DataFrame" and module.startswith("pyspark.sql")


def as_snapshot(annotation: Any) -> Any:
    """Return an annotation with `Snapshot` in the place of Spark's DataFrame."""
    if is_optional(annotation):
        return as_snapshot(without_none(annotation)) | None
    if getattr(annotation, "__origin__", None) is dict:
        return dict[str, as_snapshot(kind_by_partition(annotation))]  # type: ignore[misc] # what it holds is computed
    from practicus_assets.lake.delta.snapshot import Snapshot  # noqa: PLC0415 few assets have an engine

    return Snapshot


def refuse_without_engine(function: Callable[..., Any]) -> None:
    """Raise DeclarationError for a function over DataFrames of Spark that has no engine."""
    if any(map(is_frame, hints(function).values())):
        raise DeclarationError(
            f"{function.__qualname__} takes or returns a DataFrame of Spark, and has no engine.",
            "Write @table_asset(engine=SparkConnect()).",
        )
