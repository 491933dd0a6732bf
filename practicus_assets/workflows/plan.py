"""Plans: what the definitions of a workflow are made of, whatever it was written in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from practicus_assets.workers.request.worker import Worker
from practicus_assets.workflows.flow import Flow


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What definitions of a workflow are made of.

    Attributes:
        name: the name of the job and of the assets' group.
        folder: where the files of tasks are.
        flow: the order of the tasks.
        tables: options of the tables that tasks write, by task.
        parameters: of all tasks, with their defaults.
        schedule: a cron expression or a preset; None for none.
        execution_timezone: the schedule's time zone.
        retries, retry_delay_seconds: of each task.
        partitions_def: of all tasks.
        at_most_one_run: whether a scheduled run is skipped while one is in progress.
        workers: by task.
        environments: further parameters with their defaults, by task.
        commands: what a task runs that is no file of the folder, by task.
        metadata: of a task's asset, by task.

    """

    name: str
    folder: Path
    flow: Flow
    tables: Mapping[str, Mapping[str, Any]]
    parameters: Mapping[str, Any]
    schedule: str | None
    execution_timezone: str | None
    retries: int
    retry_delay_seconds: float
    partitions_def: dg.PartitionsDefinition[str] | None = None
    at_most_one_run: bool = False
    workers: dict[str, Worker] = field(default_factory=dict)
    environments: dict[str, dict[str, str]] = field(default_factory=dict)
    commands: dict[str, list[str]] = field(default_factory=dict)
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict)
