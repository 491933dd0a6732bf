"""Environment variables by which a worker's process learns what its executor knows."""

import json
from collections.abc import Mapping

ATTEMPT = "PRACTICUS_ATTEMPT"  # the number of the attempt, 1 for the first
ROOTS = "PRACTICUS_ROOTS"  # where lakes are found in the region, JSON, by the root that the code configures


def of_step(job: str, step: str, attempt: int, roots: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of an attempt at a step; those of Dagster are known to its users.

    Args:
        job: its name.
        step: the step's key.
        attempt: 1 for the first.
        roots: of the region, see `Region`.

    """
    found = {"DAGSTER_RUN_JOB_NAME": job, "DAGSTER_RUN_STEP_KEY": step, ATTEMPT: str(attempt)}
    return {**found, ROOTS: json.dumps(dict(roots))} if roots else found
