"""Histories of tables of assets: what each commit did, as an observation for Dagster."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import dagster as dg

from practicus_assets.assets.catalog import TableEntry, chosen
from practicus_assets.lake.upkeep.history import HistoryEntry, read_history
from practicus_assets.operations.configs import HistoryConfig
from practicus_assets.operations.table_job import records


def _cells(entry: HistoryEntry) -> dict[str, Any]:
    return {**asdict(entry), "landed": entry.landed.isoformat(timespec="seconds")}


def observed(tables: Mapping[str, TableEntry], config: HistoryConfig) -> Iterator[dg.AssetObservation]:
    """Yield an observation of a table with its newest commits."""
    [table] = chosen(tables, [config.table])
    commits = records(map(_cells, read_history(table.table, limit=config.limit)))
    yield dg.AssetObservation(table.key, metadata={"history/commits": commits})
