"""Confirmations: runs that computed the rows which a partition had already, so that nothing was committed.

The log knows nothing of them, for it says only where rows are from; the instance has recorded them.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import dagster as dg

from practicus_assets.assets.report import names
from practicus_assets.instance.events import latest_records
from practicus_assets.lake.delta.record import IN_BASE, InputVersion, TransactionRecord
from practicus_assets.lake.partitions.scope import WHOLE_TABLE
from practicus_assets.planning.table_state import TableState


def confirmed(
    instance: dg.DagsterInstance, state: TableState, keys: list[str], starts: Mapping[str, int]
) -> dict[str, TransactionRecord]:
    """Return what partitions would say of themselves, had the runs committed that found equal rows.

    Args:
        instance: the Dagster instance.
        state: the table.
        keys: the partitions in question.
        starts: the numbers of the events with which the runs began that committed them.

    """
    own = [key for key in keys if state.layer(key) is state.own]
    if not own:
        return {}
    asked = own if state.entry.partitions_def is not None else []
    found = {}
    for partition, event in latest_records(instance, state.entry.key, asked).items():
        key = partition or WHOLE_TABLE
        commit = state.own.entry(key) if key in own else None
        if commit is None or commit.record is None:
            continue
        number = starts.get(commit.record.run_id)
        if number is None or event.storage_id < number:
            continue
        record = _as_recorded(commit.record, event, commit.version, state.entry.layered.base_uri)
        if record is not None:
            found[key] = record
    return found


def _as_recorded(
    record: TransactionRecord, event: dg.EventLogRecord, version: int, base_uri: str
) -> TransactionRecord | None:
    made = event.asset_materialization
    metadata: dict[str, Any] = (
        {name: entry.value for name, entry in made.metadata.items()} if made is not None else {}
    )
    looked_at = metadata.get(names.VERSION)
    if metadata.get(names.OUTCOME) not in {names.UNCHANGED, names.REUSED} or not isinstance(looked_at, int):
        return None
    if looked_at < version or made is None:
        return None
    read = metadata.get(names.INPUT_VERSIONS) or {}
    return replace(
        record,
        run_id=event.run_id,
        code_version=(made.tags or {}).get(names.CODE_VERSION_TAG, ""),
        contract_digest=str(metadata.get(names.CONTRACT_DIGEST) or ""),
        inputs=tuple(_input(str(name), int(read[name]), base_uri) for name in read),
    )


def _input(name: str, version: int, base_uri: str) -> InputVersion:
    if base_uri and name.endswith(IN_BASE):
        return InputVersion(name.removesuffix(IN_BASE), version, root_uri=base_uri)
    return InputVersion(name, version)
