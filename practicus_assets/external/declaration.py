"""Declarations: what an author says of a source."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import dagster as dg

from practicus_assets.assets.settings import PartitionBy, TableSettings
from practicus_assets.errors import DeclarationError
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.contracts.declared import as_contract
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.sources.declared import refuse_rules
from practicus_assets.sources.relation import Relation

Consistent = Literal["run", "step"]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(rf"(\d+) *([{''.join(_UNITS)}])")


@dataclass(frozen=True)
class Declaration:
    """What an author says of a source.

    Attributes:
        relation: what is read, in its system.
        partition_expr: the column or expression that tells partitions apart; of several dimensions, a
            mapping from each dimension to its own.
        contract: the declared columns; None if their types are those that the system gives.
        updated_at: the column that holds when a row was last changed.
        lag: how much later than its `updated_at` a row may appear.
        consistent: whether all steps of a run read one state, or each step one of its own.

    """

    relation: Relation[Any]
    partition_expr: PartitionBy | None = None
    contract: Contract | None = None
    updated_at: str | None = None
    lag: dt.timedelta | None = None
    consistent: Consistent = "run"

    def scope(self, partitions_def: dg.PartitionsDefinition[Any] | None, keys: Sequence[str]) -> Scope:
        """Return what partitions are in the relation: all rows, if it has none.

        Raises:
            DeclarationError: if nothing tells the partitions apart.

        """
        if partitions_def is None:
            return Scope()
        return TableSettings(self.partition_expr).scope(partitions_def, keys)


def declared(
    name: str,
    relation: Any,
    *,
    partitions_def: dg.PartitionsDefinition[Any] | None,
    partition_expr: PartitionBy | None,
    columns: Any,
    updated_at: str | None,
    lag: Any,
    consistent: Any,
) -> Declaration:
    """Return a declaration, checked as far as it can be without the system.

    Raises:
        DeclarationError: naming the source and what is wrong.

    """
    if not isinstance(relation, Relation):
        raise DeclarationError(
            f"the source {name} reads {relation!r}, which is no table, query or folder of a system.",
            f'Write Source("{name}", PostgreSQL(…).table("public.{name}")).',
        )
    if consistent not in ("run", "step"):
        raise DeclarationError(f"the source {name} has consistent={consistent!r}.", 'Write "run" or "step".')
    if (lag is None) != (updated_at is None) and updated_at is None:
        raise DeclarationError(
            f"the source {name} has lag={lag!r}, and no column that says when a row was changed.",
            'Name it: updated_at="modified".',
        )
    contract = as_contract({**columns} and Contract(columns) if isinstance(columns, Mapping) else columns)
    if contract is not None:
        refuse_rules(contract)
        relation = relation.typed({name: column.arrow_type for name, column in contract.columns.items()})
    declaration = Declaration(relation, partition_expr, contract, updated_at, _lag(name, lag), consistent)
    if partitions_def is not None:
        _refuse_unpartitioned(name, declaration, partitions_def)
    elif partition_expr is not None:
        raise DeclarationError(
            f"the source {name} has partition_expr={partition_expr!r}, and no partitions.",
            "Give it a partitions_def.",
        )
    return declaration


def _refuse_unpartitioned(
    name: str, declaration: Declaration, partitions_def: dg.PartitionsDefinition[Any]
) -> None:
    if declaration.partition_expr is None:
        raise DeclarationError(
            f"the source {name} has partitions, and nothing tells them apart.",
            'Name a column of it, or an expression: partition_expr="ordered_at".',
        )
    TableSettings(declaration.partition_expr).columns_of(partitions_def)


def _lag(name: str, lag: Any) -> dt.timedelta | None:
    """Return a duration that is written as a text."""
    if lag is None or isinstance(lag, dt.timedelta):
        return lag
    written = _DURATION.fullmatch(lag.strip()) if isinstance(lag, str) else None
    if written is None:
        raise DeclarationError(
            f"the source {name} has lag={lag!r}.",
            'Write a number and its unit, "90m", "12h" or "3d", or a datetime.timedelta.',
        )
    return dt.timedelta(**{_UNITS[written[2]]: int(written[1])})
