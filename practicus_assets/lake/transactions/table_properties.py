"""Table properties: which of Delta's an author can declare, and where a table has other ones."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from practicus_assets.errors import DeclarationError, did_you_mean

APPEND_ONLY = "delta.appendOnly"
CHANGE_FEED = "delta.enableChangeDataFeed"
FILE_RETENTION = "delta.deletedFileRetentionDuration"
LOG_RETENTION = "delta.logRetentionDuration"


@dataclass(frozen=True)
class _Values:
    """The values that a property can have.

    Attributes:
        pattern: a regular expression of the whole text.
        example: one of them.

    """

    pattern: str
    example: str


_DURATION = _Values(r"interval \d{1,8} (?:second|minute|hour|day|week)s?", "interval 30 days")
_DECLARABLE = {
    APPEND_ONLY: _Values("true", "true"),
    CHANGE_FEED: _Values("true", "true"),
    FILE_RETENTION: _DURATION,
    LOG_RETENTION: _DURATION,
    "delta.checkpointInterval": _Values("[1-9][0-9]{0,5}", "20"),
}
_FEATURE = "A table with that feature is refused by every write here: leave it out."
_PROTOCOL = "Leave it out: the protocol follows from the columns and the other properties."
_NOT_DECLARABLE = {  # names, and beginnings of names that end in a dot, with what to do instead
    "delta.columnMapping.": _FEATURE,
    "delta.constraints.": "Declare the rule in the contract.",
    "delta.enableDeletionVectors": _FEATURE,
    "delta.enableExpiredLogCleanup": "Leave it out: practicus-assets maintain expires the log, for it knows "
    "which versions releases need.",
    "delta.enableIcebergCompatV1": _FEATURE,
    "delta.enableIcebergCompatV2": _FEATURE,
    "delta.enableIcebergCompatV3": _FEATURE,
    "delta.enableInCommitTimestamps": _FEATURE,
    "delta.enableRowTracking": _FEATURE,
    "delta.enableTypeWidening": _FEATURE,
    "delta.feature.": _PROTOCOL,
    "delta.minReaderVersion": _PROTOCOL,
    "delta.minWriterVersion": _PROTOCOL,
    "delta.setTransactionRetentionDuration": "Leave it out: a retry finds the commit of an earlier attempt "
    "by what would expire.",
}


def refuse_undeclarable(properties: Mapping[str, Any]) -> None:
    """Refuse properties with which a table here cannot be created.

    Args:
        properties: the values, by name.

    Raises:
        DeclarationError: naming the property and what to do instead.

    """
    if not isinstance(properties, Mapping):
        raise DeclarationError(
            f"table_properties is {properties!r}.",
            f'Write a mapping from names to texts, e.g. table_properties={{"{CHANGE_FEED}": "true"}}.',
        )
    for name, value in properties.items():
        if name not in _DECLARABLE:
            raise DeclarationError(f"the table property {name!r} cannot be declared.", _advice(str(name)))
        values = _DECLARABLE[name]
        if not isinstance(value, str) or not re.fullmatch(values.pattern, value):
            raise DeclarationError(
                f"the table property {name!r} is {value!r}.", f'Write a text such as "{values.example}".'
            )


def _advice(name: str) -> str:
    for other, advice in _NOT_DECLARABLE.items():
        if name == other or (other.endswith(".") and name.startswith(other)):
            return advice
    own_name, names = name.removeprefix("delta."), {n.removeprefix("delta."): n for n in _DECLARABLE}
    if did_you_mean(own_name, names):
        return did_you_mean(f"delta.{own_name}", _DECLARABLE)
    advice = f"These can be declared: {', '.join(_DECLARABLE)}."
    return (
        advice if name != own_name else f"delta-rs creates tables with Delta's own properties alone. {advice}"
    )


def differences(declared: Mapping[str, str], configuration: Mapping[str, str]) -> list[str]:
    """Return a phrase for each declared property that a table has not, or has with another value.

    Args:
        declared: the declared values, by name.
        configuration: the table's, by name.

    """
    return [
        f"{name} is {configuration.get(name)!r} in the table and {value!r} in the declaration"
        for name, value in declared.items()
        if not _is_same(value, configuration.get(name))
    ]


def _is_same(declared: str, value: str | None) -> bool:
    if value is None:
        return False
    length = duration(value)
    return declared == value.lower() or (length is not None and length == duration(declared))


def duration(text: str) -> timedelta | None:
    """Return the length of an interval such as "interval 30 days"; None for any other text."""
    text = text.strip().lower()
    if not re.fullmatch(_DURATION.pattern, text):
        return None
    _, count, unit = text.split(" ")
    return timedelta(**{unit.rstrip("s") + "s": int(count)})
