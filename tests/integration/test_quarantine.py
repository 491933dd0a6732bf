"""Rejected rows as Dagster shows them: the check, the materialization, and an asset of their own."""

from typing import Any

import dagster as dg
import pandas as pd
import pyarrow.compute as pc
import pytest

from practicus_assets import (
    Column,
    Contract,
    DeclarationError,
    DeltaIOManager,
    RowRule,
    Snapshot,
    rejected_rows,
    table_asset,
)
from practicus_assets.testing import run_table
from tests.integration.bench import Bench, checks, errors

DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-04")
CONTRACT = Contract(
    {"day": "date32", "amount": Column("int64", minimum=0, severity="QUARANTINE")}, max_rejected=2
)
AMOUNTS = {"2026-01-01": [1, -1], "2026-01-02": [2], "2026-01-03": [-3, 4, -5]}


def _orders(amounts: dict[str, list[int]], contract: Contract = CONTRACT) -> dg.AssetsDefinition:
    @table_asset(partitions_def=DAYS, partition_by="day", contract=contract, group_name="sales")
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        rows = [(day, amount) for day in context.partition_keys for amount in amounts[day]]
        return pd.DataFrame(rows, columns=["day", "amount"]).astype({"day": "datetime64[ns]"})

    return orders


def test_a_run_that_rejects_rows_publishes_the_others_and_says_where_the_bad_ones_are(bench: Bench) -> None:
    result = bench.run([_orders(AMOUNTS)], partition="2026-01-01")
    assert bench.frame("orders")["amount"].tolist() == [1]
    assert bench.frame("orders__rejected")["amount"].tolist() == [-1]
    check = checks(result)["amount_minimum"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.metadata["bad_rows"].value == 1
    key = dg.AssetKey("orders__rejected")
    assert check.metadata["delta/rejected"].value == key
    metadata = bench.metadata("orders", "2026-01-01")
    assert (metadata["delta/rejected_rows"], metadata["delta/rejected"]) == (1, key)
    event = bench.metadata("orders__rejected", "2026-01-01")
    assert event["dagster/partition_row_count"] == 1
    assert "amount_minimum" in event["delta/preview"]


def test_a_run_of_many_partitions_shows_the_rejected_rows_of_each_and_a_rerun_empties_it(
    bench: Bench,
) -> None:
    bench.run([_orders(AMOUNTS | {"2026-01-03": [-3, 4]})], between=("2026-01-01", "2026-01-03"))
    assert bench.rows("orders__rejected", "amount") == [(-3,), (-1,)]
    seen = bench.instance.get_materialized_partitions(dg.AssetKey("orders__rejected"))
    assert seen == {"2026-01-01", "2026-01-03"}
    bench.run([_orders({"2026-01-01": [1, 7]})], partition="2026-01-01")
    assert bench.rows("orders__rejected", "amount") == [(-3,)]
    assert bench.metadata("orders__rejected", "2026-01-01")["dagster/partition_row_count"] == 0
    assert bench.metadata("orders", "2026-01-01")["delta/rejected_rows"] == 0


def test_summaries_say_which_rule_rejected_how_many_rows_of_which_partition(bench: Bench) -> None:
    amount = Column("int64", minimum=0, severity="QUARANTINE")
    small = RowRule("small", lambda rows: pc.less(rows["amount"], 10), severity="QUARANTINE")
    both = Contract({"day": "date32", "amount": amount}, rules=[small])
    amounts = {"2026-01-01": [-1, 1, 99, 98], "2026-01-02": [3, 4], "2026-01-03": [-3, 4]}
    bench.run([_orders(amounts, both)], between=("2026-01-01", "2026-01-03"))
    summary = str(bench.metadata("orders", "2026-01-02")["delta/summary"])
    assert (
        "2 kept rows out.\n\n"
        "**Rejected**: 4 rows, which orders\\_\\_rejected has in its version 0:\n\n"
        "- amount\\_minimum: 2 rows (2026-01-01 1; 2026-01-03 1)\n"
        "- small: 2 rows (2026-01-01 2)\n"
    ) in summary
    event = bench.metadata("orders__rejected", "2026-01-01")
    assert event["delta/summary"] == (
        "**3 rows** kept out of orders, partition 2026-01-01:\n\n- small: 2 rows\n- amount\\_minimum: 1 row"
    )
    bench.run([_orders({"2026-01-01": [1, 7]}, both)], partition="2026-01-01")
    assert "**Rejected**" not in str(bench.metadata("orders", "2026-01-01")["delta/summary"])
    event = bench.metadata("orders__rejected", "2026-01-01")
    assert event["delta/summary"] == "**0 rows** kept out of orders, partition 2026-01-01."


def test_more_bad_rows_than_the_limit_fail_the_run_and_write_nothing(bench: Bench) -> None:
    amounts = {"2026-01-03": [-3, 4, -5, -6]}
    result = bench.run([_orders(amounts)], partition="2026-01-03", fails=True)
    assert checks(result)["amount_minimum"].severity is dg.AssetCheckSeverity.ERROR
    assert "3 of 4 rows would be rejected, and max_rejected is 2" in errors(result)
    assert not bench.exists("orders")
    assert not bench.exists("orders__rejected")


def test_the_rejected_rows_are_an_asset_that_others_read(bench: Bench) -> None:
    orders = _orders(AMOUNTS)
    read: list[Any] = []

    @dg.asset(partitions_def=DAYS, ins={"bad": dg.AssetIn("orders__rejected")})
    def report(bad: Snapshot) -> None:
        read.extend(bad.to_pandas()["amount"].tolist())

    spec = rejected_rows(orders)
    assert (spec.group_name, spec.partitions_def) == ("sales", DAYS)
    assert [dep.asset_key for dep in spec.deps] == [orders.key]
    bench.run([orders, spec, report], select=[orders], partition="2026-01-03")
    bench.run([orders, spec, report], select=[report], partition="2026-01-03")
    assert read == [-3, -5]
    with pytest.raises(DeclarationError, match="no rule of the contract of plain"):
        rejected_rows(table_asset(name="plain", contract=Contract({"n": "int64"}))(lambda: None))


def test_an_asset_of_the_same_place_is_refused(bench: Bench) -> None:
    @table_asset
    def orders__rejected() -> pd.DataFrame:
        return pd.DataFrame({"n": [1]})

    result = bench.run([_orders(AMOUNTS), orders__rejected], partition="2026-01-01", fails=True)
    assert "the asset orders__rejected writes the table" in errors(result)


def test_a_lake_over_a_base_keeps_its_rejected_rows_to_itself(bench: Bench) -> None:
    bench.run([_orders(AMOUNTS)], partition="2026-01-01")
    own = Bench(bench.instance, f"{bench.root}-own")
    own.resources["io_manager"] = DeltaIOManager(root_uri=own.root, base_uri=bench.root)
    own.run([_orders({"2026-01-01": [5, -6]})], partition="2026-01-01")
    assert own.rows("orders__rejected", "amount") == [(-6,)]
    assert bench.rows("orders__rejected", "amount") == [(-1,)]


def test_values_of_rejected_rows_are_shown_nowhere_where_none_are_to_be_shown(bench: Bench) -> None:
    bench.resources["io_manager"] = DeltaIOManager(root_uri=bench.root, sample_rows=0)
    result = bench.run([_orders({"2026-01-01": [1, -987654]})], partition="2026-01-01")
    assert bench.rows("orders__rejected", "amount") == [(-987654,)]
    assert "987654" not in str(result.all_events)
    bench.run([_orders({"2026-01-01": [-987654] * 3})], partition="2026-01-01", fails=True)


def test_a_table_that_merges_cannot_reject_rows() -> None:
    with pytest.raises(DeclarationError, match='the mode is "merge"'):
        table_asset(contract=CONTRACT, mode="merge", merge_keys=["day"])


def test_a_run_in_memory_shows_the_rejected_rows() -> None:
    run = run_table(_orders(AMOUNTS), partition="2026-01-03")
    assert run.to_pandas()["amount"].tolist() == [4]
    assert run.rejected is not None
    assert run.rejected.select(["amount", "_rejected_by"]).to_pylist() == [
        {"amount": -3, "_rejected_by": ["amount_minimum"]},
        {"amount": -5, "_rejected_by": ["amount_minimum"]},
    ]
    assert run.broken() == ["amount_minimum"]
    assert run_table(_orders(AMOUNTS), partition="2026-01-02").rejected is None
