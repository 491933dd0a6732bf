"""The pool of a source's system: how many steps read it at once, over all runs."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest

from practicus_assets import Source, table_asset
from tests.integration.bench import Bench
from tests.integration.shelf import Shelf

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-05")
POOL = "source/shelf"


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """An instance that has pools, as one on PostgreSQL: Dagster's default storage has none."""
    folder = str(tmp_path_factory.mktemp("instance"))
    storage = {
        "module": "dagster._core.storage.event_log",
        "class": "ConsolidatedSqliteEventLogStorage",
        "config": {"base_dir": folder},
    }
    with dg.DagsterInstance.local_temp(folder, overrides={"event_log_storage": storage}) as instance:
        yield instance


@pytest.fixture
def limited(tmp_path: Path) -> Shelf:
    """A shelf whose readers a pool bounds."""
    shelf = Shelf(tmp_path / "shelf", limited=True)
    shelf.put(orders=pa.table({"day": [f"2024-01-0{n}" for n in (1, 2, 3)], "n": [1, 2, 3]}))
    return shelf


def copy(annotation: Any = pd.DataFrame, **options: Any) -> dg.AssetsDefinition:
    """Return a table asset that copies its input `orders`."""

    def function(orders: Any) -> Any:
        return orders

    function.__annotations__["orders"] = annotation
    return table_asset(name="copy", **options)(function)


def slots(instance: dg.DagsterInstance) -> tuple[int, int]:
    """Return how many slots of the pool are taken, and how many steps wait for one."""
    info = instance.event_log_storage.get_concurrency_info(POOL)
    return info.active_slot_count, info.pending_step_count


def test_a_step_waits_for_a_slot_of_the_pool_before_it_connects(bench: Bench, limited: Shelf) -> None:
    storage = bench.instance.event_log_storage
    storage.set_concurrency_slots(POOL, 1)
    assert storage.claim_concurrency_slot(POOL, "another run", "step").is_claimed
    run = Thread(target=bench.run, args=([Source("orders", limited.table("orders")), copy()],))
    run.start()
    while slots(bench.instance) != (1, 1):
        assert run.is_alive()
    assert limited.lines == []
    storage.free_concurrency_slot_for_step("another run", "step")
    run.join()
    assert bench.rows("copy", "n") == [(1,), (2,), (3,)]
    assert slots(bench.instance) == (0, 0)


def test_a_run_that_observes_a_source_waits_for_a_slot_too(
    instance: dg.DagsterInstance, limited: Shelf
) -> None:
    instance.wipe()
    storage = instance.event_log_storage
    storage.set_concurrency_slots(POOL, 1)
    assert storage.claim_concurrency_slot(POOL, "another run", "step").is_claimed
    definitions = dg.Definitions([Source("orders", limited.table("orders"))])
    job = definitions.resolve_implicit_global_asset_job_def()
    run = Thread(target=job.execute_in_process, kwargs={"instance": instance})
    run.start()
    while slots(instance) != (1, 1):
        assert run.is_alive()
    assert limited.lines == []
    storage.free_concurrency_slot_for_step("another run", "step")
    run.join()
    assert len(instance.fetch_observations(dg.AssetKey("orders"), limit=9).records) == 1
    assert slots(instance) == (0, 0)


def test_a_slot_is_held_until_the_stream_of_the_step_ends(bench: Bench, limited: Shelf) -> None:
    seen = []

    @table_asset
    def copy(orders: pa.RecordBatchReader) -> Iterator[Any]:
        for batch in orders:
            seen.append(slots(bench.instance)[0])
            yield batch
        seen.append(slots(bench.instance)[0])

    bench.instance.event_log_storage.set_concurrency_slots(POOL, 1)
    bench.run([Source("orders", limited.table("orders")), copy])
    assert seen == [1, 1, 1]
    assert slots(bench.instance) == (0, 0)


@pytest.mark.parametrize("annotation", [pd.DataFrame, pa.RecordBatchReader])
def test_a_step_that_fails_gives_its_slot_back(bench: Bench, limited: Shelf, annotation: Any) -> None:
    bench.instance.event_log_storage.set_concurrency_slots(POOL, 1)
    dying = Source("orders", limited.table("orders", fails_after=1))
    for _ in range(2):
        bench.run([dying, copy(annotation)], fails=True)
    assert slots(bench.instance) == (0, 0)


def test_a_table_that_names_the_pool_itself_takes_one_slot(bench: Bench, limited: Shelf) -> None:
    bench.instance.event_log_storage.set_concurrency_slots(POOL, 1)
    bench.run([Source("orders", limited.table("orders")), copy(pool=POOL)])
    assert bench.rows("copy", "n") == [(1,), (2,), (3,)]


@pytest.mark.slow
def test_runs_of_many_partitions_at_once_open_no_more_connections_than_the_pool_allows(
    limited: Shelf, tmp_path: Path
) -> None:
    # of files: the threads of an instance in memory share one connection, and so each other's transactions
    (tmp_path / "home").mkdir()
    bench = Bench(dg.DagsterInstance.local_temp(str(tmp_path / "home")), str(tmp_path / "lake"))
    bench.instance.event_log_storage.set_concurrency_slots(POOL, 2)
    orders = Source("orders", limited.table("orders"), partitions_def=DAYS, partition_expr="day")
    assets = [orders, copy(pa.RecordBatchReader, partitions_def=DAYS, partition_by="day")]
    days = [f"2024-01-0{n}" for n in (1, 2, 3, 4)]
    with ThreadPoolExecutor(len(days)) as threads:
        list(threads.map(lambda day: bench.run(assets, partition=day), days))
    assert bench.rows("copy", "n") == [(1,), (2,), (3,)]
    assert len(limited.lines) == 2 * len(days)
    assert max(int(line.split()[2]) for line in limited.lines) <= 2
