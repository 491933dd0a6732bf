"""The history job: what each commit of a table did, shown in Dagster."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import dagster as dg
from pydantic import Field

from practicus_assets.assets.catalog import chosen
from practicus_assets.fields import NamedFields
from practicus_assets.lake.upkeep.history import HistoryEntry, read_history
from practicus_assets.operations.table_job import SelectedTables, Selection, TableJob, records, table_job
from practicus_assets.parameters import named_parameters


class HistoryConfig(NamedFields, dg.Config):
    """What a run of the history job shows."""

    table: str = Field(description="The table's name, with '/' between the parts of its asset key.")
    limit: int = Field(default=20, ge=1, description="How many commits to show, the newest first.")


@named_parameters
def build_history_job(selection: Selection | None = None, name: str = "table_history") -> TableJob:
    """Return a job that observes a table with its commits: what each did, for whom, with which audits.

    Args:
        selection: the assets that it may be about, as for `dg.define_asset_job`; all by default.
        name: the job's name.

    """

    def make_op(tables: SelectedTables) -> dg.OpDefinition:
        @dg.op(name="history", out={}, required_resource_keys=tables.resource_keys)
        def show_history(context: dg.OpExecutionContext, config: HistoryConfig) -> Iterator[Any]:
            """Show the newest commits of a table."""
            [table] = chosen(tables.entries(context), [config.table])
            commits = records(map(_cells, read_history(table.table, limit=config.limit)))
            yield dg.AssetObservation(table.key, metadata={"history/commits": commits})

        return show_history

    return table_job(name, selection, "Show what each commit of a table did.", make_op)


def _cells(entry: HistoryEntry) -> dict[str, Any]:
    return {**asdict(entry), "landed": entry.landed.isoformat(timespec="seconds")}
