"""Protected tables: a run that replaces much of one names it, or is refused before its function runs."""

import time
from typing import Any

import dagster as dg
import pandas as pd
import pytest
from dagster._core.definitions.selector import (
    PartitionRangeSelector,
    PartitionsByAssetSelector,
    PartitionsSelector,
)
from dagster._core.execution.backfill import PartitionBackfill

from practicus_assets import DeclarationError, table_asset
from tests.integration.bench import Bench, errors

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-08")
WEEK = ("2024-01-01", "2024-01-07")
calls: list[list[str]] = []


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    calls.clear()


def rows(keys: list[str]) -> pd.DataFrame:
    calls.append(keys)
    return pd.DataFrame({"day": pd.to_datetime(keys).date, "n": len(calls)})


def daily(protected: Any = 1, **options: Any) -> dg.AssetsDefinition:
    given = {"partition_by": "day", "partitions_def": DAYS, **options}

    @table_asset(protected=protected, backfill_policy=dg.BackfillPolicy.single_run(), **given)
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return rows(list(context.partition_keys))

    return orders


def test_to_fill_a_protected_table_is_not_to_replace_it(bench: Bench) -> None:
    bench.run([daily()], between=WEEK)
    assert len(bench.rows("orders")) == 7


def test_a_run_that_would_replace_more_is_refused_before_the_function_runs(bench: Bench) -> None:
    bench.run([daily()], between=WEEK)
    refused = bench.run([daily()], between=("2024-01-02", "2024-01-04"), fails=True)
    assert len(calls) == 1
    assert bench.version("orders") == 0
    assert (
        "orders [2024-01-02, 2024-01-03, 2024-01-04]: the run would replace 3 partitions of a table that is "
        "protected: 1 may be replaced without naming it. If that is meant, launch it with the tag "
        "practicus/replace: orders. Nothing was written."
    ) in errors(refused)


def test_a_run_that_names_the_table_replaces_it(bench: Bench) -> None:
    bench.run([daily()], between=WEEK)
    bench.run([daily()], between=WEEK, tags={"practicus/replace": "other, orders"})
    assert {n for _, n in bench.rows("orders")} == {2}
    bench.run([daily()], between=WEEK, tags={"practicus/replace": "others"}, fails=True)


def test_as_many_partitions_as_the_number_says_are_replaced_without_a_tag(bench: Bench) -> None:
    bench.run([daily(3)], between=WEEK)
    bench.run([daily(3)], partition="2024-01-05")
    bench.run([daily(3)], between=("2024-01-01", "2024-01-03"))
    refused = bench.run([daily(3)], between=("2024-01-01", "2024-01-04"), fails=True)
    assert "3 may be replaced" in errors(refused)
    bench.run([daily(0)], partition="2024-01-05", fails=True)


def test_only_partitions_with_rows_count(bench: Bench) -> None:
    bench.run([daily()], partition="2024-01-03")
    bench.run([daily()], between=WEEK)
    assert len(bench.rows("orders")) == 7


def test_a_whole_table_is_replaced_only_by_a_run_that_names_it(bench: Bench) -> None:
    @table_asset(protected=True, key=["shop", "items"], partition_by="n")
    def items() -> pd.DataFrame:
        calls.append([])
        return pd.DataFrame({"n": [1, 2], "name": ["a", "b"]})

    bench.run([items])
    refused = bench.run([items], fails=True)
    assert len(calls) == 1
    assert "shop/items: the run would replace all rows of a table that is protected. If" in errors(refused)
    bench.run([items], tags={"practicus/replace": "shop/items"})


def test_appends_and_merges_that_delete_nothing_need_no_tag(bench: Bench) -> None:
    appended, merged = daily(mode="append"), daily(mode="merge", merge_keys=["day"], name="merged")
    for _ in range(2):
        bench.run([appended, merged], between=WEEK)
    deleting = daily(mode="merge", merge_keys=["day"], delete_unmatched=True)
    bench.run([deleting], between=WEEK, fails=True)


def test_a_plain_asset_is_protected_by_its_metadata_and_nothing_is_written(bench: Bench) -> None:
    @dg.asset(
        partitions_def=DAYS,
        metadata={"partition_expr": "day", "delta/protected": 2},
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return rows(list(context.partition_keys))

    bench.run([orders], between=WEEK)
    refused = bench.run([orders], between=WEEK, fails=True)
    assert "would replace 7 partitions" in errors(refused)
    assert bench.version("orders") == 0
    bench.run([orders], between=WEEK, tags={"practicus/replace": "orders"})


def test_the_runs_of_a_backfill_count_together_as_the_table_was_when_it_began(bench: Bench) -> None:
    asset = daily(2)
    bench.run([asset], between=("2024-01-01", "2024-01-04"))
    began = time.time() + 1
    graph = dg.Definitions([asset]).get_repository_def().asset_graph

    def backfill(name: str, first: str, last: str) -> dict[str, str]:
        between = PartitionsSelector(ranges=[PartitionRangeSelector(start=first, end=last)])
        bench.instance.add_backfill(
            PartitionBackfill.from_partitions_by_assets(
                backfill_id=name,
                asset_graph=graph,
                backfill_timestamp=began,
                tags={},
                dynamic_partitions_store=bench.instance,
                partitions_by_assets=[PartitionsByAssetSelector(asset_key=asset.key, partitions=between)],
                title=None,
                description=None,
                run_config=None,
            )
        )
        return {"dagster/backfill": name}

    much = backfill("much", "2024-01-01", "2024-01-07")
    refused = bench.run([asset], partition="2024-01-02", tags=much, fails=True)
    assert "the backfill would replace 4 partitions of a table that is protected: 2 may be" in errors(refused)
    bench.run([asset], partition="2024-01-02", tags={**much, "practicus/replace": "orders"})
    little = backfill("little", "2024-01-03", "2024-01-07")
    for day in (3, 4, 7):
        bench.run([asset], partition=f"2024-01-0{day}", tags=little)


def test_a_number_that_is_none_is_refused_where_it_is_written() -> None:
    for wrong in (-1, "orders", 1.5):
        with pytest.raises(DeclarationError, match=r"protected is .*Write True, or the number"):
            daily(wrong)
