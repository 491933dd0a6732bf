"""Input settings: which rows, columns and version of a table an input reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from practicus_assets.assets.metadata.spellings import plain
from practicus_assets.assets.report import names
from practicus_assets.errors import DeclarationError, did_you_mean
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.rows.annotations import without_none
from practicus_assets.lake.rows.frames import read_as

_SPELLINGS = {
    names.COLUMNS: (names.COLUMNS, "columns"),
    names.VERSION: (names.VERSION, "version", "table_version"),
    names.PREDICATE: (names.PREDICATE, "predicate"),
}
_MISSING = "allow_missing_partitions"  # Dagster's own, of its managers of files
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
        allow_missing_partitions: whether a mapping leaves out partitions without rows, and a table that does
            not exist yet is one without partitions.

    """

    columns: Sequence[str] | None = None
    version: int | datetime | None = None
    predicate: str | None = None
    allow_missing_partitions: bool = False

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
            _missing(entries.get(_MISSING)),
        )

    def given(self, snapshot: Snapshot | None, annotation: Any) -> Any:
        """Return what a parameter is given of a snapshot, as it is annotated; of none, a table without rows.

        Raises:
            DeclarationError: for an annotation that no input can have; for some columns of a `Snapshot`.

        """
        if snapshot is None:
            empty = pa.schema([(column, pa.null()) for column in self.columns or ()]).empty_table()
            return read_as(empty.to_reader(), annotation)
        if without_none(annotation) is Snapshot:
            self.refuse_selection()
            return snapshot
        return read_as(snapshot.scan(self.columns, self.predicate), annotation)

    def refuse_without_partitions(self) -> None:
        """Raise DeclarationError for what only an input of partitions can be."""
        if self.allow_missing_partitions:
            raise DeclarationError(
                f"the input's metadata have {_MISSING!r}, and its asset has no partitions.",
                "Annotate the input `pd.DataFrame | None`: it is None where there is no table yet.",
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


def _missing(value: Any) -> bool:
    if value in (None, True):
        return value is not None
    raise DeclarationError(
        f"the input's metadata have {_MISSING}={value!r}, and partitions that were never written cannot be "
        "told from those without rows.",
        f"Leave it out, and refuse what has no rows in the function; or write {{{_MISSING!r}: True}}.",
    )
