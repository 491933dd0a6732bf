"""Parts: rows of one attempt on their way into staged files, partition by partition."""

import time
import uuid

import pyarrow as pa

from practicus_assets.lake.contracts.audit import Observations
from practicus_assets.lake.partitions.values import split, taken
from practicus_assets.lake.rows.fingerprints.hashes import hash_rows
from practicus_assets.lake.transactions.attempt import Attempt
from practicus_assets.lake.transactions.incoming import refuse_outside
from practicus_assets.lake.transactions.stage.staged import Staged
from practicus_assets.lake.transactions.stage.staging import Staging


class Part:
    """Writes one part of an attempt's rows to staged files.

    Args:
        attempt: the attempt.
        schema: the table's columns after the commit.

    """

    def __init__(self, attempt: Attempt, schema: pa.Schema) -> None:
        self._started = time.monotonic()
        self._attempt = attempt
        self._schema = schema
        self._bounds = attempt.written.on(schema)
        self._staging = Staging(attempt.table, schema, attempt.options.partition_by)

    def add(self, batch: pa.RecordBatch) -> None:
        """Write rows with the table's columns.

        Raises:
            OutOfScope: if some belong to no partition of the scope.
            StoreFailed: if the store fails.

        """
        partition_by = self._attempt.options.partition_by
        hashes = hash_rows(batch, self._schema.names)
        for values, positions in split(batch, partition_by):
            rows = taken(batch, positions)
            refuse_outside(dict(zip(partition_by, values, strict=True)), rows, self._bounds)
            self._staging.add(rows, values, hashes[positions])

    def finish(
        self, name: str | None = None, observations: Observations | None = None, *, is_stream: bool = False
    ) -> Staged:
        """Close the files, and return what was staged; raises StoreFailed.

        Args:
            name: the part's name; by default one that no other part has.
            observations: what the contract's rules found in the rows.
            is_stream: whether the rows came as a stream.

        """
        files = self._staging.finish()
        return Staged(
            self._attempt.id,
            (name if name is not None else str(uuid.uuid4()),),
            self._schema,
            tuple(files),
            self._staging.fingerprints,
            observations if observations is not None else Observations(),
            is_stream=is_stream,
            seconds=time.monotonic() - self._started,
        )

    def discard(self) -> None:
        """Delete what was written."""
        self._staging.discard()
