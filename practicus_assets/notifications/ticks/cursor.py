"""The cursor of the sensor: what it has dealt with, what does not go well, and who has not been told yet."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from practicus_assets.notifications.ended_runs import RunCursor
from practicus_assets.notifications.open_problems import OpenProblems
from practicus_assets.notifications.outbox import Outbox

_FORMAT = 1


@dataclass
class Cursor:
    """What is kept between ticks.

    Attributes:
        runs: which ended runs are dealt with.
        problems: what does not go well.
        outboxes: what receivers have not been told yet, by their names.
        freshness: what was last found by each check of partitions: whether it passed, and of which one.

    """

    runs: RunCursor
    problems: OpenProblems = field(default_factory=OpenProblems)
    outboxes: dict[str, Outbox] = field(default_factory=dict)
    freshness: dict[str, list[Any]] = field(default_factory=dict)

    @classmethod
    def from_text(cls, text: str | None, instance: dg.DagsterInstance) -> "Cursor":
        """Return the cursor of a tick; for a first one, or a text that is none, one that begins now."""
        try:
            stored = json.loads(text or "")
            if stored["format"] == _FORMAT:
                return cls(
                    RunCursor.from_json(stored["runs"]),
                    OpenProblems(stored["problems"]),
                    {name: Outbox.from_json(outbox) for name, outbox in stored["outboxes"].items()},
                    dict(stored["freshness"]),
                )
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        return cls(RunCursor.at_end(instance))

    def to_text(self, names: Sequence[str]) -> str:
        """Return the text to keep, with the outboxes of these receivers."""
        return json.dumps(
            {
                "format": _FORMAT,
                "runs": self.runs.to_json(),
                "problems": self.problems.to_json(),
                "freshness": self.freshness,
                "outboxes": {name: self.outboxes[name].to_json() for name in names if name in self.outboxes},
            },
            ensure_ascii=False,
            separators=(",", ":"),
        )
