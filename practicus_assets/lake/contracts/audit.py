"""Audits: the run of a contract on staged rows, before anybody can see them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.errors import AuditFailed, DataRefused, LossyValues, SchemaMismatch
from practicus_assets.lake.contracts.bad_rows import bad_rows
from practicus_assets.lake.contracts.breaches import AuditedPartitions, Breach, Breaches, add
from practicus_assets.lake.contracts.check import Check, Kind, Severity, blaming, rows_parameter
from practicus_assets.lake.contracts.quarantine import Divided, divided, excess
from practicus_assets.lake.contracts.unique import Rescan, doubled
from practicus_assets.lake.partitions.scope import WHOLE_TABLE
from practicus_assets.lake.rows.chunks import BATCH_ROWS
from practicus_assets.lake.rows.fingerprints.hashes import Hashes, hash_rows
from practicus_assets.lake.rows.frames import is_no_table, read_as, record_batches
from practicus_assets.lake.rows.key_hashes import KeyHashes
from practicus_assets.lake.rows.python_values import NO_COLUMNS
from practicus_assets.lake.rows.samples import SAMPLE_ROWS, shown
from practicus_assets.lake.rows.schema import conformed, reconcile
from practicus_assets.wording import number_of, readable_row

Counted = Literal["bad_rows", "bad_partitions", "cases", ""]


@dataclass(frozen=True)
class AuditResult:
    """What one rule found.

    Attributes:
        name: the rule's name.
        passed: whether the rule holds.
        severity: the rule's severity.
        description: what the rule promises.
        bad_rows: how many rows break the rule; of what else, `counted` says.
        sample: the first few of them.
        finding: what was found, in words.
        counted: what `bad_rows` is the number of: "bad_rows", "bad_partitions" of a row count, or "cases" of
            a table rule; empty where a table rule says only that it does not hold.
        breaches: what breaks the rule in each partition, by its key; None where that is not known.

    """

    name: str
    passed: bool
    severity: Severity
    description: str
    bad_rows: int = 0
    sample: list[dict[str, Any]] = field(default_factory=list)
    finding: str = ""
    counted: Counted = "bad_rows"
    breaches: Mapping[str, Breach] | None = None

    @property
    def blocks(self) -> bool:
        """Whether the transaction ends here."""
        return not self.passed and self.severity == "ERROR"

    @property
    def noun(self) -> str:
        """What `bad_rows` is the number of, in the singular; empty where it counts nothing."""
        return _noun(self.counted)


@dataclass
class Observations:
    """What the rules of a contract found in some rows; those of several parts can be merged.

    Attributes:
        bad_rows: how many rows break a rule, by its name.
        samples: some of them.
        keys: the hash of each row's unique key, by the rule's name.
        breaches: the bad rows of each partition, by the rule's name.
        divided: how many rows were divided into good and bad ones.
        rejected: how many of them are bad.

    """

    bad_rows: dict[str, int] = field(default_factory=dict)
    samples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    keys: dict[str, KeyHashes] = field(default_factory=dict)
    breaches: dict[str, Breaches] = field(default_factory=dict)
    divided: int = 0
    rejected: int = 0

    def add_bad_rows(self, rule: str, count: int, sample: Sequence[dict[str, Any]]) -> None:
        """Count rows that break a rule, and keep some of them."""
        self.bad_rows[rule] = self.bad_rows.get(rule, 0) + count
        self.samples.setdefault(rule, []).extend(sample)

    def add_breaches(self, rule: str, breaches: Mapping[str, Breach], sample_rows: int) -> None:
        """Count the bad rows of each partition, and keep so many of them."""
        add(self.breaches.setdefault(rule, {}), breaches, sample_rows)

    def add_keys(self, rule: str, hashes: Hashes) -> None:
        """Keep the hashes of unique keys; raises StoreFailed if they are many, and the disk is full."""
        self.keys.setdefault(rule, KeyHashes()).add(hashes)

    @classmethod
    def merged(cls, parts: Iterable["Observations"]) -> "Observations":
        """Return what was found in the rows of all parts."""
        merged = cls()
        for part in parts:
            merged.divided += part.divided
            merged.rejected += part.rejected
            for rule, count in part.bad_rows.items():
                merged.add_bad_rows(rule, count, part.samples.get(rule, []))
            for rule, keys in part.keys.items():
                merged.keys.setdefault(rule, KeyHashes()).take_in(keys)
            for rule, breaches in part.breaches.items():
                most = max((len(breach.sample) for breach in breaches.values()), default=0)
                merged.add_breaches(rule, breaches, most)
        return merged


class Audit:
    """Runs a contract's rules: those on rows as batches pass, the others when all rows are staged.

    Args:
        checks: the rules of the contract.
        sample_rows: the number of rows that a result shows at most.
        observations: what the rules on rows have found already, elsewhere.
        partitions: the partitions whose bad rows are told apart; None to tell none apart.
        most_rejected: the contract's `max_rejected`, by which `finish` judges what `divide` took out.

    Attributes:
        observations: what they have found so far.

    """

    def __init__(
        self,
        checks: Sequence[Check],
        sample_rows: int = SAMPLE_ROWS,
        observations: "Observations | None" = None,
        partitions: AuditedPartitions | None = None,
        most_rejected: float | None = None,
    ) -> None:
        self._checks = list(checks)
        self._sample_rows = sample_rows
        self._partitions = partitions
        self._most_rejected = most_rejected
        self._row_checks = [c for c in checks if c.kind not in {"schema", "unique", "row_count", "table"}]
        self._quarantines = [c for c in self._row_checks if c.severity == "QUARANTINE"]
        self._divides = False
        self._unique_checks = [c for c in checks if c.kind == "unique"]
        self.observations = observations or Observations()

    def divide(self, batch: pa.RecordBatch) -> Divided:
        """Run the rules that reject rows, and take these out; `observe` then runs the others on the rest."""
        self._divides = True
        broken = {check.name: self._bad_rows(check, batch) for check in self._quarantines}
        parts = divided(batch, broken)
        self.observations.divided += batch.num_rows
        self.observations.rejected += parts.bad.num_rows
        return parts

    def observe(self, batch: pa.RecordBatch) -> None:
        """Run the rules on rows, and remember the unique keys (8 bytes per row and key, most on the disk).

        Of an audit that divides batches, those that reject rows were run before.
        """
        for check in self._row_checks:
            if not self._divides or check.severity != "QUARANTINE":
                self._bad_rows(check, batch)
        for check in self._unique_checks:
            self.observations.add_keys(check.name, hash_rows(batch, check.columns))

    def _bad_rows(self, check: Check, batch: pa.RecordBatch) -> pa.BooleanArray:
        """Return which rows break a rule, and count them."""
        bad = bad_rows(check, batch)
        count = pc.sum(bad).as_py() or 0
        room = self._sample_rows - len(self.observations.samples.get(check.name, ()))
        sample = shown(batch.filter(bad).slice(0, room)) if count and room > 0 else []
        self.observations.add_bad_rows(check.name, count, sample)
        if count and self._partitions is not None:
            breaches = self._partitions.breaches(batch.filter(bad), self._sample_rows)
            self.observations.add_breaches(check.name, breaches or {}, self._sample_rows)
        return bad

    def observe_existing(self, scan: Rescan) -> None:
        """Remember the unique keys of rows that are in the scope already and stay there."""
        for check in self._unique_checks:
            for batch in scan(check.columns):
                self.observations.add_keys(check.name, hash_rows(batch, check.columns))

    def prepare(self) -> None:
        """Do what `finish` would have to do first, while the last rows are on their way to the store."""
        for hashes in self.observations.keys.values():
            hashes.sort()

    def finish(self, rescans: Sequence[Rescan], rows: Mapping[str, int]) -> list[AuditResult]:
        """Run the remaining rules and return every result, in the order of declaration.

        Args:
            rescans: stream rows once more, only the given columns: the staged ones first, then those whose
                keys were observed besides.
            rows: the number of rows of each partition, by key.

        """
        results = [self._result(check, rescans, rows) for check in self._checks]
        found = self.observations
        over = excess(self._most_rejected, found.rejected, found.divided)
        return [_over(result, over) for result in results] if over else results

    def _result(self, check: Check, rescans: Sequence[Rescan], rows: Mapping[str, int]) -> AuditResult:
        if check.kind == "schema":
            return _outcome(check, 0)  # the transaction refused the schema before the first row otherwise
        if check.kind == "unique":
            return self._unique(check, rescans)
        if check.kind == "row_count":
            low, high = check.argument
            bad = {
                key: n
                for key, n in rows.items()
                if (low is not None and n < low) or (high is not None and n > high)
            }
            sample = [{"partition": key, "rows": n} for key, n in list(bad.items())[:SAMPLE_ROWS]]
            by_key = {key: Breach(1, [{"partition": key, "rows": n}]) for key, n in bad.items()}
            return _outcome(check, len(bad), sample, breaches=by_key)
        if check.kind == "table":
            return self._table(check, rescans[0])
        sample = self.observations.samples.get(check.name, [])[: self._sample_rows]
        breaches = self.observations.breaches.get(check.name)
        return _outcome(check, self.observations.bad_rows.get(check.name, 0), sample, breaches=breaches)

    def _table(self, check: Check, rescan: Rescan) -> AuditResult:
        """Run a rule on the table."""
        cases, finding = _run_table_rule(check, rescan)
        if cases is None:
            return _outcome(check, int(bool(finding)), finding=finding)
        sample = shown(cases.slice(0, self._sample_rows))
        return _outcome(check, cases.num_rows, sample, breaches=self._breaches(cases))

    def _breaches(self, rows: pa.Table) -> Breaches | None:
        return self._partitions.breaches(rows, self._sample_rows) if self._partitions is not None else None

    def _unique(self, check: Check, rescans: Sequence[Rescan]) -> AuditResult:
        """Find keys that several rows have."""
        hashes = self.observations.keys.pop(check.name, KeyHashes())
        found = doubled(check.columns, hashes, rescans, self._partitions, self._sample_rows)
        return _outcome(check, found.surplus, found.sample, breaches=found.breaches)


def _over(result: AuditResult, over: str) -> AuditResult:
    """Return the result of a rule on rows of which too many are bad to be rejected."""
    if result.passed or result.severity != "QUARANTINE":
        return result
    return replace(result, severity="ERROR", finding=f"{result.finding}; {over}")


_COUNTED: dict[Kind, Counted] = {"row_count": "bad_partitions", "table": "cases"}


def failure(results: Sequence[AuditResult]) -> AuditFailed:
    """Return the error that ends a transaction whose rows broke a blocking rule."""
    failures = "; ".join(
        f"{r.name} ({r.description}): {r.finding}"
        + (f", e.g. {readable_row(r.sample[0])}" if r.sample else "")
        for r in results
        if r.blocks
    )
    return AuditFailed(f"the contract is broken. {failures}.", "Fix the data or the contract.", results)


def schema_failure(checks: Iterable[Check], error: DataRefused) -> list[AuditResult]:
    """Return the results of an audit that ended at the schema: its check failed, the others did not run."""
    return [
        _outcome(check, 1, finding=f"{error.problem} {error.sample}".strip())
        for check in checks
        if check.kind == "schema"
    ]


def _outcome(
    check: Check,
    bad_rows: int,
    sample: list[dict[str, Any]] | None = None,
    finding: str = "",
    breaches: Mapping[str, Breach] | None = None,
) -> AuditResult:
    counted = _COUNTED.get(check.kind, "bad_rows")
    if finding and check.kind == "table":
        counted = ""
    finding = finding or (number_of(bad_rows, _noun(counted)) if bad_rows else "")
    return AuditResult(
        check.name,
        not bad_rows,
        check.severity,
        check.description,
        bad_rows,
        sample or [],
        finding,
        counted,
        breaches,
    )


def _noun(counted: Counted) -> str:
    return counted.removesuffix("s").replace("_", " ")


def _run_table_rule(check: Check, rescan: Rescan) -> tuple[pa.Table | None, str]:
    """Return the cases that break a rule on the table; where it names none, what was found, in words."""
    with blaming(check):
        answer = check.argument(read_as(rescan(None), rows_parameter(check.argument)))
    if isinstance(answer, (bool, np.bool_)):
        return None, "" if answer else "the rule does not hold"
    try:
        stream = record_batches(answer)
    except SchemaMismatch as error:
        raise DataRefused(
            f"table rule {check.name!r} returned a value of type {type(answer).__qualname__}.",
            "Return True if the rule holds and False if not, or a table of the cases that break it "
            "(without rows if there are none). A number is not taken: 1 could be read as either.",
        ) from error
    with blaming(check):
        return stream.read_all(), ""


def audited(contract: Any, data: Any) -> list[AuditResult]:
    """Run the rules of a `Contract`, whose module imports this one, on rows, as its `audit` says."""
    try:
        reader = record_batches(data, contract.schema or NO_COLUMNS)
        contract.refuse_undeclared(reader.schema.names)
        contract.refuse_misspelt(reader.schema)
        schema = reconcile(reader.schema, None, contract.schema, {}, "add", all_rows=True)
        batches, first_row = [], 0
        for batch in reader:
            batches.append(conformed(batch, schema, {}, first_row))
            first_row += batch.num_rows
    except (SchemaMismatch, LossyValues) as error:
        if is_no_table(data):
            raise SchemaMismatch(
                f"the audit is given a value of type {type(data).__qualname__}, which is no table.",
                "Give it what a table asset may return: a DataFrame, a pyarrow.Table, a list of dicts.",
            ) from None
        if not contract.columns:
            raise
        return schema_failure(contract.checks, error)
    audit = Audit(contract.checks, most_rejected=contract.max_rejected)
    batches = pa.Table.from_batches(batches, schema).to_batches(BATCH_ROWS)
    if contract.rejects:
        batches = [audit.divide(batch).good for batch in batches]
    rows = pa.Table.from_batches(batches, schema)
    for batch in batches:
        audit.observe(batch)

    def scan(columns: Sequence[str] | None) -> pa.RecordBatchReader:
        return (rows.select(columns) if columns else rows).to_reader(BATCH_ROWS)

    return audit.finish([scan], {WHOLE_TABLE: rows.num_rows})
