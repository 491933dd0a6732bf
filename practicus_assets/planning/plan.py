"""A plan: what a run of some tables would compute, and what is not known of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "missing",
    "code_changed",
    "contract_changed",
    "input_changed",
    "input_planned",
    "check_failed",
    "run_failed",
    "unknown",
]

NOT_OBSERVED = "was not observed before the run that read it"
"""What the text of a reason says of an input that nobody looked at, after its name."""


@dataclass(frozen=True)
class Reason:
    """Why a partition would be computed, or why it is not known whether it should be.

    Attributes:
        kind: "missing" in the lake; "code_changed" or "contract_changed" since its commit; "input_changed",
            an input has other rows than the commit was computed from; "input_planned", an input is computed
            by this plan first; "check_failed", "run_failed" the last time; or "unknown".
        text: the reason in words.
        input: the name of the input that it is about; empty for none.

    """

    kind: Kind
    text: str
    input: str = ""


@dataclass(frozen=True)
class Group:
    """Partitions of which the same is said.

    Attributes:
        reasons: the reasons, each of which would do.
        partitions: the partitions' keys, in their order; none for a table without partitions.
        spans: the same as first and last key of neighbours, each with their number.

    """

    reasons: tuple[Reason, ...]
    partitions: tuple[str, ...] = ()
    spans: tuple[tuple[str, str, int], ...] = ()

    @property
    def count(self) -> int:
        """How many partitions these are; a table without partitions is one."""
        return len(self.partitions) or 1


@dataclass(frozen=True)
class SchemaChange:
    """What a run would do to a table's columns, as far as it is known before it runs.

    Attributes:
        changes: a phrase for each column that is added, or whose type changes.
        refused: why the run would be refused; empty if it would not be.
        unknown: why it is not known; empty if it is.

    """

    changes: tuple[str, ...] = ()
    refused: str = ""
    unknown: str = ""


@dataclass(frozen=True)
class TablePlan:
    """What a run would do to one table.

    Attributes:
        table: the table's name.
        version: the table's version that was looked at; None if there is no table.
        has_partitions: whether the table has partitions.
        planned: the partitions that would be computed, by their reasons.
        unknown: those of which nobody can tell.
        current: how many are up to date.
        reused: how many of these a run would end with before the function, as `reuse=True` says, if it is of
            the partitions that were committed together, and has their config.
        rows: how many rows a run would replace, by the log; None if the log does not say.
        size_bytes: the size of the files that hold them.
        schema: what happens to its columns; None where nothing is computed.
        worker: the CPU, memory, GPUs, image and region that its step asks for, as far as they are given.
        notes: what else is to be known before a run, as sentences.

    """

    table: str
    version: int | None = None
    has_partitions: bool = False
    planned: tuple[Group, ...] = ()
    unknown: tuple[Group, ...] = ()
    current: int = 0
    reused: int = 0
    rows: int | None = 0
    size_bytes: int = 0
    schema: SchemaChange | None = None
    worker: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def planned_count(self) -> int:
        """How many partitions would be computed."""
        return sum(group.count for group in self.planned)

    @property
    def unknown_count(self) -> int:
        """Of how many partitions nobody can tell."""
        return sum(group.count for group in self.unknown)

    @property
    def total(self) -> int:
        """How many partitions were looked at."""
        return self.planned_count + self.unknown_count + self.current


@dataclass(frozen=True)
class Stale:
    """A table below that a run leaves out, and that would be out of date after it.

    Attributes:
        table: the asset's name.
        partitions: how many of its partitions; None if it is no table, so that nobody can tell.

    """

    table: str
    partitions: int | None


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    Attributes:
        tables: what it would do to each selected table, those that others read first.
        stale: what would be out of date below.
        left_out: selected assets that are no tables, of which a plan knows nothing.
        asks_instance: whether a Dagster instance was asked, too.

    """

    tables: tuple[TablePlan, ...]
    stale: tuple[Stale, ...] = ()
    left_out: tuple[str, ...] = ()
    asks_instance: bool = False

    @property
    def would_run(self) -> bool:
        """Whether anything would be computed."""
        return any(table.planned for table in self.tables)

    @property
    def is_known(self) -> bool:
        """Whether it is known of every partition whether it would be computed."""
        return not any(table.unknown for table in self.tables)

    @property
    def refused(self) -> Iterator[tuple[str, str]]:
        """The tables whose run would be refused, with the reasons."""
        return ((t.table, t.schema.refused) for t in self.tables if t.schema is not None and t.schema.refused)
