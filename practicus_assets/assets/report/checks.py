"""Asset checks: the rules of a contract as Dagster shows them, and their run on a table as it is."""

from collections.abc import Iterable, Sequence
from typing import Any

import dagster as dg

from practicus_assets.assets.report.markdown import markdown
from practicus_assets.errors import SchemaMismatch
from practicus_assets.lake.contracts.audit import Audit, AuditResult, schema_failure
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.partitions.scope import WHOLE_TABLE, Scope
from practicus_assets.lake.partitions.values import split
from practicus_assets.lake.rows.samples import sampling
from practicus_assets.lake.rows.schema import reconcile


def check_specs(contract: Contract | None, key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """Return an asset check for each rule; one that fails with ERROR keeps the rows from the table."""
    return [
        dg.AssetCheckSpec(
            check.name, asset=key, description=check.description, blocking=check.severity == "ERROR"
        )
        for check in (contract.checks if contract else ())
    ]


def check_results(
    audits: Sequence[AuditResult], key: dg.AssetKey, scope: Scope, selected: Iterable[dg.AssetCheckKey]
) -> list[dg.AssetCheckResult]:
    """Return the result of each rule that a run records, with what it counted, and a sample.

    Args:
        audits: the results of all rules.
        key: the asset's key.
        scope: the partitions that were audited.
        selected: the checks that the run selects.

    """
    names = {check.name for check in selected}
    results = []
    for audit in audits:
        if audit.name not in names:
            continue
        metadata: dict[str, Any] = {audit.counted: audit.bad_rows} if audit.counted else {}
        if not scope.is_whole_table:
            metadata["partitions"] = str(scope)
        if audit.sample:
            metadata["sample"] = dg.MetadataValue.md(markdown(audit.sample))
        results.append(
            dg.AssetCheckResult(
                passed=audit.passed,
                asset_key=key,
                check_name=audit.name,
                severity=dg.AssetCheckSeverity(audit.severity),
                description=f"{audit.description}: {audit.finding}" if audit.finding else audit.description,
                metadata=metadata,
            )
        )
    return results


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
    audit = Audit(contract.checks, snapshot.sample_rows)
    scope = partitions or snapshot.scope
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
