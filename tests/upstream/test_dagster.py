"""What we rely on in Dagster: what it makes of the data versions of assets that it does not make."""

from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest

SOURCE, TABLE = dg.AssetKey("source"), dg.AssetKey("table")
DAYS = dg.StaticPartitionsDefinition(["2026-01-01", "2026-01-02"])
DAY = "2026-01-01"


class Lineage:
    """A table asset, made eagerly, below a source that is an external or an observable asset."""

    def __init__(self, instance: dg.DagsterInstance, *, observable: bool, day: str | None = None) -> None:
        partitions = DAYS if day else None
        spec = dg.AssetSpec(SOURCE, partitions_def=partitions)

        @dg.multi_observable_source_asset(specs=[spec], partitions_def=partitions, can_subset=True)
        def source() -> Iterator[dg.ObserveResult]:
            yield from ()

        @dg.asset(
            key=TABLE,
            deps=[SOURCE],
            partitions_def=partitions,
            automation_condition=dg.AutomationCondition.eager(),
        )
        def table() -> None: ...

        self.instance, self.day, self.cursor = instance, day, None
        self.definitions = dg.Definitions([source if observable else spec, table])
        self.requested()

    def observe(self, version: str) -> None:
        self.instance.report_runless_asset_event(
            dg.AssetObservation(SOURCE, partition=self.day, tags={"dagster/data_version": version})
        )

    def materialize(self) -> None:
        job = self.definitions.resolve_implicit_global_asset_job_def()
        job.execute_in_process(instance=self.instance, asset_selection=[TABLE], partition_key=self.day)
        self.requested()

    def requested(self) -> bool:
        """Return whether the condition asks for the table, for changes since it was asked last."""
        result = dg.evaluate_automation_conditions(self.definitions, self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        return result.get_num_requested(TABLE) > 0

    def is_stale(self) -> bool:
        graph = self.definitions.resolve_asset_graph()
        resolver = CachingStaleStatusResolver(self.instance, graph, LoadingContextForTest(self.instance))
        return resolver.get_status(TABLE, self.day).value == "STALE"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.mark.parametrize("day", [None, DAY], ids=["whole table", "partition"])
def test_an_observed_version_requests_and_stales_a_table_only_when_it_is_a_new_one(
    instance: dg.DagsterInstance, day: str | None
) -> None:
    lineage = Lineage(instance, observable=True, day=day)
    lineage.observe("1")
    assert lineage.requested()
    lineage.materialize()
    assert not lineage.is_stale()
    lineage.observe("1")
    assert (lineage.requested(), lineage.is_stale()) == (False, False)
    lineage.observe("2")
    assert (lineage.requested(), lineage.is_stale()) == (True, True)
    lineage.materialize()
    assert (lineage.requested(), lineage.is_stale()) == (False, False)


def test_a_table_below_an_observed_external_asset_is_stale_for_ever_and_never_requested(
    instance: dg.DagsterInstance,
) -> None:
    # So sources are observable assets: an AssetSpec's observations are half read.
    lineage = Lineage(instance, observable=False)
    lineage.observe("1")
    assert not lineage.requested()
    lineage.materialize()
    assert lineage.is_stale()


def test_a_version_observed_first_after_the_table_was_made_stales_no_partition(
    instance: dg.DagsterInstance,
) -> None:
    # So a sensor is switched on before the tables below its sources are made, or these are made again.
    lineage = Lineage(instance, observable=True, day=DAY)
    lineage.materialize()
    lineage.observe("1")
    assert not lineage.is_stale()
    assert lineage.requested()
