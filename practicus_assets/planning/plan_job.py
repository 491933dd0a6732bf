"""The plan as a Dagster job, for the UI."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from pydantic import Field

from practicus_assets.fields import NamedFields
from practicus_assets.operations.table_job import SelectedTables, Selection, TableJob
from practicus_assets.parameters import named_parameters
from practicus_assets.planning.markdown import markdown, table_markdown
from practicus_assets.planning.plan import TablePlan
from practicus_assets.planning.planner import Surroundings, plan
from practicus_assets.planning.request import PlanRequest
from practicus_assets.planning.sentences import summary
from practicus_assets.workers.placement.configuration import Configuration
from practicus_assets.workers.steps import executor_config


class PlanConfig(NamedFields, dg.Config):
    """What a run of the plan job looks at."""

    select: str = Field(default="", description="Assets, in Dagster's words for it; empty for all.")
    partitions: list[str] = Field(default=[], description="The keys of partitions; none for all.")
    ranges: list[str] = Field(default=[], description="Ranges of partitions, as FIRST...LAST.")


class PlanJob(TableJob):
    """A job that plans its tables; it looks at those that they are computed from as well."""

    def op_of(self, tables: SelectedTables, resources: Mapping[str, Any]) -> dg.OpDefinition:
        """Return the job's op for the selected tables."""
        every = tables.with_all(resources)

        @dg.op(name="plan", out=dg.Out(dg.Nothing), required_resource_keys=every.resource_keys)
        def plan_tables(context: dg.OpExecutionContext, config: PlanConfig) -> Iterator[Any]:
            """Say which partitions a run would compute, and why; no table is written."""
            entries = {entry.key: entry for entry in every.entries(context).values()}
            given = executor_config(context.job_def)
            configuration = Configuration.of(given) if given is not None else None
            around = Surroundings(every.graph, entries, configuration, context.instance, context.instance)
            request = PlanRequest(config.select, config.partitions, config.ranges, tables.keys)
            made = plan(request, around)
            context.log.info(" ".join(summary(made)))
            keys = {entry.name: entry.key for entry in entries.values()}
            for table in made.tables:
                yield dg.AssetObservation(keys[table.table], metadata=_metadata(table))
            yield dg.Output(None, metadata={"plan": dg.MetadataValue.md(markdown(made))})

        return plan_tables


@named_parameters
def build_plan_job(selection: Selection | None = None, name: str = "table_plan") -> TableJob:
    """Return a job that observes tables with what a run would compute of them, and why.

    Args:
        selection: the assets that it is about, as for `dg.define_asset_job`; all by default.
        name: the job's name.

    """
    chosen = dg.define_asset_job(name, selection).selection
    return PlanJob(name, chosen, description="Show what a run would compute, and why.")


def _metadata(table: TablePlan) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "plan/partitions": table.planned_count,
        "plan/unknown": table.unknown_count,
        "plan/why": dg.MetadataValue.md(table_markdown(table)),
    }
    return metadata | ({"plan/rows": table.rows} if table.rows is not None else {})
