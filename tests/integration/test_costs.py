"""What a run of one table costs in requests and hashed rows: guards that hold on any machine."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from cProfile import Profile
from datetime import date, timedelta
from pathlib import Path
from types import FunctionType
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from practicus_assets import Contract, DeltaIOManager, table_asset
from practicus_assets.assets.report.materialization import partition_metadata
from practicus_assets.errors import DeclarationError
from practicus_assets.instance.run_tags import RANGE_TAGS
from practicus_assets.lake.delta.data_file import DataFile
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.rows.fingerprints.hashes import hash_rows
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.stage import part
from practicus_assets.lake.transactions.transaction import Transaction
from tests.faults.proxy import FaultProxy
from tests.servers.seaweedfs import SeaweedFS

DAYS = dg.StaticPartitionsDefinition([f"d{number}" for number in range(60)])
ENTRY = re.compile(r"/_delta_log/\d{20}\.json")


@table_asset(partitions_def=DAYS, partition_by="day", contract=Contract(unique=[["day", "x"]]))
def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
    return rows(context.partition_key)


def rows(day: str) -> pd.DataFrame:
    return pd.DataFrame({"day": [day] * 10, "x": range(10)})


@pytest.fixture(scope="module")
def proxy(seaweedfs: SeaweedFS) -> Iterator[FaultProxy]:
    with FaultProxy(seaweedfs.endpoint) as running:
        yield running


class Lake:
    """A lake on S3 whose requests are counted."""

    def __init__(self, server: SeaweedFS, proxy: FaultProxy, name: str) -> None:
        self.root = f"{server.root_uri}/{name}"
        self._options, self._proxy = server.storage_options(proxy.endpoint), proxy

    def filled(self, commits: int, partitions: int = 1) -> "Lake":
        """Add commits of delta-rs, each with rows of as many partitions as there are to be, at most."""
        for number in range(commits):
            days = [f"d{part}" for part in range(partitions)] if number == 0 else ["d1"]
            frame = pa.Table.from_pandas(pd.concat(map(rows, days)), preserve_index=False)
            self._proxy.arm()
            write_deltalake(
                f"{self.root}/orders", frame, mode="append", partition_by="day", storage_options=self._options
            )
        return self

    def plain(self) -> Counter[str]:
        """Return the requests of a plain replacement of a partition."""
        frame = pa.Table.from_pandas(rows("d1"), preserve_index=False)
        self._proxy.arm()
        write_deltalake(
            f"{self.root}/orders",
            frame,
            mode="overwrite",
            predicate="day = 'd1'",
            storage_options=self._options,
        )
        return kinds(self._proxy.seen().requests)

    def run(self) -> Counter[str]:
        """Return the requests of a run that replaces a partition."""
        manager = DeltaIOManager(root_uri=self.root, storage_options=self._options)
        self._proxy.arm()
        assert dg.materialize([orders], partition_key="d1", resources={"io_manager": manager}).success
        return kinds(self._proxy.seen().requests)


def kinds(requests: list[str]) -> Counter[str]:
    """Count requests by what they are for."""
    return Counter(kind(request) for request in requests)


def kind(request: str) -> str:
    method, path = request.split()[:2]
    if method == "GET" and "list-type=2" in path:
        return "lists"
    if method == "GET" and ENTRY.search(path):
        return "log entries"
    if method in {"GET", "HEAD"}:
        return "other reads"
    return "commits" if ENTRY.search(path) else "writes"


@pytest.fixture(scope="module")
def warm(seaweedfs: SeaweedFS, proxy: FaultProxy) -> None:
    """Let this process find out once that the store honours conditions."""
    Lake(seaweedfs, proxy, "warm").run()


@pytest.mark.usefixtures("warm")
def test_a_run_replays_the_log_three_times_where_delta_rs_does_so_twice(
    seaweedfs: SeaweedFS, proxy: FaultProxy
) -> None:
    ours = {n: Lake(seaweedfs, proxy, f"ours{n}").filled(n).run() for n in (4, 8)}
    plain = {n: Lake(seaweedfs, proxy, f"plain{n}").filled(n).plain() for n in (4, 8)}
    assert ours[8] == {"log entries": 29, "lists": 5, "other reads": 3, "writes": 3, "commits": 1}
    assert plain[8] == {"log entries": 18, "lists": 4, "other reads": 1, "writes": 1, "commits": 1}
    assert ours[8]["log entries"] - ours[4]["log entries"] == 3 * 4
    assert plain[8]["log entries"] - plain[4]["log entries"] == 2 * 4


@pytest.mark.usefixtures("warm")
def test_the_requests_of_a_run_do_not_grow_with_the_partitions_of_the_table(
    seaweedfs: SeaweedFS, proxy: FaultProxy
) -> None:
    few, many = (Lake(seaweedfs, proxy, f"wide{n}").filled(2, partitions=n).run() for n in (2, 60))
    assert few == many


def test_each_row_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []

    def counted(batch: pa.RecordBatch, *rest: Any) -> Any:
        hashed.append(batch.num_rows)
        return hash_rows(batch, *rest)

    monkeypatch.setattr(part, "hash_rows", counted)
    manager = DeltaIOManager(root_uri=str(tmp_path))
    for _ in range(2):  # the second finds that nothing changes
        assert dg.materialize([orders], partition_key="d1", resources={"io_manager": manager}).success
    assert sum(hashed) == 2 * len(rows("d1"))


def test_the_report_of_many_partitions_does_not_cost_more_for_each(tmp_path: Path) -> None:
    calls = {count: _calls_of_report(Table.from_uri(tmp_path / str(count)), count) for count in (100, 200)}
    assert calls[200] < 2.2 * calls[100]


@table_asset(
    partitions_def=dg.DailyPartitionsDefinition("2020-01-01", end_date="2022-01-01"),
    partition_by="day",
    contract=Contract(unique=[["day", "x"]]),
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def visits(context: dg.AssetExecutionContext) -> pa.Table:
    days = [date.fromisoformat(key) for key in context.partition_keys]
    return pa.table({"day": days, "x": range(len(days))})


def test_a_run_of_a_range_lists_its_partitions_no_more_often_for_many(tmp_path: Path) -> None:
    few, many = (_lists_of_run(str(tmp_path / str(count)), count) for count in (3, 12))
    assert few == many > 0


@table_asset(
    partitions_def=visits.partitions_def, partition_by="day", backfill_policy=dg.BackfillPolicy.single_run()
)
def visitors(visits: pa.Table) -> pa.Table:
    return visits


@pytest.mark.parametrize(
    ("asset", "looks"),
    [(visits, (DataFile.__init__,)), (visitors, (DataFile.__init__, json.loads))],
    ids=["written", "read"],
)
def test_a_run_of_one_partition_looks_at_no_more_files_in_a_table_of_many(
    tmp_path: Path, asset: dg.AssetsDefinition, looks: tuple[FunctionType, ...]
) -> None:
    few, many = (_looks_of_run(tmp_path / str(count), count, asset, looks) for count in (3, 300))
    assert few == many > 0


@pytest.mark.parametrize("asset", [visits, visitors], ids=["written", "read"])
def test_a_run_reads_as_many_events_however_many_there_were_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asset: dg.AssetsDefinition
) -> None:
    read: list[int] = []

    def counted(fetch: Any) -> Any:
        def fetched(*asked: Any, **options: Any) -> Any:
            page = fetch(*asked, **options)
            read.append(len(page.records))
            return page

        return fetched

    for name in ("fetch_materializations", "fetch_run_status_changes"):
        monkeypatch.setattr(dg.DagsterInstance, name, counted(getattr(dg.DagsterInstance, name)))
    resources = {"io_manager": DeltaIOManager(root_uri=str(tmp_path))}
    tags = dict(zip(RANGE_TAGS, ("2020-01-01", "2020-01-05"), strict=True))
    of_runs = []
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(5):
            assert dg.materialize([visits], instance=instance, tags=tags, resources=resources).success
            read.clear()
            both = [visits, visitors]
            options: Any = {"instance": instance, "tags": tags, "resources": resources}
            assert dg.materialize(both, selection=[asset], **options).success
            of_runs.append(sum(read))
    assert of_runs[1:] == [of_runs[1]] * 4
    assert 0 < of_runs[1] <= 3 * 5


def _lists_of_run(root: str, count: int) -> int:
    """Return how often a run of so many days lists them, in Dagster too."""
    first = date(2020, 1, 1)
    tags = dict(zip(RANGE_TAGS, (str(first), str(first + timedelta(count - 1))), strict=True))
    return _calls_in_run(
        root, [dg.TimeWindowPartitionsDefinition.get_partition_keys_in_range], [visits], tags=tags
    )


def _looks_of_run(root: Path, count: int, asset: dg.AssetsDefinition, looks: tuple[FunctionType, ...]) -> int:
    """Return how often a run of a day calls some functions, where the table has so many days."""
    first = date(2020, 1, 1)
    days = [first + timedelta(number) for number in range(count)]
    write_deltalake(root / "visits", pa.table({"day": days, "x": range(1, count + 1)}), partition_by="day")
    assets = [asset, *([visits.to_source_asset()] if asset is not visits else [])]
    return _calls_in_run(str(root), looks, assets, partition_key=str(first), selection=[asset])


def _calls_in_run(root: str, functions: Sequence[Any], assets: Sequence[Any], **run: Any) -> int:
    """Return how often a run calls some functions, in Dagster too."""
    resources, counted = {"io_manager": DeltaIOManager(root_uri=root)}, Profile()
    with dg.DagsterInstance.ephemeral() as instance, counted:
        assert dg.materialize(assets, instance=instance, resources=resources, **run).success
    codes = {function.__code__ for function in functions}
    return sum(entry.callcount for entry in counted.getstats() if entry.code in codes)


def _calls_of_report(table: Table, count: int) -> int:
    """Return how many Python functions the metadata of a commit of so many partitions take."""
    days = [f"d{number}" for number in range(count)]
    scope = Scope.of(days, ["day"])
    transaction = Transaction(table, scope, WriteOptions(partition_by=["day"]))
    commit = transaction.write(pa.table({"day": days, "x": range(count)}))
    snapshot = Snapshot(transaction.at(commit), scope)
    counted = Profile()
    assert len(counted.runcall(partition_metadata, table, snapshot, commit)) == count
    return sum(entry.callcount for entry in counted.getstats())


@pytest.mark.process
def test_definitions_load_nothing_beside_dagster_arrow_and_what_their_author_imports() -> None:
    script = """
import sys, dagster, pandas, pyarrow.csv, pyarrow.fs, pyarrow.json, pyarrow.parquet
before = set(sys.modules)
import pipelines
loaded = set(sys.modules) - before
ours = [name for name in loaded if name.startswith("practicus_assets")]
print(sorted({name.partition(".")[0] for name in loaded} - set(sys.stdlib_module_names)), len(ours) < 170)
"""
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    packages = ["dagster", "pipelines", "practicus_assets", "pyarrow"]
    assert loaded.stdout.strip() == f"{packages} True"


@pytest.mark.process
def test_a_table_asset_loads_neither_delta_rs_nor_what_its_steps_do() -> None:
    script = """
import sys
from practicus_assets import Column, Contract, DeltaIOManager, Worker, table_asset
ours = [name for name in sys.modules if name.startswith("practicus_assets")]
print("deltalake" in sys.modules, "pandas" in sys.modules, len(ours) < 95)
"""
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert loaded.stdout.strip() == "False False True"


def test_a_lake_without_delta_rs_says_so_before_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "practicus_assets.lake.delta.table", None)
    manager = DeltaIOManager(root_uri=str(tmp_path))
    with pytest.raises(dg.DagsterResourceFunctionError) as raised:
        dg.materialize([orders], partition_key="d1", resources={"io_manager": manager})
    assert isinstance(raised.value.__cause__, DeclarationError)
    assert "an import fails" in str(raised.value.__cause__)
    assert not list(tmp_path.iterdir())
