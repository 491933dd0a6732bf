"""Sources on a real PostgreSQL server: one state a run, a server that breaks off, and no secret anywhere."""

import datetime as dt
import runpy
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from practicus_assets import PostgreSQL, Source, table_asset
from practicus_assets.components import Sources
from practicus_assets.starters.here import Project
from practicus_assets.starters.project import project_starter
from practicus_assets.starters.source import source_addition
from practicus_assets.starters.system import SYSTEMS
from tests.integration import postgresql_jobs
from tests.integration.bench import Bench, errors
from tests.servers.postgresql import PostgreSQL as Server

pytestmark = pytest.mark.postgresql
DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-05", timezone="Europe/Istanbul")
ROWS = 40_000  # of 1 kB: more than what is on its way before the first are taken


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def database(server: Server, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of its own, in which a table `orders` has three rows, and `numbers` has many."""
    name = request.node.name.partition("[")[0][:60]
    server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    server.create_database(name)
    server.execute("CREATE TABLE orders (id bigint, at timestamptz, amount numeric(10, 2))", name)
    server.execute(
        "INSERT INTO orders VALUES (1, '2024-01-01 21:30Z', 1.50), (2, '2024-01-02 20:59Z', 2.50), "
        "(3, '2024-01-02 21:00Z', 3.50)",
        name,
    )
    server.execute(
        f"CREATE TABLE numbers AS SELECT n, repeat('x', 1000) FROM generate_series(1, {ROWS}) n", name
    )
    yield name
    assert connections(server, name) == 0


def connections(server: Server, database: str) -> int:
    """Return how many connections this package has there."""
    [(count,)] = server.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'practicus_assets' "
        f"AND datname = '{database}'"
    )
    return int(count)


def shop(server: Server, database: str, **options: Any) -> PostgreSQL:
    login = {"user": server.user, "password": server.password, "connect_attempts": 1, **options}
    return PostgreSQL(host=server.host, port=server.port, database=database, **login)


@table_asset
def copy(orders: pa.RecordBatchReader) -> pa.RecordBatchReader:
    return orders


def test_a_table_is_read_with_its_types(bench: Bench, server: Server, database: str) -> None:
    bench.run([Source("orders", shop(server, database).table("public.orders")), copy])
    schema = pa.schema(bench.table("copy").schema().to_arrow())
    assert schema.field("amount").type == pa.decimal128(10, 2)
    assert schema.field("at").type == pa.timestamp("us", "UTC")
    assert bench.rows("copy", "id", "amount")[0] == (1, Decimal("1.50"))


def test_a_day_is_that_of_the_partitions_time_zone(bench: Bench, server: Server, database: str) -> None:
    table = shop(server, database).table("public.orders")
    source = Source("orders", table, partitions_def=DAYS, partition_expr="at")

    @table_asset(partitions_def=DAYS, partition_by="day")
    def copy(orders: pd.DataFrame) -> pd.DataFrame:
        return orders

    bench.run([source, copy], partition="2024-01-02")
    assert bench.rows("copy", "id", "day") == [(1, dt.date(2024, 1, 2)), (2, dt.date(2024, 1, 2))]


def test_an_expression_of_the_system_tells_partitions_apart(
    bench: Bench, server: Server, database: str
) -> None:
    sizes = dg.StaticPartitionsDefinition(["small", "large"])
    size = "CASE WHEN amount > 2 THEN 'large' ELSE 'small' END"
    table = shop(server, database).table("public.orders")
    source = Source("orders", table, partitions_def=sizes, partition_expr=size)

    @table_asset(partitions_def=sizes, partition_by="size")
    def copy(orders: pd.DataFrame) -> pd.DataFrame:
        return orders

    bench.run([source, copy], partition="large")
    assert bench.rows("copy", "id", "size") == [(2, "large"), (3, "large")]


def test_what_a_query_leaves_open_is_declared_at_the_source(
    bench: Bench, server: Server, database: str
) -> None:
    query = shop(server, database).query("SELECT sum(id) AS total FROM orders")
    bench.run([Source("orders", query, columns={"total": "decimal128(20, 0)"}), copy])
    assert bench.rows("copy") == [(Decimal(6),)]


def test_a_wrong_password_is_named_and_shown_nowhere(bench: Bench, server: Server, database: str) -> None:
    wrong = shop(server, database, password="hunter22-is-wrong")  # noqa: S106
    result = bench.run([Source("orders", wrong.table("public.orders")), copy], fails=True)
    message = errors(result)
    assert f"orders: postgresql://{server.host}:{server.port}/{database}" in message
    assert "password" in message
    log = "\n".join(str(entry) for entry in bench.instance.all_logs(result.run_id))
    assert "hunter22" not in message + log


def test_a_server_that_breaks_off_half_way_leaves_the_table_as_it_was(
    bench: Bench, server: Server, database: str
) -> None:
    numbers = Source("numbers", shop(server, database).table("public.numbers"))

    @table_asset
    def copy(numbers: pa.RecordBatchReader) -> Iterator[Any]:
        for count, batch in enumerate(numbers):
            if count == 0 and bench.exists("copy"):
                terminate(server, database)
            yield batch

    bench.run([numbers, copy])
    message = errors(bench.run([numbers, copy], fails=True))
    assert "numbers: the connection was lost while public.numbers of postgresql://" in message
    assert "Nothing was written." in message
    assert bench.version("copy") == 0
    assert bench.table("copy").to_pyarrow_dataset().count_rows() == ROWS


def test_a_retry_after_a_server_broke_off_reads_again(bench: Bench, server: Server, database: str) -> None:
    numbers = Source("numbers", shop(server, database).table("public.numbers"))
    attempts = []

    @table_asset(retry_policy=dg.RetryPolicy(max_retries=1))
    def copy(numbers: pa.RecordBatchReader) -> Iterator[Any]:
        attempts.append(1)
        for count, batch in enumerate(numbers):
            if (count, len(attempts)) == (0, 1):
                terminate(server, database)
            yield batch

    bench.run([numbers, copy])
    assert (len(attempts), bench.version("copy")) == (2, 0)
    assert bench.table("copy").to_pyarrow_dataset().count_rows() == ROWS


def terminate(server: Server, database: str) -> None:
    """End every connection of this package, as a server that is stopped does."""
    server.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        f"WHERE application_name = 'practicus_assets' AND datname = '{database}'"
    )


@pytest.mark.parametrize(
    "job",
    [
        postgresql_jobs.in_one_process,
        pytest.param(postgresql_jobs.in_workers, marks=[pytest.mark.process, pytest.mark.slow]),
    ],
    ids=["in_one_process", "in_workers"],
)
def test_a_table_that_changes_while_a_run_reads_it_is_read_in_one_state(
    tmp_path: Path, server: Server, database: str, monkeypatch: pytest.MonkeyPatch, job: Any
) -> None:
    monkeypatch.setenv("POSTGRESQL_PORT", str(server.port))
    monkeypatch.setenv("POSTGRESQL_PASSWORD", server.password)
    monkeypatch.setenv("POSTGRESQL_DATABASE", database)
    monkeypatch.setenv("LAKE", str(tmp_path / "lake"))
    with (
        dg.DagsterInstance.local_temp(str(tmp_path)) as instance,
        dg.execute_job(dg.reconstructable(job), instance) as result,
    ):
        assert result.success
        said = [
            event.event_specific_data.metadata["source/consistency"].value  # type: ignore[union-attr]
            for event in result.all_events
            if event.event_type_value == "LOADED_INPUT"
        ]
    assert said == ["every step of the run reads this state"] * 3
    assert server.execute("SELECT count(*) FROM orders", database) == [(0,)]
    rows = DeltaTable(str(tmp_path / "lake" / "late")).to_pyarrow_table().to_pydict()
    assert (sorted(rows["id"]), rows["doubled"]) == ([1, 2, 3], [3, 3, 3])


@pytest.mark.filterwarnings("ignore:`parse_obj_as` is deprecated")  # of resolve_from_dict, which Dagster has
def test_a_new_source_and_its_component_read_where_their_variables_lead(
    server: Server, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = SYSTEMS["postgresql"]
    login = {"host": server.host, "port": server.port, "database": database}
    login |= {"user": server.user, "password": server.password}
    for field, variable in system.login("orders").items():
        monkeypatch.setenv(variable.name, str(login[field]))
    project = project_starter("shop_of_sources").write(tmp_path)
    (project / "src/shop_of_sources/defs/orders.py").unlink()
    source_addition("orders", system, Project.around(project)).write(project)
    monkeypatch.syspath_prepend(str(project / "src"))
    try:
        test = runpy.run_path(str(project / "tests/test_orders.py"))
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "shop_of_sources"]:
            del sys.modules[name]
    assert test["reachable"]
    test["test_its_password_is_that_of_the_environment"]()
    test["test_its_first_rows_can_be_read"]()

    fields = {field: variable.as_yaml for field, variable in system.login("orders").items()}
    tables = {"orders": {"relation": system.relation("orders")}}
    component = Sources.resolve_from_dict({"postgresql": fields, "tables": tables})
    [source] = component.build_defs(dg.ComponentTree.for_test().load_context).assets or ()
    rows = []

    @dg.asset
    def read(orders: pd.DataFrame) -> None:
        rows.extend(orders["id"])

    assert dg.materialize([source, read]).success  # type: ignore[list-item]
    assert sorted(rows) == [1, 2, 3]
