"""Materializations: what Dagster shows of a commit."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from practicus_assets.assets.report import names
from practicus_assets.assets.report.column_schema import table_schema
from practicus_assets.assets.report.markdown import markdown
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.rows.samples import shown
from practicus_assets.lake.transactions.commit import Commit


def commit_metadata(
    table: Table,
    snapshot: Snapshot,
    commit: Commit,
    contract: Contract | None,
    inputs: Mapping[str, int],
    *,
    preview_rows: int,
) -> dict[str, Any]:
    """Return the metadata of a materialization.

    Args:
        table: the table.
        snapshot: the table at the commit's version, scoped to what was replaced; the preview comes from it.
        commit: the commit that the transaction made.
        contract: the contract, from which columns get their descriptions and constraints.
        inputs: the version of each table that was read.
        preview_rows: the number of rows to show; 0 for none.

    """
    scope = snapshot.scope
    metadata: dict[str, Any] = {
        names.COLUMN_SCHEMA: table_schema(snapshot.schema, contract),
        names.TABLE_NAME: table.name,
        names.TABLE_URI: table.uri,
        names.VERSION: commit.version,
        names.OUTCOME: _outcome(commit),
        names.ROWS: commit.rows,
        names.BYTES: commit.bytes,
        names.FILES: commit.files,
        names.SECONDS: commit.seconds,
    }
    if snapshot.table_row_count is not None:
        metadata[names.ROW_COUNT] = snapshot.table_row_count
    if scope.is_whole_table:
        metadata[names.FINGERPRINT] = commit.fingerprint
    elif len(scope.keys) == 1:
        metadata |= partition_metadata(snapshot, commit)[scope.keys[0]]
    if inputs:
        metadata[names.INPUT_VERSIONS] = dict(inputs)
    if preview_rows:
        metadata[names.PREVIEW] = dg.MetadataValue.md(_preview(snapshot, preview_rows))
    return metadata


def partition_metadata(snapshot: Snapshot, commit: Commit) -> dict[str, dict[str, Any]]:
    """Return the metadata of each partition of a commit, by key."""
    metadata: dict[str, dict[str, Any]] = {}
    staged = commit.partition_rows
    for key, rows in snapshot.partition_rows.items():
        metadata[key] = {names.PARTITION_ROW_COUNT: rows} if rows is not None else {}
        # where rows were appended, their fingerprint is not the partition's
        if rows == staged[key]:
            metadata[key][names.FINGERPRINT] = commit.fingerprints[key]
    return metadata


def _outcome(commit: Commit) -> str:
    if commit.recovered:
        return "committed by an earlier attempt"
    return "committed" if commit.changed else "unchanged"


def _preview(snapshot: Snapshot, rows: int) -> str:
    head: list[dict[str, Any]] = []
    for batch in snapshot.scan():
        head += shown(batch.slice(0, rows - len(head)))
        if len(head) >= rows:
            break
    return markdown(head) if head else "no rows"
