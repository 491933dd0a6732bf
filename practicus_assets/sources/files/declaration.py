"""Declarations: what an author says of files, as the formats and columns that it stands for."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pyarrow as pa

from practicus_assets.errors import DeclarationError, did_you_mean
from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.contracts.declared_types import as_type
from practicus_assets.lake.rows.types import stored_type
from practicus_assets.sources.files.formats.arrow import Arrow
from practicus_assets.sources.files.formats.compression import without_suffix
from practicus_assets.sources.files.formats.csv import CSV
from practicus_assets.sources.files.formats.format import Format
from practicus_assets.sources.files.formats.json_lines import JSONLines
from practicus_assets.sources.files.formats.parquet import Parquet
from practicus_assets.wording import enumerated

_FORMATS: Mapping[str, Format] = {"parquet": Parquet(), "csv": CSV(), "json": JSONLines(), "arrow": Arrow()}
_BY_SUFFIX: Mapping[str, Format] = {
    ".parquet": Parquet(),
    ".csv": CSV(),
    ".tsv": CSV(delimiter="\t"),
    ".jsonl": JSONLines(),
    ".ndjson": JSONLines(),
    ".json": JSONLines(),
    ".arrow": Arrow(),
    ".arrows": Arrow(),
    ".feather": Arrow(),
}


def format_of(declared: object, pattern: str) -> Format:
    """Return the format that is declared, or that the end of a pattern says.

    Raises:
        DeclarationError: if there is no such format, or nothing says it.

    """
    if isinstance(declared, Format):
        return declared
    if declared is not None:
        if declared not in _FORMATS:
            raise DeclarationError(
                f"there is no format {declared!r}.",
                did_you_mean(declared, _FORMATS, f"It is one of {', '.join(_FORMATS)}, or CSV(...)."),
            )
        return _FORMATS[cast("str", declared)]
    plain = without_suffix(pattern).lower()
    found = next((format_ for end, format_ in _BY_SUFFIX.items() if plain.endswith(end)), None)
    if found is None:
        raise DeclarationError(
            f"the end of {pattern!r} does not say which format the files have.",
            f"Write format=, one of {', '.join(_FORMATS)}, or CSV(...).",
        )
    return found


def declared_schema(columns: Any) -> pa.Schema | None:
    """Return declared columns as Arrow has them, in types that Delta Lake can hold; None for None.

    Raises:
        DeclarationError, SchemaMismatch: for what is no column.

    """
    if columns is None:
        return None
    if isinstance(columns, pa.Schema):
        columns = {column.name: column.type for column in columns}
    if not isinstance(columns, Mapping) or not columns:
        raise DeclarationError(
            f"columns is a {type(columns).__name__}{' without a column' if not columns else ''}.",
            'Write columns={"id": "int64", "name": "string"}.',
        )
    types = {
        name: type_.arrow_type if isinstance(type_, Column) else as_type(type_)
        for name, type_ in columns.items()
    }
    return pa.schema([(name, stored_type(type_, name)) for name, type_ in types.items()])


def refuse_other_choice(name: str, choice: object, existing: Sequence[str]) -> None:
    """Raise DeclarationError for a choice that does not exist."""
    if choice not in existing:
        raise DeclarationError(
            f"{name}={choice!r} is no choice.",
            did_you_mean(choice, existing, f"Write {enumerated([repr(e) for e in existing], 'or')}."),
        )
