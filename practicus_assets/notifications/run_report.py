"""The report of one ended run: what failed in it, which checks failed, and what it made."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import dagster as dg

from practicus_assets.instance.run_tags import PARTITION_TAG, RANGE_TAGS
from practicus_assets.notifications.problem import problem
from practicus_assets.wording import number_of

_READ = 3000  # events of one run at most
_COUNTED = {"bad_rows": "bad row", "bad_partitions": "bad partition", "cases": "case"}
_TYPES = {
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.STEP_UP_FOR_RETRY,
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
}


@dataclass(frozen=True)
class FailedStep:
    """A step that failed after its last retry.

    Attributes:
        name: its key.
        assets: the assets that it was to make.
        reason: the class of its error.
        text: the error's text.
        attempts: how often it was tried.

    """

    name: str
    assets: tuple[dg.AssetKey, ...]
    reason: str
    text: str
    attempts: int


@dataclass
class FoundCheck:
    """What one check of one asset found in a run.

    Attributes:
        asset: the asset.
        name: the check's name.
        passed: whether it passed everywhere.
        severity: "ERROR" or "WARN".
        count: what it counted, such as `3 bad rows`; empty where it counts nothing.
        description: what its author's code says; empty for a rule of a contract, which counts.
        failed_in: the partitions in which it failed, as far as they are known.
        passed_in: those in which it passed.

    """

    asset: dg.AssetKey
    name: str
    passed: bool
    severity: str
    count: str = ""
    description: str = ""
    failed_in: list[str] = field(default_factory=list)
    passed_in: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RunReport:
    """What happened in a run.

    Attributes:
        partitions: the run's partitions; of a range, the first and the last.
        planned: the assets that it was to make.
        made: what it made, as pairs of an asset and a partition; "" where there are none.
        steps: the steps that failed.
        checks: what the checks found.

    """

    partitions: tuple[str, ...]
    planned: tuple[dg.AssetKey, ...]
    made: tuple[tuple[dg.AssetKey, str], ...]
    steps: tuple[FailedStep, ...]
    checks: tuple[FoundCheck, ...]

    @cached_property
    def failed_assets(self) -> set[dg.AssetKey]:
        """The assets that the failed steps were to make."""
        return {key for step in self.steps for key in step.assets}


def report_of(instance: dg.DagsterInstance, run: dg.DagsterRun, *, error_text: bool) -> RunReport:
    """Read what happened in a run; of a very long one, its first 3,000 events of interest.

    Args:
        instance: the Dagster instance.
        run: the run.
        error_text: whether the text of errors that are not of this package is shown.

    """
    events = list(_events(instance, run.run_id))
    planned: dict[str, list[dg.AssetKey]] = {}
    retries: dict[str, int] = {}
    made: list[tuple[dg.AssetKey, str]] = []
    for kind, event in events:
        data: Any = event.event_specific_data
        if kind is dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED:
            planned.setdefault(event.step_key or "", []).append(data.asset_key)
        elif kind is dg.DagsterEventType.STEP_UP_FOR_RETRY:
            retries[event.step_key or ""] = retries.get(event.step_key or "", 0) + 1
        elif kind is dg.DagsterEventType.ASSET_MATERIALIZATION:
            made.append((data.materialization.asset_key, data.materialization.partition or ""))
    steps = []
    for kind, event in events:
        if kind is dg.DagsterEventType.STEP_FAILURE:
            key, data = event.step_key or "", event.event_specific_data
            reason, text = problem(data.error, error_text=error_text)
            assets = tuple(dict.fromkeys(planned.get(key, ())))
            steps.append(FailedStep(key, assets, reason, text, retries.get(key, 0) + 1))
    evaluations = [
        event.event_specific_data
        for kind, event in events
        if kind is dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ]
    return RunReport(
        partitions=partitions_of(run),
        planned=tuple(dict.fromkeys(key for keys in planned.values() for key in keys)),
        made=tuple(dict.fromkeys(made)),
        steps=tuple(steps),
        checks=tuple(_checks(evaluations, error_text=error_text)),
    )


def partitions_of(run: dg.DagsterRun) -> tuple[str, ...]:
    """Return a run's partitions; of a range, the first and the last."""
    tags = run.tags
    if PARTITION_TAG in tags:
        return (tags[PARTITION_TAG],)
    return tuple(dict.fromkeys(tags[name] for name in RANGE_TAGS if name in tags))


def _events(
    instance: dg.DagsterInstance, run_id: str
) -> Iterator[tuple[dg.DagsterEventType, dg.DagsterEvent]]:
    page = instance.get_records_for_run(run_id, of_type=_TYPES, limit=_READ)
    for record in page.records:
        event = record.event_log_entry.dagster_event
        if event is not None:
            yield event.event_type, event


def _checks(evaluations: Sequence[Any], *, error_text: bool) -> list[FoundCheck]:
    """Return one result for each check, of its evaluations on the whole run and on single partitions."""
    found: dict[tuple[dg.AssetKey, str], FoundCheck] = {}
    for evaluation in evaluations:
        key = (evaluation.asset_key, evaluation.check_name)
        check = found.setdefault(key, FoundCheck(*key, passed=True, severity=evaluation.severity.value))
        check.passed &= evaluation.passed
        partition = getattr(evaluation, "partition", None)
        if partition is not None:
            (check.passed_in if evaluation.passed else check.failed_in).append(partition)
        if evaluation.passed:
            continue
        check.severity = evaluation.severity.value
        count = _count(evaluation.metadata)
        if count and (partition is None or not check.count):
            check.count = count
        if not count and error_text:
            check.description = evaluation.description or ""
    return list(found.values())


def _count(metadata: Any) -> str:
    for name, noun in _COUNTED.items():
        value = getattr(metadata.get(name), "value", None)
        if isinstance(value, int):
            return number_of(value, noun)
    return ""
