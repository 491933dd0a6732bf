"""Runs of many partitions whose events Dagster writes to PostgreSQL in batches, as deployments do."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from practicus_assets import Column, Contract, table_asset
from practicus_assets.instance.attempts import attempts
from tests.integration.bench import Bench
from tests.servers.postgresql import PostgreSQL

DAYS = dg.StaticPartitionsDefinition([f"d{number}" for number in range(12)])


@pytest.fixture
def instance(postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "5")
    with dg.instance_for_test(postgresql.dagster_storage()) as made:
        yield made


@table_asset(
    partitions_def=DAYS,
    partition_by="day",
    contract=Contract({"day": Column("string"), "n": Column("int64", minimum=0)}, unique=[["day", "n"]]),
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def visits(context: dg.AssetExecutionContext) -> pd.DataFrame:
    return pd.DataFrame({"day": context.partition_keys, "n": range(len(context.partition_keys))})


@table_asset(partitions_def=DAYS, partition_by="day", backfill_policy=dg.BackfillPolicy.single_run())
def visitors(visits: pd.DataFrame) -> pd.DataFrame:
    return visits


@table_asset(
    partitions_def=DAYS,
    partition_by="day",
    backfill_policy=dg.BackfillPolicy.single_run(),
    automation_condition=dg.AutomationCondition.execution_failed(),
)
def nobody() -> pd.DataFrame:
    raise ValueError("no visits")


def test_a_run_whose_events_come_in_batches_records_each_partition_and_what_its_rules_looked_at(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    bench, ends = Bench(instance, str(tmp_path)), ("d0", "d11")
    bench.run([visits, visitors], between=ends)
    result = bench.run([visits, visitors], between=ends)
    for asset in (visits, visitors):
        newest = instance.fetch_materializations(asset.key, limit=12).records
        assert {(record.run_id, record.partition_key) for record in newest} == {
            (result.run_id, f"d{number}") for number in range(12)
        }
        if asset is visits:
            numbers = {record.partition_key: record.storage_id for record in newest}
        else:
            read = newest[0].asset_materialization.metadata["delta/input_versions"]  # type: ignore[union-attr]
            assert read.value == {"visits": bench.version("visits")}
    evaluations = [event for event in result.get_asset_check_evaluations() if event.partition is not None]
    assert {event.check_name for event in evaluations} >= {"day_n_unique", "n_minimum"}
    for event in evaluations:
        target = event.target_materialization_data
        assert target is not None
        assert (target.run_id, target.storage_id) == (result.run_id, numbers[event.partition])


@pytest.mark.parametrize("setting", ["", "true"], ids=["each", "one"])
def test_one_planned_event_for_all_partitions_hides_from_commands_and_automation_which_of_them_failed(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv("DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS", setting)
    bench, ends = Bench(instance, str(tmp_path)), ("d0", "d11")
    bench.run([visits], between=ends)
    assert len(bench.rows("visits")) == bench.materializations("visits") == 12
    bench.run([nobody], between=ends, fails=True)
    seen = 0 if setting else 12
    assert len(attempts(instance, nobody.key, has_partitions=True)) == seen
    assert dg.evaluate_automation_conditions([nobody], instance).total_requested == seen
