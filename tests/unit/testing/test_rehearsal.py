"""A rehearsal in memory is a transaction: both leave the same rows, and raise the same errors."""

import datetime as dt
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from practicus_assets import Column, Contract, PracticusAssetsError, Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Key, Scope, Window
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.testing.memory import MemoryTable
from practicus_assets.testing.rehearsal import Rehearsal
from tests.kit import partitions

DAY = dt.date(2026, 1, 1)
ZONED = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
A_AND_B = pa.table({"p": ["a", "a", "b"], "n": [1, 2, 3]})
GRID = pa.table({"p": ["a", "a", "b", "b"], "q": [1, 2, 1, 2], "n": [1, 2, 3, 4]})
NESTED = {"s": [{"x": 1, "y": ["a", None]}, None], "m": pa.array([[("k", 1)], None], pa.map_("str", "int64"))}


def days(*dates: dt.date) -> Scope:
    windows = [Window(str(day), _start(day), _start(day) + dt.timedelta(1), daily=True) for day in dates]
    return Scope(("day",), tuple((window,) for window in windows))


def _start(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)


@dataclass(frozen=True)
class Case:
    """A table before, and what is written to it.

    Attributes:
        rows: what is written.
        before: what the table holds; None if there is no table.
        scope, options, contract: how it is written.

    """

    rows: Any
    before: Any = None
    scope: Scope = field(default_factory=Scope)
    options: Mapping[str, Any] = field(default_factory=dict)
    contract: Contract = field(default_factory=Contract)


BY_P: dict[str, Any] = {"partition_by": ["p"]}
UNIQUE = Contract(columns={"n": Column("int64", minimum=0)}, unique=[["n"]], rows=(1, 3))

QUARANTINE = Contract(columns={"n": Column("int64", maximum=2, severity="QUARANTINE")}, unique=[["n"]])

CASES = {
    "a new table": Case(A_AND_B),
    "rows that are rejected": Case(A_AND_B, options=BY_P, contract=QUARANTINE),
    "too many rows that are rejected": Case(
        A_AND_B, options=BY_P, contract=replace(QUARANTINE, max_rejected=0.2)
    ),
    "a new partitioned table": Case(A_AND_B, options=BY_P),
    "every type": Case(
        pa.table(
            {
                **NESTED,
                "unsigned": pa.array([1, None], pa.uint8()),
                "small": pa.array([1, None], pa.int8()),
                "nanoseconds": pa.array([10**12, None], pa.timestamp("ns")),
                "zoned": pa.array([ZONED, None], pa.timestamp("ms", "Europe/Istanbul")),
                "decimal": [Decimal("1.50"), None],
                "encoded": pa.array(["x", None]).dictionary_encode(),
                "binary": [b"x", None],
                "nulls": pa.nulls(2, pa.string()),
                "float": [float("nan"), None],
            }
        )
    ),
    "a whole table that is replaced": Case(A_AND_B.slice(1), A_AND_B, options=BY_P),
    "one partition": Case(pa.table({"p": ["a"], "n": [9]}), A_AND_B, partitions("a"), BY_P),
    "a partition that is filled in": Case(pa.table({"n": [9]}), A_AND_B, partitions("a"), BY_P),
    "a partition that is new": Case(pa.table({"p": ["c"], "n": [9]}), A_AND_B, partitions("c"), BY_P),
    "a partition that is emptied": Case(A_AND_B.slice(0, 0), A_AND_B, partitions("a"), BY_P),
    "partitions of odd names": Case(pa.table({"p": ["a/b %", "ü"], "n": [1, 2]}), options=BY_P),
    "days that are filled in": Case(
        pa.table({"n": [1]}), None, days(DAY), {"partition_by": ["day"]}, Contract(columns={"n": "int64"})
    ),
    "days beside days": Case(
        pa.table({"day": [DAY], "n": [1]}),
        pa.table({"day": [DAY, DAY + dt.timedelta(1)], "n": [5, 6]}),
        days(DAY),
        {"partition_by": ["day"]},
    ),
    "an append": Case(pa.table({"p": ["a"], "n": [9]}), A_AND_B, partitions("a"), {**BY_P, "mode": "append"}),
    "an append of a key that is there": Case(
        pa.table({"p": ["a"], "n": [1]}), A_AND_B, partitions("a"), {**BY_P, "mode": "append"}, UNIQUE
    ),
    "a merge": Case(
        pa.table({"p": ["a", "a"], "n": [2, 9], "m": ["x", "y"]}),
        A_AND_B,
        partitions("a"),
        {**BY_P, "mode": "merge", "merge_keys": ["n"]},
    ),
    "a merge that deletes": Case(
        pa.table({"p": ["a"], "n": [9]}),
        A_AND_B,
        partitions("a"),
        {**BY_P, "mode": "merge", "merge_keys": ["n"], "delete_unmatched": True},
    ),
    "a merge of a key twice": Case(
        pa.table({"n": [1, 1]}), A_AND_B.drop_columns("p"), options={"mode": "merge", "merge_keys": ["n"]}
    ),
    "a column more": Case(pa.table({"p": ["a"], "n": [9], "m": [1.5]}), A_AND_B, partitions("a"), BY_P),
    "a column more that is refused": Case(
        pa.table({"p": ["a"], "n": [9], "m": [1.5]}),
        A_AND_B,
        partitions("a"),
        {**BY_P, "on_schema_change": "refuse"},
    ),
    "a field more": Case(
        pa.table({"s": [{"x": 1, "z": 2}], "n": [1]}),
        pa.table({"s": [{"x": 0}], "n": [0]}),
        options={"mode": "append"},
    ),
    "a field more of a table without flat columns": Case(
        pa.table({"s": [{"x": 1, "z": 2}]}), pa.table({"s": [{"x": 0}]}), options={"mode": "append"}
    ),
    "a column more on a box of a grid": Case(
        pa.table({"p": ["a", "b"], "q": [1, 1], "n": [7, 8], "m": [1, 2]}),
        GRID,
        Scope(("p", "q"), ((Key("a"), Key("1")), (Key("b"), Key("1")))),
        {"partition_by": ["p", "q"]},
    ),
    "a column more on cells that are no box": Case(
        pa.table({"p": ["a", "b"], "q": [1, 2], "n": [7, 8], "m": [1, 2]}),
        GRID,
        Scope(("p", "q"), ((Key("a"), Key("1")), (Key("b"), Key("2")))),
        {"partition_by": ["p", "q"]},
    ),
    "other columns": Case(pa.table({"x": ["1"]}), A_AND_B, options={"on_schema_change": "replace"}),
    "a column less": Case(pa.table({"p": ["a"]}), A_AND_B, partitions("a"), BY_P),
    "another type": Case(pa.table({"p": ["a"], "n": ["1"]}), A_AND_B, partitions("a"), BY_P),
    "a wider type in some partitions": Case(
        pa.table({"p": ["a"], "n": [2**40]}),
        A_AND_B.set_column(1, "n", pa.array([1, 2, 3], pa.int32())),
        partitions("a"),
        BY_P,
    ),
    "a wider type in all rows": Case(pa.table({"n": [2**40]}), pa.table({"n": pa.array([1], pa.int32())})),
    "a first time without zone": Case(
        pa.table({"n": [1], "t": pa.array([0], pa.timestamp("us"))}),
        pa.table({"n": [1]}),
        options={"mode": "append"},
    ),
    "lossy values": Case(pa.table({"n": [1.5]}), contract=UNIQUE),
    "rows of another partition": Case(A_AND_B, A_AND_B, partitions("a"), BY_P),
    "a null partition": Case(pa.table({"p": [None, "a"], "n": [1, 2]}), options=BY_P),
    "a broken rule": Case(pa.table({"n": [-1, 1, 1, 2]}), contract=UNIQUE),
    "too few rows": Case(pa.table({"n": pa.array([], pa.int64())}), contract=UNIQUE),
    "columns alike": Case(pa.table({"n": [1], "N": [2]})),
    "a partition column of floats": Case(pa.table({"p": [1.5], "n": [1]}), options=BY_P),
    "another partitioning": Case(A_AND_B, A_AND_B, options={"partition_by": ["n"]}),
    "rows of a table that only grows": Case(
        pa.table({"n": [2]}),
        pa.table({"n": [1]}),
        options={"mode": "append", "table_properties": {"delta.appendOnly": "true"}},
    ),
}


def outcome(case: Case, table: Table, kind: type[Transaction]) -> Any:
    """Return what a case leaves, or the error that it ends with."""
    options = WriteOptions(**case.options)
    if case.before is not None:
        by = () if case.options.get("partition_by") == ["n"] else options.partition_by
        properties = options.table_properties
        before = WriteOptions(partition_by=by, mode="append", table_properties=properties)
        kind(table, None, before).write(case.before)
    try:
        commit = kind(table, case.scope, options, contract=case.contract).write(case.rows)
    except PracticusAssetsError as error:
        return type(error), str(error), getattr(error, "results", None)
    after = Snapshot.of(table)
    rows = sorted(after.to_arrow().to_pylist(), key=repr)
    audits, counts = commit.audits, commit.partition_rows
    kept = case.before is not None and not case.scope.is_whole_table
    assert kept or after.row_count == sum(counts.values()) or options.mode == "append"
    return after.schema, rows, after.row_count, audits, counts, commit.fingerprints


@pytest.mark.parametrize("name", CASES)
def test_a_rehearsal_leaves_what_a_transaction_leaves(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    stored = outcome(case, Table("orders", str(tmp_path / "orders")), Transaction)
    assert repr(outcome(case, MemoryTable.named("orders"), Rehearsal)) == repr(stored)


def test_a_table_in_memory_is_read_as_a_stored_one() -> None:
    table = MemoryTable.named("orders")
    Rehearsal(table, None, WriteOptions(partition_by=["p"])).write(A_AND_B)
    first = Snapshot.of(table)
    Rehearsal(table, partitions("a"), WriteOptions(partition_by=["p"])).write(pa.table({"n": [7]}))
    assert first.to_arrow(["n"], "p = 'a' AND n > 1")["n"].to_pylist() == [2]
    assert first.without_rows().to_arrow().num_rows == 0
    newest = Snapshot.of(table, scope=partitions("a"))
    assert newest.to_arrow(["n"])["n"].to_pylist() == [7]
    assert newest.partition_rows == {"a": 1}
    assert (newest.row_count, newest.table_row_count, newest.version) == (1, 2, 1)
    assert "memory://orders" in repr(newest)


def test_a_rehearsal_touches_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", "/nowhere")
    table = MemoryTable.named("orders")
    merge = WriteOptions(partition_by=["p"], mode="merge", merge_keys=["n"])
    for _ in range(2):
        Rehearsal(table, None, merge).write(A_AND_B)
    with pytest.raises(PracticusAssetsError):
        Rehearsal(table, partitions("a"), merge).write(A_AND_B)
    assert os.listdir(tmp_path) == []  # noqa: PTH208 the folder itself
    assert len(table.contents) == 4  # of two versions; those of the third are gone
