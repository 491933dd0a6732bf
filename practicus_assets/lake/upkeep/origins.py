"""Origins: which commit the rows of each partition come from."""

from dataclasses import dataclass

import pyarrow as pa

from practicus_assets.lake.delta.log import entries
from practicus_assets.lake.delta.record import TransactionRecord
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.bounds import Bounds
from practicus_assets.lake.partitions.scope import WHOLE_TABLE, Scope


@dataclass(frozen=True)
class Origin:
    """The newest commit that changed a partition.

    Attributes:
        version: the version that it made.
        record: what the transaction wrote about itself; None for other writers.
        fingerprint: of the partition's rows; None where the commit did not write all of them, or did not say.

    """

    version: int
    record: TransactionRecord | None
    fingerprint: str | None


def origins(table: Table, version: int, scope: Scope, schema: pa.Schema) -> dict[str, Origin]:
    """Return the origin of each partition of a scope, by key, as of a version.

    Partitions that no commit changed are absent, and those whose commit is no longer in the log.

    Args:
        table: the table.
        version: the newest commit that counts.
        scope: the partitions; the whole table is one, called `WHOLE_TABLE`.
        schema: the table's columns at that version.

    """
    together = scope.on(schema)
    keys = scope.keys or (WHOLE_TABLE,)
    parts = together.parts or ((),)
    open_ = {
        key: Bounds(together.columns, together.types, (part,)) for key, part in zip(keys, parts, strict=True)
    }
    newest: dict[str, Origin] = {}
    for entry in entries(table, version):
        if not open_:
            break
        record = entry.record
        if not entry.changes_rows:
            continue
        for key in [key for key, bounds in open_.items() if entry.touches(bounds)]:
            del open_[key]
            newest[key] = Origin(entry.version, record, _fingerprint(record, key))
    return newest


def _fingerprint(record: TransactionRecord | None, key: str) -> str | None:
    if record is None or record.mode == "append":
        return None
    return record.fingerprints.get(key)
