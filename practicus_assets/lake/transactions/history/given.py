"""Given rows: what one run says of the keys of a history, and the history that has it."""

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from practicus_assets.errors import DataRefused
from practicus_assets.lake.contracts.audit import Observations
from practicus_assets.lake.partitions.recorded import RecordedRows
from practicus_assets.lake.partitions.values import split, taken
from practicus_assets.lake.rows.fingerprints.fingerprint import EMPTY, Fingerprint
from practicus_assets.lake.rows.fingerprints.hashes import hash_rows
from practicus_assets.lake.transactions.attempt import Attempt
from practicus_assets.lake.transactions.history.kind import refuse_other_kind
from practicus_assets.lake.transactions.history.rows import HistoryRows
from practicus_assets.lake.transactions.incoming import IncomingRows, refuse_outside
from practicus_assets.lake.transactions.merge import refuse_doubled, refuse_incomparable
from practicus_assets.lake.transactions.stage.audited import fingerprints_of
from practicus_assets.lake.transactions.stage.staged import Staged, Values
from practicus_assets.wording import names_of, number_of

Stage = Callable[[Iterator[pa.RecordBatch], pa.Schema, str], Staged]


def given_part(attempt: Attempt, incoming: IncomingRows, part: str | None) -> Staged:
    """Return rows that a run gives to a history, in memory; they are staged with all others of it.

    Args:
        attempt: the attempt.
        incoming: the rows.
        part: the part's name; by default one that no other part has.

    Raises:
        DataRefused: for nulls by which rows could not be told apart or put in order.
        OutOfScope: for rows of other partitions than the run's.

    """
    started = time.monotonic()
    partition_by = attempt.options.partition_by
    fingerprints: dict[Values, Fingerprint] = {}
    batches = []
    for batch in _orderly(attempt, incoming):
        hashes = hash_rows(batch, batch.schema.names)
        for values, positions in split(batch, partition_by):
            named = dict(zip(partition_by, values, strict=True))
            refuse_outside(named, taken(batch, positions), incoming.bounds)
            fingerprints.setdefault(values, Fingerprint()).add(hashes[positions])
        batches.append(batch)
    return Staged(
        attempt.id,
        (part if part is not None else str(uuid.uuid4()),),
        incoming.schema,
        (),
        fingerprints,
        Observations(),
        given=(pa.Table.from_batches(batches, incoming.given),),
        seconds=time.monotonic() - started,
    )


def _orderly(attempt: Attempt, incoming: IncomingRows) -> Iterator[pa.RecordBatch]:
    """Yield rows of which each says what it is about, from when on, and whether it ends the key."""
    history = attempt.options.history
    assert history is not None, "the attempt is at a history"
    for batch in incoming.batches():
        refuse_incomparable(batch, history.keys, "history key")
        empty = [name for name in history.columns if batch.column(name).null_count]
        if empty:
            raise DataRefused(
                f"there are nulls in the {names_of('column', empty)}, by which a history is kept.",
                "Fill or drop these rows.",
            )
        yield batch


def with_history(attempt: Attempt, given: Staged, stage: Stage) -> tuple[Staged, RecordedRows]:
    """Stage all rows of a history, with those that a run gives, and return what its log entry says of these.

    Args:
        attempt: the attempt.
        given: the rows that the run gives, in all parts.
        stage: writes rows to staged files while the rules run, given the columns and a name.

    Raises:
        DeclarationError: if the table is a history of lists, and this one of changes, or the other way round.
        DataRefused: if two of them are of one key and time, or those of one list are of several times.

    """
    history, scope = attempt.options.history, attempt.scope
    assert history is not None, "the attempt is at a history"
    refuse_other_kind(attempt, given.schema)
    times = [table.select([*history.keys, history.sequence_by]) for table in given.given]
    same = f"of the same key and the same {history.sequence_by!r}"
    refuse_doubled(times, lambda count: f"{same}, in {number_of(count, 'case')}", "key and time")
    if history.is_of_lists:
        _refuse_several_times(attempt, given)
    rows = HistoryRows(attempt, given.schema, given.given)
    staged = stage(rows.batches(), given.schema, f"history {uuid.uuid4()}")
    of_run = fingerprints_of(attempt, given, given=True)
    fingerprints = {key: text for key, each in of_run.items() if (text := str(each)) != EMPTY}
    recorded = RecordedRows(
        scope.on(given.schema).recorded, fingerprints if scope.keys else {}, asdict(rows.versions)
    )
    return staged, recorded


def _refuse_several_times(attempt: Attempt, given: Staged) -> None:
    """Raise DataRefused if the rows of one partition, or of a run without any, are of several times."""
    history, bounds = attempt.options.history, attempt.scope.on(given.schema)
    assert history is not None, "the attempt is at a history"
    columns = list(dict.fromkeys([*bounds.columns, history.sequence_by]))
    times: dict[int | None, Any] = {}
    for table in given.given:
        for batch in table.to_batches():
            for values, _ in split(batch, columns):
                named = dict(zip(columns, values, strict=True))
                part, time = bounds.part_of(named), named[history.sequence_by]
                if times.setdefault(part, time) != time:
                    where = f"partition {attempt.scope.keys[part or 0]}" if attempt.scope.keys else "a run"
                    raise DataRefused(
                        f"the rows of {where} have several {history.sequence_by!r}, and "
                        "delete_unmatched=True takes them for a list of all keys at one time.",
                        "Give all of them the time of the list; or leave delete_unmatched out: then rows are "
                        "changes.",
                    )
