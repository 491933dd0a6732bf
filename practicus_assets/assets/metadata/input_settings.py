"""Input settings: which rows, columns and version of a table an input reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from practicus_assets.assets.metadata.spellings import plain
from practicus_assets.assets.report import names
from practicus_assets.errors import DeclarationError, did_you_mean

_SPELLINGS = {
    names.COLUMNS: (names.COLUMNS, "columns"),
    names.VERSION: (names.VERSION, "version", "table_version"),
    names.PREDICATE: (names.PREDICATE, "predicate"),
}
_REFUSED = {
    "pyarrow_options": 'Write {"delta/predicate": "amount > 3"} for a filter.',
    "delta_table_options": "A version is read with its files as they are. Leave it out.",
}


@dataclass(frozen=True)
class InputSettings:
    """Which part of a table an input reads.

    Attributes:
        columns: the columns to read; None for all.
        version: the version to read, as `Snapshot.open` takes it; None for the one that the run pins.
        predicate: a SQL condition that rows must satisfy; None for all rows.

    """

    columns: Sequence[str] | None = None
    version: int | datetime | None = None
    predicate: str | None = None

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> "InputSettings":
        """Return the settings that an input's metadata declare.

        Args:
            metadata: the metadata of a `dg.AssetIn`, in our words or in those of other IO managers.

        Raises:
            DeclarationError: for a setting that there is not, or that has no such value.

        """
        entries = plain(metadata)
        for name, advice in _REFUSED.items():
            if name in entries:
                raise DeclarationError(f"the input's metadata have {name!r}, which is not read here.", advice)
        for name in entries:
            if name.startswith("delta/") and name not in _SPELLINGS:
                every = f"The settings of an input are {', '.join(_SPELLINGS)}."
                raise DeclarationError(
                    f"the input's metadata have {name!r}, which is no setting of an input.",
                    did_you_mean(name, _SPELLINGS, every),
                )
        return cls(
            _columns(_said(entries, names.COLUMNS)),
            _version(_said(entries, names.VERSION)),
            _predicate(_said(entries, names.PREDICATE)),
        )

    def refuse_selection(self) -> None:
        """Raise DeclarationError if only some columns or rows are asked for, of which no snapshot can be."""
        advice = "Select in the function: orders.scan(columns=…, predicate=…)."
        for name, value in ((names.COLUMNS, self.columns), (names.PREDICATE, self.predicate)):
            if value is not None:
                raise DeclarationError(f"the input's metadata have {name}={value!r}.", advice)


def _said(entries: Mapping[str, Any], key: str) -> Any:
    """Return the value of a setting; raise DeclarationError if it is said twice and in two ways."""
    values = {name: entries[name] for name in _SPELLINGS[key] if entries.get(name) is not None}
    if not values:
        return None
    first, *others = values.values()
    if any(value != first for value in others):
        raise DeclarationError(f"the input's metadata have {values}, which differ.", f"Write {key!r} alone.")
    return first


def _columns(value: Any) -> Sequence[str] | None:
    if isinstance(value, str):
        raise DeclarationError(
            f"{names.COLUMNS} is the text {value!r}.", f"Write {{{names.COLUMNS!r}: [{value!r}]}}."
        )
    if value is not None and not isinstance(value, list | tuple):
        raise DeclarationError(
            f"{names.COLUMNS} is {value!r}, which is no list.", f'Write {{{names.COLUMNS!r}: ["id"]}}.'
        )
    return value


def _version(value: Any) -> Any:
    if isinstance(value, str) and value.isdecimal():  # dagster-polars takes texts
        return int(value)
    if value is None or isinstance(value, int | datetime):
        return value
    raise DeclarationError(
        f"{names.VERSION} is {value!r}, which is no version.",
        f"Write its number, {{{names.VERSION!r}: 3}}, or a datetime with a time zone.",
    )


def _predicate(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise DeclarationError(
        f"{names.PREDICATE} is {value!r}, which is no SQL.",
        f'Write a condition as a text: {{{names.PREDICATE!r}: "amount > 3"}}.',
    )
