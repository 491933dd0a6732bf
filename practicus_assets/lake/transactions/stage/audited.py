"""Audited rows: staged, allowed by the contract, and not yet committed."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from practicus_assets.lake.contracts.audit import Audit, AuditResult, failure
from practicus_assets.lake.contracts.breaches import AuditedPartitions
from practicus_assets.lake.delta.record import TransactionRecord
from practicus_assets.lake.partitions.recorded import RecordedRows
from practicus_assets.lake.partitions.scope import WHOLE_TABLE
from practicus_assets.lake.rows.fingerprints.fingerprint import EMPTY, Fingerprint
from practicus_assets.lake.transactions.attempt import Attempt
from practicus_assets.lake.transactions.commit import recorded
from practicus_assets.lake.transactions.effect import NO_TIME, Durations, Matched
from practicus_assets.lake.transactions.stage.staged import Staged

if TYPE_CHECKING:
    from practicus_assets.lake.contracts.unique import Rescan


@dataclass(frozen=True)
class Audited:
    """What waits for its commit.

    Attributes:
        staged: the rows.
        parts: what of them came from the author, before the rows that stay were staged with it.
        record: what the commit is going to say about itself.
        audits: the results of the rules, with their samples.
        matched: what the keys of a merge matched; None in other modes, and where nobody knows.
        durations: where the time went until now.

    """

    staged: Staged
    record: TransactionRecord
    parts: Staged
    audits: Sequence[AuditResult]
    matched: Matched | None = None
    durations: Durations = NO_TIME


def fingerprints_of(attempt: Attempt, staged: Staged, *, given: bool = False) -> dict[str, Fingerprint]:
    """Return the fingerprint of each partition that a commit writes, by its key; those without rows too.

    Args:
        attempt: the attempt.
        staged: the rows.
        given: whether the partitions are those of the run, and not all that its commit writes.

    """
    scope = attempt.scope if given else attempt.written
    keys, bounds = scope.keys or (WHOLE_TABLE,), scope.on(staged.schema)
    fingerprints = {key: Fingerprint() for key in keys}
    for values, fingerprint in staged.fingerprints.items():
        part = bounds.part_of(dict(zip(attempt.options.partition_by, values, strict=True)))
        assert part is not None, "rows outside the scope were refused while they were staged"
        fingerprints[keys[part]].merge(fingerprint)
    return fingerprints


def record_of(  # noqa: PLR0917 what a record is made of
    attempt: Attempt,
    staged: Staged,
    fingerprints: Mapping[str, Fingerprint],
    audits: Sequence[AuditResult],
    seconds: float,
    given: RecordedRows | None = None,
) -> TransactionRecord:
    """Return what the commit of an attempt is going to say about itself.

    Args:
        attempt: the attempt.
        staged: its rows.
        fingerprints: that of each partition of its scope, by key.
        audits: the results of the rules.
        seconds: the time that it took.
        given: the rows that the run gave to a history; None in another mode.

    """
    who = attempt.provenance
    whole = Fingerprint()
    for fingerprint in fingerprints.values():
        whole.merge(fingerprint)
    return TransactionRecord(
        run_id=who.run_id,
        step=who.step,
        attempt=who.attempt,
        attempt_id=str(uuid.uuid4()),
        work=attempt.work,
        mode=attempt.options.mode,
        scope=attempt.written.on(staged.schema).recorded,
        given=given,
        asset_key=who.asset_key,
        code_version=who.code_version,
        inputs=who.inputs,
        sources=who.sources,
        config_digest=who.config_digest,
        restores_version=who.restores,
        base=who.base,
        promotes=who.promotes,
        contract_digest=attempt.contract.digest,
        rows=staged.rows,
        files=len(staged.files),
        size_bytes=staged.size,
        duration_seconds=seconds,
        fingerprint=str(whole),
        fingerprints={key: text for key, each in fingerprints.items() if (text := str(each)) != EMPTY},
        audits=recorded(audits),
        began_at=attempt.began_at,
        began_version=attempt.began_version,
    )


def audit_of(attempt: Attempt, staged: Staged, rows: Mapping[str, int]) -> list[AuditResult]:
    """Return the result of each rule on all rows.

    Args:
        attempt: the attempt.
        staged: the rows, and what the rules on rows have found in them.
        rows: the number of rows of each partition that the commit writes, by its key.

    Raises:
        AuditFailed: if a rule ends the transaction.

    """
    partitions = AuditedPartitions.of(attempt.written, staged.schema)
    audit = Audit(
        attempt.contract.checks,
        attempt.table.sample_rows,
        staged.observations,
        partitions,
        0 if attempt.provenance.promotes is not None else attempt.contract.max_rejected,
    )
    rescans: list[Rescan] = [
        lambda columns: staged.scan(attempt.table, attempt.options.partition_by, columns)
    ]
    if attempt.appends and attempt.contract.unique and attempt.began is not None:
        rescans.append(attempt.old_rows(staged.schema))
        audit.observe_existing(rescans[-1])
    results = audit.finish(rescans, rows)
    if any(result.blocks for result in results):
        raise failure(results)
    return results
