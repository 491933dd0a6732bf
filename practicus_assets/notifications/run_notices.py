"""Notices of ended runs: one of each failed run, of checks that began to fail, and of recoveries."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from practicus_assets.notifications.ended_runs import EndedRun
from practicus_assets.notifications.notice import Notice, Pages, listed, place
from practicus_assets.notifications.open_problems import OpenProblems, Problem
from practicus_assets.notifications.problem import without_secrets
from practicus_assets.notifications.run_report import FailedStep, FoundCheck, RunReport, report_of
from practicus_assets.wording import enumerated, in_short, number_of

_SHOWN = 5  # failed steps, or checks, of one run that a notice describes
_RETRY_NUMBER = "dagster/retry_number"


@dataclass(frozen=True)
class Catalog:
    """What the definitions of a code location say of assets.

    Args:
        graph: the location's asset graph.
        pages: the addresses of Dagster's pages.

    """

    graph: Any
    pages: Pages

    def owners(self, keys: Sequence[dg.AssetKey]) -> tuple[str, ...]:
        """Return the owners of assets."""
        owners = [owner for key in keys if self.graph.has(key) for owner in self.graph.get(key).owners or ()]
        return tuple(dict.fromkeys(owners))

    def own_partitions(self, key: dg.AssetKey, partitions: tuple[str, ...]) -> tuple[str, ...]:
        """Return a run's partitions as an asset has them: none, if it is not partitioned."""
        return () if self.graph.has(key) and self.graph.get(key).partitions_def is None else partitions

    def promise(self, check: FoundCheck) -> str:
        """Return what a check promises, as its definition says."""
        key = dg.AssetCheckKey(check.asset, check.name)
        if not self.graph.has(key):
            return ""
        return in_short(self.graph.get_check_spec(key).description or "", 120)


def notices_of(
    instance: dg.DagsterInstance,
    ended: EndedRun,
    catalog: Catalog,
    problems: OpenProblems,
    *,
    left_out: Mapping[dg.AssetCheckKey, Any],
    error_text: bool,
) -> Iterator[Notice]:
    """Yield what people are to know of a run that has ended.

    Args:
        instance: the Dagster instance.
        ended: the run.
        catalog: what the definitions say.
        problems: what does not go well so far; it learns from the run.
        left_out: the checks that are told of elsewhere.
        error_text: whether the text of errors that are not of this package is shown.

    """
    report = report_of(instance, ended.run, error_text=error_text)
    if ended.failed:
        yield _failure(ended, report, catalog, problems)
    yield from _check_notices(ended, report, catalog, problems, left_out)
    yield from _recoveries(ended, report, problems)


def plain_failure(ended: EndedRun, catalog: Catalog) -> Notice:
    """Return the notice of a failed run of which nothing else can be read."""
    run = ended.run
    return Notice(
        id=f"failure|{run.run_id}",
        kind="failure",
        level="error",
        subject=f"job {run.job_name}",
        reason="run",
        title=f"job {run.job_name} failed",
        lines=("What failed in it could not be read: look at its page.",),
        moment=ended.moment,
        url=catalog.pages.run(run.run_id),
        run_id=run.run_id,
    )


def _failure(ended: EndedRun, report: RunReport, catalog: Catalog, problems: OpenProblems) -> Notice:
    run, keys = ended.run, sorted(report.failed_assets)
    names = [key.to_user_string() for key in keys] or [f"job {run.job_name}"]
    partitions = catalog.own_partitions(keys[0], report.partitions) if keys else report.partitions
    owners, url = catalog.owners(keys), catalog.pages.run(run.run_id)
    for key in keys:
        own = catalog.own_partitions(key, report.partitions)
        name = key.to_user_string()
        problems.open(Problem("failure", name, "", own, own, ended.moment, catalog.owners([key]), url))
    if not keys:
        problems.open(Problem("failure", names[0], "", partitions, partitions, ended.moment, owners, url))
    lines = [line for step in report.steps[:_SHOWN] for line in _step_lines(step, report, catalog)]
    if len(report.steps) > _SHOWN:
        lines.append(f"and {number_of(len(report.steps) - _SHOWN, 'failed step')} more")
    if not report.steps:
        lines.append(without_secrets(ended.message) or "The run ended without a failed step.")
    lines += _circumstances(ended, report)
    reason = report.steps[0].reason if report.steps else "run"
    subject = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    return Notice(
        id=f"failure|{run.run_id}",
        kind="failure",
        level="error",
        subject=subject,
        reason=reason,
        title=f"{place(subject, partitions)} failed",
        lines=tuple(lines),
        moment=ended.moment,
        partitions=listed(partitions),
        owners=owners,
        url=url,
        run_id=run.run_id,
    )


def _step_lines(step: FailedStep, report: RunReport, catalog: Catalog) -> Iterator[str]:
    """Yield what a failed step says: for a broken contract, its checks and what they counted."""
    checks = [
        check
        for check in report.checks
        if check.asset in step.assets and not check.passed and check.severity == "ERROR"
    ]
    who = f"{step.name}: " if len(report.steps) > 1 else ""
    if step.reason == "AuditFailed" and checks:
        yield f"{who}AuditFailed: the contract is broken. Fix the data or the contract. Nothing was written."
        yield from (_check_line(check, catalog) for check in checks[:_SHOWN])
        if len(checks) > _SHOWN:
            yield f"and {number_of(len(checks) - _SHOWN, 'failed check')} more"
        return
    yield f"{who}{': '.join(part for part in (step.reason, step.text) if part)}"


def _circumstances(ended: EndedRun, report: RunReport) -> Iterator[str]:
    attempts = max((step.attempts for step in report.steps), default=1)
    retries = int(ended.run.tags.get(_RETRY_NUMBER, "0")) if _RETRY_NUMBER in ended.run.tags else 0
    tried = [f"{number_of(attempts, 'attempt')} at the step"] if attempts > 1 else []
    tried += [f"{number_of(retries, 'retry')} of the run"] if retries else []
    if tried:
        yield f"That was after {enumerated(tried)}."
    if ended.unretried:
        yield "Dagster was to retry the run, and did not."
    left = [key for key in report.planned if key not in report.failed_assets]
    unmade = sorted({key.to_user_string() for key in left} - {key.to_user_string() for key, _ in report.made})
    if unmade and report.steps:
        shown = unmade if len(unmade) <= _SHOWN else [*unmade[:_SHOWN], f"{len(unmade) - _SHOWN} more"]
        yield f"Not made because of it: {enumerated(shown)}."


def _check_notices(
    ended: EndedRun,
    report: RunReport,
    catalog: Catalog,
    problems: OpenProblems,
    left_out: Mapping[dg.AssetCheckKey, Any],
) -> Iterator[Notice]:
    """Yield one notice for each asset whose checks began to fail, beside those that failed its step."""
    by_asset: dict[dg.AssetKey, list[FoundCheck]] = {}
    url = catalog.pages.run(ended.run.run_id)
    for check in report.checks:
        told = check.asset in report.failed_assets or dg.AssetCheckKey(check.asset, check.name) in left_out
        if check.passed or told:
            continue
        partitions = _partitions_of(check, report, catalog)
        problem = Problem(
            "check",
            check.asset.to_user_string(),
            check.name,
            partitions,
            partitions,
            ended.moment,
            catalog.owners([check.asset]),
            url,
        )
        if problems.open(problem):
            by_asset.setdefault(check.asset, []).append(check)
    for asset, checks in by_asset.items():
        name = asset.to_user_string()
        partitions = _partitions_of(checks[0], report, catalog)
        is_error = any(check.severity == "ERROR" for check in checks)
        yield Notice(
            id=f"check|{ended.run.run_id}|{name}",
            kind="check",
            level="error" if is_error else "warning",
            subject=name,
            reason=", ".join(sorted(check.name for check in checks)),
            title=f"{place(name, partitions)}: {number_of(len(checks), 'check')} failed",
            lines=tuple(_check_line(check, catalog) for check in checks[:_SHOWN])
            + ((f"and {len(checks) - _SHOWN} more",) if len(checks) > _SHOWN else ()),
            moment=ended.moment,
            partitions=listed(partitions),
            owners=catalog.owners([asset]),
            url=url,
            run_id=ended.run.run_id,
        )


def _check_line(check: FoundCheck, catalog: Catalog) -> str:
    promise = catalog.promise(check)
    what = f"{check.name} ({promise})" if promise else check.name
    found = check.count or without_secrets(check.description) or "failed"
    return f"{check.severity} {what}: {found}"


def _partitions_of(check: FoundCheck, report: RunReport, catalog: Catalog) -> tuple[str, ...]:
    """Return the partitions in which a check failed; of several, the first and the last."""
    if check.failed_in:
        return tuple(dict.fromkeys((min(check.failed_in), max(check.failed_in))))
    return catalog.own_partitions(check.asset, report.partitions)


def _recoveries(ended: EndedRun, report: RunReport, problems: OpenProblems) -> Iterator[Notice]:
    if not problems:
        return
    now = ended.moment
    made = dict.fromkeys(report.made)
    if not ended.failed:  # a run that had nothing new to write went well, too
        made |= dict.fromkeys((key, part) for key in report.planned for part in report.partitions or ("",))
        for partition in report.partitions or ("",):
            yield from problems.settle("failure", f"job {ended.run.job_name}", partition, now)
    for key, partition in made:
        if key not in report.failed_assets:
            yield from problems.settle("failure", key.to_user_string(), partition, now)
    for check in report.checks:
        passed = check.passed_in or ([] if not check.passed else [*(report.partitions or ("",))])
        for partition in passed:
            yield from problems.settle("check", check.asset.to_user_string(), partition, now, check.name)
