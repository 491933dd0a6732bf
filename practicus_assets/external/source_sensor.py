"""The sensor of sources: reports what changed in other systems, and requests the runs that follow from it."""

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import dagster as dg

from practicus_assets.errors import DeclarationError, PracticusAssetsError, SourceFailed
from practicus_assets.external.changes.cursor import Cursor, Place
from practicus_assets.external.changes.observer import Observer, following
from practicus_assets.external.changes.requested_runs import RequestedRuns
from practicus_assets.external.source import Source
from practicus_assets.parameters import named_parameters
from practicus_assets.wording import enumerated, in_short, number_of

_TIME = 40.0  # seconds: Dagster ends a tick after 60
_SHOWN = 5  # partitions of one source in a message
_LONGEST = 300  # characters of one source's failure


@named_parameters
def build_source_sensor(
    sources: Sequence[Source],
    *,
    name: str = "source_changes",
    target: Any = None,
    newest: int = 3,
    others: int = 10,
    minimum_interval_seconds: int = 60,
    description: str | None = None,
    tags: dict[str, str] | None = None,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
) -> dg.SensorDefinition:
    """Return a sensor that reports which sources changed, as observations with a data version.

    A tick looks at each source; of a partitioned one at the newest partitions, at those which late rows touch
    (`updated_at` of the source), and at some older ones in turn. It reports a partition only if its data
    version is another one than Dagster has recorded, so that tables with `AutomationCondition.eager()` are
    made again just then. With a target, the next tick requests a run of it for each partition that changed,
    once. A source that cannot be read does not stop the others.

    Args:
        sources: the sources.
        name: the sensor's name.
        target: what runs when a source changed: a job, or a selection of assets with the same partitions;
            None to leave it to conditions.
        newest: how many partitions at the end every tick looks at.
        others: how many further partitions of each source a tick looks at, at most.
        minimum_interval_seconds: the time between two ticks, in seconds.
        description: what Dagster's pages say of it.
        tags: the sensor's tags.
        default_status: whether it runs as soon as it is deployed.

    Raises:
        DeclarationError: if there are no sources, or numbers that leave nothing to look at.

    """
    for source in sources:
        if not isinstance(source, Source):
            raise DeclarationError(
                f"the sensor {name} is given {source!r}, which is no source.", "Give it Source(…) objects."
            )
    if not sources:
        raise DeclarationError(f"the sensor {name} has no sources.", "Give it at least one Source(…).")
    if newest < 1 or others < 0:
        raise DeclarationError(
            f"the sensor {name} has newest={newest} and others={others}.",
            "Write 1 or more, and 0 or more.",
        )
    observers = {observer.name: observer for observer in (source.observer for source in sources)}

    def evaluate(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        tick = _Tick(context, Cursor.from_text(context.cursor), newest, others)
        tick.look(observers)
        requests = [] if target is None else tick.request(str(sensor.job_name), observers)
        return tick.result(observers, requests)

    sensor = dg.SensorDefinition(
        name=name,
        evaluation_fn=evaluate,
        target=target,
        minimum_interval_seconds=minimum_interval_seconds,
        description=description or f"Reports changes of {enumerated(sorted(observers))}.",
        tags=tags,
        default_status=default_status,
    )
    return sensor


@dataclass
class _Tick:
    """One tick of the sensor: what it found, and what it says of it."""

    context: dg.SensorEvaluationContext
    cursor: Cursor
    newest: int
    others: int
    events: list[dg.AssetObservation] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    looked: list[str] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)

    def look(self, observers: dict[str, Observer]) -> None:
        """Look at the sources as long as there is time, the one that had its turn last at the end."""
        self.places = {name: self.cursor.places.get(name, Place()) for name in observers}
        ends = time.monotonic() + _TIME
        for name in following(list(observers), self.cursor.last, len(observers)):
            if self.looked and time.monotonic() > ends:
                break
            self.looked.append(name)
            try:
                self._look_at(name, observers[name])
            except PracticusAssetsError as error:
                self._fail(name, str(error))
            except Exception as error:  # noqa: BLE001 one source does not stop the others
                self._fail(name, type(error).__name__)  # nobody knows what its text shows

    def _look_at(self, name: str, observer: Observer) -> None:
        now = dt.datetime.now(dt.UTC)
        with observer.declaration.relation.system.session() as session:
            events, self.places[name] = observer.look(
                session,
                self.context.instance,
                self.places[name],
                now,
                newest=self.newest,
                others=self.others,
            )
        self.events += events

    def _fail(self, name: str, reason: str) -> None:
        self.failures[name] = in_short(reason, _LONGEST)
        self.context.log.warning("%s was not looked at: %s", name, self.failures[name])

    def request(self, job_name: str, observers: dict[str, Observer]) -> list[dg.RunRequest]:
        """Return the runs that follow from what was recorded before this tick."""
        repository = self.context.repository_def
        assert repository is not None
        runs = RequestedRuns(repository.get_job(job_name), repository, self.context.instance)
        for name, observer in observers.items():
            self.places[name] = runs.add(observer, self.places[name])
        self.notes += runs.notes
        return runs.requests()

    def result(self, observers: dict[str, Observer], requests: list[dg.RunRequest]) -> dg.SensorResult:
        """Return what Dagster is told.

        Raises:
            SourceFailed: if no source could be looked at, and there is nothing else to report.

        """
        if len(self.failures) == len(self.looked) and not requests:
            raise SourceFailed(
                "; ".join(f"{name}: {reason}" for name, reason in self.failures.items()),
                "The next tick looks again.",
            )
        cursor = replace(self.cursor, places=self.places, last=self.looked[-1])
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else self._message(observers),
            cursor=cursor.to_text(),
            asset_events=self.events,
        )

    def _message(self, observers: dict[str, Observer]) -> str:
        changed: dict[str, list[str]] = {}
        for event in self.events:
            changed.setdefault(event.asset_key.to_user_string(), []).append(event.partition or "")
        sentences = [f"{name} changed{_of_partitions(keys)}." for name, keys in changed.items()]
        if not sentences:
            readable = len(self.looked) - len(self.failures)
            sentences = [f"Nothing changed in {number_of(readable, 'source')}."]
        sentences += [f"{name} was not looked at: {reason}" for name, reason in self.failures.items()]
        if len(self.looked) < len(observers):
            [first] = following(list(observers), self.looked[-1], 1)
            sentences.append(f"There was no time left: the next tick begins with {first}.")
        return " ".join([*sentences, *(f"{note}." for note in self.notes)])


def _of_partitions(keys: Sequence[str]) -> str:
    if keys == [""]:
        return ""
    shown = enumerated(keys) if len(keys) <= _SHOWN else f"{', '.join(keys[:_SHOWN])} …"
    return f" in {number_of(len(keys), 'partition')}: {shown}"
