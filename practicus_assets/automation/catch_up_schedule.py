"""The schedule that catches up: asks for every partition that is complete and missing, once."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from practicus_assets.automation.own_runs import ATTEMPT_TAG, OwnRuns
from practicus_assets.automation.wanted import Partitions, Wanted, most_in_one_run, together
from practicus_assets.automation.windows import Lane, complete, time_dimension
from practicus_assets.errors import DeclarationError
from practicus_assets.instance.run_tags import RANGE_TAGS
from practicus_assets.parameters import named_parameters
from practicus_assets.wording import number_of

_SHOWN = 5  # partitions in a message


@named_parameters
def build_catch_up_schedule(
    target: Any,
    *,
    name: str | None = None,
    partitions_def: dg.PartitionsDefinition[Any] | None = None,
    cron_schedule: str | None = None,
    look_back: int = 7,
    max_runs: int = 25,
    max_attempts: int = 3,
    description: str | None = None,
    tags: Mapping[str, str] | None = None,
    default_status: dg.DefaultScheduleStatus = dg.DefaultScheduleStatus.STOPPED,
) -> dg.ScheduleDefinition:
    """Return a schedule that asks at each tick for all partitions that are complete and missing.

    It goes by what the instance has recorded, and not by the tick's time: a partition is asked for if its
    window has ended, a table of the target lacks it, and no run or backfill is to make it. So a tick that was
    missed, late or repeated, and another cron schedule, change when a partition is made, and not how often.
    A partition whose run failed, was canceled or made nothing is asked for again by the next tick. Those that
    were never tried come first, and of these the oldest.

    If all tables have a backfill policy that lets a run have several partitions, those that follow each other
    are made by one run; after a failure each by one of its own. A table that depends on its own earlier
    partitions gets them in order, one in each tick.

    Args:
        target: a job of partitioned tables, or the tables. Their partitions have one dimension by time, whose
            time zone is the schedule's.
        name: the schedule's name; by default that of the job and `_catch_up`.
        partitions_def: the partitions of a job's tables, which the job does not know before it is loaded.
        cron_schedule: when it ticks; by default when a partition is complete.
        look_back: how many windows before the tick it looks at.
        max_runs: how many runs a tick requests at most; the next one goes on.
        max_attempts: how many runs it requests for a partition at most.
        description: what Dagster's pages say of it.
        tags: the tags of the runs that it requests.
        default_status: whether it ticks as soon as it is deployed.

    Raises:
        DeclarationError: if the target has no partitions by time, or none that are known before it is loaded,
            or for numbers that leave nothing to ask for.

    """
    job, own = _target(target, name)
    partitions_def = own or partitions_def
    if partitions_def is None and isinstance(job, UnresolvedAssetJobDefinition) and job is target:
        raise DeclarationError(
            f"the job {job.name} does not know its partitions before it is loaded.",
            "Write build_catch_up_schedule(…, partitions_def=…), or give it the tables.",
        )
    name = name or f"{job.name}_catch_up"
    times = time_dimension(partitions_def)
    if times is None:
        raise DeclarationError(
            f"the schedule {name} is of tables without partitions by time.",
            "Give them partitions such as DailyPartitionsDefinition, at least as one dimension.",
        )
    numbers = {"look_back": look_back, "max_runs": max_runs, "max_attempts": max_attempts}
    for number, value in numbers.items():
        if value < 1:
            raise DeclarationError(f"the schedule {name} has {number}={value}.", "Write 1 or more.")

    def evaluate(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        assert context.repository_def is not None
        loaded = context.repository_def.get_job(job.name)
        if loaded.partitions_def != partitions_def:
            raise DeclarationError(
                f"the schedule {name} is of other partitions than its job {job.name}.",
                f"The job's are {loaded.partitions_def}: give the schedule those.",
            )
        tick = _Tick(name, loaded, context, dict(tags or {}))
        requests = tick.requests(look_back, max_attempts)
        if not requests:
            yield dg.SkipReason(tick.message(look_back, max_attempts))
        yield from requests[:max_runs]

    return dg.ScheduleDefinition(
        name,
        job=job,
        cron_schedule=cron_schedule or times.cron_schedule,
        execution_timezone=times.timezone,
        execution_fn=evaluate,
        description=description or "Asks for all partitions that are complete and missing.",
        default_status=default_status,
    )


class _Tick:
    """One tick: what it asks for, and what it says if that is nothing.

    Args:
        name: the schedule's name.
        job: its job.
        context: the tick's.
        tags: the tags of the runs that are requested.

    """

    def __init__(
        self, name: str, job: dg.JobDefinition, context: dg.ScheduleEvaluationContext, tags: dict[str, str]
    ) -> None:
        assert job.partitions_def is not None
        assert context.repository_def is not None
        now, instance = context.scheduled_execution_time, context.instance
        self._partitions_def, self._context, self._tags = job.partitions_def, context, tags
        self._runs = OwnRuns(name, job.partitions_def, instance, now)
        self._partitions = Partitions(job, context.repository_def.asset_graph, instance, now)

    def requests(self, look_back: int, max_attempts: int) -> list[dg.RunRequest]:
        """Return what is requested, in the order in which it is."""
        lost = self._runs.cancel_lost()
        if lost:
            self._context.log.warning("Canceled %s that no daemon launched.", number_of(len(lost), "run"))
        now, instance = self._partitions.now, self._partitions.instance
        lanes = complete(self._partitions_def, now, look_back, instance)
        keys = [key for lane in lanes for key in lane]
        wanted = self._partitions.wanted(keys, self._runs, max_attempts) if keys else {}
        if self._partitions.given_up:
            self._context.log.warning("%s", self._given_up(max_attempts))
        chunks = [chunk for lane in lanes for chunk in self._chunks(lane, wanted)]
        chunks.sort(key=lambda chunk: (chunk[0].attempt, self._age(lanes, chunk[0].key)))
        again = self._unlaunched()
        return [*again, *(self._request(chunk) for chunk in chunks)]

    def message(self, look_back: int, max_attempts: int) -> str:
        """Return why nothing is requested."""
        at_work = self._partitions.in_progress
        parts = [f"Nothing to ask for in the last {number_of(look_back, 'window')}."]
        if at_work:
            parts.append(f"{number_of(len(at_work), 'partition')} in progress: {_listed(at_work)}.")
        if self._partitions.given_up:
            parts.append(self._given_up(max_attempts))
        return " ".join(parts)

    def _given_up(self, max_attempts: int) -> str:
        keys = self._partitions.given_up
        return (
            f"Not asked for again after {number_of(max_attempts, 'attempt')}: {_listed(keys)}. "
            "Find out why, and make them by a backfill."
        )

    def _chunks(self, lane: Lane, wanted: Mapping[str, Wanted]) -> Iterator[list[Wanted]]:
        """Yield those partitions of a lane that are wanted, together that one run makes."""
        chunk: list[Wanted] = []
        for key in lane:
            each = wanted.get(key)
            if chunk and not (each and self._belongs(each, chunk)):
                yield from self._in_order(chunk)
                chunk = []
            if each:
                chunk.append(each)
        yield from self._in_order(chunk)

    def _belongs(self, each: Wanted, chunk: Sequence[Wanted]) -> bool:
        first = chunk[0]
        most = most_in_one_run(self._partitions.graph, sorted(first.tables))
        return (
            (each.attempt, first.attempt) == (1, 1)
            and each.tables == first.tables
            and (most is None or len(chunk) < most)
        )

    def _in_order(self, chunk: list[Wanted]) -> Iterator[list[Wanted]]:
        if chunk and not self._partitions.waits([each.key for each in chunk], chunk[0].tables):
            yield chunk

    def _age(self, lanes: Sequence[Lane], key: str) -> int:
        return next(lane.index(key) - len(lane) for lane in lanes if key in lane)

    def _unlaunched(self) -> Iterator[dg.RunRequest]:
        """Yield requests for runs that the daemon made and did not launch: by their keys it finds them."""
        missing = set[str]().union(*self._partitions.missing.values())
        for run_key, keys in sorted(self._runs.unlaunched().items()):
            if keys & missing:
                yield self._run_request(run_key, sorted(keys), {})

    def _request(self, chunk: Sequence[Wanted]) -> dg.RunRequest:
        first, last = chunk[0], chunk[-1]
        span = first.key if len(chunk) == 1 else f"{first.key}...{last.key}"
        tables = None
        if len(first.tables) < len(self._partitions.tables):
            tables = together(self._partitions.graph, first.tables)
        return self._run_request(
            f"{span}|{first.attempt}",
            [each.key for each in chunk],
            {ATTEMPT_TAG: str(first.attempt)},
            tables,
        )

    def _run_request(
        self,
        run_key: str,
        keys: Sequence[str],
        tags: Mapping[str, str],
        tables: Sequence[dg.AssetKey] | None = None,
    ) -> dg.RunRequest:
        span = dict(zip(RANGE_TAGS, (keys[0], keys[-1]), strict=True)) if len(keys) > 1 else {}
        return dg.RunRequest(
            run_key=run_key,
            partition_key=None if span else keys[0],
            tags={**self._tags, **tags, **span},
            asset_selection=tables,
        )


def _target(target: Any, name: str | None) -> tuple[Any, dg.PartitionsDefinition[Any] | None]:
    """Return the job and its partitions."""
    if isinstance(target, dg.JobDefinition | UnresolvedAssetJobDefinition):
        return target, target.partitions_def
    tables = [target] if isinstance(target, dg.AssetsDefinition) else target
    if (
        not isinstance(tables, list | tuple)
        or not tables
        or not all(isinstance(table, dg.AssetsDefinition) for table in tables)
    ):
        raise DeclarationError(
            f"build_catch_up_schedule is given {target!r}.", "Give it a job, or a list of tables."
        )
    found = {table.partitions_def for table in tables}
    if len(found) != 1:
        raise DeclarationError(
            f"the tables of a schedule have {len(found)} partitions_defs.", "Make a schedule for each."
        )
    [partitions_def] = found
    keys = sorted(key for table in tables for key in table.keys)
    job_name = f"{name or '__'.join('_'.join(key.path) for key in keys)}_job"
    schedule = f"schedule {name}" if name else "catch-up schedule"
    description = f"Makes the partitions that the {schedule} asks for."
    return dg.define_asset_job(job_name, keys, description=description), partitions_def


def _listed(keys: set[str]) -> str:
    first = sorted(keys)[:_SHOWN]
    return f"{', '.join(first)} …" if len(keys) > len(first) else ", ".join(first)
