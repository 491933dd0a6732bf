"""The checks of a contract run with the asset, without it, or not at all."""

from collections.abc import Iterator
from typing import Any, Literal

import dagster as dg
import pandas as pd
import pytest

from practicus_assets import (
    Column,
    Contract,
    DeclarationError,
    DeltaIOManager,
    TableRule,
    Worker,
    table_asset,
)
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


def test_checks_alone_of_all_partitions_are_recorded_for_each_that_was_materialized(bench: Bench) -> None:
    bench.run([daily(), upstream], partition="2024-01-01")
    result = bench.run([daily(), upstream], select=ALONE)
    assert evaluations(result, "n_minimum") == {"2024-01-01": True, None: True}


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


def test_a_retry_does_not_pass_over_a_check_that_the_committing_attempt_left_without_result(
    bench: Bench,
) -> None:
    @table_asset(check_specs=[WHOLE], retry_policy=dg.RetryPolicy(max_retries=1))
    def orders() -> Iterator[Any]:
        yield dg.Output(pd.DataFrame({"n": [1]}))
        raise OSError("after the commit")

    @table_asset
    def totals(orders: pd.DataFrame) -> pd.DataFrame:
        return orders

    result = bench.run([orders, totals], fails=True)
    assert "orders: an earlier attempt committed the rows, and ended before the checks ['whole']" in errors(
        result
    )
    assert not bench.exists("totals")


def test_what_fails_after_the_rows_leaves_their_materialization(bench: Bench) -> None:
    @table_asset(contract=Contract({"n": Column("int64")}), check_specs=[WHOLE])
    def orders() -> Iterator[Any]:
        yield dg.Output(pd.DataFrame({"n": [1]}))
        yield outcome("whole")
        raise OSError("after the commit")

    result = bench.run([orders], fails=True)
    assert bench.materializations("orders") == 1
    assert set(checks(result)) == {"schema", "whole"}


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


# --- the partitions of checks -------------------------------------------------------------------------

RANGE = ("2024-01-01", "2024-01-04")


def evaluations(result: dg.ExecuteInProcessResult, check: str) -> dict[str | None, bool]:
    """Return whether a check passed, by the partition that it was recorded for; None for the whole run."""
    return {e.partition: e.passed for e in result.get_asset_check_evaluations() if e.check_name == check}


def statuses(bench: Bench, assets: list[Any], check: str) -> dict[str, set[str]]:
    """Return the partitions of each status that Dagster's UI shows of a check of orders."""
    key = dg.AssetCheckKey(dg.AssetKey("orders"), check)
    partitions_def = dg.Definitions(assets=assets).resolve_asset_graph().get(key).partitions_def
    assert partitions_def is not None
    with dg.partition_loading_context(dynamic_partitions_store=bench.instance):
        state = bench.instance.event_log_storage.get_asset_check_state([(key, partitions_def)])[key]
        found = {
            s.value: set(subset.subset_value.get_partition_keys()) for s, subset in state.subsets.items()
        }
    return {status: keys for status, keys in found.items() if keys}


def varied(numbers: dict[str, list[int]], contract: Contract, **options: Any) -> dg.AssetsDefinition:
    """Return orders with these numbers in each partition."""

    @table_asset(
        **{"partitions_def": DAYS, "partition_by": "day", **options},
        contract=contract,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        pairs = [(key, n) for key in context.partition_keys for n in numbers[key]]
        return pd.DataFrame({"day": [key for key, _ in pairs], "n": [n for _, n in pairs]})

    return orders


def few(cases: pd.DataFrame) -> pd.DataFrame:
    return cases[cases["n"] == 7]


WARNS = Contract(
    {"n": Column("int64", minimum=1, severity="WARN"), "day": "string"},
    rules=[TableRule("no_seven", few, severity="WARN")],
)


def test_a_check_has_the_partitions_of_its_asset() -> None:
    graph = dg.Definitions(assets=[daily(), upstream]).resolve_asset_graph()
    assert {graph.get(key).partitions_def for key in graph.asset_check_keys} == {DAYS}


def test_a_bad_day_is_seen_as_that_day(bench: Bench) -> None:
    orders = varied(
        {"2024-01-01": [0], "2024-01-02": [1]}, Contract({"n": Column("int64", minimum=1), "day": "string"})
    )
    bench.run([orders], partition="2024-01-01", fails=True)
    bench.run([orders], partition="2024-01-02")
    assert statuses(bench, [orders], "n_minimum") == {
        "FAILED": {"2024-01-01"},
        "SUCCEEDED": {"2024-01-02"},
    }


def test_a_run_of_many_days_records_each_rule_of_each_day(bench: Bench) -> None:
    numbers = {"2024-01-01": [1], "2024-01-02": [-1, 0, 2], "2024-01-03": [7], "2024-01-04": []}
    orders = varied(numbers, WARNS)
    result = bench.run([orders], between=RANGE)
    assert evaluations(result, "n_minimum") == {
        "2024-01-01": True,
        "2024-01-02": False,
        "2024-01-03": True,
        "2024-01-04": True,
        None: False,
    }
    assert [day for day, passed in evaluations(result, "no_seven").items() if not passed] == [
        "2024-01-03",
        None,
    ]
    assert statuses(bench, [orders], "n_minimum") == {
        "FAILED": {"2024-01-02"},
        "SUCCEEDED": {"2024-01-01", "2024-01-03", "2024-01-04"},
    }
    [bad] = [e for e in result.get_asset_check_evaluations() if e.partition == "2024-01-02" and not e.passed]
    assert bad.metadata["bad_rows"].value == 2
    assert str(bad.description) == "n is at least 1: 2 bad rows"
    assert str(bad.metadata["sample"].value).count("2024-01-02") == 2
    assert checks(result)["n_minimum"].metadata["failed_partitions"].value == "2024-01-02"


@pytest.mark.parametrize("severity", ["ERROR", "WARN"])
def test_a_range_of_one_day_records_each_rule_of_that_day(
    bench: Bench, severity: Literal["ERROR", "WARN"]
) -> None:
    refused = severity == "ERROR"
    columns = {"n": Column("int64", minimum=1, severity=severity), "day": Column("string", nullable=False)}
    day = "2024-01-01"
    orders = varied({day: [0, 1]}, Contract(columns))
    result = bench.run([orders], between=(day, day), fails=refused)
    assert evaluations(result, "n_minimum") == {day: False, None: False}
    assert statuses(bench, [orders], "n_minimum") == {"FAILED": {day}}
    assert statuses(bench, [orders], "day_not_null") == {"SUCCEEDED": {day}}


def test_a_run_that_is_refused_records_which_days_are_bad(bench: Bench) -> None:
    columns = {"n": Column("int64", minimum=1), "day": Column("string")}
    unique = Contract(columns, unique=[["day", "n"]], rows=(1, 2))
    numbers = {"2024-01-01": [1], "2024-01-02": [0, 5], "2024-01-03": [3, 3], "2024-01-04": []}
    orders = varied(numbers, unique)
    result = bench.run([orders], between=RANGE, fails=True)
    for check, day in (("n_minimum", "02"), ("day_n_unique", "03"), ("row_count", "04")):
        assert statuses(bench, [orders], check)["FAILED"] == {f"2024-01-{day}"}
        assert not checks(result)[check].passed
        assert checks(result)[check].partition is None
    assert not bench.exists("orders")


def test_a_rule_that_does_not_say_which_days_are_bad_is_recorded_for_the_run_alone(bench: Bench) -> None:
    contract = Contract(rules=[TableRule("never", lambda _: False, severity="WARN")])
    orders = varied({"2024-01-01": [1], "2024-01-02": [1]}, contract)
    result = bench.run([orders], between=("2024-01-01", "2024-01-02"))
    assert evaluations(result, "never") == {None: False}


def test_of_a_large_run_only_the_days_that_failed_are_recorded(bench: Bench) -> None:
    days = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-12-31")
    numbers = {key: [0 if key.endswith("-13") else 1] for key in days.get_partition_keys()}
    orders = varied(numbers, WARNS, partitions_def=days)
    result = bench.run([orders], between=("2024-01-01", "2024-12-30"))
    assert evaluations(result, "n_minimum") == {
        **{f"2024-{month:02}-13": False for month in range(1, 13)},
        None: False,
    }
    assert evaluations(result, "no_seven") == {None: True}


@pytest.mark.parametrize(
    ("partitions_def", "partition_by", "between"),
    [
        (dg.StaticPartitionsDefinition(["a", "b", "c"]), "day", ("a", "c")),
        (dg.DynamicPartitionsDefinition(name="shops"), "day", ("a", "c")),
        (
            dg.MonthlyPartitionsDefinition("2024-01-01", end_date="2024-04-01"),
            "day",
            ("2024-01-01", "2024-03-01"),
        ),
    ],
)
def test_every_kind_of_partitions_has_its_evaluations(
    bench: Bench, partitions_def: dg.PartitionsDefinition, partition_by: str, between: tuple[str, str]
) -> None:
    bench.instance.add_dynamic_partitions("shops", ["a", "b", "c"])
    keys = partitions_def.get_partition_keys(dynamic_partitions_store=bench.instance)
    numbers = dict(zip(keys, ([1], [0], [2]), strict=True))
    orders = varied(numbers, WARNS, partitions_def=partitions_def, partition_by=partition_by)
    result = bench.run([orders], between=between)
    assert evaluations(result, "n_minimum") == {keys[0]: True, keys[1]: False, keys[2]: True, None: False}
    assert statuses(bench, [orders], "n_minimum") == {"FAILED": {keys[1]}, "SUCCEEDED": {keys[0], keys[2]}}
    bench.run([orders], partition=keys[0])
    assert statuses(bench, [orders], "n_minimum")["FAILED"] == {keys[1]}


def test_partitions_of_two_dimensions_have_their_evaluations(bench: Bench) -> None:
    grid = dg.MultiPartitionsDefinition(
        {"day": dg.StaticPartitionsDefinition(["1", "2"]), "shop": dg.StaticPartitionsDefinition(["a", "b"])}
    )

    @table_asset(
        partitions_def=grid,
        partition_by={"day": "day", "shop": "shop"},
        contract=Contract({**WARNS.columns, "shop": "string"}),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def orders() -> pd.DataFrame:
        return pd.DataFrame({"day": ["1", "1", "2", "2"], "shop": ["a", "b", "a", "b"], "n": [1, 1, 0, 1]})

    result = bench.run([orders], between=("1|a", "2|b"))
    failed = [partition for partition, passed in evaluations(result, "n_minimum").items() if not passed]
    assert failed == ["2|a", None]


def test_checks_alone_are_recorded_for_the_partitions_of_their_run(bench: Bench) -> None:
    bench.write("orders", rows(("2024-01-01", 1), ("2024-01-02", 0), ("2024-01-03", 3)), partition_by=["day"])
    one = bench.run([daily(), upstream], select=ALONE, tags={"dagster/partition": "2024-01-02"}, fails=True)
    assert evaluations(one, "n_minimum") == {"2024-01-02": False}
    of_one = bench.run([daily(), upstream], select=ALONE, between=("2024-01-02", "2024-01-02"), fails=True)
    assert evaluations(of_one, "n_minimum") == {"2024-01-02": False, None: False}
    several = bench.run([daily(), upstream], select=ALONE, between=("2024-01-01", "2024-01-02"), fails=True)
    assert evaluations(several, "n_minimum") == {"2024-01-01": True, "2024-01-02": False, None: False}
    everything = bench.run([daily(), upstream], select=ALONE, fails=True)
    assert evaluations(everything, "n_minimum") == {"2024-01-02": False, None: False}
