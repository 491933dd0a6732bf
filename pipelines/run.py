"""One run of all tables, which belongs to the code location as a run that is started in the UI does.

    python -m pipelines.run RUN_ID FIRST...LAST

A run of `dagster asset materialize` or `dg launch` belongs to none, and Dagster's overview leaves it out.
"""

import sys
from pathlib import Path

import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.execution.api import execute_run
from dagster._core.remote_origin import RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG
from dagster._core.workspace.load_target import ModuleTarget
from dagster._utils.interrupts import capture_interrupts

_MODULE = "pipelines"
_FOLDER = str(Path(__file__).parents[1])


def main(run_id: str, partitions: str) -> int:
    """Run the tables, and return the exit code.

    Args:
        run_id: the run's id, by which the caller finds it.
        partitions: the first and the last day, as in `2013-01-01...2013-01-31`.

    """
    first, _, last = partitions.partition("...")
    repository = ReconstructableRepository.for_module(_MODULE, "defs", _FOLDER)
    definition = repository.get_definition()
    assets = dg.AssetSelection.all().resolve(definition.asset_graph)
    job = definition.get_implicit_job_def_for_assets(assets)
    assert job is not None
    [location] = ModuleTarget(_MODULE, None, _FOLDER, _MODULE).create_origins()
    with capture_interrupts(), dg.DagsterInstance.get() as instance:  # else SIGTERM would leave its steps
        run = instance.create_run_for_job(
            job,
            run_id=run_id,
            tags={ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last},
            asset_selection=assets,
            remote_job_origin=RemoteJobOrigin(RemoteRepositoryOrigin(location, definition.name), job.name),
            job_code_origin=repository.get_python_origin().get_job_origin(job.name),
        )
        result = execute_run(repository.get_reconstructable_job(job.name), run, instance)
    return 0 if result.success else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
