"""Statistics of columns: numbers in the metadata of materializations, which Dagster's pages plot."""

import math
from decimal import Decimal
from typing import Any

import dagster as dg
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from practicus_assets import DeclarationError, DeltaIOManager, table_asset
from practicus_assets.assets.report.statistics import Statistics
from tests.integration.bench import Bench, errors

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-02-01")
FIRST, SECOND = "2024-01-01", "2024-01-02"
ROWS = {"amount": [10.0, 20.0, None, 60.0], "n": [1, 2, 3, 2**60], "shop": ["a", None, None, "b"]}


def statistics(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the statistics among the metadata of a materialization, without their prefix."""
    prefix = "delta/statistics/"
    return {key.removeprefix(prefix): value for key, value in metadata.items() if key.startswith(prefix)}


@pytest.mark.parametrize("decorator", [dg.asset, table_asset], ids=["plain asset", "table asset"])
def test_statistics_are_plain_numbers_of_each_column_that_is_named(bench: Bench, decorator: Any) -> None:
    kinds = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "lazy": pl.LazyFrame, "arrow": pa.table}

    def asset_of(name: str, kind: Any) -> Any:
        @decorator(name=name, metadata={"delta/statistics": ["amount", "shop", "n"]})
        def orders() -> Any:
            return kind(ROWS)

        return orders

    bench.run([asset_of(name, kind) for name, kind in kinds.items()])
    for name in kinds:
        told = statistics(bench.metadata(name))
        assert told == {
            "amount/nulls": 1,
            "amount/mean": 30.0,
            "amount/std": pytest.approx(pl.Series(ROWS["amount"]).std()),
            "amount/min": 10.0,
            "amount/max": 60.0,
            "shop/nulls": 2,
            "n/nulls": 0,
            "n/mean": pytest.approx((6 + 2**60) / 4),
            "n/std": pytest.approx(pl.Series(ROWS["n"]).std()),
            "n/min": 1,
            "n/max": 2**60,
        }
        shown = bench.event(name).metadata
        entries = [entry for key, entry in shown.items() if key.startswith("delta/statistics/")]
        assert all(isinstance(entry, dg.IntMetadataValue | dg.FloatMetadataValue) for entry in entries)


def test_without_the_setting_there_are_no_statistics(bench: Bench) -> None:
    @dg.asset(metadata={"delta/statistics": False})
    def off() -> pd.DataFrame:
        return pd.DataFrame(ROWS)

    @dg.asset
    def unsaid() -> pd.DataFrame:
        return pd.DataFrame(ROWS)

    bench.run([off, unsaid])
    assert statistics(bench.metadata("off")) == statistics(bench.metadata("unsaid")) == {}


def test_of_a_wide_table_the_first_columns_of_numbers_are_shown(bench: Bench) -> None:
    @dg.asset(metadata={"delta/statistics": True})
    def wide() -> pa.Table:
        return pa.table({"text": ["a"], **{f"c{i}": [i] for i in range(30)}})

    bench.run([wide])
    told = {key.split("/")[0] for key in statistics(bench.metadata("wide"))}
    assert told == {f"c{i}" for i in range(20)}


def test_numbers_that_are_none_do_not_count(bench: Bench) -> None:
    @dg.asset(metadata={"delta/statistics": True})
    def odd() -> pa.Table:
        return pa.table(
            {
                "f": [1.0, math.nan, math.inf, 3.0],
                "d": pa.array([Decimal("1.50"), None, Decimal("2.50"), None], pa.decimal128(20, 2)),
                "b": [True, False, None, True],
                "empty": pa.array([None] * 4, pa.float64()),
                "huge": [1e308, -1e308, 1e308, 1e308],
                "a/b 'c'": [1, 2, 3, 4],
            }
        )

    bench.run([odd])
    told = statistics(bench.metadata("odd"))
    assert (told["f/nulls"], told["f/mean"], told["f/max"]) == (0, 2.0, 3.0)
    assert (told["d/nulls"], told["d/mean"], told["d/min"]) == (2, 2.0, 1.5)
    assert told["b/mean"] == pytest.approx(2 / 3)
    assert "b/min" not in told
    assert [key for key in told if key.startswith("empty/")] == ["empty/nulls"]
    assert told["a/b 'c'/max"] == 4
    assert all(math.isfinite(number) for number in told.values())


def test_batches_add_up_to_the_statistics_of_all_rows(bench: Bench) -> None:
    values = [float(i % 97) + 1e6 for i in range(300_000)]

    @dg.asset(metadata={"delta/statistics": ["n"]})
    def many() -> pa.Table:
        return pa.table({"n": values})

    bench.run([many])
    told, expected = statistics(bench.metadata("many")), pl.Series(values)
    assert told["n/mean"] == pytest.approx(expected.mean(), rel=1e-12)
    assert told["n/std"] == pytest.approx(expected.std(), rel=1e-9)


def test_each_partition_has_its_own_statistics_also_in_a_run_of_several(bench: Bench) -> None:
    def rows(days: Any) -> pd.DataFrame:
        twice = [day for day in days for _ in range(2)]
        return pd.DataFrame({"day": twice, "n": [int(day[-2:]) for day in twice]})

    @dg.asset(partitions_def=DAYS, metadata={"partition_expr": "day", "delta/statistics": True})
    def plain(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return rows(context.partition_keys)

    @table_asset(partitions_def=DAYS, partition_by="day", metadata={"delta/statistics": ["n"]})
    def table(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return rows(context.partition_keys)

    for day in (FIRST, SECOND):
        bench.run([plain], partition=day)
    bench.run([table], between=(FIRST, SECOND))
    for name in ("plain", "table"):
        means = [statistics(bench.metadata(name, day))["n/mean"] for day in (FIRST, SECOND)]
        assert means == [1.0, 2.0]
    names = {key.split("/")[0] for key in statistics(bench.metadata("plain", FIRST))}
    assert names == {"n"}  # the column of the partition is the same in each row


def test_statistics_of_an_append_are_those_of_the_table_like_its_row_count(bench: Bench) -> None:
    rows = [1, 3]

    @dg.asset(metadata={"delta/mode": "append", "delta/statistics": ["n"]})
    def log() -> pd.DataFrame:
        return pd.DataFrame({"n": rows})

    bench.run([log])
    rows[:] = [5]
    bench.run([log])
    assert statistics(bench.metadata("log"))["n/mean"] == 3.0


def test_a_lake_that_shows_no_values_counts_nulls_alone(bench: Bench) -> None:
    @dg.asset(metadata={"delta/statistics": ["amount", "n"]})
    def orders() -> pd.DataFrame:
        return pd.DataFrame(ROWS)

    bench.resources = {"io_manager": DeltaIOManager(root_uri=bench.root, sample_rows=0)}
    bench.run([orders])
    assert statistics(bench.metadata("orders")) == {"amount/nulls": 1, "n/nulls": 0}


def test_a_column_that_is_not_there_is_warned_of_and_the_others_are_shown(bench: Bench) -> None:
    @dg.asset(metadata={"delta/statistics": ["amuont", "n"]})
    def orders() -> pd.DataFrame:
        return pd.DataFrame(ROWS)

    result = bench.run([orders])
    said = [log.user_message for log in bench.instance.all_logs(result.run_id)]
    assert any("no column 'amuont'. Did you mean amount?" in message for message in said)
    assert "n/mean" in statistics(bench.metadata("orders"))


@pytest.mark.parametrize("said", ["amount", [], [1], {"amount": True}, 7, None, [f"c{i}" for i in range(21)]])
def test_what_names_no_columns_or_too_many_is_refused_where_it_is_written(said: Any) -> None:
    with pytest.raises(DeclarationError, match="delta/statistics"):
        Statistics.from_metadata({"delta/statistics": said})
    with pytest.raises(DeclarationError, match="delta/statistics"):

        @table_asset(metadata={"delta/statistics": said})
        def table() -> pd.DataFrame: ...


def test_a_plain_asset_with_a_wrong_setting_writes_nothing(bench: Bench) -> None:
    @dg.asset(metadata={"delta/statistics": "amount"})
    def orders() -> pd.DataFrame:
        return pd.DataFrame(ROWS)

    assert 'Name columns, e.g. ["amount"]' in errors(bench.run([orders], fails=True))
    assert not bench.exists("orders")


def test_a_run_cannot_decide_which_statistics_are_shown(bench: Bench) -> None:
    @dg.asset
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        context.add_output_metadata({"delta/statistics": ["n"]})
        return pd.DataFrame(ROWS)

    assert "Write it into the metadata of the asset's definition." in errors(bench.run([orders], fails=True))
    assert not bench.exists("orders")
