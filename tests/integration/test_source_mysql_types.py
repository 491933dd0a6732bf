"""Types of MySQL: what is stored there is what is read, or it is refused by name."""

import datetime as dt
import math
import struct
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from practicus_assets.errors import DataRefused, DeclarationError, SchemaMismatch
from practicus_assets.lake.partitions.scope import Key, Scope
from tests.servers.mariadb import MariaDB
from tests.servers.mariadb_shop import Shop, read

UTC = dt.UTC
INT64, UINT64 = 2**63, 2**64

# the type there, the type here, and values as a statement writes them with what they are here
MATRIX: list[tuple[str, pa.DataType, list[tuple[str, Any]]]] = [
    ("tinyint", pa.int8(), [("-128", -128), ("127", 127)]),
    ("tinyint unsigned", pa.int16(), [("255", 255)]),
    ("tinyint(1)", pa.bool_(), [("0", False), ("1", True)]),
    ("boolean", pa.bool_(), [("true", True)]),
    ("smallint", pa.int16(), [("-32768", -32768)]),
    ("smallint unsigned", pa.int32(), [("65535", 65535)]),
    ("mediumint", pa.int32(), [("-8388608", -8388608)]),
    ("mediumint unsigned", pa.int32(), [("16777215", 16777215)]),
    ("int", pa.int32(), [("-2147483648", -2147483648)]),
    ("int unsigned zerofill", pa.int64(), [("4294967295", 4294967295)]),
    ("bigint", pa.int64(), [(str(-INT64), -INT64), (str(INT64 - 1), INT64 - 1)]),
    ("bigint unsigned", pa.decimal128(20, 0), [(str(UINT64 - 1), Decimal(UINT64 - 1)), ("0", Decimal(0))]),
    (
        "decimal(38,10)",
        pa.decimal128(38, 10),
        [(x := "-1234567890123456789012345678.0123456789", Decimal(x))],
    ),
    ("decimal(5,0) unsigned", pa.decimal128(5, 0), [("99999", Decimal(99999))]),
    ("decimal(3,3)", pa.decimal128(3, 3), [("-0.999", Decimal("-0.999"))]),
    (
        "float",
        pa.float32(),
        [("16777217", 16777216.0), ("0.1", struct.unpack("f", struct.pack("f", 0.1))[0])],
    ),
    ("double", pa.float64(), [("0.1e0", 0.1), ("1.7976931348623157e308", 1.7976931348623157e308)]),
    ("double unsigned", pa.float64(), [("5e-324", 5e-324)]),
    ("bit", pa.bool_(), [("b'0'", False), ("b'1'", True)]),
    ("bit(9)", pa.int64(), [("b'100000001'", 257)]),
    ("bit(64)", pa.decimal128(20, 0), [(str(UINT64 - 1), Decimal(UINT64 - 1))]),
    ("year", pa.int16(), [("0000", 0), ("1901", 1901), ("2155", 2155)]),
    ("date", pa.date32(), [("'1000-01-01'", dt.date(1000, 1, 1)), ("'9999-12-31'", dt.date(9999, 12, 31))]),
    ("date", pa.date32(), [("'2000-02-29'", dt.date(2000, 2, 29)), ("'1900-03-01'", dt.date(1900, 3, 1))]),
    (
        "datetime",
        pa.timestamp("us"),
        [("'2026-01-06 10:11:12'", dt.datetime.fromisoformat("2026-01-06 10:11:12"))],
    ),
    (
        "datetime(3)",
        pa.timestamp("us"),
        [("'0001-01-01 00:00:00.125'", dt.datetime.fromisoformat("0001-01-01 00:00:00.125"))],
    ),
    (
        "datetime(6)",
        pa.timestamp("us"),
        [
            (f"'{x}'", dt.datetime.fromisoformat(x))
            for x in (
                "1969-12-31 23:59:59.999999",
                "9999-12-31 23:59:59.999999",
                "2026-01-06 00:00:00",
            )
        ],
    ),
    (
        "timestamp(6) null",
        pa.timestamp("us", "UTC"),
        [
            ("'2026-03-29 01:30:00.000001'", dt.datetime(2026, 3, 29, 1, 30, 0, 1, UTC)),
        ],
    ),
    ("char(5)", pa.string(), [("'a'", "a"), ("''", "")]),
    (
        "varchar(300)",
        pa.string(),
        [(f"'{'x' * 300}'", "x" * 300), ("'a '", "a "), ("'😀é\\n\\0'", "😀é\n\0")],
    ),
    ("varchar(20) character set latin1", pa.string(), [("'Zürich €'", "Zürich €")]),
    ("varchar(20) character set ucs2", pa.string(), [("'Ω'", "Ω")]),
    ("varchar(20) collate utf8mb4_bin", pa.string(), [("'A'", "A")]),
    ("tinytext", pa.string(), [("'t'", "t")]),
    ("text", pa.string(), [("repeat('é', 30000)", "é" * 30000)]),
    ("longtext", pa.string(), [("repeat('l', 70000)", "l" * 70000)]),
    ("binary(3)", pa.binary(), [("x'00ff'", b"\x00\xff\x00")]),
    ("varbinary(9)", pa.binary(), [("x'ff00'", b"\xff\x00"), ("''", b"")]),
    ("longblob", pa.binary(), [("repeat(x'00', 300)", bytes(300))]),
    ("enum('a','b c')", pa.string(), [("'b c'", "b c")]),
    ("set('a','b')", pa.string(), [("'a,b'", "a,b"), ("''", "")]),
    ("json", pa.string(), [("'{\"a\": [1, null]}'", '{"a": [1, null]}')]),
    ("uuid", pa.string(), [(f"'{x}'", x) for x in ("123e4567-e89b-12d3-a456-426655440000",)]),
    ("inet6", pa.string(), [("'2001:db8::ff00:42:8329'", "2001:db8::ff00:42:8329")]),
    ("inet4", pa.string(), [("'192.0.2.1'", "192.0.2.1")]),
]


@pytest.fixture(scope="module")
def shop(mariadb: MariaDB) -> Iterator[Shop]:
    mariadb.create_database("types")
    yield Shop(mariadb, "types")
    mariadb.execute("DROP DATABASE types")


@pytest.fixture
def table(shop: Shop) -> Iterator[str]:
    yield "t"
    shop.run("DROP TABLE IF EXISTS t")


def test_every_type_is_read_exactly_and_the_same_without_rows(shop: Shop, table: str) -> None:
    columns = ", ".join(f"c{i} {native}" for i, (native, _, _) in enumerate(MATRIX))
    shop.run(f"CREATE TABLE t (id int, {columns}) CHARACTER SET utf8mb4")
    empty = read(shop.system().table("t"))
    for row in range(4):  # the last one is null in all columns
        values = ", ".join(v[row][0] if row < len(v) else "NULL" for _, _, v in MATRIX)
        shop.run(f"INSERT INTO t VALUES ({row}, {values})")
    rows = read(shop.system().query("SELECT * FROM t ORDER BY id"))
    assert rows.schema == empty.schema == read(shop.system().table("t")).schema
    assert [f.type for f in rows.schema] == [pa.int32(), *(type_ for _, type_, _ in MATRIX)]
    for i, (native, _, values) in enumerate(MATRIX):
        expected = [values[row][1] if row < len(values) else None for row in range(4)]
        assert (native, rows[f"c{i}"].to_pylist()) == (native, expected)


def test_floating_point_numbers_keep_every_bit(shop: Shop, table: str) -> None:
    random = np.random.default_rng(7)
    singles = random.integers(0, 2**31, 500, np.uint32).view(np.float32)
    doubles = random.integers(0, 2**63, 500, np.uint64).view(np.float64)
    pairs = [
        (i, float(f), float(d))
        for i, (f, d) in enumerate(zip(singles, doubles, strict=True))
        if math.isfinite(f) and math.isfinite(d) and abs(f) > 1e-37 and d > 1e-300
    ]
    shop.run("CREATE TABLE t (id int, f float, d double)")
    shop.run("INSERT INTO t VALUES " + ", ".join(f"({i}, {f:.17e}, {d:.17e})" for i, f, d in pairs))
    rows = read(shop.system().query("SELECT * FROM t ORDER BY id"))
    assert rows["f"].to_pylist() == [f for _, f, _ in pairs]
    assert rows["d"].to_pylist() == [d for _, _, d in pairs]


def test_what_a_query_computes_has_the_types_of_the_server(shop: Shop, table: str) -> None:
    shop.run("CREATE TABLE t (i int, u bigint unsigned, d decimal(10,2), s varchar(9), at timestamp null)")
    query = (
        "SELECT sum(i) a, avg(d) b, count(*) c, i = 1 d, concat(s, i) e, max(at) f, u + 1 g, "
        "NULLIF(i, i) h FROM t"
    )
    expected = [pa.decimal128(32, 0), pa.decimal128(14, 6), pa.int64(), pa.int32(), pa.string()]
    expected += [pa.timestamp("us", "UTC"), pa.decimal128(20, 0), pa.int32()]
    empty = read(shop.system().query(query))
    assert empty.schema.types == expected
    shop.run("INSERT INTO t VALUES (1, 2, 3.5, 'x', '2026-01-06 10:00:00'), (2, 2, 3.5, 'y', NULL)")
    rows = read(shop.system().query(query))
    assert rows.schema == empty.schema
    assert rows.drop_columns(["d"]).to_pylist()[0] | {"h": None} == {
        "a": Decimal(3),
        "b": Decimal("3.500000"),
        "c": 2,
        "e": rows["e"][0].as_py(),
        "f": dt.datetime(2026, 1, 6, 10, tzinfo=UTC),
        "g": Decimal(3),
        "h": None,
    }


@pytest.mark.parametrize(
    ("native", "advice"),
    [
        ("time(6)", '"string"'),
        ("decimal(65,30)", 'columns={"c": "decimal(38,30)"}'),
        ("point", "ST_AsBinary"),
    ],
)
def test_types_that_delta_lake_has_not_are_refused_by_name(
    shop: Shop, table: str, native: str, advice: str
) -> None:
    shop.run(f"CREATE TABLE t (id int, c {native})")
    with shop.system().session() as session, pytest.raises(SchemaMismatch, match="column 'c' is") as refused:
        shop.system().table("t").schema(session)
    assert advice in str(refused.value)


def test_types_that_delta_lake_has_not_are_read_as_text_where_they_are_declared(
    shop: Shop, table: str
) -> None:
    shop.run("CREATE TABLE t (t time(3), d decimal(65,30), e decimal(50,2), n int)")
    shop.run("INSERT INTO t VALUES ('-838:59:59.5', 1.5, -12.25, 7)")
    columns: dict[str, pa.DataType | str] = {"t": "string", "d": "string", "e": "decimal(10,2)"}
    relation = shop.system().table("t", columns)
    assert read(relation).to_pylist() == [
        {"t": "-838:59:59.500", "d": "1.500000000000000000000000000000", "e": Decimal("-12.25"), "n": 7}
    ]
    with relation.system.session() as session:
        assert relation.schema(session) == read(relation).schema
    shop.run("INSERT INTO t VALUES (NULL, NULL, 123456789012.25, 7)")
    with pytest.raises(DataRefused, match=r"column 'e' is decimal\(50,2\)"):
        read(relation)


def test_a_declared_column_that_is_not_there_is_refused(shop: Shop, table: str) -> None:
    shop.run("CREATE TABLE t (amount int)")
    with pytest.raises(DeclarationError, match="Did you mean amount"):
        read(shop.system().table("t", {"amout": "int64"}))


def test_dates_that_no_calendar_has_are_refused_or_null(shop: Shop, table: str) -> None:
    shop.run("CREATE TABLE t (id int, d date, a datetime, s timestamp NOT NULL DEFAULT 0)")
    allow = "SET STATEMENT sql_mode = 'ALLOW_INVALID_DATES' FOR "
    shop.run(
        f"{allow} INSERT INTO t VALUES (1, '2026-01-06', '2026-01-06', '2026-01-06 00:00:00'), "
        "(2, '0000-00-00', '2026-02-30 10:00', 0), (3, '2026-00-10', '0000-00-00', 0), (4, NULL, NULL, 0), "
        "(5, '2024-02-29', '2026-04-31', '2026-01-06 00:00:00')"
    )
    for column, first in {"d": "0000-00-00", "a": "2026-02-30", "s": "0000-00-00"}.items():
        relation = shop.system().query(f"SELECT {column} FROM t ORDER BY id")
        with pytest.raises(DataRefused, match=f"column '{column}' has dates that no calendar has") as refused:
            read(relation)
        assert f"row 1: {first}" in refused.value.sample
        assert "zero_dates" in str(refused.value)
    rows = read(shop.system().query("SELECT d, a, s FROM t ORDER BY id", zero_dates="null"))
    day = dt.date(2026, 1, 6)
    at = dt.datetime.fromisoformat("2026-01-06")
    assert rows["d"].to_pylist() == [day, None, None, None, dt.date(2024, 2, 29)]
    assert rows["a"].to_pylist() == [at, None, None, None, None]
    assert rows["s"].to_pylist() == [at.replace(tzinfo=UTC), None, None, None, at.replace(tzinfo=UTC)]


def test_a_tinyint_of_one_digit_is_a_boolean_unless_it_is_declared_a_number(shop: Shop, table: str) -> None:
    shop.run("CREATE TABLE t (flag tinyint(1))", "INSERT INTO t VALUES (0), (1), (NULL)")
    assert read(shop.system().table("t")).schema.types == [pa.bool_()]
    shop.run("INSERT INTO t VALUES (7)")
    with pytest.raises(DataRefused, match=r'columns=\{"flag": "int8"\}') as refused:
        read(shop.system().table("t"))
    assert "row 3: 7" in refused.value.sample
    assert read(shop.system().table("t", {"flag": pa.int8()}))["flag"].to_pylist() == [0, 1, None, 7]
    assert read(shop.system().table("t").typed({"flag": pa.int64()}))["flag"].to_pylist() == [0, 1, None, 7]


def test_a_query_has_the_same_types_as_a_whole_and_in_parts(shop: Shop, table: str) -> None:
    shop.run(
        "CREATE TABLE t (day int, flag tinyint(1), n bigint)", "INSERT INTO t VALUES (1, 1, 2), (2, 0, 3)"
    )
    query = shop.system().query(
        "SELECT day, MAX(flag) AS most, SUM(n) AS n, day = 1 AS first FROM t GROUP BY day"
    )
    query = query.typed({"n": pa.decimal128(20, 0)})
    whole = read(query)
    part = read(query, Scope(("day",), ((Key("1"),), (Key("2"),))), whole.column_names)
    assert part.schema == whole.schema
    assert part.sort_by("day") == whole.sort_by("day")


def test_generated_columns_are_read_and_invisible_ones_only_by_a_query(shop: Shop, table: str) -> None:
    shop.run(
        "CREATE TABLE t (n int, twice int AS (n * 2) VIRTUAL, thrice int AS (n * 3) STORED, "
        "hidden int INVISIBLE DEFAULT 5)",
        "INSERT INTO t (n) VALUES (2)",
    )
    assert read(shop.system().table("t")).to_pylist() == [{"n": 2, "twice": 4, "thrice": 6}]
    assert read(shop.system().query("SELECT hidden FROM t")).to_pylist() == [{"hidden": 5}]


def test_two_columns_of_one_name_are_refused(shop: Shop) -> None:
    with pytest.raises(SchemaMismatch, match="more than one column 'a'"):
        read(shop.system().query("SELECT 1 AS a, 2 AS A"))


def test_a_column_of_nulls_alone_is_refused(shop: Shop) -> None:
    with pytest.raises(SchemaMismatch, match="column 'a' holds only nulls"):
        read(shop.system().query("SELECT NULL AS a"))
