"""Mixtures: tables of a release of which one was computed from other rows of another than those released.

What a table was computed from is in the record of its newest commit that changed rows: the version of each
input, and the partitions that were read. Other versions are no mixture as long as those partitions hold the
same rows.
"""

from collections.abc import Mapping, Sequence

from practicus_assets.errors import ReleaseRefused, UnsupportedTable, VersionGone
from practicus_assets.lake.delta.log import LogEntry, entries
from practicus_assets.lake.delta.record import InputVersion
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.recorded import RecordedCondition, RecordedScope
from practicus_assets.lake.rows.fingerprints.fingerprint import same_rows
from practicus_assets.lake.upkeep.diff import Diff, diff_versions


def refuse_mixed(tables: Mapping[str, Table], versions: Mapping[str, int]) -> None:
    """Refuse versions of tables of which one was computed from other rows of another.

    Args:
        tables: the tables, by name.
        versions: the version of each that is to be released.

    Raises:
        ReleaseRefused: naming the two tables, and the partitions whose rows differ.

    """
    for name, table in tables.items():
        for read in _inputs(table, versions[name]):
            if read.table not in versions:
                continue
            elsewhere = f"it was read in another lake, {read.root_uri}" if read.root_uri else ""
            mismatch = elsewhere or _mismatch(tables[read.table], read, versions[read.table])
            if mismatch:
                raise ReleaseRefused(
                    f"version {versions[name]} of {name} was computed from version {read.version} of "
                    f"{read.table}, and the release would have version {versions[read.table]}: {mismatch}.",
                    f"Nothing was written. Materialize {name} first, or allow it with --mixed "
                    "(mixed=True in Python).",
                )


def _inputs(table: Table, version: int) -> Sequence[InputVersion]:
    """Return what the newest commit whose rows are part of a version was computed from.

    A rollback has the inputs of the rows that it brought back. One that brought none back, for there were
    none yet, has no inputs: the commits that it undid are passed over then.
    """
    undone: set[tuple[RecordedCondition, ...]] = set()
    for entry in entries(table, version):
        record = entry.record
        if not entry.changes_rows:
            continue
        if record is None:
            break
        if record.inputs or record.sources or record.restores_version is None:
            if not record.scope.is_whole_table and undone.issuperset(record.scope.parts):
                continue
            return record.inputs
        if record.scope.is_whole_table:
            return _inputs(table, record.restores_version)  # older releases did not record the inputs
        undone |= set(record.scope.parts)
    return ()


def _mismatch(table: Table, read: InputVersion, released: int) -> str:
    """Return in words why rows that were read are not those of the released version; empty if they are."""
    if read.table_id not in {"", table.open(released).id}:
        return "the table was deleted and created again in between"
    if read.version == released:
        return ""
    same = same_rows(_fingerprint(table, read.version), _fingerprint(table, released))
    if same is not None:
        return "" if same else "its rows differ"
    try:
        return _differing(diff_versions(table, read.version, released, samples=0, within=read.scope))
    except (VersionGone, UnsupportedTable) as error:
        if _is_untouched(table, read, released):
            return ""
        return f"the two cannot be compared ({error.problem.rstrip('.')})"


def _fingerprint(table: Table, version: int) -> str:
    """Return the fingerprint of all rows at a version; empty unless its newest change wrote all of them."""
    newest = next((entry for entry in entries(table, version) if entry.changes_rows), None)
    record = newest.record if newest is not None else None
    if record is None or record.mode == "append" or not record.scope.is_whole_table:
        return ""
    return record.fingerprint


def _differing(diff: Diff) -> str:
    columns = set(diff.before.columns.items()) ^ set(diff.after.columns.items())
    if diff.rewritten and columns:  # the rows were compared by other columns only
        return f"its columns {sorted({name for name, _ in columns})} differ"
    if not diff.partitions:
        return ""
    first, *more = diff.partitions
    values = ", ".join(f"{column}={value}" for column, value in first.partition.items())
    others = f" and {len(more)} more partitions" if more else ""
    return f"its rows of {values}{others} differ" if values else "its rows differ"


def _is_untouched(table: Table, read: InputVersion, released: int) -> bool:
    """Return whether the log says that no commit between two versions changed what was read."""
    low, high = sorted((read.version, released))
    between = list(entries(table, high, low + 1))
    return len(between) == high - low and not any(
        entry.changes_rows and _may_touch(entry, read.scope) for entry in between
    )


def _may_touch(entry: LogEntry, scope: RecordedScope | None) -> bool:
    if scope is None or scope.is_whole_table or entry.unreadable is not None:
        return True
    if entry.record is not None:
        return scope.overlaps(entry.record.scope)
    touched = [tuple(change.get(column) for column in scope.columns) for change in entry.changes]
    known = [tuple(value for value in values if value is not None) for values in touched]
    return any(
        len(values) < len(scope.columns) or scope.overlaps(RecordedScope(scope.columns, (values,)))
        for values in known
    )
