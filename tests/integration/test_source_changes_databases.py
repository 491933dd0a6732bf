"""Changes of tables in databases: data versions, late rows and failures, as ticks of the sensor see them."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from practicus_assets import MySQL, PostgreSQL, Source
from practicus_assets.errors import SourceFailed
from tests.integration.ticks import Ticks
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL as Server

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-11")
BERLIN = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-11", timezone="Europe/Berlin")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture
def sql(server: Server) -> Any:
    server.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    server.execute("""
        CREATE TABLE orders (id bigint PRIMARY KEY, at timestamptz, day date, shop text, modified timestamp);
        INSERT INTO orders SELECT n, '2024-01-01 12:00Z'::timestamptz + n * interval '1 day',
            '2024-01-01'::date + n, CASE WHEN n < 5 THEN 'a''b|c' ELSE 'd' END, '2024-02-01'
        FROM generate_series(0, 9) n
    """)
    return server.execute


def orders(server: Server, **options: Any) -> Source:
    database = PostgreSQL(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password,
        connect_attempts=1,
    )
    return Source("orders", database.table("public.orders"), **options)


def by_day(server: Server, **options: Any) -> Source:
    given = {"partitions_def": DAYS, "partition_expr": "at", "updated_at": "modified", **options}
    return orders(server, **given)


def settled(instance: dg.DagsterInstance, source: Source, **options: Any) -> Ticks:
    """Return ticks that have looked at each partition."""
    ticks = Ticks(instance, source, **options)
    while ticks.tick() or ticks.message != "Nothing changed in 1 source.":
        pass
    return ticks


@pytest.mark.postgresql
@pytest.mark.parametrize("updated_at", [None, "modified"])
def test_a_table_is_observed_when_its_rows_changed(
    instance: dg.DagsterInstance, server: Server, sql: Any, updated_at: str | None
) -> None:
    ticks = settled(instance, orders(server, updated_at=updated_at))
    sql("UPDATE orders SET shop = 'e', modified = '2024-02-02' WHERE id = 3")
    assert list(ticks.tick()) == ["orders"]
    assert ticks.tick() == {}
    sql("DELETE FROM orders WHERE id = 4")
    assert list(ticks.tick()) == ["orders"]
    assert ticks.tick() == {}


@pytest.mark.postgresql
@pytest.mark.parametrize("column", ["at", "day", "(at AT TIME ZONE 'UTC')::date"])
def test_late_rows_are_found_in_old_days(
    instance: dg.DagsterInstance, server: Server, sql: Any, column: str
) -> None:
    ticks = settled(instance, by_day(server, partition_expr=column), newest=1, others=2)
    sql("INSERT INTO orders VALUES (77, '2024-01-03 08:00Z', '2024-01-03', 'd', now() AT TIME ZONE 'UTC')")
    assert list(ticks.tick()) == ["2024-01-03"]
    assert ticks.tick() == {}


@pytest.mark.postgresql
def test_a_late_row_belongs_to_the_day_of_the_partitions_time_zone(
    instance: dg.DagsterInstance, server: Server, sql: Any
) -> None:
    ticks = settled(instance, by_day(server, partitions_def=BERLIN), newest=1, others=2)
    sql("INSERT INTO orders VALUES (77, '2024-01-03 23:30Z', '2024-01-03', 'd', now() AT TIME ZONE 'UTC')")
    assert list(ticks.tick()) == ["2024-01-04"]


@pytest.mark.postgresql
def test_a_row_that_was_deleted_is_found_when_its_partition_has_its_turn(
    instance: dg.DagsterInstance, server: Server, sql: Any
) -> None:
    ticks = settled(instance, by_day(server), newest=1, others=3)
    sql("DELETE FROM orders WHERE id = 2")
    seen = [version for _ in range(3) for version in ticks.tick().items()]
    assert seen == [("2024-01-03", "0 rows")]


@pytest.mark.postgresql
def test_late_rows_are_found_in_partitions_whose_keys_are_hostile_texts(
    instance: dg.DagsterInstance, server: Server, sql: Any
) -> None:
    shops = dg.StaticPartitionsDefinition(["a'b|c", "x'; DROP TABLE orders; --", "d"])
    source = by_day(server, partitions_def=shops, partition_expr="shop")
    ticks = settled(instance, source, newest=1, others=1)
    sql("UPDATE orders SET modified = now() AT TIME ZONE 'UTC' WHERE id = 1")
    assert list(ticks.tick()) == ["a'b|c"]


@pytest.mark.postgresql
def test_late_rows_are_found_in_partitions_of_two_dimensions(
    instance: dg.DagsterInstance, server: Server, sql: Any
) -> None:
    both = dg.MultiPartitionsDefinition({"day": DAYS, "shop": dg.StaticPartitionsDefinition(["a", "d"])})
    expressions = {"day": "at", "shop": "shop"}
    source = by_day(server, partitions_def=both, partition_expr=expressions)
    ticks = settled(instance, source, newest=1, others=20)
    sql("INSERT INTO orders VALUES (77, '2024-01-03 08:00Z', '2024-01-03', 'a', now() AT TIME ZONE 'UTC')")
    assert list(ticks.tick()) == ["2024-01-03|a"]
    assert ticks.tick() == {}


@pytest.mark.postgresql
def test_a_table_that_is_gone_is_named_and_does_not_stop_the_others(
    instance: dg.DagsterInstance, server: Server, sql: Any
) -> None:
    sql("CREATE TABLE shops (n int)")
    source = orders(server)
    database: Any = source.relation.system
    ticks = Ticks(instance, source, Source("shops", database.table("public.shops")))
    sql("DROP TABLE orders")
    assert ticks.tick() == {}  # a table without rows has not come yet
    assert ticks.message is not None
    assert ticks.message.startswith("Nothing changed in 1 source. orders was not looked at: ")
    assert server.password not in ticks.message


@pytest.mark.postgresql
def test_a_server_that_is_down_fails_the_tick_without_its_password(
    instance: dg.DagsterInstance,
) -> None:
    with Server() as server:
        server.execute("CREATE TABLE orders (n int)")
        ticks = Ticks(instance, orders(server))
        ticks.tick()
    with pytest.raises(SourceFailed) as failure:
        ticks.tick()
    assert "orders: " in str(failure.value)
    assert server.password not in str(failure.value)


def test_changes_and_late_rows_of_mysql_are_found(instance: dg.DagsterInstance, mariadb: MariaDB) -> None:
    mariadb.execute("CREATE DATABASE late")
    mariadb.execute(
        "CREATE TABLE orders (id int PRIMARY KEY, day date, modified datetime(6))", database="late"
    )
    values = ", ".join(f"({n}, '2024-01-{n:02}', '2024-02-01')" for n in range(1, 11))
    mariadb.execute(f"INSERT INTO orders VALUES {values}", database="late")
    database = MySQL(
        host=mariadb.host,
        port=mariadb.port,
        database="late",
        user=mariadb.user,
        password=mariadb.password,
    )
    options = {"partitions_def": DAYS, "partition_expr": "day", "updated_at": "modified"}
    ticks = settled(instance, Source("orders", database.table("orders"), **options), newest=1, others=3)
    mariadb.execute("INSERT INTO orders VALUES (77, '2024-01-02', utc_timestamp(6))", database="late")
    assert list(ticks.tick()) == ["2024-01-02"]
    mariadb.execute("DELETE FROM orders WHERE id = 10", database="late")
    assert ticks.tick() == {"2024-01-10": "0 rows"}
