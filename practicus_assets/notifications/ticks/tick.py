"""One tick: what it reads of the instance, and what it tells the receivers."""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from practicus_assets.automation.partition_freshness import deadline_of, evaluation_of
from practicus_assets.errors import DeclarationError, PracticusAssetsError
from practicus_assets.external.changes.turns import taken
from practicus_assets.notifications import run_notices, standing
from practicus_assets.notifications.ended_runs import EndedRun
from practicus_assets.notifications.notice import Notice, Pages
from practicus_assets.notifications.outbox import Limit, Outbox
from practicus_assets.notifications.receiver import Receiver, text_of
from practicus_assets.notifications.run_notices import Catalog
from practicus_assets.notifications.ticks.cursor import Cursor
from practicus_assets.redaction import description
from practicus_assets.wording import in_short, number_of

if TYPE_CHECKING:
    from practicus_assets.notifications.message import Message

_READING, _SENDING = 25.0, 15.0  # seconds: Dagster ends a tick after 60
_RUNS = 500  # ended runs that one tick deals with at most
_LONGEST = 300  # characters of one receiver's failure


class Tick:
    """One tick: what it reads, and what it tells.

    Args:
        context: the tick's.
        pages: the addresses of Dagster's pages.
        all_locations: whether other code locations count.

    Attributes:
        cursor: what is kept.
        events: what was found of partitions, as Dagster records it.

    """

    def __init__(self, context: dg.SensorEvaluationContext, pages: Pages, *, all_locations: bool) -> None:
        self._context, self._instance, self._log = context, context.instance, context.log
        repository: Any = context.repository_def
        self._repository = repository
        self._catalog = Catalog(repository.asset_graph, pages)
        origin = context.code_location_origin
        self._location = origin.location_name if origin is not None else None
        self._all_locations = all_locations
        self.cursor = Cursor.from_text(context.cursor, self._instance)
        self.events: list[dg.AssetCheckEvaluation] = []

    def read(self, *, error_text: bool) -> list[Notice]:
        """Return what people are to know, and move the cursor; what cannot be read stops nothing else."""
        now, specs = time.time(), self._freshness_specs()
        own = self._context.sensor_name
        location = None if self._all_locations else self._location
        late = standing.late_tables(self._instance, self._catalog, now)
        broken = standing.broken_instigators(self._instance, location, own, now, error_text=error_text)
        parts: dict[str, Iterator[Notice]] = {
            "runs": self._of_runs(now, [spec.key for spec in specs], error_text=error_text),
            "freshness policies": self._standing("late policy", late, now),
            "partitions": self._standing("late partition", self._late_partitions(specs, now), now),
            "sensors and schedules": self._standing("stuck", broken, now),
        }
        notices: list[Notice] = []
        for what, part in parts.items():
            try:
                for notice in part:
                    notices.append(notice)  # noqa: PERF402 what came before an error counts
            except Exception as error:  # noqa: BLE001 one part does not stop the others
                self._log.warning("%s were not looked at: %s", what, in_short(description(error), _LONGEST))
        return notices

    def tell(
        self, receivers: dict[str, Receiver], notices: Sequence[Notice], limit: Limit, running: set[str]
    ) -> str:
        """Tell the receivers what is due, side by side, and return what became of it."""
        now, outboxes = time.time(), self.cursor.outboxes
        due: dict[str, list[Message]] = {}
        for name in receivers:
            outbox = outboxes.setdefault(name, Outbox())
            if lost := outbox.add(notices) + outbox.drop_old(now):
                self._log.error("%s: %s could not be told", name, number_of(lost, "notification"))
            if messages := outbox.due(now, limit):
                due[name] = messages
        sent: dict[str, list[Message]] = {name: [] for name in due}

        def send(name: str) -> None:
            for message in due[name]:
                receivers[name].send(message, self._log)
                sent[name].append(message)

        turns = taken(list(due), send, _SENDING, running, side_by_side=len(due), late="it is tried again")
        for name, messages in sent.items():
            for message in list(messages):
                outboxes[name].was_sent(message, now)
        for name, reason in turns.failures.items():
            wait = outboxes[name].has_failed(now, due[name][len(sent[name]) :])
            self._log.warning("%s: %s Next try in %d s.", name, in_short(reason, _LONGEST), wait)
        waiting = sum(group.count for name in receivers for group in outboxes[name].groups.values())
        count = sum(map(len, sent.values()))
        told = f"{number_of(count, 'message')} sent" if count else f"{number_of(len(notices), 'notice')}"
        parts = [told, *([f"{number_of(waiting, 'notice')} waiting"] if waiting else [])]
        failures = [f"{name}: {in_short(reason, _LONGEST)}" for name, reason in turns.failures.items()]
        return " ".join([f"{', '.join(parts)}.", *failures])

    def _of_runs(
        self, now: float, checks: Sequence[dg.AssetCheckKey], *, error_text: bool
    ) -> Iterator[Notice]:
        ends = time.monotonic() + _READING
        for ended in self.cursor.runs.news(self._instance, _RUNS, now):
            if self._is_ours(ended.run):
                yield from self._of_run(ended, checks, error_text=error_text)
            if time.monotonic() > ends:
                return

    def _of_run(
        self, ended: EndedRun, checks: Sequence[dg.AssetCheckKey], *, error_text: bool
    ) -> list[Notice]:
        """Return the notices of a run; of one that failed there is one, whatever cannot be read of it."""
        try:
            return list(
                run_notices.notices_of(
                    self._instance,
                    ended,
                    self._catalog,
                    self.cursor.problems,
                    left_out=dict.fromkeys(checks),
                    error_text=error_text,
                )
            )
        except Exception as error:  # noqa: BLE001 the run is told of all the same
            self._log.warning("%s was not read: %s", ended.run.run_id, in_short(description(error), _LONGEST))
            return [run_notices.plain_failure(ended, self._catalog)] if ended.failed else []

    def _standing(self, kind: str, standings: Iterator[standing.Standing], now: float) -> Iterator[Notice]:
        yield from standing.notices_of(kind, list(standings), self.cursor.problems, now)

    def _is_ours(self, run: dg.DagsterRun) -> bool:
        """Return whether a run is of this code location; one from a terminal is, if it makes its assets."""
        if self._all_locations:
            return True
        origin = run.remote_job_origin
        if origin is None:
            has_job = self._location is None or run.job_name in self._repository.get_all_job_names()
            return has_job or any(self._catalog.graph.has(key) for key in run.asset_selection or ())
        return bool(origin.repository_origin.code_location_origin.location_name == self._location)

    def _late_partitions(self, specs: Sequence[dg.AssetCheckSpec], now: float) -> Iterator[standing.Standing]:
        """Yield the tables whose partitions are late; what is found of a new partition is an event, too."""
        reported: dict[str, list[Any]] = {}
        for spec in specs:
            try:
                found = standing.freshness(self._instance, self._catalog, spec, now)
            except PracticusAssetsError as error:
                self._log.warning("%s", error)
                continue
            name, state = spec.key.to_user_string(), [found.passed, found.expected]
            reported[name] = state
            if self.cursor.freshness.get(name) != state:
                self.events.append(evaluation_of(spec, found))
            if not found.passed:
                yield standing.late_partition(spec, found, self._catalog, now)
        self.cursor.freshness = reported

    def _freshness_specs(self) -> list[dg.AssetCheckSpec]:
        graph = self._catalog.graph
        specs = [graph.get_check_spec(key) for key in sorted(graph.asset_check_keys)]
        return [spec for spec in specs if deadline_of(spec) is not None and graph.has(spec.asset_key)]


def pages_of(base_url: str, context: dg.SensorEvaluationContext) -> Pages:
    """Return the addresses of pages; without them where their beginning is none, which the log says."""
    try:
        url = text_of(base_url, "base_url").rstrip("/") if base_url else ""
    except DeclarationError as error:
        context.log.warning("messages have no links: %s", error)
        return Pages()
    if url and not url.startswith(("http://", "https://")):
        context.log.warning("messages have no links: base_url is no http or https address")
        return Pages()
    return Pages(url)
