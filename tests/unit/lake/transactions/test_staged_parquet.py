"""Files that an engine wrote, as the rows of a table: DuckDB and polars write, the transaction commits."""

import json
import os
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from practicus_assets.errors import (
    AuditFailed,
    CommitConflict,
    DataRefused,
    DeclarationError,
    OutOfScope,
    SchemaMismatch,
)
from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.contracts.rule import RowRule
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope, Window
from practicus_assets.lake.partitions.values import folder
from practicus_assets.lake.transactions.engine_files import engine_files, file_rows, found_files
from practicus_assets.lake.transactions.engine_files.staged_parquet import StagedParquet
from practicus_assets.lake.transactions.options import Mode, WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.lake.upkeep.compaction import compact
from practicus_assets.lake.upkeep.retention import remove, unneeded_files
from practicus_assets.lake.upkeep.rollback import carry_out, plan_rollback
from practicus_assets.lake.upkeep.verify import verify_files
from tests.kit import log, parquet_files, partitions, read, table_of, write

Engine = Callable[[str, str], None]  # writes the rows of a query below a place

ROWS = (
    "SELECT * FROM (VALUES ('a', 1, 1.5::DECIMAL(12, 2)), ('b/ c', 2, NULL), ('b/ c', 3, 2)) t(p, n, amount)"
)


def by_duckdb(query: str, uri: str) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({query}) TO '{uri}' (FORMAT parquet, PARTITION_BY (p))")


def by_polars(query: str, uri: str) -> None:
    rows(query).lazy().sink_parquet(pl.PartitionBy(uri, key="p"), mkdir=True)


def rows(query: str) -> pl.DataFrame:
    with duckdb.connect() as connection:
        frame: pl.DataFrame = pl.DataFrame(connection.sql(query))
    return frame


def begin(table: Table, *keys: str, mode: Mode = "replace", **more: Any) -> Transaction:
    merge_keys = ["n"] if mode == "merge" else []
    options = WriteOptions(partition_by=["p"], mode=mode, merge_keys=merge_keys)
    return Transaction(table, partitions(*keys) if keys else None, options, **more)


@pytest.mark.parametrize("engine", [by_duckdb, by_polars])
@pytest.mark.parametrize("keys", [(), ("a", "b/ c")], ids=["whole", "partitions"])
def test_files_of_an_engine_have_the_fingerprints_of_the_same_rows_in_memory(
    table: Table, engine: Engine, keys: tuple[str, ...]
) -> None:
    in_memory = begin(Table(table.name, table.uri + "-2"), *keys).write(rows(ROWS))
    transaction = begin(table, *keys)
    staged = transaction.staging()
    engine(ROWS, staged.uri)
    commit = transaction.write(staged)
    assert commit.fingerprints == in_memory.fingerprints
    assert (commit.version, commit.rows, commit.files) == (0, 3, 2)
    assert read(table) == read(table.uri + "-2")
    assert pl.read_delta(table.uri).select("p", "n", "amount").sort("n").equals(rows(ROWS).sort("n"))


def test_a_place_of_an_engine_is_an_empty_folder_whose_options_are_not_shown(table: Table) -> None:
    lake = Table(table.name, table.uri, {"AWS_SECRET_ACCESS_KEY": "hidden"})
    staged = begin(lake).staging()
    assert list(Path(staged.uri).iterdir()) == []
    assert "hidden" not in repr(staged)
    assert staged == StagedParquet(staged.uri)
    assert parquet_files(table) == set()


# --- What the files are -------------------------------------------------------------------------------------


def put(staged: StagedParquet, name: str, rows: pa.Table) -> Path:
    """Write one file as an engine does."""
    path = Path(staged.uri) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, path)
    return path


def numbers(*values: int) -> pa.Table:
    return pa.table({"n": pa.array(values, pa.int64())})


def test_other_readers_read_the_files_of_an_engine(table: Table) -> None:
    transaction = begin(table)
    staged = transaction.staging()
    by_polars(ROWS, staged.uri)  # which keeps partition columns inside of the files
    put(staged, "p=x%20y/more.parquet", rows(ROWS).to_arrow().drop_columns("p").slice(0, 1))
    assert transaction.write(staged).rows == 4
    expected = sorted([*rows(ROWS)["p"], "x y"])
    assert sorted(pl.read_delta(table.uri)["p"]) == expected
    assert sorted(row["p"] for row in read(table)) == expected
    assert sorted(DeltaTable(table.uri).to_pyarrow_table()["p"].to_pylist()) == expected
    files = [path.removeprefix("file://") for path in DeltaTable(table.uri).file_uris()]
    with duckdb.connect() as connection:
        query = f"SELECT p FROM read_parquet({files}, hive_partitioning = true)"
        assert sorted(p for (p,) in connection.execute(query).fetchall()) == expected


def test_statistics_are_those_that_rows_in_memory_get(table: Table) -> None:
    other = Table(table.name, table.uri + "-2")
    given = pa.table(
        {
            "n": pa.array([3, None, -1], pa.int64()),
            "x": [0.0, float("nan"), 1.0],
            "y": [-0.0, 2.5, None],
            "text": ["b", "a", "ü" * 70],
            "moment": pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * 3, pa.timestamp("us", "UTC")),
        }
    )
    Transaction(other).write(given)
    transaction = Transaction(table)
    staged = transaction.staging()
    put(staged, "a.parquet", given)
    transaction.write(staged)
    [ours], [theirs] = (
        [action["add"]["stats"] for action in log(place, 0) if "add" in action] for place in (table, other)
    )
    assert ours == theirs


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a"], pa.large_string()),
        pa.array(["a"]).dictionary_encode(),
        pa.array(["a"], pa.string_view()),
        pa.array([["a"]], pa.large_list(pa.large_string())),
        pa.array([{"x": 1, "y": 2}]),
        pa.array([0], pa.timestamp("us", "Europe/Istanbul")),
    ],
    ids=["large", "categories", "view", "list", "struct", "zone"],
)
def test_ways_to_hold_values_that_are_alike_in_parquet_are_taken(table: Table, column: pa.Array) -> None:
    transaction = Transaction(table)
    staged = transaction.staging()
    put(staged, "a.parquet", pa.table({"c": column}))
    transaction.write(staged)
    [row] = read(table)
    assert row["c"] == column.to_pylist()[0]
    assert pl.read_delta(table.uri)["c"].to_list() == column.to_pylist()


def test_columns_that_an_engine_marks_not_null_are_nullable_in_the_table(table: Table) -> None:
    write(table, "a", 1)
    transaction = begin(table, "b")
    staged = transaction.staging()
    strict = pa.schema([pa.field("n", pa.int64(), nullable=False)])
    put(staged, "p=b/a.parquet", numbers(2).cast(strict))
    transaction.write(staged)
    assert table.open().schema.field("n").nullable
    assert read(table) == [{"p": "a", "n": 1}, {"p": "b", "n": 2}]


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_files_are_added_and_merged(table: Table, mode: Mode) -> None:
    write(table, "a", 1, 2)
    transaction = begin(table, "a", mode=mode)
    staged = transaction.staging()
    put(staged, "p=a/x.parquet", numbers(2, 3))
    transaction.write(staged)
    expected = [1, 2, 2, 3] if mode == "append" else [1, 2, 3]
    assert [row["n"] for row in read(table)] == expected


def test_equal_rows_are_not_committed_again(table: Table) -> None:
    write(table, "a", 1, 2)
    before = parquet_files(table)
    transaction = begin(table, "a")
    staged = transaction.staging()
    put(staged, "p=a/x.parquet", numbers(2))
    put(staged, "p=a/y.parquet", numbers(1))
    commit = transaction.write(staged)
    assert (commit.changed, commit.version) == (False, 0)
    assert parquet_files(table) == before
    assert not Path(staged.uri).exists()


def test_a_retry_with_equal_rows_leaves_its_mark_and_no_file(table: Table) -> None:
    write(table, "a", 1)
    before = parquet_files(table)
    transaction = begin(table, "a", provenance=Provenance(run_id="again", step="s", attempt=2))
    staged = transaction.staging()
    put(staged, "p=a/x.parquet", numbers(1))
    commit = transaction.write(staged)
    assert (commit.changed, commit.version) == (False, 1)
    assert parquet_files(table) == before


def test_markers_checksums_hidden_and_empty_files_are_passed_over_and_removed(table: Table) -> None:
    transaction = begin(table, "a")
    staged = transaction.staging()
    put(staged, "p=a/x.parquet", numbers(1))
    put(staged, "p=b/none.parquet", numbers())
    put(staged, "_temporary/0/p=a/half.parquet", numbers(7))
    put(staged, "p=a/.hidden.parquet", numbers(8))
    for name in ("_SUCCESS", "p=a/.x.parquet.crc", "p=a/x.parquet.crc"):
        (Path(staged.uri) / name).write_text("no Parquet")
    assert transaction.write(staged).rows == 1
    left = [path for path in Path(staged.uri).rglob("*") if path.is_file()]
    assert [path.name for path in left] == ["x.parquet"]
    assert not (Path(staged.uri) / "_temporary").exists()


def test_a_partition_column_inside_of_a_file_needs_no_folder(table: Table) -> None:
    transaction = begin(table, "a", "b")
    staged = transaction.staging()
    put(staged, "x.parquet", table_of("a", 1, 2))
    put(staged, "y.parquet", table_of("b", 3))
    transaction.write(staged)
    assert pl.read_delta(table.uri).sort("n").to_dicts() == [
        {"p": "a", "n": 1},
        {"p": "a", "n": 2},
        {"p": "b", "n": 3},
    ]


def test_values_of_folders_have_the_type_of_their_column(table: Table) -> None:
    options = WriteOptions(partition_by=["day", "n"])
    contract = Contract({"day": Column("date32"), "n": Column("int32")})
    transaction = Transaction(table, None, options, contract=contract)
    staged = transaction.staging()
    put(staged, "n=7/day=2026-01-02/x.parquet", pa.table({"v": ["a"]}))
    transaction.write(staged)
    assert table.open().schema.field("day").type == pa.date32()
    assert [(row["day"].isoformat(), row["n"]) for row in read(table)] == [("2026-01-02", 7)]


# --- What is refused ----------------------------------------------------------------------------------------


def refused(table: Table, kind: type[DataRefused], *keys: str, **files: pa.Table) -> str:
    """Let files be refused, by their names with `/` for `__`; return the error's text."""
    before = (read(table), parquet_files(table))
    transaction = begin(table, *keys)
    staged = transaction.staging()
    for name, content in files.items():
        put(staged, f"{name.replace('__', '/').replace('_is_', '=')}.parquet", content)
    with pytest.raises(kind) as error:
        transaction.write(staged)
    assert error.value.nothing_written
    assert (read(table), parquet_files(table)) == before
    assert not Path(staged.uri).exists()
    return str(error.value)


def test_files_with_other_columns_are_refused(table: Table) -> None:
    write(table, "a", 1)
    more = numbers(2).append_column("m", pa.array([1]))
    text = refused(table, SchemaMismatch, "b", p_is_b__x=numbers(1), p_is_b__y=more)
    assert text == (
        "t [b]: the file p=b/y.parquet has the further column 'm'; the table has ['p', 'n']. "
        "Let the engine write the same columns into each file. Nothing was written."
    )
    text = refused(table, SchemaMismatch, "b", p_is_b__x=more.drop_columns("n"))
    assert "the output lacks the column 'n'" in text


@pytest.mark.parametrize(
    ("type_", "word"),
    [
        (pa.int32(), "as int32, and the table as int64. CAST it to BIGINT"),
        (pa.uint64(), "as uint64"),
        (pa.null(), "as null, which holds only nulls"),
    ],
)
def test_files_with_other_types_are_refused(table: Table, type_: pa.DataType, word: str) -> None:
    write(table, "a", 1)
    odd = pa.table({"n": pa.array([None], type_)})
    text = refused(table, SchemaMismatch, "b", p_is_b__x=numbers(1), p_is_b__y=odd)
    assert f"the file p=b/y.parquet has the column 'n' {word}" in text


def test_nanoseconds_are_refused_for_readers_round_them(table: Table) -> None:
    transaction = Transaction(table)
    staged = transaction.staging()
    put(staged, "x.parquet", pa.table({"at": pa.array([1], pa.timestamp("ns"))}))
    with pytest.raises(SchemaMismatch, match=r"as timestamp\[ns\], and the table as timestamp\[us\]"):
        transaction.write(staged)


@pytest.mark.parametrize("digits", ["123456789", "1234560001"])
def test_times_of_folders_that_are_finer_than_microseconds_are_refused(table: Table, digits: str) -> None:
    contract = Contract({"at": Column("timestamp[us]")})
    transaction = Transaction(table, None, WriteOptions(partition_by=["at"]), contract=contract)
    staged = transaction.staging()
    put(staged, f"at=2026-01-02 00:00:00.{digits}/x.parquet", numbers(1))
    with pytest.raises(OutOfScope, match=r"is no value of the column 'at' .*parts of a microsecond"):
        transaction.write(staged)
    transaction = Transaction(table, None, WriteOptions(partition_by=["at"]), contract=contract)
    staged = transaction.staging()
    put(staged, "at=2026-01-02 00:00:00.123456000/x.parquet", numbers(1))
    transaction.write(staged)
    assert read(table)[0]["at"] == datetime(2026, 1, 2, 0, 0, 0, 123456)  # noqa: DTZ001 as the table has it


def test_rows_of_other_partitions_are_refused(table: Table) -> None:
    write(table, "a", 1)
    text = refused(table, OutOfScope, "a", p_is_a__x=numbers(2), p_is_b__x=numbers(1, 2))
    assert "the file p=b/x.parquet: its 2 rows are outside the scope, by column 'p'. E.g. p = 'b'" in text
    text = refused(table, OutOfScope, "a", x=pa.concat_tables([table_of("a", 1), table_of("b", 7)]))
    assert "the file x.parquet: it begins with one, and has rows of another partition, by column 'p'" in text
    assert "E.g. p = 'b', after 'a'." in text
    text = refused(table, OutOfScope, "a", "b", p_is_a__x=table_of("b", 7))
    assert "the file p=a/x.parquet: it lies in the folder of one p, and has rows of another" in text


@pytest.mark.parametrize("engine", [by_duckdb, by_polars])
@pytest.mark.parametrize("null", ["NULL", "''"])
def test_partitions_of_null_are_refused(table: Table, engine: Engine, null: str) -> None:
    transaction = begin(table)
    staged = transaction.staging()
    engine(f"SELECT * FROM (VALUES ('a', 1), ({null}, 2)) t(p, n)", staged.uri)
    with pytest.raises(OutOfScope, match=r"partition column 'p' .*null.* Nothing was written"):
        transaction.write(staged)
    assert not Path(table.uri).exists()


def test_rows_whose_partition_neither_folder_nor_file_says_are_refused(table: Table) -> None:
    write(table, "a", 1)
    text = refused(table, SchemaMismatch, "a", x=numbers(1))
    assert "has the partition column 'p' neither inside nor as folder" in text
    text = refused(table, OutOfScope, "a", x=table_of(None, 1))
    assert "the file x.parquet: its partition column 'p' has rows that are read as null" in text
    text = refused(table, SchemaMismatch, "a", q_is_1__p_is_a__x=numbers(1))
    assert "lies in a folder of the column 'q', and the table is partitioned by ['p']" in text


def test_a_place_without_files_is_refused_unless_the_engine_said_that_it_is_done(table: Table) -> None:
    write(table, "a", 1)
    assert "the engine wrote no Parquet file below" in refused(table, DataRefused, "a")
    transaction = begin(table, "a")
    staged = transaction.staging()
    (Path(staged.uri) / "_SUCCESS").touch()
    assert transaction.write(staged).rows == 0
    assert read(table) == []


def test_files_without_rows_empty_the_scope(table: Table) -> None:
    write(table, "a", 1)
    write(table, "b", 2)
    transaction = begin(table, "a")
    staged = transaction.staging()
    put(staged, "p=a/x.parquet", numbers())
    transaction.write(staged)
    assert read(table) == [{"p": "b", "n": 2}]


def test_what_is_no_parquet_is_refused(table: Table) -> None:
    transaction = begin(table)
    staged = transaction.staging()
    put(staged, "p=a/a.parquet", numbers(1))
    (Path(staged.uri) / "p=a" / "b.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(DataRefused, match=r"the file p=a/b\.parquet cannot be read as Parquet"):
        transaction.write(staged)
    staged = transaction.staging()
    put(staged, "x.csv", numbers(1))
    with pytest.raises(DataRefused, match=r"left x\.csv, which is no Parquet"):
        transaction.write(staged)
    staged = transaction.staging()
    (Path(staged.uri) / "t" / "_delta_log").mkdir(parents=True)
    (Path(staged.uri) / "t" / "_delta_log" / "0.json").touch()
    with pytest.raises(DataRefused, match="the engine wrote a Delta table of its own"):
        transaction.write(staged)
    assert not Path(table.uri).exists()


def test_rules_of_the_contract_run_on_the_files(table: Table) -> None:
    contract = Contract({"n": Column("int64", maximum=5)}, unique=[["n"]])
    transaction = begin(table, contract=contract)
    staged = transaction.staging()
    put(staged, "p=a/x.parquet", numbers(1, 9))
    put(staged, "p=b/x.parquet", numbers(1))
    with pytest.raises(AuditFailed) as error:
        transaction.write(staged)
    assert {result.name: result.bad_rows for result in error.value.results if not result.passed} == {
        "n_maximum": 1,
        "n_unique": 1,
    }
    assert not Path(table.uri).exists()


@pytest.fixture(params=[3, 100], ids=["several batches", "one batch"])
def together(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let groups of small files be hashed in batches of a few rows, or of many."""
    monkeypatch.setattr(engine_files, "_PYTHON_THREADS", 1)
    monkeypatch.setattr(engine_files, "_GROUP_FILES", 5)
    monkeypatch.setattr(file_rows, "BATCH_ROWS", request.param)


@pytest.mark.usefixtures("together")
def test_many_small_files_are_as_their_rows_in_memory(table: Table) -> None:
    """Also where some have their partition inside, some have dictionaries, and some have no row."""
    contract = Contract({"n": Column("int64", maximum=50)}, unique=[["n"]])
    transaction, parts = begin(table, contract=contract), []
    staged = transaction.staging()
    for number in range(17):
        p, n = "abc"[number % 3], list(range(number * 3, number * 3 + number % 4))
        text = pa.array([None if i % 3 == 1 else f"text {i}" for i in n], pa.string())
        part = pa.table({"n": pa.array(n, pa.int64()), "s": text})
        parts.append(part.append_column("p", pa.array([p] * len(n), pa.string())))
        if number % 5 == 4:
            part = part.set_column(1, "s", text.dictionary_encode())
        put(staged, f"p={p}/{number:02}.parquet", parts[-1] if number % 7 == 3 else part)
    commit = transaction.write(staged)
    in_memory = begin(Table("m", f"{table.uri}-m"), contract=contract).write(pa.concat_tables(parts))
    assert commit.fingerprint == in_memory.fingerprint
    assert (commit.rows, commit.files) == (in_memory.rows, 12)
    assert [audit.passed for audit in commit.audits] == [True] * len(commit.audits)
    assert read(table, "p, n, s") == read(Table("m", f"{table.uri}-m"), "p, n, s")
    for add in (action["add"] for action in log(table, 0) if "add" in action):
        inside = pq.read_table(Path(table.uri) / add["path"], columns=["n"], partitioning=None)[
            "n"
        ].to_pylist()
        statistics = json.loads(add["stats"])
        assert (statistics["minValues"]["n"], statistics["maxValues"]["n"]) == (min(inside), max(inside))
        assert statistics["numRecords"] == len(inside)


@pytest.mark.usefixtures("together")
def test_statistics_of_many_small_files_are_those_that_each_has_alone(table: Table) -> None:
    """Of every kind of column, with nulls, numbers without an order, and times that Python does not know."""
    years = pa.array([253_402_300_800_000_000 - 1, 253_402_300_800_000_000, -1], pa.timestamp("us"))
    columns: dict[str, list[pa.Array]] = {
        "small": [pa.array([3, -1, 2], pa.int8()), pa.array([None, 7], pa.int8()), pa.array([0], pa.int8())],
        "d": [pa.array([1.5, float("nan")]), pa.array([float("inf"), 0.0]), pa.array([-0.0, 0.0, 2.5])],
        "f": [pa.array([0.1], pa.float32()), pa.array([None], pa.float32()), pa.array([7], pa.float32())],
        "day": [pa.array([19_000, -1], pa.date32()), pa.array([0], pa.date32())],
        "at": [years, pa.array([0], pa.timestamp("us")), years.slice(2)],
        "zoned": [pa.array([5, -5], pa.timestamp("us", "UTC")), pa.array([1], pa.timestamp("us", "UTC"))],
        "s": [
            pa.array(["ü", "b", "z"]),
            pa.array(["a" * 80, "b"]),
            pa.array(["", None]),
            pa.array(["\U0001f600"]),
        ],
        "yes": [pa.array([True, False]), pa.array([None, True])],
        "raw": [pa.array([b"b", b"a"])],
        "amount": [pa.array([1, None], pa.decimal128(9, 2))],
        "tags": [pa.array([[1], [], None])],
    }
    rows_of = [
        {
            name: pa.concat_arrays([kinds[(number + i) % len(kinds)]] * 4).slice(i % 2, 4)
            for i, (name, kinds) in enumerate(columns.items())
        }
        for number in range(12)
    ]
    transaction = begin(table)
    staged = transaction.staging()
    alone: dict[str, Any] = {}
    for number, arrays in enumerate(rows_of):
        part = pa.table(
            {name: array.slice(0, min(map(len, arrays.values()))) for name, array in arrays.items()}
        )
        put(staged, f"p=a/{number:02}.parquet", part)
        other = Table(f"t{number}", f"{table.uri}-{number}")
        begin(other).write(part.append_column("p", pa.array(["a"] * part.num_rows)))
        [alone[f"{number:02}"]] = [json.loads(a["add"]["stats"]) for a in log(other, 0) if "add" in a]
    transaction.write(staged)
    together = {
        Path(action["add"]["path"]).stem: json.loads(action["add"]["stats"])
        for action in log(table, 0)
        if "add" in action
    }
    assert together == alone


@pytest.mark.usefixtures("together")
@pytest.mark.parametrize(
    ("column", "error", "match"),
    [
        ({"n": ["x"]}, SchemaMismatch, r"the file p=b/0\.parquet has the column 'n' as string"),
        ({"p": ["a"]}, OutOfScope, r"the file p=b/0\.parquet: it lies in the folder of one p"),
        (
            {"p": pa.array([None], pa.string())},
            OutOfScope,
            r"the file p=b/0\.parquet: its partition column 'p' has rows",
        ),
        ({"p": ["b"], "m": [2]}, SchemaMismatch, r"the file p=b/0\.parquet has the further column 'm'"),
    ],
)
def test_of_many_small_files_the_one_that_is_refused_is_named(
    table: Table, column: dict[str, Any], error: type[DataRefused], match: str
) -> None:
    transaction = begin(table)
    staged = transaction.staging()
    for p, number in [("a", 0), ("a", 1), ("c", 2), ("c", 3)]:
        put(staged, f"p={p}/{number}.parquet", numbers(number))
    put(staged, "p=b/0.parquet", pa.table({"n": [1], "p": [""]} | column))
    with pytest.raises(error, match=match):
        transaction.write(staged)
    assert not Path(table.uri).exists()


@pytest.mark.usefixtures("together")
@pytest.mark.parametrize("inside_of", [{0}, {1, 2}, {0, 2, 4, 6, 8}], ids=["first", "second", "every other"])
def test_of_small_files_some_may_have_their_partition_inside_as_a_text_that_is_held_once(
    table: Table, inside_of: set[int]
) -> None:
    transaction, parts = begin(table), []
    staged = transaction.staging()
    for number in range(10):
        text = pa.array([f"text {i % 3}" for i in range(200)])
        part = pa.table({"n": range(number * 200, number * 200 + 200), "s": text})
        parts.append(part.append_column("p", pa.array(["ab"[number % 2]] * 200)))
        name = f"p={'ab'[number % 2]}/{number}.parquet"
        put(staged, name, parts[-1] if number in inside_of else part)
    put(staged, "p=b/without rows.parquet", pa.table({"n": pa.array([], pa.int64())}))
    commit = transaction.write(staged)
    in_memory = begin(Table("m", f"{table.uri}-m")).write(pa.concat_tables(parts))
    assert commit.fingerprints == in_memory.fingerprints
    assert (commit.rows, commit.files) == (2000, 10)


def test_a_small_file_that_lacks_a_column_whose_texts_others_hold_once_is_named(table: Table) -> None:
    text = pa.array(["x", "y"] * 200)
    for other in ({"n": range(400)}, {"n": range(400), "z": text}, {"n": range(400), "s": [["x"]] * 400}):
        transaction = begin(table)
        staged = transaction.staging()
        put(staged, "p=a/0.parquet", pa.table({"n": range(400), "s": text}))
        put(staged, "p=a/1.parquet", pa.table(other))
        with pytest.raises(SchemaMismatch, match=r"the file p=a/1\.parquet (lacks|has) the .*column 's'"):
            transaction.write(staged)
    assert not Path(table.uri).exists()


@pytest.mark.parametrize("rows_each", [20_000, 40_000], ids=["a row group", "several"])
def test_texts_that_a_file_holds_once_are_as_those_in_memory(table: Table, rows_each: int) -> None:
    """A value that only other rows of the file have is in no bound, and rules get plain texts."""
    count = 40_000
    text = [None if i % 11 == 0 else f"text {i * 7 % 89}" for i in range(count - 1)] + ["z"]
    part = pa.table({"n": range(count), "s": text, "b": pa.array([b"x", b"y"] * (count // 2))})
    seen: list[pa.DataType] = []

    def plain(rows: pa.Table) -> list[bool]:
        seen.append(rows.schema.field("s").type)
        return [True] * rows.num_rows

    contract = Contract({"s": Column("string", pattern="text .*|z")}, rules=[RowRule("plain", plain)])
    transaction = begin(table, contract=contract)
    staged = transaction.staging()
    path = Path(staged.uri) / "p=a" / "x.parquet"
    path.parent.mkdir()
    pq.write_table(part, path, row_group_size=rows_each, store_schema=False)
    commit = transaction.write(staged)
    in_memory = begin(Table("m", f"{table.uri}-m"), contract=contract).write(
        part.append_column("p", pa.array(["a"] * count))
    )
    assert commit.fingerprint == in_memory.fingerprint
    assert {*seen} == {pa.string()}
    [add], [other] = (
        [a["add"] for a in log(t, 0) if "add" in a] for t in (table, Table("m", f"{table.uri}-m"))
    )
    assert json.loads(add["stats"]) == json.loads(other["stats"])


@pytest.mark.parametrize("mode", ["replace", "merge"])
def test_long_texts_that_a_file_holds_once_are_checked_a_few_rows_at_a_time(table: Table, mode: Mode) -> None:
    """All of them, each row with its own, are more than one array of Arrow's holds."""
    count, text = 131_072, "x" * 17_000
    transaction = begin(table, "a", mode=mode, contract=Contract(unique=[["n"]]))
    staged = transaction.staging()
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), [text])
    put(staged, "p=a/x.parquet", pa.table({"n": range(count), "s": texts}))
    assert transaction.write(staged).rows == count


def test_a_file_that_goes_away_before_it_is_read_is_refused(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    transaction = begin(table)
    staged = transaction.staging()
    put(staged, "p=a/a.parquet", numbers(1))
    gone = put(staged, "p=a/b.parquet", numbers(2))

    def listed_and_gone(*arguments: Any) -> Any:
        files = found_files.found(*arguments)
        gone.unlink()
        return files

    monkeypatch.setattr(engine_files, "found", listed_and_gone)
    with pytest.raises(DataRefused, match=r"the file p=a/b\.parquet is not there any more.*Nothing was"):
        transaction.write(staged)
    assert not Path(table.uri).exists()


def test_days_of_folders_are_dates_where_the_partitions_are_days(table: Table) -> None:
    day = datetime(2026, 1, 1, tzinfo=UTC)
    scope = Scope(("day",), ((Window("2026-01-01", day, day + timedelta(1), daily=True),),))
    transaction = Transaction(table, scope, WriteOptions(partition_by=["day"]))
    staged = transaction.staging()
    with duckdb.connect() as connection:
        query = "SELECT DATE '2026-01-01' AS day, 1 AS n"
        connection.execute(f"COPY ({query}) TO '{staged.uri}' (FORMAT parquet, PARTITION_BY (day))")
    transaction.write(staged)
    assert read(table) == [{"n": 1, "day": day.date()}]
    transaction = Transaction(table, scope, WriteOptions(partition_by=["day"]))
    staged = transaction.staging()
    put(staged, "day=20260101/x.parquet", pa.table({"n": pa.array([1], pa.int32())}))
    with pytest.raises(OutOfScope, match="is no value of the column 'day' of type date32"):
        transaction.write(staged)


@pytest.mark.parametrize("change", ["other bytes", "touched", "gone"])
def test_a_file_that_changes_before_the_commit_is_refused(table: Table, change: str) -> None:
    write(table, "a", 1)
    transaction = begin(table, "a")
    staged = transaction.staging()
    path = put(staged, "p=a/x.parquet", numbers(2))
    audited = transaction.audit(transaction.stage(staged))
    if change == "gone":
        path.unlink()
    elif change == "touched":
        os.utime(path, ns=(0, 0))
    else:
        put(staged, "p=a/x.parquet", numbers(3, 4))
    with pytest.raises(
        DataRefused, match=r"the staged file .*p=a/x\.parquet had .* when it was read"
    ) as error:
        transaction.land(audited)
    assert error.value.nothing_written
    assert read(table) == [{"p": "a", "n": 1}]


def test_a_file_that_comes_after_the_others_were_read_is_refused(table: Table) -> None:
    transaction = begin(table, "a")
    staged = transaction.staging()
    put(staged, "p=a/x.parquet", numbers(1))
    audited = transaction.audit(transaction.stage(staged))
    put(staged, "p=a/y.parquet", numbers(2))
    with pytest.raises(DataRefused, match=r"the file .*p=a/y\.parquet came after the others") as error:
        transaction.land(audited)
    assert error.value.nothing_written


@pytest.mark.parametrize("first", ["_SUCCESS", "p=a/none.parquet", "p=a/x.parquet"])
def test_a_file_that_comes_late_is_refused_though_the_others_change_nothing(table: Table, first: str) -> None:
    write(table, "a", 1)
    transaction = begin(table, "a")
    staged = transaction.staging()
    if first == "_SUCCESS":
        (Path(staged.uri) / first).touch()
    else:
        put(staged, first, numbers(*([1] if first == "p=a/x.parquet" else [])))
    audited = transaction.audit(transaction.stage(staged))
    put(staged, "p=a/late.parquet", numbers(2))
    with pytest.raises(DataRefused, match=r"the file .*p=a/late\.parquet came after the others") as error:
        transaction.land(audited)
    assert error.value.nothing_written
    assert read(table) == [{"p": "a", "n": 1}]


def test_a_file_without_rows_that_cannot_be_deleted_is_passed_over(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a store's key may write and not delete."""
    monkeypatch.setattr(engine_files, "delete_files", lambda *_: None)
    transaction = begin(table, "a")
    staged = transaction.staging()
    put(staged, "p=a/x.parquet", numbers(1))
    none = put(staged, "p=a/none.parquet", numbers())
    transaction.write(staged)
    assert none.exists()
    assert read(table) == [{"p": "a", "n": 1}]


def test_a_file_without_rows_that_gets_some_after_it_was_read_is_refused(table: Table) -> None:
    transaction = begin(table, "a")
    staged = transaction.staging()
    put(staged, "p=a/x.parquet", numbers(1))
    put(staged, "p=a/none.parquet", numbers())
    audited = transaction.audit(transaction.stage(staged))
    put(staged, "p=a/none.parquet", numbers(2))
    with pytest.raises(
        DataRefused, match=r"the staged file .*none\.parquet had .* when it was read, and has"
    ):
        transaction.land(audited)


def test_files_of_a_job_that_has_not_ended_are_refused(table: Table) -> None:
    write(table, "a", 1)
    files = {"p_is_a__x": numbers(1), "_temporary__0__p_is_a__y": numbers(2)}
    assert "y.parquet and no _SUCCESS: its job has not ended" in refused(table, DataRefused, "a", **files)


def test_a_place_of_another_attempt_is_refused(table: Table) -> None:
    earlier = begin(table, "a").staging()
    put(earlier, "p=a/x.parquet", numbers(1))
    for uri in (earlier.uri, f"{begin(table).staging().uri}/../..", table.uri, "s3://elsewhere/x"):
        with pytest.raises(DataRefused, match="is no place of this attempt"):
            begin(table, "a").write(StagedParquet(uri))
    assert (Path(earlier.uri) / "p=a" / "x.parquet").exists()


def test_of_two_attempts_at_one_scope_the_first_commits(table: Table) -> None:
    first, second = begin(table, "a"), begin(table, "a")
    parts = []
    for number, transaction in enumerate((first, second)):
        staged = transaction.staging()
        put(staged, "p=a/x.parquet", numbers(number))
        parts.append(transaction.stage(staged))
    second.commit(parts[1])
    with pytest.raises(CommitConflict):
        first.commit(parts[0])
    assert read(table) == [{"n": 1, "p": "a"}]
    assert len(parquet_files(table)) == 1


def test_parts_of_several_processes_have_places_of_their_own(table: Table) -> None:
    transaction = begin(table)
    parts = []
    for number in range(2):
        worker = pickle.loads(pickle.dumps(transaction))  # noqa: S301 our own
        staged = worker.staging()
        put(staged, "p=a/x.parquet", numbers(number))
        parts.append(pickle.loads(pickle.dumps(worker.stage(staged, f"split {number}"))))  # noqa: S301
    assert transaction.commit(*parts).rows == 2
    assert [row["n"] for row in read(table)] == [0, 1]


def test_files_that_are_staged_twice_are_refused(table: Table) -> None:
    transaction = begin(table)
    staged = transaction.staging()
    put(staged, "sub/p=a/x.parquet", numbers(1))
    parts = [transaction.stage(StagedParquet(f"{staged.uri}/sub")), transaction.stage(staged)]
    with pytest.raises(DeclarationError, match=r"sub/p=a/x\.parquet' staged twice"):
        transaction.commit(*parts)
    assert not Path(table.uri).exists()


def test_modes_that_do_not_keep_the_files_as_they_are_are_refused(table: Table) -> None:
    history = WriteOptions(mode="history", history_keys=["n"], sequence_by="at")
    insert = WriteOptions(mode="merge", merge_keys=["n"], merge_kind="insert")
    rejecting = Contract({"n": Column("int64", minimum=0, severity="QUARANTINE")})
    for options, contract in ((history, None), (insert, None), (WriteOptions(), rejecting)):
        with pytest.raises(DeclarationError, match="the function takes StagedParquet, and"):
            Transaction(table, None, options, contract=contract).staging()


def test_verification_compaction_and_rollback_read_the_files_of_an_engine(table: Table) -> None:
    for engine in (by_duckdb, by_polars, by_polars):
        transaction = begin(table, mode="append")
        staged = transaction.staging()
        engine(ROWS, staged.uri)
        transaction.write(staged)
    assert verify_files(table, rows=True).problems == ()
    before = read(table)
    assert compact(table).files_before == 6
    assert read(table) == before
    carry_out(table, plan_rollback(table, 0, Scope(), whole=True), Provenance(), undo_newer=True)
    assert len(read(table)) == 3
    assert verify_files(table, rows=True).problems == ()


def test_maintenance_removes_what_dead_attempts_left_and_nothing_of_live_ones(table: Table) -> None:
    write(table, "a", 1)
    committed = begin(table, "b")
    staged = committed.staging()
    put(staged, f"{folder('p', 'b')}/x.parquet", numbers(2))
    committed.write(staged)
    dead, live = begin(table).staging(), begin(table).staging()
    for place in (dead, live):
        put(place, "_temporary/x.parquet", numbers(1))
        put(place, "p=c/x.parquet", numbers(1))
        (Path(place.uri) / "_SUCCESS").touch()
    long_ago = (datetime.now(UTC) - timedelta(days=3)).timestamp()
    for path in (*Path(dead.uri).rglob("*"), *Path(staged.uri).rglob("*")):
        os.utime(path, (long_ago, long_ago))
    removable = unneeded_files(table, datetime.now(UTC))
    assert {path.rpartition("/")[2] for path in removable.paths} == {"x.parquet", "_SUCCESS"}
    assert all(f"/{Path(dead.uri).name}/" in path for path in removable.paths)
    assert remove(table, removable) == 3
    assert len(read(table)) == 2


def test_maintenance_leaves_a_table_inside_whose_name_begins_like_a_place(table: Table) -> None:
    write(table, "a", 1)
    inner = Table("inner", f"{table.uri}/staged-orders")
    write(inner, "a", 1)
    (Path(inner.uri) / "notes.txt").touch()
    long_ago = (datetime.now(UTC) - timedelta(days=3)).timestamp()
    for path in Path(inner.uri).rglob("*"):
        os.utime(path, (long_ago, long_ago))
    assert unneeded_files(table, datetime.now(UTC)).paths == ()
