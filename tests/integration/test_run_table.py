"""`practicus_assets.testing`: one table in memory, cast, audited and committed as in a run."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import practicus_assets.testing
from practicus_assets import (
    AuditFailed,
    Column,
    Contract,
    DeclarationError,
    DeltaIOManager,
    LossyValues,
    OutOfScope,
    RowRule,
    Snapshot,
    TableNotFound,
    TableRule,
    table_asset,
)
from practicus_assets.testing import run_table
from tests.integration.bench import Bench, errors

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
DAYS = dg.DailyPartitionsDefinition("2026-01-01")
FIRST, SECOND = date(2026, 1, 1), date(2026, 1, 2)
RAW = pd.DataFrame({"order_id": [1, 2], "cents": [150, 250]})
PROMISES = Contract(
    columns={
        "day": Column("date32"),
        "order_id": Column("int64", minimum=1),
        "amount": Column("float64", maximum=100, severity="WARN"),
    },
    unique=[["order_id"]],
    rows=(1, None),
)
BEFORE = pd.DataFrame({"day": [FIRST, SECOND], "order_id": [8, 9], "amount": [8.0, 9.0]})


@table_asset(partitions_def=DAYS, partition_by="day", contract=PROMISES)
def orders(raw_orders: pd.DataFrame) -> pd.DataFrame:
    return raw_orders.assign(amount=raw_orders["cents"] / 100).drop(columns="cents")


def pairs(rows: Any) -> list[tuple[Any, ...]]:
    """Return the days and numbers of orders, sorted."""
    table = rows.to_arrow() if isinstance(rows, Snapshot) else rows
    return sorted(zip(table["day"].to_pylist(), table["order_id"].to_pylist(), strict=True))


def test_the_public_names_are_these_and_load_nothing_before_they_are_used() -> None:
    assert practicus_assets.testing.__all__ == ["TableRun", "run_table"]
    assert set(practicus_assets.testing.__all__) <= set(dir(practicus_assets.testing))
    assert not hasattr(practicus_assets.testing, "run_tables")
    script = (
        "import sys, practicus_assets.testing; "
        "print([name for name in ('dagster', 'pandas', 'pyarrow') if name in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert loaded.stdout.strip() == "[]"


def test_a_run_has_the_rows_as_they_are_stored_the_audits_and_the_table() -> None:
    run = run_table(orders, {"raw_orders": RAW}, partition="2026-01-01")
    assert run.rows.schema.field("day").type == pa.date32()
    assert run.rows["amount"].to_pylist() == [1.5, 2.5]
    assert pairs(run.rows) == pairs(run.table) == [(FIRST, 1), (FIRST, 2)]
    assert [audit.name for audit in run.audits] == [check.name for check in PROMISES.checks]
    assert all(audit.passed for audit in run.audits)
    assert run.broken() == []
    assert isinstance(run.to_pandas()["day"].iloc[0], date)
    assert run.to_polars()["amount"].to_list() == [1.5, 2.5]
    assert run.is_materialized


def test_other_partitions_stay_and_those_of_the_run_are_replaced() -> None:
    run = run_table(orders, {"raw_orders": RAW}, partition="2026-01-01", existing=BEFORE)
    assert pairs(run.rows) == [(FIRST, 1), (FIRST, 2)]
    assert pairs(run.table) == [(FIRST, 1), (FIRST, 2), (SECOND, 9)]


@pytest.mark.parametrize(
    "partition",
    [
        ["2026-01-02", "2026-01-01"],
        ("2026-01-01", "2026-01-02"),
        dg.PartitionKeyRange("2026-01-01", "2026-01-02"),
    ],
)
def test_a_run_of_many_partitions_replaces_them(partition: Any) -> None:
    @table_asset(partitions_def=DAYS, partition_by="day", contract=Contract(columns={"day": "date32"}))
    def daily(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return pd.DataFrame({"day": pd.to_datetime(context.partition_keys), "order_id": 1})

    run = run_table(daily, partition=partition, existing=BEFORE[["day", "order_id"]])
    assert pairs(run.table) == [(FIRST, 1), (SECOND, 1)]


def test_a_merge_and_an_append_keep_what_was_there() -> None:
    @table_asset(mode="merge", merge_keys=["id"])
    def merged() -> pd.DataFrame:
        return pd.DataFrame({"id": [2, 3], "name": ["new", "new"], "more": [1, 1]})

    @table_asset(mode="append")
    def appended() -> pa.Table:
        return pa.table({"id": [1], "name": ["again"]})

    before = pd.DataFrame({"id": [1, 2], "name": ["old", "old"]})
    run = run_table(merged, existing=before)
    assert run.rows["id"].to_pylist() == [2, 3]
    after = run.table.to_pandas().sort_values("id")
    assert after["name"].tolist() == ["old", "new", "new"]
    assert after["more"].astype(object).where(after["more"].notna(), None).tolist() == [None, 1, 1]
    run = run_table(appended, existing=before)
    assert run.rows.to_pylist() == [{"id": 1, "name": "again"}]
    assert sorted(run.table.to_arrow()["name"].to_pylist()) == ["again", "old", "old"]
    assert run_table(appended).table.row_count == 1


def test_a_broken_rule_raises_the_error_of_a_run(bench: Bench) -> None:
    broken = RAW.assign(order_id=[0, 0], day=FIRST)
    with pytest.raises(AuditFailed) as failed:
        run_table(orders, {"raw_orders": broken}, partition="2026-01-01")
    assert str(failed.value).startswith("orders [2026-01-01]: the contract is broken.")
    assert [audit.name for audit in failed.value.results if not audit.passed] == [
        "order_id_minimum",
        "order_id_unique",
    ]

    @dg.asset(partitions_def=DAYS, metadata={"partition_expr": "day"})
    def raw_orders() -> pd.DataFrame:
        return broken

    result = bench.run([raw_orders, orders], partition="2026-01-01", fails=True)
    assert str(failed.value) in errors(result)


def test_a_broken_warning_is_a_result() -> None:
    run = run_table(orders, {"raw_orders": RAW.assign(cents=20_000)}, partition="2026-01-01")
    assert run.broken() == ["amount_maximum"]
    assert {audit.name: audit.bad_rows for audit in run.audits}["amount_maximum"] == 2
    assert run.table.row_count == 2


@pytest.mark.parametrize(
    ("rows", "error", "says"),
    [
        (RAW.assign(order_id=[1.5, 2]), LossyValues, "order_id.*1.5.*Nothing was written"),
        (RAW.assign(day=SECOND), OutOfScope, r"orders \[2026-01-01\].*day"),
    ],
)
def test_rows_that_a_run_refuses_are_refused(rows: pd.DataFrame, error: Any, says: str) -> None:
    with pytest.raises(error, match=says):
        run_table(orders, {"raw_orders": rows}, partition="2026-01-01")


def test_rules_on_the_table_and_on_rows_run() -> None:
    promises = Contract(rules=[RowRule("few", lambda t: t["n"]), TableRule("one", lambda t: len(t) == 1)])

    @table_asset(contract=promises)
    def table() -> pa.Table:
        return pa.table({"n": [True]})

    assert [audit.passed for audit in run_table(table).audits] == [True, True]


@pytest.mark.parametrize(
    "annotation", [pd.DataFrame, pa.Table, pa.RecordBatchReader, pl.DataFrame, pl.LazyFrame, Snapshot, Any]
)
@pytest.mark.parametrize(
    "given", [RAW, pa.Table.from_pandas(RAW), pl.DataFrame(RAW)], ids=lambda v: str(type(v))
)
def test_an_input_arrives_as_its_parameter_asks(annotation: Any, given: Any) -> None:
    seen = []

    def copied(source):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        seen.append(source)
        return source

    copied.__annotations__["source"] = annotation
    run = run_table(table_asset(copied), {"source": given})
    assert run.rows["cents"].to_pylist() == [150, 250]
    assert isinstance(seen[0], annotation) if annotation is not Any else seen[0] is given


def test_an_input_that_asks_for_some_columns_gets_these() -> None:
    @table_asset(ins={"source": dg.AssetIn(metadata={"delta/columns": ["cents"]})})
    def copied(source: pd.DataFrame) -> pd.DataFrame:
        return source

    assert run_table(copied, {"source": RAW}).rows.column_names == ["cents"]


def test_a_snapshot_of_given_rows_is_queried_as_a_stored_one() -> None:
    @table_asset
    def best(orders: Snapshot) -> pa.RecordBatchReader:
        return orders.scan(columns=["order_id"], predicate="cents > 200")

    run = run_table(best, {"orders": RAW})
    assert run.rows.to_pylist() == [{"order_id": 2}]
    chained = run_table(
        best, {"orders": run_table(best, {"orders": RAW}).table.to_pandas().assign(cents=300)}
    )
    assert chained.rows.num_rows == 1


class Sizes(dg.Config):
    rows: int = 1


class Database(dg.ConfigurableResource):  # type: ignore[type-arg]
    path: str


@pytest.mark.parametrize("config", [Sizes(rows=2), {"rows": 2}])
def test_configuration_and_resources_reach_the_function(config: Any) -> None:
    @table_asset
    def table(config: Sizes, database: Database, suffix: dg.ResourceParam[str]) -> pd.DataFrame:
        return pd.DataFrame({"path": [database.path + suffix] * config.rows})

    run = run_table(table, config=config, resources={"database": Database(path="x"), "suffix": "y"})
    assert run.rows["path"].to_pylist() == ["xy", "xy"]


def test_the_rows_may_come_in_any_way_that_a_run_takes() -> None:
    @table_asset
    def batches(context: dg.AssetExecutionContext) -> Iterator[pa.RecordBatch]:
        for n in range(2):
            yield pa.record_batch({"n": [n], "key": [context.asset_key.to_user_string()]})

    @table_asset
    def wrapped() -> dg.Output:  # type: ignore[type-arg]
        return dg.Output(RAW, metadata={"n": 1})

    assert run_table(batches).rows.to_pydict() == {"n": [0, 1], "key": ["batches", "batches"]}
    run = run_table(wrapped)
    assert (run.rows.num_rows, run.metadata) == (2, {"n": 1})


@pytest.mark.parametrize("decorator", [table_asset, dg.asset])
def test_checks_of_the_function_are_results_and_a_blocking_one_refuses_the_rows(decorator: Any) -> None:
    specs = [
        dg.AssetCheckSpec("soft", asset="table"),
        dg.AssetCheckSpec("hard", asset="table", blocking=True),
    ]

    @decorator(check_specs=specs)
    def table(config: Sizes) -> dg.MaterializeResult:  # type: ignore[type-arg]
        checks = {"soft": False, "hard": config.rows > 0}
        results = [dg.AssetCheckResult(passed=passed, check_name=name) for name, passed in checks.items()]
        return dg.MaterializeResult(value=RAW, check_results=results)

    run = run_table(table, config=Sizes(rows=1))
    assert {audit.name: audit.passed for audit in run.audits} == {"soft": False, "hard": True}
    with pytest.raises(
        AuditFailed, match=r"table: checks of the function failed: hard\..* Nothing was written"
    ):
        run_table(table, config=Sizes(rows=0))


def test_a_function_that_returns_nothing_leaves_the_table_as_it_is() -> None:
    @table_asset(output_required=False, contract=Contract(columns={"n": "int64"}))
    def maybe() -> None:
        return None

    run = run_table(maybe, existing=pa.table({"n": [1]}))
    assert (run.is_materialized, run.rows.num_rows, run.table.row_count) == (False, 0, 1)
    with pytest.raises(TableNotFound, match="returned nothing, and there was no table before"):
        _ = run_table(maybe).table


@pytest.mark.parametrize("decorator", [dg.asset, table_asset])
def test_the_metadata_are_those_of_the_author_that_a_run_keeps(decorator: Any, bench: Bench) -> None:
    @decorator
    def noted(context: dg.AssetExecutionContext) -> dg.Output[pa.Table]:
        context.add_output_metadata({"note": "context", "delta/version": 99})
        metadata = {"note": "output", "n": 1, "delta/rows": 5, "dagster/row_count": 77, "delta/preview": ""}
        return dg.Output(pa.table({"n": [1]}), metadata=metadata)

    metadata = run_table(noted).metadata
    assert metadata == {
        "note": "context",
        "n": 1,
        "delta/rows": 5,
    }  # delta/rows is set where rows are appended
    recorded = bench.run([noted]).asset_materializations_for_node("noted")[0].metadata
    assert {name: recorded[name].value for name in metadata} == metadata
    assert recorded["dagster/row_count"].value == 1


def test_metadata_of_many_partitions_are_those_that_a_run_keeps() -> None:
    @table_asset(partitions_def=DAYS, partition_by="day", contract=Contract(columns={"day": "date32"}))
    def daily() -> dg.MaterializeResult[pa.Table]:
        rows = pa.table({"day": [FIRST, SECOND], "n": [1, 2]})
        return dg.MaterializeResult(value=rows, metadata={"note": 1, "delta/files": 9, "delta/run_rows": 9})

    assert run_table(daily, partition=["2026-01-01", "2026-01-02"]).metadata == {"note": 1}


def test_a_plain_asset_is_run_as_its_metadata_say() -> None:
    @dg.asset(
        partitions_def=dg.DynamicPartitionsDefinition(name="shops"),
        metadata={"partition_expr": "shop", "delta/mode": "append"},
    )
    def visits(context: dg.AssetExecutionContext, days: pa.Table) -> pa.Table:
        return days.append_column("shop", pa.array(context.partition_keys * days.num_rows))

    rows = pa.table({"n": [1, 2]})
    run = run_table(visits, {"days": rows}, partition="new", existing=pa.table({"n": [0], "shop": ["new"]}))
    assert run.table.to_arrow(["n"])["n"].to_pylist() == [0, 1, 2]
    assert run_table(visits, {"days": rows}, partition="other").rows["shop"].to_pylist() == ["other"] * 2


GRID = dg.MultiPartitionsDefinition({"date": DAYS, "shop": dg.StaticPartitionsDefinition(["a", "b"])})
CELL = {"shop": "b", "date": "2026-01-01"}


@table_asset(partitions_def=GRID, partition_by={"date": "day", "shop": "shop"})
def sales(context: dg.AssetExecutionContext) -> pa.Table:
    key = context.partition_key
    assert isinstance(key, dg.MultiPartitionKey)
    return pa.table({"n": [1], "of": [key.keys_by_dimension["shop"]]})


@pytest.mark.parametrize("partition", ["2026-01-01|b", CELL, [CELL], dg.MultiPartitionKey(CELL)])
def test_a_cell_of_two_dimensions_is_a_partition_with_the_key_of_a_run(partition: Any) -> None:
    rows = run_table(sales, partition=partition).rows.to_pylist()
    assert rows == [{"n": 1, "of": "b", "day": FIRST, "shop": "b"}]


@table_asset
def plain(raw_orders: pd.DataFrame) -> pd.DataFrame:
    return raw_orders


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            {"table": orders},
            'has partitions, and partition is None. Name the one to run, e.g. partition="2026',
        ),
        (
            {"table": orders, "partition": "2025-01-01"},
            "no partition '2025-01-01'. It has .*, from 2026-01-01",
        ),
        ({"table": orders, "partition": "monday"}, "orders has no partition 'monday'"),
        (
            {"table": orders, "partition": ["2026-01-01", "2026-01-03"]},
            "3 partitions of orders lie between 2026-01-01 and 2026-01-03, and 2 are named",
        ),
        ({"table": plain, "partition": "2026-01-01"}, "plain has no partitions, and partition='2026-01-01'"),
        (
            {"table": plain, "partitions": "x"},
            "run_table has no parameter 'partitions'. Did you mean partition",
        ),
        ({"table": orders, "partition": FIRST}, r"keys are texts\. Write partition='2026-01-01'"),
        (
            {"table": orders, "partition": dg.PartitionKeyRange("2026-01-02", "2026-01-01")},
            r"no partitions from 2026-01-02 to 2026-01-01\. Name the earlier one first",
        ),
        ({"table": sales, "partition": {}}, "has partitions, and partition is {}"),
        (
            {"table": sales, "partition": {"day": "2026-01-01", "shop": "a"}},
            r'its dimensions are date, shop, and keys are texts. Write partition={"date": "…", "shop": "…"}',
        ),
        ({"table": sales, "partition": {"date": FIRST, "shop": "a"}}, "and keys are texts"),
        ({"table": sales, "partition": {**CELL, "shop": "z"}}, r"sales has no partition '2026-01-01\|z'"),
        ({"table": orders, "partition": {"day": "2026-01-01"}}, "orders has partitions of one dimension"),
        ({"table": plain, "inputs": RAW}, "inputs is a value of type DataFrame. Name what is in it"),
        ({"table": plain, "resources": ["x"]}, "resources is a value of type list"),
        ({"table": plain, "config": "x"}, "config is a value of type str"),
        (
            {"table": orders, "partition": "2026-01-01", "existing": RAW},
            r"orders: the rows of existing make no table: .*'day'",
        ),
        ({"table": RAW}, "is no asset that runs one function"),
        ({"table": dg.AssetSpec("x")}, "is no asset that runs one function"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_in_words(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(DeclarationError, match=says):
        run_table(**arguments)


def test_an_input_that_is_missing_or_unknown_is_named() -> None:
    with pytest.raises(dg.DagsterInvalidInvocationError, match='required input "raw_orders"'):
        run_table(plain)
    with pytest.raises(DeclarationError, match=r"plain has no input 'raw_order'. Did you mean raw_orders"):
        run_table(plain, {"raw_order": RAW})
    with pytest.raises(dg.DagsterTypeCheckDidNotPass, match='input "raw_orders"'):
        run_table(plain, {"raw_orders": 1})


def test_a_run_in_memory_takes_milliseconds_and_touches_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_table(orders, {"raw_orders": RAW}, partition="2026-01-01")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", "/nowhere")
    began = time.process_time()
    for _ in range(10):
        run_table(orders, {"raw_orders": RAW}, partition="2026-01-01", existing=BEFORE)
    assert (time.process_time() - began) / 10 < 0.25  # measured: 0.02
    assert list(tmp_path.iterdir()) == []


def test_the_page_on_testing_tables_does_what_it_says(tmp_path: Path) -> None:
    @table_asset
    def raw_orders() -> pd.DataFrame:
        return RAW

    @table_asset
    def totals(orders: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"total": [orders["amount"].sum()]})

    promises = Contract(
        columns={"day": "date32", "order_id": "int64", "amount": Column("float64", minimum=0)}
    )
    page = table_asset(name="orders", partitions_def=DAYS, partition_by="day", contract=promises)(_amounts)
    names: dict[str, Any] = {"orders": page, "raw_orders": raw_orders, "totals": totals, "raw": RAW.head(1)}
    names |= {"pd": pd, "dg": dg, "pytest": pytest, "date": date, "AuditFailed": AuditFailed}
    names |= {"Snapshot": Snapshot, "DeltaIOManager": DeltaIOManager}
    for snippet in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(snippet, names)  # noqa: S102 the page's own examples
    tests = {name: test for name, test in names.items() if name.startswith("test_")}
    assert len(tests) == 4
    for test in tests.values():
        test(*[tmp_path][: test.__code__.co_argcount])


def _amounts(raw_orders: pd.DataFrame) -> pd.DataFrame:
    return raw_orders.assign(amount=raw_orders["cents"] / 100).drop(columns="cents")
