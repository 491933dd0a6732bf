"""Delta properties that an author declares, and what an asset says of itself, in the table's log."""

import logging

import dagster as dg
import pandas as pd
import pytest

from practicus_assets import Column, Contract, DeclarationError, table_asset
from tests.integration.bench import Bench

FEED = {"delta.enableChangeDataFeed": "true", "delta.logRetentionDuration": "interval 30 days"}
OTHER = {"delta.enableChangeDataFeed": "true", "delta.logRetentionDuration": "interval 60 days"}
ONE_ROW = pd.DataFrame({"n": [1]})


def as_table_asset(properties: dict[str, str]) -> dg.AssetsDefinition:
    @table_asset(
        contract=Contract({"n": Column("int64", "How many.")}),
        table_properties=properties,
        metadata={"note": "mine"},
    )
    def orders() -> pd.DataFrame:
        """Every order.

        One row each.
        """
        return ONE_ROW

    return orders


def as_plain_asset(properties: dict[str, str]) -> dg.AssetsDefinition:
    @dg.asset(description="Every order.\n\nOne row each.", metadata={"delta/table_properties": properties})
    def orders() -> pd.DataFrame:
        return ONE_ROW

    return orders


def warnings_of(bench: Bench, result: dg.ExecuteInProcessResult) -> list[str]:
    logs = bench.instance.all_logs(result.run_id)
    return [entry.user_message for entry in logs if entry.level == logging.WARNING]


@pytest.mark.parametrize("made", [as_table_asset, as_plain_asset])
def test_the_first_run_creates_the_table_with_what_the_asset_declares(bench: Bench, made: object) -> None:
    assert callable(made)
    first = bench.run([made(FEED)])
    metadata = bench.table("orders").metadata()
    kept = {"delta.enableExpiredLogCleanup": "false", "delta.checkpointInterval": "20"}
    assert metadata.configuration == {**FEED, **kept}
    assert metadata.description == "Every order.\n\nOne row each."
    again = bench.run([made(FEED)])
    assert warnings_of(bench, first) == warnings_of(bench, again) == []


@pytest.mark.parametrize("made", [as_table_asset, as_plain_asset])
def test_a_run_warns_of_properties_that_the_table_has_otherwise(bench: Bench, made: object) -> None:
    assert callable(made)
    bench.run([made(FEED)])
    [warning] = warnings_of(bench, bench.run([made(OTHER)]))
    assert "orders: delta.logRetentionDuration is 'interval 30 days' in the table" in warning
    assert "'interval 60 days' in the declaration" in warning
    assert "DeltaTable(…).alter.set_table_properties" in warning
    assert bench.table("orders").metadata().configuration["delta.logRetentionDuration"] == "interval 30 days"


def test_the_descriptions_of_a_contract_are_the_comments_of_the_columns(bench: Bench) -> None:
    bench.run([as_table_asset(FEED)])
    [column] = bench.table("orders").schema().fields
    assert column.metadata == {"comment": "How many."}


def test_a_property_that_cannot_be_declared_is_refused_with_the_declaration() -> None:
    with pytest.raises(DeclarationError, match=r"Did you mean delta\.enableChangeDataFeed\?"):
        as_table_asset({"delta.changeDataFeed": "true"})


def test_properties_in_metadata_that_say_otherwise_than_the_argument_are_refused() -> None:
    with pytest.raises(DeclarationError, match="say otherwise than its arguments"):

        @table_asset(table_properties=FEED, metadata={"delta/table_properties": OTHER})
        def orders() -> pd.DataFrame:
            return ONE_ROW
