import functools
import linecache
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from practicus_assets import (
    Column,
    CommitConflict,
    Contract,
    DeclarationError,
    DeltaIOManager,
    RowRule,
    Snapshot,
    TableRule,
    table_asset,
)
from practicus_assets.lake.delta.table import Table
from tests.integration import annotated_later
from tests.integration.bench import Bench, checks, errors

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-02-01")
ONE_ROW = pd.DataFrame({"n": [1]})
GOOD = Contract({"n": Column("int64", minimum=0)})


def versioned(source: str) -> str | None:
    """Return the code version of an asset whose source file holds this text."""
    name = f"<{hash(source)}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    scope: dict[str, Any] = {"table_asset": table_asset}
    exec(compile(source, name, "exec"), scope)  # noqa: S102 the test's own text
    asset: dg.AssetsDefinition = scope["orders"]
    return asset.get_asset_spec(asset.key).code_version


# --- options ------------------------------------------------------------------------------------------


class OtherIOManager(dg.IOManager):
    def handle_output(self, context: dg.OutputContext, obj: Any) -> None: ...

    def load_input(self, context: dg.InputContext) -> None: ...


def test_a_bare_decorator_makes_an_asset_named_like_the_function(bench: Bench) -> None:
    @table_asset
    def orders() -> pd.DataFrame:
        """Every order."""
        return ONE_ROW

    assert isinstance(orders, dg.AssetsDefinition)
    assert orders.key == dg.AssetKey("orders")
    assert orders.get_asset_spec(orders.key).description == "Every order."
    bench.run([orders])
    assert bench.rows("orders") == [(1,)]


def test_options_of_an_asset_reach_dagster_as_they_are() -> None:
    eager = dg.AutomationCondition.eager()
    retries = dg.RetryPolicy(max_retries=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)

        @table_asset(
            key=["shop", "orders"],
            deps=["before"],
            partitions_def=DAYS,
            partition_by="day",
            group_name="sales",
            owners=["team:sales"],
            tags={"tier": "1"},
            kinds={"pandas"},
            retry_policy=retries,
            automation_condition=eager,
            backfill_policy=dg.BackfillPolicy.single_run(),
            metadata={"note": "mine"},
            code_version="7",
            op_tags={"dagster-k8s/config": {"container_config": {}}},
            pool="small",
            description="Orders.",
        )
        def anything(table1: pd.DataFrame) -> pd.DataFrame:
            return table1

    spec = anything.get_asset_spec(dg.AssetKey(["shop", "orders"]))
    assert {dep.asset_key.to_user_string() for dep in spec.deps} == {"before", "table1"}
    assert (spec.group_name, spec.owners, spec.code_version) == ("sales", ["team:sales"], "7")
    assert spec.tags["tier"] == "1"
    assert spec.kinds == {"pandas", "deltalake"}
    assert spec.automation_condition == eager
    assert spec.metadata["note"] == "mine"
    assert spec.partitions_def == DAYS
    assert spec.description == "Orders."
    assert anything.op.retry_policy == retries
    assert anything.op.tags["dagster-k8s/config"] == '{"container_config": {}}'
    assert anything.op.pool == "small"
    assert anything.backfill_policy == dg.BackfillPolicy.single_run()


def test_name_and_key_prefix_make_the_key_and_the_folder_of_the_table(bench: Bench) -> None:
    @table_asset(key_prefix=["shop", "eu"], name="orders", contract=GOOD)
    def anything() -> pd.DataFrame:
        return ONE_ROW

    result = bench.run([anything])
    assert bench.rows("shop/eu/orders") == [(1,)]
    assert {check.asset_key for check in checks(result).values()} == {dg.AssetKey(["shop", "eu", "orders"])}


def test_a_key_prefix_of_one_part_may_be_a_text(bench: Bench) -> None:
    @table_asset(key_prefix="shop", contract=GOOD)
    def orders() -> pd.DataFrame:
        return ONE_ROW

    bench.run([orders])
    assert bench.exists("shop/orders")


def test_ins_rename_inputs(bench: Bench) -> None:
    @table_asset
    def orders() -> pd.DataFrame:
        return ONE_ROW

    @table_asset(ins={"rows": dg.AssetIn("orders")})
    def copy(rows: pa.Table) -> pa.Table:
        return rows

    bench.run([orders, copy])
    assert bench.rows("copy") == [(1,)]


def test_inputs_may_arrive_as_further_keyword_arguments(bench: Bench) -> None:
    @table_asset
    def orders() -> pd.DataFrame:
        return ONE_ROW

    @table_asset(ins={"orders": dg.AssetIn()})
    def copy(**tables: pd.DataFrame) -> pd.DataFrame:
        return tables["orders"]

    bench.run([orders, copy])
    assert bench.rows("copy") == [(1,)]


def test_keyword_only_parameters_are_inputs(bench: Bench) -> None:
    @table_asset
    def orders() -> pd.DataFrame:
        return ONE_ROW

    @table_asset
    def copy(*, orders: pd.DataFrame) -> pd.DataFrame:
        return orders

    bench.run([orders, copy])
    assert bench.rows("copy") == [(1,)]


class Sizes(dg.Config):
    rows: int = 1


class Database(dg.ConfigurableResource):  # type: ignore[type-arg]
    value: int


def test_configuration_and_resources_are_parameters_as_in_dg_asset(bench: Bench) -> None:
    @table_asset
    def orders(config: Sizes, database: Database, plain: dg.ResourceParam[str]) -> pd.DataFrame:
        return pd.DataFrame({"n": [database.value] * config.rows, "plain": plain})

    bench.resources = {"database": Database(value=7), "plain": "x"}
    bench.run([orders], run_config={"ops": {"orders": {"config": {"rows": 2}}}})
    assert bench.rows("orders") == [(7, "x"), (7, "x")]


def test_the_context_is_the_one_that_the_author_asks_for(bench: Bench) -> None:
    seen = {}

    @table_asset
    def one(context: dg.AssetExecutionContext) -> pd.DataFrame:
        seen["one"] = type(context)
        return ONE_ROW

    @table_asset
    def two(_context: dg.OpExecutionContext) -> pd.DataFrame:
        seen["two"] = type(_context)
        return ONE_ROW

    @table_asset
    def three(context) -> pd.DataFrame:  # type: ignore[no-untyped-def]  # noqa: ANN001
        seen["three"] = type(context)
        return ONE_ROW

    bench.run([one, two, three])
    assert seen["one"] is seen["three"] is dg.AssetExecutionContext
    assert seen["two"] is dg.OpExecutionContext


def test_annotations_may_be_texts(bench: Bench) -> None:
    bench.run([annotated_later.orders, annotated_later.copied], run_config=annotated_later.TWO_ROWS)
    assert bench.rows("copied") == [("pyarrow.lib.Table", 2)]


def test_an_annotation_that_exists_only_for_type_checkers_is_refused_at_definition() -> None:
    with pytest.raises(DeclarationError, match="'Nowhere' is not defined"):

        @table_asset
        def orders(table1: "Nowhere") -> pd.DataFrame: ...  # type: ignore[name-defined]  # noqa: F821


def test_it_composes_with_jobs_selections_and_definitions(bench: Bench) -> None:
    @table_asset(group_name="sales")
    def orders() -> pd.DataFrame:
        return ONE_ROW

    @table_asset(group_name="sales")
    def copy(orders: pd.DataFrame) -> pd.DataFrame:
        return orders

    @dg.asset_check(asset=copy)
    def not_empty(copy: pd.DataFrame) -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=len(copy) == 1)

    job = dg.define_asset_job("sales_job", selection=dg.AssetSelection.groups("sales"))
    defs = dg.Definitions(
        assets=[orders, copy],
        asset_checks=[not_empty],
        jobs=[job],
        resources={"io_manager": DeltaIOManager(root_uri=bench.root)},
    )
    result = defs.resolve_job_def("sales_job").execute_in_process(instance=bench.instance)
    assert result.success
    assert bench.rows("copy") == [(1,)]
    assert defs.load_asset_value("copy").equals(ONE_ROW)


def test_another_io_manager_key_names_the_lake(bench: Bench, tmp_path: Any) -> None:
    @table_asset(io_manager_key="archive")
    def orders() -> pd.DataFrame:
        return ONE_ROW

    @table_asset
    def copy(orders: pd.DataFrame) -> pd.DataFrame:
        return orders

    bench.resources = {"archive": DeltaIOManager(root_uri=str(tmp_path / "archive"))}
    bench.run([orders, copy])
    assert replace(bench, root=str(tmp_path / "archive")).rows("orders") == bench.rows("copy") == [(1,)]
    assert bench.metadata("copy")["delta/input_versions"] == {"orders": 0}


@pytest.mark.parametrize(
    "metadata",
    [{"partition_expr": "x"}, {"delta/mode": "replace"}, {"delta/mode": "merge", "delta/merge_keys": ["n"]}],
)
def test_metadata_that_say_otherwise_than_the_arguments_are_refused(metadata: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError):

        @table_asset(partition_by="day", mode="append", metadata=metadata)
        def orders() -> pd.DataFrame: ...


def test_what_the_metadata_say_of_the_table_is_what_is_done() -> None:
    @table_asset(
        partition_by="day", mode="append", metadata={"partition_expr": "day", "delta/mode": "append"}
    )
    def orders() -> pd.DataFrame: ...

    metadata = orders.get_asset_spec(orders.key).metadata
    assert (metadata["partition_expr"], metadata["delta/mode"]) == ("day", "append")


# --- code version -------------------------------------------------------------------------------------

SOURCE = """\
@table_asset(group_name="a")
def orders(table1, *, factor=2):
    return table1 * factor
"""


@pytest.mark.parametrize(
    "same",
    [
        SOURCE.replace("    return", "    # why\n    return"),
        SOURCE.replace("    return", '    """What."""\n    return'),
        SOURCE.replace("table1 * factor", "(table1\n        *factor)"),
        SOURCE.replace('group_name="a"', 'group_name="b"'),
    ],
    ids=["comment", "docstring", "layout", "options"],
)
def test_the_code_version_stays_when_the_code_does_the_same(same: str) -> None:
    assert versioned(SOURCE) == versioned(same)


@pytest.mark.parametrize(
    "changed",
    [
        SOURCE.replace("* factor", "+ factor"),
        SOURCE.replace("factor=2", "factor=3"),
        SOURCE.replace("    return", "    table1 = 1\n    return"),
    ],
)
def test_the_code_version_changes_with_the_code(changed: str) -> None:
    assert versioned(SOURCE) != versioned(changed)


@pytest.mark.parametrize("text", ["@table_asset(\n", "@table_asset\ndef orders():\n  return [\n"])
def test_a_function_whose_file_has_another_text_by_now_has_no_code_version(text: str) -> None:
    name = f"<other {len(text)}>"
    scope: dict[str, Any] = {"table_asset": table_asset}
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    code = "@table_asset\ndef orders(): ...\n"
    exec(compile(code, name, "exec"), scope)  # noqa: S102 the test's own text
    asset: dg.AssetsDefinition = scope["orders"]
    assert asset.get_asset_spec(asset.key).code_version is None
    exec(compile("def odd(rows): ...", name, "exec"), scope)  # noqa: S102 the test's own text
    assert Contract(rules=[RowRule("odd", scope["odd"])]).digest


def test_a_function_without_source_has_no_code_version() -> None:
    scope: dict[str, Any] = {}
    exec("def orders(): ...", scope)  # noqa: S102 the test's own text
    asset = table_asset(scope["orders"])
    assert asset.get_asset_spec(asset.key).code_version is None


# --- outputs and inputs -------------------------------------------------------------------------------


def _batches() -> Iterator[pa.RecordBatch]:
    for n in (1, 2, 3):
        yield pa.record_batch({"n": [n]})


OUTPUTS = {
    "pandas": lambda: pd.DataFrame({"n": [1, 2, 3]}),
    "pyarrow": lambda: pa.table({"n": [1, 2, 3]}),
    "reader": lambda: pa.table({"n": [1, 2, 3]}).to_reader(),
    "generator": _batches,
    "polars": lambda: pl.DataFrame({"n": [1, 2, 3]}),
    "duckdb": lambda: duckdb.sql("SELECT unnest([1, 2, 3])::BIGINT AS n"),
}


@pytest.mark.parametrize("kind", OUTPUTS)
def test_every_kind_of_output_becomes_the_same_table(bench: Bench, kind: str) -> None:
    @table_asset
    def orders() -> Any:
        return OUTPUTS[kind]()

    bench.run([orders])
    assert bench.rows("orders") == [(1,), (2,), (3,)]


def test_the_function_may_be_a_generator(bench: Bench) -> None:
    @table_asset
    def orders(context: dg.AssetExecutionContext) -> Iterator[pa.RecordBatch]:
        for n in (1, 2):
            context.log.info("batch %s", n)
            yield pa.record_batch({"n": [n]})

    bench.run([orders])
    assert bench.rows("orders") == [(1,), (2,)]


def test_an_output_that_is_none_is_refused_in_words(bench: Bench) -> None:
    @table_asset
    def orders() -> None: ...

    message = errors(bench.run([orders], fails=True))
    assert "orders: " in message
    assert "None" in message
    assert not bench.exists("orders")


@pytest.mark.parametrize(
    "annotation", [pd.DataFrame, pa.Table, pa.RecordBatchReader, Snapshot, pl.DataFrame, pl.LazyFrame, Any]
)
def test_an_input_arrives_as_its_annotation_says(bench: Bench, annotation: Any) -> None:
    @table_asset
    def orders() -> pd.DataFrame:
        return pd.DataFrame({"n": [1, 2, 3]})

    def look(orders: Any) -> pd.DataFrame:
        if annotation is not Any:
            assert isinstance(orders, annotation)
        if isinstance(orders, pl.LazyFrame):
            orders = orders.collect()
        if isinstance(orders, Snapshot):
            orders = orders.scan(["n"], predicate="n > 0")
        if isinstance(orders, pa.RecordBatchReader):
            orders = orders.read_all()
        return pd.DataFrame({"rows": [len(orders)]})

    look.__annotations__["orders"] = annotation
    bench.run([orders, table_asset(look)])
    assert bench.rows("look") == [(3,)]


def test_an_input_of_a_type_that_nobody_can_make_is_refused_in_words(bench: Bench) -> None:
    @table_asset
    def orders() -> pd.DataFrame:
        return ONE_ROW

    @table_asset
    def copy(orders: list) -> pd.DataFrame:  # type: ignore[type-arg]
        return pd.DataFrame(orders)

    message = errors(bench.run([orders, copy], fails=True))
    assert "orders: an input cannot be given as" in message
    assert "pa.RecordBatchReader" in message


# --- declarations -------------------------------------------------------------------------------------

MULTI = dg.MultiPartitionsDefinition({"date": DAYS, "shop": dg.StaticPartitionsDefinition(["a", "b"])})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mode": "upsert"}, "mode 'upsert' is unknown"),
        ({"mode": "merge"}, 'mode="merge" needs merge_keys'),
        ({"merge_keys": ["n"]}, "merge_keys and delete_unmatched need"),
        ({"mode": "merge", "merge_keys": "n"}, r"Write merge_keys=\['n'\]"),
        ({"delete_unmatched": True}, "delete_unmatched"),
        ({"on_schema_change": "ask"}, "on_schema_change 'ask' is unknown"),
        ({"partitions_def": DAYS}, "Name the column that holds the partition key"),
        ({"partitions_def": DAYS, "partition_by": {"date": "day"}}, "Name the column"),
        ({"partitions_def": MULTI, "partition_by": ["day", "shop"]}, "Name the column of each dimension"),
        ({"partitions_def": MULTI, "partition_by": {"date": "day"}}, "Name the column of each dimension"),
        ({"partition_by": ["day", "day"]}, "Name each column once"),
        ({"partition_by": 7}, "partition_by is 7"),
        ({"partition_by": ""}, "Name each column once"),
        ({"contract": 7}, "7 is no contract"),
        ({"io_manager_def": dg.mem_io_manager}, "takes no io_manager_def"),
    ],
)
def test_a_wrong_declaration_is_refused_where_it_is_written(options: dict[str, Any], says: str) -> None:
    with pytest.raises(DeclarationError, match=says):

        @table_asset(**options)
        def orders() -> pd.DataFrame: ...


def test_an_asynchronous_function_is_refused_where_it_is_written() -> None:
    with pytest.raises(DeclarationError, match="orders is asynchronous"):

        @table_asset
        async def orders() -> pd.DataFrame: ...


def test_an_option_that_dagster_does_not_know_is_refused() -> None:
    with pytest.raises(DeclarationError, match=r"has no option 'group_nmae'\. Did you mean group_name\?"):

        @table_asset(group_nmae="sales")  # type: ignore[call-arg]
        def orders() -> pd.DataFrame: ...


@pytest.mark.parametrize(
    ("resources", "says"),
    [
        ({}, "no DeltaIOManager is set as the resource 'io_manager', so Dagster takes one of its own."),
        (
            {"io_manager": OtherIOManager()},
            "no DeltaIOManager is set as the resource 'io_manager', but one of the class Other",
        ),
    ],
)
def test_an_io_manager_that_is_missing_or_of_another_kind_is_refused_with_the_line_to_write(
    resources: dict[str, Any], says: str
) -> None:
    @table_asset
    def orders() -> pd.DataFrame:
        return ONE_ROW

    message = errors(dg.materialize([orders], resources=resources, raise_on_error=False))
    assert says in message
    assert "Set resources={'io_manager': DeltaIOManager(root_uri=…)}." in message
    assert "Pickled" not in message


def test_a_table_of_every_type_that_is_given_as_pandas_and_returned_is_the_same_table(bench: Bench) -> None:
    big = 2**53 + 1
    zoned = pa.timestamp("us", "UTC")
    data = pa.table(
        {
            "struct": pa.array(
                [{"id": big, "at": 1}, {"id": None}, None], pa.struct({"id": "int64", "at": zoned})
            ),
            "list": pa.array([[big, None], None, []], pa.list_(pa.int64())),
            "map": pa.array([[("a", big)], None, [("b", None)]], pa.map_(pa.string(), pa.int64())),
            "small": pa.array([[{"x": 1}], [None], None], pa.list_(pa.struct({"x": "int8"}))),
            "price": pa.array([1, None, 3], pa.int64()).cast(pa.decimal128(38, 2)),
            "ratio": [0.5, float("nan"), None],
            "day": pa.array([1, None, 3], pa.date32()),
            "never": pa.array([None, None, None], pa.date32()),
            "at": pa.array([1, None, 3], zoned),
            "flag": [True, None, False],
            "raw": [b"x", None, b""],
        }
    )

    @table_asset
    def first() -> pa.Table:
        return data

    @table_asset
    def second(first: pd.DataFrame) -> pd.DataFrame:
        assert first["struct"][0]["id"] == first["list"][0][0] == dict(first["map"][0])["a"] == big
        return first

    bench.run([first, second])
    tables = [Snapshot.of(Table.at(bench.root, [name])) for name in ("first", "second")]
    assert tables[0].schema == tables[1].schema
    copies = [repr(table.scan().read_all().to_pylist()) for table in tables]
    assert copies[0] == copies[1] == repr(data.to_pylist())


# --- audits -------------------------------------------------------------------------------------------


def test_each_rule_of_a_contract_is_a_check_of_the_asset(bench: Bench) -> None:
    contract = Contract(
        {"n": Column("int64", nullable=False, minimum=0)},
        unique=[["n"]],
        rows=(1, None),
        rules=[TableRule("some", lambda rows: len(rows) > 0, "there are some")],
    )

    @table_asset(contract=contract)
    def orders() -> pd.DataFrame:
        return ONE_ROW

    names = {"schema", "n_not_null", "n_minimum", "n_unique", "row_count", "some"}
    assert {spec.name for spec in orders.check_specs} == names
    assert {spec.description for spec in orders.check_specs} >= {"n is at least 0", "there are some"}
    found = checks(bench.run([orders]))
    assert set(found) == names
    assert all(check.passed for check in found.values())


def test_a_broken_rule_is_a_failed_check_and_nothing_is_materialized(bench: Bench) -> None:
    @table_asset(contract=GOOD)
    def orders() -> pd.DataFrame:
        return pd.DataFrame({"n": [1, -5, -6]})

    result = bench.run([orders], fails=True)
    check = checks(result)["n_minimum"]
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.ERROR
    assert check.metadata["bad_rows"].value == 2
    assert "| -5 |" in str(check.metadata["sample"].value)
    assert checks(result)["schema"].passed
    assert bench.materializations("orders") == 0
    assert not bench.exists("orders")
    assert "orders: the contract is broken. n_minimum (n is at least 0): 2 bad rows" in errors(result)


def test_a_broken_warning_is_recorded_and_the_rows_land(bench: Bench) -> None:
    @table_asset(contract=Contract({"n": Column("int64", minimum=0, severity="WARN")}))
    def orders() -> pd.DataFrame:
        return pd.DataFrame({"n": [-5]})

    check = checks(bench.run([orders]))["n_minimum"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert bench.rows("orders") == [(-5,)]


def test_a_broken_partition_leaves_the_others_and_names_itself(bench: Bench) -> None:
    @table_asset(partitions_def=DAYS, partition_by="day", contract=GOOD)
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return pd.DataFrame({"n": [-1 if context.partition_key == "2024-01-03" else 1]})

    bench.run([orders], partition="2024-01-02")
    result = bench.run([orders], partition="2024-01-03", fails=True)
    assert checks(result)["n_minimum"].metadata["partitions"].value == "2024-01-03"
    assert "orders [2024-01-03]: " in errors(result)
    assert bench.rows("orders", "day") == [(date(2024, 1, 2),)]


@pytest.mark.parametrize(
    "frame", [pd.DataFrame({"m": [1]}), pd.DataFrame({"n": ["x"]}), pd.DataFrame({"n": [1.5]})]
)
def test_columns_that_break_the_contract_fail_its_schema_check(bench: Bench, frame: pd.DataFrame) -> None:
    @table_asset(contract=GOOD)
    def orders() -> pd.DataFrame:
        return frame

    check = checks(bench.run([orders], fails=True))["schema"]
    assert not check.passed
    assert "column" in (check.description or "")
    assert not bench.exists("orders")


def test_an_error_about_the_columns_of_an_input_is_no_failed_check_of_the_output(bench: Bench) -> None:
    @table_asset
    def table1() -> pd.DataFrame:
        return ONE_ROW

    @table_asset(contract=GOOD)
    def orders(table1: Snapshot) -> pa.Table:
        return table1.scan(["nope"]).read_all()

    result = bench.run([table1, orders], fails=True)
    assert "table1 has no column 'nope'" in errors(result)
    assert checks(result) == {}


def test_a_row_rule_sees_the_rows_as_it_asks_for_them(bench: Bench) -> None:
    def small(rows: pd.DataFrame) -> Any:
        return rows["n"] < 10

    @table_asset(contract=Contract(rules=[RowRule("small", small)]))
    def orders() -> pd.DataFrame:
        return pd.DataFrame({"n": [1, 99]})

    check = checks(bench.run([orders], fails=True))["small"]
    assert check.metadata["bad_rows"].value == 1


# --- retries ------------------------------------------------------------------------------------------

RETRY = dg.RetryPolicy(max_retries=1)


def test_a_conflict_is_retried_on_inputs_read_anew_and_lands(bench: Bench) -> None:
    attempts = []

    @table_asset
    def table1() -> pd.DataFrame:
        return pd.DataFrame({"n": [1, 2]})

    @table_asset(retry_policy=RETRY)
    def orders(table1: pa.RecordBatchReader) -> pa.Table:
        rows = table1.read_all()
        attempts.append(rows.num_rows)
        if len(attempts) == 1:  # somebody replaces the table while this attempt computes
            bench.write("orders", pd.DataFrame({"n": [9]}), mode="overwrite")
        return rows

    bench.write("orders", pd.DataFrame({"n": [8]}))
    result = bench.run([table1, orders])
    assert CommitConflict.__name__ in errors(result)
    assert attempts == [2, 2]
    assert bench.rows("orders") == [(1,), (2,)]


def test_after_a_conflict_the_retry_reads_what_the_winner_may_have_read(bench: Bench) -> None:
    read = []

    @table_asset(retry_policy=RETRY)
    def orders(table1: pd.DataFrame) -> pd.DataFrame:
        read.append(int(table1["n"][0]))
        if len(read) == 1:  # while this attempt computes, its input moves on, and somebody builds on that
            bench.write("table1", pd.DataFrame({"n": [2]}), mode="overwrite")
            bench.write("orders", pd.DataFrame({"n": [2]}), mode="overwrite")
        return table1

    bench.write("table1", pd.DataFrame({"n": [1]}))
    bench.write("orders", pd.DataFrame({"n": [0]}))
    bench.run([dg.AssetSpec("table1"), orders])
    assert read == [1, 2]
    assert bench.rows("orders") == [(2,)]
    assert bench.metadata("orders")["delta/input_versions"] == {"table1": 1}


def test_after_another_failure_the_retry_reads_what_the_run_read_before(bench: Bench) -> None:
    read = []

    @table_asset(retry_policy=RETRY)
    def orders(table1: pd.DataFrame) -> pd.DataFrame:
        read.append(int(table1["n"][0]))
        if len(read) == 1:
            bench.write("table1", pd.DataFrame({"n": [2]}), mode="overwrite")
            raise ConnectionError
        return table1

    bench.write("table1", pd.DataFrame({"n": [1]}))
    bench.run([dg.AssetSpec("table1"), orders])
    assert read == [1, 1]


def test_a_schema_that_only_whole_tables_can_replace_is_refused_where_it_is_declared() -> None:
    for options in ({"partitions_def": DAYS, "partition_by": "day"}, {"mode": "append"}):
        with pytest.raises(DeclarationError, match="on_schema_change"):
            table_asset(**options, on_schema_change="replace")(lambda: None)


def test_without_a_retry_policy_a_conflict_fails_and_the_other_commit_stays(bench: Bench) -> None:
    @table_asset
    def orders() -> pd.DataFrame:
        bench.write("orders", pd.DataFrame({"n": [9]}), mode="overwrite")
        return ONE_ROW

    bench.write("orders", pd.DataFrame({"n": [8]}))
    message = errors(bench.run([orders], fails=True))
    assert "the same scope" in message
    assert "after this attempt began at version 0" in message
    assert "Nothing was written." in message
    assert bench.rows("orders") == [(9,)]


@dataclass(frozen=True)
class _DeadOnce(Table):
    """A table at which the process dies when it reports its first commit, which it opens by version."""

    died: tuple[list[str], ...] = ()

    def open(self, version: int | None = None) -> Any:
        if version is not None and self.died and not self.died[0]:
            self.died[0].append("here")
            raise OSError("the worker died after its commit")
        return super().open(version)


class DiesAfterItsCommit(DeltaIOManager):
    def table(self, key: dg.AssetKey, *asset: Any) -> Table:
        table = super().table(key, *asset)
        return _DeadOnce(table.name, table.uri, table.storage_options, died=(DEATHS,))


DEATHS: list[str] = []


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_a_retry_reports_the_commit_that_landed_and_does_not_compute_again(bench: Bench, mode: Any) -> None:
    calls = []
    DEATHS.clear()

    @table_asset(retry_policy=RETRY, mode=mode, contract=GOOD)
    def orders() -> pd.DataFrame:
        calls.append(1)
        return ONE_ROW

    bench.resources = {"io_manager": DiesAfterItsCommit(root_uri=bench.root)}
    result = bench.run([orders])
    assert "the worker died after its commit" in errors(result)
    assert len(calls) == 1
    assert bench.rows("orders") == [(1,)]
    assert bench.version("orders") == 0
    assert bench.materializations("orders") == 1
    assert bench.metadata("orders")["delta/outcome"] == "committed by an earlier attempt"
    assert all(check.passed for check in checks(result).values())


@pytest.mark.parametrize(("mode", "rows"), [("append", 2), ("replace", 1), ("merge", 1)])
def test_a_second_run_of_a_partition_appends_again_and_replaces_or_merges_once(
    bench: Bench, mode: Any, rows: int
) -> None:
    keys = ["n"] if mode == "merge" else []

    @table_asset(partitions_def=DAYS, partition_by="day", mode=mode, merge_keys=keys)
    def orders() -> pd.DataFrame:
        return ONE_ROW

    for day in ("2024-01-01", "2024-01-01", "2024-01-02"):
        bench.run([orders], partition=day)
    assert len(bench.rows("orders")) == rows + 1


def test_a_merge_updates_the_rows_of_its_keys(bench: Bench) -> None:
    @table_asset(mode="merge", merge_keys=["id"])
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return pd.DataFrame(
            {"id": [1, 2] if "first" in context.run.tags else [2, 3], "n": len(context.run.tags)}
        )

    bench.run([orders], tags={"first": "yes"})
    bench.run([orders])
    assert [row[0] for row in bench.rows("orders", "id")] == [1, 2, 3]


def test_a_decorated_function_keeps_its_name_and_inputs(bench: Bench) -> None:
    def doubled(function: Any) -> Any:
        @functools.wraps(function)
        def inner(*arguments: Any, **named: Any) -> Any:
            return pd.concat([function(*arguments, **named)] * 2)

        return inner

    @table_asset
    @doubled
    def orders() -> pd.DataFrame:
        return ONE_ROW

    bench.run([orders])
    assert bench.rows("orders") == [(1,), (1,)]
