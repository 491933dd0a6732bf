"""What a plan is made of: the code location's definitions, and the instance if there is one."""

from collections.abc import Iterator
from contextlib import contextmanager

from practicus_assets.assets.catalog import catalog
from practicus_assets.cli.answers import locations
from practicus_assets.cli.answers.instance import instance_or_none
from practicus_assets.cli.dagster_home import instance_is_set
from practicus_assets.code_location import CodeLocation
from practicus_assets.definitions import loading
from practicus_assets.planning.planner import Surroundings
from practicus_assets.workers.placement.configuration import Configuration
from practicus_assets.workers.steps import jobs


@contextmanager
def surroundings(location: CodeLocation) -> Iterator[Surroundings]:
    """Load a code location, and open the instance; without DAGSTER_HOME, an empty one knows no partitions.

    Raises:
        DeclarationError: if the code location cannot be loaded, or the instance cannot be opened.

    """
    definitions = locations.definitions(location)
    with loading(location):
        entries = {entry.key: entry for entry in catalog(definitions).values()}
        locations.remember_names([location], entries.values())
        job = next(iter(jobs(definitions)), None)
    has_workers = job is not None and job.has_workers
    configuration = Configuration.of(job.config) if job is not None and has_workers else None
    with instance_or_none() as store:
        graph = definitions.resolve_asset_graph()
        yield Surroundings(graph, entries, configuration, store, store if instance_is_set() else None)
