"""The column schema: a table's columns as Dagster's catalog shows them."""

import dagster as dg
import pyarrow as pa

from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.contracts.contract import Contract


def table_schema(schema: pa.Schema, contract: Contract | None) -> dg.TableSchema:
    """Return a table's columns, with the descriptions and the constraints of its contract."""
    promised = contract.columns if contract else {}
    unique = {key[0] for key in contract.unique if len(key) == 1} if contract else set()
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                field.name,
                str(field.type),
                promised[field.name].description or None if field.name in promised else None,
                constraints=_constraints(promised.get(field.name), is_unique=field.name in unique),
            )
            for field in schema
        ]
    )


def _constraints(column: Column | None, *, is_unique: bool) -> dg.TableColumnConstraints:
    if column is None:
        return dg.TableColumnConstraints(unique=is_unique)
    other = []
    if column.minimum is not None:
        other.append(f">= {column.minimum}")
    if column.maximum is not None:
        other.append(f"<= {column.maximum}")
    if column.allowed is not None:
        other.append(f"one of {', '.join(map(str, column.allowed))}")
    if column.pattern is not None:
        other.append(f"matches {column.pattern}")
    return dg.TableColumnConstraints(nullable=column.nullable, unique=is_unique, other=other)
