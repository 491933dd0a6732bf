"""Splits: one table's step in parts, audited and committed at once."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import practicus_assets
from practicus_assets import Column, Contract, DeclarationError, RowRule, Snapshot, Split, Splits, table_asset
from practicus_assets.testing import run_table
from tests.integration.bench import Bench, checks, errors

DAYS = dg.StaticPartitionsDefinition(["a", "b"])
KEYED: dict[str, Any] = {"partitions_def": DAYS, "partition_by": "day"}


def numbers(rows: int = 1000, day: str | None = None) -> pa.Table:
    columns = {
        "id": pa.array(range(rows)),
        "shop": [f"shop {i % 7}" for i in range(rows)],
        "amount": [i / 8 for i in range(rows)],
    }
    return pa.table({**columns, **({"day": [day] * rows} if day is not None else {})})


@table_asset
def orders() -> pa.Table:
    return numbers()


@table_asset(**KEYED)
def days(context: dg.AssetExecutionContext) -> Iterator[pa.Table]:
    for key in context.partition_keys:
        yield numbers(300 if key == "a" else 50, key)


def table(function: Any, splits: Any = 3, **options: Any) -> Any:
    """Return a table of this name and function, with splits."""
    return table_asset(splits=splits, **options)(function)


def twice(orders: pd.DataFrame) -> pd.DataFrame:
    return orders.assign(amount=orders["amount"] * 2)


def of_days(days: pl.DataFrame) -> pl.DataFrame:
    return days.select("id", "day", amount=pl.col("amount") * 2)


def fingerprint(bench: Bench, name: str) -> str:
    return str(bench.metadata(name)["delta/fingerprint"])


# --- Equal tables -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "splits", [1, 7, Splits(3, of="orders"), Splits(4, by="shop"), Splits(2, by="id")], ids=str
)
def test_the_rows_of_splits_have_the_fingerprint_of_those_of_one_call(bench: Bench, splits: Any) -> None:
    result = bench.run([orders, table(twice, splits), table(twice, None, name="whole")])
    assert fingerprint(bench, "twice") == fingerprint(bench, "whole")
    assert bench.rows("twice") == bench.rows("whole")
    assert bench.version("twice") == 0
    assert len(result.asset_materializations_for_node("twice")) == 1
    assert bench.metadata("twice")["delta/splits"] == (splits if isinstance(splits, int) else splits.count)


@pytest.mark.parametrize(
    "options",
    [{"mode": "replace"}, {"mode": "append"}, {"mode": "merge", "merge_keys": ["day", "id"]}],
    ids=lambda options: str(options["mode"]),
)
def test_splits_of_partitions_leave_the_table_that_one_call_leaves(
    bench: Bench, options: dict[str, Any]
) -> None:
    options |= KEYED
    assets = [days, table(of_days, 4, **options), table(of_days, None, name="whole", **options)]
    bench.run(assets, between=("a", "b"))
    bench.run(assets, partition="b")
    assert bench.rows("of_days") == bench.rows("whole")
    assert len(bench.rows("whole")) == (400 if options["mode"] == "append" else 350)


def test_each_split_knows_which_it_is_and_the_keys_of_the_partitions(bench: Bench) -> None:
    def parts(split: Split, days: pa.Table) -> list[dict[str, Any]]:
        return [{"part": str(split), "day": split.partition_key, "rows": days.num_rows}]

    bench.run([days, table(parts, 2, **KEYED)], partition="a")
    assert bench.rows("parts", "part", "rows") == [("split 1 of 2", 150), ("split 2 of 2", 150)]


def test_a_function_that_reads_nothing_divides_its_work_by_its_split(bench: Bench) -> None:
    def files(split: Split) -> list[dict[str, int]]:
        return [{"file": number} for number in range(10)[split.index :: split.count]]

    bench.run([table(files, 4)])
    assert bench.rows("files") == [(number,) for number in range(10)]


def test_all_rows_of_a_value_meet_in_one_split_of_all_inputs_that_have_it(bench: Bench) -> None:
    @table_asset
    def shops() -> pa.Table:
        return pa.table({"shop": [f"shop {i}" for i in range(9)]})

    @table_asset
    def rates() -> pa.Table:
        return pa.table({"rate": [2.0, 3.0]})

    def totals(orders: pl.DataFrame, shops: pl.DataFrame, rates: pl.DataFrame, split: Split) -> pl.DataFrame:
        sums = orders.group_by("shop").agg(pl.len().cast(pl.Int64).alias("n"))
        return shops.join(sums, on="shop", how="left").with_columns(
            rates=pl.lit(rates.height), split=pl.lit(split.index)
        )

    contract = Contract(unique=[["shop"]])
    bench.run([orders, shops, rates, table(totals, Splits(3, by="shop"), contract=contract)])
    expected = Counter(numbers().column("shop").to_pylist())
    assert bench.rows("totals", "shop", "rates") == [(f"shop {i}", 2) for i in range(9)]
    frame = bench.frame("totals").set_index("shop")["n"].dropna()
    assert frame.astype(int).to_dict() == dict(expected)


def test_a_mapping_from_partition_has_a_part_of_each_in_every_split(bench: Bench) -> None:
    def counted(days: dict[str, pa.Table], split: Split) -> pa.Table:
        counts = {key: part.num_rows for key, part in days.items()}
        return pa.table({"key": list(counts), "rows": list(counts.values())})

    bench.run([days, table(counted, 2)], select="days", between=("a", "b"))
    bench.run([days, table(counted, 2)], select="counted")
    assert bench.rows("counted") == [("a", 150), ("a", 150), ("b", 25), ("b", 25)]


def test_an_input_may_select_and_may_be_absent(bench: Bench) -> None:
    def chosen(orders: pd.DataFrame, missing: pd.DataFrame | None) -> pd.DataFrame:
        assert missing is None
        assert list(orders.columns) == ["id"]
        return orders

    ins = {"orders": dg.AssetIn(metadata={"delta/columns": ["id"], "delta/predicate": "amount < 1"})}
    missing = dg.AssetSpec("missing").with_io_manager_key("io_manager")
    bench.run([orders, missing, table(chosen, Splits(3, of="orders"), ins=ins)])
    assert bench.rows("chosen") == [(number,) for number in range(8)]


# --- Promises on the rows of all splits ---------------------------------------------------------------------


def test_a_key_that_two_splits_have_is_found(bench: Bench) -> None:
    def keys(orders: pa.Table) -> pa.Table:
        return pa.table({"shop": sorted({*orders.column("shop").to_pylist()})})

    result = bench.run([orders, table(keys, 2, contract=Contract(unique=[["shop"]]))], fails=True)
    assert "shop_unique" in errors(result)
    assert "7 bad rows" in errors(result)
    assert "Nothing was written." in errors(result)
    assert not checks(result)["shop_unique"].passed
    assert not bench.exists("keys")


def test_rules_count_the_rows_of_all_splits(bench: Bench) -> None:
    contract = Contract(
        {"amount": Column("float64", maximum=200.0, severity="WARN")},
        rows=(1000, 1000),
        rules=[RowRule("whole", lambda rows: pc.not_equal(rows["id"], 5), severity="QUARANTINE")],
    )
    few = Contract({"amount": contract.columns["amount"]}, rows=(1000, 1000))
    result = bench.run([orders, table(twice, 4, contract=few)])
    assert checks(result)["row_count"].passed
    broken = [check for name, check in checks(result).items() if not check.passed]
    assert len(broken) == 1
    assert "199 bad rows" in str(broken[0].description)

    rejecting = Contract(rules=contract.rules)
    bench.run([orders, table(twice, 4, name="kept", contract=rejecting)])
    assert len(bench.rows("kept")) == 999
    assert bench.rows("kept__rejected", "id") == [(5,)]


def test_a_split_without_rows_takes_the_types_of_the_others(bench: Bench) -> None:
    def first(orders: pd.DataFrame, split: Split) -> pd.DataFrame:
        return orders if split.index == 0 else pd.DataFrame({name: [] for name in orders})

    bench.run([orders, table(first, 4)])
    assert len(bench.rows("first")) == 250
    assert str(bench.frame("first")["id"].dtype) == "int64"


def test_splits_that_return_other_columns_are_refused_and_named(bench: Bench) -> None:
    def odd(orders: pd.DataFrame, split: Split) -> pd.DataFrame:
        return orders if split.index != 1 else orders.rename(columns={"shop": "store"})

    result = bench.run([orders, table(odd, 3)], fails=True)
    assert "split 1 of 3 has the columns {'id': 'int64', 'shop':" in errors(result)
    assert "and split 2 of 3 has {'id': 'int64', 'store':" in errors(result)
    assert not bench.exists("odd")


def test_no_row_in_any_split_is_an_empty_table(bench: Bench) -> None:
    def none(orders: pd.DataFrame) -> pd.DataFrame:
        return orders.head(0)

    bench.run([orders, table(none, 3)])
    assert bench.rows("none") == []


def test_an_error_of_the_function_names_its_split_and_leaves_no_file(bench: Bench, tmp_path: Any) -> None:
    def broken(orders: pd.DataFrame, split: Split) -> pd.DataFrame:
        if split.index == 2:
            raise ValueError("the author's own")
        return orders

    result = bench.run([orders, table(broken, 4)], fails=True)
    assert "the author's own" in errors(result)
    assert list(tmp_path.rglob("broken/**/*.parquet")) == []


def test_no_split_with_a_row_or_a_column_is_refused_as_one_call_is(bench: Bench) -> None:
    def nothing(split: Split) -> list[dict[str, int]]:
        return []

    result = bench.run([table(nothing, 3)], fails=True)
    assert "the output has no columns, and neither the table nor a contract tells them" in errors(result)
    bench.run([table(nothing, 3, contract=Contract({"file": "int64"}))])
    assert bench.rows("nothing") == []


def test_what_a_split_says_beside_its_rows_is_refused(bench: Bench) -> None:
    def says(orders: pd.DataFrame) -> Any:
        return dg.MaterializeResult(value=orders, metadata={"mine": 1})

    result = bench.run([orders, table(says, 2)], fails=True)
    assert "the function gave metadata beside its rows, and runs once for each split" in errors(result)


def test_a_column_that_no_input_has_is_refused_with_those_there_are(bench: Bench) -> None:
    result = bench.run([orders, table(twice, Splits(2, by="region"))], fails=True)
    assert "no input has the column 'region', by which the splits divide them" in errors(result)
    assert "['id', 'shop', 'amount']" in errors(result)


def test_a_column_of_two_types_is_refused_for_equal_values_would_not_meet(bench: Bench) -> None:
    @table_asset
    def names() -> pa.Table:
        return pa.table({"id": ["1", "2"]})

    def both(orders: pa.Table, names: pa.Table) -> pa.Table:
        return orders

    result = bench.run([orders, names, table(both, Splits(2, by="id"))], fails=True)
    assert "{'names': 'string', 'orders': 'int64'}, so that equal values would not meet" in errors(result)


def test_a_column_of_floating_point_numbers_is_refused_for_its_two_zeros_would_not_meet(bench: Bench) -> None:
    result = bench.run([orders, table(twice, Splits(2, by="amount"))], fails=True)
    assert "divide the inputs by 'amount', a column of floating-point numbers: 0.0 and -0.0" in errors(result)


def test_a_snapshot_of_a_split_is_its_rows_and_refuses_what_would_be_those_of_others(bench: Bench) -> None:
    def read(orders: Snapshot) -> pa.Table:
        for refused in (
            lambda: orders.sql("SELECT * FROM orders"),
            lambda: orders.to_arrow(predicate="id > 3"),
        ):
            with pytest.raises(DeclarationError, match="splits divide"):
                refused()
        assert orders.row_count == 500
        assert "split" in repr(orders)
        return pl.DataFrame(orders).to_arrow()

    bench.run([orders, table(read, 2)])
    assert [row[0] for row in bench.rows("read", "id")] == list(range(1000))


def test_an_input_of_another_io_manager_is_refused(bench: Bench) -> None:
    @dg.asset(io_manager_key="other")
    def foreign() -> int:
        return 1

    def reads(foreign: pd.DataFrame) -> pd.DataFrame:
        return foreign

    bench.resources["other"] = dg.mem_io_manager
    result = bench.run([foreign, table(reads, 2)], fails=True)
    assert "A step with splits reads tables of a DeltaIOManager, and this input is int" in errors(result)


# --- Declarations -------------------------------------------------------------------------------------------


def refused(text: str, function: Any, splits: Any = 3, **options: Any) -> None:
    with pytest.raises(DeclarationError, match=text):
        table(function, splits, **options)


@pytest.mark.parametrize("count", [0, -1, True, 2.0, "4", 10_001])
def test_a_number_of_splits_is_a_whole_one_from_one(count: Any) -> None:
    refused("is no number from 1 to 10,000", twice, count)


def test_what_does_not_say_how_to_divide_is_refused_where_it_is_declared() -> None:
    def nothing() -> pd.DataFrame:
        return pd.DataFrame()

    def two(orders: pd.DataFrame, days: pd.DataFrame) -> pd.DataFrame:
        return orders

    def split_alone(split: Split) -> pd.DataFrame:
        return pd.DataFrame()

    def with_context(context: dg.AssetExecutionContext, orders: pd.DataFrame) -> pd.DataFrame:
        return orders

    def maybe(orders: pd.DataFrame) -> pd.DataFrame | None:
        return orders

    refused("each split would return the same rows", nothing)
    refused("has the inputs orders and days, and splits do not say which is divided", two)
    refused("divide 'order', which is no input of it.*orders", two, Splits(2, of="order"))
    refused("are by 'shop', and it has no input", split_alone, Splits(2, by="shop"))
    refused("takes split: Split, and has no splits", split_alone, None)
    refused("takes Dagster's context", with_context)
    refused("may return None", maybe)
    refused("keys of a|rows of a key must meet", twice, mode="history", history_keys=["id"], sequence_by="at")
    refused("check_specs", twice, check_specs=[dg.AssetCheckSpec("mine", asset="twice")])
    with pytest.raises(DeclarationError, match="Name one of them"):
        Splits(2, of="orders", by="id")
    with pytest.raises(DeclarationError, match="at_once=0"):
        Splits(2, at_once=0)


def test_a_direct_call_and_a_run_in_memory_are_one_split() -> None:
    def parts(split: Split, orders: pa.Table) -> pa.Table:
        assert split == Split(0, 1, split.partition_keys)
        return orders

    asset = table(parts, 4, **KEYED)
    assert asset(orders=numbers(5, "a")).num_rows == 5
    run = run_table(asset, {"orders": numbers(5, "a")}, partition="a")
    assert run.rows.num_rows == 5


def test_the_blocks_of_the_page_run(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")
    section = page[page.index("## Splits") : page.index("## Ray")]  # which test_ray.py runs
    names: dict[str, Any] = {name: getattr(practicus_assets, name) for name in practicus_assets.__all__}
    names |= {"pd": pd, "pl": pl, "Iterator": Iterator, "Path": Path}
    for code in re.findall(r"^```python\n(.*?)^```$", section, re.DOTALL | re.MULTILINE):
        exec(compile(code, "docs/scale.md", "exec"), names)  # noqa: S102 our own page
    monkeypatch.chdir(tmp_path)
    Path("texts").mkdir()
    for name in "abc":
        Path("texts", f"{name}.txt").write_text(name, encoding="utf-8")

    @table_asset
    def visits() -> pa.Table:
        return numbers(70)

    bench.run([orders, visits, *(names[name] for name in ("labels", "shop_totals", "documents"))])
    assert len(bench.rows("labels")) == 1000
    assert {row[0] for row in bench.rows("shop_totals", "visits")} == {10}
    assert bench.rows("documents") == [(f"{name}.txt", name) for name in "abc"]
