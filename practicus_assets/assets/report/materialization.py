"""Materializations: what Dagster shows of a commit.

Numbers are plain ones, so that Dagster plots them, and their keys end in their unit.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from practicus_assets.assets.report import names
from practicus_assets.assets.report.column_schema import table_schema
from practicus_assets.assets.report.lineage import column_lineage
from practicus_assets.assets.report.preview import partition_previews, preview
from practicus_assets.assets.report.statistics import NO_STATISTICS, Statistics
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.delta.record import SourceRead
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.commit import Commit

NOTHING_NEW = "nothing new"


def commit_metadata(
    table: Table,
    snapshot: Snapshot,
    commit: Commit,
    contract: Contract | None,
    inputs: Mapping[str, int],
    *,
    preview_rows: int,
    appends: bool = False,
    sources: Sequence[SourceRead] = (),
    statistics: Statistics = NO_STATISTICS,
) -> dict[str, Any]:
    """Return the metadata of a materialization; of a run of many partitions, what they have in common.

    Args:
        table: the table.
        snapshot: the table at the commit's version, scoped to what was replaced; the preview comes from it.
        commit: the commit that the transaction made.
        contract: the contract, from which columns get their descriptions and constraints.
        inputs: the version of each table that was read.
        preview_rows: the number of rows to show; 0 for none.
        appends: whether rows were appended, so that their number is not that of the table or the partition.
        sources: what was read in other systems.
        statistics: the columns of which statistics are shown.

    """
    scope = snapshot.scope
    metadata: dict[str, Any] = {
        names.COLUMN_SCHEMA: table_schema(snapshot.schema, contract),
        names.STORAGE_KIND: "deltalake",
        names.TABLE_NAME: table.name,
        names.TABLE_URI: table.uri,
    }
    lineage = column_lineage(contract)
    if lineage is not None:
        metadata[names.COLUMN_LINEAGE] = lineage
    if snapshot.table_row_count is not None:
        metadata[names.ROW_COUNT] = snapshot.table_row_count
    metadata[names.SIZE_BYTES] = snapshot.table_size
    metadata |= {names.VERSION: commit.version, names.OUTCOME: _outcome(commit)}
    if not commit.changed:
        metadata |= {names.CONTRACT_DIGEST: (contract or Contract()).digest, **_reused(commit)}
    if commit.filled:
        metadata[names.FILLED] = list(commit.filled)
    metadata |= {f"{names.VERSIONS}{what}": count for what, count in commit.versions.items()}
    read = {
        names.INPUT_VERSIONS: dict(inputs),
        names.SOURCES: {each.source: _place(each) for each in sources},
    }
    metadata |= {name: entries for name, entries in read.items() if entries}
    if len(scope.keys) > 1:
        return metadata  # the rest is in `partition_metadata`
    for key in scope.keys:
        metadata |= _counts(snapshot, key)
    if appends:
        metadata[names.ROWS] = commit.rows
    metadata |= {
        names.FILES: commit.files,
        names.SIZE_MB: _megabytes(commit.bytes),
        names.DURATION_S: commit.seconds,
    }
    if preview_rows:
        metadata[names.PREVIEW] = preview(snapshot, preview_rows, commit.heads)
    metadata |= statistics.of(snapshot)
    if scope.is_whole_table:
        return metadata | {names.FINGERPRINT: commit.fingerprint}
    [key] = scope.keys
    return metadata | _fingerprint(snapshot, commit, key)


def partition_metadata(
    table: Table,
    snapshot: Snapshot,
    commit: Commit,
    *,
    preview_rows: int = 0,
    appends: bool = False,
    statistics: Statistics = NO_STATISTICS,
) -> dict[str, dict[str, Any]]:
    """Return what the materialization of each partition of a run has beside `commit_metadata`, by key.

    Args:
        table: the table.
        snapshot: the table at the commit's version, scoped to what was replaced.
        commit: the commit that the transaction made.
        preview_rows: the number of rows to show of each partition; 0 for none.
        appends: whether rows were appended.
        statistics: the columns of which statistics are shown.

    """
    numbers = statistics.by_partition(snapshot)
    previews = partition_previews(table, snapshot, preview_rows, commit.heads) if preview_rows else {}
    metadata = {}
    for key, files in snapshot.partition_files.items():
        metadata[key] = {
            **_counts(snapshot, key),
            **({names.ROWS: commit.partition_rows[key]} if appends else {}),
            names.FILES: len(files),
            names.SIZE_MB: _megabytes(sum(file.size for file in files)),
            **({names.PREVIEW: previews[key]} if key in previews else {}),
            **numbers.get(key, {}),
            **run_metadata(snapshot, commit),
            **_fingerprint(snapshot, commit, key),
        }
    return metadata


def nothing_metadata(table: Table) -> dict[str, Any]:
    """Return the metadata of a materialization that Dagster records though nothing was written."""
    return {names.TABLE_NAME: table.name, names.TABLE_URI: table.uri, names.OUTCOME: NOTHING_NEW}


def run_metadata(snapshot: Snapshot, commit: Commit) -> dict[str, Any]:
    """Return what was committed for all partitions of a run together; nothing for a run of one."""
    if len(snapshot.scope.keys) <= 1:
        return {}
    return {
        names.RUN_PARTITIONS: len(snapshot.scope.keys),
        names.RUN_ROWS: commit.rows,
        names.RUN_FILES: commit.files,
        names.RUN_SIZE_MB: _megabytes(commit.bytes),
        names.RUN_DURATION_S: commit.seconds,
    }


def _reused(commit: Commit) -> dict[str, Any]:
    reused = commit.reused
    return {names.REUSED_VERSION: reused.version, names.REUSED_RUN: reused.run_id} if reused else {}


def _place(read: SourceRead) -> dict[str, str]:
    place = {"address": read.address, "relation": read.relation, "state": read.state}
    return {name: text for name, text in place.items() if text}


def _counts(snapshot: Snapshot, key: str) -> dict[str, Any]:
    rows = snapshot.partition_rows[key]
    return {names.PARTITION_ROW_COUNT: rows} if rows is not None else {}


def _fingerprint(snapshot: Snapshot, commit: Commit, key: str) -> dict[str, Any]:
    """Return the fingerprint of a partition, unless rows were appended: theirs is not the partition's."""
    is_whole = snapshot.partition_rows[key] == commit.partition_rows.get(key)
    return {names.FINGERPRINT: commit.fingerprints[key]} if is_whole else {}


def _megabytes(size: int) -> float:
    return size / 1e6


def _outcome(commit: Commit) -> str:
    if commit.recovered:
        return "committed by an earlier attempt"
    if commit.reused is not None:
        return names.REUSED
    return "committed" if commit.changed else names.UNCHANGED
