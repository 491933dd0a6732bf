"""A table asset is a function that can be called: Dagster's guide to testing assets, with table assets.

https://docs.dagster.io/guides/test/unit-testing-assets-and-ops
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from practicus_assets import Column, Contract, DeclarationError, DeltaIOManager, RowRule, table_asset
from tests.integration.bench import Bench

DAYS = dg.DailyPartitionsDefinition("2026-01-01")
RAW = pd.DataFrame({"order_id": [1, 2], "cents": [150, 250]})
PROMISES = Contract(columns={"order_id": Column("int64")})


class Sizes(dg.Config):
    rows: int = 1


class Database(dg.ConfigurableResource):  # type: ignore[type-arg]
    path: str = "in production"

    def query(self) -> pd.DataFrame:
        return RAW.assign(path=self.path)


@table_asset
def no_inputs() -> pd.DataFrame:
    return RAW


@table_asset(partitions_def=DAYS, partition_by="day")
def orders(raw_orders: pd.DataFrame) -> pd.DataFrame:
    return raw_orders.assign(amount=raw_orders["cents"] / 100).drop(columns="cents")


@table_asset(partitions_def=DAYS, partition_by="day")
def dated(context: dg.AssetExecutionContext, raw_orders: pd.DataFrame) -> pd.DataFrame:
    context.add_output_metadata({"rows": len(raw_orders)})
    return raw_orders.assign(day=context.partition_key, key=context.asset_key.to_user_string())


Call = Callable[..., dg.AssetExecutionContext]


@pytest.fixture
def call(instance: dg.DagsterInstance) -> Call:
    """Return what builds contexts in the shared instance; without one, Dagster makes one for each call."""
    return partial(dg.build_asset_context, instance=instance)


# Calls: what the guide shows, in its order.


def test_a_table_without_arguments_is_called() -> None:
    assert no_inputs() is RAW


def test_a_table_with_an_upstream_table_is_called_with_its_rows() -> None:
    by_name: Any = orders(raw_orders=RAW)
    by_position: Any = orders(RAW)
    assert list(by_name["amount"]) == list(by_position["amount"]) == [1.5, 2.5]


def test_a_table_with_configuration_is_called_with_it() -> None:
    @table_asset
    def sized(config: Sizes) -> pd.DataFrame:
        return RAW.head(config.rows)

    @table_asset(config_schema={"rows": int})
    def untyped(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return RAW.head(context.op_execution_context.op_config["rows"])

    assert len(sized(Sizes(rows=2))) == 2  # type: ignore[arg-type]
    assert len(sized(config=Sizes(rows=2))) == 2  # type: ignore[arg-type]
    assert len(sized()) == 1  # type: ignore[arg-type]
    assert len(untyped(dg.build_asset_context(asset_config={"rows": 2}))) == 2  # type: ignore[arg-type]


def test_a_table_with_resources_is_called_with_those_of_the_test() -> None:
    @table_asset
    def queried(database: Database) -> pd.DataFrame:
        return database.query()

    @table_asset(required_resource_keys={"database"})
    def required(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return context.resources.database.query()  # type: ignore[no-any-return]

    database = Database(path="of a test")
    context = dg.build_asset_context(resources={"database": database})
    frames: list[Any] = [queried(database), queried(database=database), queried(context), required(context)]
    assert {*pd.concat(frames)["path"]} == {"of a test"}
    with pytest.raises(
        dg.DagsterInvalidDefinitionError, match="'database' required by op 'required_function'"
    ):
        required(dg.build_asset_context())


def test_a_table_with_a_context_is_called_with_one() -> None:
    context = dg.build_asset_context(partition_key="2026-01-01")
    for returned in (
        dated(context, RAW),
        dated(context, raw_orders=RAW),
        dated(context=context, raw_orders=RAW),
    ):
        assert {*returned["day"], *returned["key"]} == {"2026-01-01", "dated"}  # type: ignore[index]
    assert context.get_output_metadata("result") == {"rows": 2}


def test_a_context_may_be_given_to_a_table_that_takes_none() -> None:
    returned: Any = orders(dg.build_asset_context(partition_key="2026-01-01"), raw_orders=RAW)
    assert list(returned["amount"]) == [1.5, 2.5]


def test_a_range_of_partitions_reaches_the_function() -> None:
    @table_asset(partitions_def=DAYS, partition_by="day")
    def ranged(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return pd.DataFrame({"day": context.partition_keys, "n": 1})

    between = dg.PartitionKeyRange("2026-01-01", "2026-01-03")
    returned: Any = ranged(dg.build_asset_context(partition_key_range=between))
    assert list(returned["day"]) == ["2026-01-01", "2026-01-02", "2026-01-03"]


def test_many_parameters_are_given_by_name() -> None:
    @table_asset
    def combined(
        context: dg.AssetExecutionContext, raw_orders: pd.DataFrame, config: Sizes, database: Database
    ) -> pd.DataFrame:
        context.log.info("combined")
        return raw_orders.head(config.rows).assign(path=database.path)

    database = Database(path="of a test")
    returned: Any = combined(
        context=dg.build_asset_context(), raw_orders=RAW, config=Sizes(rows=2), database=database
    )
    assert list(returned["path"]) == ["of a test"] * 2


# What a call returns is what the function returns.


@pytest.mark.parametrize("contract", [None, PROMISES])
@pytest.mark.parametrize(
    "value", [RAW, None, [{"n": 1}], dg.Output(RAW, metadata={"n": 1}), dg.MaterializeResult(value=RAW)]
)
def test_a_call_returns_the_very_object(call: Call, value: Any, contract: Any) -> None:
    @table_asset(contract=contract, output_required=False)
    def table() -> Any:
        return value

    assert table(call()) is value


def test_a_call_stores_nothing_and_checks_nothing() -> None:
    broken = Contract(rules=[RowRule("never", lambda _: [False, False])])

    @table_asset(contract=broken)
    def table() -> pd.DataFrame:
        return RAW

    assert table() is RAW


def test_a_generator_is_called_as_one_and_has_its_context_to_the_end(call: Call) -> None:
    seen: list[str] = []

    @table_asset(partitions_def=DAYS, partition_by="day")
    def batches(context: dg.AssetExecutionContext, rows: int = 2) -> Iterator[int]:
        for row in range(rows):
            yield row
            seen.append(context.partition_key)

    context = call(partition_key="2026-01-01")
    assert list(batches(context)) == [0, 1]  # type: ignore[call-overload]
    assert list(batches(context, rows=3)) == [0, 1, 2]  # type: ignore[call-overload]
    assert seen == ["2026-01-01"] * 5
    begun: Any = batches(context)
    next(begun)
    with pytest.raises(dg.DagsterInvalidInvocationError, match="currently being used to execute batches_"):
        batches(context)
    begun.close()
    assert len(list(batches(context))) == 2  # type: ignore[call-overload]


def test_an_error_of_the_function_is_raised_as_it_is_and_frees_the_context(call: Call) -> None:
    @table_asset
    def broken(context: dg.AssetExecutionContext, late: bool = False) -> Any:  # noqa: FBT001, FBT002 an input
        if late:
            return (1 // n for n in [1, 0])
        raise KeyError("mine")

    context = call()
    for _ in range(2):
        with pytest.raises(KeyError, match="mine"):
            broken(context)
        with pytest.raises(ZeroDivisionError):
            list(broken(context, late=True))  # type: ignore[call-overload]


def test_parameters_of_every_kind_are_given_as_python_takes_them() -> None:
    @table_asset
    def kinds(first: int, /, second: int, *, third: int, fourth: int = 4, **others: int) -> list[Any]:
        return [first, second, third, fourth, others]

    assert kinds(1, 2, third=3) == [1, 2, 3, 4, {}]
    assert kinds(first=1, second=2, third=3, fourth=5) == [1, 2, 3, 5, {}]


# Mistakes are told in Dagster's own words.


def test_a_missing_input_is_named() -> None:
    with pytest.raises(dg.DagsterInvalidInvocationError, match='required input "raw_orders"'):
        orders()


def test_a_missing_resource_is_named() -> None:
    with pytest.raises(
        dg.DagsterInvalidInvocationError, match=r"resource 'database' of 'raw_orders'\. Give it"
    ):
        raw_orders()


def test_a_missing_context_is_named() -> None:
    with pytest.raises(
        dg.DagsterInvalidInvocationError, match="'dated' has context argument 'context', but no"
    ):
        dated(raw_orders=RAW)


def test_an_input_of_another_type_is_named() -> None:
    with pytest.raises(dg.DagsterTypeCheckDidNotPass, match='input "raw_orders" - expected type "DataFrame"'):
        orders(raw_orders=1)


def test_too_many_arguments_are_refused() -> None:
    with pytest.raises(dg.DagsterInvalidInvocationError, match="Too many input arguments"):
        orders(RAW, RAW)


@pytest.mark.parametrize("name", ["context", "_context", "context_", "_"])
def test_a_context_that_is_not_the_first_parameter_is_refused_with_what_to_write(name: str) -> None:
    names: dict[str, Any] = {}
    exec(f"def late(df, {name}, more): return df", names)  # noqa: S102 the parameter's name varies
    with pytest.raises(DeclarationError) as refused:
        table_asset(names["late"])
    assert str(refused.value) == (
        f"late has the parameter '{name}', and not as its first one. Dagster gives the context to the first "
        f"parameter: write def late({name}, df, more)."
    )


def test_inputs_without_names_are_refused() -> None:
    with pytest.raises(DeclarationError, match=r"takes \*tables, and inputs have names\. Name each input"):

        @table_asset
        def gathered(*tables: pd.DataFrame) -> pd.DataFrame: ...


# Copies that Dagster makes are called as the table is.


@pytest.mark.parametrize("contract", [None, PROMISES])
def test_a_copy_that_dagster_makes_can_be_called(call: Call, contract: Any) -> None:
    @table_asset(contract=contract)
    def copied(database: Database, raw_orders: pd.DataFrame) -> pd.DataFrame:
        return raw_orders.assign(path=database.path)

    @table_asset(contract=contract)
    def plain(raw_orders: pd.DataFrame) -> pd.DataFrame:
        return raw_orders

    defs = dg.Definitions(
        [copied, plain, dg.AssetSpec("raw_orders")],
        resources={"io_manager": DeltaIOManager(root_uri="/nowhere"), "database": Database()},
    )
    grouped: Any = dg.map_asset_specs(lambda spec: spec.replace_attributes(group_name="new"), [copied, plain])
    renamed = plain.with_attributes(asset_key_replacements={plain.key: dg.AssetKey("renamed")})
    for copy in (plain, defs.resolve_assets_def("plain"), grouped[1], renamed):
        assert type(copy) is type(plain)
        assert copy(call(), raw_orders=RAW) is RAW
    bound: Any = defs.resolve_assets_def("copied")
    for returned in (
        copied(Database(path="x"), RAW),
        grouped[0](raw_orders=RAW, database=Database(path="x")),
    ):
        assert {*returned["path"]} == {"x"}  # type: ignore[index]
    assert {*bound(raw_orders=RAW, database=Database(path="x"))["path"]} == {"x"}


# Several tables are materialized in memory of the process, with a lake in a temporary folder.


@table_asset(contract=PROMISES)
def raw_orders(database: Database) -> pd.DataFrame:
    return database.query()[["order_id", "cents"]]


@table_asset(partitions_def=DAYS, partition_by="day")
def totals(config: Sizes, orders: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"total": [orders["amount"].sum() * config.rows]})


def test_several_tables_are_materialized_in_one_process(bench: Bench) -> None:
    result = dg.materialize(
        [raw_orders, orders, totals],
        resources={"io_manager": DeltaIOManager(root_uri=bench.root), "database": Database(path="test")},
        partition_key="2026-01-01",
        run_config=dg.RunConfig({"totals": Sizes(rows=2)}),
        instance=bench.instance,
    )
    assert result.success
    assert bench.rows("totals", "total") == [(8.0,)]
    assert bench.rows("raw_orders") == [(150, 1), (250, 2)]
    materialized = result.asset_materializations_for_node("orders")
    assert [event.partition for event in materialized] == ["2026-01-01"]


def test_a_function_of_a_table_is_an_op_of_graph_assets_beside_the_table(bench: Bench) -> None:
    @dg.graph_asset
    def composed() -> Any:
        return no_inputs()

    @table_asset(contract=PROMISES)
    def copied(composed: pd.DataFrame) -> pd.DataFrame:
        return composed

    @dg.graph_asset
    def again(composed: pd.DataFrame) -> Any:
        return copied(composed)

    bench.run([no_inputs, composed, again, copied])
    for name in ("no_inputs", "composed", "again", "copied"):
        assert bench.rows(name) == [(150, 1), (250, 2)]
