"""Reading at a pinned version."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from practicus_assets.errors import OutOfScope, SchemaMismatch, TableNotFound, VersionGone
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.transaction import Transaction
from tests.kit import partitions


def write(table: Table, **columns: Any) -> None:
    Transaction(table, options=WriteOptions(partition_by=["p"])).write(pa.table(columns))


def test_a_pinned_version_does_not_move(table: Table) -> None:
    write(table, p=["a"], n=[1])
    pinned = Snapshot.open(table)
    write(table, p=["a"], n=[2])
    again = Snapshot.open(table, 0)
    assert pinned.version == again.version == 0
    assert pinned.scan().read_all() == again.scan().read_all() == pa.table({"p": ["a"], "n": [1]})
    assert Snapshot.open(table).scan(["n"]).read_all().to_pydict() == {"n": [2]}


def test_a_scan_returns_the_columns_asked_for_in_their_order_and_their_types(table: Table) -> None:
    write(table, p=["a", "b"], n=pa.array([1, 2], pa.int8()), t=["x", None], l=[[1], []])
    found = Snapshot.open(table).scan(["t", "p"], "n > 1")
    assert found.schema == pa.schema({"t": pa.string(), "p": pa.string()})
    assert found.read_all().to_pylist() == [{"t": None, "p": "b"}]
    assert Snapshot.open(table).scan(["p"]).read_all()["p"].to_pylist() in (["a", "b"], ["b", "a"])
    assert Snapshot.open(table).scan().schema == Snapshot.open(table).schema


@pytest.mark.parametrize("columns", [["nope"], [], ["n", "n"], ["N"]])
def test_a_selection_that_is_none_is_refused(table: Table, columns: list[str]) -> None:
    write(table, p=["a"], n=[1])
    with pytest.raises(SchemaMismatch):
        Snapshot.open(table).scan(columns)


@pytest.mark.parametrize("predicate", ["nope = 1", "n ="])
def test_a_predicate_that_is_none_is_refused(table: Table, predicate: str) -> None:
    write(table, p=["a"], n=[1])
    with pytest.raises(SchemaMismatch, match="cannot be asked for"):
        Snapshot.open(table).scan(predicate=predicate).read_all()


def test_rows_come_in_the_same_order_each_time(table: Table) -> None:
    for number in range(8):
        data = pa.table({"p": [f"k{n % 5}" for n in range(50)], "n": range(number * 50, number * 50 + 50)})
        Transaction(table, options=WriteOptions(partition_by=["p"], mode="append")).write(data)
    orders = [Snapshot.open(table, 7).scan(["n"]).read_all()["n"].to_pylist() for _ in range(4)]
    assert orders[0] == orders[1] == orders[2] == orders[3]
    assert sorted(orders[0]) == list(range(400))


def test_a_scan_opens_only_the_files_that_may_hold_its_rows(table: Table) -> None:
    write(table, p=["a", "b", "c"], n=[1, 2, 3])
    for name in ("a", "c"):
        for path in (Path(table.uri) / f"p={name}").iterdir():
            path.write_bytes(b"no Parquet")
    assert Snapshot.open(table, scope=partitions("b")).scan().read_all().num_rows == 1
    assert Snapshot.open(table).scan(predicate="p = 'b'").read_all().num_rows == 1
    assert Snapshot.open(table).scan(predicate="n = 2").read_all().num_rows == 1
    assert Snapshot.open(table).row_count == 3
    with pytest.raises(Exception, match=r"(?i)parquet"):
        Snapshot.open(table).scan().read_all()


def test_a_predicate_narrows_a_scope_and_never_widens_it(table: Table) -> None:
    write(table, p=["a", "b"], n=[1, 2])
    assert (
        not Snapshot.open(table, scope=partitions("a")).scan(predicate="p = 'b' OR n = 2").read_all().num_rows
    )


def test_a_scope_that_the_table_cannot_have_is_refused(table: Table) -> None:
    write(table, p=["a"], n=[1])
    with pytest.raises(OutOfScope, match=r"\['q'\]"):
        Snapshot.open(table, scope=partitions("a", column="q")).scan()


def test_a_vacuumed_version_says_so_and_is_named(table: Table) -> None:
    write(table, p=["a"], n=[1])
    pinned = Snapshot.open(table)
    write(table, p=["a"], n=[2])
    DeltaTable(table.uri).vacuum(0, dry_run=False, enforce_retention_duration=False)
    for snapshot in (pinned, Snapshot.open(table, 0)):
        with pytest.raises(
            VersionGone, match=r"^t: version 0 names a file that is gone: .*\.parquet\. It was vacuumed"
        ):
            snapshot.scan().read_all()
        with pytest.raises(VersionGone):
            list(snapshot.scan())
    assert Snapshot.open(table).scan().read_all().num_rows == 1


def test_the_version_of_a_moment_is_the_newest_committed_until_then(table: Table) -> None:
    for number in range(4):
        write(table, p=["a"], n=[number])
    log = sorted((Path(table.uri) / "_delta_log").glob("*.json"))
    start = datetime(2021, 1, 1, tzinfo=UTC)
    for number, path in enumerate(log):
        landed_ns = int((start + timedelta(hours=number)).timestamp()) * 10**9 + 500_000_000
        os.utime(path, ns=(landed_ns, landed_ns))
    start += timedelta(milliseconds=500)
    assert Snapshot.at(table, start + timedelta(hours=9)).version == 3
    assert Snapshot.at(table, start + timedelta(hours=2)).version == 2
    assert Snapshot.at(table, start + timedelta(hours=2) - timedelta(milliseconds=1)).version == 1
    with pytest.raises(TableNotFound, match="first committed after 2020"):
        Snapshot.at(table, start - timedelta(days=1))
    DeltaTable(table.uri).create_checkpoint()
    for path in log[:2]:
        path.unlink()
    with pytest.raises(VersionGone, match="version 1"):
        Snapshot.at(table, start)


def test_where_the_store_keeps_whole_seconds_the_writers_clock_tells_the_order_within_one(
    table: Table,
) -> None:
    for number in range(2):
        write(table, p=["a"], n=[number])
    log = sorted((Path(table.uri) / "_delta_log").glob("*.json"))
    start = datetime(2021, 1, 1, tzinfo=UTC)
    for path, written in zip(
        log, (start + timedelta(milliseconds=300), start + timedelta(days=1)), strict=True
    ):
        actions = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for action in actions:
            if "commitInfo" in action:
                action["commitInfo"]["timestamp"] = int(written.timestamp() * 1000)
        path.write_text("\n".join(map(json.dumps, actions)), encoding="utf-8")
        os.utime(path, (start.timestamp(), start.timestamp()))
    assert Snapshot.at(table, start + timedelta(milliseconds=300)).version == 0
    assert Snapshot.at(table, start + timedelta(milliseconds=998)).version == 0
    assert Snapshot.at(table, start + timedelta(milliseconds=999)).version == 1


def test_a_table_without_statistics_has_no_row_count_and_one_without_files_has_none(tmp_path: Path) -> None:
    table = Table.at(str(tmp_path), ["t"])
    write_deltalake(table.uri, pa.table({"n": [1]}), configuration={"delta.dataSkippingNumIndexedCols": "0"})
    assert Snapshot.open(table).row_count in (None, 1)
    write_deltalake(table.uri, pa.table({"n": pa.array([], pa.int64())}), mode="overwrite")
    assert Snapshot.open(table).row_count == 0
    assert Snapshot.open(table).scan().read_all().num_rows == 0


@pytest.mark.parametrize("predicate", ["n > 5 OR (n = 2)", "n > 0 -- all of them", "TRUE OR TRUE"])
def test_no_predicate_reads_beyond_the_scope(table: Table, predicate: str) -> None:
    write(table, p=["x", "y"], n=[1, 2])
    snapshot = Snapshot.open(table, scope=partitions("x"))
    assert {row["p"] for row in snapshot.scan(predicate=predicate).read_all().to_pylist()} <= {"x"}


def test_the_rows_of_each_partition_are_counted_without_reading_them(table: Table) -> None:
    write(table, p=["x", "y", "y"], n=[1, 2, 3])
    scope = partitions("x", "y", "z")
    assert Snapshot.open(table, scope=scope).partition_rows == {"x": 1, "y": 2, "z": 0}
    assert Snapshot.open(table).partition_rows == {}


@pytest.mark.parametrize(
    "predicate",
    [
        "TRUE) OR (TRUE",
        "FALSE) UNION ALL SELECT * FROM snapshot WHERE (TRUE",
        "n = 'open",
        "TRUE; SELECT 1",
        "$$'$$ = ''",
    ],
)
def test_a_predicate_that_is_not_one_condition_is_refused(table: Table, predicate: str) -> None:
    Transaction(table).write(pa.table({"n": [1]}))
    with pytest.raises(SchemaMismatch, match="not one SQL condition"):
        Snapshot.open(table).scan(predicate=predicate)
