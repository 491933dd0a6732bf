"""Ticks of sensors of sources and of lakes, as Dagster's daemon drives them."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from practicus_assets import DeltaIOManager, Source, build_source_sensor
from tests.integration.bench import Bench


class Ticks:
    """A sensor as the daemon drives it: what a tick reports is recorded, then its cursor is kept."""

    def __init__(
        self, instance: dg.DagsterInstance, *assets: Any, target: Any = None, **options: Any
    ) -> None:
        instance.wipe()
        self.instance = instance
        sources = [asset for asset in assets if isinstance(asset, Source)]
        self.sensor = build_source_sensor(sources, target=target, **options)
        self.repository = dg.Definitions(assets=assets, sensors=[self.sensor]).get_repository_def()
        self.cursor: str | None = None
        self.message: str | None = None
        self.requests: list[dg.RunRequest] = []

    def evaluate(self) -> Any:
        context = dg.build_sensor_context(
            self.instance, cursor=self.cursor, repository_def=self.repository, sensor_name=self.sensor.name
        )
        if self.instance.is_persistent:
            context._instance_ref = self.instance.get_ref()  # as a code server has it
        return self.sensor.evaluate_tick(context)

    def tick(self, *, crash: bool = False) -> dict[str, str | None]:
        """Return the data versions that a tick reports, by partition; one that crashes keeps no cursor."""
        data = self.evaluate()
        for event in data.asset_events:
            self.instance.report_runless_asset_event(event)
        if not crash:
            self.cursor, self.message, self.requests = data.cursor, data.skip_message, data.run_requests
        return {
            event.partition or event.asset_key.path[-1]: event.data_version for event in data.asset_events
        }

    def requested(self) -> list[str | None]:
        return sorted(request.partition_key or "" for request in self.requests)


class LakeTicks:
    """A sensor of a bench's lake, as processes drive it of which each tick may be the first."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.cursor: str | None = None
        self.message: str | None = None

    def evaluate(self, sensor: dg.SensorDefinition, assets: Sequence[Any], *, crash: bool) -> Any:
        """Return what a tick gives; one that crashes keeps no cursor."""
        resources = {"io_manager": DeltaIOManager(root_uri=self.bench.root)}
        defs = dg.Definitions(assets=assets, sensors=[sensor], resources=resources)
        repository = defs.get_repository_def()
        with dg.build_sensor_context(
            self.bench.instance, cursor=self.cursor, repository_def=repository, resources=resources
        ) as context:
            data = sensor.evaluate_tick(context)
        if not crash:
            self.cursor, self.message = data.cursor, data.skip_message
        return data
