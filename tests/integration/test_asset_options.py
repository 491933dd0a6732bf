"""A table asset takes what `dg.asset` takes: each option means what it means there, or is refused by name."""

import inspect
import logging
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest

from practicus_assets import Column, Contract, DeclarationError, DeltaIOManager, table_asset
from practicus_assets.assets.asset_options import NOT_TAKEN, AssetOptions
from tests.integration.bench import Bench, checks, errors

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-02-01")
ONE_ROW = pd.DataFrame({"n": [1]})
GOOD = Contract({"n": Column("int64", minimum=0)})


def steps(result: dg.ExecuteInProcessResult, kind: dg.DagsterEventType) -> set[str]:
    return {event.step_key or "" for event in result.all_events if event.event_type is kind}


def test_each_parameter_of_dg_asset_is_taken_or_refused_by_name() -> None:
    of_dagster = set(inspect.signature(dg.asset).parameters) - {"compute_fn", "kwargs"}
    hidden = {"non_argument_deps", "auto_materialize_policy", "legacy_freshness_policy", "compute_kind"}
    taken = set(AssetOptions.__annotations__)
    assert taken | set(NOT_TAKEN) == of_dagster | hidden
    assert not taken & set(NOT_TAKEN)


def test_the_hidden_parameters_of_dg_asset_are_those_that_are_refused() -> None:
    for name in ("non_argument_deps", "auto_materialize_policy", "legacy_freshness_policy", "compute_kind"):
        with pytest.raises(DeclarationError, match=f"takes no {name}. Use "):
            table_asset(**{name: None})


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_an_option_that_makes_no_sense_is_refused_with_what_to_do_instead(name: str) -> None:
    with pytest.raises(DeclarationError) as refused:
        table_asset(**{name: object()})
    assert str(refused.value) == f"a table asset takes no {name}. {NOT_TAKEN[name]}"


# --- output_required: a run that has nothing new --------------------------------------------------------


def nothing_to_yield() -> Iterator[pa.RecordBatch]:
    yield from ()


def nothing_to_return() -> None: ...


@pytest.mark.parametrize("contract", [None, GOOD])
@pytest.mark.parametrize("function", [nothing_to_yield, nothing_to_return])
def test_a_run_with_nothing_new_keeps_the_rows_and_materializes_nothing(
    bench: Bench, function: Any, contract: Any
) -> None:
    bench.write("orders", ONE_ROW)
    orders = table_asset(name="orders", output_required=False, contract=contract)(function)
    below = table_asset(name="below", deps=["orders"])(lambda: ONE_ROW)
    result = bench.run([orders, below])
    assert bench.rows("orders") == [(1,)]
    assert bench.version("orders") == 0
    assert bench.materializations("orders") == 0
    assert checks(result) == {}
    assert steps(result, dg.DagsterEventType.STEP_SKIPPED) == {"below"}
    assert not bench.exists("below")


@pytest.mark.parametrize(
    "nothing",
    [dg.Output(None), dg.MaterializeResult(value=None), None],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("yields", [True, False])
def test_none_in_a_result_or_yielded_is_nothing_new(bench: Bench, nothing: Any, *, yields: bool) -> None:
    def returned() -> Any:
        return nothing

    def yielded() -> Iterator[Any]:
        yield dg.AssetObservation("source")
        yield nothing

    bench.write("orders", ONE_ROW)
    bench.run([table_asset(name="orders", output_required=False)(yielded if yields else returned)])
    assert bench.rows("orders") == [(1,)]
    assert bench.materializations("orders") == 0


def test_a_result_without_rows_is_answered_with_how_to_leave_the_table(bench: Bench) -> None:
    orders = table_asset(name="orders", output_required=False)(lambda: dg.MaterializeResult())  # noqa: PLW0108
    message = errors(bench.run([orders], fails=True))
    assert "without rows. Give it the table as value; to leave the table as it is, return None." in message


def test_rows_after_nothing_new_are_refused(bench: Bench) -> None:
    @table_asset(output_required=False)
    def orders() -> Iterator[Any]:
        yield None
        yield ONE_ROW

    message = errors(bench.run([orders], fails=True))
    assert "the function yielded DataFrame after None, by which it said that there is nothing new." in message


def test_a_run_with_nothing_new_makes_no_table(bench: Bench) -> None:
    bench.run([table_asset(name="orders", output_required=False)(nothing_to_yield)])
    assert not bench.exists("orders")


@pytest.mark.parametrize(
    "wrap", [dg.Output, lambda rows: dg.MaterializeResult(value=rows), lambda rows: rows]
)
def test_an_output_that_is_not_required_is_committed_when_it_is_there(bench: Bench, wrap: Any) -> None:
    @table_asset(output_required=False, contract=GOOD)
    def orders() -> Iterator[Any]:
        yield wrap(pa.record_batch({"n": [1, 2]}))

    result = bench.run([orders])
    assert bench.rows("orders") == [(1,), (2,)]
    assert bench.materializations("orders") == 1
    assert checks(result)["n_minimum"].passed


def test_no_rows_are_an_output_that_empties_the_table(bench: Bench) -> None:
    bench.write("orders", ONE_ROW)

    @table_asset(output_required=False)
    def orders() -> pd.DataFrame:
        return ONE_ROW.head(0)

    bench.run([orders])
    assert bench.rows("orders") == []
    assert bench.materializations("orders") == 1


def test_where_an_output_is_required_a_stream_without_batches_is_no_rows(bench: Bench) -> None:
    bench.write("orders", ONE_ROW)
    bench.run([table_asset(name="orders")(nothing_to_yield)])
    assert bench.rows("orders") == []


# --- what a function may say with its rows ----------------------------------------------------------------


@pytest.mark.parametrize("kind", [dg.Output, dg.MaterializeResult])
def test_metadata_and_tags_can_be_returned_with_the_rows(bench: Bench, kind: Any) -> None:
    @table_asset
    def orders() -> Any:
        return kind(value=ONE_ROW, metadata={"source": "shop", "delta/version": 7}, tags={"tier": "1"})

    bench.run([orders])
    assert bench.metadata("orders")["source"] == "shop"
    assert bench.metadata("orders")["delta/version"] == 0
    assert (bench.event("orders").tags or {})["tier"] == "1"


def test_a_function_ends_after_its_rows_are_committed(bench: Bench) -> None:
    ended = []

    @table_asset
    def orders() -> Iterator[dg.Output[pd.DataFrame]]:
        yield dg.Output(ONE_ROW)
        ended.append(bench.rows("orders"))

    bench.run([orders])
    assert ended == [[(1,)]]


@pytest.mark.parametrize("kind", [dg.Output, dg.MaterializeResult])
def test_an_author_may_say_the_data_version(bench: Bench, kind: Any) -> None:
    @table_asset
    def orders() -> Any:
        return kind(value=ONE_ROW, data_version=dg.DataVersion("mine"))

    bench.run([orders])
    assert bench.data_version("orders") == "mine"


def entries_in_results(context: dg.AssetExecutionContext) -> Any:
    return dg.MaterializeResult(value=ONE_ROW, metadata={"mine": 1, "delta/version": 7, "dagster/uri": "x"})


def entries_in_the_context(context: dg.AssetExecutionContext) -> pd.DataFrame:
    context.add_output_metadata({"mine": 1, "delta/version": 7})
    context.add_asset_metadata({"dagster/uri": "x"})
    return ONE_ROW


@pytest.mark.parametrize("function", [entries_in_results, entries_in_the_context])
@pytest.mark.parametrize("decorate", [table_asset, dg.asset])
def test_metadata_that_the_transaction_owns_are_its_own_and_a_warning_names_them(
    bench: Bench, caplog: pytest.LogCaptureFixture, function: Any, decorate: Any
) -> None:
    bench.run([decorate(name="orders")(function)])
    shown = bench.metadata("orders")
    assert (shown["mine"], shown["delta/version"], shown["dagster/uri"]) == (1, 0, f"{bench.root}/orders")
    events = bench.instance.all_logs(bench.instance.get_runs()[0].run_id)
    warnings = [event.user_message for event in events if event.level == logging.WARNING]
    [warning] = [text for text in warnings if "metadata" in text]
    assert "orders: the metadata dagster/uri and delta/version of the function are left out" in warning


def test_tags_that_tell_stale_assets_are_not_the_authors(bench: Bench) -> None:
    @table_asset
    def orders() -> Any:
        return dg.Output(ONE_ROW, tags={"tier": "1", "dagster/code_version": "x"})

    bench.run([orders])
    tags = bench.event("orders").tags or {}
    assert tags["tier"] == "1"
    assert tags["dagster/code_version"] != "x"


def test_events_may_be_yielded_beside_chunks_of_rows_and_a_result_after_them(bench: Bench) -> None:
    @table_asset(check_specs=[dg.AssetCheckSpec("whole", asset="orders")])
    def orders() -> Iterator[Any]:
        yield dg.AssetObservation("source", metadata={"files": 2})
        yield ONE_ROW
        yield dg.AssetMaterialization("elsewhere")
        yield [{"n": 2}]
        yield dg.MaterializeResult(metadata={"files": 2}, check_results=[dg.AssetCheckResult(passed=True)])

    result = bench.run([orders])
    assert bench.rows("orders") == [(1,), (2,)]
    assert bench.metadata("orders")["files"] == 2
    assert bench.materializations("elsewhere") == 1
    assert steps(result, dg.DagsterEventType.ASSET_OBSERVATION) == {"orders"}
    assert checks(result)["whole"].passed


@pytest.mark.parametrize(
    ("results", "says"),
    [
        ([dg.MaterializeResult()], "a MaterializeResult without rows"),
        ([dg.MaterializeResult(asset_key="other", value=ONE_ROW)], "the MaterializeResult is of other"),
        ([dg.AssetMaterialization("orders"), ONE_ROW], "an AssetMaterialization of orders itself"),
        ([ONE_ROW, dg.Output(ONE_ROW)], "yielded Output after its rows"),
        ([ONE_ROW, dg.MaterializeResult(), ONE_ROW], "yielded DataFrame after its rows"),
        ([dg.AssetCheckResult(passed=True), ONE_ROW], "a check without a name; check_specs declares []"),
    ],
)
def test_what_cannot_be_meant_beside_rows_is_refused_before_the_commit(
    bench: Bench, results: list[Any], says: str
) -> None:
    @table_asset
    def orders() -> Iterator[Any]:
        yield from results

    message = errors(bench.run([orders], fails=True))
    assert says in message
    assert "Nothing was written." in message
    assert not bench.exists("orders")


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        (dg.ObserveResult(), "an ObserveResult, and a table asset is materialized. Return rows; an"),
        ([dg.Output(ONE_ROW)], "returned an Output inside of a list. Write return dg.Output(table); several"),
        (
            [dg.MaterializeResult(value=ONE_ROW)],
            "returned a MaterializeResult inside of a list. Write return dg.MaterializeResult(value=table)",
        ),
        (
            (ONE_ROW, dg.AssetCheckResult(passed=True)),
            "returned an AssetCheckResult inside of a tuple. Yield it, and the rows beside it.",
        ),
        (dg.Output(ONE_ROW, output_name="zzz"), "the output 'zzz', and there is none of this name. Leave"),
    ],
)
def test_a_result_that_cannot_be_meant_is_refused_with_the_line_to_write(
    bench: Bench, returned: Any, says: str
) -> None:
    message = errors(bench.run([table_asset(name="orders")(lambda: returned)], fails=True))
    assert says in message
    assert "definitions.events" not in message
    assert "Nothing was written." in message
    assert not bench.exists("orders")


def test_rows_that_are_yielded_twice_fail_the_step(bench: Bench) -> None:
    @table_asset
    def orders() -> Iterator[Any]:
        yield dg.Output(ONE_ROW)
        yield dg.Output(ONE_ROW)

    assert "yielded Output after its rows, which are committed" in errors(bench.run([orders], fails=True))


@pytest.mark.parametrize("how", ["output", "result", "chunks"])
def test_a_plain_asset_takes_what_a_table_asset_takes(bench: Bench, how: str) -> None:
    @dg.asset
    def orders():  # noqa: ANN202 Dagster would ask for the annotation of an Output
        rows = [{"n": 1}, {"n": 2}]
        return {
            "output": dg.Output(rows, metadata={"mine": 1}),
            "result": dg.MaterializeResult(value=pd.DataFrame(rows), metadata={"mine": 1}),
            "chunks": dg.Output((chunk for chunk in [pd.DataFrame(rows)]), metadata={"mine": 1}),
        }[how]

    bench.run([orders])
    assert bench.rows("orders") == [(1,), (2,)]
    assert bench.metadata("orders")["mine"] == 1


# --- the other options that change what a run does -----------------------------------------------------


def test_an_input_of_nothing_is_a_dependency_without_a_parameter(bench: Bench) -> None:
    order = []

    @dg.asset(io_manager_key="none")
    def before() -> None:
        order.append("before")

    @table_asset(ins={"before": dg.AssetIn(dagster_type=dg.Nothing)})
    def orders() -> pd.DataFrame:
        order.append("orders")
        return ONE_ROW

    bench.resources = {"none": dg.InMemoryIOManager()}
    bench.run([before, orders])
    assert order == ["before", "orders"]
    assert bench.rows("orders") == [(1,)]


def test_a_table_may_depend_on_its_own_past_without_reading_it(bench: Bench) -> None:
    yesterday = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)

    @table_asset(
        partitions_def=DAYS,
        partition_by="day",
        deps=[dg.AssetDep("total", partition_mapping=yesterday)],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def total(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return pd.DataFrame({"day": context.partition_keys, "n": 1})

    bench.run([total], partition="2024-01-01")
    bench.run([total], between=("2024-01-02", "2024-01-03"))
    assert [n for n, _ in bench.rows("total", "n", "day")] == [1, 1, 1]
    assert bench.version("total") == 1


def test_an_automation_condition_requests_the_asset_with_its_checks(bench: Bench) -> None:
    @table_asset(contract=GOOD, automation_condition=dg.AutomationCondition.missing())
    def orders() -> pd.DataFrame:
        return ONE_ROW

    defs = dg.Definitions(assets=[orders], resources={"io_manager": DeltaIOManager(root_uri=bench.root)})
    requested = dg.evaluate_automation_conditions(defs, instance=bench.instance)
    assert requested.get_requested_partitions(orders.key) == {None}
    bench.run([orders])
    again = dg.evaluate_automation_conditions(defs, instance=bench.instance, cursor=requested.cursor)
    assert again.total_requested == 0


def test_a_retry_policy_runs_the_function_again(bench: Bench) -> None:
    attempts = []

    @table_asset(retry_policy=dg.RetryPolicy(max_retries=1), contract=GOOD)
    def orders() -> pd.DataFrame:
        attempts.append(1)
        if len(attempts) == 1:
            raise ConnectionError("away")
        return ONE_ROW

    bench.run([orders])
    assert bench.rows("orders") == [(1,)]
    assert len(attempts) == 2


def test_a_configuration_schema_is_checked_and_reaches_the_function(bench: Bench) -> None:
    @table_asset(config_schema={"rows": int}, contract=GOOD)
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return pd.DataFrame({"n": range(context.op_execution_context.op_config["rows"])})

    bench.run([orders], run_config={"ops": {"orders": {"config": {"rows": 2}}}})
    assert bench.rows("orders") == [(0,), (1,)]


def test_resources_of_the_asset_itself_are_there(bench: Bench, tmp_path: Path) -> None:
    @table_asset(
        required_resource_keys={"shop"},
        resource_defs={
            "shop": dg.ResourceDefinition.hardcoded_resource(7),
            "archive": DeltaIOManager(root_uri=str(tmp_path / "archive")),
        },
        io_manager_key="archive",
        contract=GOOD,
    )
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return pd.DataFrame({"n": [context.resources.shop]})

    bench.run([orders])
    bench.root = str(tmp_path / "archive")
    assert bench.rows("orders") == [(7,)]
    selection = dg.AssetSelection.checks_for_assets(orders)
    assert checks(bench.run([orders], select=selection))["n_minimum"].passed


@pytest.mark.parametrize("contract", [None, GOOD])
def test_hooks_hear_how_a_step_ended(bench: Bench, contract: Any) -> None:
    heard = []

    @dg.success_hook
    def well(context: dg.HookContext) -> None:
        heard.append(f"well {context.op.name}")

    @dg.failure_hook
    def badly(context: dg.HookContext) -> None:
        heard.append(f"badly {context.op.name}")

    @table_asset(hooks={well, badly}, contract=contract)
    def orders() -> pd.DataFrame:
        return ONE_ROW if not heard else None  # type: ignore[return-value]

    bench.run([orders])
    bench.run([orders], fails=True)
    assert heard == ["well orders", "badly orders"]


def test_a_freshness_policy_reaches_dagster() -> None:
    policy = dg.FreshnessPolicy.cron(deadline_cron="0 9 * * *", lower_bound_delta=pd.Timedelta(hours=1))

    @table_asset(freshness_policy=policy, contract=GOOD)
    def orders() -> pd.DataFrame:
        return ONE_ROW

    assert orders.get_asset_spec(orders.key).freshness_policy == policy


def test_a_copy_of_the_definition_keeps_its_checks(bench: Bench) -> None:
    @table_asset(contract=GOOD, partitions_def=DAYS, partition_by="day")
    def orders() -> pd.DataFrame:
        return ONE_ROW

    renamed = orders.with_attributes(asset_key_replacements={orders.key: dg.AssetKey(["shop", "orders"])})
    grouped = renamed.map_asset_specs(lambda spec: spec.replace_attributes(group_name="sales"))
    bench.run([grouped], partition="2024-01-02")
    assert bench.rows("shop/orders") == [(date(2024, 1, 2), 1)]
    results = checks(bench.run([grouped], select=dg.AssetSelection.checks_for_assets(grouped)))
    assert results["n_minimum"].asset_key == dg.AssetKey(["shop", "orders"])
