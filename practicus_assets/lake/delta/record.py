"""Records: what each commit of a transaction, or of upkeep, says about itself in the log, for ever.

A record is JSON under one key of the commit's `commitInfo`, which the Delta protocol leaves open for more
information ("Commit Provenance Information"). Records stay readable by these rules:

- A field may be added at any time. Readers ignore fields that they do not know, and give an absent one its
  default, so workers of two releases can write one table side by side.
- No field changes its meaning, its unit or its name. A change that a reader of the present format would
  misread raises `FORMAT` or `UPKEEP_FORMAT`. A reader that meets a transaction of a newer format takes the
  commit for one that may have changed every row: it conflicts, and is no known work. Upkeep of a newer
  format is as if another program had done it: the commit's actions say that no row changed.
- Records without a number are of the time before there was one, and are read as format 0.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from practicus_assets.lake.partitions.recorded import RecordedRows, RecordedScope

RECORD = "practicus_assets"  # the key of a transaction's record in a commit's metadata
FORMAT = 1
UPKEEP = "practicus_assets_upkeep"  # the key of upkeep's record, in commits that change no row
UPKEEP_FORMAT = 1
IN_BASE = " (base)"  # after the name of a table that was read in the base


class UnreadableRecord(ValueError):
    """A record of a newer format, or one that is none.

    Attributes:
        package_version: the release of this package that wrote it; empty if unknown.

    """

    def __init__(self, problem: str, package_version: str = "") -> None:
        super().__init__(problem)
        self.package_version = package_version

    @property
    def advice(self) -> str:
        """What to do, as a sentence."""
        release = f"practicus-assets {self.package_version}" if self.package_version else "the newer release"
        return f"Run this worker with {release} or a later one."


@dataclass(frozen=True)
class RecordedAudit:
    """The result of one rule, without samples of rows: those would stay in the log when the rows are deleted.

    Attributes:
        name, description: the rule's name, and what it demands in words.
        severity: "ERROR" for a rule that ends the transaction, "WARN" for one that only warns.
        passed: whether the rule held.
        bad_rows: how many rows broke it (partitions, for a row count).
        found: what was found, in words.

    """

    name: str
    description: str = ""
    severity: str = "ERROR"
    passed: bool = True
    bad_rows: int = 0
    found: str = ""


@dataclass(frozen=True)
class InputVersion:
    """A table that the rows were computed from.

    Attributes:
        table: the table's name, e.g. `sales/orders`.
        version: the version that was read.
        table_id: the id that Delta gave the table; another one has been made in its place if it differs.
        scope: the partitions that were read; None where only the version is known.
        root_uri: the root of the base that it was read in; empty for the lake that holds this record.

    """

    table: str
    version: int
    table_id: str = ""
    scope: RecordedScope | None = None
    root_uri: str = ""

    @property
    def name(self) -> str:
        """How people call what was read: the table's name, and that it is the base's."""
        return f"{self.table}{IN_BASE}" if self.root_uri else self.table


@dataclass(frozen=True)
class VersionElsewhere:
    """A version of the same table in another lake: in the base, or in the lake that was promoted.

    Attributes:
        root_uri: the other lake's root.
        version: the version; None if it had no such table.
        table_id: the id that Delta gave the table; empty if there was none.

    """

    root_uri: str
    version: int | None = None
    table_id: str = ""


@dataclass(frozen=True)
class SourceRead:
    """A table of another system that the rows were computed from.

    Attributes:
        source: the source's name, e.g. `shop/orders`.
        address: where its system is, without credentials.
        relation: what was read there, e.g. `public.orders`.
        state: the state of the system that was read, as the system names it; empty if it has no name for it.

    """

    source: str
    address: str = ""
    relation: str = ""
    state: str = ""


@dataclass(frozen=True)
class TransactionRecord:
    """What one commit of this package says about itself.

    Attributes:
        run_id, step: the work; every attempt at it has the same.
        attempt: the attempt's number, from 1.
        attempt_id: a UUID that tells the attempt from every other.
        work: the application id of the Delta transaction, by which a later attempt finds the commit.
        mode: "replace", "append", "merge" or "history"; one that a reader does not know replaced the scope.
        scope: what was replaced, or appended to.
        given: the rows that the run gave to a history; None in other modes, and then left out of the log.
        asset_key, code_version: the asset's; empty if there is none.
        inputs: the tables that the rows were computed from.
        sources: what they were computed from in other systems; left out of the log where there is nothing.
        config_digest: tells the configuration, where a later run may use the rows again; else left out.
        restores_version: the version whose rows a rollback brought back; None for new rows.
        base: the version of the base's table that was pinned then; None, and left out, without a base.
        promotes: the version of a dev lake's table whose rows the commit brought here; else left out, too.
        contract_digest: tells which contract the rows passed; empty without one.
        rejected_version, rejected_rows, rejected_attempt: the version of the table of rejected rows that has
            this commit's, their number, and their attempt; left out where there are none, and were none.
        changed: False if the scope held the same rows already, and the commit only marks the attempt.
        rows, files, size_bytes: how many rows and Parquet files were staged, and the files' size.
        duration_seconds: the time from the first row to the commit.
        fingerprint: of all staged rows, tagged with its algorithm (`rows.fingerprints`); else by the first.
        fingerprints: of the rows of each partition, by its key; partitions without rows are left out.
        audits: the result of each rule of the contract.
        began_at: when the attempt began, by the worker's clock.
        began_version: the table's version then; None if there was no table.
        package_version: the release of this package that wrote the record.
        format: the record's format.

    """

    run_id: str
    step: str
    attempt: int
    attempt_id: str
    work: str
    mode: str
    scope: RecordedScope
    asset_key: str = ""
    code_version: str = ""
    inputs: Sequence[InputVersion] = ()
    sources: Sequence[SourceRead] = ()
    config_digest: str = ""
    given: RecordedRows | None = None
    restores_version: int | None = None
    base: VersionElsewhere | None = None
    promotes: VersionElsewhere | None = None
    contract_digest: str = ""
    rejected_version: int | None = None
    rejected_rows: int = 0
    rejected_attempt: str = ""
    changed: bool = True
    rows: int = 0
    files: int = 0
    size_bytes: int = 0
    duration_seconds: float = 0.0
    fingerprint: str = ""
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    audits: Sequence[RecordedAudit] = ()
    began_at: datetime | None = None
    began_version: int | None = None
    package_version: str = ""
    format: int = FORMAT

    @property
    def input_versions(self) -> dict[str, int]:
        """The version of each table that was read, by its name."""
        return {read.name: read.version for read in self.inputs}

    def to_json(self) -> str:
        """Return the record as the log keeps it; times are ISO 8601 in UTC."""
        began = self.began_at and self.began_at.astimezone(UTC)
        values = {
            **{name: getattr(self, name) for name in self.__dataclass_fields__},
            "scope": self.scope.to_json(),
            "given": self.given.to_json() if self.given is not None else None,
            "inputs": [
                {
                    **{name: value for name, value in vars(read).items() if name != "root_uri" or value},
                    "scope": read.scope.to_json() if read.scope is not None else None,
                }
                for read in self.inputs
            ],
            **{n: at and asdict(at) for n, at in (("base", self.base), ("promotes", self.promotes))},
            "sources": [asdict(read) for read in self.sources],
            "fingerprints": dict(self.fingerprints),
            "audits": [asdict(audit) for audit in self.audits],
            "began_at": began and began.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "package_version": self.package_version or package_version(),
        }
        rejected = [name for name in values if name.startswith("rejected_") and self.rejected_version is None]
        for name in ("given", "sources", "base", "promotes", "config_digest", *rejected):
            if not values[name]:
                del values[name]
        return json.dumps({"format": values.pop("format"), **values})

    @classmethod
    def from_json(cls, text: str) -> "TransactionRecord":
        """Return the record that `to_json` wrote, in this release or another.

        Raises:
            UnreadableRecord: for a record of a newer format, and for what is no record.

        """
        with _damage():
            values = _values(text, FORMAT)
            return cls._from_values(_numbered(values) if values["format"] == 0 else values)

    @classmethod
    def _from_values(cls, values: Mapping[str, Any]) -> "TransactionRecord":
        began_at = values.get("began_at")
        parsed = {
            "attempt": int(values["attempt"]),
            "scope": RecordedScope.from_json(values["scope"]),
            "given": RecordedRows.from_json(values["given"]) if values.get("given") else None,
            "inputs": tuple(_input(read) for read in values.get("inputs") or ()),
            "sources": tuple(SourceRead(**_known(SourceRead, read)) for read in values.get("sources") or ()),
            "base": _elsewhere(values.get("base")),
            "promotes": _elsewhere(values.get("promotes")),
            "audits": tuple(RecordedAudit(**_known(RecordedAudit, a)) for a in values.get("audits") or ()),
            "began_at": datetime.fromisoformat(began_at) if began_at else None,
        }
        return cls(**{**_known(cls, values), **parsed})


@dataclass(frozen=True)
class UpkeepRecord:
    """What one commit of maintenance says about itself; its actions say that no row changed.

    Attributes:
        operation: "compact", "keep the log", or "z-order by " and columns, by which a later one knows it.
        run_id: the id of the run that did it; empty for none.
        attempt_id: a UUID by which the attempt finds its own commit; empty where none has to.
        package_version: the release of this package that wrote the record.
        format: the record's format.

    """

    operation: str
    run_id: str = ""
    attempt_id: str = ""
    package_version: str = ""
    format: int = UPKEEP_FORMAT

    def to_json(self) -> str:
        """Return the record as the log keeps it."""
        values = asdict(self) | {"package_version": self.package_version or package_version()}
        return json.dumps({"format": values.pop("format"), **values})

    @classmethod
    def from_json(cls, text: str) -> "UpkeepRecord":
        """Return the record that `to_json` wrote, in this release or another.

        Raises:
            UnreadableRecord: for a record of a newer format, and for what is no record.

        """
        with _damage():
            values = _values(text, UPKEEP_FORMAT)
            return cls(**{**_known(cls, values), "operation": str(values["operation"])})


@contextmanager
def _damage() -> Iterator[None]:
    """Raise UnreadableRecord for what is no record."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, UnreadableRecord):
            raise
        raise UnreadableRecord(f"it is damaged: {type(error).__name__} {error}") from error


def _values(text: str, newest: int) -> dict[str, Any]:
    """Return a record's values, with format 0 if it has no number; raise for a format after the newest."""
    values: dict[str, Any] = json.loads(text)
    number = int(values.get("format", 0))
    if number > newest:
        raise UnreadableRecord(
            f"it is of format {number}, and this release reads formats up to {newest}",
            str(values.get("package_version", "")),
        )
    return {**values, "format": number}


def _input(values: Mapping[str, Any]) -> InputVersion:
    scope = values.get("scope")
    return InputVersion(
        **{
            **_known(InputVersion, values),
            "scope": RecordedScope.from_json(scope) if scope is not None else None,
        }
    )


def _elsewhere(values: Mapping[str, Any] | None) -> VersionElsewhere | None:
    return VersionElsewhere(**_known(VersionElsewhere, values)) if values else None


def _known(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of those fields that a class has."""
    return {name: values[name] for name in kind.__dataclass_fields__ if name in values}


def _numbered(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record from before formats had numbers in the terms of format 1."""
    staged = values["commit"]
    return {
        **values,
        **staged,
        "inputs": [{"table": table, "version": read} for table, read in values.get("inputs", {}).items()],
        "restores_version": values.get("restores"),
        "contract_digest": values.get("contract", ""),
        "size_bytes": staged["bytes"],
        "duration_seconds": staged["seconds"],
    }


@cache
def package_version() -> str:
    """Return this package's release; empty where it is not installed."""
    try:
        return version("practicus-assets")
    except PackageNotFoundError:
        return ""
