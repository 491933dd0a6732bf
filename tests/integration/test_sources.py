"""Sources: tables of another system as inputs of assets."""

import json
import warnings
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from practicus_assets import (
    Column,
    Contract,
    DeclarationError,
    DeltaIOManager,
    Snapshot,
    Source,
    table_asset,
)
from practicus_assets.testing import run_table
from tests.integration.bench import Bench, checks, errors
from tests.integration.shelf import Shelf

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-05")
ORDERS = pa.table({"day": [f"2024-01-0{n}" for n in (1, 2, 3)], "n": [1, 2, 3]})


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shelf = Shelf(tmp_path / "shelf")
    shelf.put(orders=ORDERS, shops=pa.table({"shop": ["a"]}))
    return shelf


def copy(annotation: Any = pd.DataFrame, name: str = "copy", **options: Any) -> dg.AssetsDefinition:
    """Return a table asset that copies its input `orders`."""

    def function(orders: Any) -> Any:
        return orders

    function.__annotations__["orders"] = annotation
    function.__name__ = name
    return table_asset(**options)(function)


def loaded(result: dg.ExecuteInProcessResult, step: str = "copy") -> dict[str, Any]:
    """Return the metadata of the input that a step loaded."""
    [event] = [e for e in result.events_for_node(step) if e.event_type_value == "LOADED_INPUT"]
    data: Any = event.event_specific_data
    return {key: entry.value for key, entry in data.metadata.items()}


# --- What a parameter gets ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "annotation", [pd.DataFrame, pa.Table, pa.RecordBatchReader, pl.DataFrame, pl.LazyFrame]
)
def test_a_parameter_gets_the_rows_as_it_is_annotated(bench: Bench, shelf: Shelf, annotation: Any) -> None:
    seen = []

    @table_asset(name="copy")
    def asset(orders: Any) -> Any:
        seen.append(type(orders))
        return orders

    def function(orders: Any) -> Any:
        seen.append(isinstance(orders, annotation))
        return orders

    function.__annotations__["orders"] = annotation
    bench.run([Source("orders", shelf.table("orders")), table_asset(name="copy")(function)])
    assert seen == [True]
    assert bench.rows("copy", "n") == [(1,), (2,), (3,)]
    assert shelf.open == []


def test_a_plain_asset_reads_a_source(bench: Bench, shelf: Shelf) -> None:
    @dg.asset
    def sums(orders: pd.DataFrame) -> pd.DataFrame:
        return orders[["n"]].sum().to_frame("n")

    bench.run([Source("orders", shelf.table("orders")), sums])
    assert bench.rows("sums") == [(6,)]


def test_an_asset_check_reads_a_source(bench: Bench, shelf: Shelf) -> None:
    @dg.asset_check(asset="orders")
    def positive(orders: pd.DataFrame) -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=bool((orders["n"] > 0).all()))

    assets = [Source("orders", shelf.table("orders")), positive]
    assert checks(bench.run(assets, select=dg.AssetSelection.checks(positive)))["positive"].passed
    assert shelf.open == []


def test_only_the_columns_that_an_input_asks_for_are_read(bench: Bench, shelf: Shelf) -> None:
    orders = Source("orders", shelf.table("orders"))
    bench.run([orders, copy(ins={"orders": dg.AssetIn(metadata={"delta/columns": ["n"]})})])
    assert list(bench.frame("copy").columns) == ["n"]
    odd = copy(ins={"orders": dg.AssetIn(metadata={"delta/columns": ["m"]})})
    assert "orders has no column 'm'. It has day, n." in errors(bench.run([orders, odd], fails=True))
    rows = copy(ins={"orders": dg.AssetIn(metadata={"delta/predicate": "n > 1"})})
    assert "Choose rows in a query of the source" in errors(bench.run([orders, rows], fails=True))
    text = copy(ins={"orders": dg.AssetIn(metadata={"delta/columns": "n"})})
    assert "Write {'delta/columns': ['n']}" in errors(bench.run([orders, text], fails=True))


def test_a_stream_passes_through_a_table_in_batches(bench: Bench, shelf: Shelf) -> None:
    sizes = []

    @table_asset
    def doubled(orders: pa.RecordBatchReader) -> Iterator[pa.Table]:
        for batch in orders:
            sizes.append((batch.num_rows, len(shelf.open)))
            yield pa.table({"n": pa.compute.multiply(batch["n"], 2)})

    bench.run([Source("orders", shelf.table("orders")), doubled])
    assert sizes == [(2, 1), (1, 1)]
    assert bench.rows("doubled") == [(2,), (4,), (6,)]
    assert shelf.lines == ["open 1 1", "close 1 0"]


def test_a_source_has_no_snapshot(bench: Bench, shelf: Shelf) -> None:
    result = bench.run([Source("orders", shelf.table("orders")), copy(Snapshot)], fails=True)
    assert "orders is a source, and only tables of the lake have a Snapshot." in errors(result)


def test_a_test_of_a_table_gives_the_rows_of_a_source_itself(shelf: Shelf) -> None:
    Source("orders", shelf.table("orders"))
    run = run_table(copy(pa.RecordBatchReader), {"orders": [{"day": "2024-01-01", "n": 7}]})
    assert run.to_pandas()["n"].tolist() == [7]
    assert shelf.lines == []


def test_a_source_is_loaded_by_a_program(shelf: Shelf) -> None:
    definitions = dg.Definitions([Source("orders", shelf.table("orders"))])
    assert definitions.load_asset_value("orders", python_type=pa.Table) == ORDERS
    assert shelf.open == []


# --- Keys and the catalog -----------------------------------------------------------------------------------


def test_keys_have_prefixes_and_signs_that_python_names_have_not(bench: Bench, shelf: Shelf) -> None:
    @table_asset(
        ins={
            "one": dg.AssetIn(["shop", "orders"]),
            "two": dg.AssetIn(["shop", "orders-2.x"]),
            "three": dg.AssetIn(["shop", "orders_2_x"]),
        }
    )
    def copy(one: pa.Table, two: pa.Table, three: pa.Table) -> pa.Table:
        return pa.table({"rows": [one.num_rows, two.num_rows, three.num_rows]})

    names = ("orders", "orders-2.x", "orders_2_x")
    sources = [
        Source(name, shelf.table(table), key_prefix="shop")
        for name, table in zip(names, ("orders", "orders", "shops"), strict=True)
    ]
    bench.run([*sources, copy])
    assert bench.rows("copy") == [(1,), (3,), (3,)]


def test_the_catalog_shows_where_a_source_is_and_what_it_promises(shelf: Shelf) -> None:
    limited = Shelf(shelf.folder, limited=True, secret="hunter22")  # noqa: S106
    source = Source(
        "orders",
        limited.table("orders"),
        columns={"n": Column("int64", "how many", nullable=False)},
        partitions_def=DAYS,
        partition_expr="day",
        group_name="shop",
        owners=["team:shop"],
        tags={"tier": "1"},
        description="Every order.",
        metadata={"more": 1},
    )
    graph = dg.Definitions([source]).resolve_asset_graph()
    spec = graph.get(dg.AssetKey("orders")).to_asset_spec()
    shown = {name: getattr(value, "value", value) for name, value in spec.metadata.items()}
    assert (spec.kinds, spec.group_name, spec.owners) == ({"shelf"}, "shop", ["team:shop"])
    assert (spec.tags["tier"], spec.description, spec.partitions_def) == ("1", "Every order.", DAYS)
    assert shown["source/address"] == "shelf://tests"
    assert (shown["source/relation"], shown["source/pool"]) == ("orders", "source/shelf")
    assert (shown["partition_expr"], shown["more"]) == ("day", 1)
    [column] = shown["dagster/column_schema"].columns
    assert (column.name, column.type, column.description) == ("n", "int64", "how many")
    assert not column.constraints.nullable
    assert "hunter22" not in repr((spec, source, source.declaration, limited.session()))


def test_a_copy_of_a_source_is_one(shelf: Shelf) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        source = Source("orders", shelf.table("orders"), updated_at="day", lag="3d")
        copied = source.map_asset_specs(lambda spec: spec.replace_attributes(group_name="shop"))
    assert isinstance(copied, Source)
    assert copied.declaration == source.declaration
    assert copied.get_asset_spec().group_name == "shop"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"partitions_def": DAYS}, "nothing tells them apart. Name a column of it, or an expression: part"),
        ({"partition_expr": "day"}, "and no partitions. Give it a partitions_def."),
        ({"lag": "3d"}, 'Name it: updated_at="modified".'),
        ({"updated_at": "day", "lag": "soon"}, 'Write a number and its unit, "90m", "12h" or "3d"'),
        ({"consistent": "always"}, 'Write "run" or "step".'),
        ({"columns": {"n": Column("int64", minimum=1)}}, "'n is at least 1' is neither. Put it into"),
        ({"columns": Contract(unique=[["n"]])}, "Put it into the contract of the table"),
        ({"columns": {"n": "int65"}}, "int65"),
        ({"group": "shop"}, "Source has no parameter 'group'. Did you mean group_name?"),
    ],
)  # fmt: skip
def test_a_declaration_that_cannot_be_is_refused(shelf: Shelf, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        Source("orders", shelf.table("orders"), **options)
    assert message in str(raised.value)


def test_what_is_no_relation_is_refused(shelf: Shelf) -> None:
    with pytest.raises(DeclarationError, match=r"reads Shelf.*, which is no table, query or folder"):
        Source("orders", shelf)  # type: ignore[arg-type]


# --- Partitions ---------------------------------------------------------------------------------------------


def daily(shelf: Shelf) -> Source:
    return Source("orders", shelf.table("orders"), partitions_def=DAYS, partition_expr="day")


def test_a_run_reads_its_partition_alone(bench: Bench, shelf: Shelf) -> None:
    result = bench.run([daily(shelf), copy(partitions_def=DAYS, partition_by="day")], partition="2024-01-02")
    assert bench.rows("copy", "n") == [(2,)]
    assert loaded(result)["source/partitions"] == "2024-01-02"


def test_a_run_reads_its_range_of_partitions(bench: Bench, shelf: Shelf) -> None:
    whole = dg.BackfillPolicy.single_run()
    asset = copy(partitions_def=DAYS, partition_by="day", backfill_policy=whole)
    bench.run([daily(shelf), asset], between=("2024-01-02", "2024-01-03"))
    assert bench.rows("copy", "n") == [(2,), (3,)]


def test_a_table_without_partitions_reads_those_of_the_source_and_no_other_row(
    bench: Bench, shelf: Shelf
) -> None:
    shelf.put(orders=pa.concat_tables([ORDERS, pa.table({"day": ["2031-01-01"], "n": [9]})]))
    bench.run([daily(shelf), copy()])
    assert bench.rows("copy", "n") == [(1,), (2,), (3,)]


@pytest.mark.parametrize("annotation", [pd.DataFrame, pa.RecordBatchReader])
def test_where_no_partition_maps_there_are_no_rows_and_all_columns(
    bench: Bench, shelf: Shelf, annotation: Any
) -> None:
    yesterday = dg.TimeWindowPartitionMapping(
        start_offset=-1, end_offset=-1, allow_nonexistent_upstream_partitions=True
    )
    seen = []

    def function(orders: Any) -> pd.DataFrame:
        rows = orders.read_all() if isinstance(orders, pa.RecordBatchReader) else pa.Table.from_pandas(orders)
        seen.append((rows.num_rows, rows.column_names))
        return pd.DataFrame({"m": [1]})

    function.__annotations__["orders"] = annotation
    mapped = {"orders": dg.AssetIn(partition_mapping=yesterday)}
    asset = table_asset(name="copy", ins=mapped, partitions_def=DAYS, partition_by="day")(function)
    result = bench.run([daily(shelf), asset], partition="2024-01-01")
    assert seen == [(0, ["day", "n"])]
    assert loaded(result)["source/partitions"] == "none"


def test_dimensions_name_their_columns(bench: Bench, shelf: Shelf) -> None:
    days = ["2024-01-01", "2024-01-01", "2024-01-02"]
    shelf.put(visits=pa.table({"at": days, "shop": ["a", "b", "a"], "n": [1, 2, 3]}))
    both = dg.MultiPartitionsDefinition({"day": DAYS, "shop": dg.StaticPartitionsDefinition(["a", "b"])})
    columns = {"day": "at", "shop": "shop"}
    visits = Source("orders", shelf.table("visits"), partitions_def=both, partition_expr=columns)
    bench.run([visits, copy(partitions_def=both, partition_by=columns)], partition="2024-01-01|b")
    assert bench.rows("copy", "n") == [(2,)]


# --- Types --------------------------------------------------------------------------------------------------


def test_declared_types_are_cast_exactly(bench: Bench, shelf: Shelf) -> None:
    declared = {"n": "decimal128(10, 2)"}
    result = bench.run([Source("orders", shelf.table("orders"), columns=declared), copy(pa.Table)])
    assert bench.rows("copy", "n") == [(Decimal("1.00"),), (Decimal("2.00"),), (Decimal("3.00"),)]
    shown = loaded(result)["dagster/column_schema"]
    assert [(c.name, c.type) for c in shown.columns] == [("day", "string"), ("n", "decimal128(10, 2)")]


def test_a_value_that_does_not_fit_is_named_with_its_column(bench: Bench, shelf: Shelf) -> None:
    shelf.put(orders=pa.table({"n": [1, 2, 300]}))
    source = Source("orders", shelf.table("orders"), columns={"n": "int8"})
    for annotation in (pd.DataFrame, pa.RecordBatchReader):
        message = errors(bench.run([source, copy(annotation)], fails=True))
        assert "orders: column 'n' has values of type int64 that type int8 cannot hold exactly." in message
        assert "E.g. row 2: 300." in message
        assert "Declare another type for n, or convert it in a query of the source." in message
    assert not bench.exists("copy")


def test_a_lake_that_shows_no_rows_shows_none_of_a_source(bench: Bench, shelf: Shelf) -> None:
    shelf.put(orders=pa.table({"n": [1, 2, 300]}))
    source = Source("orders", shelf.table("orders"), columns={"n": "int8"})
    bench.resources["io_manager"] = DeltaIOManager(root_uri=bench.root, sample_rows=0)
    for annotation in (pd.DataFrame, pa.RecordBatchReader):
        message = errors(bench.run([source, copy(annotation)], fails=True))
        assert "cannot hold exactly" in message
        assert "300" not in message


def test_a_null_where_none_is_declared_is_refused(bench: Bench, shelf: Shelf) -> None:
    shelf.put(orders=pa.table({"n": [1, None, None]}))
    source = Source("orders", shelf.table("orders"), columns={"n": Column("int64", nullable=False)})
    message = errors(bench.run([source, copy(pa.RecordBatchReader)], fails=True))
    assert "orders: column 'n' is declared to have no nulls, and is null in 1 row." in message


def test_declared_columns_must_be_there_and_a_closed_contract_allows_no_others(
    bench: Bench, shelf: Shelf
) -> None:
    missing = Source("orders", shelf.table("orders"), columns={"m": "int64"})
    message = errors(bench.run([missing, copy()], fails=True))
    assert "orders: the source has no column 'm', which its columns declare." in message
    closed = Source("orders", shelf.table("orders"), columns=Contract({"n": "int64"}, closed=True))
    assert "does not declare the column 'day'" in errors(bench.run([closed, copy()], fails=True))


def test_a_relation_may_read_otherwise_by_what_is_declared(shelf: Shelf) -> None:
    source = Source("orders", shelf.table("orders"), columns={"n": "int8"})
    assert source.relation.types == {"n": pa.int8()}  # type: ignore[attr-defined]


# --- One state ----------------------------------------------------------------------------------------------


def changing(shelf: Shelf, name: str, **options: Any) -> dg.AssetsDefinition:
    """Return a table that copies `orders` and then lets somebody else add a row."""

    @table_asset(name=name, **options)
    def asset(orders: pa.RecordBatchReader) -> Iterator[Any]:
        shelf.put(orders=pa.concat_tables([ORDERS, pa.table({"day": ["2024-01-09"], "n": [9]})]))
        yield from orders

    return asset


def test_steps_in_one_process_read_one_state(bench: Bench, shelf: Shelf) -> None:
    early, late = changing(shelf, "early"), copy(name="late", deps=["early"])
    result = bench.run([Source("orders", shelf.table("orders")), early, late])
    assert bench.rows("late", "n") == [(1,), (2,), (3,)]
    assert loaded(result, "early")["source/state"] == loaded(result, "late")["source/state"]
    assert shelf.lines == ["open 1 1", "close 1 0"]
    assert loaded(result, "late")["source/consistency"] == "every step of the run reads this state"
    bench.run([Source("orders", shelf.table("orders")), late], select="late")
    assert bench.rows("late", "n") == [(1,), (2,), (3,), (9,)]


def test_two_sources_of_a_system_are_read_side_by_side_in_one_state(bench: Bench, shelf: Shelf) -> None:
    @table_asset
    def both(orders: pa.RecordBatchReader, again: pa.RecordBatchReader) -> pa.Table:
        first = next(iter(orders))
        shelf.put(orders=ORDERS.slice(0, 0))
        return pa.table({"rows": [first.num_rows + orders.read_all().num_rows, again.read_all().num_rows]})

    sources = [Source(name, shelf.table("orders")) for name in ("orders", "again")]
    bench.run([*sources, both])
    assert bench.rows("both") == [(3,), (3,)]
    assert shelf.lines == ["open 1 1", "open 1 2", "close 1 1", "close 1 0"]


def test_a_source_may_read_a_newer_state_in_each_step(bench: Bench, shelf: Shelf) -> None:
    orders = Source("orders", shelf.table("orders"), consistent="step")
    result = bench.run([orders, changing(shelf, "early"), copy(name="late", deps=["early"])])
    assert bench.rows("late", "n") == [(1,), (2,), (3,), (9,)]
    assert loaded(result, "late")["source/consistency"] == "every input of this step reads this state"
    assert shelf.lines == ["open 1 1", "close 1 0", "open 2 1", "close 2 0"]


def test_a_system_that_cannot_share_its_state_says_so(bench: Bench, shelf: Shelf) -> None:
    @table_asset
    def both(orders: pa.RecordBatchReader, again: pa.RecordBatchReader) -> pa.Table:
        return pa.table({"n": [orders.read_all().num_rows + again.read_all().num_rows]})

    lone = Shelf(shelf.folder, shares=False)
    result = bench.run([*[Source(name, lone.table("orders")) for name in ("orders", "again")], both])
    metadata: list[Any] = [
        e.event_specific_data.metadata  # type: ignore[union-attr]
        for e in result.events_for_node("both")
        if e.event_type_value == "LOADED_INPUT"
    ]
    first, second = (each["source/consistency"].value for each in metadata)
    assert first.startswith("every input of this step reads this state")
    assert second.startswith("this input alone reads this state: a shelf session cannot give its state")


def test_a_source_that_goes_away_half_way_leaves_the_table_as_it_was(bench: Bench, shelf: Shelf) -> None:
    bench.run([Source("orders", shelf.table("orders")), copy(pa.RecordBatchReader)])
    dying = Source("orders", shelf.table("orders", fails_after=1))
    message = errors(bench.run([dying, copy(pa.RecordBatchReader)], fails=True))
    assert "orders: shelf://tests went away. Run again. Nothing was written." in message
    assert bench.version("copy") == 0
    assert shelf.open == []


@pytest.mark.parametrize("annotation", [pd.DataFrame, pa.RecordBatchReader])
def test_a_retry_reads_the_state_that_the_run_keeps(bench: Bench, shelf: Shelf, annotation: Any) -> None:
    calls = []

    def function(orders: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            shelf.put(orders=ORDERS.slice(0, 0))
            raise dg.RetryRequested
        return orders

    function.__annotations__["orders"] = annotation
    late = copy(name="late", deps=["copy"])
    bench.run([Source("orders", shelf.table("orders")), table_asset(name="copy")(function), late])
    assert bench.rows("copy", "n") == bench.rows("late", "n") == [(1,), (2,), (3,)]
    assert shelf.open == []


def test_a_run_whose_state_is_lost_after_others_read_it_ends(bench: Bench, shelf: Shelf) -> None:
    @table_asset(deps=["early"])
    def late(orders: pa.RecordBatchReader) -> pa.RecordBatchReader:
        for path in (shelf.path / "open").glob("*"):
            path.rename(shelf.path / path.name)  # the server was restarted
        return orders

    @table_asset(deps=["early"], retry_policy=dg.RetryPolicy(max_retries=1))
    def latest(orders: pa.RecordBatchReader) -> pa.RecordBatchReader:
        return orders

    assets = [Source("orders", shelf.table("orders")), copy(name="early"), late, latest]
    message = errors(bench.run(assets, fails=True))
    assert "shelf://tests went away" in message
    assert "the state of shelf://tests that early read is gone. Run all steps that read it" in message


# --- Provenance ---------------------------------------------------------------------------------------------


def test_a_commit_says_what_was_read(bench: Bench, shelf: Shelf) -> None:
    result = bench.run([Source("orders", shelf.table("orders"), key_prefix="shop"),
                        copy(ins={"orders": dg.AssetIn(key_prefix="shop")})])  # fmt: skip
    record = json.loads(bench.table("copy").history(1)[0]["practicus_assets"])
    place = {"address": "shelf://tests", "relation": "orders", "state": loaded(result)["source/state"]}
    assert record["sources"] == [{"source": "shop/orders", **place}]
    assert bench.metadata("copy")["delta/sources"] == {"shop/orders": place}
