"""The history job: what each commit of a table did, shown in Dagster."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from practicus_assets.operations.configs import HistoryConfig
from practicus_assets.operations.table_job import SelectedTables, Selection, TableJob, table_job
from practicus_assets.parameters import named_parameters


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
            from practicus_assets.operations.history import observed

            yield from observed(tables.entries(context), config)

        return show_history

    return table_job(name, selection, "Show what each commit of a table did.", make_op)
