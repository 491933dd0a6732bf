"""The sensor of foreign commits: tells Dagster what other writers commit to the tables of a lake."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from practicus_assets.assets.catalog import TableEntry, entry
from practicus_assets.assets.io_manager import lake_of
from practicus_assets.automation.foreign_commits import Seen, look, newest_of
from practicus_assets.errors import DeclarationError, PracticusAssetsError, StoreFailed
from practicus_assets.external.changes.observer import following
from practicus_assets.parameters import named_parameters
from practicus_assets.wording import in_short, number_of

_TIME = 40.0  # seconds: Dagster ends a tick after 60
_LONGEST = 300  # characters of one table's failure

_Places = dict[str, Seen | None]


@named_parameters
def build_foreign_commits_sensor(
    tables: Sequence[dg.AssetsDefinition],
    *,
    name: str = "foreign_commits",
    max_partitions: int = 25,
    max_rows: int = 5_000_000,
    minimum_interval_seconds: int = 60,
    description: str | None = None,
    tags: dict[str, str] | None = None,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
) -> dg.SensorDefinition:
    """Return a sensor that tells Dagster of commits to tables which no run of this package made.

    A tick looks at the log of each table. For each partition whose newest commit is another writer's, such as
    Spark's, it reports a materialization with the data version of its rows, as a run would: conditions below
    fire, and tables below are stale. Rows that were written again and are equal keep their data version. What
    was committed before the sensor began is not reported.

    Args:
        tables: the table assets, each stored by a `DeltaIOManager`.
        name: the sensor's name.
        max_partitions: how many partitions of one table a tick reports at most; the next one goes on.
        max_rows: how many rows of one table a tick reads at most. A partition that has more is named by the
            tick, and not reported.
        minimum_interval_seconds: the time between two ticks, in seconds.
        description: what Dagster's pages say of it.
        tags: the sensor's tags.
        default_status: whether it runs as soon as it is deployed.

    Raises:
        DeclarationError: if there are no tables, or numbers that leave nothing to report.

    """
    if not tables or not all(isinstance(table, dg.AssetsDefinition) for table in tables):
        raise DeclarationError(f"the sensor {name} is given {tables!r}.", "Give it a list of tables.")
    if max_partitions < 1 or max_rows < 1:
        raise DeclarationError(
            f"the sensor {name} has max_partitions={max_partitions} and max_rows={max_rows}.",
            "Write 1 or more.",
        )
    lakes = {key: table.get_io_manager_key_for_asset_key(key) for table in tables for key in table.keys}

    def evaluate(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        entries = {
            found.name: found
            for table in tables
            for key in sorted(table.keys)
            for found in [entry(table, key, lake_of(context, lakes[key]))]
        }
        tick = _Tick(context, entries, *_from_text(context.cursor))
        tick.look(max_partitions, max_rows)
        return tick.result()

    return dg.SensorDefinition(
        name=name,
        evaluation_fn=evaluate,
        minimum_interval_seconds=minimum_interval_seconds,
        description=description or "Tells Dagster what other writers commit to tables.",
        tags=tags,
        default_status=default_status,
        required_resource_keys=set(lakes.values()),
    )


class _Tick:
    """One tick: what it found, and what it says of it.

    Args:
        context: the tick's.
        entries: the tables, by name.
        places: how far their logs were looked at, by name.
        last: the table that was looked at last; empty for none.

    """

    def __init__(
        self,
        context: dg.SensorEvaluationContext,
        entries: Mapping[str, TableEntry],
        places: _Places,
        last: str,
    ) -> None:
        self._context, self._entries, self._last = context, entries, last
        self._places = {name: place for name, place in places.items() if name in entries}
        self._events: list[dg.AssetMaterialization] = []
        self._notes: list[str] = []
        self._looked = 0

    def look(self, max_partitions: int, max_rows: int) -> None:
        """Look at the tables, the one that had its turn last at the end, until the time is over."""
        ends = time.monotonic() + _TIME
        for name in following(list(self._entries), self._last, len(self._entries)):
            if time.monotonic() > ends:
                self._notes.append(f"there was no time left: the next tick begins with {name}")
                return
            self._last = name
            try:
                self._look_at(name, max_partitions, max_rows)
                self._looked += 1
            except PracticusAssetsError as error:  # one table does not stop the others
                self._notes.append(f"{name} was not looked at: {in_short(str(error), _LONGEST)}")

    def _look_at(self, name: str, max_partitions: int, max_rows: int) -> None:
        entry, instance = self._entries[name], self._context.instance
        if name not in self._places:  # what there is when the sensor begins is no news
            self._places[name] = newest_of(entry)
            return
        found = look(entry, instance, self._places[name], most=max_partitions, most_rows=max_rows)
        if found is not None:
            self._places[name] = found.seen
            self._events += found.events
            if found.note:
                self._notes.append(f"{name}: {found.note}")

    def result(self) -> dg.SensorResult:
        """Return what Dagster is told.

        Raises:
            StoreFailed: if no table could be looked at.

        """
        for note in self._notes:
            self._context.log.warning("%s", note)
        if not self._looked:
            raise StoreFailed(
                f"no table was looked at: {' '.join(self._notes)}", "The next tick looks again."
            )
        return dg.SensorResult(
            skip_reason=" ".join(self._sentences()),
            cursor=_to_text(self._places, self._last),
            asset_events=self._events,
        )

    def _sentences(self) -> Iterator[str]:
        changed: dict[str, int] = {}
        for event in self._events:
            table = event.asset_key.to_user_string()
            changed[table] = changed.get(table, 0) + bool(event.partition)
        for table, count in changed.items():
            where = f" in {number_of(count, 'partition')}" if count else ""
            yield f"Others wrote {table}{where}."
        if not changed:
            yield f"Others wrote nothing to {number_of(self._looked, 'table')}."
        yield from (f"{note}." for note in self._notes)


def _from_text(text: str | None) -> tuple[_Places, str]:
    """Return the cursor of a text; one that says nothing, where the text is none of a cursor."""
    try:
        content = json.loads(text or "{}")
        places: _Places = {
            str(name): None if place is None else Seen(str(place[0]), int(place[1]))
            for name, place in content.get("tables", {}).items()
        }
        return places, str(content.get("last", ""))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return {}, ""


def _to_text(places: _Places, last: str) -> str:
    tables = {name: None if p is None else [p.table_id, p.version] for name, p in sorted(places.items())}
    return json.dumps({"tables": tables, "last": last})
