"""Contracts: what a table promises about its columns and rows, declared by its author."""

import hashlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, get_args

import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets.errors import DeclarationError, LossyValues, SchemaMismatch
from practicus_assets.lake.contracts.audit import Audit, AuditResult, schema_failure
from practicus_assets.lake.contracts.check import Check, Kind, Severity
from practicus_assets.lake.partitions.scope import WHOLE_TABLE
from practicus_assets.lake.rows.casts import exact_scalar
from practicus_assets.lake.rows.frames import BATCH_ROWS, record_batches
from practicus_assets.lake.rows.schema import conformed, reconcile
from practicus_assets.lake.rows.type_text import as_type
from practicus_assets.lake.rows.types import stored_type

_CHECK_NAME = re.compile(r"[A-Za-z0-9_]+")  # what Dagster takes as the name of an asset check


@dataclass(frozen=True)
class Column:
    """One column's promise.

    Attributes:
        type: an Arrow type; the text of one as Arrow prints it (`"int64"`, `"decimal128(18, 2)"`,
            `"timestamp[us, tz=UTC]"`, `"struct<a: int64, b: list<item: string>>"`) or as the Delta protocol
            has it (`"long"`, `"decimal(18,2)"`, `"timestamp"`, `"array<string>"`); or a type of deltalake.
        description: what the values mean, in which unit; shown in the catalog.
        nullable: whether nulls are allowed.
        minimum, maximum: inclusive bounds.
        allowed: the only values that may appear.
        pattern: a regular expression (RE2) that the whole text matches.
        severity: of the rules on this column; "WARN" records a failure and commits.

    """

    type: Any
    description: str = ""
    nullable: bool = True
    minimum: Any = None
    maximum: Any = None
    allowed: Sequence[Any] | None = None
    pattern: str | None = None
    severity: Severity = "ERROR"

    @property
    def arrow_type(self) -> pa.DataType:
        """The Arrow type.

        Raises:
            DeclarationError: if `type` names none.

        """
        return as_type(self.type)


@dataclass(frozen=True)
class RowRule:
    """A condition on each row, run batch by batch.

    Attributes:
        name: the name of the asset check.
        check: a function that takes rows as a `pyarrow.Table`, or as its annotation says, and returns one
            boolean per row; null counts as true, as in SQL.
        description: what is promised, in words.
        severity: "WARN" records a failure and commits.

    """

    name: str
    check: Callable[[Any], Any]
    description: str = ""
    severity: Severity = "ERROR"


@dataclass(frozen=True)
class TableRule:
    """A condition on all staged rows together, run once before the commit.

    Attributes:
        name: the name of the asset check.
        check: a function that takes the rows as its annotation says (by default a DataFrame;
            `pa.RecordBatchReader` streams) and returns either a bool, True if the rule holds, or a table of
            the cases that break it, without rows if there are none. A number is refused.
        description: what is promised, in words.
        severity: "WARN" records a failure and commits.

    """

    name: str
    check: Callable[[Any], Any]
    description: str = ""
    severity: Severity = "ERROR"


@dataclass(frozen=True)
class Contract:
    """What a table promises. Each promise is one rule, shown by Dagster as an asset check.

    Attributes:
        columns: the promised columns; further ones are allowed unless `closed`.
        unique: sets of columns whose values tell each row apart, within the scope of a transaction.
        rows: the least and the most rows that a transaction brings to each partition (to the table, if it
            has none); None is no bound.
        rules: further conditions.
        closed: whether undeclared columns are refused.

    """

    columns: Mapping[str, Column] = field(default_factory=dict)
    unique: Sequence[Sequence[str]] = ()
    rows: tuple[int | None, int | None] = (None, None)
    rules: Sequence[RowRule | TableRule] = ()
    closed: bool = False

    def __post_init__(self) -> None:
        """Refuse a contract that could never be kept or run.

        Raises:
            DeclarationError: naming the column or the rule.

        """
        for name, column in self.columns.items():
            _validate(name, column)
        for key in self.unique:
            if isinstance(key, str) or not key:
                raise DeclarationError(
                    f"unique key {key!r} is no list of columns.", 'Write unique=[["a", "b"]].'
                )
            unknown = [name for name in key if self.columns and name not in self.columns]
            if unknown:
                raise DeclarationError(f"unique key {list(key)} names undeclared columns {unknown}.")
        low, high = self.rows
        if low is not None and high is not None and low > high:
            raise DeclarationError(f"rows={self.rows} can hold for no table: the least is above the most.")
        names = [rule.name for rule in self.checks]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise DeclarationError(f"the rules {doubled} are declared twice.", "Give each its own name.")

    @property
    def schema(self) -> pa.Schema | None:
        """The promised columns and types; None if none are declared."""
        if not self.columns:
            return None
        return pa.schema([pa.field(name, column.arrow_type) for name, column in self.columns.items()])

    @cached_property
    def checks(self) -> list[Check]:
        """Every rule, in the order of declaration."""
        found = []
        if self.columns:
            found.append(Check("schema", "schema", (), _columns_sentence(self), "ERROR"))
        for name, column in self.columns.items():
            found += _column_checks(name, column)
        for key in self.unique:
            name = _check_name("_".join([*key, "unique"]))
            found.append(
                Check(name, "unique", tuple(key), f"{' and '.join(key)} tell each row apart", "ERROR")
            )
        if self.rows != (None, None):
            found.append(Check("row_count", "row_count", (), _rows_sentence(self.rows), "ERROR", self.rows))
        for rule in self.rules:
            _validate_severity(rule.name, rule.severity)
            if not _CHECK_NAME.fullmatch(rule.name):
                raise DeclarationError(
                    f"rule name {rule.name!r} cannot name an asset check.", "Use letters, digits and '_'."
                )
            kind: Kind = "row" if isinstance(rule, RowRule) else "table"
            sentence = (rule.description or inspect.getdoc(rule.check) or rule.name.replace("_", " ")).rstrip(
                "."
            )
            found.append(Check(rule.name, kind, (), sentence, rule.severity, rule.check))
        return found

    def refuse_undeclared(self, names: Sequence[str]) -> None:
        """Raise SchemaMismatch if the contract is closed and does not declare a column."""
        undeclared = [name for name in names if self.columns and name not in self.columns]
        if undeclared and self.closed:
            raise SchemaMismatch(f"the contract does not know the columns {undeclared}.", "Declare them.")

    def audit(self, data: Any) -> list[AuditResult]:
        """Run every rule on rows, as a transaction would that replaces a whole table with them.

        No table is needed, and a broken rule is a result and no exception. All rows are held in memory.

        Args:
            data: the rows, as any value that a table asset may return.

        Raises:
            DataRefused: if the rows are no table, or a rule fails to give an answer.

        """
        try:
            reader = record_batches(data)
            self.refuse_undeclared(reader.schema.names)
            schema = reconcile(reader.schema, None, self.schema, {}, "add", all_rows=True)
            batches, first_row = [], 0
            for batch in reader:
                batches.append(conformed(batch, schema, {}, first_row))
                first_row += batch.num_rows
        except (SchemaMismatch, LossyValues) as error:
            if not self.columns:
                raise
            return schema_failure(self.checks, error)
        rows = pa.Table.from_batches(batches, schema)
        audit = Audit(self.checks)
        for batch in rows.to_batches(BATCH_ROWS):
            audit.observe(batch)

        def scan(columns: Sequence[str] | None) -> pa.RecordBatchReader:
            return (rows.select(columns) if columns else rows).to_reader(BATCH_ROWS)

        return audit.finish([scan], {WHOLE_TABLE: rows.num_rows})

    @cached_property
    def digest(self) -> str:
        """A short hash of everything that is promised, functions by their source."""
        parts = [f"{c.name} {c.kind} {c.columns} {c.severity} {_source(c.argument)}" for c in self.checks] + [
            f"{name}: {column.arrow_type}" for name, column in self.columns.items()
        ]
        return hashlib.sha256("\n".join([*parts, str(self.closed)]).encode()).hexdigest()[:16]


def _column_checks(name: str, column: Column) -> list[Check]:
    checks = []

    def add(kind: Kind, sentence: str, argument: Any = None) -> None:
        checks.append(
            Check(_check_name(f"{name}_{kind}"), kind, (name,), sentence, column.severity, argument)
        )

    if not column.nullable:
        add("not_null", f"{name} is never null")
    if column.minimum is not None and column.maximum is not None:
        bounds = (column.minimum, column.maximum)
        add("range", f"{name} is from {column.minimum} to {column.maximum}", bounds)
    elif column.minimum is not None:
        add("minimum", f"{name} is at least {column.minimum}", (column.minimum, None))
    elif column.maximum is not None:
        add("maximum", f"{name} is at most {column.maximum}", (None, column.maximum))
    if column.allowed is not None:
        add("allowed", f"{name} is one of {_listed(column.allowed)}", tuple(column.allowed))
    if column.pattern is not None:
        add("pattern", f"{name} matches {column.pattern}", column.pattern)
    return checks


def _validate(name: str, column: Column) -> None:
    try:
        arrow_type = column.arrow_type
    except DeclarationError as error:
        raise DeclarationError(f"column {name!r} of the contract: {error.problem}", error.advice) from None
    try:
        type_ = stored_type(arrow_type, name)
        for value in (column.minimum, column.maximum, *(column.allowed or ())):
            exact_scalar(value, type_)
        for bound in (column.minimum, column.maximum):
            if bound is not None:
                pc.less(exact_scalar(bound, type_), exact_scalar(bound, type_))
        if column.pattern is not None:
            pc.match_substring_regex(pa.array([""], type_), column.pattern)
        if isinstance(column.allowed, str):
            raise TypeError(f"allowed={column.allowed!r} is a text and no list")  # noqa: TRY301 one message for all
    except SchemaMismatch as error:
        raise DeclarationError(
            f"the contract: {error.problem}", "Declare a type that Delta Lake has."
        ) from error
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise DeclarationError(
            f"column {name!r} of the contract: {error}.",
            "Bounds and allowed values are of the column's type.",
        ) from error
    _validate_severity(name, column.severity)
    if column.minimum is not None and column.maximum is not None and column.minimum > column.maximum:
        raise DeclarationError(f"column {name!r} of the contract: its minimum is above its maximum.")


def _validate_severity(name: str, severity: str) -> None:
    if severity not in get_args(Severity):
        raise DeclarationError(
            f"{name!r} of the contract has the severity {severity!r}.", "Use ERROR or WARN."
        )


def _check_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", text)


def _columns_sentence(contract: Contract) -> str:
    others = ", no others" if contract.closed else ""
    return f"columns and types as declared{others}: {', '.join(contract.columns)}"


def _rows_sentence(rows: tuple[int | None, int | None]) -> str:
    low, high = rows
    bounds = [f"at least {low}"] * (low is not None) + [f"at most {high}"] * (high is not None)
    return f"each partition has {' and '.join(bounds)} rows"


def _listed(values: Sequence[Any]) -> str:
    shown = ", ".join(map(str, values[:10]))
    return shown if len(values) <= 10 else f"{shown}, … ({len(values)} values)"  # noqa: PLR2004 a line's worth


def _source(argument: Any) -> str:
    if not callable(argument):
        return repr(argument)
    try:
        return inspect.getsource(argument)
    except (OSError, TypeError):
        named = getattr(argument, "__qualname__", None) or type(argument).__qualname__
        return f"{named} {argument}" if "__str__" in vars(type(argument)) else str(named)
