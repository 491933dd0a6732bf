"""Exports to a real PostgreSQL: types, one transaction, its markers, and what goes wrong."""

import datetime as dt
import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
import pytest

from practicus_assets.destinations.destination import Destination
from practicus_assets.destinations.export import Exported
from practicus_assets.destinations.systems import destination_of
from practicus_assets.errors import (
    DeclarationError,
    ExportConflict,
    ExportFailed,
    LossyValues,
    PracticusAssetsError,
    SchemaMismatch,
)
from practicus_assets.lake.delta.table import Table
from practicus_assets.sources.postgresql.system import PostgreSQL
from tests.integration.exports import exported, filled, rows_of_each_type
from tests.kit import partitions, write
from tests.servers.postgresql import PostgreSQL as Server


@pytest.fixture(scope="module")
def database(postgresql: Server) -> str:
    name = f"exports_{uuid.uuid4().hex}"
    postgresql.create_database(name)
    return name


@pytest.fixture
def name(postgresql: Server, database: str) -> str:
    postgresql.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public", database)
    return database


def destination(
    server: Server, name: str, *, login: tuple[str, str] | None = None, wait_s: float = 60
) -> Destination:
    user, password = login or (server.user, server.password)
    system = PostgreSQL(host=server.host, port=server.port, database=name, user=user, password=password)
    return destination_of(system, wait_s)


@pytest.fixture
def to(postgresql: Server, name: str) -> Destination:
    return destination(postgresql, name)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table.at(tmp_path, ["orders"])


@pytest.fixture
def sql(postgresql: Server, name: str) -> Any:
    return lambda statement: postgresql.execute(statement, name)


def test_each_type_arrives_exactly_in_the_table_that_is_made_for_it(
    to: Destination, table: Table, sql: Any
) -> None:
    rows = rows_of_each_type()
    filled(table, rows)
    assert exported(to, table, "public.orders", create=True).rows == 3
    names = ", ".join(rows.column_names)
    found = sql(f"SELECT {names} FROM orders ORDER BY id")
    plain = [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in found]
    assert plain == [tuple(row.values()) for row in rows.to_pylist()]
    types = dict(
        sql(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = 'orders'::regclass AND attnum > 0"
        )
    )
    assert types == {
        "id": "bigint",
        "flag": "boolean",
        "tiny": "smallint",
        "small": "smallint",
        "middle": "integer",
        "large": "bigint",
        "single": "real",
        "double": "double precision",
        "money": "numeric(18,2)",
        "wide": "numeric(38,10)",
        "text": "text",
        "blob": "bytea",
        "day": "date",
        "moment": "timestamp with time zone",
        "wall": "timestamp without time zone",
    }


def test_nan_and_infinities_stay_what_they_are(to: Destination, table: Table, sql: Any) -> None:
    filled(table, pa.table({"x": [float("nan"), float("inf"), float("-inf")]}))
    exported(to, table, "orders", create=True)
    assert sql("SELECT x::text FROM orders ORDER BY x") == [("-Infinity",), ("Infinity",), ("NaN",)]


def test_nested_values_become_jsonb_with_every_digit(to: Destination, table: Table, sql: Any) -> None:
    rows = pa.table(
        {
            "list": pa.array([[1, None, 2**60], None], pa.list_(pa.int64())),
            "pair": pa.array(
                [{"a": Decimal("0.10"), "b": 'x"y'}, {"a": None, "b": None}],
                pa.struct([("a", pa.decimal128(20, 2)), ("b", pa.string())]),
            ),
            "map": pa.array([[("k", dt.date(2024, 1, 1))], []], pa.map_(pa.string(), pa.date32())),
        }
    )
    filled(table, rows)
    exported(to, table, "orders", create=True)
    assert sql("SELECT list::text, pair::text, map::text FROM orders ORDER BY list") == [
        ("[1, null, 1152921504606846976]", '{"a": 0.10, "b": "x\\"y"}', '{"k": "2024-01-01"}'),
        (None, '{"a": null, "b": null}', "{}"),
    ]


def test_texts_become_uuids_enums_json_and_short_texts_where_the_target_has_them(
    to: Destination, table: Table, sql: Any
) -> None:
    sql("CREATE TYPE mood AS ENUM ('ok', 'sad')")
    sql("CREATE DOMAIN code AS varchar(3)")
    sql("CREATE TABLE orders (u uuid, m mood, j jsonb, k json, c code, v varchar(4), n numeric, b bigint)")
    one = "12345678-1234-5678-1234-567812345678"
    rows = {"u": [one], "m": ["sad"], "j": ['{"a": 1}'], "k": ["[2]"], "c": ["äöü"], "v": ["😀234"]}
    numbers = {"n": pa.array([7], pa.int32()), "b": pa.array([8], pa.int16())}
    filled(table, pa.table({**rows, **numbers}))
    exported(to, table, "orders")
    assert sql("SELECT u::text, m::text, j, k, c, v, n, b FROM orders") == [
        (one, "sad", {"a": 1}, [2], "äöü", "😀234", 7, 8)
    ]


@pytest.mark.parametrize(
    ("column", "values", "says"),
    [
        ("text", pa.array(["a\0b"]), "the character"),
        ("varchar(3)", pa.array(["abcd"]), "longer than 3"),
        ("text NOT NULL", pa.array(["a", None]), "nulls in 1 row"),
        ("uuid", pa.array(["no"]), "no UUIDs"),
        ("jsonb", pa.array(["{"]), "invalid input syntax for type json"),
        ("date", pa.array([2**31 - 1], pa.int32()).cast(pa.date32()), "dates that PostgreSQL does not have"),
        ("jsonb", pa.array([[float("nan")]]), "JSON cannot"),
    ],
    ids=["nul", "long", "null", "uuid", "json", "date", "nan"],
)
def test_values_that_the_target_cannot_hold_are_refused_by_name(
    to: Destination, table: Table, sql: Any, *, column: str, values: pa.Array, says: str
) -> None:
    sql(f"CREATE TABLE orders (c {column})")
    filled(table, pa.table({"c": values}))
    with pytest.raises(LossyValues, match=says) as raised:
        exported(to, table, "orders")
    assert re.search(r"'c'|'c\[\]'|invalid input", str(raised.value))
    assert raised.value.nothing_written
    assert sql("SELECT count(*) FROM orders") == [(0,)]


@pytest.mark.parametrize(
    ("column", "type_"),
    [
        ("integer", pa.int64()),
        ("numeric(10,2)", pa.int64()),
        ("numeric(10,2)", pa.decimal128(12, 2)),
        ("numeric(12,1)", pa.decimal128(12, 2)),
        ("real", pa.float64()),
        ("double precision", pa.int64()),
        ("text", pa.int64()),
        ("char(3)", pa.string()),
        ("timestamp", pa.timestamp("us", "UTC")),
        ("timestamptz", pa.timestamp("us")),
        ("timestamptz(3)", pa.timestamp("us", "UTC")),
        ("bigint[]", pa.list_(pa.int64())),
        ("interval", pa.int64()),
    ],
    ids=str,
)
def test_a_narrower_or_other_type_is_refused_with_the_one_that_is_needed(
    to: Destination, table: Table, sql: Any, column: str, type_: pa.DataType
) -> None:
    sql(f"CREATE TABLE orders (c {column})")
    filled(table, pa.table({"c": pa.array([None], type_)}))
    with pytest.raises(
        SchemaMismatch, match=r"column 'c' is of type .* in orders, and .* in the table"
    ) as raised:
        exported(to, table, "orders")
    assert "Make it " in raised.value.advice


def test_a_target_that_is_missing_or_unlike_is_named_with_what_to_do(
    to: Destination, table: Table, sql: Any
) -> None:
    filled(table, pa.table({"a": [1], "b": ["x"]}))
    with pytest.raises(
        ExportFailed, match=r'no table "public"."orders".*create=True: CREATE TABLE .*"a" bigint'
    ):
        exported(to, table, "orders")
    sql("CREATE TABLE orders (a bigint, bb text)")
    with pytest.raises(SchemaMismatch, match=r"has no column 'b'.*Did you mean bb"):
        exported(to, table, "orders")
    sql("CREATE VIEW v AS SELECT 1::bigint AS a, 'x' AS b")
    with pytest.raises(ExportFailed, match="is a view"):
        exported(to, table, "v")
    sql("CREATE TABLE needs (a bigint, b text, c int NOT NULL)")
    with pytest.raises(SchemaMismatch, match="needs the column 'c'"):
        exported(to, table, "needs")
    with pytest.raises(ExportFailed, match="nowhere"):
        exported(to, table, "nowhere.orders", create=True)


def test_columns_of_the_target_alone_get_their_defaults(to: Destination, table: Table, sql: Any) -> None:
    sql(
        "CREATE TABLE orders (x int DEFAULT 7, amount bigint, id bigint GENERATED ALWAYS AS IDENTITY, y text)"
    )
    filled(table, pa.table({"a": [5], "b": ["x"]}))
    exported(to, table, "orders", columns={"a": "amount"})
    assert sql("SELECT * FROM orders") == [(7, 5, 1, None)]


def test_a_scope_replaces_its_rows_alone_and_is_not_written_twice(
    to: Destination, table: Table, sql: Any
) -> None:
    write(table, "a", 1, 2)
    write(table, "b", 3)
    assert exported(to, table, "orders", partitions("a"), create=True).outcome == "exported"
    assert exported(to, table, "orders", partitions("b")).outcome == "exported"
    place = sql("SELECT min(xmin::text) FROM orders WHERE p = 'a'")
    assert exported(to, table, "orders", partitions("a")).outcome == "already there"
    assert sql("SELECT min(xmin::text) FROM orders WHERE p = 'a'") == place
    write(table, "a", 9)
    assert exported(to, table, "orders", partitions("a")) == Exported("exported", 1)
    assert sql("SELECT p, n FROM orders ORDER BY n") == [("b", 3), ("a", 9)]


def test_rows_that_were_only_stored_anew_are_there_already(to: Destination, table: Table, sql: Any) -> None:
    write(table, "a", 1)
    exported(to, table, "orders", partitions("a"), create=True)
    write(table, "a", 2)
    write(table, "a", 1)
    assert exported(to, table, "orders", partitions("a")).outcome == "already there"
    assert sql("SELECT version FROM practicus_exports") == [(2,)]
    with pytest.raises(ExportConflict):
        exported(to, table, "orders", partitions("a"), version=1)


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
    with pytest.raises(ExportConflict, match="version 2"):
        exported(to, table, "orders", partitions("a"), version=1)
    assert sql("SELECT p, n FROM orders ORDER BY n") == [("b", 2), ("a", 3)]


def test_rows_of_another_table_are_not_replaced(to: Destination, tmp_path: Path, sql: Any) -> None:
    mine, other = Table.at(tmp_path, ["mine"]), Table.at(tmp_path, ["other"])
    filled(mine, pa.table({"n": [1]}))
    filled(other, pa.table({"n": [2]}))
    exported(to, mine, "orders", create=True)
    with pytest.raises(ExportConflict, match="rows of another table: mine"):
        exported(to, other, "orders")
    assert sql("SELECT n FROM orders") == [(1,)]


def test_rows_that_others_add_to_the_scope_or_drop_are_found_by_their_count(
    to: Destination, table: Table, sql: Any
) -> None:
    filled(table, pa.table({"n": [1, 2, 3]}))
    sql("CREATE TABLE orders (n bigint)")
    sql(
        "CREATE FUNCTION drop_two() RETURNS trigger AS $$ BEGIN IF NEW.n = 2 THEN RETURN NULL; END IF; "
        "RETURN NEW; END $$ LANGUAGE plpgsql"
    )
    sql("CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION drop_two()")
    with pytest.raises(ExportFailed, match=r"3 rows of the scope were sent, and 2 rows are there.*written"):
        exported(to, table, "orders")
    assert sql("SELECT count(*) FROM orders") == [(0,)]


def test_a_broken_constraint_is_named_without_the_values_of_the_row(
    to: Destination, table: Table, sql: Any
) -> None:
    sql("CREATE TABLE orders (n bigint PRIMARY KEY, s text)")
    filled(table, pa.table({"n": [1, 1], "s": ["secret-1", "secret-2"]}))
    with pytest.raises(ExportFailed, match='violates unique constraint "orders_pkey"') as raised:
        exported(to, table, "orders")
    assert "secret" not in str(raised.value)


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
    sql('DROP SCHEMA IF EXISTS "we""ird; DROP" CASCADE; CREATE SCHEMA "we""ird; DROP"')
    key = "it's; DROP TABLE x --\\"
    column = 'c"; DROP TABLE x; --'
    write(table, key, 1, **{column: pa.array(["x"])})
    write(table, "other", 2, **{column: pa.array(["y"])})
    target = 'we"ird; DROP.ta"ble $1 %s'
    for keys in ([key], ["other"], [key, "other"]):
        exported(to, table, target, partitions(*keys), create=True)
    assert sql('SELECT p, n FROM "we""ird; DROP"."ta""ble $1 %s" ORDER BY n') == [(key, 1), ("other", 2)]


def test_a_wrong_password_and_missing_rights_are_said_without_a_secret(
    postgresql: Server, name: str, table: Table, sql: Any
) -> None:
    filled(table, pa.table({"n": [1]}))
    with pytest.raises(ExportFailed, match="password authentication failed") as raised:
        exported(destination(postgresql, name, login=("tests", "wr0ng-secret")), table, "orders")
    assert "wr0ng" not in str(raised.value)
    assert raised.value.nothing_written
    user = f"u{uuid.uuid4().hex[:8]}"
    sql(f"CREATE USER {user} PASSWORD 'pw'")
    sql("CREATE TABLE orders (n bigint)")
    poor = destination(postgresql, name, login=(user, "pw"))
    with pytest.raises(ExportFailed, match=r"may not create .*run there: CREATE TABLE .*practicus_exports"):
        exported(poor, table, "orders")
    sql(f"GRANT USAGE, CREATE ON SCHEMA public TO {user}")
    with pytest.raises(ExportFailed, match=r"may not SELECT and INSERT and DELETE.*GRANT SELECT, INSERT"):
        exported(poor, table, "orders")
    sql(f"GRANT SELECT, INSERT, DELETE ON orders TO {user}")
    assert exported(poor, table, "orders").rows == 1


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


def test_of_sixteen_versions_at_once_the_newest_stays(to: Destination, table: Table, sql: Any) -> None:
    for n in range(16):
        write(table, "a", n)

    def one(version: int) -> str:
        scope = partitions("a") if version % 2 else None
        try:
            return exported(to, table, "orders", scope, version=version, create=True).outcome
        except ExportConflict as error:
            return type(error).__name__

    with ThreadPoolExecutor(16) as pool:
        ended = list(pool.map(one, range(16)))
    assert set(ended) <= {"exported", "ExportConflict"}
    assert ended[-1] == "exported"
    assert sql("SELECT n FROM orders") == [(15,)]


def test_different_partitions_are_exported_side_by_side(
    to: Destination, postgresql: Server, name: str, table: Table, sql: Any
) -> None:
    for key in "abcd":
        write(table, key, ord(key))
    exported(to, table, "orders", partitions("a"), create=True)
    holder = adbc.connect(
        f"postgresql://{postgresql.user}:{postgresql.password}@{postgresql.host}:{postgresql.port}/{name}"
    )
    with holder, holder.cursor() as cursor:
        cursor.execute("DELETE FROM orders WHERE p = 'a'")  # another export of `a`, for what `b` sees of it
        assert exported(destination(postgresql, name, wait_s=1), table, "orders", partitions("b")).rows == 1
        with pytest.raises(ExportConflict, match="did not end in time"):
            exported(destination(postgresql, name, wait_s=0.2), table, "orders")  # all of it must wait
        holder.rollback()
    with ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(lambda k: exported(to, table, "orders", partitions(k)), "abcd"))
    assert [e.rows for e in ended] == [1, 1, 1, 1]
    assert sql("SELECT count(*) FROM orders") == [(4,)]


def test_names_that_are_none_are_refused_where_they_are_declared(to: Destination, table: Table) -> None:
    with pytest.raises(DeclarationError, match="names no table"):
        to.refuse_target("public.")
    filled(table, pa.table({"a": [1], "b": [2]}))
    for columns, says in ({"c": "c"}, "lacks|names the column 'c'"), ({"a": "x", "b": "x"}, "twice"):
        with pytest.raises(PracticusAssetsError, match=says):
            exported(to, table, "orders", columns=columns)
