"""The verify job: whether tables are whole, and Dagster knows what they hold."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from practicus_assets.operations.configs import VerifyConfig
from practicus_assets.operations.table_job import SelectedTables, Selection, TableJob, table_job
from practicus_assets.parameters import named_parameters


@named_parameters
def build_verify_job(selection: Selection | None = None, name: str = "table_verify") -> TableJob:
    """Return a job that verifies tables, and fails if something is wrong.

    Args:
        selection: the assets that it is about, as for `dg.define_asset_job`; all by default.
        name: the job's name.

    """

    def make_op(tables: SelectedTables) -> dg.OpDefinition:
        @dg.op(name="verify", out={}, required_resource_keys=tables.resource_keys)
        def verify_tables(context: dg.OpExecutionContext, config: VerifyConfig) -> Iterator[Any]:
            """Verify the log, the files, and what Dagster believes is materialized."""
            from practicus_assets.operations.verify import verified

            yield from verified(context, tables.entries(context), config)

        return verify_tables

    return table_job(name, selection, "Verify tables, and what Dagster believes of them.", make_op)
