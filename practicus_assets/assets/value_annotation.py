"""Annotations of what a function returns: whether that may be None, and what nothing would validate."""

from typing import Any, get_args, get_origin

import dagster as dg

from practicus_assets.errors import DeclarationError
from practicus_assets.lake.rows.annotations import is_optional, without_none, written

RESULTS = (dg.Output, dg.MaterializeResult)  # which have rows as their value


def may_be_none(annotation: Any) -> bool:
    """Return whether a function may return None by its annotation: `X | None`, `dg.Output[X | None]`."""
    kinds = get_args(annotation) if get_origin(annotation) in RESULTS else ()
    return is_optional(kinds[0] if kinds else annotation)


def refuse_unvalidated(annotation: Any, advice: str) -> None:
    """Refuse a function whose value is annotated as a patito model: no row would be validated by it.

    Args:
        annotation: that of the value; None if there is none.
        advice: what to write instead.

    Raises:
        DeclarationError: naming the model.

    """
    kinds = get_args(annotation) if get_origin(annotation) in RESULTS else ()
    kind = without_none(kinds[0] if kinds else annotation)
    packages = {parent.__module__.partition(".")[0] for parent in getattr(kind, "__mro__", ())}
    if "patito" in packages and getattr(kind, "model", None) is not None:
        raise DeclarationError(
            f"the function's value is annotated as {written(annotation)}, and nothing here validates rows by "
            "a model of patito.",
            advice,
        )
