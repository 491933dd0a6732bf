"""The diff job: what changed between two versions of a table, shown in Dagster."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from practicus_assets.operations.configs import DiffConfig
from practicus_assets.operations.table_job import SelectedTables, Selection, TableJob, table_job
from practicus_assets.parameters import named_parameters


@named_parameters
def build_diff_job(selection: Selection | None = None, name: str = "table_diff") -> TableJob:
    """Return a job that observes a table with what changed from one of its versions to another.

    Args:
        selection: the assets that it may be about, as for `dg.define_asset_job`; all by default.
        name: the job's name.

    """

    def make_op(tables: SelectedTables) -> dg.OpDefinition:
        @dg.op(name="diff", out={}, required_resource_keys=tables.resource_keys)
        def show_diff(context: dg.OpExecutionContext, config: DiffConfig) -> Iterator[Any]:
            """Show columns, counts, changed partitions and some rows."""
            from practicus_assets.operations.diff import observed

            yield from observed(tables.entries(context), config)

        return show_diff

    return table_job(name, selection, "Show what changed between two versions of a table.", make_op)
