"""Checksums: an aggregate in the server that changes when rows do, in whatever order they are."""

from collections.abc import Mapping

from practicus_assets.sources.mysql import fields as kinds
from practicus_assets.sources.mysql.fields import Field

_NUMERIC = {
    *(kinds.TINY, kinds.SHORT, kinds.INT24, kinds.LONG, kinds.LONGLONG),
    *(kinds.DECIMAL, kinds.YEAR, kinds.DATE, kinds.TIME, kinds.DATETIME, kinds.TIMESTAMP),
}
_AS_NUMBER = {kinds.FLOAT, kinds.DOUBLE, kinds.BIT}  # a float shows six digits of its nine, a bit bytes


def checksum(columns: Mapping[str, Field]) -> str:
    """Return an aggregate over all values of all rows.

    Each row is hashed, and the hashes are added up. Texts and bytes are hashed by themselves first, so that
    no row is longer than the server handles, and none reads like another.

    Args:
        columns: the columns, quoted, with what the server says of them.

    """
    row = f"CONCAT_WS(',', {', '.join(_part(column, known) for column, known in columns.items())})"
    return f"CAST(SUM(CAST(CONV(LEFT(SHA1({row}), 16), 16, 10) AS UNSIGNED)) AS CHAR)"


def _part(column: str, known: Field) -> str:
    if known.code in _AS_NUMBER:
        zero = "0" if known.code == kinds.BIT else "0e0"
        return f"IFNULL({column} + {zero}, '-')"
    if known.code in _NUMERIC:
        return f"IFNULL({column}, '-')"
    return f"IFNULL(SHA1({column}), '-')"
