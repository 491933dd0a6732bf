"""Column types: those that a plain asset declares in Dagster's words, by metadata or by its annotation."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import pyarrow as pa

from practicus_assets.assets.report.names import COLUMN_SCHEMA
from practicus_assets.errors import DeclarationError
from practicus_assets.lake.contracts.type_text import TypeText


def declared_types(metadata: Mapping[str, Any], output: dg.DagsterType | None) -> dict[str, pa.DataType]:
    """Return the type of each column that an asset declares, where its text is one of Delta's or Arrow's.

    Args:
        metadata: the definition's; `dagster/column_schema` has a `dg.TableSchema`.
        output: the type of the asset's value; that of a dataframe library may hold one, too.

    """
    types: dict[str, pa.DataType] = {}
    for schema in _schemas(metadata, output):
        for column in schema.columns:
            try:
                types.setdefault(column.name, TypeText(column.type).whole())
            except DeclarationError:  # a description for people
                continue
    return types


def _schemas(metadata: Mapping[str, Any], output: dg.DagsterType | None) -> Iterator[dg.TableSchema]:
    entries = [metadata.get(COLUMN_SCHEMA), *(output.metadata.values() if output is not None else ())]
    for entry in entries:
        value = entry.value if isinstance(entry, dg.MetadataValue) else entry
        if isinstance(value, dg.TableSchema):
            yield value
