"""The sensor of sources: reports what changed in other systems, and requests the runs that follow from it."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from practicus_assets.errors import DeclarationError, SourceFailed
from practicus_assets.external.changes.cursor import Cursor, Place
from practicus_assets.external.changes.observer import Observer, following
from practicus_assets.external.changes.requested_runs import RequestedRuns
from practicus_assets.external.changes.turns import Turns, taken
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
    running: set[str] = set()  # of this process, as the threads are

    def evaluate(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        tick = _Tick(context, observers, Cursor.from_text(context.cursor))
        tick.look(running, newest=newest, others=others)
        requests = [] if target is None else tick.requests(str(sensor.job_name))
        return tick.result(requests)

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


class _Tick:
    """One tick of the sensor: what it found, and what it says of it.

    Args:
        context: the tick's.
        observers: the observers of the sources, by name.
        cursor: where the last tick stopped.

    """

    def __init__(
        self, context: dg.SensorEvaluationContext, observers: Mapping[str, Observer], cursor: Cursor
    ) -> None:
        self._context, self._observers, self._last = context, observers, cursor.last
        self._places = {name: cursor.places.get(name, Place()) for name in observers}
        self._turns: Turns[tuple[list[dg.AssetObservation], Place]] = Turns()
        self._notes: list[str] = []

    def look(self, running: set[str], *, newest: int, others: int) -> None:
        """Look at the sources, the one that had its turn last at the end."""

        def look_at(name: str) -> tuple[list[dg.AssetObservation], Place]:
            observer, now = self._observers[name], dt.datetime.now(dt.UTC)
            with observer.declaration.relation.system.session() as session:
                return observer.look(
                    session,
                    self._context.instance,
                    self._places[name],
                    now,
                    newest=newest,
                    others=others,
                )

        names = following(list(self._observers), self._last, len(self._observers))
        self._turns = taken(names, look_at, _TIME, running)
        begun = names[: len(names) - len(self._turns.later)]
        self._last = begun[-1] if begun else self._last
        self._places |= {name: place for name, (_, place) in self._turns.results.items()}
        for name, reason in self._turns.failures.items():
            self._context.log.warning("%s was not looked at: %s", name, in_short(reason, _LONGEST))

    def requests(self, job_name: str) -> list[dg.RunRequest]:
        """Return the runs that follow from what was recorded before this tick."""
        repository = self._context.repository_def
        assert repository is not None
        runs = RequestedRuns(repository.get_job(job_name), repository, self._context.instance)
        for name, observer in self._observers.items():
            self._places[name] = runs.add(observer, self._places[name])
        self._notes += runs.notes
        return runs.requests()

    def result(self, requests: list[dg.RunRequest]) -> dg.SensorResult:
        """Return what Dagster is told.

        Raises:
            SourceFailed: if no source could be looked at, and there is nothing else to report.

        """
        if not self._turns.results and not requests:
            failures = [f"{name}: {reason}" for name, reason in self._turns.failures.items()]
            raise SourceFailed("no source was looked at. " + " ".join(failures), "The next tick looks again.")
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else self._message(),
            cursor=Cursor(self._places, self._last).to_text(),
            asset_events=[event for events, _ in self._turns.results.values() for event in events],
        )

    def _message(self) -> str:
        changed = {name: events for name, (events, _) in self._turns.results.items() if events}
        sentences = [f"{name} changed{_in_partitions(events)}." for name, events in changed.items()]
        if not changed:
            sentences = [f"Nothing changed in {number_of(len(self._turns.results), 'source')}."]
        sentences += [
            f"{name} was not looked at: {in_short(reason, _LONGEST)}"
            for name, reason in self._turns.failures.items()
        ]
        if self._turns.later:
            sentences.append(f"There was no time left: the next tick begins with {self._turns.later[0]}.")
        return " ".join([*sentences, *(f"{note}." for note in self._notes)])


def _in_partitions(events: Sequence[dg.AssetObservation]) -> str:
    keys = [event.partition for event in events if event.partition is not None]
    if not keys:
        return ""
    shown = enumerated(keys) if len(keys) <= _SHOWN else f"{', '.join(keys[:_SHOWN])} …"
    return f" in {number_of(len(keys), 'partition')}: {shown}"
