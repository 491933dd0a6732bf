"""Environment variables by which a worker's process learns what its executor knows."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

STEP = "DAGSTER_RUN_STEP_KEY"  # as Dagster sets it in every step
ATTEMPT = "PRACTICUS_ATTEMPT"  # the number of the attempt, 1 for the first
IN_POD = "PRACTICUS_IN_POD"  # of a local process: whether that of its run is in a pod, "yes" or "no"
FOLDER = "PRACTICUS_FOLDER"  # of a local process: the folder in which its run loaded the definitions
ROOTS = "PRACTICUS_ROOTS"  # where lakes are found in the region, JSON, by the root that the code configures
HELD = "PRACTICUS_HELD"  # what the run's process holds open for its steps, JSON, see `launch.held`
ASKED = "PRACTICUS_ASKED"  # what the worker of the step asks for, JSON, see `launch.usage`
TIME_LIMIT = "PRACTICUS_TIME_LIMIT"  # of a local process: its worker's time limit, in seconds
SPLIT_JOBS = "PRACTICUS_SPLIT_JOBS"  # what the step makes the Jobs of its splits of, JSON
SPLIT = "PRACTICUS_SPLIT"  # of the pod of a split: where it finds its work, and leaves its answer, JSON
COMMAND_JOB = "PRACTICUS_COMMAND_JOB"  # the Job that the step starts for its command, JSON
ENGINE_POD = "PRACTICUS_ENGINE_POD"  # the pod of each worker of the engine that the step starts, JSON

_LOADED_IN = Path.cwd()


def working_folder() -> Path:
    """Return the folder in which the run that this process belongs to loaded its definitions."""
    return Path(os.environ.get(FOLDER, _LOADED_IN))


def of_step(job: str, step: str, attempt: int, roots: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables of an attempt; the `DAGSTER_*` ones are set by Dagster for every step.

    Args:
        job: the job's name.
        step: the step's key.
        attempt: the attempt's number, 1 for the first.
        roots: the roots of the region, see `Region`.

    """
    environment = {"DAGSTER_RUN_JOB_NAME": job, STEP: step, ATTEMPT: str(attempt)}
    return {**environment, ROOTS: json.dumps(dict(roots))} if roots else environment
