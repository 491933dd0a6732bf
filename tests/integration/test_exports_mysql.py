"""Exports to a real MariaDB: types, one transaction, its markers, and what goes wrong."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pymysql
import pytest

from practicus_assets.destinations.destination import Destination
from practicus_assets.destinations.export import Exported
from practicus_assets.destinations.systems import destination_of
from practicus_assets.errors import ExportConflict, ExportFailed, LossyValues, SchemaMismatch
from practicus_assets.lake.delta.table import Table
from practicus_assets.sources.mysql.system import MySQL
from tests.integration.exports import exported, filled, rows_of_each_type
from tests.kit import partitions, write
from tests.servers.mariadb import MariaDB


@pytest.fixture
def name(mariadb: MariaDB) -> str:
    database = f"d{uuid.uuid4().hex}"
    mariadb.create_database(database)
    return database


def destination(
    server: MariaDB, name: str, *, login: tuple[str, str] | None = None, wait_s: float = 60
) -> Destination:
    user, password = login or (server.user, server.password)
    system = MySQL(host=server.host, port=server.port, database=name, user=user, password=password)
    return destination_of(system, wait_s)


@pytest.fixture
def to(mariadb: MariaDB, name: str) -> Destination:
    return destination(mariadb, name)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table.at(tmp_path, ["orders"])


@pytest.fixture
def sql(mariadb: MariaDB, name: str) -> Any:
    return lambda statement: mariadb.execute(statement, database=name)


def test_each_type_arrives_exactly_in_the_table_that_is_made_for_it(
    to: Destination, table: Table, sql: Any
) -> None:
    rows = rows_of_each_type()
    filled(table, rows)
    assert exported(to, table, "orders", create=True).rows == 3
    names = ", ".join(f"`{name}`" for name in rows.column_names)
    found = sql(f"SELECT {names} FROM orders ORDER BY id")
    expected = [
        tuple(v.replace(tzinfo=None) if hasattr(v, "hour") else v for v in row.values())
        for row in rows.to_pylist()
    ]
    assert [tuple(row) for row in found] == expected
    types = dict(
        sql(
            "SELECT column_name, column_type FROM information_schema.columns WHERE table_name = 'orders' "
            "AND table_schema = database()"
        )
    )
    assert types == {
        "id": "bigint(20)", "flag": "tinyint(1)", "tiny": "tinyint(4)", "small": "smallint(6)",
        "middle": "int(11)", "large": "bigint(20)", "single": "float", "double": "double",
        "money": "decimal(18,2)", "wide": "decimal(38,10)", "text": "longtext", "blob": "longblob",
        "day": "date", "moment": "datetime(6)", "wall": "datetime(6)",
    }  # fmt: skip


def test_an_instant_is_the_same_in_a_timestamp_whatever_zone_the_server_has(
    to: Destination, table: Table, sql: Any
) -> None:
    sql("SET GLOBAL time_zone = '+05:30'")
    sql("CREATE TABLE orders (t timestamp(6) NULL, d datetime(6))")
    instant = pa.array([1_700_000_000_123_456], pa.timestamp("us", "UTC"))
    filled(table, pa.table({"t": instant, "d": instant}))
    try:
        exported(to, table, "orders")
    finally:
        sql("SET GLOBAL time_zone = 'SYSTEM'")
    assert sql("SELECT unix_timestamp(t), CAST(d AS char) FROM orders") == [
        (Decimal("1700000000.123456"), "2023-11-14 22:13:20.123456")
    ]


def test_nested_values_become_json(to: Destination, table: Table, sql: Any) -> None:
    filled(table, pa.table({"l": pa.array([["a'\\\"", None], None], pa.list_(pa.string()))}))
    exported(to, table, "orders", create=True)
    assert sql("SELECT json_value(l, '$[0]'), json_length(l) FROM orders ORDER BY l") == [
        (None, None),
        ("a'\\\"", 2),
    ]


@pytest.mark.parametrize(
    ("column", "values", "says"),
    [
        ("varchar(3)", pa.array(["abc "]), "longer than 3 characters"),
        ("tinytext", pa.array(["é" * 200]), "longer than 255 bytes"),
        ("text NOT NULL", pa.array(["a", None]), "nulls in 1 row"),
        ("double", pa.array([float("nan")]), "NaN or infinities"),
        ("double", pa.array([float("-inf")]), "NaN or infinities"),
        ("varbinary(2)", pa.array([b"abc"]), "longer than 2 bytes"),
        ("enum('a','b')", pa.array(["c"]), "refused values"),
        ("text character set latin1", pa.array(["😀"]), "refused values"),
        ("timestamp(6)", pa.array([2**31 * 10**6], pa.timestamp("us", "UTC")), "end in 2038"),
        ("date", pa.array([3_000_000], pa.int32()).cast(pa.date32()), "MySQL does not have"),
    ],
    ids=["long", "bytes", "null", "nan", "inf", "binary", "enum", "latin1", "stamp", "date"],
)
def test_values_that_the_target_cannot_hold_are_refused(
    to: Destination, table: Table, sql: Any, *, column: str, values: pa.Array, says: str
) -> None:
    sql(f"CREATE TABLE orders (c {column})")
    filled(table, pa.table({"c": values}))
    with pytest.raises(LossyValues, match=says) as raised:
        exported(to, table, "orders")
    assert raised.value.nothing_written
    assert sql("SELECT count(*) FROM orders") == [(0,)]


@pytest.mark.parametrize(
    ("column", "type_"),
    [
        ("int", pa.int64()),
        ("bigint unsigned", pa.int64()),
        ("decimal(10,2)", pa.decimal128(12, 2)),
        ("decimal(12,1)", pa.decimal128(12, 2)),
        ("float", pa.float64()),
        ("char(3)", pa.string()),
        ("varbinary(9)", pa.string()),
        ("datetime", pa.timestamp("us", "UTC")),
        ("timestamp(6)", pa.timestamp("us")),
        ("datetime(3)", pa.timestamp("us")),
        ("bit(1)", pa.bool_()),
    ],
    ids=str,
)
def test_a_narrower_or_other_type_is_refused_with_the_one_that_is_needed(
    to: Destination, table: Table, sql: Any, column: str, type_: pa.DataType
) -> None:
    sql(f"CREATE TABLE orders (c {column} NULL)")
    filled(table, pa.table({"c": pa.array([None], type_)}))
    with pytest.raises(SchemaMismatch, match=r"column 'c' is of type .* and .* in the table") as raised:
        exported(to, table, "orders")
    assert "Make it " in raised.value.advice


def test_a_target_that_is_missing_or_unlike_is_named_with_what_to_do(
    to: Destination, table: Table, sql: Any
) -> None:
    filled(table, pa.table({"a": [1], "b": ["x"]}))
    with pytest.raises(ExportFailed, match=r"no table .*create=True: CREATE TABLE .*`a` bigint"):
        exported(to, table, "orders")
    sql("CREATE TABLE m (a bigint, b text) ENGINE=MyISAM")
    with pytest.raises(ExportFailed, match=r"of the engine MyISAM.*ENGINE=InnoDB"):
        exported(to, table, "m")
    sql("CREATE VIEW v AS SELECT 1 AS a, 'x' AS b")
    with pytest.raises(ExportFailed, match="is a view"):
        exported(to, table, "v")
    sql("CREATE TABLE needs (a bigint, b text, c int NOT NULL)")
    with pytest.raises(SchemaMismatch, match="needs the column 'c'"):
        exported(to, table, "needs")
    sql(
        "CREATE TABLE fills (x int DEFAULT 7, a bigint, i int AUTO_INCREMENT PRIMARY KEY, "
        "g int AS (a + 1), b text)"
    )
    exported(to, table, "fills")
    assert sql("SELECT * FROM fills") == [(7, 1, 1, 2, "x")]


def test_a_scope_replaces_its_rows_alone_whatever_the_collation_takes_for_equal(
    to: Destination, table: Table, sql: Any
) -> None:
    sql("CREATE TABLE orders (p varchar(20) COLLATE utf8mb4_general_ci, n bigint)")
    for number, key in enumerate(["a", "A", "a ", "ä"]):
        write(table, key, number)
        assert exported(to, table, "orders", partitions(key)).outcome == "exported"
    write(table, "a", 9)
    assert exported(to, table, "orders", partitions("a")).outcome == "exported"
    assert exported(to, table, "orders", partitions("a")).outcome == "already there"
    assert sql("SELECT p, n FROM orders ORDER BY n") == [("A", 1), ("a ", 2), ("ä", 3), ("a", 9)]


def test_a_whole_table_and_its_partitions_keep_the_order_of_versions(
    to: Destination, table: Table, sql: Any
) -> None:
    write(table, "a", 1)
    write(table, "b", 2)
    exported(to, table, "orders", create=True)
    write(table, "a", 3)
    exported(to, table, "orders", partitions("a"))
    with pytest.raises(ExportConflict, match=r"version 2 of the table already.*exports version 1"):
        exported(to, table, "orders", version=1)  # a zombie
    assert exported(to, table, "orders").outcome == "exported"
    assert exported(to, table, "orders").outcome == "already there"
    assert sql("SELECT p, n FROM orders ORDER BY n") == [("b", 2), ("a", 3)]


@pytest.mark.parametrize("statement", ["DELETE FROM orders WHERE p = 'a'", "DROP TABLE orders"])
def test_rows_that_somebody_deleted_are_written_again(
    to: Destination, table: Table, sql: Any, statement: str
) -> None:
    write(table, "a", 1, 2)
    exported(to, table, "orders", partitions("a"), create=True)
    sql(statement)
    assert exported(to, table, "orders", partitions("a"), create=True) == Exported("exported", 2)
    assert exported(to, table, "orders", partitions("a")).outcome == "already there"
    assert [tuple(row) for row in sql("SELECT n FROM orders ORDER BY n")] == [(1,), (2,)]


def test_a_partition_that_is_there_keeps_its_own_version_beside_a_newer_one(
    to: Destination, table: Table, sql: Any
) -> None:
    write(table, "a", 1)
    write(table, "b", 2)
    both = partitions("a", "b")
    exported(to, table, "orders", both, create=True)
    write(table, "b", 3)
    write(table, "a", 4)
    write(table, "a", 1)  # the same rows as in the first version
    exported(to, table, "orders", partitions("a"))
    exported(to, table, "orders", both, version=1)  # a zombie, whose rows are there
    assert exported(to, table, "orders", partitions("b"), version=2).outcome == "exported"


def test_hostile_names_and_keys_are_names_and_keys(to: Destination, table: Table, sql: Any) -> None:
    key = "it's; DROP TABLE x --\\ %s"
    column = "c`; DROP TABLE x; -- %s %%"
    write(table, key, 1, **{column: pa.array(["x"])})
    write(table, "other", 2, **{column: pa.array(["y'\\"])})
    target = "ta`ble %s '; DROP"
    for keys in ([key], ["other"], [key, "other"]):
        exported(to, table, target, partitions(*keys), create=True)
    assert sql("SELECT p, n FROM `ta``ble %s '; DROP` ORDER BY n") == [(key, 1), ("other", 2)]


def test_statements_are_as_short_as_the_server_wants_them(to: Destination, table: Table, sql: Any) -> None:
    rows = 30_000
    filled(table, pa.table({"n": range(rows), "s": ["x" * 100] * (rows - 1) + ["y" * 5_000_000]}))
    exported(to, table, "orders", create=True)
    assert sql("SELECT count(*), sum(n), max(length(s)) FROM orders") == [
        (rows, rows * (rows - 1) // 2, 5_000_000)
    ]
    filled(table, pa.table({"n": [1], "s": ["y" * 17_000_000]}))
    with pytest.raises(LossyValues, match="max_allowed_packet"):
        exported(to, table, "orders")
    assert sql("SELECT count(*) FROM orders") == [(rows,)]


def test_a_wrong_password_and_missing_rights_are_said_without_a_secret(
    mariadb: MariaDB, name: str, table: Table, sql: Any
) -> None:
    filled(table, pa.table({"n": [1]}))
    with pytest.raises(ExportFailed, match="Access denied") as raised:
        exported(destination(mariadb, name, login=("tests", "wr0ng-secret")), table, "orders")
    assert "wr0ng" not in str(raised.value)
    user = f"u{uuid.uuid4().hex[:8]}"
    sql(f"CREATE USER {user}@'%' IDENTIFIED BY 'pw'")
    sql(f"GRANT SELECT ON `{name}`.* TO {user}@'%'")
    with pytest.raises(ExportFailed, match=r"CREATE command denied.*Grant the user"):
        exported(destination(mariadb, name, login=(user, "pw")), table, "orders")
    assert mariadb.execute("SHOW TABLES", database=name) == []


def test_a_broken_constraint_is_named_without_the_values_of_the_row(
    to: Destination, table: Table, sql: Any
) -> None:
    sql("CREATE TABLE orders (n varchar(20) PRIMARY KEY)")
    filled(table, pa.table({"n": ["secret", "secret"]}))
    with pytest.raises(ExportFailed, match="twice for the key 'PRIMARY'") as raised:
        exported(to, table, "orders")
    assert "secret" not in str(raised.value)
    assert sql("SELECT count(*) FROM orders") == [(0,)]


def test_of_sixteen_exports_at_once_one_writes_and_the_others_find_it_there(
    to: Destination, table: Table, sql: Any
) -> None:
    write(table, "a", *range(100))
    with ThreadPoolExecutor(16) as pool:
        ended = list(
            pool.map(lambda to: exported(to, table, "orders", partitions("a"), create=True), [to] * 16)
        )
    assert sorted(e.outcome for e in ended) == ["already there"] * 15 + ["exported"]
    assert sql("SELECT count(*) FROM orders") == [(100,)]


def test_who_waits_too_long_for_another_export_is_told(
    to: Destination, mariadb: MariaDB, name: str, table: Table
) -> None:
    write(table, "a", 1)
    exported(to, table, "orders", create=True)
    write(table, "a", 2)
    holder = pymysql.connect(
        host=mariadb.host,
        port=mariadb.port,
        user=mariadb.user,
        password=mariadb.password,
        database=name,
    )
    with holder, holder.cursor() as cursor:
        cursor.execute("SELECT * FROM practicus_exports FOR UPDATE")
        with pytest.raises(ExportConflict, match="did not end in time"):
            exported(destination(mariadb, name, wait_s=1), table, "orders")
        holder.rollback()
    assert exported(to, table, "orders").outcome == "exported"
