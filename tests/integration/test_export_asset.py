"""`export_asset` in Dagster: what it is called, what a run brings there, and what it reports."""

from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from practicus_assets import Column, Contract, DeclarationError, Worker, export_asset, table_asset
from practicus_assets.destinations.destination import Destination
from practicus_assets.destinations.export import Export, Exported
from practicus_assets.errors import ExportFailed
from practicus_assets.external.export_step import ADDRESS, OUTCOME, ROWS, TABLE_VERSION, TARGET
from tests.integration.bench import Bench

DAILY = dg.DailyPartitionsDefinition("2024-01-01")


@dataclass
class Shelf(Destination):
    """A destination that keeps what it is given; the real ones have tests of their own."""

    exports: list[Export] = field(default_factory=list)
    rows: list[list[dict[str, Any]]] = field(default_factory=list)
    error: Exception | None = None
    kind = "shelf"
    address = "shelf://here"
    pool = "shelf_pool"

    def refuse_target(self, target: str) -> None:
        if target == "bad":
            raise DeclarationError("no such target.")

    def write(self, export: Export) -> Exported:
        if self.error is not None:
            raise self.error
        self.exports.append(export)
        self.rows.append([row for batch in export.batches() for row in batch.to_pylist()])
        return Exported("exported", len(self.rows[-1]))


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@table_asset(
    partition_by="day",
    partitions_def=DAILY,
    group_name="shop",
    key_prefix="sales",
    contract=Contract(columns={"day": Column("date"), "n": Column("int64", nullable=False)}, unique=[["n"]]),
)
def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
    keys = context.partition_keys
    days = pd.to_datetime(keys).date
    return pd.DataFrame({"day": days, "n": range(len(keys))})


def test_an_export_is_an_asset_like_its_table_with_the_kind_and_the_pool_of_the_system(shelf: Shelf) -> None:
    there = export_asset(
        orders, to=shelf, table="t", owners=["team:shop"], tags={"a": "b"}, worker=Worker(memory="1Gi")
    )
    [spec] = there.specs
    assert spec.key == dg.AssetKey(["sales", "orders_shelf"])
    assert (spec.group_name, spec.owners, spec.partitions_def) == ("shop", ["team:shop"], DAILY)
    assert spec.kinds == {"shelf"}
    assert [dep.asset_key for dep in spec.deps] == [orders.key]
    assert there.op.pool == "shelf_pool"
    assert "practicus/worker" in there.op.tags


def test_a_run_brings_its_partition_there_and_reports_what_it_did(bench: Bench, shelf: Shelf) -> None:
    there = export_asset(orders, to=shelf, table="public.t", create=True)
    bench.run([orders, there], partition="2024-01-03")
    [export] = shelf.exports
    assert (export.target, export.create, str(export.scope)) == ("public.t", True, "2024-01-03")
    assert (export.key, export.required) == (("day", "n"), ("day", "n"))
    assert [row["n"] for row in shelf.rows[0]] == [0]
    event = bench.instance.get_latest_materialization_event(there.key).asset_materialization
    assert event is not None
    values = {name: entry.value for name, entry in event.metadata.items()}
    assert values[OUTCOME] == "exported"
    assert (values[ROWS], values[TARGET], values[ADDRESS]) == (1, "public.t", "shelf://here")
    assert values[TABLE_VERSION] == 0
    assert event.tags is not None
    assert event.tags["dagster/data_version"] == export.data_versions["2024-01-03"]


def test_a_run_of_several_partitions_is_one_export(bench: Bench, shelf: Shelf) -> None:
    there = export_asset(
        orders,
        to=shelf,
        table="t",
        backfill_policy=dg.BackfillPolicy.single_run(),
        columns={"n": "m", "day": "d"},
    )
    bench.run([orders], between=("2024-01-01", "2024-01-04"))
    bench.run([orders, there], select=[there], between=("2024-01-02", "2024-01-03"))
    [export] = shelf.exports
    assert export.scope.keys == ("2024-01-02", "2024-01-03")
    assert export.bounds.columns == ("d",)
    assert sorted(row["m"] for row in shelf.rows[0]) == [1, 2]
    assert len(bench.instance.get_materialized_partitions(there.key)) == 2


def test_an_export_without_partitions_is_of_the_whole_table(bench: Bench, shelf: Shelf) -> None:
    there = export_asset(orders, to=shelf, table="t", partitions_def=None)
    bench.run([orders], between=("2024-01-01", "2024-01-04"))
    bench.run([orders, there], select=[there])
    assert shelf.exports[0].scope.is_whole_table
    assert len(shelf.rows[0]) == 4


def test_the_version_that_the_run_made_is_exported_whatever_is_committed_since(
    bench: Bench, shelf: Shelf
) -> None:
    @table_asset
    def numbers() -> pd.DataFrame:
        return pd.DataFrame({"n": [1]})

    @dg.asset(deps=[numbers])
    def somebody_else() -> None:
        bench.write("numbers", pd.DataFrame({"n": [2]}), mode="append")

    there = export_asset(numbers, to=shelf, table="t")
    late = there.map_asset_specs(lambda spec: spec.merge_attributes(deps=[somebody_else]))
    bench.run([numbers, somebody_else, late])
    assert shelf.rows == [[{"n": 1}]]
    assert shelf.exports[0].snapshot.version == 0


def test_a_key_is_exported_with_the_partitions_that_are_declared(bench: Bench, shelf: Shelf) -> None:
    there = export_asset(
        ["sales", "orders"],
        to=shelf,
        table="t",
        name="orders_there",
        partitions_def=DAILY,
        partition_by="day",
    )
    bench.run([orders, there], partition="2024-01-02")
    assert there.key == dg.AssetKey("orders_there")
    assert len(shelf.rows[0]) == 1


def test_an_error_names_the_table_and_the_partition(bench: Bench) -> None:
    there = export_asset(orders, to=Shelf(error=ExportFailed("it is closed.")), table="t")
    result = bench.run([orders, there], partition="2024-01-02", fails=True)
    [failure] = result.filter_events(lambda event: event.is_step_failure)
    assert failure.step_failure_data.error is not None
    assert "sales/orders [2024-01-02]: it is closed." in failure.step_failure_data.error.to_string()


def test_a_declaration_that_cannot_be_is_refused_where_it_is_written(shelf: Shelf) -> None:
    for options, says in (
        ({"tabel": "x"}, "table"),
        ({"table": "bad"}, "no such target"),
        ({"table": "t", "columns": "n"}, "no selection"),
        ({"table": "t", "partition_by": {"a": "b"}}, "partition_by"),
        ({"table": "t", "deps": ["x"]}, "no parameter 'deps'"),
    ):
        with pytest.raises(DeclarationError, match=says):
            export_asset(orders, to=shelf, **options)  # type: ignore[arg-type] # what is refused
    with pytest.raises(DeclarationError, match="nothing is exported"):
        export_asset(orders, to="postgresql://x", table="t")  # type: ignore[arg-type] # what is refused
