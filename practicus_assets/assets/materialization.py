"""Reports: what Dagster is told of a commit, in its standard metadata keys, checks and data versions."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import pyarrow as pa

from practicus_assets.instance.events import latest
from practicus_assets.lake.contracts.contract import Column, Contract
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import WHOLE_TABLE, Mode
from practicus_assets.lake.rows.samples import shown
from practicus_assets.lake.transactions.record import Commit

VERSION = "delta/version"
FINGERPRINT = "delta/fingerprint"
DATA_VERSION_TAG = "dagster/data_version"
_LONGEST_CELL = 60


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
        commit: what the transaction left behind.
        contract: gives columns their descriptions and constraints.
        inputs: the version of each table that was read.
        preview_rows: how many rows to show; 0 shows none.

    """
    scope = snapshot.scope
    metadata: dict[str, Any] = {
        "dagster/column_schema": table_schema(snapshot.schema, contract),
        "dagster/table_name": table.name,
        "dagster/uri": table.uri,
        VERSION: commit.version,
        "delta/outcome": _outcome(commit),
        "delta/rows": commit.rows,
        "delta/bytes": commit.bytes,
        "delta/files": commit.files,
        "delta/seconds": commit.seconds,
    }
    if snapshot.row_count is not None:
        metadata["dagster/row_count"] = snapshot.row_count
    if scope.is_whole_table:
        metadata[FINGERPRINT] = commit.fingerprint
    elif len(scope.keys) == 1:
        metadata |= partition_metadata(snapshot, commit)[scope.keys[0]]
    if inputs:
        metadata["delta/input_versions"] = dict(inputs)
    if preview_rows:
        metadata["preview"] = dg.MetadataValue.md(_preview(snapshot, preview_rows))
    return metadata


def partition_metadata(snapshot: Snapshot, commit: Commit) -> dict[str, dict[str, Any]]:
    """Return what is told of each partition of a commit, by key."""
    found: dict[str, dict[str, Any]] = {}
    staged = commit.partition_rows
    for key, rows in snapshot.partition_rows.items():
        found[key] = {"dagster/partition_row_count": rows} if rows is not None else {}
        # where rows were appended, their fingerprint is not the partition's
        if rows == staged[key]:
            found[key][FINGERPRINT] = commit.fingerprints[key]
    return found


def data_version(
    instance: dg.DagsterInstance, key: dg.AssetKey, commit: Commit, mode: Mode
) -> dg.DataVersion:
    """Return the fingerprint of the scope's content, or the version that Dagster knows equal content by.

    A partition that was materialized among others carries their common data version; materializing it alone
    keeps that one if its rows are the same, and assets downstream stay fresh.
    """
    if mode == "append" and commit.changed:
        return dg.DataVersion(f"{commit.fingerprint}@{commit.version}")
    recorded = _recorded(instance, key, [k for k in commit.fingerprints if k != WHOLE_TABLE])
    known = [(recorded.get(k, ("", "")), print_) for k, print_ in commit.fingerprints.items()]
    versions = {version for (_, version), _ in known}
    if mode == "append":  # of no rows
        return dg.DataVersion(
            versions.pop() if len(versions) == 1 else f"{commit.fingerprint}@{commit.version}"
        )
    equal = all(before == print_ for (before, _), print_ in known)
    return dg.DataVersion((versions.pop() if equal and len(versions) == 1 else "") or commit.fingerprint)


def _recorded(
    instance: dg.DagsterInstance, key: dg.AssetKey, partitions: Sequence[str]
) -> dict[str, tuple[str, str]]:
    """Return fingerprint and data version of each partition's latest materialization."""
    events = latest(instance, key, partitions)
    return {partition or WHOLE_TABLE: identity(event) for partition, event in events.items()}


def identity(event: dg.AssetMaterialization) -> tuple[str, str]:
    """Return the fingerprint and the data version that a materialization was reported with."""
    fingerprint = event.metadata.get(FINGERPRINT)
    version = (event.tags or {}).get(DATA_VERSION_TAG, "")
    return (str(fingerprint.value) if fingerprint is not None else "", version)


def table_schema(schema: pa.Schema, contract: Contract | None) -> dg.TableSchema:
    """Return columns for Dagster's catalog, with what the contract says of them."""
    promised = contract.columns if contract else {}
    unique = {key[0] for key in contract.unique if len(key) == 1} if contract else set()
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                field.name,
                str(field.type),
                promised[field.name].description or None if field.name in promised else None,
                constraints=_constraints(promised.get(field.name), is_unique=field.name in unique),
            )
            for field in schema
        ]
    )


def _constraints(column: Column | None, *, is_unique: bool) -> dg.TableColumnConstraints:
    if column is None:
        return dg.TableColumnConstraints(unique=is_unique)
    other = [f">= {column.minimum}"] * (column.minimum is not None)
    other += [f"<= {column.maximum}"] * (column.maximum is not None)
    other += [f"one of {', '.join(map(str, column.allowed or ()))}"] * (column.allowed is not None)
    other += [f"matches {column.pattern}"] * (column.pattern is not None)
    return dg.TableColumnConstraints(nullable=column.nullable, unique=is_unique, other=other)


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


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a table in Markdown."""
    names = list(rows[0])
    lines = [[_cell(name) for name in names], ["---"] * len(names)]
    lines += [[_cell(row.get(name)) for name in names] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    text = text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
