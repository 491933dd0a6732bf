"""Reuse: whether a table holds what an attempt would compute, so that its rows need not be computed again.

That is so where one commit made all rows of the scope, or found them equal, by the same code, contract and
configuration, from inputs that have the same rows since. What is not known counts as another thing.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from practicus_assets.errors import PracticusAssetsError
from practicus_assets.lake.delta.log import LogEntry, entries
from practicus_assets.lake.delta.origins import Changes, Touched
from practicus_assets.lake.delta.record import InputVersion, TransactionRecord
from practicus_assets.lake.delta.table import Table, TableVersion
from practicus_assets.lake.partitions.scope import WHOLE_TABLE, Scope
from practicus_assets.lake.transactions.attempt import Attempt
from practicus_assets.lake.transactions.commit import Commit, Reused
from practicus_assets.lake.transactions.unchanged.equal_rows import is_whole

_MOST_ENTRIES = 1000  # of the log, in which the commit is looked for


@dataclass(frozen=True)
class InputRead:
    """A table that the rows would be computed from.

    Attributes:
        read: what is read, as a commit would record it.
        table: the table.
        scope: the partitions that are read.

    """

    read: InputVersion
    table: Table
    scope: Scope


def reusable(attempt: Attempt, inputs: Sequence[InputRead], checks: Sequence[str] = ()) -> Commit | str:
    """Return the table as an attempt found it when it began, if its rows are those that it would commit.

    Args:
        attempt: the attempt.
        inputs: all that its rows would be computed from, in the order in which they were read.
        checks: the names of the checks beside the contract's that its commit would record.

    Returns:
        The version at which the attempt began, with what the commit recorded that the rows are from; or why
        they have to be computed, as a phrase: "its contract changed".

    """
    started = time.monotonic()
    began, scope = attempt.began, attempt.scope
    if began is None:
        return "there is no table yet"
    try:
        entry = _newest(began, scope)
        reason = next(_reasons(attempt, entry, inputs, checks), None)
        if reason is not None or entry is None or entry.record is None:
            return reason or "no commit of its rows is known"
        bounds = scope.on(began.schema)
        if not all(is_whole(began.table, file) for file in began.files(bounds)):
            return "a file of its rows cannot be read"
    except PracticusAssetsError as error:
        return f"it is not known whether its rows would be the same: {error.problem}"
    commit = Commit.from_record(entry.record, began.version, scope.keys, recovered=False)
    seconds = round(time.monotonic() - started, 3)
    reused = Reused(entry.version, entry.record.run_id)
    return replace(commit, changed=False, reused=reused, seconds=seconds)


def is_known(current: TableVersion, scope: Scope, record: TransactionRecord) -> bool:
    """Return whether the newest commit of a scope says already from what its rows are right.

    Args:
        current: the table's newest version.
        scope: the scope.
        record: what another commit would say.

    """
    entry = _newest(current, scope)
    return entry is not None and entry.record is not None and _facts(entry.record) == _facts(record)


def _facts(record: TransactionRecord) -> tuple[object, ...]:
    """Return what is compared of a record."""
    who = record.asset_key, record.code_version, record.config_digest, record.contract_digest
    results = {audit.name: (audit.passed, audit.severity) for audit in record.audits}
    others = record.restores_version, record.promotes, record.base, tuple(record.sources)
    return record.scope, record.mode, who, results, others, tuple(record.inputs)


def _newest(at: TableVersion, scope: Scope) -> LogEntry | None:
    """Return the newest commit that changed rows of a scope, or found them equal; None if unknown."""
    bounds = scope.on(at.schema)
    touched = Touched(bounds)
    for entry in islice(entries(at.table, at.version), _MOST_ENTRIES):
        if entry.changes_rows:
            numbers = touched.by(entry)
            if numbers is None or numbers:
                return entry
        elif entry.record is not None and entry.record.scope == bounds.recorded:
            return entry
        if entry.changes_metadata:
            return None  # the columns were others before
    return None


def _reasons(
    attempt: Attempt, entry: LogEntry | None, inputs: Sequence[InputRead], checks: Sequence[str]
) -> Iterator[str]:
    """Yield why rows have to be computed; nothing if those that are there can be used."""
    if entry is None:
        yield "no commit of its rows is known"
    elif entry.record is None:
        yield "somebody else wrote its rows"
    else:
        yield from _of_commit(attempt, entry.record)
        yield from _of_declaration(attempt, entry.record, checks)
        yield from _of_inputs(attempt, entry.record, inputs)


def _of_commit(attempt: Attempt, record: TransactionRecord) -> Iterator[str]:
    who = attempt.provenance
    assert attempt.began is not None
    if record.scope != attempt.scope.on(attempt.began.schema).recorded:
        yield "its rows were committed together with others, or apart"
    if attempt.options.mode != "replace" or record.mode != "replace":
        yield "its rows depend on those that were there"
    if record.rejected_version is not None:
        yield "its contract rejected rows, which are kept elsewhere"
    if record.restores_version is not None:
        yield "its rows were brought back by a rollback"
    if record.promotes is not None or record.base is not None or who.base is not None:
        yield "its lake lies over a base, or its rows are from another lake"
    if record.asset_key != who.asset_key:
        yield f"the asset {record.asset_key or 'of no name'} committed its rows"


def _of_declaration(attempt: Attempt, record: TransactionRecord, checks: Sequence[str]) -> Iterator[str]:
    who = attempt.provenance
    if not who.code_version or record.code_version != who.code_version:
        yield "its code version changed" if who.code_version else "it has no code version"
    if record.contract_digest != attempt.contract.digest:
        yield "its contract changed"
    if not record.config_digest:
        yield "its rows were not committed to be reused"
    elif record.config_digest != who.config_digest:
        yield "its configuration changed"
    passed = {audit.name for audit in record.audits if audit.passed or audit.severity == "WARN"}
    missing = {*(check.name for check in attempt.contract.checks), *checks} - passed
    if missing or len(passed) < len(record.audits):
        yield "a check of its rows failed, or has no result"


def _of_inputs(attempt: Attempt, record: TransactionRecord, inputs: Sequence[InputRead]) -> Iterator[str]:
    if attempt.provenance.sources or record.sources:
        yield "it reads another system"
    if tuple(each.read for each in inputs) != tuple(attempt.provenance.inputs):
        yield "not all of its inputs are known"
    if len(inputs) != len(record.inputs):
        yield "it reads other inputs"
    for now, before in zip(inputs, record.inputs, strict=False):
        if not _has_same_rows(now, before):
            yield f"{now.read.name} has other rows"


def _has_same_rows(now: InputRead, before: InputVersion) -> bool:
    """Whether an input has the rows and columns that it had, as far as its log tells."""
    read = now.read
    if not read.table_id or read.scope is None or replace(read, version=before.version) != before:
        return False
    if read.version == before.version:
        return True
    at = now.table.open(read.version)
    if not now.table.open(before.version).schema.equals(at.schema):
        return False
    changes = Changes(at, now.scope)
    return all(changes.same_rows_since(key, before.version) for key in now.scope.keys or (WHOLE_TABLE,))
