"""Contracts: what a table promises about its columns and rows, declared by its author."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from practicus_assets.errors import DeclarationError, SchemaMismatch, did_you_mean
from practicus_assets.lake.contracts.check import Check, check_name
from practicus_assets.lake.contracts.column import Column, column_checks, refuse_broken_column
from practicus_assets.lake.contracts.quarantine import refuse_limit
from practicus_assets.lake.contracts.rule import RowRule, TableRule, rule_check
from practicus_assets.parameters import named_parameters
from practicus_assets.wording import names_of

if TYPE_CHECKING:
    from practicus_assets.lake.contracts.audit import AuditResult
    from practicus_assets.lake.contracts.odcs.left_out import Unkept


@named_parameters
@dataclass(frozen=True)
class Contract:
    """What a table promises. Each promise is one rule, shown by Dagster as an asset check.

    Attributes:
        columns: the promised columns by name, each a `Column` or its type alone; further ones are allowed
            unless `closed`.
        unique: sets of columns whose values tell each row apart, within the scope of a transaction.
        rows: the least and the most rows that a transaction brings to each partition (to the table, if it
            has none); None is no bound.
        rules: further conditions.
        closed: whether undeclared columns are refused.
        max_rejected: how many rows of a transaction the rules of severity "QUARANTINE" may reject, as a
            number (`100`) or as a share of its rows (`0.01`); beyond that they end it, as "ERROR" does.

    """

    columns: Mapping[str, Any] = field(default_factory=dict)
    unique: Sequence[Sequence[str]] = ()
    rows: tuple[int | None, int | None] = (None, None)
    rules: Sequence[RowRule | TableRule] = ()
    closed: bool = False
    max_rejected: float | None = None

    def __post_init__(self) -> None:
        """Refuse a contract that could never be kept or run.

        Raises:
            DeclarationError: naming the column or the rule.

        """
        object.__setattr__(self, "columns", _columns(self.columns))
        for name, column in self.columns.items():
            refuse_broken_column(name, column)
        self._refuse_broken_keys()
        _refuse_broken_counts(self.rows)
        if isinstance(self.rules, str) or not isinstance(self.rules, Sequence):
            raise DeclarationError(
                f"rules={self.rules!r} is no list.", 'Write rules=[RowRule("name", function)].'
            )
        if not isinstance(self.closed, bool):
            raise DeclarationError(f"closed={self.closed!r} is neither.", "Write True or False.")
        names = [rule.name for rule in self.checks]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise DeclarationError(
                f"{names_of('rule', doubled)} declared twice.", "Give each rule a name of its own."
            )
        refuse_limit(self.max_rejected, self.checks)

    @property
    def rejects(self) -> bool:
        """Whether a rule rejects rows, so that the others are published without them."""
        return any(check.severity == "QUARANTINE" for check in self.checks)

    def _refuse_broken_keys(self) -> None:
        """Raise DeclarationError for unique keys that are no lists of declared columns."""
        if isinstance(self.unique, str) or not isinstance(self.unique, Sequence):
            raise DeclarationError(
                f"unique={self.unique!r} is no list of keys.", f"Write unique=[[{self.unique!r}]]."
            )
        for key in self.unique:
            if isinstance(key, str) or not isinstance(key, Sequence) or not key:
                example = repr(key) if key and isinstance(key, str) else '"a", "b"'
                raise DeclarationError(
                    f"unique key {key!r} is no list of columns.", f"Write unique=[[{example}]]."
                )
            unknown = [name for name in key if self.columns and name not in self.columns]
            if unknown:
                raise DeclarationError(
                    f"unique key {list(key)} names undeclared {names_of('column', unknown)}.",
                    did_you_mean(unknown[0], self.columns, f"Declared are {', '.join(self.columns)}."),
                )

    @classmethod
    def infer(cls, rows: Any) -> "Contract":
        """Return a contract to begin with: the columns of rows, NOT NULL where they have no null.

            Contract.infer(open_table("lake", "orders"))

        What rows happen to keep is no promise: read it before it becomes one. All rows are read once.

        Args:
            rows: the rows, as any value that a table asset may return; a `Snapshot` is one.

        Raises:
            SchemaMismatch: if the rows are no table, or a column is of a type that Delta Lake cannot hold.

        """
        from practicus_assets.lake.contracts.beginnings.inferred import inferred  # noqa: PLC0415 as for audits

        return cls(inferred(rows).columns)

    @property
    def source(self) -> str:
        """The contract as Python source: an expression, over several lines, of an equal contract.

        Raises:
            DeclarationError: for a contract with rules, which are functions.

        """
        from practicus_assets.lake.contracts.beginnings.contract_source import (  # noqa: PLC0415 as for audits
            contract_source,
        )

        return contract_source(self)

    @property
    def schema(self) -> pa.Schema | None:
        """The promised columns and types, described as Delta tables are; None if none are declared."""
        if not self.columns:
            return None
        return pa.schema([column.field(name) for name, column in self.columns.items()])

    @cached_property
    def checks(self) -> list[Check]:
        """Every rule, in the order of declaration."""
        checks = []
        if self.columns:
            checks.append(Check("schema", "schema", (), _columns_sentence(self), "ERROR"))
        for name, column in self.columns.items():
            checks += column_checks(name, column)
        for key in self.unique:
            sentence = f"{' and '.join(key)} {'tells' if len(key) == 1 else 'tell'} each row apart"
            checks.append(
                Check(check_name("_".join([*key, "unique"])), "unique", tuple(key), sentence, "ERROR")
            )
        if self.rows != (None, None):
            checks.append(Check("row_count", "row_count", (), _rows_sentence(self.rows), "ERROR", self.rows))
        checks += map(rule_check, self.rules)
        return checks

    def refuse_undeclared(self, names: Sequence[str]) -> None:
        """Raise SchemaMismatch if the contract is closed and does not declare a column."""
        undeclared = [name for name in names if self.columns and name not in self.columns]
        if undeclared and self.closed:
            raise SchemaMismatch(
                f"the contract is closed, and does not declare the {names_of('column', undeclared)}.",
                "Declare what the output has, or leave it out.",
            )

    def refuse_misspelt(self, schema: pa.Schema) -> None:
        """Raise SchemaMismatch for a column without values whose name is near a declared one."""
        for column in schema:
            nearest = did_you_mean(column.name, self.columns, "")
            if pa.types.is_null(column.type) and column.name not in self.columns and nearest:
                raise SchemaMismatch(
                    f"column {column.name!r} is not declared and holds only nulls. {nearest}", "Rename it."
                )

    def audit(self, data: Any) -> "list[AuditResult]":
        """Run every rule on rows, as a transaction would that replaces a whole table with them.

        No table is needed, and a broken rule is a result and no exception. All rows are held in memory.

        Args:
            data: the rows, as any value that a table asset may return.

        Raises:
            DataRefused: if the rows are no table, or a rule fails to give an answer.

        """
        from practicus_assets.lake.contracts.audit import audited  # noqa: PLC0415 definitions do without

        return audited(self, data)

    @classmethod
    @named_parameters
    def from_odcs(
        cls,
        source: Any,
        table: str | None = None,
        *,
        rules: Sequence[RowRule | TableRule] = (),
        unkept: "Unkept" = "refuse",
    ) -> "Contract":
        """Return the contract of a table in a file of the Open Data Contract Standard (version 3).

        Needs the extra `odcs`. What the file documents and a contract does not have is named by one
        `ContractFileWarning`.

        Args:
            source: the path of a file, or its text.
            table: the name of the table; not needed if the file describes one.
            rules: rules that are functions. One with the name of a quality item keeps what that item says in
                words, SQL or code.
            unkept: "refuse" a file with promises that a contract cannot keep, or "warn" of them.

        Raises:
            DeclarationError: if the file is none of the standard, lacks the table, or has such promises.

        """
        from practicus_assets.lake.contracts.odcs.left_out import Notes  # noqa: PLC0415 as for audits
        from practicus_assets.lake.contracts.odcs.reading import promises  # noqa: PLC0415 as for audits

        notes, rules = Notes(), cls(rules=rules).rules
        name, parts = promises(source, table, {rule.name for rule in rules}, notes)
        severities = {rule.severity for rule in (*rules, *parts["columns"].values())}
        if parts["max_rejected"] is not None and "QUARANTINE" not in severities:
            notes.promise("max_rejected", "no rule rejects rows")
            parts["max_rejected"] = None
        notes.settle(
            f"the table {name} of the file",
            unkept,
            "Keep those in words, SQL or code by rules.",
            stacklevel=3,
        )
        return cls(**parts, rules=rules)

    @named_parameters
    def to_odcs(
        self, table: str, *, version: str = "1.0.0", status: str = "active", unkept: "Unkept" = "refuse"
    ) -> str:
        """Return the contract as YAML of the Open Data Contract Standard (version 3.1).

        Needs the extra `odcs`. Rules that are functions are written as items that name them.

        Args:
            table: the table's name.
            version: the version that the file gives the contract.
            status: its status, e.g. "draft", "active" or "deprecated".
            unkept: "refuse" to leave out promises that a file cannot say, or "warn" of them.

        Raises:
            DeclarationError: for such promises.

        """
        from practicus_assets.lake.contracts.odcs.left_out import Notes  # noqa: PLC0415 as for audits
        from practicus_assets.lake.contracts.odcs.writing import text  # noqa: PLC0415 as for audits

        notes = Notes()
        parts = {part.name: getattr(self, part.name) for part in fields(self)}
        written = text(table, parts, version, status, notes)
        notes.settle(f"the contract of {table}", unkept, "Promise them by rules.", stacklevel=3)
        return written

    @cached_property
    def digest(self) -> str:
        """A short hash of everything that is promised, functions by their source."""
        parts = [f"{c.name} {c.kind} {c.columns} {c.severity} {c.source}" for c in self.checks] + [
            f"{name}: {column.arrow_type}" for name, column in self.columns.items()
        ]
        parts.append(str(self.closed))
        if self.max_rejected is not None:  # so that the digests of other contracts are what they were
            parts.append(f"max_rejected: {self.max_rejected}")
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _columns(declared: Any) -> dict[str, Column]:
    """Return an author's columns by name, where a type alone stands for a column."""
    if not isinstance(declared, Mapping):
        raise DeclarationError(
            f"columns={declared!r} is no mapping from names to columns.",
            'Write columns={"id": Column("int64")}, or columns={"id": "int64"}.',
        )
    columns = {}
    for name, column in declared.items():
        if not isinstance(name, str) or not name:
            raise DeclarationError(f"columns has the name {name!r}.", "Name each column by a text.")
        try:
            columns[name] = column if isinstance(column, Column) else Column(column)
        except DeclarationError as error:
            raise DeclarationError(
                f"column {name!r} of the contract: {error.problem}", error.advice
            ) from None
    return columns


def _refuse_broken_counts(rows: Any) -> None:
    """Raise DeclarationError for what is no pair of a least and a most number of rows."""
    pair = rows if isinstance(rows, Sequence) and len(rows) == 2 else [-1]  # noqa: PLR2004 a pair
    if not all(n is None or (isinstance(n, int) and not isinstance(n, bool) and n >= 0) for n in pair):
        n = rows if isinstance(rows, int) and rows > 0 else 1
        raise DeclarationError(
            f"rows={rows!r} is no pair of a least and a most number of rows.",
            f"Write rows=({n}, None) for at least {n}, rows=(None, {n}) for at most {n}.",
        )
    low, high = rows
    if low is not None and high is not None and low > high:
        raise DeclarationError(
            f"rows={rows} can hold for no table: the least is above the most.", "Swap them."
        )


def _columns_sentence(contract: Contract) -> str:
    others = ", no others" if contract.closed else ""
    return f"columns and types as declared{others}: {', '.join(contract.columns)}"


def _rows_sentence(rows: tuple[int | None, int | None]) -> str:
    low, high = rows
    bounds = [f"at least {low}"] * (low is not None) + [f"at most {high}"] * (high is not None)
    last = high if high is not None else low
    return f"each partition has {' and '.join(bounds)} {'row' if last == 1 else 'rows'}"
