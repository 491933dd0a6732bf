"""The status of tables: what is there and since when, what is stale, what is late, and what failed last."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import dagster as dg
from dagster._core.definitions.freshness import FreshnessState, TimeWindowFreshnessPolicy

from practicus_assets.assets.catalog import TableEntry
from practicus_assets.automation.partition_freshness import deadline_of, freshness_of
from practicus_assets.errors import PracticusAssetsError
from practicus_assets.instance.attempts import Attempt
from practicus_assets.lake.delta.log import LogEntry, entries
from practicus_assets.lake.delta.table import TableVersion
from practicus_assets.lake.upkeep.history import HistoryEntry, described
from practicus_assets.lake.upkeep.progress import Progress, unseen
from practicus_assets.planning.lineage import descendants
from practicus_assets.planning.plan import TablePlan
from practicus_assets.planning.planner import Planner, Surroundings
from practicus_assets.planning.request import PlanRequest
from practicus_assets.planning.table_state import TableState
from practicus_assets.planning.table_states import TableStates
from practicus_assets.wording import duration


@dataclass(frozen=True)
class Failure:
    """The newest run of a table that failed, and that nothing has made up for.

    Attributes:
        run_id: the run's id.
        began: when the run began; None if it never did.
        checks: the blocking checks that refused its rows.
        partitions: how many partitions are concerned, by this run or others.

    """

    run_id: str
    began: dt.datetime | None
    checks: tuple[str, ...]
    partitions: int


@dataclass(frozen=True)
class TableStatus:
    """How one table stands.

    Attributes:
        table: the table's name.
        version: its newest version; None if there is no table.
        landed: when the newest commit landed that changed rows; None if the log does not say.
        partition_count: how many partitions the asset has; None for a table without.
        partitions_there: how many of them were computed.
        newest_partition: the last of these; empty for none.
        rows, size_bytes: what the newest version has; rows are None where the log does not say.
        rows_grown, bytes_grown: what that newest commit added, less what it took away; None if not known.
        stale: how many partitions a run would compute, by `plan`; None if that is not known.
        unknown: of how many partitions it is not known.
        reasons: why, the most frequent first.
        is_late: whether its freshness policy or check is broken; None if it has none, or without an instance.
        late: in words, why it is late, or until when it is not.
        failure: the newest failure that is not made up for.
        error: why the table could not be read.

    """

    table: str
    version: int | None = None
    landed: dt.datetime | None = None
    partition_count: int | None = None
    partitions_there: int = 0
    newest_partition: str = ""
    rows: int | None = None
    size_bytes: int = 0
    rows_grown: int | None = None
    bytes_grown: int | None = None
    stale: int | None = None
    unknown: int = 0
    reasons: tuple[str, ...] = ()
    is_late: bool | None = None
    late: str = ""
    failure: Failure | None = None
    error: str = ""

    @property
    def is_wrong(self) -> bool:
        """Whether somebody should look: it is late, failed last, or cannot be read."""
        return bool(self.is_late or self.failure is not None or self.error)


def statuses(around: Surroundings, now: dt.datetime, progress: Progress = unseen) -> list[TableStatus]:
    """Return how the tables of a code location stand, in the order of their names.

    Of each table this reads what `plan` reads, and then its newest entry that changed rows, the time of that
    entry, and the version before.

    Args:
        around: the definitions, and the instance that has recorded runs.
        now: the moment, with its time zone.
        progress: the callback that gets how many tables are done, of how many.

    """
    states = TableStates(around.entries, around.store)
    written = sorted((e for e in around.entries.values() if e.is_written), key=lambda e: e.name)
    steps = 2 * len(written)
    errors: dict[dg.AssetKey, str] = {}
    for done, entry in enumerate(written):
        progress(done, steps)
        try:
            states.of(entry.key)
        except PracticusAssetsError as error:
            errors[entry.key] = str(error)
    planner = Planner(_readable(around, errors), around, states)
    plans = _plans(planner)
    found = []
    for done, entry in enumerate(written, len(written)):
        progress(done, steps)
        if entry.key in errors:
            found.append(TableStatus(entry.name, error=errors[entry.key]))
            continue
        try:
            found.append(_status(entry, planner, plans, now))
        except PracticusAssetsError as failed:
            found.append(TableStatus(entry.name, error=str(failed)))
    progress(steps, steps)
    return found


def _readable(around: Surroundings, errors: Mapping[dg.AssetKey, str]) -> PlanRequest:
    """Return a request of the tables that can be read, and are computed from tables that can be."""
    if not errors:
        return PlanRequest()
    every = {key for key in around.graph.toposorted_asset_keys if around.graph.get(key).is_materializable}
    return PlanRequest(within=frozenset(every - {*errors} - descendants(around.graph, errors)))


def _plans(planner: Planner) -> Mapping[str, TablePlan]:
    try:
        return {plan.table: plan for plan in planner.plan().tables}
    except PracticusAssetsError:  # of a table that others make, and is read here
        return {}


def _status(
    entry: TableEntry, planner: Planner, plans: Mapping[str, TablePlan], now: dt.datetime
) -> TableStatus:
    key, plan, state = entry.key, plans.get(entry.name), planner.states.of(entry.key)
    at = state.newest
    there = [each for each in state.keys if state.is_there(each)]
    is_parted = entry.partitions_def is not None
    change = _newest_change(at) if at is not None else None
    commit = next(described(at.table, [change]), None) if at is not None and change is not None else None
    rows, size = _size(state, at)
    status = TableStatus(
        table=entry.name,
        version=at.version if at is not None else None,
        landed=commit.landed if commit is not None else None,
        partition_count=len(state.keys) if is_parted else None,
        partitions_there=len(there) if is_parted else 0,
        newest_partition=there[-1] if is_parted and there else "",
        rows=rows,
        size_bytes=size,
        rows_grown=_grown(commit),
        bytes_grown=_bytes_grown(change) if change is not None else None,
        stale=plan.planned_count if plan is not None else None,
        unknown=plan.unknown_count if plan is not None else 0,
        reasons=_reasons(plan) if plan is not None else (),
        failure=_failure(planner.known[key].attempts) if key in planner.known else None,
    )
    return _with_freshness(status, entry, planner.around, now)


def _newest_change(at: TableVersion) -> LogEntry | None:
    """Return the newest commit that changed rows; None if the log no longer has it."""
    return next((entry for entry in entries(at.table, at.version) if entry.changes_rows), None)


def _bytes_grown(entry: LogEntry) -> int | None:
    """Return how many bytes of files a commit added, less those that it took away, where it says so."""
    removed = [file.get("size") for file in entry.removed]
    if None in removed:
        return None
    return sum(int(file["size"]) for file in entry.added) - sum(int(size or 0) for size in removed)


def _size(state: TableState, at: TableVersion | None) -> tuple[int | None, int]:
    if at is None:
        return 0, 0
    if state.entry.layered.base is not None:
        return state.size(state.keys)
    return at.row_count, at.size


def _grown(commit: HistoryEntry | None) -> int | None:
    if commit is None or commit.rows_in is None or commit.rows_out is None:
        return None
    return commit.rows_in - commit.rows_out


def _reasons(plan: TablePlan) -> tuple[str, ...]:
    counts: dict[str, int] = {}
    for group in (*plan.planned, *plan.unknown):
        for reason in group.reasons:
            counts[reason.text] = counts.get(reason.text, 0) + group.count
    return tuple(sorted(counts, key=lambda text: (-counts[text], text)))


def _failure(attempts: Mapping[str, Attempt]) -> Failure | None:
    failed = [attempt for attempt in attempts.values() if not attempt.is_under_way]
    if not failed:
        return None
    newest = max(failed, key=lambda attempt: (attempt.began, attempt.number))
    began = dt.datetime.fromtimestamp(newest.began, dt.UTC) if newest.began else None
    return Failure(newest.run_id, began, newest.checks, len(failed))


def _with_freshness(
    status: TableStatus, entry: TableEntry, around: Surroundings, now: dt.datetime
) -> TableStatus:
    """Return how a table stands with whether it is late, by its checks and its policy."""
    if around.instance is None:
        return status
    found = list(_freshness(status, entry, around, now))
    if not found:
        return status
    late = [text for is_late, text in found if is_late]
    return replace(status, is_late=bool(late), late=" ".join(late) or found[0][1])


def _freshness(
    status: TableStatus, entry: TableEntry, around: Surroundings, now: dt.datetime
) -> Iterator[tuple[bool, str]]:
    """Yield whether a table is late by each of its checks, and by its policy, and why."""
    graph, instance = around.graph, around.instance
    assert instance is not None, "there is one"
    for check in sorted(key for key in graph.asset_check_keys if key.asset_key == entry.key):
        deadline = deadline_of(graph.get_check_spec(check))
        if deadline is not None:
            fresh = freshness_of(instance, entry.key, entry.partitions_def, deadline, now)
            yield not fresh.passed, fresh.description
    policy = graph.get(entry.key).freshness_policy
    if policy is None:
        return
    record = instance.get_freshness_state_records([entry.key]).get(entry.key)
    if record is not None and record.freshness_state in {FreshnessState.FAIL, FreshnessState.PASS}:
        is_late = record.freshness_state is FreshnessState.FAIL
        yield is_late, "It was not materialized in time, by its freshness policy." if is_late else "in time"
    elif isinstance(policy, TimeWindowFreshnessPolicy):
        newest = instance.fetch_materializations(entry.key, limit=1).records
        made = [record.timestamp for record in newest]
        made += [status.landed.timestamp()] if status.landed is not None else []
        allowed = policy.fail_window.to_timedelta().total_seconds()
        age = now.timestamp() - max(made, default=0)
        what = f"It was materialized {duration(age)} ago" if made else "It was never materialized"
        yield age > allowed, f"{what}; its freshness policy allows {duration(allowed)}."
