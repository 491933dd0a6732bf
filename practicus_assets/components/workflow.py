"""`Workflow`: a folder of tasks in their order, as YAML."""

import re
from dataclasses import dataclass, field
from typing import Annotated, Any

import dagster as dg

from practicus_assets.components.environment import described, late, worker_fields
from practicus_assets.components.partitions import Partitions
from practicus_assets.components.scaffolding import script, write_new
from practicus_assets.errors import DeclarationError

_OF_FLOWS = ("name", "default_worker", "workers", "parameters", "schedule", "retries", "partitions")
_OF_DAG_FILES = ("images", "regions")


class WorkflowScaffolder(dg.Scaffolder[Any]):
    """What `dg scaffold defs` writes: two scripts, the second after the first."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write the component's file, and its tasks."""
        for name in ("first", "second"):
            write_new(request.target_path / "tasks" / f"{name}.py", script(name))
        dg.scaffold_component(request, {"flow": "first >> second"})


@dg.scaffold_with(WorkflowScaffolder)
@dataclass(frozen=True)
class Workflow(dg.Component, dg.Resolvable):
    """A workflow: the scripts of a folder in the order of a flow, as assets with a job and its schedule.

    Without a flow, the folder is one as Practicus AI writes it, and its dag file says the order.
    `{{ env.NAME }}` in parameters is read where a task runs, and shown nowhere.
    """

    path: Annotated[str, described("the folder of the tasks, from that of this file")] = "tasks"
    flow: Annotated[str | None, described('the order, such as "[orders, customers] >> report"')] = None
    name: Annotated[str | None, described("the job's name; by default that of this file's folder")] = None
    default_worker: Annotated[
        dict[str, Any] | None, worker_fields("what a task asks for: size, cpu, memory, image, …")
    ] = None
    workers: Annotated[
        dict[str, dict[str, Any]], worker_fields("what single tasks ask for, over the default worker")
    ] = field(default_factory=dict)
    worker_files: Annotated[
        bool, described("whether default_worker.json and <task>_worker.json say what tasks ask for, too")
    ] = True
    parameters: Annotated[
        dict[str, Any], late("environment variables of all tasks; a secret is written as {{ env.NAME }}")
    ] = field(default_factory=dict)
    schedule: Annotated[str | None, described('a cron expression, or "@daily" and its like')] = None
    execution_timezone: Annotated[str | None, described("the schedule's time zone; UTC by default")] = None
    retries: Annotated[int, described("how often a task is tried again after it failed")] = 0
    partitions: Annotated[Partitions | None, described("the partitions of all tasks")] = None
    images: Annotated[
        dict[str, str], described("images by the names that worker files use; of dag files")
    ] = field(default_factory=dict)
    regions: Annotated[dict[str, str], described("regions by the URLs in worker files; of dag files")] = (
        field(default_factory=dict)
    )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return assets, job and schedule. Raises DeclarationError as `workflow` does."""
        from practicus_assets.workers.request.worker import Worker
        from practicus_assets.workflows.practicus.folder import workflow_from_folder
        from practicus_assets.workflows.workflow import workflow

        folder = context.path / self.path
        self._refuse_others()
        if self.flow is None:
            return workflow_from_folder(
                folder, images=self.images, regions=self.regions, execution_timezone=self.execution_timezone
            )
        return workflow(
            self.name or re.sub(r"[^A-Za-z0-9_]", "_", context.path.name),
            self.flow,
            path=folder,
            default_worker=Worker(**self.default_worker) if self.default_worker else None,
            workers={task: Worker(**fields) for task, fields in self.workers.items()},
            worker_files=self.worker_files,
            parameters=self.parameters,
            schedule=self.schedule,
            execution_timezone=self.execution_timezone,
            retries=self.retries,
            partitions_def=self.partitions.definition() if self.partitions is not None else None,
        )

    def _refuse_others(self) -> None:
        """Raise DeclarationError for what the order's kind does not take."""
        others = _OF_FLOWS if self.flow is None else _OF_DAG_FILES
        given = [name for name in others if getattr(self, name)]
        if given and self.flow is None:
            raise DeclarationError(
                f"there is no flow, so the dag file of the folder says what {given[0]} says.",
                f"Write the flow, or remove {given[0]}.",
            )
        if given:
            raise DeclarationError(
                f"{given[0]} is about the worker files of a folder with a dag file, and there is a flow.",
                f"Remove {given[0]}, or the flow.",
            )
