"""Commits: what a transaction left behind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pyarrow as pa

from practicus_assets.errors import UnsupportedTable, VersionGone
from practicus_assets.lake.contracts.audit import AuditResult
from practicus_assets.lake.delta.log import entries
from practicus_assets.lake.delta.record import RecordedAudit, TransactionRecord
from practicus_assets.lake.delta.table import TableVersion
from practicus_assets.lake.partitions.scope import WHOLE_TABLE, Scope
from practicus_assets.lake.rows.fingerprints.fingerprint import EMPTY, rows_of
from practicus_assets.lake.transactions.effect import Before, Durations, Matched
from practicus_assets.lake.transactions.provenance import Provenance


@dataclass(frozen=True)
class Reused:
    """The commit whose rows a run used again.

    Attributes:
        version: the version that it made.
        run_id: the run that made it.

    """

    version: int
    run_id: str


@dataclass(frozen=True)
class Rejected:
    """What a transaction's contract kept from the table, in the table of rejected rows beside it.

    Attributes:
        version: the version of that table that has these rows.
        rows: how many they are.
        attempt: what they have as their attempt.

    """

    version: int
    rows: int
    attempt: str


@dataclass(frozen=True)
class Commit:
    """What a transaction left behind.

    Attributes:
        version: the table's version that holds the scope.
        rows, files: how many rows and Parquet files were staged.
        bytes: the size of these files.
        seconds: the time from the first row to the commit.
        fingerprints: the fingerprint of the rows of each partition of the scope, by its key; of a history's
            partitions, that of the rows that the run gave.
        fingerprint: the fingerprint of all rows of the scope.
        audits: the result of each rule.
        changed: False if the table already held the same rows and nothing was committed.
        recovered: True if an earlier attempt had landed and nothing was written again.
        filled: the partition columns that the output lacks, and that were filled in.
        reused: the commit whose rows were used again, and nothing was computed; None for all others.
        rejected: the rows that the contract rejected; None if there are none now, and were none before.
        versions: of a history, how many versions of keys the commit opened, closed and so on; by these words.
        before: the version that it was made on; None if there was none, or this process did not make it.
        matched: what the keys of a merge matched; None in other modes, and where nobody knows.
        durations: where the time went; None if this process did not make it.
        heads: the first rows of files that it wrote, by path, where they are still in memory.

    """

    version: int
    rows: int
    files: int
    bytes: int
    seconds: float
    fingerprints: Mapping[str, str]
    fingerprint: str
    audits: Sequence[AuditResult] = ()
    changed: bool = True
    recovered: bool = False
    filled: tuple[str, ...] = ()
    reused: Reused | None = None
    rejected: Rejected | None = None
    versions: Mapping[str, int] = field(default_factory=dict)
    before: Before | None = field(default=None, repr=False, compare=False)
    matched: Matched | None = None
    durations: Durations | None = field(default=None, compare=False)
    heads: Mapping[str, pa.RecordBatch] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def partition_rows(self) -> dict[str, int]:
        """Rows of each partition of the scope, by key."""
        return {key: rows_of(fingerprint) for key, fingerprint in self.fingerprints.items()}

    @classmethod
    def from_record(
        cls,
        record: TransactionRecord,
        version: int,
        keys: Sequence[str],
        audits: Sequence[AuditResult] | None = None,
        *,
        recovered: bool = True,
    ) -> "Commit":
        """Return the commit that a record is about.

        Args:
            record: the transaction's record.
            version: the version that holds the scope.
            keys: the keys of the partitions of its scope; none for the whole table.
            audits: the results with their samples; by default those of the record, which has none.
            recovered: whether an earlier attempt wrote the record.

        """
        rejected = None
        if record.rejected_version is not None:
            rejected = Rejected(record.rejected_version, record.rejected_rows, record.rejected_attempt)
        given = record.given
        recorded_of = given.fingerprints if given is not None and keys else record.fingerprints
        return cls(
            version=version,
            rows=record.rows,
            files=record.files,
            bytes=record.size_bytes,
            seconds=record.duration_seconds,
            fingerprints={key: recorded_of.get(key, EMPTY) for key in keys or (WHOLE_TABLE,)},
            fingerprint=record.fingerprint,
            audits=audits if audits is not None else [_result(audit) for audit in record.audits],
            changed=record.changed,
            recovered=recovered,
            rejected=rejected,
            versions=given.versions if given is not None else {},
        )


def recorded(audits: Sequence[AuditResult]) -> tuple[RecordedAudit, ...]:
    """Return the results of rules as the log keeps them: without samples of rows.

    One that rejected rows is kept as a warning, for an earlier release knows no other that commits.
    """
    return tuple(
        RecordedAudit(
            a.name,
            a.description,
            "WARN" if a.severity == "QUARANTINE" else a.severity,
            a.passed,
            a.bad_rows,
            a.finding,
        )
        for a in audits
    )


def _result(audit: RecordedAudit) -> AuditResult:
    return AuditResult(
        name=audit.name,
        passed=audit.passed,
        severity="WARN" if audit.severity == "WARN" else "ERROR",
        description=audit.description,
        bad_rows=audit.bad_rows,
        finding=audit.found,
    )


def earlier_commit(newest: TableVersion, provenance: Provenance, scope: Scope) -> Commit | None:
    """Return the commit in which an earlier attempt at this work landed; None if there is none.

    Raises:
        VersionGone: if it landed, and the log no longer says what.
        UnsupportedTable: if it landed, and a newer release of this package wrote what.
        StoreFailed: if the log cannot be read.

    """
    version = newest.transaction_version(provenance.app_id(scope))
    if version is None:
        return None
    entry = next(entries(newest.table, version, version), None)
    earlier = f"an earlier attempt of run {provenance.run_id} landed as version {version}"
    if entry is not None and entry.unreadable is not None:
        raise UnsupportedTable(
            f"{earlier}, and its record in the log cannot be read: {entry.unreadable}.",
            f"Its rows are in the table. {entry.unreadable.advice}",
        )
    if entry is None or entry.record is None:
        raise VersionGone(
            f"{earlier}, whose log entry is gone.",
            "Its rows are in the table: start a new run to write them again.",
        )
    return Commit.from_record(entry.record, version, scope.keys)
