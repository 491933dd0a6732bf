"""Staged rows: batches on their way into files, those that the rules reject into files of their own."""

from collections.abc import Iterable
from dataclasses import replace

import pyarrow as pa

from practicus_assets.lake.contracts.audit import Audit
from practicus_assets.lake.contracts.breaches import AuditedPartitions
from practicus_assets.lake.transactions.attempt import Attempt
from practicus_assets.lake.transactions.effect import Durations, Stopwatch
from practicus_assets.lake.transactions.quarantine.rejected_table import RejectedTable
from practicus_assets.lake.transactions.stage.part import Part
from practicus_assets.lake.transactions.stage.staged import Staged


def staged_rows(
    attempt: Attempt,
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    name: str | None,
    rejected_table: RejectedTable | None,
) -> Staged:
    """Write record batches to staged files, while rules run; on an error, delete these.

    Args:
        attempt: the attempt.
        batches: rows with the table's columns.
        schema: these columns.
        name: the name of the part; None for one that no other has.
        rejected_table: where bad rows go, if the contract has rules that reject rows.

    """
    partitions = AuditedPartitions.of(attempt.written, schema)
    audit = Audit(attempt.contract.checks, attempt.table.sample_rows, partitions=partitions)
    rejected = rejected_table.part(schema) if rejected_table is not None else None
    part, judging = Part(attempt, schema), Stopwatch()
    try:
        for batch in batches:
            good = batch
            if rejected is not None:
                with judging:
                    divided = audit.divide(batch)
                good = rejected.taken_out(divided)
            part.add(good)
            with judging:
                audit.observe(good)
        with judging:
            audit.prepare()
        staged = part.finish(name, audit.observations)
        kept_out = rejected.finish() if rejected is not None else None
        return replace(staged, rejected=kept_out, durations=Durations(audit=judging.seconds))
    except BaseException:
        part.discard()
        if rejected is not None:
            rejected.discard()
        raise
