"""The one state of a run on systems that have no snapshots to hand over: files, and MariaDB."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from practicus_assets import Files, MySQL, Source, table_asset
from practicus_assets.external.kept_state import KeptState
from practicus_assets.workers.launch import variables
from tests.integration.bench import Bench, errors
from tests.servers.mariadb import MariaDB

OLD_S = 1_700_000_000  # a time at which nothing else was written


def put(folder: Path, name: str, n: int, *, at: int = OLD_S) -> None:
    """Write a file that looks as if it were written then."""
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table({"n": [n]}), folder / name)
    os.utime(folder / name, (at, at))


@table_asset
def copy(orders: pa.RecordBatchReader) -> pa.RecordBatchReader:
    return orders


def said(result: Any, step: str) -> str:
    """Return what the input of a step says of the state that it read."""
    [event] = [e for e in result.events_for_node(step) if e.event_type_value == "LOADED_INPUT"]
    return str(event.event_specific_data.metadata["source/consistency"].value)


# --- Files --------------------------------------------------------------------------------------------------


def test_a_step_in_a_process_of_its_own_reads_the_files_that_its_run_has_listed(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "raw", "a.parquet", 1)
    orders = Source("orders", Files(str(tmp_path / "raw")).files("*.parquet"))
    kept = KeptState(orders.relation.system, [orders.relation])
    put(tmp_path / "raw", "b.parquet", 2, at=OLD_S + 9)
    told = {orders.relation.system.address: {"text": kept.text}}
    monkeypatch.setenv(variables.HELD, json.dumps(told))
    result = bench.run([orders, copy])
    assert bench.rows("copy") == [(1,)]
    assert said(result, "copy") == "every step of the run reads this state"
    assert kept.is_open()
    put(tmp_path / "raw", "a.parquet", 3, at=OLD_S + 99)
    assert not kept.is_open()
    message = errors(bench.run([orders, copy], fails=True))
    assert "SourceChanged: orders: of the 1 file of" in message
    monkeypatch.delenv(variables.HELD)
    bench.run([orders, copy])
    assert bench.rows("copy") == [(2,), (3,)]


def test_a_retry_lists_files_again_that_changed_after_the_listing(bench: Bench, tmp_path: Path) -> None:
    put(tmp_path / "raw", "a.parquet", 1)
    put(tmp_path / "raw", "b.parquet", 2)
    attempts = []

    @table_asset(retry_policy=dg.RetryPolicy(max_retries=1))
    def copy(orders: pa.RecordBatchReader) -> Iterator[Any]:
        attempts.append(1)
        for batch in orders:
            if len(attempts) == 1:
                put(tmp_path / "raw", "b.parquet", 3, at=OLD_S + 99)
            yield batch

    bench.run([Source("orders", Files(str(tmp_path / "raw")).files("*.parquet")), copy])
    assert (len(attempts), bench.rows("copy")) == (2, [(1,), (3,)])


# --- MariaDB ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDB]:
    with MariaDB() as server:
        yield server


def test_steps_in_one_process_read_one_state_of_mariadb(bench: Bench, server: MariaDB) -> None:
    server.execute("CREATE DATABASE shop")
    server.execute("CREATE TABLE orders (n int) ENGINE=InnoDB", database="shop")
    server.execute("INSERT INTO orders VALUES (1), (2)", database="shop")
    login = {"user": server.user, "password": server.password}
    shop = MySQL(host=server.host, port=server.port, database="shop", **login)

    @table_asset
    def early(orders: pa.RecordBatchReader) -> Iterator[Any]:
        yield from orders
        server.execute("DELETE FROM orders", database="shop")

    @table_asset(deps=["early"])
    def late(orders: pa.RecordBatchReader) -> pa.RecordBatchReader:
        return orders

    result = bench.run([Source("orders", shop.table("orders")), early, late])
    assert bench.rows("late") == [(1,), (2,)]
    assert said(result, "late") == "every step of the run reads this state"
    assert server.execute("SELECT count(*) FROM orders", database="shop") == [(0,)]
