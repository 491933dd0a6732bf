"""Values that may be None: inputs of tables that are not there, and functions that have nothing to store."""

from collections.abc import Iterator
from typing import Any, Optional

import dagster as dg
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from practicus_assets import DeltaIOManager, Snapshot, TableNotFound, table_asset
from practicus_assets.assets.catalog import catalog
from practicus_assets.operations.drift import drift
from practicus_assets.testing import run_table
from tests.integration.bench import Bench, errors

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-04")
FIRST, SECOND, THIRD = "2024-01-01", "2024-01-02", "2024-01-03"
BY_DAY: dict[str, Any] = {"partitions_def": DAYS, "metadata": {"partition_expr": "day"}}
BEFORE = dg.TimeWindowPartitionMapping(
    start_offset=-1, end_offset=-1, allow_nonexistent_upstream_partitions=True
)
ONE_ROW = pd.DataFrame({"n": [1]})
KINDS = [pd.DataFrame, pl.DataFrame, pl.LazyFrame, pa.Table, pa.RecordBatchReader, Snapshot]
ASSETS = pytest.mark.parametrize("decorate", [dg.asset, table_asset], ids=["plain", "table asset"])


@dg.asset(name="orders")
def whole() -> pd.DataFrame:
    return ONE_ROW


@dg.asset(name="orders", **BY_DAY)
def daily(context: dg.AssetExecutionContext) -> pd.DataFrame:
    rows = 0 if context.partition_key == SECOND else 1
    return pd.DataFrame({"n": [1] * rows}, dtype="int64")


def given(
    bench: Bench,
    source: Any,
    annotation: Any,
    *,
    decorate: Any = dg.asset,
    into: dg.AssetIn | None = None,
    partition: str | None = None,
    fails: bool = False,
    **options: Any,
) -> Any:
    """Return what an asset gets for its input `orders` of an annotation; of a run that fails, the message."""
    seen = []

    def reader(orders: Any) -> pd.DataFrame:
        seen.append(orders.collect() if isinstance(orders, pl.LazyFrame) else orders)
        return ONE_ROW

    reader.__annotations__["orders"] = annotation
    reader.__name__ = "reader_by_day" if partition else "reader"
    asset = decorate(ins={"orders": into or dg.AssetIn("orders")}, **options)(reader)
    result = bench.run([source, asset], select=[asset], partition=partition, fails=fails)
    return errors(result) if fails else seen[0]


def said(bench: Bench, result: dg.ExecuteInProcessResult) -> list[str]:
    return [entry.user_message for entry in bench.instance.all_logs(result.run_id)]


def missing(key: str = "orders") -> dg.AssetIn:
    return dg.AssetIn(key, metadata={"allow_missing_partitions": True})


# --- inputs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__module__.split(".")[0] + kind.__name__)
def test_an_input_that_may_be_none_is_none_where_there_is_no_table(bench: Bench, kind: Any) -> None:
    assert given(bench, whole, kind | None) is None
    bench.run([whole])
    value = given(bench, whole, Optional[kind])  # noqa: UP045 as others write it
    assert isinstance(value, pl.DataFrame if kind is pl.LazyFrame else kind)


def test_an_input_that_may_not_be_none_is_refused_where_there_is_no_table(bench: Bench) -> None:
    assert "there is no Delta table at" in given(bench, whole, pd.DataFrame, fails=True)


@ASSETS
def test_an_input_that_may_be_none_is_none_where_its_partition_has_no_rows(
    bench: Bench, decorate: Any
) -> None:
    options = {"partitions_def": DAYS, "decorate": decorate}
    options |= {"partition_by": "day"} if decorate is table_asset else {"metadata": BY_DAY["metadata"]}
    assert given(bench, daily, pd.DataFrame | None, partition=FIRST, **options) is None
    for day in (FIRST, SECOND):
        bench.run([daily], partition=day)
    assert len(given(bench, daily, pd.DataFrame | None, partition=FIRST, **options)) == 1
    for day in (SECOND, THIRD):
        for kind in (pl.DataFrame, Snapshot):
            assert given(bench, daily, kind | None, partition=day, **options) is None
        assert len(given(bench, daily, pd.DataFrame, partition=day, **options)) == 0


def test_an_input_whose_rows_no_predicate_satisfies_is_there(bench: Bench) -> None:
    bench.run([daily], partition=FIRST)
    into = dg.AssetIn("orders", metadata={"predicate": "n > 5"})
    assert len(given(bench, daily, pd.DataFrame | None, into=into, partition=FIRST, **BY_DAY)) == 0


def test_several_partitions_are_none_where_none_of_them_has_rows(bench: Bench) -> None:
    bench.run([daily], partition=SECOND)
    assert given(bench, daily, pl.DataFrame | None) is None
    bench.run([daily], partition=FIRST)
    assert len(given(bench, daily, pl.DataFrame | None)) == 1


def test_a_table_without_rows_that_has_no_partitions_is_there(bench: Bench) -> None:
    bench.write("orders", ONE_ROW.head(0))
    assert len(given(bench, whole, pd.DataFrame | None)) == 0


@ASSETS
def test_a_table_that_depends_on_its_own_past_begins_with_none(bench: Bench, decorate: Any) -> None:
    seen = []

    def balance(balance: pd.DataFrame | None) -> pd.DataFrame:
        seen.append(balance if balance is None else int(balance["sum"].iloc[0]))
        return pd.DataFrame({"sum": [1 + (seen[-1] or 0)]})

    options = {"partition_by": "day"} if decorate is table_asset else {"metadata": BY_DAY["metadata"]}
    ins = {"balance": dg.AssetIn(partition_mapping=BEFORE)}
    asset = decorate(ins=ins, partitions_def=DAYS, **options)(balance)
    for day in (SECOND, FIRST, SECOND):
        bench.run([asset], partition=day)
    assert seen == [None, None, 1]


def test_a_table_of_others_with_other_partition_columns_is_read_and_not_none(bench: Bench) -> None:
    bench.write("orders", pd.DataFrame({"day": [FIRST], "n": [1]}))
    source = dg.AssetSpec("orders", **BY_DAY)
    assert len(given(bench, source, pd.DataFrame | None, partition=FIRST, **BY_DAY)) == 1
    parts = given(bench, source, dict[str, pd.DataFrame | None])
    assert {key: len(part) for key, part in parts.items()} == {FIRST: 1, SECOND: 0, THIRD: 0}


def test_the_log_says_why_an_input_is_none(bench: Bench) -> None:
    @dg.asset(**BY_DAY)
    def copy(orders: pd.DataFrame | None) -> pd.DataFrame:
        assert orders is None
        return ONE_ROW

    result = bench.run([daily, copy], select=[copy], partition=FIRST)
    assert "orders: there is no table yet, so the input 'orders' is None" in said(bench, result)
    bench.run([daily], partition=FIRST)
    result = bench.run([daily, copy], select=[copy], partition=THIRD)
    assert f"orders: there are no rows of {THIRD}, so the input 'orders' is None" in said(bench, result)


def test_a_unit_test_of_the_lake_gets_none_too(bench: Bench) -> None:
    def table(table: pd.DataFrame | None) -> None: ...

    [definition] = dg.op(table).ins.values()
    context = dg.build_input_context(asset_key="orders", dagster_type=definition.dagster_type)
    assert DeltaIOManager(root_uri=bench.root).load_input(context) is None
    unit = dg.build_output_context(asset_key="orders", dagster_type=definition.dagster_type)
    DeltaIOManager(root_uri=bench.root).handle_output(unit, None)
    assert not bench.exists("orders")


# --- allow_missing_partitions -------------------------------------------------------------------------


def test_missing_partitions_that_are_allowed_are_left_out_of_a_mapping(bench: Bench) -> None:
    assert given(bench, daily, dict[str, pl.DataFrame], into=missing()) == {}
    for day in (FIRST, SECOND):
        bench.run([daily], partition=day)
    assert [*given(bench, daily, dict[str, pl.DataFrame], into=missing())] == [FIRST]


def test_missing_partitions_that_are_allowed_are_no_rows_of_one_table(bench: Bench) -> None:
    assert len(given(bench, daily, pd.DataFrame, into=missing())) == 0
    bench.run([daily], partition=FIRST)
    assert len(given(bench, daily, pd.DataFrame, into=missing())) == 1
    assert len(given(bench, daily, pl.LazyFrame, into=missing())) == 1


def test_a_snapshot_of_a_table_that_is_not_there_stays_refused(bench: Bench) -> None:
    assert "there is no Delta table at" in given(bench, daily, Snapshot, into=missing(), fails=True)


@pytest.mark.parametrize("value", [False, "yes"])
def test_missing_partitions_that_are_not_allowed_are_refused_with_what_to_do(
    bench: Bench, value: object
) -> None:
    bench.run([daily], partition=FIRST)
    into = dg.AssetIn("orders", metadata={"allow_missing_partitions": value})
    message = given(bench, daily, dict[str, pl.DataFrame], into=into, fails=True)
    assert f"orders: the input's metadata have allow_missing_partitions={value!r}" in message
    assert "Leave it out" in message


def test_missing_partitions_of_an_asset_that_has_none_are_refused(bench: Bench) -> None:
    bench.run([whole])
    message = given(bench, whole, pd.DataFrame, into=missing(), fails=True)
    assert "have 'allow_missing_partitions', and its asset has no partitions" in message
    assert "`pd.DataFrame | None`" in message


# --- outputs ------------------------------------------------------------------------------------------


def nothing() -> pd.DataFrame | None:
    return None


def nothing_inside() -> dg.Output[pl.LazyFrame | None]:
    return dg.Output(None)


@pytest.mark.parametrize("function", [nothing, nothing_inside])
def test_a_plain_asset_that_returns_none_writes_nothing_and_says_so(bench: Bench, function: Any) -> None:
    orders = dg.asset(name="orders")(function)
    bench.run([orders])
    assert not bench.exists("orders")
    bench.write("orders", ONE_ROW)
    result = bench.run(
        [orders, dg.asset(name="copy", ins={"table": dg.AssetIn("orders")})(lambda table: table)]
    )
    assert (bench.version("orders"), bench.rows("copy")) == (0, [(1,)])
    assert bench.metadata("orders") == {
        "dagster/table_name": "orders",
        "dagster/uri": f"{bench.root}/orders",
        "delta/outcome": "nothing new",
    }
    assert "orders: the function returned no rows, so the table stays as it is" in said(bench, result)


def test_a_partition_whose_function_returns_none_stays_as_it_is(bench: Bench) -> None:
    @dg.asset(**BY_DAY)
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame | None:
        return ONE_ROW if context.partition_key == FIRST and bench.materializations("orders") == 0 else None

    for day in (FIRST, FIRST, SECOND):
        bench.run([orders], partition=day)
    assert bench.rows("orders", "n") == [(1,)]
    assert "dagster/partition_row_count" not in bench.metadata("orders", FIRST)
    entry = catalog(dg.Definitions([orders], resources={"io_manager": DeltaIOManager(root_uri=bench.root)}))[
        "orders"
    ]
    assert drift(entry, bench.instance) == []


def test_a_plain_asset_with_an_output_that_is_not_required_may_return_none(bench: Bench) -> None:
    bench.run([dg.asset(name="orders", output_required=False)(lambda: None)])
    assert not bench.exists("orders")
    assert bench.metadata("orders")["delta/outcome"] == "nothing new"


@ASSETS
def test_none_without_such_an_annotation_is_refused_with_what_to_write(bench: Bench, decorate: Any) -> None:
    message = errors(bench.run([decorate(name="orders")(lambda: None)], fails=True))
    assert "orders: the function returned None." in message
    for advice in ("annotate `-> pd.DataFrame | None`", "output_required=False", "`-> None`"):
        assert advice in message
    assert not bench.exists("orders")
    assert bench.materializations("orders") == 0


@pytest.mark.parametrize("function", [nothing, nothing_inside])
def test_a_table_asset_that_may_return_none_need_not_materialize(bench: Bench, function: Any) -> None:
    bench.write("orders", ONE_ROW)
    orders = table_asset(name="orders")(function)
    below = table_asset(name="below", deps=["orders"])(lambda: ONE_ROW)
    bench.run([orders, below])
    assert (bench.version("orders"), bench.materializations("orders")) == (0, 0)
    assert not bench.exists("below")


def test_a_table_asset_that_may_return_none_commits_the_rows_that_it_returns(bench: Bench) -> None:
    @table_asset
    def orders() -> "pd.DataFrame | None":
        return ONE_ROW

    bench.run([orders])
    assert bench.rows("orders") == [(1,)]
    assert bench.materializations("orders") == 1


def test_what_a_table_asset_says_of_its_output_goes_before_its_annotation(bench: Bench) -> None:
    orders = table_asset(name="orders", output_required=True)(nothing)
    assert "the function returned None." in errors(bench.run([orders], fails=True))


# --- in memory ----------------------------------------------------------------------------------------


@ASSETS
def test_a_rehearsal_without_an_optional_input_gives_none(decorate: Any) -> None:
    seen = []

    @decorate
    def total(orders: pl.DataFrame | None, stock: Snapshot | None) -> pd.DataFrame:
        seen.append((orders, stock))
        return ONE_ROW

    run_table(total)
    run_table(total, {"orders": None})
    assert seen == [(None, None)] * 2
    run_table(total, {"orders": ONE_ROW, "stock": ONE_ROW})
    assert [type(value) for value in seen[-1]] == [pl.DataFrame, Snapshot]


def test_a_rehearsal_of_a_function_that_returns_none_keeps_the_table() -> None:
    for asset, is_materialized in ((dg.asset(nothing), True), (table_asset(nothing), False)):
        run = run_table(asset, existing=ONE_ROW)
        assert (run.is_materialized, run.rows.num_rows, run.table.row_count) == (is_materialized, 0, 1)
        with pytest.raises(TableNotFound, match="the function returned nothing"):
            _ = run_table(asset).table


def test_a_rehearsal_of_a_plain_generator_that_yields_nothing_is_no_materialization() -> None:
    @dg.asset(output_required=False)
    def orders() -> Iterator[dg.Output[pd.DataFrame]]:
        yield from ()

    assert not run_table(orders).is_materialized
