"""Schedules of workflows."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from practicus_assets.errors import DeclarationError
from practicus_assets.workflows.plan import Plan

_CRON = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_IN_PROGRESS = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def schedules_of(plan: Plan, job: Any) -> Iterator[Any]:
    """Yield the schedule of a workflow, if it has one. It is off until somebody turns it on.

    Raises:
        DeclarationError: for a schedule that is no time, or not that of the workflow's partitions.

    """
    if plan.schedule is None:
        return
    cron = _CRON.get(plan.schedule, plan.schedule)
    if cron.startswith("@"):
        raise DeclarationError(
            f"the schedule of {plan.name} is {cron!r}, which is no time.",
            "Run the job by hand, or by a sensor.",
        )
    name = f"{plan.name}_schedule"
    if plan.partitions_def is not None:
        windows = getattr(plan.partitions_def, "cron_schedule", None)
        if cron != windows or plan.execution_timezone is not None:
            raise DeclarationError(
                f"the schedule of {plan.name} is {cron!r}, and its partitions are complete at {windows!r}.",
                "A partitioned workflow runs when a partition is complete: give it the schedule and time "
                "zone of its partitions_def, and no execution_timezone.",
            )
        yield dg.build_schedule_from_partitioned_job(job, name=name)
    elif plan.at_most_one_run:
        yield _one_at_a_time(name, job, cron, plan)
    else:
        yield dg.ScheduleDefinition(
            name, job=job, cron_schedule=cron, execution_timezone=plan.execution_timezone
        )


def _one_at_a_time(name: str, job: Any, cron: str, plan: Plan) -> dg.ScheduleDefinition:
    def requests(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        filters = dg.RunsFilter(job_name=plan.name, statuses=_IN_PROGRESS)
        running = context.instance.get_runs(filters, limit=1)
        if running:
            return dg.SkipReason(f"run {running[0].run_id} of {plan.name} is in progress")
        return dg.RunRequest()

    decorate = dg.schedule(cron_schedule=cron, job=job, name=name, execution_timezone=plan.execution_timezone)
    return decorate(requests)
