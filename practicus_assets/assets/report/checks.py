"""Asset checks: what the rules of a contract found, and their run on a table as it is."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (  # what an evaluation takes
    AssetCheckEvaluationTargetMaterializationData,
)

from practicus_assets.assets.report import names
from practicus_assets.assets.report.markdown import markdown
from practicus_assets.assets.report.names import REJECTED
from practicus_assets.assets.report.rejected import rejected_key
from practicus_assets.errors import SchemaMismatch
from practicus_assets.instance.events import latest_records
from practicus_assets.lake.contracts.audit import Audit, AuditResult, schema_failure
from practicus_assets.lake.contracts.breaches import AuditedPartitions, Breach
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.partitions.scope import WHOLE_TABLE, Scope
from practicus_assets.lake.partitions.values import split
from practicus_assets.lake.rows.samples import sampling
from practicus_assets.lake.rows.schema import reconcile
from practicus_assets.lake.transactions.commit import Reused
from practicus_assets.wording import number_of

_LISTED = 20  # partitions that a result names
_EVALUATIONS = 200  # of single partitions in one run of a table: Dagster takes about 0.1 s for each


def check_results(  # noqa: PLR0917 what one table's results need
    audits: Sequence[AuditResult],
    key: dg.AssetKey,
    scope: Scope,
    selected: Iterable[dg.AssetCheckKey],
    reused: Reused | None = None,
    rejecting: Iterable[str] = (),
) -> list[dg.AssetCheckResult]:
    """Return the result of each rule that a run records, with what it counted, and a sample.

    Args:
        audits: the results of all rules.
        key: the asset's key.
        scope: the partitions that were audited.
        selected: the checks that the run selects.
        reused: the commit that recorded the results, of rows that were used again.
        rejecting: the names of the rules whose bad rows went to the table of rejected rows.

    """
    results = []
    for audit in _selected(audits, selected):
        metadata: dict[str, Any] = {audit.counted: audit.bad_rows} if audit.counted else {}
        if not scope.is_whole_table:
            metadata["partitions"] = str(scope)
        if reused is not None:
            metadata[names.REUSED_VERSION] = reused.version
        if audit.breaches:
            metadata["failed_partitions"] = _listed(audit.breaches)
        if not audit.passed and audit.name in rejecting:
            metadata[REJECTED] = dg.MetadataValue.asset(rejected_key(key))
        results.append(
            dg.AssetCheckResult(
                passed=audit.passed,
                asset_key=key,
                check_name=audit.name,
                severity=_severity(audit),
                description=f"{audit.description}: {audit.finding}" if audit.finding else audit.description,
                metadata={**metadata, **_sample(audit.sample)},
            )
        )
    return results


def whole_evaluation(result: dg.AssetCheckResult) -> dg.AssetCheckEvaluation:
    """Return a result as the evaluation of all partitions, of a run that has none.

    Dagster itself looks for the run's partition where it makes an evaluation of a result.
    """
    assert result.asset_key is not None
    assert result.check_name is not None
    return dg.AssetCheckEvaluation(
        asset_key=result.asset_key,
        check_name=result.check_name,
        passed=result.passed,
        metadata=result.metadata,
        severity=result.severity,
        description=result.description,
        blocking=result.severity is dg.AssetCheckSeverity.ERROR,
    )


def partition_evaluations(
    audits: Sequence[AuditResult],
    key: dg.AssetKey,
    keys: Sequence[str],
    selected: Iterable[dg.AssetCheckKey],
    instance: dg.DagsterInstance,
) -> Iterator[dg.AssetCheckEvaluation]:
    """Yield the evaluation of each rule on each partition of a run of a range, where the audit knows it.

    There are 200 at most, those that failed first. If all would be more, only those that failed are yielded:
    `check_results` says of a rule on the whole run what holds for the other partitions.

    Args:
        audits: the results of all rules.
        key: the asset's key.
        keys: the keys of the partitions that were audited, each of which has rows or was materialized.
        selected: the checks that the run selects.
        instance: the Dagster instance, which knows the materialization that an evaluation is about.

    """
    known = [(a, broken) for a in _selected(audits, selected) if (broken := _breaches(a, keys)) is not None]
    passed = Breach()
    evaluated = [
        (audit, partition, breach) for audit, broken in known for partition, breach in broken.items()
    ]
    evaluated = evaluated[:_EVALUATIONS]
    if len(known) * len(keys) <= _EVALUATIONS:
        evaluated += [
            (audit, partition, passed)
            for audit, broken in known
            for partition in keys
            if partition not in broken
        ]
    targets = latest_records(instance, key, list(dict.fromkeys(partition for _, partition, _ in evaluated)))
    for audit, partition, breach in evaluated:
        target = targets.get(partition)
        found = f": {number_of(breach.rows, audit.noun)}" if breach.rows else ""
        yield dg.AssetCheckEvaluation(
            asset_key=key,
            check_name=audit.name,
            passed=breach is passed,
            metadata={**({audit.counted: breach.rows} if audit.counted else {}), **_sample(breach.sample)},
            target_materialization_data=target
            and AssetCheckEvaluationTargetMaterializationData(
                storage_id=target.storage_id, run_id=target.run_id, timestamp=target.timestamp
            ),
            severity=_severity(audit),
            description=f"{audit.description}{found}",
            partition=partition,
        )


def _breaches(audit: AuditResult, keys: Sequence[str]) -> Mapping[str, Breach] | None:
    """Return what breaks a rule in each partition, if that is known; a single one has all of it."""
    if audit.passed:
        return {}
    return {keys[0]: Breach(audit.bad_rows, audit.sample)} if len(keys) == 1 else audit.breaches


def _severity(audit: AuditResult) -> dg.AssetCheckSeverity:
    """Return the severity as Dagster has it: a rule that rejects its bad rows lets the others through."""
    return dg.AssetCheckSeverity.ERROR if audit.severity == "ERROR" else dg.AssetCheckSeverity.WARN


def _selected(audits: Sequence[AuditResult], selected: Iterable[dg.AssetCheckKey]) -> list[AuditResult]:
    names = {check.name for check in selected}
    return [audit for audit in audits if audit.name in names]


def _sample(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"sample": dg.MetadataValue.md(markdown(rows))} if rows else {}


def _listed(breaches: Mapping[str, Breach]) -> str:
    first = ", ".join(list(breaches)[:_LISTED])
    return first if len(breaches) <= _LISTED else f"{first}, … ({len(breaches)} partitions)"


def audit_snapshot(
    contract: Contract, snapshot: Snapshot, partitions: Scope | None = None
) -> list[AuditResult]:
    """Run every rule of a contract on rows that are in a table.

    Args:
        contract: the contract as it is declared now.
        snapshot: the table, and the partitions to read.
        partitions: the partitions whose rows are counted, by default those of the snapshot. If they are
            given, one without rows is taken for one that was never materialized.

    """
    try:
        _refuse_other_columns(contract, snapshot)
    except SchemaMismatch as error:
        return schema_failure(contract.checks, error)
    scope = partitions or snapshot.scope
    audit = Audit(
        contract.checks, snapshot.sample_rows, partitions=AuditedPartitions.of(scope, snapshot.schema)
    )
    bounds = scope.on(snapshot.schema)
    keys = scope.keys or (WHOLE_TABLE,)
    row_counts = dict.fromkeys(keys, 0)
    with sampling(snapshot.sample_rows):
        for batch in snapshot.scan():
            audit.observe(batch)
            for values, positions in split(batch, bounds.columns):
                part = bounds.part_of(dict(zip(bounds.columns, values, strict=True)))
                if part is not None:
                    row_counts[keys[part]] += len(positions)
        if partitions is not None:
            row_counts = {key: rows for key, rows in row_counts.items() if rows}
        return audit.finish([snapshot.scan], row_counts)


def _refuse_other_columns(contract: Contract, snapshot: Snapshot) -> None:
    """Raise SchemaMismatch if the table's columns are not those that the contract declares."""
    contract.refuse_undeclared(snapshot.schema.names)
    declared = reconcile(snapshot.schema, None, contract.schema, {}, "add", all_rows=True)
    other = [
        f"{field.name} is {snapshot.schema.field(field.name).type}, not {field.type}"
        for field in declared
        if snapshot.schema.field(field.name).type != field.type
    ]
    if other:
        raise SchemaMismatch(
            f"the table's columns are of other types: {', '.join(other)}.", "Materialize it again."
        )
