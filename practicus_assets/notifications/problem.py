"""Problems: what an error that Dagster recorded says to people, without values of rows or secrets."""

import os
from typing import Any

from practicus_assets import errors
from practicus_assets.errors import PracticusAssetsError, without_quotations
from practicus_assets.redaction import redacted
from practicus_assets.wording import in_short

_LONGEST = 600  # characters
_OURS = {
    name
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, PracticusAssetsError)
}


def problem(error: Any, *, error_text: bool) -> tuple[str, str]:
    """Return the class of an error, and its text in one line.

    Args:
        error: the error as Dagster records it; None where there is none.
        error_text: whether the text of errors that are not of this package is shown.

    """
    if error is None:
        return "", ""
    chain: list[Any] = []
    while error is not None and len(chain) < 20:  # noqa: PLR2004 causes of causes
        chain.append(error)
        error = error.cause
    ours = [one for one in chain if one.cls_name in _OURS]
    authored = [one for one in chain if not str(one.cls_name).startswith(("Dagster", "RetryRequested"))]
    chosen = (ours or authored or chain)[0]
    name = str(chosen.cls_name or "Error")
    text = _without_class(str(chosen.message), name)
    if ours:
        text = without_quotations(text)
    elif not error_text:
        text = ""
    return name, without_secrets(text)


def without_secrets(text: str) -> str:
    """Return a text in one line, without the values of environment variables that may be secrets."""
    return in_short(redacted(text, os.environ), _LONGEST)


def _without_class(message: str, name: str) -> str:
    """Return an error's text without the class that Python writes before it."""
    head, colon, text = message.partition(": ")
    if colon and head.rpartition(".")[2] == name:
        return text.strip()
    return "" if message.strip().rpartition(".")[2] == name else message.strip()
