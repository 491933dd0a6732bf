"""What an operator does, as Dagster sees it."""

from pathlib import Path
from typing import Any

import click
import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus  # what the UI asks
from dagster._core.loader import LoadingContextForTest
from dagster._core.utils import make_new_run_id

import practicus_assets
from practicus_assets import (
    CommitConflict,
    DeltaIOManager,
    MaintainConfig,
    Release,
    RollbackConfig,
    build_diff_job,
    build_history_job,
    build_maintain_job,
    build_maintain_schedule,
    build_release_asset,
    build_rollback_job,
    build_verify_job,
    table_asset,
)
from practicus_assets.assets.catalog import TableEntry, catalog
from practicus_assets.cli import main
from practicus_assets.lake.delta.log import entries
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.lake.upkeep.history import read_history
from practicus_assets.operations.drift import drift, repairs
from practicus_assets.operations.maintain import cutoff, maintain_table
from practicus_assets.operations.rollback import roll_back
from tests.integration.bench import Bench, errors

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-05")
FIRST, SECOND, THIRD = "2024-01-01", "2024-01-02", "2024-01-03"


class Shop:
    """`orders` and `copy` of it by day, and `total` of all; `number` is what each row says."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.number = 1
        by_day: dict[str, Any] = {
            "partitions_def": DAYS,
            "partition_by": "day",
            "backfill_policy": dg.BackfillPolicy.single_run(),
        }

        @table_asset(**by_day)
        def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
            return pd.DataFrame({"day": context.partition_keys, "n": self.number})

        @table_asset(**by_day)
        def copy(orders: pd.DataFrame) -> pd.DataFrame:
            return orders

        @table_asset
        def total() -> pd.DataFrame:
            return pd.DataFrame({"n": [self.number]})

        self.assets = [orders, copy, total]
        self.orders, self.copy, self.total = self.assets

    @property
    def definitions(self) -> dg.Definitions:
        kinds = (
            build_history_job,
            build_diff_job,
            build_rollback_job,
            build_verify_job,
            build_maintain_job,
        )
        jobs = [kind(self.assets) for kind in kinds]
        resources = {"io_manager": DeltaIOManager(root_uri=self.bench.root)}
        return dg.Definitions(assets=self.assets, jobs=jobs, resources=resources)

    def entry(self, name: str) -> TableEntry:
        return catalog(self.definitions)[name]

    def day(self, *names: str, day: str, number: int = 1) -> dg.ExecuteInProcessResult:
        self.number = number
        return self.bench.run(self.assets, select=list(names), partition=day)

    def status(self, name: str, partition: str | None = None) -> StaleStatus:
        graph = self.definitions.resolve_asset_graph()
        instance = self.bench.instance
        resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
        return resolver.get_status(dg.AssetKey(name), partition)

    def job(self, name: str, op: str, *, fails: bool = False, **config: Any) -> dg.ExecuteInProcessResult:
        result = self.definitions.resolve_job_def(name).execute_in_process(
            instance=self.bench.instance,
            run_config={
                "ops": {op: {"config": config}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
            raise_on_error=False,
        )
        assert result.success is not fails, errors(result)
        return result


@pytest.fixture
def shop(bench: Bench) -> Shop:
    return Shop(bench)


def commit_unseen(shop: Shop, name: str, day: str, *numbers: int) -> None:
    """Commit as a run would that was killed before it could report."""
    entry = shop.entry(name)
    rows = pa.table({"day": [day] * len(numbers), "n": pa.array(numbers, pa.int64())})
    who = Provenance(code_version="c0de")
    Transaction(
        entry.table,
        entry.scope(shop.bench.instance, [day]),
        WriteOptions(partition_by=["day"]),
        provenance=who,
    ).write(rows)


# --- rollback -----------------------------------------------------------------------------------------


def test_a_rollback_is_a_materialization_with_the_data_version_of_the_rows_that_came_back(shop: Shop) -> None:
    shop.day("orders", "copy", day=FIRST)
    before = shop.bench.data_version("orders", FIRST)
    shop.day("orders", day=FIRST, number=2)
    assert shop.status("copy", FIRST) == StaleStatus.STALE
    shop.job("table_rollback", "rollback", apply=True, table="orders", to="0")
    assert shop.bench.frame("orders")["n"].tolist() == [1]
    assert shop.bench.data_version("orders", FIRST) == before
    assert shop.bench.metadata("orders", FIRST)["delta/version"] == 2
    assert shop.bench.metadata("orders", FIRST)["delta/restores"] == 0
    assert shop.status("orders", FIRST) == StaleStatus.FRESH
    assert shop.status("copy", FIRST) == StaleStatus.FRESH
    assert drift(shop.entry("orders"), shop.bench.instance) == []


def test_a_rollback_says_whose_rows_are_back_and_which_commits_it_undid(shop: Shop) -> None:
    for number in (1, 2, 3):
        shop.day("orders", day=FIRST, number=number)
    shop.job("table_rollback", "rollback", apply=True, table="orders", to="0", undo_newer=True)
    summary = str(shop.bench.metadata("orders", FIRST)["delta/summary"])
    back, undone, rows, partition, *_ = summary.split("\n\n")
    assert back == "**Version 3** has the rows of version 0 again, on version 2."
    runs = [entry.run_id[:8] for entry in read_history(shop.entry("orders").table)][1:3]
    assert undone == f"**Undone**: version 2 (replace, run {runs[0]}); version 1 (replace, run {runs[1]})."
    assert rows.startswith("**Rows**: 1 before, 1 now. Not counted")
    assert partition == f"**Partition**: {FIRST}, replaced."
    assert "| `delta/restores` | the version whose rows a rollback brought back |" in summary


def test_what_is_downstream_of_a_rollback_becomes_stale(shop: Shop) -> None:
    shop.day("orders", day=FIRST)
    shop.day("orders", "copy", day=FIRST, number=2)
    assert shop.status("copy", FIRST) == StaleStatus.FRESH
    shop.job("table_rollback", "rollback", apply=True, table="orders", to="0", partitions=[FIRST])
    assert shop.status("copy", FIRST) == StaleStatus.STALE


def test_a_table_that_goes_back_behind_its_inputs_is_stale(shop: Shop) -> None:
    shop.day("orders", "copy", day=FIRST)
    shop.day("orders", "copy", day=FIRST, number=2)
    shop.job("table_rollback", "rollback", apply=True, table="copy", to="0")
    assert shop.status("copy", FIRST) == StaleStatus.STALE
    assert shop.status("orders", FIRST) == StaleStatus.FRESH


def test_only_partitions_that_went_back_are_reported(shop: Shop) -> None:
    for day in (FIRST, SECOND):
        shop.day("orders", day=day)
    shop.day("orders", day=SECOND, number=2)
    result = shop.job("table_rollback", "rollback", apply=True, table="orders", to="1")
    told = [event.partition for event in result.get_asset_materialization_events()]
    assert told == [SECOND]


def test_a_partition_that_was_not_there_yet_is_reported_as_empty(shop: Shop) -> None:
    shop.day("orders", day=FIRST)
    shop.day("orders", day=SECOND)
    shop.job("table_rollback", "rollback", apply=True, table="orders", to="0")
    assert shop.bench.metadata("orders", SECOND)["dagster/partition_row_count"] == 0
    assert drift(shop.entry("orders"), shop.bench.instance) == []


def test_several_commits_are_undone_only_if_the_config_says_so(shop: Shop) -> None:
    for number in (1, 2, 3):
        shop.day("orders", day=FIRST, number=number)
    failed = shop.job("table_rollback", "rollback", fails=True, apply=True, table="orders", to="0")
    assert "would undo 2 commits" in errors(failed)
    shop.job("table_rollback", "rollback", apply=True, table="orders", to="0", undo_newer=True)
    assert shop.bench.frame("orders")["n"].tolist() == [1]


def test_a_table_without_partitions_goes_back_to_a_run(shop: Shop) -> None:
    first = shop.bench.run([shop.total])
    version = shop.bench.data_version("total")
    shop.number = 2
    shop.bench.run([shop.total])
    shop.job("table_rollback", "rollback", apply=True, table="total", to=first.run_id)
    assert shop.bench.frame("total")["n"].tolist() == [1]
    assert shop.bench.data_version("total") == version


def test_a_partitioned_table_goes_back_as_a_whole_over_a_change_of_its_columns(shop: Shop) -> None:
    for day in (FIRST, SECOND):
        shop.day("orders", day=day)
    version = shop.bench.data_version("orders", FIRST)
    other = pd.DataFrame({"day": [FIRST, THIRD], "n": ["text", "text"]})
    shop.bench.write("orders", other, mode="overwrite", schema_mode="overwrite")
    result = shop.job("table_rollback", "rollback", apply=True, table="orders", to="1")
    told = [event.partition for event in result.get_asset_materialization_events()]
    assert told == [FIRST, SECOND]
    assert shop.bench.rows("orders", "day", "n") == [(FIRST, 1), (SECOND, 1)]
    assert shop.bench.data_version("orders", FIRST) == version
    assert drift(shop.entry("orders"), shop.bench.instance) == []


def test_a_rollback_that_is_tried_again_reports_what_had_landed(shop: Shop) -> None:
    for number in (1, 2):
        shop.day("orders", day=FIRST, number=number)
    entry, instance, who = (
        shop.entry("orders"),
        shop.bench.instance,
        Provenance(run_id="run", step="rollback"),
    )
    config = RollbackConfig(table="orders", to="0", apply=True)
    first, again = (roll_back(entry, instance, config, who) for _ in range(2))
    assert first.commit is not None
    assert again.commit is not None
    assert again.commit.recovered
    assert (again.commit.version, entry.table.open().version) == (
        first.commit.version,
        first.commit.version,
    )
    assert [event.tags for event in again.events] == [event.tags for event in first.events]
    assert [event.partition for event in again.events] == [FIRST]


def test_a_run_that_began_before_a_rollback_is_refused(shop: Shop) -> None:
    for number in (1, 2):
        shop.day("orders", day=FIRST, number=number)
    entry = shop.entry("orders")
    running = Transaction(
        entry.table, entry.scope(shop.bench.instance, [FIRST]), WriteOptions(partition_by=["day"])
    )
    shop.job("table_rollback", "rollback", apply=True, table="orders", to="0")
    with pytest.raises(CommitConflict):
        running.write(pa.table({"day": [FIRST], "n": [3]}))


def test_partitions_of_two_dimensions_go_back(bench: Bench) -> None:
    grid = dg.MultiPartitionsDefinition({"day": DAYS, "shop": dg.StaticPartitionsDefinition(["a", "b"])})
    number = [1]

    @table_asset(partitions_def=grid, partition_by={"day": "day", "shop": "shop"})
    def sales(context: dg.AssetExecutionContext) -> pd.DataFrame:
        keys = context.partition_key.keys_by_dimension  # type: ignore[attr-defined]
        return pd.DataFrame({**{name: [key] for name, key in keys.items()}, "n": number})

    bench.run([sales], partition="2024-01-01|a")
    bench.run([sales], partition="2024-01-01|b")
    number[0] = 2
    bench.run([sales], partition="2024-01-01|a")
    resources = {"io_manager": DeltaIOManager(root_uri=bench.root)}
    entry = catalog(dg.Definitions(assets=[sales], resources=resources))["sales"]
    config = RollbackConfig(table="sales", to="1", apply=True)
    done = roll_back(entry, bench.instance, config, Provenance())
    [event] = done.events
    assert event.partition == "2024-01-01|a"
    bench.instance.report_runless_asset_event(event)
    status = bench.instance.get_status_by_partition(
        dg.AssetKey("sales"), ["2024-01-01|a", "2024-01-01|b"], grid
    )
    assert status is not None
    assert {str(key): str(value.value) for key, value in status.items()} == {
        "2024-01-01|a": "MATERIALIZED",
        "2024-01-01|b": "MATERIALIZED",
    }
    assert bench.rows("sales", "shop", "n") == [("a", 1), ("b", 1)]
    assert drift(entry, bench.instance) == []


# --- drift --------------------------------------------------------------------------------------------


def test_nothing_drifts_after_runs_of_one_and_of_many_partitions(shop: Shop) -> None:
    shop.bench.run(shop.assets, select=["orders", "copy"], between=(FIRST, THIRD))
    shop.day("orders", "copy", day=SECOND, number=5)
    shop.bench.run([shop.total])
    shop.day("orders", day=SECOND, number=5)  # unchanged
    assert [drift(shop.entry(name), shop.bench.instance) for name in ("orders", "copy", "total")] == [
        [],
        [],
        [],
    ]


def test_a_commit_that_was_never_reported_is_found_and_repaired(shop: Shop) -> None:
    shop.day("orders", "copy", day=FIRST)
    commit_unseen(shop, "orders", FIRST, 7, 8)
    commit_unseen(shop, "orders", SECOND, 9)
    found = drift(shop.entry("orders"), shop.bench.instance)
    assert [(each.kind, each.partition, each.repairable) for each in found] == [
        ("changed", FIRST, True),
        ("unreported", SECOND, True),
    ]
    assert "the lake has 1 row, and Dagster has no materialization." in found[1].text
    assert shop.status("copy", FIRST) == StaleStatus.FRESH
    shop.bench.write("copy", pd.DataFrame({"day": ["1999-01-01"], "n": [1]}), mode="append")
    failed = shop.job("table_verify", "verify", fails=True, tables=["orders"])
    assert "orders [2024-01-01], changed" in errors(failed)
    shop.job("table_verify", "verify", fails=True, repair=True, rows=True)  # copy cannot be repaired
    assert drift(shop.entry("orders"), shop.bench.instance) == []
    assert shop.status("copy", FIRST) == StaleStatus.STALE
    [observed] = shop.bench.instance.fetch_observations(dg.AssetKey("copy"), limit=1).records
    assert observed.asset_observation.metadata["verify/rows"].value == 2
    assert shop.bench.metadata("orders", FIRST)["dagster/partition_row_count"] == 2
    assert shop.bench.metadata("orders", FIRST)["delta/version"] == 1
    assert shop.entry("orders").table.open().version == 2  # the lake was only read


def test_a_repaired_partition_has_the_data_version_that_its_run_would_have_reported(shop: Shop) -> None:
    shop.day("orders", day=FIRST, number=7)
    version = shop.bench.data_version("orders", FIRST)
    shop.day("orders", day=FIRST, number=8)
    commit_unseen(shop, "orders", FIRST, 7)
    entry = shop.entry("orders")
    [event] = repairs(entry, shop.bench.instance, drift(entry, shop.bench.instance))
    assert (event.tags or {})["dagster/data_version"] == version


def test_rows_that_somebody_deleted_are_missed(shop: Shop) -> None:
    shop.bench.run(shop.assets, select=["orders"], between=(FIRST, SECOND))
    shop.bench.table("orders").delete(f"day = '{SECOND}'")
    [found] = drift(shop.entry("orders"), shop.bench.instance)
    assert (found.partition, found.repairable) == (SECOND, True)
    entry = shop.entry("orders")
    for event in repairs(entry, shop.bench.instance, [found]):
        shop.bench.instance.report_runless_asset_event(event)
    assert shop.bench.metadata("orders", SECOND)["dagster/partition_row_count"] == 0
    assert drift(entry, shop.bench.instance) == []


def test_a_table_that_is_gone_cannot_be_repaired(shop: Shop) -> None:
    shop.day("orders", day=FIRST)
    shop.bench.root += "-elsewhere"
    [found] = drift(shop.entry("orders"), shop.bench.instance)
    assert (found.kind, found.repairable) == ("missing", False)
    assert repairs(shop.entry("orders"), shop.bench.instance, [found]) == []


def test_rows_of_no_partition_are_found(shop: Shop) -> None:
    shop.day("orders", day=FIRST)
    shop.bench.write("orders", pd.DataFrame({"day": ["1999-01-01"], "n": [1]}), mode="append")
    [found] = drift(shop.entry("orders"), shop.bench.instance)
    assert (found.kind, found.repairable) == ("outside", False)
    assert "1999-01-01" in found.text


def test_a_table_that_was_created_again_drifts(shop: Shop, tmp_path: Any) -> None:
    for number in (1, 2):
        shop.day("orders", day=FIRST, number=number)
    shop.bench.root = str(tmp_path / "other")
    commit_unseen(shop, "orders", FIRST, 2)
    [found] = drift(shop.entry("orders"), shop.bench.instance)
    assert "the table was created again" in found.text


def test_appends_drift_and_are_repaired(bench: Bench) -> None:
    @table_asset(mode="append")
    def clicks() -> pd.DataFrame:
        return pd.DataFrame({"n": [1]})

    resources = {"io_manager": DeltaIOManager(root_uri=bench.root)}
    definitions = dg.Definitions(assets=[clicks], resources=resources)
    bench.run([clicks])
    bench.run([clicks])
    entry = catalog(definitions)["clicks"]
    assert drift(entry, bench.instance) == []
    Transaction(entry.table, options=WriteOptions(mode="append")).write(pa.table({"n": [2]}))
    [found] = drift(entry, bench.instance)
    assert found.kind == "changed"
    for event in repairs(entry, bench.instance, [found]):
        bench.instance.report_runless_asset_event(event)
    assert drift(entry, bench.instance) == []
    assert bench.metadata("clicks")["dagster/row_count"] == 3


# --- maintenance --------------------------------------------------------------------------------------


def test_a_run_that_is_not_finished_holds_the_cutoff(shop: Shop) -> None:
    instance = shop.bench.instance
    run_id = make_new_run_id()
    job = shop.definitions.resolve_job_def("table_maintain")
    assert cutoff(instance, 0)[1] == ""
    run = instance.create_run_for_job(job, run_id=run_id, status=dg.DagsterRunStatus.STARTED)
    began = instance.get_run_record_by_id(run_id)
    assert began is not None
    moment, held_by = cutoff(instance, 0)
    assert (held_by, moment < began.create_timestamp) == (run_id, True)
    assert cutoff(instance, 0, run_id)[1] == ""
    assert cutoff(instance, 24 * 30)[1] == ""  # the retention reaches further back
    instance.report_run_canceled(run)
    assert cutoff(instance, 0)[1] == ""


def test_maintenance_beside_a_run_keeps_what_it_has_pinned(shop: Shop) -> None:
    shop.day("orders", day=FIRST)
    seen: list[int] = []

    @table_asset(partitions_def=DAYS, partition_by="day")
    def slow(orders: pa.RecordBatchReader) -> pd.DataFrame:
        commit_unseen(shop, "orders", FIRST, 7)
        maintain_table(
            shop.entry("orders"), shop.bench.instance, MaintainConfig(retention_hours=0, apply=True)
        )
        frame = orders.read_pandas()
        seen.extend(frame["n"])
        return frame

    shop.bench.run([shop.orders, slow], select=["slow"], partition=FIRST)
    assert seen == [1]


def test_the_maintenance_job_tells_what_it_did_and_goes_on_after_a_failure(shop: Shop) -> None:
    for number in range(3):
        shop.day("orders", day=FIRST, number=number)
        shop.bench.write("orders", pd.DataFrame({"day": [SECOND], "n": [number]}), mode="append")
    shop.day("copy", day=FIRST)
    damaged = shop.bench.table("copy").file_uris()[0]
    shop.entry("copy").table.filesystem().delete_file(damaged.split("/copy/")[1])
    failed = shop.job("table_maintain", "maintain", fails=True, apply=True)
    assert "copy: the table copy lacks 1 file of its log" in errors(failed)
    observed = {
        event.asset_key.to_user_string(): event.asset_observation_data.asset_observation.metadata
        for event in failed.all_events
        if event.event_type == dg.DagsterEventType.ASSET_OBSERVATION
    }
    assert list(observed) == ["orders"]  # total has no table yet
    assert observed["orders"]["maintain/compacted_files"].value == 3
    assert len(shop.bench.table("orders").file_uris()) == 2
    [newest] = entries(shop.entry("orders").table, shop.bench.version("orders"), shop.bench.version("orders"))
    assert newest.upkeep is not None
    assert newest.upkeep.run_id == failed.run_id


def test_the_schedule_begins_switched_off_and_runs_the_job(shop: Shop) -> None:
    schedule = build_maintain_schedule(
        build_maintain_job(shop.assets), "30 2 * * *", execution_timezone="Europe/Paris"
    )
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    assert (schedule.job_name, schedule.cron_schedule) == ("table_maintain", "30 2 * * *")
    with dg.build_schedule_context() as context:
        [request] = schedule.evaluate_tick(context).run_requests or []
    assert request.run_config == {"ops": {"maintain": {"config": {"apply": True}}}}
    resources = {"io_manager": DeltaIOManager(root_uri=shop.bench.root)}
    dg.Definitions.validate_loadable(
        dg.Definitions(assets=shop.assets, schedules=[schedule], resources=resources)
    )


# --- jobs ---------------------------------------------------------------------------------------------

WORDS = ("history", "diff", "rollback", "verify", "maintain")


def test_one_word_names_a_command_and_its_job_op_config_and_factory(shop: Shop) -> None:
    for word in WORDS:
        assert main.get_command(click.Context(main), word) is not None
        job = shop.definitions.resolve_job_def(f"table_{word}")
        assert [node.name for node in job.nodes] == [word]
        assert hasattr(practicus_assets, f"build_{word}_job")
        assert hasattr(practicus_assets, f"{word.title()}Config")


@pytest.mark.parametrize(
    "selection",
    [
        None,
        "key:orders or key:total",
        ["orders", "total"],
        [dg.AssetKey("orders"), dg.AssetKey("total")],
        dg.AssetSelection.assets("orders", "total"),
    ],
    ids=["everything", "text", "names", "keys", "selection"],
)
def test_jobs_select_tables_as_asset_jobs_do(bench: Bench, selection: Any) -> None:
    @table_asset
    def orders() -> pd.DataFrame:
        return pd.DataFrame({"n": [1]})

    @table_asset
    def total() -> pd.DataFrame:
        return pd.DataFrame({"n": [2]})

    @dg.asset(io_manager_key="elsewhere")
    def pickle() -> int:
        return 1

    resources = {"io_manager": DeltaIOManager(root_uri=bench.root), "elsewhere": dg.mem_io_manager}
    bench.run([orders, total])
    definitions = dg.Definitions(
        assets=[orders, total, pickle], jobs=[build_verify_job(selection)], resources=resources
    )
    result = definitions.resolve_job_def("table_verify").execute_in_process(instance=bench.instance)
    observed = [
        event.asset_key for event in result.all_events if event.event_type_value == "ASSET_OBSERVATION"
    ]
    assert observed == [dg.AssetKey("orders"), dg.AssetKey("total")]


def test_a_job_that_selects_no_table_says_so_when_definitions_are_loaded(bench: Bench) -> None:
    @dg.asset(io_manager_key="elsewhere")
    def note() -> int:
        return 1

    class Elsewhere(dg.ConfigurableIOManager):
        def handle_output(self, context: dg.OutputContext, obj: Any) -> None: ...

        def load_input(self, context: dg.InputContext) -> Any: ...

    definitions = dg.Definitions(
        assets=[note], jobs=[build_verify_job()], resources={"elsewhere": Elsewhere()}
    )
    with pytest.raises(dg.DagsterInvalidDefinitionError) as refused:
        dg.Definitions.validate_loadable(definitions)
    assert "the job table_verify selects no table: none of ['note']" in str(refused.value.__cause__)


def test_jobs_that_change_tables_only_show_what_they_would_do_without_apply(shop: Shop) -> None:
    for number in (1, 2):
        shop.day("orders", day=FIRST, number=number)
    files = {path: path.stat().st_mtime for path in Path(shop.bench.root).rglob("*")}
    result = shop.job("table_rollback", "rollback", table="orders", to="0")
    assert [row["version"] for row in shown(result, "rollback/undone")] == ["1"]
    assert result.get_asset_materialization_events() == []
    shop.job("table_maintain", "maintain", retention_hours=0)
    assert {path: path.stat().st_mtime for path in Path(shop.bench.root).rglob("*")} == files


# --- releases -----------------------------------------------------------------------------------------


def test_a_run_publishes_its_tables_together_once_all_have_landed(shop: Shop) -> None:
    nightly = build_release_asset("nightly", [shop.orders, shop.copy])
    result = shop.bench.run([*shop.assets, nightly], select=["orders", "copy", "nightly"], partition=FIRST)
    shop.day("orders", "copy", day=FIRST, number=2)
    release = Release.open(shop.bench.root)
    assert (release.name, release.run_id) == (f"nightly-{result.run_id[:8]}", result.run_id)
    assert release.versions == {"orders": 0, "copy": 0}
    assert release.snapshot("copy").scan().read_pandas()["n"].tolist() == [1]


def test_a_run_whose_table_failed_publishes_nothing(shop: Shop) -> None:
    @table_asset(deps=[shop.orders])
    def broken() -> pd.DataFrame:
        raise ConnectionError

    nightly = build_release_asset("nightly", [shop.orders, broken])
    shop.bench.run([shop.orders, broken, nightly], partition=FIRST, fails=True)
    assert not shop.bench.exists("_releases")


def test_a_release_of_tables_that_do_not_belong_together_fails_its_asset(shop: Shop) -> None:
    nightly = build_release_asset("nightly", [shop.orders, shop.copy])
    shop.day("orders", "copy", day=FIRST)
    shop.day("orders", day=FIRST, number=2)
    failed = shop.bench.run([*shop.assets, nightly], select=["nightly"], fails=True)
    assert "version 0 of copy was computed from version 0 of orders" in errors(failed)
    assert not shop.bench.exists("_releases")
    nightly = build_release_asset("nightly", ["orders", dg.AssetKey("copy")], mixed=True)
    shop.bench.run([*shop.assets, nightly], select=["nightly"])
    assert Release.open(shop.bench.root).versions == {"orders": 1, "copy": 0}


def test_a_release_is_refused_for_what_was_read_and_after_a_rollback_too(shop: Shop) -> None:
    nightly = build_release_asset("nightly", [shop.orders, shop.copy])
    assets = [*shop.assets, nightly]
    shop.day("orders", "copy", day=FIRST)
    shop.day("orders", day=SECOND)  # which copy has not read
    shop.bench.run(assets, select=["nightly"])
    shop.day("orders", "copy", day=FIRST, number=2)
    shop.bench.run(assets, select=["nightly"])
    shop.job("table_rollback", "rollback", apply=True, table="copy", to="0")
    failed = shop.bench.run(assets, select=["nightly"], fails=True)
    assert "version 2 of copy was computed from version 0 of orders" in errors(failed)
    assert f"its rows of day={FIRST} differ" in errors(failed)
    assert "--mixed" in errors(failed)


def test_maintenance_keeps_what_the_newest_releases_need(shop: Shop) -> None:
    nightly = build_release_asset("nightly", [shop.total])
    for number in (1, 2, 3):
        shop.number = number
        shop.bench.run([shop.total, nightly])
    done = maintain_table(
        shop.entry("total"), shop.bench.instance, MaintainConfig(retention_hours=0, releases=2, apply=True)
    )
    assert done.files is not None
    assert (sorted(done.kept), len(done.files.paths)) == ([1, 2], 1)
    found = [Release.open(shop.bench.root, name).snapshot("total") for name in done.kept.values()]
    assert sorted(each.scan().read_pandas()["n"][0] for each in found) == [2, 3]


def shown(result: dg.ExecuteInProcessResult, name: str) -> list[dict[str, str]]:
    [event] = [each for each in result.all_events if each.event_type_value == "ASSET_OBSERVATION"]
    value = event.asset_observation_data.asset_observation.metadata[name]
    assert isinstance(value, dg.TableMetadataValue)
    return [dict(record.data) for record in value.records]


def test_the_history_job_shows_what_each_commit_did_and_for_whom(bench: Bench) -> None:
    shop = Shop(bench)
    runs = [shop.day("orders", day=day).run_id for day in (FIRST, SECOND)]
    config = {"ops": {"history": {"config": {"table": "orders"}}}}
    job = shop.definitions.resolve_job_def("table_history")
    versions = shown(job.execute_in_process(config, instance=bench.instance), "history/commits")
    assert [(each["version"], each["run_id"]) for each in versions] == [("1", runs[1]), ("0", runs[0])]
    assert [(each["operation"], each["rows_in"]) for each in versions] == [("replace", "1")] * 2


def test_the_diff_job_shows_counts_changed_partitions_and_rows(bench: Bench) -> None:
    shop = Shop(bench)
    shop.day("orders", day=FIRST)
    shop.day("orders", day=FIRST, number=2)
    config = {"ops": {"diff": {"config": {"table": "orders", "before": "0", "after": "1"}}}}
    job = shop.definitions.resolve_job_def("table_diff")
    result = job.execute_in_process(config, instance=bench.instance)
    assert [each["rows"] for each in shown(result, "diff/versions")] == ["1", "1"]
    [partition] = shown(result, "diff/partitions")
    assert (partition["lost"], partition["gained"]) == ("1", "1")
    assert [row["n"] for row in shown(result, "diff/lost")] == ["1"]
    assert [row["n"] for row in shown(result, "diff/gained")] == ["2"]
