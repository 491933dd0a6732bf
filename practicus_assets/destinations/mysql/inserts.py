"""Statements that insert the rows of batches, each short enough for the server."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.destinations.mysql.tables import Place, quoted
from practicus_assets.errors import LossyValues

_STATEMENT_BYTES = 1 << 20
_ROOM = 4096  # of a packet, for all but the rows and their beginning


def inserts(place: Place, batch: pa.RecordBatch, packet: int) -> Iterator[str]:
    """Yield statements that insert the rows of a batch.

    Args:
        place: the table.
        batch: the rows, whose columns are literals.
        packet: how many bytes the server takes at once.

    Raises:
        LossyValues: for a row that is longer than that.

    """
    if not batch.num_rows:
        return
    names = ", ".join(map(quoted, batch.schema.names))
    begin = f"INSERT INTO {place} ({names}) VALUES ("  # noqa: S608 names are quoted, values escaped
    columns = [column.cast(pa.large_string()) for column in batch.columns]
    rows = pc.binary_join_element_wise(*columns, pa.scalar(",", pa.large_string()))
    ends = np.cumsum(pc.binary_length(rows).to_numpy() + len("),("))
    most = packet - len(begin.encode()) - _ROOM
    limit = min(_STATEMENT_BYTES, most)
    start, before = 0, 0
    while start < len(rows):
        stop = max(start + 1, int(np.searchsorted(ends, before + limit, side="right")))
        if ends[stop - 1] - before > most:
            raise LossyValues(
                f"a row is longer than the {packet:,} bytes that the server takes at once.",
                "Raise max_allowed_packet there.",
            )
        yield f"{begin}{'),('.join(rows[start:stop].to_pylist())})"
        start, before = stop, int(ends[stop - 1])
