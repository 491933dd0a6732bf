"""Standing problems: tables that are late, and sensors and schedules that do not work, as they are now."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.definitions.freshness import FreshnessState  # what Dagster records of freshness policies
from dagster._core.scheduler.instigation import InstigatorTick, InstigatorType, TickStatus

from practicus_assets.automation.partition_freshness import (
    Freshness,
    deadline_of,
    freshness_of,
    severity_of,
)
from practicus_assets.notifications.notice import Notice, place
from practicus_assets.notifications.open_problems import OpenProblems, Problem
from practicus_assets.notifications.problem import problem
from practicus_assets.notifications.run_notices import Catalog
from practicus_assets.wording import in_short, number_of

_LONGEST_TICK = 900.0  # seconds: Dagster ends the evaluation of a tick after 60
_FAILED_TICKS = 2  # in a row, of a sensor, which is tried again soon


@dataclass(frozen=True)
class Standing:
    """Something that does not go well now.

    Attributes:
        problem: the problem, as it is remembered.
        level: "error" or "warning".
        title: what it is, in one line.
        lines: what is known of it.
        partitions: the partitions concerned.

    """

    problem: Problem
    level: Any
    title: str
    lines: tuple[str, ...]
    partitions: str = ""


def notices_of(
    kind: str, standings: Sequence[Standing], problems: OpenProblems, now: float
) -> Iterator[Notice]:
    """Yield the notices of what began, and of what ended, since the last tick.

    Args:
        kind: the kind of all of them.
        standings: what does not go well now.
        problems: what did not go well so far.
        now: the time, in seconds since 1970.

    """
    current = {standing.problem.key: standing.problem for standing in standings}
    yield from problems.stand(kind, current, now)
    for standing in standings:
        found = standing.problem
        if problems.open(found):
            yield Notice(
                id=f"{found.key}|{found.began}",
                kind=kind.partition(" ")[0],
                level=standing.level,
                subject=found.subject,
                reason=found.check or kind,
                title=standing.title,
                lines=standing.lines,
                moment=now,
                partitions=standing.partitions,
                owners=found.owners,
                url=found.url,
            )


def late_tables(instance: dg.DagsterInstance, catalog: Catalog, now: float) -> Iterator[Standing]:
    """Yield the tables that are late by Dagster's freshness policies, as its freshness daemon records it."""
    keys = [node.key for node in catalog.graph.asset_nodes if node.freshness_policy is not None]
    records = instance.get_freshness_state_records(keys) if keys else {}
    for key, record in records.items():
        if record.freshness_state is not FreshnessState.FAIL:
            continue
        name, owners = key.to_user_string(), catalog.owners([key])
        found = Problem("late policy", name, "", (), (), now, owners, catalog.pages.asset(key.path))
        yield Standing(
            found,
            "error",
            f"{name} is late",
            ("Its freshness policy says so: it was not materialized in time.",),
        )


def freshness(
    instance: dg.DagsterInstance, catalog: Catalog, spec: dg.AssetCheckSpec, now: float
) -> Freshness:
    """Return whether the newest complete partition of a table is there, as a check of it would find."""
    moment, key = dt.datetime.fromtimestamp(now, dt.UTC), spec.asset_key
    deadline = deadline_of(spec)
    assert deadline is not None
    return freshness_of(instance, key, catalog.graph.get(key).partitions_def, deadline, moment)


def late_partition(spec: dg.AssetCheckSpec, found: Freshness, catalog: Catalog, now: float) -> Standing:
    """Return what is said of a table whose newest complete partition is not there by its deadline."""
    key = spec.asset_key
    name, url = key.to_user_string(), catalog.pages.asset(key.path)
    return Standing(
        Problem("late partition", name, spec.name, (), (), now, catalog.owners([key]), url),
        "error" if severity_of(spec) is dg.AssetCheckSeverity.ERROR else "warning",
        f"{place(name, [found.expected])} is late",
        (found.description,),
        found.expected,
    )


def broken_instigators(
    instance: dg.DagsterInstance, location: str | None, own_name: str, now: float, *, error_text: bool
) -> Iterator[Standing]:
    """Yield the sensors and schedules that run, and whose newest tick failed or never ends.

    Args:
        instance: the Dagster instance.
        location: the name of the code location; None for all.
        own_name: the name of the sensor that asks.
        now: the time, in seconds since 1970.
        error_text: whether the text of errors that are not of this package is shown.

    """
    if instance.schedule_storage is None:  # of an instance in memory
        return
    states = [
        state
        for state in instance.all_instigator_state()
        if state.is_running
        and state.instigator_name != own_name
        and location in (None, state.repository_selector.location_name)
    ]
    ticks = _newest_ticks(instance, states, now)
    for state in states:
        tick = ticks.get(state.selector_id)
        if tick is None:
            continue
        is_sensor = state.instigator_type is not InstigatorType.SCHEDULE
        noun = "sensor" if is_sensor else "schedule"
        name = f"{noun} {state.instigator_name}"
        found = Problem("stuck", name, "", (), (), now, (), "")
        in_a_row = max(tick.consecutive_failure_count, tick.failure_count)
        if tick.status is TickStatus.FAILURE and in_a_row >= (_FAILED_TICKS if is_sensor else 1):
            reason, text = problem(tick.error, error_text=error_text)
            why = in_short(": ".join(part for part in (reason, text) if part), 500)
            times = f"{number_of(in_a_row, 'tick')} failed in a row. " if in_a_row > 1 else ""
            yield Standing(found, "error", f"The {name} fails", (f"{times}{why}",))
        elif tick.status is TickStatus.STARTED and now - tick.timestamp > _LONGEST_TICK:
            minutes = number_of(int((now - tick.timestamp) // 60), "minute")
            yield Standing(
                found,
                "error",
                f"The {name} is stuck",
                (f"Its tick began {minutes} ago and has not ended. Look at the daemon and the code server.",),
            )


def _newest_ticks(
    instance: dg.DagsterInstance, states: Sequence[Any], now: float
) -> dict[str, InstigatorTick]:
    if not states:
        return {}
    storage = instance.schedule_storage
    if storage is not None and storage.supports_batch_queries:
        found = instance.get_batch_ticks([state.selector_id for state in states], limit=2)
        newest = {selector: list(ticks) for selector, ticks in found.items()}
    else:
        newest = {
            state.selector_id: list(
                instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=2)
            )
            for state in states
        }
    return {selector: settled for selector, ticks in newest.items() if (settled := _settled(ticks, now))}


def _settled(ticks: Sequence[InstigatorTick], now: float) -> InstigatorTick | None:
    """Return the newest tick that has ended, unless a tick is stuck: one that is at work says nothing yet."""
    ordered = sorted(ticks, key=lambda tick: (tick.timestamp, tick.tick_id), reverse=True)
    at_work = bool(ordered) and ordered[0].status is TickStatus.STARTED
    if at_work and len(ordered) > 1 and now - ordered[0].timestamp <= _LONGEST_TICK:
        return ordered[1]
    return ordered[0] if ordered else None
