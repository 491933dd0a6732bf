"""History: what each commit of a table did, when, and for whom."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from practicus_assets.errors import TableNotFound, VersionGone
from practicus_assets.lake.delta.data_file import DataFile, stored_path
from practicus_assets.lake.delta.log import LogEntry, deleted_rows, entries, landed_ms, rows_held
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.recorded import RecordedCondition

_SHORTEST_RUN = 6  # characters of a run id that are taken for one


@dataclass(frozen=True)
class HistoryEntry:
    """One commit of a table.

    Attributes:
        version: the version that it made.
        landed: when, by the store's clock.
        operation: "replace", "append", "merge", "rollback to 3", "compact", or what another writer calls it.
        run_id, step, attempt, asset_key, code_version: who; empty for other writers.
        engine: the program that wrote the commit.
        scope: what was replaced or touched.
        rows_in, rows_out: rows of the files that came and went; None where the log does not tell.
        files_in, files_out: how many files came and went.
        audits: the rules that were checked before the commit, each with the number of bad rows.
        findings: what was found in words, of each rule that did not hold: `3 bad rows`.
        inputs: the version of each table that was read.
        changes_rows: False for a commit that only moved rows from file to file, or changed settings.

    """

    version: int
    landed: datetime
    operation: str
    run_id: str
    step: str
    attempt: int
    asset_key: str
    code_version: str
    engine: str
    scope: str
    rows_in: int | None
    rows_out: int | None
    files_in: int
    files_out: int
    audits: Mapping[str, int]
    findings: Mapping[str, str]
    inputs: Mapping[str, int]
    changes_rows: bool


def read_history(table: Table, *, limit: int | None = None) -> Iterator[HistoryEntry]:
    """Yield a table's commits from the newest to the oldest that the log still has.

    Args:
        table: the table.
        limit: how many at most.

    Raises:
        TableNotFound: if there is no table.

    """
    newest = table.open().version
    oldest = 0 if limit is None else max(0, newest - limit + 1)
    yield from described(table, list(entries(table, newest, oldest)))


def described(table: Table, log: Sequence[LogEntry]) -> Iterator[HistoryEntry]:
    """Yield what log entries did, which are given from the newest to the oldest."""
    rows = _rows_by_path(table, log)
    for entry in log:
        yield _history_entry(table, entry, rows)


def version_of(table: Table, reference: str) -> int:
    """Return the version that a number, or the run that made it, stands for.

    Args:
        table: the table.
        reference: a version, or a run id, or the beginning of one.

    Raises:
        VersionGone: if the log has no such version or run, or several.

    """
    newest = table.open().version
    if reference.isdecimal() and int(reference) <= newest:
        return int(reference)
    versions: dict[str, int] = {}
    for entry in entries(table, newest):
        record = entry.record
        if record is not None and record.run_id.startswith(reference):
            versions.setdefault(record.run_id, entry.version)
    if len(versions) != 1 or len(reference) < _SHORTEST_RUN:
        raise VersionGone(
            f"{reference!r} is no version of {table.name}, of which {newest} is the newest, "
            f"and {len(versions) or 'no'} runs in its log begin so.",
            f"Give a version, or at least {_SHORTEST_RUN} characters of a run id: "
            f"practicus-assets history {table.name} shows them.",
        )
    return versions.popitem()[1]


def _rows_by_path(table: Table, log: Sequence[LogEntry]) -> dict[str, int]:
    """Return how many rows the files hold that these commits name; `remove` actions need not say it."""
    rows: dict[str, int] = {}
    if log and log[-1].version > 0:
        try:
            before: Sequence[DataFile] = table.open(log[-1].version - 1).files()
        except (VersionGone, TableNotFound):
            before = []
        rows |= {file.path: file.rows + file.deleted for file in before if file.rows is not None}
    for entry in log:
        for action in entry.added:
            count = rows_held(action)
            if count is not None:
                rows[stored_path(action["path"])] = count
    return rows


def _history_entry(table: Table, entry: LogEntry, rows: Mapping[str, int]) -> HistoryEntry:
    record, upkeep = entry.record, entry.upkeep
    recorded_run = record or upkeep
    return HistoryEntry(
        version=entry.version,
        landed=datetime.fromtimestamp(landed_ms(table, entry) / 1000, UTC),
        operation=_operation(entry),
        run_id=recorded_run.run_id if recorded_run is not None else "",
        step=record.step if record is not None else "",
        attempt=record.attempt if record is not None else 1,
        asset_key=record.asset_key if record is not None else "",
        code_version=record.code_version if record is not None else "",
        engine=str(entry.info.get("engineInfo", "")),
        scope=_scope(entry),
        rows_in=_total(entry.added, rows),
        rows_out=_total(entry.removed, rows),
        files_in=len(entry.added),
        files_out=len(entry.removed),
        audits={audit.name: audit.bad_rows for audit in record.audits} if record is not None else {},
        findings={audit.name: audit.found for audit in record.audits if not audit.passed} if record else {},
        inputs=record.input_versions if record is not None else {},
        changes_rows=entry.changes_rows,
    )


def _operation(entry: LogEntry) -> str:
    if entry.record is not None:
        restored = entry.record.restores_version
        return entry.record.mode if restored is None else f"rollback to {restored}"
    if entry.upkeep is not None:
        return entry.upkeep.operation
    return str(entry.info.get("operation", "unknown")).lower()


def _scope(entry: LogEntry) -> str:
    """Return in words what a commit replaced, or the partitions of the files that it touched."""
    if entry.record is not None:
        scope = entry.record.scope
        if scope.is_whole_table:
            return "whole table"
        parts = [", ".join(map(_condition, scope.columns, part)) for part in scope.parts]
    else:
        values = {_partition(action) for action in (*entry.added, *entry.removed)}
        parts = sorted(value for value in values if value)
    if not parts:
        return "whole table" if entry.added or entry.removed else ""
    return parts[0] if len(parts) == 1 else f"{parts[0]} and {len(parts) - 1} more"


def _partition(action: Mapping[str, Any]) -> str:
    """Return a file's partition values as one text: `day=2013-07-04, shop=x`; empty without any."""
    return ", ".join(f"{column}={value}" for column, value in (action.get("partitionValues") or {}).items())


def _condition(column: str, condition: RecordedCondition) -> str:
    if isinstance(condition, str):
        return f"{column}={condition}"
    low, high = (
        text.removesuffix("T00:00:00.000000Z").removesuffix(" 00:00:00.000000") for text in condition
    )
    with suppress(ValueError):
        if date.fromisoformat(low) + timedelta(1) == date.fromisoformat(high):
            return f"{column}={low}"
    return f"{column} from {low} to before {high}"


def _total(actions: Iterable[Mapping[str, Any]], rows: Mapping[str, int]) -> int | None:
    """Return how many rows of the table the files of these actions have; None where the log does not tell."""
    total = 0
    for action in actions:
        path = stored_path(action["path"])
        if path not in rows:
            return None
        total += rows[path] - deleted_rows(action)
    return total
