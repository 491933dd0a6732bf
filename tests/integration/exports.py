"""What the tests of exports share: a table of each type, and short words for exporting it."""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from practicus_assets.destinations.destination import Destination
from practicus_assets.destinations.export import Export, Exported
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.transactions.transaction import Transaction

UTC = dt.UTC

COLUMNS: dict[str, tuple[pa.DataType, Sequence[Any]]] = {  # each with its extreme values and a null
    "flag": (pa.bool_(), [True, False, None]),
    "tiny": (pa.int8(), [-128, 127, None]),
    "small": (pa.int16(), [-(2**15), 2**15 - 1, None]),
    "middle": (pa.int32(), [-(2**31), 2**31 - 1, None]),
    "large": (pa.int64(), [-(2**63), 2**63 - 1, None]),
    "single": (pa.float32(), [1.5, -0.0, None]),
    "double": (pa.float64(), [0.1, 1e308, None]),
    "money": (pa.decimal128(18, 2), [Decimal("-9999999999999999.99"), Decimal("0.01"), None]),
    "wide": (pa.decimal128(38, 10), [Decimal("1234567890123456789012345678.0123456789"), Decimal(0), None]),
    "text": (pa.string(), ["", "naïve 😀 '\"\\\n\t;--%s", None]),
    "blob": (pa.binary(), [b"", b"\x00\xff'\\", None]),
    "day": (pa.date32(), [dt.date(1582, 10, 15), dt.date(9999, 12, 31), None]),
    "moment": (
        pa.timestamp("us", "UTC"),
        [dt.datetime(2024, 3, 31, 1, 30, 0, 123456, UTC), dt.datetime(1970, 1, 1, tzinfo=UTC), None],
    ),
    "wall": (
        pa.timestamp("us"),
        [
            dt.datetime.fromisoformat("2024-03-31 02:30:00.000001"),
            dt.datetime.fromisoformat("1999-01-01"),
            None,
        ],
    ),
}


def rows_of_each_type() -> pa.Table:
    """Return three rows, with a column of each plain type."""
    columns = {name: pa.array(values, type_) for name, (type_, values) in COLUMNS.items()}
    return pa.table({"id": pa.array([1, 2, 3], pa.int64()), **columns})


def filled(table: Table, rows: pa.Table) -> Table:
    """Return a table with these rows."""
    Transaction(table, Scope()).write(rows)
    return table


def exported(
    to: Destination,
    table: Table,
    target: str,
    scope: Scope | None = None,
    *,
    version: int | None = None,
    create: bool = False,
    columns: Mapping[str, str] | None = None,
    run: str = "run-1",
) -> Exported:
    """Export a version of a table, by default the newest."""
    snapshot = Snapshot.of(table, version, scope)
    return to.write(Export(table, snapshot, target, columns or {}, create=create, run_id=run))
