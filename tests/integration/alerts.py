"""Ticks of a sensor of notifications, as Dagster's daemon drives them, and a receiver that keeps messages."""

import logging
from typing import Any

import dagster as dg

from practicus_assets import build_notification_sensor
from practicus_assets.notifications.message import Message


class Shelf:
    """A receiver that keeps what it is told, or raises."""

    name = "shelf"

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.error: Exception | None = None

    def send(self, message: Message, log: logging.Logger) -> None:
        if self.error is not None:
            raise self.error
        self.messages.append(message)

    @property
    def titles(self) -> list[str]:
        return [message.title for message in self.messages]

    def last(self) -> str:
        return self.messages[-1].text


class Alerts:
    """A sensor of notifications as the daemon drives it; it begins before what the test does."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        *assets: Any,
        to: Any = None,
        checks: Any = (),
        sensor: dg.SensorDefinition | None = None,
        **options: Any,
    ) -> None:
        self.instance, self.shelf = instance, Shelf()
        self.sensor = sensor or build_notification_sensor(to or [self.shelf], **options)
        self.repository = dg.Definitions(
            assets=assets, asset_checks=checks, sensors=[self.sensor]
        ).get_repository_def()
        self.cursor: str | None = None
        self.said: str | None = None
        self.log: list[str] = []
        self.tick()

    def tick(self, *, crash: bool = False) -> list[str]:
        """Return the titles of the messages of one tick; one that crashes keeps no cursor."""
        before = len(self.shelf.messages)
        with dg.build_sensor_context(
            self.instance, cursor=self.cursor, repository_def=self.repository, sensor_name=self.sensor.name
        ) as context:
            handler = _Kept(self.log)
            context.log.addHandler(handler)
            data = self.sensor.evaluate_tick(context)
            context.log.removeHandler(handler)
        for event in data.asset_events:
            self.instance.report_runless_asset_event(event)
        if not crash:
            self.cursor, self.said = data.cursor, data.skip_message
        return self.shelf.titles[before:]


class _Kept(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())
