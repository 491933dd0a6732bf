"""Columns of rejected rows: those of the table, and why, when and from what each row was rejected."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from practicus_assets.errors import LossyValues, SchemaMismatch
from practicus_assets.lake.contracts.quarantine import Divided
from practicus_assets.lake.rows.schema import conformed, reconcile
from practicus_assets.lake.transactions.attempt import Attempt
from practicus_assets.wording import names_of

RULES = "_rejected_by"
RUN = "_rejected_run"
ATTEMPT = "_rejected_attempt"
INPUTS = "_rejected_inputs"
REASONS = pa.schema(
    [
        pa.field(RULES, pa.list_(pa.string()), metadata={"comment": "the rules that the row breaks"}),
        pa.field(RUN, pa.string(), metadata={"comment": "the run that rejected it"}),
        pa.field(ATTEMPT, pa.string(), metadata={"comment": "tells the attempts of runs apart"}),
        pa.field(INPUTS, pa.string(), metadata={"comment": "the versions that the run read, as JSON"}),
    ]
)


def attempt_text(attempt: Attempt) -> str:
    """Return what the rows of an attempt have as their attempt; before the `/`, what all at its work have."""
    return f"{work_text(attempt)}/{attempt.id}"


def work_text(attempt: Attempt) -> str:
    """Return the beginning that the texts of all attempts at the same work have."""
    return hashlib.sha256(attempt.work.encode()).hexdigest()[:16]


class RejectedColumns:
    """The columns of the rows that an attempt rejects.

    Args:
        attempt: the attempt at the table.
        schema: the table's columns after the commit.
        existing: the columns of the table of rejected rows; None if there is none.

    Attributes:
        schema: the columns of the table of rejected rows after the commit.

    Raises:
        SchemaMismatch: if a column of the table has the name of one that says why a row was rejected, or
            another type than in the table of rejected rows.

    """

    def __init__(self, attempt: Attempt, schema: pa.Schema, existing: pa.Schema | None) -> None:
        taken = [name for name in schema.names if name.lower() in REASONS.names]
        if taken:
            raise SchemaMismatch(
                f"the output has the {names_of('column', taken)}, by which rejected rows say why they are.",
                'Rename it, or give no rule the severity "QUARANTINE".',
            )
        fields = [field.with_nullable(nullable=True) for field in schema]
        gone = [f for f in existing or () if f.name not in {*schema.names, *REASONS.names}]
        output = pa.schema([*fields, *REASONS, *gone])
        with _beside_earlier_rows():
            self.schema = reconcile(output, existing, None, {}, "add", all_rows=False)
        inputs = {
            **attempt.provenance.input_versions,
            **{read.source: read.state for read in attempt.provenance.sources},
        }
        self._constants = {
            **{field.name: pa.scalar(None, field.type) for field in gone},
            RUN: pa.scalar(attempt.provenance.run_id),
            ATTEMPT: pa.scalar(attempt_text(attempt)),
            INPUTS: pa.scalar(json.dumps(inputs, ensure_ascii=False)),
        }

    def rows(self, parts: Divided) -> pa.RecordBatch:
        """Return the bad rows of a batch, as the table of rejected rows holds them.

        Raises:
            SchemaMismatch: for values that its columns cannot hold, because they were of other types.

        """
        bad = pa.record_batch([*parts.bad.columns, parts.rules], names=[*parts.bad.schema.names, RULES])
        with _beside_earlier_rows():
            return conformed(bad, self.schema, self._constants, 0)


@contextmanager
def _beside_earlier_rows() -> Iterator[None]:
    """Say of an error that the table itself could take the rows."""
    try:
        yield
    except (SchemaMismatch, LossyValues) as error:
        raise SchemaMismatch(
            f"bad rows do not fit beside those that were rejected earlier: {error.problem}",
            "Move the table of rejected rows away, or delete it: the next bad rows make it anew.",
            error.sample,
        ) from error
