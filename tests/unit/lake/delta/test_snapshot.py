"""Reading at a pinned version."""

import json
import os
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from practicus_assets.errors import (
    DeclarationError,
    OutOfScope,
    SchemaMismatch,
    TableNotFound,
    VersionGone,
)
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.transaction import Transaction
from tests.kit import partitions


def write(table: Table, **columns: Any) -> None:
    Transaction(table, options=WriteOptions(partition_by=["p"])).write(pa.table(columns))


def test_a_pinned_version_does_not_move(table: Table) -> None:
    write(table, p=["a"], n=[1])
    pinned = Snapshot.of(table)
    write(table, p=["a"], n=[2])
    again = Snapshot.of(table, 0)
    assert pinned.version == again.version == 0
    assert pinned.scan().read_all() == again.scan().read_all() == pa.table({"p": ["a"], "n": [1]})
    assert Snapshot.of(table).scan(["n"]).read_all().to_pydict() == {"n": [2]}


def test_a_scan_returns_the_columns_asked_for_in_their_order_and_their_types(table: Table) -> None:
    write(table, p=["a", "b"], n=pa.array([1, 2], pa.int8()), t=["x", None], l=[[1], []])
    found = Snapshot.of(table).scan(["t", "p"], "n > 1")
    assert found.schema == pa.schema({"t": pa.string(), "p": pa.string()})
    assert found.read_all().to_pylist() == [{"t": None, "p": "b"}]
    assert Snapshot.of(table).scan(["p"]).read_all()["p"].to_pylist() in (["a", "b"], ["b", "a"])
    assert Snapshot.of(table).scan().schema == Snapshot.of(table).schema


@pytest.mark.parametrize("columns", [["nope"], [], ["n", "n"], ["N"]])
def test_a_selection_that_is_none_is_refused(table: Table, columns: list[str]) -> None:
    write(table, p=["a"], n=[1])
    with pytest.raises(SchemaMismatch):
        Snapshot.of(table).scan(columns)


@pytest.mark.parametrize("predicate", ["nope = 1", "n ="])
def test_a_predicate_that_is_none_is_refused(table: Table, predicate: str) -> None:
    write(table, p=["a"], n=[1])
    with pytest.raises(SchemaMismatch, match=r"names the column 'nope'|'n =' is no condition"):
        Snapshot.of(table).scan(predicate=predicate).read_all()


def test_rows_come_in_the_same_order_each_time(table: Table) -> None:
    for number in range(8):
        data = pa.table({"p": [f"k{n % 5}" for n in range(50)], "n": range(number * 50, number * 50 + 50)})
        Transaction(table, options=WriteOptions(partition_by=["p"], mode="append")).write(data)
    orders = [Snapshot.of(table, 7).scan(["n"]).read_all()["n"].to_pylist() for _ in range(4)]
    assert orders[0] == orders[1] == orders[2] == orders[3]
    assert sorted(orders[0]) == list(range(400))


def test_a_scan_opens_only_the_files_that_may_hold_its_rows(table: Table) -> None:
    write(table, p=["a", "b", "c"], n=[1, 2, 3])
    for name in ("a", "c"):
        for path in (Path(table.uri) / f"p={name}").iterdir():
            path.write_bytes(b"no Parquet")
    assert Snapshot.of(table, scope=partitions("b")).scan().read_all().num_rows == 1
    assert Snapshot.of(table).scan(predicate="p = 'b'").read_all().num_rows == 1
    assert Snapshot.of(table).scan(predicate="n = 2").read_all().num_rows == 1
    assert Snapshot.of(table).row_count == 3
    with pytest.raises(Exception, match=r"(?i)parquet"):
        Snapshot.of(table).scan().read_all()


def test_a_predicate_narrows_a_scope_and_never_widens_it(table: Table) -> None:
    write(table, p=["a", "b"], n=[1, 2])
    assert (
        not Snapshot.of(table, scope=partitions("a")).scan(predicate="p = 'b' OR n = 2").read_all().num_rows
    )


def test_a_scope_that_the_table_cannot_have_is_refused(table: Table) -> None:
    write(table, p=["a"], n=[1])
    with pytest.raises(OutOfScope, match="column 'q'"):
        Snapshot.of(table, scope=partitions("a", column="q")).scan()


def test_a_vacuumed_version_says_so_and_is_named(table: Table) -> None:
    write(table, p=["a"], n=[1])
    pinned = Snapshot.of(table)
    write(table, p=["a"], n=[2])
    DeltaTable(table.uri).vacuum(0, dry_run=False, enforce_retention_duration=False)
    for snapshot in (pinned, Snapshot.of(table, 0)):
        with pytest.raises(
            VersionGone, match=r"^t: version 0 names a file that is gone: .*\.parquet\. It was vacuumed"
        ):
            snapshot.scan().read_all()
        with pytest.raises(VersionGone):
            list(snapshot.scan())
    assert Snapshot.of(table).scan().read_all().num_rows == 1


def test_the_version_of_a_moment_is_the_newest_committed_until_then(table: Table) -> None:
    for number in range(4):
        write(table, p=["a"], n=[number])
    log = sorted((Path(table.uri) / "_delta_log").glob("*.json"))
    start = datetime(2021, 1, 1, tzinfo=UTC)
    for number, path in enumerate(log):
        landed_ns = int((start + timedelta(hours=number)).timestamp()) * 10**9 + 500_000_000
        os.utime(path, ns=(landed_ns, landed_ns))
    start += timedelta(milliseconds=500)
    assert Snapshot.of(table, start + timedelta(hours=9)).version == 3
    assert Snapshot.of(table, start + timedelta(hours=2)).version == 2
    assert Snapshot.of(table, start + timedelta(hours=2) - timedelta(milliseconds=1)).version == 1
    with pytest.raises(TableNotFound, match="first committed after 2020"):
        Snapshot.of(table, start - timedelta(days=1))
    DeltaTable(table.uri).create_checkpoint()
    for path in log[:2]:
        path.unlink()
    with pytest.raises(VersionGone, match="version 1"):
        Snapshot.of(table, start)


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
    assert Snapshot.of(table, start + timedelta(milliseconds=300)).version == 0
    assert Snapshot.of(table, start + timedelta(milliseconds=998)).version == 0
    assert Snapshot.of(table, start + timedelta(milliseconds=999)).version == 1


def test_where_the_log_leaves_out_the_rows_of_one_file_their_number_is_unknown(table: Table) -> None:
    write(table, p=["a", "b", "c"], n=[1, 2, 3])
    assert Snapshot.of(table).row_count == 3
    [entry] = (Path(table.uri) / "_delta_log").glob("*.json")
    actions = [json.loads(line) for line in entry.read_text(encoding="utf-8").splitlines()]
    next(action["add"] for action in actions if "add" in action).pop("stats")
    entry.write_text("\n".join(map(json.dumps, actions)), encoding="utf-8")
    snapshot = Snapshot.of(table)
    assert snapshot.row_count is None
    assert snapshot.scan().read_all().num_rows == 3
    assert snapshot.table_size == sum(file.size for file in snapshot.table_files) > 0


def test_a_table_without_statistics_has_no_row_count_and_one_without_files_has_none(tmp_path: Path) -> None:
    table = Table.at(str(tmp_path), ["t"])
    write_deltalake(table.uri, pa.table({"n": [1]}), configuration={"delta.dataSkippingNumIndexedCols": "0"})
    assert Snapshot.of(table).row_count in (None, 1)
    write_deltalake(table.uri, pa.table({"n": pa.array([], pa.int64())}), mode="overwrite")
    assert Snapshot.of(table).row_count == 0
    assert Snapshot.of(table).scan().read_all().num_rows == 0


def test_a_table_without_files_has_no_rows_and_no_size(tmp_path: Path) -> None:
    table = Table.at(str(tmp_path), ["t"])
    write_deltalake(table.uri, pa.table({"n": [1]}))
    DeltaTable(table.uri).delete()
    snapshot = Snapshot.of(table)
    assert (snapshot.row_count, snapshot.table_size, snapshot.scan().read_all().num_rows) == (0, 0, 0)


@pytest.mark.parametrize(
    "predicate", ["n > 5 OR (n = 2)", "n > 0 -- all of them", "TRUE OR TRUE", "p = 'it''s' OR n=1 AND p='x'"]
)
def test_no_predicate_reads_beyond_the_scope(table: Table, predicate: str) -> None:
    write(table, p=["x", "y"], n=[1, 2])
    snapshot = Snapshot.of(table, scope=partitions("x"))
    assert {row["p"] for row in snapshot.scan(predicate=predicate).read_all().to_pylist()} <= {"x"}


def test_the_rows_of_each_partition_are_counted_without_reading_them(table: Table) -> None:
    write(table, p=["x", "y", "y"], n=[1, 2, 3])
    scope = partitions("x", "y", "z")
    assert Snapshot.of(table, scope=scope).partition_rows == {"x": 1, "y": 2, "z": 0}
    assert Snapshot.of(table).partition_rows == {}


@pytest.mark.parametrize(
    "predicate",
    [
        "TRUE) OR (TRUE",
        "FALSE) UNION ALL SELECT * FROM snapshot WHERE (TRUE",
        "n = 'open",
        "TRUE; SELECT 1",
        "$$'$$ = ''",
        r"k = E'\'') UNION ALL SELECT * FROM snapshot WHERE (1=1 --'",
    ],
)
def test_a_predicate_that_is_not_one_condition_is_refused(table: Table, predicate: str) -> None:
    Transaction(table).write(pa.table({"n": [1]}))
    with pytest.raises(SchemaMismatch, match="not one SQL condition"):
        Snapshot.of(table).scan(predicate=predicate)


def test_a_table_is_opened_by_its_place_with_public_types_alone(tmp_path: Path) -> None:
    for number in range(3):
        write(Table.at(str(tmp_path), ["shop", "orders"]), p=["a"], n=[number])
    uri = f"{tmp_path}/shop/orders"
    for place in (uri, Path(uri), f"file://{uri}/", f"{tmp_path}/shop/../shop/orders"):
        assert Snapshot.open(place).to_arrow().to_pydict() == {"p": ["a"], "n": [2]}
    assert Snapshot.open(uri, 1).to_arrow(["n"])["n"].to_pylist() == [1]
    assert Snapshot.open(uri, version=0, storage_options={"timeout": "10s"}).version == 0
    assert Snapshot.open(uri, datetime.now(UTC) + timedelta(seconds=1)).version == 2


def test_partitions_are_given_by_values_or_by_column(table: Table) -> None:
    days = [date(2024, 1, day) for day in (1, 1, 2, 3)]
    rows = pa.table({"day": days, "shop": [1, 2, 1, 1], "n": [1, 2, 3, 4]})
    Transaction(table, options=WriteOptions(partition_by=["day", "shop"])).write(rows)

    def read(partitions: Any) -> list[int]:
        return sorted(Snapshot.open(table.uri, partitions=partitions).to_arrow()["n"].to_pylist())

    assert read([{"day": "2024-01-01", "shop": 2}, {"shop": "1", "day": date(2024, 1, 3)}]) == [2, 4]
    assert read([{"day": "2024-01-01"}, {"day": date(2024, 1, 1)}, {"day": date(2024, 1, 2)}]) == [1, 2, 3]
    assert read({"shop": shop} for shop in (1,)) == [1, 3, 4]
    assert read([{"day": "2030-01-01"}]) == read([]) == []
    for mixed in ([{"day": "2024-01-01"}, {"shop": 1}], ["2024-01-01"]):
        with pytest.raises(DeclarationError, match=r"^t: .*day"):
            read(mixed)


@pytest.mark.parametrize(
    ("partitions", "error"),
    [
        ("a", DeclarationError),
        ({"p": "a"}, DeclarationError),
        (5, DeclarationError),
        ([None], DeclarationError),
        ([{}], DeclarationError),
        ([{"n": 1}], OutOfScope),
        ([""], OutOfScope),
    ],
)
def test_partitions_that_are_none_are_refused(table: Table, partitions: Any, error: type[Exception]) -> None:
    write(table, p=["a"], n=[1])
    with pytest.raises(error, match=r"^t: "):
        Snapshot.open(table.uri, partitions=partitions)


def test_partitions_of_a_table_without_any_are_refused(table: Table) -> None:
    Transaction(table).write(pa.table({"n": [1]}))
    with pytest.raises(OutOfScope, match=r"the table is not partitioned.*predicate"):
        Snapshot.open(table.uri, partitions=[1])


@pytest.mark.parametrize("version", [-1, "0", True, 2**63, datetime(2024, 1, 1)])  # noqa: DTZ001 the point
def test_a_version_that_is_none_is_refused(table: Table, version: Any) -> None:
    write(table, p=["a"], n=[1])
    with pytest.raises(DeclarationError, match=r"^t: version="):
        Snapshot.open(table.uri, version)


def test_a_place_or_an_option_that_cannot_be_is_refused_without_secrets(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match=r"the table's URI s3://\*\*\*@bucket/t carries credentials"):
        Snapshot.open("s3://key:secret@bucket/t")
    with pytest.raises(DeclarationError, match="the table's URI is empty"):
        Snapshot.open("")
    with pytest.raises(DeclarationError, match="storage option 'max_retries' is no text"):
        Snapshot.open("s3://bucket/t", storage_options={"max_retries": 0})  # type: ignore[dict-item]
    with pytest.raises(TableNotFound):
        Snapshot.open(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_rows_come_as_the_frame_that_is_asked_for(table: Table) -> None:
    write(table, p=["a", "b", "c"], n=pa.array([1, None, 3], pa.int32()))
    snapshot = Snapshot.open(table.uri)
    asked: dict[str, Any] = {"columns": ["n"], "predicate": "p > 'a'"}
    assert snapshot.to_arrow(**asked) == pa.table({"n": pa.array([None, 3], pa.int32())})
    frame = snapshot.to_pandas(**asked)
    assert frame.dtypes.to_dict() == {"n": pd.Int32Dtype()}
    assert frame["n"].tolist() == [pd.NA, 3]
    assert snapshot.to_polars(**asked).equals(pl.DataFrame({"n": [None, 3]}, {"n": pl.Int32}))


def test_without_polars_a_snapshot_says_how_to_get_it(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    write(table, p=["a"], n=[1])
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(DeclarationError, match=r"pip install 'practicus-assets\[polars\]'"):
        Snapshot.open(table.uri).to_polars()


def test_duckdb_polars_and_arrow_take_a_snapshot_as_often_as_they_like(table: Table) -> None:
    write(table, p=["a", "b"], n=[1, 2])
    orders = Snapshot.open(table.uri)  # noqa: F841 DuckDB finds it by its name
    part = Snapshot.open(table.uri, partitions=["b"])
    write(table, p=["a"], n=[9])
    for _ in range(2):
        assert duckdb.sql(
            "SELECT sum(o.n), sum(part.n) FROM orders o LEFT JOIN part USING (p)"
        ).fetchall() == [(3, 2)]
        assert pl.DataFrame(part).to_dicts() == pa.table(part).to_pylist() == [{"p": "b", "n": 2}]


def test_a_snapshot_is_written_as_it_is_and_its_errors_keep_their_class(table: Table, tmp_path: Path) -> None:
    write(table, p=["a", "b"], n=[1, 2])
    snapshot = Snapshot.open(table.uri)
    copy = Table.at(str(tmp_path), ["copy"])
    Transaction(copy).write(snapshot)
    assert Snapshot.of(copy).to_arrow() == snapshot.to_arrow()
    write(table, p=["a"], n=[3])
    DeltaTable(table.uri).vacuum(0, dry_run=False, enforce_retention_duration=False)
    with pytest.raises(VersionGone, match="version 0 names a file that is gone"):
        Transaction(copy).write(snapshot)
    assert Snapshot.of(copy).version == 0


def test_a_snapshot_shows_its_place_its_version_and_how_many_rows_it_reads(table: Table) -> None:
    write(table, p=["a", "b", "b"], n=[1, 2, 3])
    assert repr(Snapshot.open(table.uri)) == f"Snapshot('{table.uri}', version=0, rows=3)"
    part = Snapshot.open(table.uri, partitions=["b", "c"])
    assert repr(part) == f"Snapshot('{table.uri}', version=0, partitions=[b, c], rows=2)"
    assert (part.row_count, part.table_row_count) == (2, 3)


def test_a_snapshot_without_rows_has_the_columns_and_refuses_what_others_do(table: Table) -> None:
    write(table, p=["a"], n=[1])
    empty = Snapshot.open(table.uri).without_rows()
    assert empty.to_arrow() == empty.schema.empty_table()
    assert (empty.version, empty.row_count, empty.table_row_count) == (0, 0, 1)
    with pytest.raises(SchemaMismatch):
        empty.scan(["nope"])
    with pytest.raises(SchemaMismatch):
        empty.scan(predicate="nope = 1")
