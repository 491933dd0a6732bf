"""MySQL as a source: what is read of it, in which state, and what it says where it cannot be read."""

import datetime as dt
import gc
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from practicus_assets import DeltaIOManager, MySQL, OutOfScope, Snapshot, Source, table_asset
from practicus_assets.errors import (
    DeclarationError,
    SchemaMismatch,
    SourceChanged,
    SourceFailed,
)
from practicus_assets.lake.partitions.scope import Key, Scope, Window
from tests.servers.mariadb import MariaDB
from tests.servers.mariadb_shop import Shop, read

UTC = dt.UTC
NAME = "shop `x`.y %s ? '\"ü"  # of a database


@pytest.fixture(scope="module")
def shop(mariadb: MariaDB) -> Iterator[Shop]:
    mariadb.execute(f"CREATE DATABASE `{NAME.replace('`', '``')}`")
    yield Shop(mariadb, NAME)
    mariadb.execute(f"DROP DATABASE `{NAME.replace('`', '``')}`")


@pytest.fixture
def orders(shop: Shop) -> Iterator[MySQL]:
    """A table of 3,000 orders, one each hour from 2026-01-01 on, in two regions."""
    shop.run(
        "CREATE TABLE orders (id int PRIMARY KEY, region varchar(20) NOT NULL, at datetime NOT NULL, "
        "instant timestamp NOT NULL, day date NOT NULL, note text, KEY (at), KEY (instant), KEY (region))",
        "INSERT INTO orders SELECT seq, IF(seq MOD 2, 'eu', 'us'), '2026-01-01' + INTERVAL seq HOUR, "
        "CONVERT_TZ('2026-01-01' + INTERVAL seq HOUR, '+00:00', @@session.time_zone), "
        "DATE('2026-01-01' + INTERVAL seq HOUR), REPEAT('x', seq MOD 600) FROM seq_0_to_2999",
    )
    yield shop.system()
    shop.run("DROP TABLE orders")


def window(key: str, start: dt.datetime, end: dt.datetime, *columns: str) -> Scope:
    return Scope(columns, ((Window(key, start, end),) * len(columns),))


def day(number: int) -> dt.datetime:
    return dt.datetime(2026, 1, number, tzinfo=UTC)


def keys(column: str, *values: str) -> Scope:
    return Scope((column,), tuple((Key(value),) for value in values))


def test_a_table_and_a_query_are_read_with_their_columns_and_rows(orders: MySQL) -> None:
    rows = read(orders.table("orders"), columns=["note", "id"])
    assert rows.schema == pa.schema([("note", pa.string()), ("id", pa.int32())])
    assert sorted(rows["id"].to_pylist()) == list(range(3000))
    ordered = orders.query("SELECT id FROM orders ORDER BY id DESC LIMIT 3 -- the newest ones\n;")
    assert read(ordered)["id"].to_pylist() == [2999, 2998, 2997]
    assert read(ordered, keys("id", "2998"), ["id"]).to_pylist() == [{"id": 2998}]


@pytest.mark.parametrize("column", ["at", "instant", "day", "DATE(at)"])
def test_a_window_is_half_open_on_times_with_and_without_zone_and_on_dates(
    orders: MySQL, column: str
) -> None:
    rows = read(orders.table("orders"), window("2026-01-02", day(2), day(3), column))
    assert sorted(rows["id"].to_pylist()) == list(range(24, 48))


def test_a_window_in_another_time_zone_is_that_instant(orders: MySQL) -> None:
    berlin = dt.timezone(dt.timedelta(hours=1))
    start = dt.datetime(2026, 1, 2, tzinfo=berlin)
    rows = read(orders.table("orders"), window("2026-01-02", start, start + dt.timedelta(1), "instant"))
    assert sorted(rows["id"].to_pylist()) == list(range(23, 47))


def test_partitions_of_several_columns_are_read_together(orders: MySQL) -> None:
    parts = [
        (Window(f"2026-01-0{number}", day(number), day(number + 1)), Key(region))
        for number, region in [(2, "eu"), (3, "eu"), (5, "us")]
    ]
    rows = read(orders.table("orders"), Scope(("at", "region"), tuple(parts)))
    assert sorted(rows["id"].to_pylist()) == [*range(25, 72, 2), *range(96, 120, 2)]


def test_a_partition_is_found_by_the_index_of_its_column(orders: MySQL, shop: Shop) -> None:
    for column in ("at", "instant"):
        [(*_, used, _, _, rows, _)] = shop.run(
            f"EXPLAIN SELECT id FROM orders WHERE {column} >= '2026-01-02' AND {column} < '2026-01-03'"
        )
        assert (used, int(rows)) == (column, 24)
    with orders.session() as session:
        statement = "EXPLAIN SELECT id FROM orders WHERE "
        moments = [day(2), day(3)]
        for column in ("at", "instant"):
            [found] = session.rows(f"{statement}{column} >= ? AND {column} < ?", moments, "plan")
            assert found[5:7] == (column, "4" if column == "instant" else "5")
    before = _rows_looked_at(shop)
    read(orders.table("orders"), window("2026-01-02", day(2), day(3), "at"))
    read(orders.table("orders"), keys("id", "7", "8", "9"))
    assert _rows_looked_at(shop) - before < 200


def _rows_looked_at(shop: Shop) -> int:
    names = "'Handler_read_next', 'Handler_read_rnd_next', 'Handler_read_key'"
    [(number,)] = shop.run(
        f"SELECT sum(variable_value) FROM information_schema.global_status WHERE variable_name IN ({names})"
    )
    return int(number)


HOSTILE = [
    "eu",
    "EU",
    "eu ",
    "é",
    "e",
    "' OR 1=1 -- ",
    'a"b',
    "\\",
    "%",
    "_",
    "?",
    "%s",
    "😀",
    "\n",
    "0",
    "a\0b",
]


@pytest.mark.parametrize("charset", ["utf8mb4", "latin1"])
def test_keys_that_a_collation_takes_for_one_are_different_partitions(shop: Shop, charset: str) -> None:
    held = [value for value in HOSTILE if charset == "utf8mb4" or value != "😀"]
    shop.run(f"CREATE TABLE regions (region varchar(20) CHARACTER SET {charset}, KEY (region))")
    try:
        for value in held:
            shop.run("INSERT INTO regions VALUES (%s)", parameters=[value])
        relation = shop.system().table("regions")
        for value in HOSTILE:
            assert read(relation, keys("region", value))["region"].to_pylist() == [value] * (value in held)
        assert sorted(read(relation, keys("region", *HOSTILE))["region"].to_pylist()) == sorted(held)
        with relation.system.session() as session:
            versions = relation.versions(session, [keys("region", value) for value in held])
        assert len(set(versions)) == len(held)
    finally:
        shop.run("DROP TABLE regions")


@pytest.mark.parametrize("column", ["a`b", "c d", "select", "%s", "?", "x'y\"z", "ü"])
def test_names_may_have_any_characters(shop: Shop, column: str) -> None:
    table = f"t.{column}"
    quoted, column_quoted = (f"`{name.replace('`', '``')}`" for name in (table, column))
    text = f"CREATE TABLE {quoted} (n int, {column_quoted} varchar(9))"
    shop.run(text)
    try:
        shop.run(f"INSERT INTO {quoted} VALUES (1, 'k'), (2, 'l')")
        rows = read(shop.system().table(quoted), keys(column, "l"))
        assert rows.to_pylist() == [{"n": 2, column: "l"}]
        in_full = f"`{NAME.replace('`', '``')}`.{quoted}"
        assert read(shop.system(database="mysql").table(in_full)).num_rows == 2
    finally:
        shop.run(f"DROP TABLE {quoted}")


def test_a_bigint_without_sign_is_partitioned_by_its_whole_numbers(shop: Shop) -> None:
    shop.run("CREATE TABLE big (id bigint unsigned)", f"INSERT INTO big VALUES ({2**64 - 1}), (3)")
    rows = read(shop.system().table("big"), keys("id", str(2**64 - 1)))
    assert [int(value) for value in rows["id"].to_pylist()] == [2**64 - 1]
    shop.run("DROP TABLE big")


def test_what_is_no_column_and_no_expression_is_the_servers_to_explain(orders: MySQL) -> None:
    with pytest.raises(SourceFailed, match="Unknown column 'regoin'"):
        read(orders.table("orders"), keys("regoin", "eu"))
    with pytest.raises(OutOfScope, match="partition 'x'"):
        read(orders.table("orders"), keys("id", "x"))
    with pytest.raises(SchemaMismatch, match="Did you mean region"):
        read(orders.table("orders"), columns=["regoin"])


def test_a_session_reads_one_state_while_others_write(orders: MySQL, shop: Shop) -> None:
    table = orders.table("orders")
    with orders.session() as session:
        assert session.state is None
        shop.run("DELETE FROM orders WHERE id < 1000")
        stream = table.read(session, Scope())
        first = next(stream)
        shop.run("UPDATE orders SET region = 'xx'")
        rest = stream.read_all()
        assert first.num_rows + rest.num_rows == 3000
        again = table.read(session, Scope()).read_all()
        assert set(again["region"].to_pylist()) == {"eu", "us"}
        assert again.num_rows == 3000
    assert set(read(table)["region"].to_pylist()) == {"xx"}


def test_streams_of_one_session_are_read_side_by_side(shop: Shop) -> None:
    shop.run(
        "CREATE TABLE wide (id int PRIMARY KEY, note varchar(2000))",
        "INSERT INTO wide SELECT seq, REPEAT(CHAR(65 + seq MOD 26), 2000) FROM seq_0_to_7999",
    )
    table = shop.system().table("wide")
    with shop.system().session() as session:
        expected = table.read(session, Scope()).read_all()
        streams = [table.read(session, Scope()) for _ in range(3)]
        found = [[next(stream)] for stream in streams]
        assert found[0][0].num_rows < 8000
        for stream, batches in zip(streams, found, strict=True):
            batches.extend(stream)
        assert all(pa.Table.from_batches(batches) == expected for batches in found)
        next(table.read(session, Scope()))  # and nobody reads on
        gc.collect()
        assert table.versions(session, [Scope()])[0].startswith("8000 rows, ")
    shop.run("DROP TABLE wide")


def test_the_server_waits_for_a_slow_reader_whatever_its_own_limits(orders: MySQL, shop: Shop) -> None:
    shop.run("SET GLOBAL max_statement_time = 7", "SET GLOBAL idle_transaction_timeout = 7")
    try:
        names = [
            "net_write_timeout",
            "wait_timeout",
            "max_statement_time",
            "idle_transaction_timeout",
            "time_zone",
        ]
        with orders.session() as session:
            [row] = session.rows(f"SELECT {', '.join(f'@@{name}' for name in names)}", [], "settings")
    finally:
        shop.run("SET GLOBAL max_statement_time = 0", "SET GLOBAL idle_transaction_timeout = 0")
    assert dict(zip(names, row, strict=True)) == {
        "net_write_timeout": 86400,
        "wait_timeout": 86400,
        "max_statement_time": 0,
        "idle_transaction_timeout": 0,
        "time_zone": "+00:00",
    }


def test_a_query_only_reads(orders: MySQL, shop: Shop) -> None:
    for text, error in {
        "DELETE FROM orders": SourceFailed,
        "SELECT 1; DELETE FROM orders": SourceFailed,
        "SELECT * FROM orders WHERE id = ?": DeclarationError,
        "SELECT nothing FROM orders": SourceFailed,
    }.items():
        with pytest.raises(error):
            read(orders.query(text))
    with pytest.raises(DeclarationError, match="the query is empty"):
        orders.query(" ;")
    assert shop.run("SELECT count(*) FROM orders") == [(3000,)]


def test_a_table_that_is_not_there_is_named_with_the_nearest(orders: MySQL) -> None:
    with pytest.raises(SourceFailed, match=r"there is no table or view order in .*Did you mean orders\?"):
        read(orders.table("order"))
    with pytest.raises(SourceFailed, match=r"there is no table or view mysql.usr in .*Did you mean user\?"):
        read(orders.table("mysql.usr"))


def test_a_user_who_may_not_read_is_told_what_to_grant(orders: MySQL, shop: Shop) -> None:
    grants = f"`{NAME.replace('`', '``')}`"
    shop.run("CREATE USER clerk IDENTIFIED BY 'clerks-password'")
    shop.run(f"GRANT SELECT (id) ON {grants}.orders TO clerk")
    try:
        clerk = shop.system(user="clerk", password="clerks-password")  # noqa: S106
        assert read(clerk.query("SELECT id FROM orders")).num_rows == 3000
        with pytest.raises(SourceFailed, match=r"SELECT command denied .*GRANT SELECT ON … TO 'clerk'"):
            read(clerk.table("orders"))
    finally:
        shop.run("DROP USER clerk")


def test_a_version_changes_with_rows_and_not_with_their_order(orders: MySQL, shop: Shop) -> None:
    table = orders.table("orders")
    days = [window(f"2026-01-0{number}", day(number), day(number + 1), "at") for number in (1, 2, 3)]
    days += [
        window("1999-01-01", dt.datetime(1999, 1, 1, tzinfo=UTC), dt.datetime(1999, 1, 2, tzinfo=UTC), "at")
    ]

    def versions(updated_at: str | None = None) -> list[str]:
        with orders.session() as session:
            return table.versions(session, days, updated_at)

    before, by_time = versions(), versions("instant")
    assert before[3] == by_time[3] == "0 rows"
    assert by_time[0] == "24 rows, 2026-01-01 23:00:00"
    shop.run(
        "CREATE TEMPORARY TABLE kept AS SELECT * FROM orders",
    )
    shop.run("UPDATE orders SET id = id + 10000 WHERE id = 30", "UPDATE orders SET id = 30 WHERE id = 10030")
    assert versions() == before
    changes = {
        "note = NULL": "note = REPEAT('x', 30)",
        "region = 'US'": "region = 'us'",
        "note = CONCAT(note, ' ')": "note = REPEAT('x', 30)",
    }
    for change, back in changes.items():
        shop.run(f"UPDATE orders SET {change} WHERE id = 30")
        changed = versions()
        assert [old == new for old, new in zip(before, changed, strict=True)] == [True, False, True, True]
        shop.run(f"UPDATE orders SET {back} WHERE id = 30")
    assert versions() == before
    with orders.session() as session:
        everything = table.versions(session, [Scope()])
        assert everything == orders.query("SELECT * FROM orders").versions(session, [Scope()])


def test_a_checksum_sees_every_type_and_tells_null_from_text(shop: Shop) -> None:
    values = {
        "f float": ("1.00000001", "1.0000001"),
        "d double": ("0.1e0", "0.10000000000000002e0"),
        "b bit(9)": ("b'1'", "b'11'"),
        "s varchar(9)": ("NULL", "'-'"),
        "x blob": ("x'00'", "x'0000'"),
        "j json": ("'{}'", "'{ }'"),
        "u uuid": ("NULL", "'123e4567-e89b-12d3-a456-426655440000'"),
        "e enum('a','A ')": ("'a'", "'A '"),
        "t datetime(6)": ("'2026-01-06 00:00:00.000001'", "'2026-01-06'"),
        "n decimal(30,10)": ("0.1", "0.1000000001"),
    }
    shop.run(f"CREATE TABLE sums ({', '.join(values)}) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    shop.run(f"INSERT INTO sums VALUES ({', '.join(first for first, _ in values.values())})")
    table = shop.system().table("sums")
    seen = set()
    for column, (_, second) in values.items():
        with table.system.session() as session:
            seen |= set(table.versions(session, [Scope()]))
        shop.run(f"UPDATE sums SET {column.split()[0]} = {second}")
    assert len(seen) == len(values)
    shop.run("DROP TABLE sums")


def test_the_partitions_of_changed_rows_are_found(orders: MySQL, shop: Shop) -> None:
    table = orders.table("orders")
    shop.run("INSERT INTO orders VALUES (9001, 'EU ', '2027-01-01', '2027-01-01', '2026-01-09', NULL)")
    since = dt.datetime(2026, 5, 5, 22, tzinfo=UTC)
    with orders.session() as session:
        found = table.changed(session, ["region", "DATE(at)", "id"], "instant", since).read_all()
        by_day = table.changed(session, ["region"], "day", since).read_all()
    assert found.schema.types == [pa.string(), pa.date32(), pa.int32()]
    assert sorted(found["id"].to_pylist()) == [2998, 2999, 9001]
    assert sorted(by_day["region"].to_pylist()) == ["eu", "us"]
    assert "EU " in found["region"].to_pylist()


def test_a_table_that_is_altered_between_two_reads_of_a_session_ends_it(orders: MySQL, shop: Shop) -> None:
    shop.run("CREATE TABLE other (id int)", "INSERT INTO other VALUES (1)")
    try:
        with orders.session() as session:
            assert orders.table("orders").read(session, Scope()).read_all().num_rows == 3000
            shop.run("ALTER TABLE other ADD COLUMN n int NOT NULL DEFAULT 3, ALGORITHM = COPY")
            with pytest.raises(SourceChanged, match=r"run again") as changed:
                orders.table("other").read(session, Scope()).read_all()
            assert "other" in str(changed.value)
    finally:
        shop.run("DROP TABLE other")


def test_partitions_of_a_source_become_partitions_of_a_table(
    orders: MySQL, shop: Shop, tmp_path: Path
) -> None:
    days = dg.DailyPartitionsDefinition("2026-01-01")
    source = Source("orders", orders.table("orders"), partitions_def=days, partition_expr="at")

    @table_asset(partitions_def=days, partition_by="day")
    def kept(orders: pa.RecordBatchReader) -> pa.RecordBatchReader:
        return orders

    def run(key: str) -> None:
        lake = {"io_manager": DeltaIOManager(root_uri=str(tmp_path))}
        assert dg.materialize([source, kept], resources=lake, partition_key=key, selection=[kept]).success

    run("2026-01-02")
    run("2026-01-03")
    shop.run("DELETE FROM orders WHERE id = 30")
    run("2026-01-02")
    rows = Snapshot.open(str(tmp_path / "kept")).to_arrow()
    assert sorted(rows["id"].to_pylist()) == [*range(24, 30), *range(31, 72)]
    assert rows.schema.field("instant").type == pa.timestamp("us", "UTC")
