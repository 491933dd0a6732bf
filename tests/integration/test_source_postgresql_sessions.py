"""Sessions with a real PostgreSQL: one snapshot, lost connections, refused logins, and versions."""

import datetime as dt
import itertools
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from practicus_assets.errors import DeclarationError, SourceChanged, SourceFailed
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.sources.postgresql import login
from practicus_assets.sources.postgresql.session import PostgreSQLSession
from practicus_assets.sources.postgresql.system import PostgreSQL
from tests.integration.shop import WHOLE, system, table_of, values
from tests.servers.postgresql import PostgreSQL as Server

STRANGER = {"password": "h"}
MANY = "SELECT n, repeat('x', 1000) AS text FROM generate_series(1, 100000) AS n"


@pytest.fixture(scope="module")
def server(postgresql: Server) -> Iterator[Server]:
    yield postgresql
    postgresql.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")


@pytest.fixture
def numbers(server: Server) -> Server:
    server.execute(
        "DROP TABLE IF EXISTS numbers CASCADE; "
        "CREATE TABLE numbers AS SELECT n FROM generate_series(1, 9) AS n"
    )
    return server


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "_SHORTEST_PAUSE_S", 0.001)


def backends(server: Server, application: str, condition: str = "true") -> list[int]:
    found = server.execute(
        f"SELECT pid FROM pg_stat_activity WHERE application_name = '{application}' AND {condition} "
        "ORDER BY pid"
    )
    return [pid for (pid,) in found]


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def count(session: PostgreSQLSession, shop: PostgreSQL, table: str = "numbers") -> int:
    return shop.table(table).read(session, WHOLE).read_all().num_rows


def test_all_reads_of_a_session_and_of_those_that_share_it_see_one_snapshot(numbers: Server) -> None:
    shop = system(numbers)
    with shop.session() as first:
        numbers.execute(
            "DELETE FROM numbers WHERE n > 5; INSERT INTO numbers SELECT 7 FROM generate_series(1, 99)"
        )
        with shop.session(first.state) as second:
            assert count(first, shop) == count(second, shop) == 9
            numbers.execute("DELETE FROM numbers")
            assert count(first, shop) == count(second, shop) == 9
    assert table_of(shop.table("numbers")).num_rows == 0


def test_a_snapshot_whose_session_is_over_is_gone(numbers: Server) -> None:
    shop = system(numbers)
    with shop.session() as first:
        state = first.state
    for gone in (state, "no snapshot'; DROP TABLE numbers; --"):
        with pytest.raises(SourceChanged, match=r"is gone: .* Run again"), shop.session(gone):
            pass
    assert table_of(shop.table("numbers")).num_rows == 9


def test_another_snapshot_of_the_same_name_is_not_taken_for_the_one_before(numbers: Server) -> None:
    shop = system(numbers)
    with shop.session() as before:
        numbers.execute("INSERT INTO numbers VALUES (10)")
        with shop.session() as after:
            assert before.state is not None
            assert after.state is not None
            # as it is when a server that crashed begins to count its names anew
            confused = f"{after.state.partition('@')[0]}@{before.state.partition('@')[2]}"
            with pytest.raises(SourceChanged, match=r"has its name by now.* Run again"):
                shop.session(confused).__enter__()
            with shop.session(before.state) as one, shop.session(after.state) as other:
                assert (count(one, shop), count(other, shop)) == (9, 10)


def test_streams_of_one_session_are_read_side_by_side(numbers: Server) -> None:
    shop = system(numbers)
    with shop.session() as session:
        streams = [shop.query(MANY).read(session, WHOLE) for _ in range(2)]
        rows = [0, 0]
        for batches in itertools.zip_longest(*streams):
            for number, batch in enumerate(batches):
                rows[number] += batch.num_rows if batch is not None else 0
        assert rows == [100000, 100000]


def test_a_stream_that_nobody_reads_on_ends_its_query_at_once(numbers: Server) -> None:
    shop = system(numbers, application_name="half read")
    with shop.session() as session:
        stream = shop.query(MANY).read(session, WHOLE)
        stream.read_next_batch()
        assert len(backends(numbers, "half read", "state = 'active'")) == 1
        started = time.monotonic()
        del stream
        wait_until(lambda: len(backends(numbers, "half read")) == 1)
        assert time.monotonic() - started < 10
        assert count(session, shop) == 9
        stream = shop.query(MANY).read(session, WHOLE)
        stream.read_next_batch()
    wait_until(lambda: backends(numbers, "half read") == [])
    with pytest.raises(SourceFailed, match="the session is closed"):
        stream.read_all()


def test_a_session_is_read_only(numbers: Server) -> None:
    numbers.execute(
        "CREATE OR REPLACE FUNCTION spoil() RETURNS int LANGUAGE sql AS 'DELETE FROM numbers RETURNING 1'"
    )
    with pytest.raises(SourceFailed, match="cannot execute DELETE in a read-only transaction"):
        table_of(system(numbers).query("SELECT spoil() AS c"))
    assert table_of(system(numbers).table("numbers")).num_rows == 9


def test_a_table_that_is_emptied_after_the_snapshot_does_not_seem_empty(numbers: Server) -> None:
    shop = system(numbers)
    numbers.execute("CREATE VIEW odd AS SELECT n FROM numbers WHERE n % 2 = 1")
    for relation in (shop.table("numbers"), shop.table("odd"), shop.query("SELECT max(n) AS n FROM numbers")):
        with shop.session() as session:
            numbers.execute("TRUNCATE numbers; INSERT INTO numbers VALUES (1)")
            with pytest.raises(SourceChanged, match=r"numbers of .* changed by TRUNCATE"):
                relation.read(session, WHOLE).read_all()


def test_a_column_that_is_dropped_after_the_snapshot_is_a_change(numbers: Server) -> None:
    shop = system(numbers)
    with shop.session() as session:
        numbers.execute("ALTER TABLE numbers ADD other int; ALTER TABLE numbers DROP n")
        with pytest.raises(
            SourceChanged, match=r'numbers of .* changed while it was read: column "n" does not exist'
        ):
            shop.table("numbers").read(session, WHOLE).read_all()
    assert table_of(shop.table("numbers")).schema.names == ["other"]


def test_a_backend_that_is_killed_half_way_fails_the_stream_by_name(numbers: Server) -> None:
    shop = system(numbers, application_name="killed half-way")
    numbers.execute(f"CREATE VIEW many AS {MANY}")
    with shop.session() as session:
        stream = shop.table("many").read(session, WHOLE)
        stream.read_next_batch()
        [pid] = backends(numbers, "killed half-way", "state = 'active'")
        numbers.execute(f"SELECT pg_terminate_backend({pid})")
        with pytest.raises(
            SourceFailed, match=r"the connection was lost while many of postgresql://.* was read: .*"
        ):
            stream.read_all()
        assert count(session, shop) == 9  # the snapshot is still there


def test_a_connection_that_is_lost_before_the_first_row_is_made_again(numbers: Server) -> None:
    shop = system(numbers, application_name="killed early")
    with shop.session() as session:
        assert count(session, shop) == 9
        numbers.execute("DELETE FROM numbers")
        [*_, streaming] = backends(numbers, "killed early", "query !~ 'pg_locks'")
        numbers.execute(f"SELECT pg_terminate_backend({streaming})")
        wait_until(lambda: streaming not in backends(numbers, "killed early"))
        assert count(session, shop) == 9


def test_without_the_connection_that_holds_the_snapshot_nothing_new_is_read(numbers: Server) -> None:
    shop = system(numbers, application_name="holder")
    with shop.session() as session:
        relation = shop.table("numbers")
        stream = relation.read(session, WHOLE)
        for pid in backends(numbers, "holder"):
            numbers.execute(f"SELECT pg_terminate_backend({pid})")
        wait_until(lambda: backends(numbers, "holder") == [])
        with pytest.raises(SourceFailed, match=r"is gone|connection"):
            stream.read_all()


@pytest.mark.parametrize("way", ["variable", "file", "text", "url", "url variable"])
def test_a_wrong_password_is_clear_and_shown_nowhere(
    server: Server, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "s3cr%t/p@ss"  # noqa: S105 it is wrong
    place = f"{server.host}:{server.port}/postgres"
    url = f"postgresql+psycopg2://{server.user}:s3cr%25t%2Fp%40ss@{place}"
    monkeypatch.setenv("SHOP_PASSWORD", secret)
    monkeypatch.setenv("SHOP_URL", url)
    (tmp_path / "password").write_text(secret + "\n")
    shop = {
        "variable": lambda: system(server, password=dg.EnvVar("SHOP_PASSWORD")),
        "file": lambda: system(server, password=tmp_path / "password"),
        "text": lambda: system(server, password=secret),
        "url": lambda: PostgreSQL.from_url(url),
        "url variable": lambda: PostgreSQL.from_url(dg.EnvVar("SHOP_URL")),
    }[way]()
    with pytest.raises(SourceFailed) as refused:
        table_of(shop.table("numbers"))
    assert f'cannot be reached: connection to server at "{server.host}", port {server.port} failed' in str(
        refused.value
    )
    assert f'password authentication failed for user "{server.user}"' in str(refused.value)
    shown = (
        "".join(traceback.format_exception(refused.value))
        + repr(shop)
        + repr(shop.table("a"))
        + str(shop.pool)
    )
    assert "s3cr" not in shown
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


def test_the_right_password_may_have_any_character(server: Server) -> None:
    odd = "a'b\\ c%/@:?#&=ü"
    server.execute("CREATE ROLE odd LOGIN; ALTER ROLE odd PASSWORD " + "'a''b\\ c%/@:?#&=ü'")
    assert values(system(server, user="odd", password=odd).query("SELECT current_user::text AS u")) == ["odd"]
    from urllib.parse import quote

    url = f"postgres://odd:{quote(odd, safe='')}@{server.host}:{server.port}/postgres?application_name=mine"
    names = "SELECT current_setting('application_name') AS name"
    assert values(PostgreSQL.from_url(url).query(names)) == ["mine"]


@pytest.mark.parametrize(
    "url",
    ["mysql://u:s3cret@h/d", "u:s3cret@h", "postgresql://u:s3cret%zz@h/d", "postgresql://u:s3cret@h:x/d"],
)
def test_a_url_that_libpq_cannot_read_is_not_repeated(url: str) -> None:
    with pytest.raises((SourceFailed, DeclarationError)) as refused, PostgreSQL.from_url(url).session():
        pass
    assert "s3cret" not in "".join(traceback.format_exception(refused.value))


def test_a_credential_that_is_not_there_is_named(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOP_PASSWORD", raising=False)
    shop = system(server, password=dg.EnvVar("SHOP_PASSWORD"))
    with (
        pytest.raises(DeclarationError, match="environment variable SHOP_PASSWORD, which is not set"),
        shop.session(),
    ):
        pass


def test_nobody_answers_is_said_after_some_attempts() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        shop = PostgreSQL(host="127.0.0.1", port=closed.getsockname()[1], connect_attempts=3)
        with pytest.raises(SourceFailed, match=r"Connection refused.*\(attempt 3\)"), shop.session():
            pass


def test_a_server_that_comes_up_meanwhile_is_waited_for(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = system(server, connect_attempts=3)
    ports = iter([1, 1, server.port])
    conninfo = PostgreSQL.conninfo

    def moving(self: PostgreSQL) -> tuple[str, tuple[str, ...]]:
        text, secrets = conninfo(self)
        return text.replace(f"port='{server.port}'", f"port='{next(ports)}'"), secrets

    monkeypatch.setattr(PostgreSQL, "conninfo", moving)
    with shop.session() as session:
        assert session.state
    assert next(ports, None) is None


def test_a_server_that_accepts_and_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        shop = PostgreSQL(
            host="127.0.0.1", port=silent.getsockname()[1], connect_attempts=1, connect_timeout_s=2
        )
        with pytest.raises(SourceFailed, match="timeout expired"), shop.session():
            pass


def test_rows_that_do_not_come_in_time_are_given_up(server: Server) -> None:
    shop = system(server, read_timeout_s=0.5, application_name="slow")
    with pytest.raises(SourceFailed, match=r"did not answer within 0\.5 s"):
        table_of(shop.query("SELECT 1 AS c FROM pg_sleep(600)"))
    wait_until(lambda: backends(server, "slow", "state = 'active'") == [])


def test_limits_of_the_role_do_not_cut_a_stream(server: Server) -> None:
    server.execute("CREATE ROLE hasty LOGIN PASSWORD 'h'; ALTER ROLE hasty SET statement_timeout = '50ms'")
    shop = system(server, user="hasty", **STRANGER)
    assert values(shop.query("SELECT 1 AS c FROM pg_sleep(0.3)")) == [1]


def test_a_table_that_may_not_be_read_is_named(numbers: Server) -> None:
    numbers.execute("CREATE ROLE stranger LOGIN PASSWORD 'h'; GRANT USAGE ON SCHEMA public TO stranger")
    shop = system(numbers, user="stranger", **STRANGER)
    with pytest.raises(
        SourceFailed, match=r"numbers of .* permission denied for table numbers. .*GRANT SELECT"
    ):
        table_of(shop.table("public.numbers"))


def test_a_view_that_fails_says_what_the_database_says(numbers: Server) -> None:
    numbers.execute("CREATE VIEW broken AS SELECT 1 / (n - 5) AS c FROM numbers")
    with pytest.raises(SourceFailed, match=r"broken of postgresql://.* cannot be read: division by zero."):
        table_of(system(numbers).table("broken"))


def test_without_the_driver_the_extra_to_install_is_named(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql", None)
    with (
        pytest.raises(DeclarationError, match=r"pip install 'practicus-assets\[postgresql\]'"),
        system(server).session(),
    ):
        pass


def versions(shop: PostgreSQL, scopes: list[Scope], updated_at: str | None = None) -> list[str]:
    with shop.session() as session:
        return shop.table("dated").versions(session, scopes, updated_at)


@pytest.fixture
def dated(server: Server) -> Server:
    server.execute(
        "DROP TABLE IF EXISTS dated; CREATE TABLE dated AS SELECT n AS id, "
        "date '2026-01-01' + n % 300 AS day, "
        "timestamptz '2026-01-01 00:00Z' + n * interval '1 hour' AS modified, n * 0.1::float8 AS f, "
        "interval '1 day' * n AS i, '\\x00ff'::bytea AS b FROM generate_series(1, 3000) AS n"
    )
    return server


@pytest.mark.parametrize("updated_at", [None, "modified", "modified at time zone 'UTC'"])
def test_the_version_of_a_partition_changes_with_its_rows_alone(
    dated: Server, updated_at: str | None
) -> None:
    shop = system(dated)
    keys = [dt.date(2026, 1, 1) + dt.timedelta(number) for number in range(301)]
    scopes = [scope for key in keys if (scope := Scope.of([key], ["day"])) is not None]
    before = versions(shop, scopes, updated_at)
    assert before[-1] == "0 rows"
    assert len(set(before[:-1])) == 300
    dated.execute("UPDATE dated SET f = f + 1, modified = now() WHERE id = 5")
    after = versions(shop, scopes, updated_at)
    assert [number for number in range(301) if before[number] != after[number]] == [5]
    dated.execute("DELETE FROM dated WHERE id = 7")
    last = versions(shop, scopes, updated_at)
    assert [number for number in range(301) if last[number] != after[number]] == [7]
    assert versions(shop, [], updated_at) == []


def test_the_version_of_all_rows_depends_neither_on_order_nor_on_settings(dated: Server) -> None:
    dated.execute(
        "DROP ROLE IF EXISTS abroad; CREATE ROLE abroad LOGIN PASSWORD 'h' IN ROLE pg_read_all_data"
    )
    for setting in (
        "TimeZone = 'Asia/Tokyo'",
        "DateStyle = 'SQL, DMY'",
        "extra_float_digits = -10",
        "IntervalStyle = 'sql_standard'",
        "bytea_output = 'escape'",
    ):
        dated.execute(f"ALTER ROLE abroad SET {setting}")
    before = versions(system(dated), [WHOLE])
    assert before == versions(system(dated, user="abroad", **STRANGER), [WHOLE])
    dated.execute(
        "CREATE TABLE again AS SELECT * FROM dated ORDER BY id DESC; "
        "DROP TABLE dated; ALTER TABLE again RENAME TO dated"
    )
    assert before == versions(system(dated), [WHOLE])


def test_the_partitions_of_changed_rows_are_found(dated: Server) -> None:
    shop = system(dated)
    since = dt.datetime(2026, 5, 5, 22, tzinfo=dt.UTC)  # of row 2998, which is included
    with shop.session() as session:
        for updated_at in ("modified", "modified at time zone 'UTC'"):
            found = shop.table("dated").changed(session, ["day", "id % 2"], updated_at, since).read_all()
            assert found.schema == pa.schema([("day", pa.date32()), ("id % 2", pa.int32())])
            days = [dt.date(2026, 1, 1) + dt.timedelta(number) for number in (298, 299, 0)]
            expected = sorted(zip(days, (0, 1, 0), strict=True))
            assert sorted(zip(*(column.to_pylist() for column in found.columns), strict=True)) == expected
        assert shop.table("dated").changed(session, ["b"], "day", since).read_all().num_rows == 1
        with pytest.raises(DeclarationError, match="'id' of dated is of type integer, which is no time"):
            shop.table("dated").changed(session, ["day"], "id", since)


def test_what_a_session_is_called_in_the_database(server: Server) -> None:
    query = "SELECT current_setting('application_name') AS name, current_setting('TimeZone') AS zone"
    [row] = table_of(system(server).query(query)).to_pylist()
    assert row == {"name": "practicus_assets", "zone": "UTC"}
