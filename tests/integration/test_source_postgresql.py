"""Types and partitions of a real PostgreSQL: what is read is what is there, or is refused by name."""

import datetime as dt
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from practicus_assets.errors import (
    DataRefused,
    DeclarationError,
    LossyValues,
    OutOfScope,
    SchemaMismatch,
    SourceFailed,
)
from practicus_assets.lake.partitions.scope import Key, Scope, Window
from practicus_assets.sources.postgresql.session import PostgreSQLSession
from practicus_assets.sources.postgresql.system import PostgreSQL
from tests.integration.shop import system, table_of, values
from tests.servers.postgresql import PostgreSQL as Server

BERLIN = ZoneInfo("Europe/Berlin")
UTC = pa.timestamp("us", "UTC")
WIDE = "1234567890123456789012345678.0123456789"


def _list(element: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", element))


TYPES: dict[str, tuple[str, pa.DataType, str, Any]] = {  # by column: PostgreSQL's, Arrow's, a value in both
    "flag": ("boolean", pa.bool_(), "true", True),
    "small": ("smallint", pa.int16(), "-32768", -32768),
    "middle": ("integer", pa.int32(), "2147483647", 2147483647),
    "large": ("bigint", pa.int64(), "-9223372036854775808", -(2**63)),
    "number": ("oid", pa.int64(), "4294967295", 4294967295),
    "single": ("real", pa.float32(), "'-Infinity'", float("-inf")),
    "double": ("double precision", pa.float64(), "0.1", 0.1),
    "price": ("numeric(12, 2)", pa.decimal128(12, 2), "-1.50", Decimal("-1.50")),
    "wide": ("numeric(38, 10)", pa.decimal128(38, 10), WIDE, Decimal(WIDE)),
    "hundreds": ("numeric(3, -2)", pa.decimal128(5, 0), "12345", Decimal(12300)),
    "tiny": ("numeric(2, 4)", pa.decimal128(4, 4), "0.0012", Decimal("0.0012")),
    "share": ("share", pa.decimal128(8, 3), "1.125", Decimal("1.125")),
    "words": ("text", pa.string(), "'naïve 😀 %s '' \\'", "naïve 😀 %s ' \\"),
    "short": ("varchar(3)", pa.string(), "'abc'", "abc"),
    "padded": ("char(5)", pa.string(), "'ab'", "ab"),
    "folded": ("citext", pa.string(), "'Ab'", "Ab"),
    "mood": ("mood", pa.string(), "'so so'", "so so"),
    "id": (
        "uuid",
        pa.string(),
        "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    ),
    "document": ("json", pa.string(), """'{"b": 1,  "a": null}'""", '{"b": 1,  "a": null}'),
    "binary_document": ("jsonb", pa.string(), """'{"b": 1,  "a": null}'""", '{"a": null, "b": 1}'),
    "markup": ("xml", pa.string(), "'<a>1</a>'", "<a>1</a>"),
    "bytes": ("bytea", pa.binary(), r"'\x00ff27'", b"\x00\xff'"),
    "bits": ("bit(3)", pa.string(), "B'101'", "101"),
    "more_bits": ("varbit", pa.string(), "B'1'", "1"),
    "host": ("inet", pa.string(), "'10.0.0.1'", "10.0.0.1"),
    "net": ("cidr", pa.string(), "'10.0.0.0/8'", "10.0.0.0/8"),
    "card": ("macaddr", pa.string(), "'08:00:2B:01:02:03'", "08:00:2b:01:02:03"),
    "day": ("date", pa.date32(), "'0001-01-01'", dt.date(1, 1, 1)),
    "wall": (
        "timestamp",
        pa.timestamp("us"),
        "'9999-12-31 23:59:59.999999'",
        dt.datetime.fromisoformat("9999-12-31T23:59:59.999999"),
    ),
    "moment": ("timestamptz", UTC, "'2026-03-29 03:30+02'", dt.datetime(2026, 3, 29, 1, 30, tzinfo=dt.UTC)),
    "numbers": ("integer[]", _list(pa.int32()), "'{1,null,3}'", [1, None, 3]),
    "shifted": ("integer[]", _list(pa.int32()), "'[0:1]={1,2}'", [1, 2]),
    "prices": ("numeric(5, 1)[]", _list(pa.decimal128(5, 1)), "'{1.5,null}'", [Decimal("1.5"), None]),
    "shares": ("share[]", _list(pa.decimal128(8, 3)), "'{1.5}'", [Decimal("1.500")]),
    "hosts": ("inet[]", _list(pa.string()), "'{10.0.0.1}'", ["10.0.0.1"]),
    "moods": ("mood[]", _list(pa.string()), "'{so so,null}'", ["so so", None]),
    "days": ("date[]", _list(pa.date32()), "'{2026-01-06}'", [dt.date(2026, 1, 6)]),
    "none": ("text[]", _list(pa.string()), "'{}'", []),
    'od"d % Näme': ("integer", pa.int32(), "1", 1),
}
DECLARED = {  # types that leave a choice, with their declaration
    "any": ("numeric", "decimal(38, 4)", "12345678901234567890.5", Decimal("12345678901234567890.5000")),
    "digits": ("numeric(60, 2)", "string", "1.50", "1.50"),
    "sum": ("numeric", "int64", "9223372036854775807", 2**63 - 1),
    "cash": ("money", "decimal(19, 2)", "'1.25'", Decimal("1.25")),
    "duration": ("interval", "string", "'1 month 2 days 03:00'", "P1M2DT3H"),
    "clock": ("time", "string", "'10:00'", "10:00:00"),
    "zoned_clock": ("timetz", "string", "'10:00+02'", "10:00:00+02"),
    "span": ("int4range", "string", "'[1,3]'", "[1,4)"),
    "pairs": ("hstore", "string", "'a=>1'", '"a"=>"1"'),
    "point": ("point", "string", "'(1,2)'", "(1,2)"),
    "both": ("pair", "string", "ROW(1, 'x')", "(1,x)"),
    "clocks": ("time[]", "list<item: string>", "'{10:00}'", ["10:00:00"]),
    "anys": ("numeric[]", "list<item: decimal128(9, 2)>", "'{1.5}'", [Decimal("1.50")]),
    "matrix": ("integer[]", "string", "'{{1,2},{3,4}}'", "{{1,2},{3,4}}"),
}


@pytest.fixture(scope="module")
def server(postgresql: Server) -> Iterator[Server]:
    postgresql.execute(
        "CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE TYPE mood AS ENUM ('good', 'so so'); "
        "CREATE DOMAIN share AS numeric(8, 3) CHECK (VALUE > 0); CREATE TYPE pair AS (a integer, b text)"
    )
    types = {name: type_ for name, (type_, *_) in {**TYPES, **DECLARED}.items()}
    columns = ", ".join(f"{quoted(name)} {type_}" for name, type_ in types.items())
    literals = ", ".join(value for *_, value, _ in {**TYPES, **DECLARED}.values())
    postgresql.execute(f"CREATE TABLE each_type ({columns}); INSERT INTO each_type VALUES ({literals})")
    postgresql.execute("INSERT INTO each_type DEFAULT VALUES")
    yield postgresql
    postgresql.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")


@pytest.fixture(scope="module")
def shop(server: Server) -> PostgreSQL:
    return system(server)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@pytest.mark.parametrize("source", ["table", "query"])
def test_every_type_is_read_as_it_is_and_so_are_its_nulls(shop: PostgreSQL, source: str) -> None:
    names = [
        name for name in TYPES if source == "table" or name != "prices"
    ]  # arrays of a query have no digits
    listed = ", ".join(map(quoted, names))
    columns = {name: type_ for name, (_, type_, *_) in DECLARED.items()}
    relation = (
        shop.table("public.each_type", columns)
        if source == "table"
        else shop.query(f"SELECT {listed} FROM each_type -- all\n;\n")
    )
    first, second = table_of(relation, columns=names).to_pylist()
    assert first == {name: TYPES[name][3] for name in names}
    assert second == dict.fromkeys(names)


def test_the_types_of_a_table_are_these_also_where_it_is_empty(shop: PostgreSQL, server: Server) -> None:
    server.execute("CREATE TABLE no_rows (LIKE each_type)")
    columns = {name: type_ for name, (_, type_, *_) in DECLARED.items()}
    found = table_of(shop.table("no_rows", columns))
    assert found.num_rows == 0
    assert {name: found.schema.field(name).type for name in TYPES} == {
        n: t for n, (_, t, *_) in TYPES.items()
    }


def test_types_that_leave_a_choice_are_read_as_they_are_declared(shop: PostgreSQL) -> None:
    columns = {name: type_ for name, (_, type_, *_) in DECLARED.items()}
    first, second = table_of(shop.table("each_type", columns), columns=list(DECLARED)).to_pylist()
    assert first == {name: value for name, (*_, value) in DECLARED.items()}
    assert second == dict.fromkeys(DECLARED)


@pytest.mark.parametrize("name", [name for name in DECLARED if name != "matrix"])
def test_a_type_that_leaves_a_choice_is_refused_with_the_line_to_write(shop: PostgreSQL, name: str) -> None:
    with pytest.raises(SchemaMismatch, match=f'columns={{"{re.escape(name)}"'):
        table_of(shop.query(f"SELECT {quoted(name)} FROM each_type"))


def test_a_sum_of_bigint_is_numeric_and_its_author_says_which(shop: PostgreSQL) -> None:
    text = "SELECT sum(n::bigint) AS total FROM generate_series(1, 3) AS n"
    with pytest.raises(SchemaMismatch, match="'total' is numeric without precision and scale"):
        table_of(shop.query(text))
    assert values(shop.query(text, columns={"total": "int64"})) == [6]
    assert values(shop.query(text, columns={"total": "decimal(20, 0)"})) == [Decimal(6)]
    with pytest.raises(SchemaMismatch, match="declared as double"):
        table_of(shop.query(text, columns={"total": "float64"}))


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (
            "'NaN'::numeric(9, 2)",
            DataRefused,
            "'c' has NaN, which is no decimal: 1 value .*the first in row 1",
        ),
        ("'Infinity'::numeric", DataRefused, "'c' has Infinity"),
        ("'-Infinity'::numeric", DataRefused, "'c' has -Infinity"),
        (
            "1.555::numeric",
            LossyValues,
            r"1 value that decimal128\(9, 2\) cannot hold exactly.* row 1: '1.555'",
        ),
        ("12345678.5::numeric", LossyValues, "row 1: '12345678.5'"),
        (f"{'9' * 39}::numeric", LossyValues, f"row 1: '{'9' * 39}'"),
        (f"{10**76 + 1}::numeric", LossyValues, "cannot hold exactly"),
        ("'infinity'::date", DataRefused, "'c' has infinity"),
        ("'-infinity'::date", DataRefused, "'c' has -infinity"),
        ("'infinity'::timestamp", DataRefused, "'c' has infinity"),
        ("'-infinity'::timestamptz", DataRefused, "'c' has -infinity"),
        ("'0044-03-15 BC'::date", DataRefused, "outside of the years 1 to 9999"),
        ("'10000-01-01'::timestamptz", DataRefused, "outside of the years 1 to 9999"),
        ("'5874897-12-31'::date", DataRefused, "outside of the years 1 to 9999"),
        ("'{NaN}'::numeric[]", DataRefused, r"'c\[\]' has NaN"),
        ("'{infinity}'::date[]", DataRefused, r"'c\[\]' has infinity"),
        ("'{{1,2},{3,4}}'::integer[]", DataRefused, "'c' has arrays of several dimensions"),
    ],
)
def test_a_value_that_delta_lake_cannot_hold_is_refused_by_name(
    shop: PostgreSQL, value: str, error: type[Exception], message: str
) -> None:
    declared = "list<item: decimal128(9, 2)>" if "numeric[]" in value else "decimal(9, 2)"
    columns = {"c": declared} if "::numeric" in value else {}
    query = f"SELECT CASE n WHEN 1 THEN {value} END AS c FROM generate_series(0, 1) AS n"
    with pytest.raises(error, match=message):
        table_of(shop.query(query, columns=columns))


def test_a_text_that_is_declared_as_a_number_is_refused(shop: PostgreSQL) -> None:
    with pytest.raises(LossyValues, match="column 'c' is of type string"):
        table_of(shop.query("SELECT '1.5' AS c", columns={"c": "decimal(9, 2)"}))
    with pytest.raises(LossyValues, match=r"column 'c\[\]' is of type string"):
        table_of(shop.query("SELECT '{1.5}'::text[] AS c", columns={"c": "list<item: decimal128(9, 2)>"}))


def test_trailing_zeros_cost_no_digit(shop: PostgreSQL) -> None:
    query = f"SELECT 1.{'0' * 60}::numeric AS c UNION ALL SELECT -0.{'0' * 50}::numeric"
    assert values(shop.query(query, columns={"c": "decimal(38, 2)"})) == [Decimal(1), Decimal(0)]


@pytest.fixture(scope="module")
def session(server: Server) -> Iterator[PostgreSQLSession]:
    with system(server).session() as opened:
        yield opened


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.decimals("-1e31", "1e31", allow_nan=False, places=6), min_size=1, max_size=40),
    st.lists(st.datetimes(), min_size=1, max_size=40),
)
def test_numerics_and_timestamps_come_back_as_they_were(
    session: PostgreSQLSession, shop: PostgreSQL, numbers: list[Decimal], moments: list[dt.datetime]
) -> None:
    for type_, written in (("numeric(38, 6)", numbers), ("timestamp", moments)):
        literals = ", ".join(f"('{value}'::{type_})" for value in written)
        rows = shop.query(f"VALUES {literals}").read(session, Scope()).read_all()
        assert rows.column(0).to_pylist() == written


def test_texts_that_are_no_unicode_are_refused_in_a_database_without_encoding(server: Server) -> None:
    server.execute("CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0")
    server.execute(r"SET client_encoding = 'SQL_ASCII'; CREATE TABLE t AS SELECT E'\xff' AS c", "ascii")
    shop = system(server, database="ascii")
    assert values(shop.query("SELECT 'a' AS c")) == ["a"]
    with pytest.raises(SourceFailed, match='invalid byte sequence for encoding "UTF8": 0xff'):
        values(shop.table("t"))


def test_columns_of_the_same_name_are_refused(shop: PostgreSQL) -> None:
    with pytest.raises(SchemaMismatch, match="gives the column 'a' more than once"):
        table_of(shop.query("SELECT 1 AS a, 2 AS a"))


def test_a_declared_column_that_is_not_there_is_refused(shop: PostgreSQL) -> None:
    with pytest.raises(DeclarationError, match=r"Did you mean price?"):
        table_of(shop.table("each_type", {"prise": "string"}))


def days(first: dt.date, count: int, zone: ZoneInfo = BERLIN) -> Scope:
    def midnight(number: int) -> dt.datetime:
        return dt.datetime.combine(first + dt.timedelta(number), dt.time(), zone)

    windows = [
        Window((first + dt.timedelta(i)).isoformat(), midnight(i), midnight(i + 1), daily=True)
        for i in range(count)
    ]
    return Scope(("at",), tuple((window,) for window in windows))


@pytest.fixture(scope="module")
def orders(server: Server) -> Server:
    """Rows each half hour of a year, as moments and as wall times of Berlin, with an index on each."""
    server.execute(
        "CREATE TABLE orders AS SELECT n AS id, at, at AT TIME ZONE 'Europe/Berlin' AS wall, "
        "(ARRAY['a', 'B', E'''; DROP TABLE orders; --', E'\\\\', '{\"x\"}', 'ü%s'])[n % 6 + 1] AS shop, "
        "n % 3 = 0 AS paid FROM (SELECT n, timestamptz '2025-12-31 23:00Z' + n * interval '30 min' AS at "
        "FROM generate_series(0, 365 * 48 - 1) AS n) AS made"
    )
    server.execute("CREATE INDEX ON orders (at); CREATE INDEX ON orders (wall); CREATE INDEX ON orders (id)")
    server.execute("CREATE INDEX ON orders (((at AT TIME ZONE 'Europe/Berlin')::date)); ANALYZE orders")
    return server


@pytest.mark.parametrize("expression", ["at", "wall", "(at at time zone 'Europe/Berlin')::date"])
def test_a_day_has_its_hours_also_where_the_clocks_change(orders: Server, expression: str) -> None:
    relation = system(orders).table("orders")
    for day, hours in ((dt.date(2026, 3, 29), 23), (dt.date(2026, 10, 25), 25), (dt.date(2026, 6, 1), 24)):
        scope = days(day, 1)
        scope = Scope((expression,), scope.parts)
        found = table_of(relation, scope)
        assert found.num_rows == 2 * hours
        assert {at.astimezone(BERLIN).date() for at in found["at"].to_pylist()} == {day}


def test_a_year_of_days_is_read_at_once_and_keys_beside_them(orders: Server) -> None:
    relation = system(orders).table("orders")
    year = days(dt.date(2026, 1, 1), 365)
    assert table_of(relation, year).num_rows == 365 * 48
    odd = Scope(("at",), year.parts[::2])
    assert table_of(relation, odd).num_rows == 183 * 48  # the clocks change on days of the other half
    both = Scope(("at", "shop"), tuple((*part, Key("B")) for part in year.parts[:2]))
    assert {row["shop"] for row in table_of(relation, both).to_pylist()} == {"B"}
    paid = Scope.of([True], ["paid"])
    assert paid is not None
    assert set(table_of(relation, paid)["paid"].to_pylist()) == {True}


@pytest.mark.parametrize("key", ["'; DROP TABLE orders; --", "\\", '{"x"}', "ü%s", "a", "$1", "{}", "NULL"])
def test_a_hostile_key_is_a_value_and_nothing_else(orders: Server, key: str) -> None:
    relation = system(orders).table("orders")
    for keys in ([key], [key, "nobody's"]):
        scope = Scope.of(keys, ["shop"])
        assert scope is not None
        found = set(table_of(relation, scope)["shop"].to_pylist())
        assert found == ({key} if key not in {"$1", "{}", "NULL"} else set())


def test_a_key_with_a_null_character_is_refused(orders: Server) -> None:
    scope = Scope(("shop",), ((Key("a\0b"),),))
    with pytest.raises(OutOfScope, match="null character"):
        table_of(system(orders).table("orders"), scope)


def test_a_partition_of_an_enum_may_be_of_no_label(shop: PostgreSQL, server: Server) -> None:
    relation = shop.table("each_type", dict.fromkeys(DECLARED, "string"))
    for keys, count in ((["so so"], 1), (["so so", "unheard of"], 1), (["unheard of"], 0)):
        scope = Scope.of(keys, ["mood"])
        assert scope is not None
        assert table_of(relation, scope, ["mood"]).num_rows == count


@pytest.mark.parametrize("expression", ["at", "wall", "(at at time zone 'Europe/Berlin')::date", "id"])
def test_a_partition_is_found_by_its_index(
    orders: Server, expression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    relation = system(orders).table("orders")
    statements: list[tuple[str, list[str]]] = []
    with relation.system.session() as session:
        stream = session.stream
        monkeypatch.setattr(
            session, "stream", lambda text, values: statements.append((text, values)) or stream(text, values)
        )
        parts = (
            days(dt.date(2026, 6, 1), 2).parts if expression != "id" else ((Key("2026"),), (Key("-2026"),))
        )
        assert relation.read(session, Scope((expression,), parts)).read_all().num_rows in {1, 96}
    [(text, bound)] = statements
    settings = "; ".join(f"SET practicus_assets.p{number} = '{value}'" for number, value in enumerate(bound))
    plan = orders.execute(f"{settings}; EXPLAIN {text}")
    assert "Index Cond" in str(plan)
    assert "2026" not in text


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("orderz", "Did you mean orders?"),
        ("public.Orders", "Did you mean public.orders?"),
        ("shop.orders", "Did you mean public.orders?"),
        ("nothing_like_it_at_all", "whether the role may use its schema"),
    ],
)
def test_a_table_that_is_not_there_is_named_with_the_nearest_one(
    orders: Server, name: str, advice: str
) -> None:
    with pytest.raises(
        SourceFailed, match=f"no table or view {re.escape(name)} in postgresql://.*{re.escape(advice)}"
    ):
        table_of(system(orders).table(name))


def test_views_and_partitioned_tables_have_the_types_of_their_columns(
    shop: PostgreSQL, server: Server
) -> None:
    server.execute(
        "CREATE TABLE parted (day date, price numeric(9, 2)) PARTITION BY RANGE (day); "
        "CREATE TABLE parted_2026 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2027-01-01'); "
        "INSERT INTO parted VALUES ('2026-01-06', 1.5); CREATE VIEW seen AS SELECT price FROM parted; "
        "CREATE MATERIALIZED VIEW kept AS SELECT price FROM parted"
    )
    for name in ("parted", "seen", "kept"):
        found = table_of(shop.table(name))
        assert found["price"].to_pylist() == [Decimal("1.50")]
        assert found.schema.field("price").type == pa.decimal128(9, 2)
    scope = Scope.of([dt.date(2026, 1, 6)], ["day"])
    assert scope is not None
    assert table_of(shop.table("parted"), scope).num_rows == 1
    with pytest.raises(SourceFailed, match="there is no table or view parted_pkey"):
        table_of(shop.table("parted_pkey"))


def test_tables_of_hostile_names_are_read(shop: PostgreSQL, server: Server) -> None:
    name = 'T"; DROP TABLE "orders % ü.x'
    server.execute(f'CREATE SCHEMA "S % "; CREATE TABLE "S % ".{quoted(name)} AS SELECT 1 AS "A b"')
    assert values(shop.table(f"S % .{quoted(name)}")) == [1]
    server.execute('DROP SCHEMA "S % " CASCADE')
