"""Provenance: who commits what from which inputs, and what a transaction left behind."""

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from practicus_assets.errors import UnsupportedTable, VersionGone
from practicus_assets.lake.contracts.audit import AuditResult
from practicus_assets.lake.delta.log import entries
from practicus_assets.lake.delta.record import RECORD, InputVersion, RecordedAudit, TransactionRecord
from practicus_assets.lake.delta.table import TableVersion
from practicus_assets.lake.partitions.scope import WHOLE_TABLE, Scope
from practicus_assets.lake.rows.fingerprint import EMPTY, rows_of


@dataclass(frozen=True)
class Provenance:
    """Who commits, and from what; written into the commit, so without secrets.

    Attributes:
        run_id, step: the work; every attempt at it has the same.
        attempt: the attempt's number, from 1.
        asset_key, code_version: the asset's.
        inputs: the tables that the rows are computed from.
        restores: the version whose rows a rollback brings back; None for new rows.

    """

    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    step: str = ""
    attempt: int = 1
    asset_key: str = ""
    code_version: str = ""
    inputs: Sequence[InputVersion] = ()
    restores: int | None = None

    @property
    def input_versions(self) -> dict[str, int]:
        """The version of each table that was read, by its name."""
        return {read.table: read.version for read in self.inputs}

    def app_id(self, scope: Scope) -> str:
        """Return the application id of the Delta transaction, which every attempt at the work has."""
        digest = hashlib.sha256(json.dumps([scope.columns, sorted(scope.keys)]).encode()).hexdigest()[:16]
        return f"{RECORD}/{self.run_id}/{self.step}/{digest}"


@dataclass(frozen=True)
class Commit:
    """What a transaction left behind.

    Attributes:
        version: the table's version that holds the scope.
        rows, files, bytes: of what was staged; bytes are those of Parquet files.
        seconds: from the first row to the commit.
        fingerprints: of the content of each partition of the scope, by key.
        fingerprint: of the scope's content.
        audits: the result of each rule.
        changed: False if the table already held the same rows and nothing was committed.
        recovered: True if an earlier attempt had landed and nothing was written again.

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

    @property
    def partition_rows(self) -> dict[str, int]:
        """Rows of each partition of the scope, by key."""
        return {key: rows_of(each) for key, each in self.fingerprints.items()}

    @property
    def recorded_audits(self) -> tuple[RecordedAudit, ...]:
        """The results as the log keeps them: without samples of rows."""
        return tuple(
            RecordedAudit(a.name, a.description, a.severity, a.passed, a.bad_rows, a.found)
            for a in self.audits
        )

    @property
    def recorded_fingerprints(self) -> dict[str, str]:
        """The fingerprints as the log keeps them: without the partitions that hold nothing."""
        return {key: print_ for key, print_ in self.fingerprints.items() if print_ != EMPTY}

    @classmethod
    def from_record(cls, record: TransactionRecord, version: int, keys: Sequence[str]) -> "Commit":
        """Return the commit of an earlier attempt, as its record tells it.

        Args:
            record: the transaction's record.
            version: the version that the commit made.
            keys: the keys of the partitions of its scope; none for the whole table.

        """
        return cls(
            version=version,
            rows=record.rows,
            files=record.files,
            bytes=record.size_bytes,
            seconds=record.duration_seconds,
            fingerprints={key: record.fingerprints.get(key, EMPTY) for key in keys or (WHOLE_TABLE,)},
            fingerprint=record.fingerprint,
            audits=[
                AuditResult(
                    name=audit.name,
                    passed=audit.passed,
                    severity="WARN" if audit.severity == "WARN" else "ERROR",
                    description=audit.description,
                    bad_rows=audit.bad_rows,
                    found=audit.found,
                )
                for audit in record.audits
            ],
            changed=record.changed,
            recovered=True,
        )


def landed(newest: TableVersion, provenance: Provenance, scope: Scope) -> Commit | None:
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
