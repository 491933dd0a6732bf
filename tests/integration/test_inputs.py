import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest

from practicus_assets import DeltaIOManager, Snapshot, table_asset
from tests.integration import jobs
from tests.integration.bench import Bench, errors

DAYS = dg.DailyPartitionsDefinition("2024-01-30", end_date="2024-03-03")
MONTHS = dg.MonthlyPartitionsDefinition("2024-01-01", end_date="2024-04-01")
SHOPS = dg.StaticPartitionsDefinition(["ankara", "izmir", "x' OR '1'='1"])
IN_PROCESS = {"execution": {"config": {"in_process": {}}}}
BOTH = dg.MultiPartitionsDefinition({"date": DAYS, "shop": SHOPS})


def reads(name: str = "copy", annotation: Any = pd.DataFrame, **options: Any) -> dg.AssetsDefinition:
    """Return an asset that copies its input `orders` without a column named `read_by`."""

    def copy(orders: Any) -> Any:
        rows = orders.scan() if isinstance(orders, Snapshot) else orders
        rows = rows.read_all().to_pandas() if isinstance(rows, pa.RecordBatchReader) else rows
        return rows.assign(read_by=name)

    copy.__annotations__["orders"] = annotation
    copy.__name__ = name
    return table_asset(**options)(copy)


@pytest.fixture
def daily(bench: Bench) -> dg.AssetsDefinition:
    """Orders of six days, as a table asset partitioned by day."""

    @table_asset(partitions_def=DAYS, partition_by="day", backfill_policy=dg.BackfillPolicy.single_run())
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return pd.DataFrame({"day": context.partition_keys, "n": range(len(context.partition_keys))})

    bench.run([orders], between=("2024-01-30", "2024-03-01"))
    return orders


def days(bench: Bench, name: str = "copy") -> list[str]:
    return [row[0] for row in bench.rows(name, "day")]


# --- partition mappings -------------------------------------------------------------------------------


def test_the_same_partition_is_read(bench: Bench, daily: Any) -> None:
    copy = reads(partitions_def=DAYS, partition_by="day")
    bench.run([daily, copy], select=[copy], partition="2024-02-02")
    assert days(bench) == ["2024-02-02"]


def test_the_same_range_is_read(bench: Bench, daily: Any) -> None:
    copy = reads(partitions_def=DAYS, partition_by="day", backfill_policy=dg.BackfillPolicy.single_run())
    bench.run([daily, copy], select=[copy], between=("2024-02-02", "2024-02-04"))
    assert days(bench) == ["2024-02-02", "2024-02-03", "2024-02-04"]


def test_a_table_without_partitions_reads_all(bench: Bench, daily: Any) -> None:
    copy = reads()
    bench.run([daily, copy], select=[copy])
    assert (days(bench)[0], days(bench)[-1], len(days(bench))) == ("2024-01-30", "2024-03-01", 32)


def test_all_partitions_are_those_of_the_definition_and_no_other_rows(bench: Bench, daily: Any) -> None:
    bench.write("orders", pd.DataFrame({"day": ["2031-01-01"], "n": [0]}), mode="append")
    copy = reads()
    bench.run([daily, copy], select=[copy])
    assert days(bench)[-1] == "2024-03-01"


@pytest.mark.parametrize(
    ("partition", "read"), [("2024-02-02", ["2024-02-01", "2024-02-02"]), ("2024-01-30", ["2024-01-30"])]
)
def test_an_offset_reads_the_days_before(bench: Bench, daily: Any, partition: str, read: list[str]) -> None:
    mapping = dg.TimeWindowPartitionMapping(start_offset=-1, allow_nonexistent_upstream_partitions=True)
    copy = reads(
        ins={"orders": dg.AssetIn(partition_mapping=mapping)},
        partitions_def=DAYS,
        partition_by="run_day",
    )
    bench.run([daily, copy], select=[copy], partition=partition)
    assert days(bench) == read
    assert {row[0] for row in bench.rows("copy", "run_day")} == {date.fromisoformat(partition)}


YESTERDAY = dg.TimeWindowPartitionMapping(
    start_offset=-1, end_offset=-1, allow_nonexistent_upstream_partitions=True
)


@pytest.mark.parametrize("annotation", [pd.DataFrame, pa.RecordBatchReader, Snapshot])
def test_where_no_partition_is_upstream_no_row_is_read_and_the_columns_are_there(
    bench: Bench, daily: Any, annotation: Any
) -> None:
    seen = []

    def copy(orders: Any) -> pd.DataFrame:
        rows = orders.scan() if isinstance(orders, Snapshot) else orders
        rows = rows.read_all() if isinstance(rows, pa.RecordBatchReader) else pa.Table.from_pandas(rows)
        seen.append((rows.num_rows, rows.column_names))
        return pd.DataFrame({"n": [1]})

    copy.__annotations__["orders"] = annotation
    asset = table_asset(
        ins={"orders": dg.AssetIn(partition_mapping=YESTERDAY)}, partitions_def=DAYS, partition_by="day"
    )(copy)
    bench.run([daily, asset], select=[asset], partition="2024-01-30")
    assert seen == [(0, ["day", "n"])]


def test_a_table_that_depends_on_its_own_past_begins_with_nothing(bench: Bench) -> None:
    @table_asset(
        ins={"balance": dg.AssetIn(partition_mapping=YESTERDAY)}, partitions_def=DAYS, partition_by="day"
    )
    def balance(balance: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"sum": [int(balance["sum"].sum()) + 1 if len(balance) else 1]})

    for day in ("2024-01-30", "2024-01-31", "2024-02-01"):
        bench.run([balance], partition=day)
    assert bench.rows("balance") == [(date(2024, 1, 30), 1), (date(2024, 1, 31), 2), (date(2024, 2, 1), 3)]


def test_a_month_reads_its_days(bench: Bench, daily: Any) -> None:
    copy = reads(partitions_def=MONTHS, partition_by="month")
    bench.run([daily, copy], select=[copy], partition="2024-02-01")
    assert (days(bench)[0], days(bench)[-1], len(days(bench))) == ("2024-02-01", "2024-02-29", 29)


def test_a_day_reads_its_month(bench: Bench) -> None:
    @table_asset(partitions_def=MONTHS, partition_by="month")
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return pd.DataFrame({"n": [context.partition_key]})

    for month in ("2024-01-01", "2024-02-01"):
        bench.run([orders], partition=month)
    copy = reads(partitions_def=DAYS, partition_by="day")
    bench.run([orders, copy], select=[copy], partition="2024-02-17")
    assert bench.rows("copy", "day", "month") == [(date(2024, 2, 17), "2024-02-01")]


def test_specific_partitions_are_read(bench: Bench, daily: Any) -> None:
    mapping = dg.SpecificPartitionsPartitionMapping(["2024-02-10", "2024-02-12"])
    copy = reads(ins={"orders": dg.AssetIn(partition_mapping=mapping)})
    bench.run([daily, copy], select=[copy])
    assert days(bench) == ["2024-02-10", "2024-02-12"]


def test_the_last_partition_is_read(bench: Bench, daily: Any) -> None:
    bench.run([daily], partition="2024-03-02")
    copy = reads(ins={"orders": dg.AssetIn(partition_mapping=dg.LastPartitionMapping())})
    bench.run([daily, copy], select=[copy])
    assert days(bench) == ["2024-03-02"]


def _shops(bench: Bench) -> dg.AssetsDefinition:
    @table_asset(partitions_def=SHOPS, partition_by="shop")
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return pd.DataFrame({"n": [len(context.partition_key)]})

    for shop in SHOPS.get_partition_keys():
        bench.run([orders], partition=shop)
    return orders


def test_static_partitions_read_what_their_mapping_says(bench: Bench) -> None:
    orders = _shops(bench)
    mapping = dg.StaticPartitionMapping({"ankara": "inland", "izmir": "coast", "x' OR '1'='1": "coast"})
    copy = reads(
        ins={"orders": dg.AssetIn(partition_mapping=mapping)},
        partitions_def=dg.StaticPartitionsDefinition(["inland", "coast"]),
        partition_by="kind",
    )
    bench.run([orders, copy], select=[copy], partition="inland")
    assert bench.rows("copy", "shop") == [("ankara",)]
    bench.run([orders, copy], select=[copy], partition="coast")
    assert bench.rows("copy", "shop", "kind") == [
        ("ankara", "inland"),
        ("izmir", "coast"),
        ("x' OR '1'='1", "coast"),
    ]


def test_a_subset_of_static_partitions_reads_the_same_keys(bench: Bench) -> None:
    orders = _shops(bench)
    copy = reads(partitions_def=dg.StaticPartitionsDefinition(["izmir"]), partition_by="shop")
    bench.run([orders, copy], select=[copy], partition="izmir")
    assert bench.rows("copy", "shop") == [("izmir",)]


@pytest.fixture
def grid(bench: Bench) -> dg.AssetsDefinition:
    """Orders of two days in two shops, partitioned in two dimensions."""

    @table_asset(
        partitions_def=BOTH,
        partition_by={"date": "day", "shop": "shop"},
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        keys = [key.keys_by_dimension for key in context.partition_keys]  # type: ignore[attr-defined]
        return pd.DataFrame({"day": [k["date"] for k in keys], "shop": [k["shop"] for k in keys], "n": 1})

    bench.run([orders], between=("2024-02-01|ankara", "2024-02-02|izmir"))
    assert len(bench.rows("orders")) == 4
    return orders


def test_a_dimension_reads_all_of_the_other(bench: Bench, grid: Any) -> None:
    copy = reads(partitions_def=DAYS, partition_by="day")
    bench.run([grid, copy], select=[copy], partition="2024-02-02")
    assert bench.rows("copy", "day", "shop") == [("2024-02-02", "ankara"), ("2024-02-02", "izmir")]


def test_two_dimensions_read_their_one_upstream(bench: Bench, daily: Any) -> None:
    copy = reads(partitions_def=BOTH, partition_by={"date": "day", "shop": "shop"})
    bench.run([daily, copy], select=[copy], partition="2024-02-02|izmir")
    assert bench.rows("copy", "day", "shop") == [("2024-02-02", "izmir")]


def test_two_dimensions_read_the_same_two(bench: Bench, grid: Any) -> None:
    copy = reads(partitions_def=BOTH, partition_by={"date": "day", "shop": "shop"})
    bench.run([grid, copy], select=[copy], partition="2024-02-02|ankara")
    assert bench.rows("copy", "day", "shop") == [("2024-02-02", "ankara")]


def test_dynamic_partitions_read_the_same_key(bench: Bench) -> None:
    files = dg.DynamicPartitionsDefinition(name="files")
    bench.instance.add_dynamic_partitions("files", ["a/b.csv", "ç%20.csv"])

    @table_asset(partitions_def=files, partition_by="file")
    def orders() -> pd.DataFrame:
        return pd.DataFrame({"n": [1]})

    for key in ("a/b.csv", "ç%20.csv"):
        bench.run([orders], partition=key)
    copy = reads(partitions_def=files, partition_by="file")
    bench.run([orders, copy], select=[copy], partition="ç%20.csv")
    assert bench.rows("copy", "file") == [("ç%20.csv",)]


def test_a_snapshot_reads_only_the_mapped_partitions(bench: Bench, daily: Any) -> None:
    copy = reads(annotation=Snapshot, partitions_def=DAYS, partition_by="day")
    bench.run([daily, copy], select=[copy], partition="2024-02-02")
    assert days(bench) == ["2024-02-02"]


def test_other_partitions_files_are_not_opened(bench: Bench, daily: Any) -> None:
    for file in Path(bench.root, "orders").glob("day=*/*.parquet"):
        if file.parent.name != "day=2024-02-02":
            file.unlink()
    copy = reads(partitions_def=DAYS, partition_by="day")
    bench.run([daily, copy], select=[copy], partition="2024-02-02")
    assert days(bench) == ["2024-02-02"]


# --- columns ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decorator", [dg.asset, table_asset])
def test_an_input_may_ask_for_some_columns(bench: Bench, daily: Any, decorator: Any) -> None:
    def copy(orders: pd.DataFrame) -> pd.DataFrame:
        return orders.head(1)

    copied = decorator(ins={"orders": dg.AssetIn(metadata={"delta/columns": ["n"]})})(copy)
    bench.run([daily, copied], select=[copied])
    assert list(bench.frame("copy").columns) == ["n"]


def test_a_column_that_is_not_there_is_named_with_those_that_are(bench: Bench, daily: Any) -> None:
    copy = reads(ins={"orders": dg.AssetIn(metadata={"delta/columns": ["amount"]})})
    message = errors(bench.run([daily, copy], select=[copy], fails=True))
    assert "orders has no column 'amount'; it has ['day', 'n']" in message


# --- versions -----------------------------------------------------------------------------------------


def test_the_versions_that_were_read_are_told_to_dagster_and_to_the_table(bench: Bench) -> None:
    @table_asset
    def orders() -> pd.DataFrame:
        return pd.DataFrame({"n": [1]})

    @table_asset(key_prefix="shop")
    def more() -> pd.DataFrame:
        return pd.DataFrame({"n": [1]})

    @table_asset(ins={"more": dg.AssetIn(key_prefix="shop")})
    def sums(orders: pd.DataFrame, more: pa.Table) -> pd.DataFrame:
        return pd.concat([orders, more.to_pandas()])

    @dg.asset
    def plain(orders: pd.DataFrame) -> pd.DataFrame:
        return orders

    bench.write("orders", pd.DataFrame({"n": [0]}))
    bench.run([orders, more, sums, plain])
    assert bench.metadata("sums")["delta/input_versions"] == {"orders": 1, "shop/more": 0}
    assert bench.metadata("plain")["delta/input_versions"] == {"orders": 1}
    for name, versions in {"sums": {"orders": 1, "shop/more": 0}, "plain": {"orders": 1}}.items():
        record = json.loads(bench.table(name).history(1)[0]["practicus_assets"])
        assert {read["table"]: read["version"] for read in record["inputs"]} == versions
        assert record["run_id"] == bench.instance.get_runs()[0].run_id
        assert record["step"] == name


def test_an_input_is_the_newest_version_when_this_run_did_not_make_one(bench: Bench) -> None:
    bench.write("orders", pd.DataFrame({"n": [1]}))
    bench.write("orders", pd.DataFrame({"n": [2]}), mode="append")
    source = dg.AssetSpec("orders", metadata={"dagster/io_manager_key": "io_manager"})
    bench.run([source, reads()], select="copy")
    assert bench.metadata("copy")["delta/input_versions"] == {"orders": 1}


def test_a_partitioned_table_of_somebody_else_says_its_column_in_its_spec(bench: Bench) -> None:
    bench.write("orders", pd.DataFrame({"day": ["2024-02-01", "2024-02-02"], "n": 1}), partition_by=["day"])
    spec = dg.AssetSpec(
        "orders",
        partitions_def=DAYS,
        metadata={"dagster/io_manager_key": "io_manager", "partition_expr": "day"},
    )
    copy = reads(partitions_def=DAYS, partition_by="day")
    bench.run([spec, copy], select="copy", partition="2024-02-02")
    assert days(bench) == ["2024-02-02"]
    bare = dg.AssetSpec("orders", partitions_def=DAYS, metadata={"dagster/io_manager_key": "io_manager"})
    message = errors(bench.run([bare, copy], select="copy", partition="2024-02-02", fails=True))
    assert 'metadata={"partition_expr": "day"}' in message


def test_in_one_process_every_step_of_a_run_reads_the_same_version(bench: Bench, monkeypatch: Any) -> None:
    monkeypatch.setenv("LAKE", bench.root)
    bench.write("source", pd.DataFrame({"n": [1]}))
    assert jobs.pinned().execute_in_process(instance=bench.instance).success
    assert bench.rows("early", "source", "upstream") == [(0, 0)]
    assert bench.rows("late", "source", "upstream", "now", "also") == [(0, 0, 1, 1)]


@pytest.fixture
def lasting(bench: Bench, tmp_path: Path, monkeypatch: Any) -> Iterator[Bench]:
    """A bench whose instance other processes can open."""
    monkeypatch.setenv("LAKE", bench.root)
    monkeypatch.chdir(Path(__file__).parents[1])  # from where Dagster's workers import this package
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield Bench(instance, bench.root)


@pytest.mark.process
def test_in_many_processes_every_step_of_a_run_reads_the_same_version(lasting: Bench) -> None:
    lasting.write("source", pd.DataFrame({"n": [1]}))
    with dg.execute_job(dg.reconstructable(jobs.pinned), lasting.instance) as result:
        assert result.success
    assert lasting.rows("early", "source", "upstream") == [(0, 0)]
    assert lasting.rows("late", "source", "upstream", "now", "also") == [(0, 0, 1, 1)]


@pytest.mark.process
def test_a_killed_worker_whose_commit_landed_appends_once_when_the_run_is_retried(lasting: Bench) -> None:
    with dg.execute_job(dg.reconstructable(jobs.append), lasting.instance) as failed:
        assert not failed.success
    assert lasting.rows("appended") == [(1,)]
    assert lasting.materializations("appended") == 0
    again = dg.ReexecutionOptions.from_failure(failed.run_id, lasting.instance)
    job = dg.reconstructable(jobs.append)
    with dg.execute_job(job, lasting.instance, IN_PROCESS, reexecution_options=again) as retried:
        assert retried.success
    assert lasting.rows("appended") == [(1,)]
    assert lasting.metadata("appended")["delta/outcome"] == "committed by an earlier attempt"
    everything = dg.ReexecutionOptions(parent_run_id=retried.run_id)
    with dg.execute_job(job, lasting.instance, IN_PROCESS, reexecution_options=everything) as repeated:
        assert repeated.success
    assert lasting.rows("appended") == [(1,), (1,)]


def test_a_table_that_appeared_after_the_run_began_is_not_read(bench: Bench) -> None:
    @dg.asset
    def other() -> None:
        bench.write("orders", pd.DataFrame({"n": [1]}))

    source = dg.AssetSpec("orders", metadata={"dagster/io_manager_key": "io_manager"})
    copy = reads(deps=[other])
    message = errors(bench.run([source, other, copy], select=["other", "copy"], fails=True))
    assert "orders: the Delta table at" in message
    assert "was first committed after" in message


def test_a_missing_table_is_named_with_what_to_do(bench: Bench) -> None:
    copy = reads(ins={"orders": dg.AssetIn("nowhere")})
    source = dg.AssetSpec("nowhere", metadata={"dagster/io_manager_key": "io_manager"})
    missing = f"nowhere: there is no Delta table at {bench.root}/nowhere"
    message = errors(bench.run([source, copy], select=[copy], fails=True))
    assert f"{missing}. Materialize nowhere first; if no asset makes it, put a Delta table there." in message
    message = errors(bench.run([dg.AssetSpec("nowhere"), copy], select=[copy], fails=True))
    assert f"{missing}: nowhere is declared, but no asset makes it. Put a Delta table there" in message
    assert "give it another io_manager_key" in message
    assert "Materialize nowhere" not in message


def test_a_version_that_was_vacuumed_away_is_told_so(bench: Bench) -> None:
    @table_asset
    def orders() -> pd.DataFrame:
        return pd.DataFrame({"n": [1]})

    @dg.asset(deps=[orders])
    def cleaner() -> None:
        bench.write("orders", pd.DataFrame({"n": [2]}), mode="overwrite")
        bench.table("orders").vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)

    message = errors(bench.run([orders, cleaner, reads(deps=[cleaner])], fails=True))
    assert "orders: version 0 names a file that is gone" in message
    assert "It was vacuumed away, or somebody deleted it" in message


def test_a_run_that_retries_a_failed_one_leaves_a_commit_even_if_nothing_changed(lasting: Bench) -> None:
    """A worker of the failed run that wakes up later then finds itself superseded."""
    job = dg.reconstructable(jobs.shaky)
    with dg.execute_job(job, lasting.instance, IN_PROCESS) as failed:
        assert not failed.success
    assert lasting.version("steady") == 0
    again = dg.ReexecutionOptions(parent_run_id=failed.run_id)
    with dg.execute_job(job, lasting.instance, IN_PROCESS, reexecution_options=again):
        pass
    assert lasting.version("steady") == 1
    assert lasting.metadata("steady")["delta/outcome"] == "unchanged"
    assert lasting.rows("steady") == [(1,)]


def test_a_rerun_from_failure_reads_what_its_parent_made(lasting: Bench) -> None:
    """What the failed run made is the newest when the next begins."""
    job = dg.reconstructable(jobs.pinned)
    with dg.execute_job(job, lasting.instance, IN_PROCESS) as failed:  # there is no source yet
        assert not failed.success
    lasting.write("source", pd.DataFrame({"n": [1]}))
    again = dg.ReexecutionOptions.from_failure(failed.run_id, lasting.instance)
    with dg.execute_job(job, lasting.instance, IN_PROCESS, reexecution_options=again) as rerun:
        assert rerun.success
    assert lasting.metadata("early")["delta/input_versions"] == {"source": 0, "upstream": 0}
    assert lasting.materializations("upstream") == 1


def test_an_asset_check_reads_the_version_that_its_run_made(bench: Bench) -> None:
    seen = []

    @table_asset
    def orders() -> pd.DataFrame:
        return pd.DataFrame({"n": [len(seen)]})

    @dg.asset_check(asset=orders)
    def looks(orders: Snapshot) -> dg.AssetCheckResult:
        seen.append(orders.version)
        bench.write("orders", pd.DataFrame({"n": [5]}), mode="append")
        return dg.AssetCheckResult(passed=True)

    defs = dg.Definitions(
        assets=[orders],
        asset_checks=[looks],
        resources={"io_manager": DeltaIOManager(root_uri=bench.root)},
    )
    job = defs.resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(instance=bench.instance).success
    assert job.execute_in_process(instance=bench.instance).success
    assert seen == [0, 2]


def test_values_can_be_loaded_outside_of_a_run(bench: Bench, daily: Any) -> None:
    defs = dg.Definitions(assets=[daily], resources={"io_manager": DeltaIOManager(root_uri=bench.root)})
    loaded = defs.load_asset_value("orders", partition_key="2024-02-02", instance=bench.instance)
    assert list(loaded["day"]) == ["2024-02-02"]
    assert len(defs.load_asset_value("orders", python_type=pa.Table, instance=bench.instance)) == 32


def test_an_input_of_zoned_timestamps_is_read_by_its_windows(bench: Bench) -> None:
    hours = dg.HourlyPartitionsDefinition("2024-01-01-00:00", timezone="Europe/Istanbul")

    @table_asset(partitions_def=hours, partition_by="hour")
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        start = context.partition_time_window.start
        return pd.DataFrame({"hour": [pd.Timestamp(start).tz_convert("UTC")], "n": [1]})

    for key in ("2024-01-01-00:00", "2024-01-01-01:00"):
        bench.run([orders], partition=key)
    copy = reads(partitions_def=hours, partition_by="hour")
    bench.run([orders, copy], select=[copy], partition="2024-01-01-01:00")
    assert [str(row[0]) for row in bench.rows("copy", "hour")] == ["2023-12-31 22:00:00+00:00"]


def test_a_table_that_starts_mid_range_and_reads_its_own_yesterday_is_told_where_to_begin(
    bench: Bench,
) -> None:
    days = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-05")
    yesterday = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)

    @table_asset(
        partitions_def=days,
        partition_by="day",
        ins={"total": dg.AssetIn(partition_mapping=yesterday)},
    )
    def total(context: dg.AssetExecutionContext, total: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"day": [context.partition_key], "n": [len(total) + 1]})

    message = errors(bench.run([total], partition="2024-01-03", fails=True))
    assert "the run reads 2024-01-02 of total, its own table, and there is none yet." in message
    assert (
        "Materialize the partitions of total in their order, from the first one, 2024-01-01; or let"
        in message
    )
    assert "Materialize total first" not in message
    for day in ("2024-01-01", "2024-01-02"):
        bench.run([total], partition=day)
    assert bench.rows("total", "day", "n") == [("2024-01-01", 1), ("2024-01-02", 2)]
