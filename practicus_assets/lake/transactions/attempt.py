"""Attempts: one try at a piece of work, and what it knew when it began."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.contracts.unique import Rescan
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table, TableVersion
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.rows.schema import conformed
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance


@dataclass(frozen=True)
class Attempt:
    """One attempt at writing one scope of a table.

    It can be pickled, so that other processes can stage parts of its rows.

    Attributes:
        table: the table.
        began: the table when the attempt began; None if it did not exist.
        scope: the rows to be replaced, or appended to.
        options: how they are written.
        contract: the promises that they must keep.
        provenance: the run and step that write them, and their inputs.
        began_at: when the attempt began.
        id: tells the attempt from every other, and so which parts were staged for it.

    """

    table: Table
    began: TableVersion | None
    scope: Scope
    options: WriteOptions
    contract: Contract
    provenance: Provenance
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def __post_init__(self) -> None:
        """Take the order of the partition columns from a table that exists."""
        if self.began is not None:
            object.__setattr__(self, "options", self.options.in_order_of(self.began.partition_by))
            object.__setattr__(self, "scope", self.scope.in_order_of(self.options.partition_by))

    @property
    def began_version(self) -> int | None:
        """The table's version when the attempt began; None if there was no table."""
        return self.began.version if self.began is not None else None

    @property
    def schema(self) -> pa.Schema | None:
        """The table's columns when the attempt began; None if there was no table."""
        return self.began.schema if self.began is not None else None

    @property
    def work(self) -> str:
        """The application id of the Delta transaction, which every attempt at the work has."""
        return self.provenance.app_id(self.scope)

    @property
    def written(self) -> Scope:
        """The rows that the commit writes: of a history all of them, for they are valid until others are."""
        return Scope() if self.options.mode == "history" else self.scope

    @property
    def appends(self) -> bool:
        """Whether the rows of the scope stay."""
        return self.options.mode == "append"

    @property
    def depends_on_scope(self) -> bool:
        """Whether the commit is right only as long as nobody changes the scope."""
        return bool(self.contract.unique) or not self.appends

    def old_rows(self, schema: pa.Schema) -> Rescan:
        """Return what streams the old rows that the commit replaces, as it will hold them."""
        assert self.began is not None, "a table that does not exist has no rows"
        snapshot = Snapshot(self.began, self.written)

        def scan(columns: Sequence[str] | None = None) -> pa.RecordBatchReader:
            wanted = pa.schema([schema.field(name) for name in columns or schema.names])
            nulls = {f.name: pa.scalar(None, f.type) for f in wanted}
            present = [name for name in wanted.names if name in snapshot.schema.names]
            old = snapshot.scan(present or snapshot.schema.names[:1])
            return pa.RecordBatchReader.from_batches(wanted, (conformed(b, wanted, nulls, 0) for b in old))

        return scan

    def begun_again(self, at: TableVersion) -> "Attempt":
        """Return the attempt as if it had begun later, where what others committed since is no conflict."""
        return replace(self, began=at)

    def __getstate__(self) -> dict[str, Any]:
        began = (self.began.version, self.began.id) if self.began is not None else None
        return {**self.__dict__, "began": began}

    def __setstate__(self, state: dict[str, Any]) -> None:
        began = None
        if state["began"] is not None:
            began = state["table"].open_same(*state["began"])
        self.__dict__.update({**state, "began": began})
