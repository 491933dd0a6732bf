"""The checks of a contract run with the asset, without it, or not at all."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from practicus_assets import Column, Contract, DeclarationError, DeltaIOManager, Worker, table_asset
from tests.integration.bench import Bench, checks, errors

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-11")
PROMISES = Contract({"n": Column("int64", minimum=1), "day": Column("date32")}, unique=[["n"]], rows=(1, 2))
ALONE = dg.AssetSelection.checks_for_assets("orders")


def daily(numbers: Any = (1,), contract: Contract = PROMISES, **options: Any) -> dg.AssetsDefinition:
    @table_asset(
        partitions_def=DAYS,
        partition_by="day",
        contract=contract,
        backfill_policy=dg.BackfillPolicy.single_run(),
        **options,
    )
    def orders(context: dg.AssetExecutionContext, upstream: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame(
            [{"day": pd.Timestamp(key), "n": n} for key in context.partition_keys for n in numbers]
        )

    return orders


@table_asset
def upstream() -> pd.DataFrame:
    return pd.DataFrame({"n": [1]})


def rows(*pairs: tuple[str, int]) -> pd.DataFrame:
    return pd.DataFrame({"day": [pd.Timestamp(day).date() for day, _ in pairs], "n": [n for _, n in pairs]})


def test_a_job_may_leave_the_checks_out_and_the_audit_runs_all_the_same(bench: Bench) -> None:
    selection = dg.AssetSelection.assets("orders").without_checks()
    bench.run([upstream])
    result = bench.run([daily(), upstream], select=selection, partition="2024-01-01")
    assert checks(result) == {}
    assert bench.materializations("orders") == 1
    bad = bench.run([daily([0]), upstream], select=selection, partition="2024-01-02", fails=True)
    assert checks(bad) == {}
    assert "n_minimum (n is at least 1): 1 bad row" in errors(bad)
    assert len(bench.rows("orders")) == 1


def test_a_job_without_checks_is_part_of_a_code_location_that_loads(bench: Bench) -> None:
    jobs = [
        dg.define_asset_job("rows", selection=dg.AssetSelection.all().without_checks()),
        dg.define_asset_job("checks", selection=ALONE),
        dg.define_asset_job(
            "check", selection=dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("orders"), "n_unique"))
        ),
    ]
    resources = {"io_manager": DeltaIOManager(root_uri=bench.root)}
    dg.Definitions.validate_loadable(
        dg.Definitions(assets=[daily(), upstream], jobs=jobs, resources=resources)
    )


def test_checks_run_alone_on_the_table_as_it_is_and_write_nothing(bench: Bench) -> None:
    bench.write("orders", rows(("2024-01-01", 0), ("2024-01-02", 1)), partition_by=["day"])
    result = bench.run([daily(), upstream], select=ALONE, fails=True)
    failed = {name for name, evaluation in checks(result).items() if not evaluation.passed}
    assert set(checks(result)) == {"schema", "n_minimum", "n_unique", "row_count"}
    assert failed == {"n_minimum"}
    assert bench.version("orders") == 0
    assert bench.materializations("orders") == 0
    assert checks(result)["n_minimum"].metadata["bad_rows"].value == 1


def test_checks_alone_need_no_inputs(bench: Bench) -> None:
    bench.write("orders", rows(("2024-01-01", 1)), partition_by=["day"])
    assert not bench.exists("upstream")
    assert len(checks(bench.run([daily(), upstream], select=ALONE))) == 4


def test_one_check_runs_alone(bench: Bench) -> None:
    bench.write("orders", rows(("2024-01-01", 0)), partition_by=["day"])
    selection = dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("orders"), "n_unique"))
    assert {
        name: found.passed for name, found in checks(bench.run([daily(), upstream], select=selection)).items()
    } == {"n_unique": True}


def test_a_rule_that_is_declared_later_is_checked_on_the_rows_that_are_there(bench: Bench) -> None:
    bench.run([upstream])
    bench.run([daily(), upstream], select=["orders"], partition="2024-01-01")
    later = Contract({"n": Column("int64", minimum=2), "day": Column("date32")})
    result = bench.run([daily(contract=later), upstream], select=ALONE, fails=True)
    assert not checks(result)["n_minimum"].passed


@pytest.mark.parametrize(
    ("tags", "bad"),
    [
        ({"dagster/partition": "2024-01-02"}, set()),
        ({"dagster/partition": "2024-01-01"}, {"row_count"}),
        ({"dagster/partition": "2024-01-05"}, {"row_count"}),
        (
            {
                "dagster/asset_partition_range_start": "2024-01-02",
                "dagster/asset_partition_range_end": "2024-01-03",
            },
            set(),
        ),
        ({}, {"row_count"}),
    ],
)
def test_a_run_of_partitions_checks_these_only(bench: Bench, tags: dict[str, str], bad: set[str]) -> None:
    many = [("2024-01-01", n) for n in (10, 11, 12)]
    bench.write("orders", rows(*many, ("2024-01-02", 1), ("2024-01-03", 2)), partition_by=["day"])
    result = bench.run([daily(), upstream], select=ALONE, tags=tags, fails=bool(bad))
    assert {name for name, evaluation in checks(result).items() if not evaluation.passed} == bad


def test_columns_that_are_not_as_declared_fail_the_schema_check_alone(bench: Bench) -> None:
    frame = rows(("2024-01-01", 1)).astype({"n": "int32"})
    bench.write("orders", frame, partition_by=["day"])
    result = checks(bench.run([daily(), upstream], select=ALONE, fails=True))
    assert list(result) == ["schema"]
    assert not result["schema"].passed
    assert "n is int32, not int64" in str(result["schema"].description)


def test_checks_of_a_table_that_is_not_there_say_so(bench: Bench) -> None:
    message = errors(bench.run([daily(), upstream], select=ALONE, fails=True))
    assert "orders: there is no Delta table" in message


def test_the_step_of_checks_alone_gets_the_worker_of_the_asset(bench: Bench) -> None:
    orders = daily(worker=Worker(cpu=2), pool="small", retry_policy=dg.RetryPolicy(max_retries=3))
    job = dg.define_asset_job("checks", selection=ALONE)
    resources = {"io_manager": DeltaIOManager(root_uri=bench.root)}
    defs = dg.Definitions(assets=[orders, upstream], jobs=[job], resources=resources)
    [node] = defs.resolve_job_def("checks").graph.nodes
    op = node.definition
    assert isinstance(op, dg.OpDefinition)
    assert op.name == "orders_checks"
    assert op.tags["practicus/worker"] == orders.op.tags["practicus/worker"]
    assert (op.pool, op.retry_policy) == ("small", dg.RetryPolicy(max_retries=3))


# --- checks whose results the function gives ---------------------------------------------------------------

WHOLE = dg.AssetCheckSpec("whole", asset="orders", blocking=True)
PLAIN = dg.AssetCheckSpec("plain", asset="orders")


def authored(*results: dg.AssetCheckResult, how: str = "result", contract: Contract | None = None) -> Any:
    """Return an asset of one row, with two checks whose results its function gives."""

    @table_asset(check_specs=[WHOLE, PLAIN], contract=contract)
    def orders() -> Iterator[Any]:
        if how == "result":
            yield dg.MaterializeResult(value=pd.DataFrame({"n": [1]}), check_results=results)
        elif how == "before":
            yield from (*results, pd.DataFrame({"n": [1]}))
        elif how == "between":
            yield from (pd.DataFrame({"n": [1]}), *results, pd.DataFrame({"n": [2]}))
        else:
            yield from (dg.Output(pd.DataFrame({"n": [1]})), *results)

    return orders


def outcome(name: str, *, passed: bool = True, **options: Any) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(check_name=name, passed=passed, **options)


@pytest.mark.parametrize("how", ["result", "between", "after"])
def test_results_of_the_function_are_recorded_beside_those_of_the_contract(bench: Bench, how: str) -> None:
    contract = Contract({"n": Column("int64", minimum=0)})
    asset = authored(outcome("whole"), outcome("plain", passed=False), how=how, contract=contract)
    recorded = checks(bench.run([asset]))
    assert {name: check.passed for name, check in recorded.items()} == {
        "whole": True,
        "plain": False,
        "schema": True,
        "n_minimum": True,
    }
    assert bench.exists("orders")


@pytest.mark.parametrize("how", ["result", "before", "between"])
def test_a_blocking_check_of_the_function_that_fails_keeps_the_rows_from_the_table(
    bench: Bench, how: str
) -> None:
    result = bench.run([authored(outcome("whole", passed=False, description="2 of 3"), how=how)], fails=True)
    assert "orders: checks of the function failed: whole: 2 of 3. Fix the data or the check." in errors(
        result
    )
    assert "Nothing was written." in errors(result)
    assert not checks(result)["whole"].passed
    assert not bench.exists("orders")
    assert bench.materializations("orders") == 0


def test_a_check_that_warns_or_fails_after_the_commit_keeps_nothing(bench: Bench) -> None:
    warned = outcome("whole", passed=False, severity=dg.AssetCheckSeverity.WARN)
    bench.run([authored(warned, outcome("plain"))])
    assert bench.version("orders") == 0
    late = bench.run([authored(outcome("whole", passed=False), outcome("plain"), how="after")], fails=True)
    assert not checks(late)["whole"].passed
    assert bench.materializations("orders") == 2


@pytest.mark.parametrize("how", ["before", "between"])
def test_a_declared_check_without_a_result_is_refused_before_the_commit(bench: Bench, how: str) -> None:
    message = errors(bench.run([authored(outcome("whole"), how=how)], fails=True))
    assert "declares the checks ['plain'] in check_specs, and gave no result of them" in message
    assert "dg.AssetCheckResult(check_name='plain', passed=…)" in message
    assert not bench.exists("orders")


def test_a_result_of_a_check_that_is_not_declared_is_refused_with_the_nearest_name(bench: Bench) -> None:
    message = errors(bench.run([authored(outcome("hole"))], fails=True))
    assert "a check 'hole'; check_specs declares ['plain', 'whole']. Did you mean whole?" in message
    assert not bench.exists("orders")


def test_checks_of_the_function_may_be_left_out_and_still_block(bench: Bench) -> None:
    select = dg.AssetSelection.assets("orders").without_checks()
    good = bench.run([authored(outcome("whole"), outcome("plain"))], select=select)
    assert not checks(good)
    bench.run([authored(outcome("whole", passed=False))], select=select, fails=True)
    assert bench.version("orders") == 0


def test_a_retry_reports_the_results_of_the_attempt_that_committed(bench: Bench) -> None:
    @table_asset(check_specs=[WHOLE], retry_policy=dg.RetryPolicy(max_retries=1))
    def orders() -> Iterator[Any]:
        yield outcome("whole")
        yield dg.Output(pd.DataFrame({"n": [1]}))
        raise OSError("after the commit")

    result = bench.run([orders])
    assert checks(result)["whole"].passed
    assert bench.metadata("orders")["delta/outcome"] == "committed by an earlier attempt"


def test_checks_of_the_function_cannot_run_alone_and_those_of_the_contract_can(bench: Bench) -> None:
    contract = Contract({"n": Column("int64", minimum=0)})
    both = authored(outcome("whole"), outcome("plain"), contract=contract)
    bench.run([both])
    alone = bench.run([both], select=dg.AssetSelection.checks_for_assets("orders"))
    assert set(checks(alone)) == {"schema", "n_minimum"}
    for asset in (both, authored(outcome("whole"), outcome("plain"))):
        result = bench.run([asset], select=dg.AssetSelection.checks(WHOLE.key), fails=True)
        assert "['whole'] of orders come from its function, so they cannot run alone" in errors(result)
    assert bench.version("orders") == 0


def test_a_check_of_the_function_named_like_a_rule_is_refused() -> None:
    with pytest.raises(DeclarationError, match=r"check_specs has the names \['n_minimum'\]"):
        table_asset(
            name="orders",
            contract=Contract({"n": Column("int64", minimum=0)}),
            check_specs=[dg.AssetCheckSpec("n_minimum", asset="orders")],
        )(lambda: None)
