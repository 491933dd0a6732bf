"""Partitions in YAML."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import dagster as dg

from practicus_assets.components.environment import described
from practicus_assets.errors import DeclarationError

_BY_TIME = {
    "hourly": dg.HourlyPartitionsDefinition,
    "daily": dg.DailyPartitionsDefinition,
    "weekly": dg.WeeklyPartitionsDefinition,
    "monthly": dg.MonthlyPartitionsDefinition,
}


@dataclass(frozen=True)
class Partitions(dg.Resolvable):
    """Partitions: of time, or those with these keys."""

    every: Annotated[
        Literal["hourly", "daily", "weekly", "monthly"] | None, described("how long a partition is")
    ] = None
    start: Annotated[str | None, described('the first one\'s time, such as "2026-01-01"')] = None
    end: Annotated[
        str | None, described("the time at which the last one ends; without it there are more")
    ] = None
    timezone: Annotated[str | None, described("a time zone such as Europe/Berlin; UTC by default")] = None
    keys: Annotated[list[str] | None, described("the keys, where partitions are not of time")] = None

    def definition(self) -> dg.PartitionsDefinition[Any]:
        """Return Dagster's own.

        Raises:
            DeclarationError: if it is neither of time nor has keys, or both.

        """
        times = (self.start, self.end, self.timezone)
        if self.keys is not None and self.every is None and times == (None, None, None):
            return dg.StaticPartitionsDefinition(self.keys)
        if self.keys is not None or self.every is None or self.start is None:
            raise DeclarationError(
                "partitions are neither of time nor of keys alone.",
                'Write every: daily and start: "2026-01-01", or keys: [a, b].',
            )
        by_time: type[Any] = _BY_TIME[self.every]
        definition: dg.PartitionsDefinition[Any] = by_time(
            self.start, end_date=self.end, timezone=self.timezone
        )
        return definition
