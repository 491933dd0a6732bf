"""The rollback job: brings a table, or partitions of it, back."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from practicus_assets.operations.configs import RollbackConfig
from practicus_assets.operations.table_job import SelectedTables, Selection, TableJob, table_job
from practicus_assets.parameters import named_parameters


@named_parameters
def build_rollback_job(selection: Selection | None = None, name: str = "table_rollback") -> TableJob:
    """Return a job that brings a table, or partitions of it, back to what they were.

    Its runs show what would be undone, and do it with `apply: true` in their config.

    Args:
        selection: the assets that it may be about, as for `dg.define_asset_job`; all by default.
        name: the job's name.

    """

    def make_op(tables: SelectedTables) -> dg.OpDefinition:
        @dg.op(name="rollback", out={}, required_resource_keys=tables.resource_keys)
        def roll_table_back(context: dg.OpExecutionContext, config: RollbackConfig) -> Iterator[Any]:
            """Bring a table, or partitions of it, back to a version, in a new commit."""
            from practicus_assets.operations.rollback import rolled_back

            yield from rolled_back(context, tables.entries(context), config)

        return roll_table_back

    return table_job(name, selection, "Bring a table, or partitions of it, back to a version.", make_op)
