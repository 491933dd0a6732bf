"""Audited rows: staged, allowed by the contract, and not yet committed."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from practicus_assets.lake.contracts.audit import AuditResult
from practicus_assets.lake.delta.record import TransactionRecord
from practicus_assets.lake.partitions.scope import WHOLE_TABLE
from practicus_assets.lake.rows.fingerprints.fingerprint import EMPTY, Fingerprint
from practicus_assets.lake.transactions.attempt import Attempt
from practicus_assets.lake.transactions.commit import recorded
from practicus_assets.lake.transactions.stage.staged import Staged


@dataclass(frozen=True)
class Audited:
    """What waits for its commit.

    Attributes:
        staged: the rows.
        record: what the commit is going to say about itself.
        audits: the results of the rules, with their samples.

    """

    staged: Staged
    record: TransactionRecord
    audits: Sequence[AuditResult]


def fingerprints_of(attempt: Attempt, staged: Staged) -> dict[str, Fingerprint]:
    """Return the fingerprint of each partition of an attempt's scope, by its key; those without rows too."""
    keys = attempt.scope.keys or (WHOLE_TABLE,)
    bounds = attempt.scope.on(staged.schema)
    fingerprints = {key: Fingerprint() for key in keys}
    for values, fingerprint in staged.fingerprints.items():
        part = bounds.part_of(dict(zip(attempt.options.partition_by, values, strict=True)))
        assert part is not None, "rows outside the scope were refused while they were staged"
        fingerprints[keys[part]].merge(fingerprint)
    return fingerprints


def record_of(
    attempt: Attempt,
    staged: Staged,
    fingerprints: Mapping[str, Fingerprint],
    audits: Sequence[AuditResult],
    seconds: float,
) -> TransactionRecord:
    """Return what the commit of an attempt is going to say about itself.

    Args:
        attempt: the attempt.
        staged: its rows.
        fingerprints: that of each partition of its scope, by key.
        audits: the results of the rules.
        seconds: the time that it took.

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
        scope=attempt.scope.on(staged.schema).recorded,
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
