"""What other engines read of the tables that we write: ClickHouse (delta-kernel), polars and DuckDB."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.lake.upkeep.compaction import compact
from practicus_assets.lake.upkeep.retention import checkpoint, remove, unneeded_files
from practicus_assets.lake.upkeep.rollback import carry_out, plan_rollback
from tests.kit import Row, parquet_files, partitions, read, write
from tests.servers.clickhouse import ClickHouse

UTC = dt.UTC
TEXTS = [
    "plain",
    "a b",
    "c/d",
    "e%f",
    "%20",
    "g'h",
    'i"j',
    "k=l",
    "m:n",
    "ü ş 漢 🎉",
    "o\\p",
    "{q}",
    "r#s?t&u",
    "~",
]
TEXTS += [".", "..", "a\tb", "null", "__HIVE_DEFAULT_PARTITION__x", "*", "[x]"]
# Others stay out, for polars and DuckDB do not find the column in the folder's name: it ends at `=`; `:`, `/`
# and control characters are escaped, for a path in the log cannot hold them. DuckDB reads `?` and a backslash
# in a path as something else, too.
NAMES = ["p", "a-b", "Day Of", " ", "a%b", "%20", "a.b", "a'b", 'a"b', "a#b", "a~b", "a&b", "a,b", "a;b"]
NAMES += ["a(b)", "a[b]", "a{b}", "a<b>", "a|b", "a`b", "a^b", "a@b", "a$b", "a!b", "a+b", "a*b", "ü", "漢"]
NAMES += ["select"]
NAIVE = dt.datetime(1900, 3, 31, 2, 0, 0, 1)  # noqa: DTZ001 a time without zone
COLUMNS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "int8": (pa.int8(), [-128, None, 127]),
    "int16": (pa.int16(), [-(2**15), None, 1]),
    "int32": (pa.int32(), [-(2**31), None, 1]),
    "int64": (pa.int64(), [-(2**63), None, 2**63 - 1]),
    "float32": (pa.float32(), [1.5, None, float("inf")]),
    "float64": (pa.float64(), [-0.0, None, 1e300]),
    "decimal": (
        pa.decimal128(38, 10),
        [Decimal("12345678901234567890.0123456789"), None, Decimal(0)],
    ),
    "text": (pa.string(), ["", "a\0b ü", None]),
    "binary": (pa.binary(), [b"", b"\x00\xff", None]),
    "bool": (pa.bool_(), [True, None, False]),
    "date": (pa.date32(), [dt.date(1, 1, 1), None, dt.date(9999, 12, 31)]),
    "zoned": (
        pa.timestamp("us", "UTC"),
        [dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), None, dt.datetime(2024, 2, 29, tzinfo=UTC)],
    ),
    "naive": (pa.timestamp("us"), [NAIVE, None, NAIVE.replace(year=2024, minute=30)]),
    "struct": (
        pa.struct({"a": pa.int64(), "b": pa.list_(pa.string())}),
        [{"a": 2**53 + 1, "b": ["x", None]}, {"a": None, "b": []}, {"a": 1, "b": ["y"]}],
    ),
    "list": (pa.list_(pa.decimal128(5, 2)), [[Decimal("1.00"), None], [], [Decimal("2.50")]]),
    "map": (
        pa.map_(pa.string(), pa.timestamp("us", "UTC")),
        [[("k", dt.datetime(2024, 1, 1, tzinfo=UTC))], [], [("", None)]],
    ),
}  # nested values are not null, for ClickHouse has no such null
PARTITION_TYPES = ["int8", "int32", "int64", "bool", "date", "zoned", "naive"]


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[ClickHouse]:
    with ClickHouse() as reader:
        yield reader


@pytest.fixture
def table(tmp_path: Any) -> Table:
    return Table.at(str(tmp_path / "lake"), ["t"])


def by_polars(table: Table) -> list[Row]:
    return sorted(pl.scan_delta(table.uri).collect().to_arrow().to_pylist(), key=repr)


def hive_by_polars(table: Table, columns: dict[str, Any]) -> list[Row]:
    files = [f"{table.uri}/{file}" for file in sorted(parquet_files(table))]
    frame = pl.scan_parquet(files, hive_partitioning=True, hive_schema=columns, glob=False).collect()
    return sorted(frame.to_arrow().to_pylist(), key=repr)


def hive_by_duckdb(table: Table) -> list[Row]:
    files = [f"{table.uri}/{file}" for file in sorted(parquet_files(table))]
    query = "SELECT * FROM read_parquet($files, hive_partitioning = true, hive_types_autocast = false)"
    return sorted(duckdb.sql(query, params={"files": files}).to_arrow_table().to_pylist(), key=repr)


def ordered(rows: list[Row], by: str = "n") -> list[Row]:
    return sorted(rows, key=lambda row: row[by])


def as_clickhouse_has_it(value: Any) -> Any:
    """Return a value as ClickHouse shows it: bytes in hexadecimal, and each time at an offset."""
    if isinstance(value, bytes):
        return value.hex().upper()
    return value.replace(tzinfo=UTC) if isinstance(value, dt.datetime) and value.tzinfo is None else value


def test_every_type_is_read_as_it_was_written(table: Table, clickhouse: ClickHouse) -> None:
    columns = {name: pa.array(values, type_) for name, (type_, values) in COLUMNS.items()}
    data = pa.table({"n": [0, 1, 2], **columns})
    Transaction(table).write(data)
    wanted = data.to_pylist()
    assert ordered(by_polars(table)) == wanted
    assert ordered(hive_by_duckdb(table)) == wanted
    rows = ordered(clickhouse.read(table.uri, "* REPLACE (hex(binary) AS binary)"))
    assert rows == [{name: as_clickhouse_has_it(value) for name, value in row.items()} for row in wanted]


@pytest.mark.parametrize("name", PARTITION_TYPES)
def test_typed_partitions_are_read_as_they_were_written(
    name: str, table: Table, clickhouse: ClickHouse
) -> None:
    type_, values = COLUMNS[name]
    values = [value for value in values if value is not None]
    Transaction(table, options=WriteOptions(partition_by=["p"])).write(
        pa.table({"n": [0, 1], "p": pa.array(values, type_)})
    )
    assert [row["p"] for row in ordered(by_polars(table))] == values
    assert [row["p"] for row in ordered(clickhouse.read(table.uri))] == list(
        map(as_clickhouse_has_it, values)
    )


@pytest.mark.parametrize("name", NAMES)
def test_partitions_of_any_text_are_read_from_the_table_and_from_its_folders(
    name: str, table: Table, clickhouse: ClickHouse
) -> None:
    data = pa.table({"n": range(len(TEXTS)), name: TEXTS})
    Transaction(table, options=WriteOptions(partition_by=[name])).write(data)
    wanted = data.to_pylist()
    assert ordered(read(table)) == ordered(by_polars(table)) == ordered(clickhouse.read(table.uri)) == wanted
    assert ordered(hive_by_duckdb(table)) == wanted
    assert ordered(hive_by_polars(table, {name: pl.String})) == wanted


def test_a_null_partition_that_another_writer_left_is_read_beside_ours(
    table: Table, clickhouse: ClickHouse
) -> None:
    write(table, "a", 1)
    rows = pa.table({"p": pa.array([None], pa.string()), "n": [2]})
    write_deltalake(table.uri, rows, mode="append")
    write(table, "a", 3)
    wanted = [{"p": None, "n": 2}, {"p": "a", "n": 3}]
    assert ordered(clickhouse.read(table.uri)) == ordered(by_polars(table)) == ordered(read(table)) == wanted


def merge(table: Table) -> None:
    rows = pa.table({"p": ["a b", "a b"], "n": [1, 7]})
    Transaction(
        table, partitions("a b"), WriteOptions(partition_by=["p"], mode="merge", merge_keys=["n"])
    ).write(rows)


def roll_back_to_the_first(table: Table) -> None:
    carry_out(table, plan_rollback(table, 0, partitions("a b", "c/d"), whole=True), Provenance())


def tidy(table: Table) -> None:
    write(table, "c/d", 30, 31, mode="append")
    assert compact(table).files_after == 1
    checkpoint(table)
    remove(table, unneeded_files(table, dt.datetime.now(UTC)))


def change_schema(table: Table) -> None:
    write(table, "a b", 5, later=["x"])
    whole = Transaction(table, options=WriteOptions(partition_by=["p"], on_schema_change="replace"))
    whole.write(pa.table({"p": ["a b", "e%f"], "n": ["text", "more"], "day": [dt.date(2024, 1, 1)] * 2}))


CHANGES = {
    "replace": lambda table: write(table, "a b", 9),
    "empty": lambda table: write(table, "a b"),
    "append": lambda table: write(table, "a b", 9, mode="append"),
    "merge": merge,
    "rollback": lambda table: (write(table, "c/d", 9), roll_back_to_the_first(table)),
    "compaction": tidy,
    "a new column": lambda table: write(table, "a b", 5, later=["x"]),
    "another schema": change_schema,
}


@pytest.mark.parametrize("change", CHANGES)
def test_after_each_kind_of_commit_all_engines_read_the_same(
    change: str, table: Table, clickhouse: ClickHouse
) -> None:
    rows = pa.table({"p": ["a b", "a b", "c/d"], "n": [1, 2, 3]})
    Transaction(table, options=WriteOptions(partition_by=["p"])).write(rows)
    CHANGES[change](table)
    wanted = read(table)
    assert by_polars(table) == wanted
    assert clickhouse.read(table.uri) == wanted
    live = {file.removeprefix(f"{table.uri}/") for file in DeltaTable(table.uri).file_uris()}
    if change == "compaction":
        assert len(live) == len(parquet_files(table)) == 2
        assert ordered(hive_by_duckdb(table)) == ordered(wanted)


def test_deltas_void_keeps_clickhouse_from_the_whole_table_so_none_is_written(
    table: Table, clickhouse: ClickHouse
) -> None:
    write_deltalake(table.uri, pa.table({"n": [1], "v": pa.nulls(1)}))  # as other IO managers do
    rows = [{"n": 1, "v": None}]
    assert by_polars(table) == read(table) == rows
    assert hive_by_duckdb(table) == rows
    with pytest.raises(RuntimeError, match="Unsupported Delta table type: 'void'"):
        clickhouse.read(table.uri, "n")
    Transaction(table).write(pa.table({"n": [2], "v": ["x"]}))
    assert clickhouse.read(table.uri) == [{"n": 2, "v": "x"}]
