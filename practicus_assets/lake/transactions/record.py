"""Provenance: who committed what from which inputs, and the record of it that each commit carries."""

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from deltalake import DeltaTable

from practicus_assets.errors import VersionGone
from practicus_assets.lake.contracts.audit import AuditResult
from practicus_assets.lake.delta.log import RECORD, entries
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import WHOLE_TABLE, Scope
from practicus_assets.lake.rows.fingerprint import EMPTY, rows_of


@dataclass(frozen=True)
class Provenance:
    """Who commits, and from what; written into the commit, so without secrets.

    Attributes:
        run_id, step: identify the work; every attempt at it has the same.
        attempt: 1 for the first.
        asset_key, code_version: of the asset.
        inputs: the version of each table that was read.
        restores: the version whose rows a rollback brings back; None for new rows.

    """

    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    step: str = ""
    attempt: int = 1
    asset_key: str = ""
    code_version: str = ""
    inputs: Mapping[str, int] = field(default_factory=dict)
    restores: int | None = None

    def app_id(self, scope: Scope) -> str:
        """Return the application id of the Delta transaction: one a piece of work, the same on a retry."""
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

    def record(self) -> dict[str, Any]:
        """Return the commit as JSON, for its metadata: without the partitions that hold nothing."""
        held = {key: each for key, each in self.fingerprints.items() if each != EMPTY}
        audits = [{**asdict(audit), "sample": []} for audit in self.audits]
        return {**asdict(self), "fingerprints": held, "audits": audits}

    @classmethod
    def recorded(cls, record: Mapping[str, Any], version: int, keys: Sequence[str]) -> "Commit":
        """Return the commit that a record of a transaction tells of, as found again.

        Args:
            record: of the transaction.
            version: that it made.
            keys: of the partitions of its scope; none for the whole table.

        """
        found = record["commit"]
        prints = {key: found["fingerprints"].get(key, EMPTY) for key in keys or (WHOLE_TABLE,)}
        audits = [AuditResult(**audit) for audit in found["audits"]]
        return cls(
            **{**found, "fingerprints": prints, "audits": audits, "version": version, "recovered": True}
        )


def landed(table: Table, handle: DeltaTable, provenance: Provenance, scope: Scope) -> Commit | None:
    """Return the commit in which an earlier attempt at this work landed; None if there is none.

    Raises:
        VersionGone: if it landed, and the log no longer says what.
        StoreFailed: if the log cannot be read.

    """
    with table.reaching("the table's log"):
        version = handle.transaction_version(provenance.app_id(scope))
    if version is None:
        return None
    record = next((entry.record for entry in entries(table, version, version)), None)
    if record is None:
        raise VersionGone(
            f"an earlier attempt of run {provenance.run_id} landed as version {version}, "
            "whose log entry is gone.",
            "Its rows are in the table: start a new run to write them again.",
        )
    return Commit.recorded(record, version, scope.keys)
