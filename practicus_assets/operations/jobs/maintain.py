"""The maintain job and its schedule: keeps files few and folders small."""

import inspect
from collections.abc import Iterator
from typing import Any

import dagster as dg

from practicus_assets.errors import DeclarationError
from practicus_assets.operations.configs import MaintainConfig
from practicus_assets.operations.table_job import SelectedTables, Selection, TableJob, table_job
from practicus_assets.parameters import named_parameters, refuse_unknown

_OP = "maintain"


@named_parameters
def build_maintain_job(selection: Selection | None = None, name: str = "table_maintain") -> TableJob:
    """Return a job that maintains tables; one that cannot be maintained does not stop the others.

    Its runs show what would be done, and do it with `apply: true` in their config.

    Args:
        selection: the assets that it is about, as for `dg.define_asset_job`; all by default.
        name: the job's name.

    """

    def make_op(tables: SelectedTables) -> dg.OpDefinition:
        @dg.op(name=_OP, out={}, required_resource_keys=tables.resource_keys)
        def maintain_tables(context: dg.OpExecutionContext, config: MaintainConfig) -> Iterator[Any]:
            """Compact, checkpoint, vacuum and expire."""
            from practicus_assets.operations.maintain import maintained

            yield from maintained(context, tables.entries(context), config)

        return maintain_tables

    return table_job(name, selection, "Compact, checkpoint, vacuum and expire tables.", make_op)


@named_parameters
def build_maintain_schedule(
    job: TableJob, cron_schedule: str = "0 3 * * *", **options: Any
) -> dg.ScheduleDefinition:
    """Return a schedule for a maintain job, by default each night at 3; it begins switched off.

    Its runs apply what they find: the config that it launches them with says `apply: true`. A `run_config`
    of your own takes its place, and must say so, too.

    Args:
        job: the job that `build_maintain_job` made.
        cron_schedule: the times to run at.
        options: other options of `dg.ScheduleDefinition`, e.g. `execution_timezone` or `run_config`.

    """
    if not isinstance(job, TableJob):
        raise DeclarationError(f"the job is {job!r}.", "Pass the job that build_maintain_job made.")
    own = ("job", "cron_schedule", *inspect.signature(dg.ScheduleDefinition.__init__).parameters)
    refuse_unknown("build_maintain_schedule", options, [name for name in own if name != "self"])
    options.setdefault("run_config", {"ops": {_OP: {"config": {"apply": True}}}})
    options.setdefault("description", f"Launches {job.name}, which applies what it finds.")
    return dg.ScheduleDefinition(name=f"{job.name}_schedule", job=job, cron_schedule=cron_schedule, **options)
