"""Ticks of a sensor of sources, as Dagster's daemon drives them."""

from typing import Any

import dagster as dg

from practicus_assets import Source, build_source_sensor


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
