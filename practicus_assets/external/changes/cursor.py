"""The cursor of a sensor of sources: where its next tick goes on."""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Place:
    """How far the ticks have come with one source.

    Nothing of it says what was observed, which the instance has recorded: if it is lost, ticks look again.

    Attributes:
        older: the older partition that had its turn last.
        since: the moment up to which all late rows were looked for; None if nobody looked yet.
        began: when the look for late rows began that several ticks share; None if the last one is finished.
        late: the partition with late rows that was looked at last.
        recorded: the number of the newest observation for which runs were requested; None if nobody asked.

    """

    older: str | None = None
    since: dt.datetime | None = None
    began: dt.datetime | None = None
    late: str | None = None
    recorded: int | None = None


@dataclass(frozen=True)
class Cursor:
    """Where the next tick goes on.

    Attributes:
        places: how far the ticks have come, by the names of the sources.
        last: the source that was looked at last.

    """

    places: Mapping[str, Place] = field(default_factory=dict)
    last: str | None = None

    @classmethod
    def from_text(cls, text: str | None) -> "Cursor":
        """Return the cursor of a text; one that says nothing, where the text is none of a cursor."""
        try:
            content = json.loads(text or "{}")
            places = {str(name): _place(entry) for name, entry in content.get("sources", {}).items()}
            return cls(places, content.get("last"))
        except (AttributeError, TypeError, ValueError):
            return cls()

    def to_text(self) -> str:
        """Return the cursor as a text, whose length is bounded by the number of sources."""
        entries = {name: _entry(place) for name, place in sorted(self.places.items())}
        return json.dumps({"sources": entries, "last": self.last})


def _entry(place: Place) -> dict[str, Any]:
    values = {each.name: getattr(place, each.name) for each in fields(place)}
    return {
        name: value.isoformat() if isinstance(value, dt.datetime) else value
        for name, value in values.items()
        if value is not None
    }


def _place(entry: Mapping[str, Any]) -> Place:
    known: dict[str, Any] = {each.name: entry.get(each.name) for each in fields(Place)}
    moments = ("since", "began")
    known |= {name: dt.datetime.fromisoformat(known[name]) for name in moments if known[name] is not None}
    return Place(**known)
