"""Parameters: the values of a statement's conditions, which the server binds."""

from collections.abc import Sequence

import pyarrow as pa

from practicus_assets.lake.partitions.values import Value
from practicus_assets.sources.sql.conditions import Operand, Parameters


class BoundParameters(Parameters[Operand]):
    """Values in the order of a statement's placeholders.

    Args:
        by_collation: whether texts are compared by the column's collation, too. A server refuses that for
            texts which the column's character set has not.

    Attributes:
        values: the values.

    """

    def __init__(self, *, by_collation: bool = True) -> None:
        self.values: list[bytes | Value] = []
        self._by_collation = by_collation

    def one(self, value: Value, operand: Operand) -> str:  # noqa: ARG002 MySQL needs no type of the operand
        """Bind one value; see `Parameters.one`."""
        self.values.append(value)
        return "?"

    def equals_any(self, operand: Operand, values: Sequence[Value]) -> str:
        """Bind a list of values; see `Parameters.equals_any`.

        Texts are compared twice: by the column's collation, for which there may be an index, and by their
        bytes, because to a collation `eu`, `EU` and `eu ` may be the same.
        """
        listed = f"({', '.join('?' for _ in values)})"
        is_text = pa.types.is_string(operand.type_)
        terms = []
        if self._by_collation or not is_text:
            self.values += values
            terms.append(f"{operand.text} IN {listed}")
        if is_text:
            self.values += [str(value).encode() for value in values]
            terms.append(f"{bytes_of(operand.text)} IN {listed}")
        return f"({' AND '.join(terms)})"


def bytes_of(text: str) -> str:
    """Return the expression for a text's bytes in UTF-8, whatever its character set and collation."""
    return f"CAST(CONVERT({text} USING utf8mb4) AS BINARY)"
