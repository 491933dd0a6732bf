"""Inputs that ask for a mapping: each partition that maps to the run's, by its key."""

import collections
from collections.abc import Mapping
from typing import Any

import dagster as dg
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from practicus_assets import Snapshot, table_asset
from practicus_assets.testing import run_table
from tests.integration.bench import Bench, errors

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-05")
FIRST, SECOND, THIRD, LAST = "2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"
SHOPS = dg.StaticPartitionsDefinition(["ankara", "izmir"])
EARLIER = dg.AssetIn(
    partition_mapping=dg.TimeWindowPartitionMapping(
        start_offset=-2, end_offset=-1, allow_nonexistent_upstream_partitions=True
    )
)


def days(context: dg.AssetExecutionContext) -> pd.DataFrame:
    return pd.DataFrame(
        {"day": context.partition_keys, "n": [int(key[-2:]) for key in context.partition_keys]}
    )


AT_ONCE = dg.BackfillPolicy.single_run()
PLAIN = dg.asset(
    name="plain", partitions_def=DAYS, metadata={"partition_expr": "day"}, backfill_policy=AT_ONCE
)(days)
TABLE = table_asset(name="table", partitions_def=DAYS, partition_by="day", backfill_policy=AT_ONCE)(days)


@pytest.fixture(params=[PLAIN], ids=["plain"])
def upstream(request: pytest.FixtureRequest, bench: Bench) -> Any:
    """An asset of which the first three days are materialized."""
    bench.run([request.param], between=(FIRST, THIRD))
    return request.param


def given(
    bench: Bench,
    upstream: Any,
    annotation: Any,
    *,
    fails: bool = False,
    partition: Any = None,
    **options: Any,
) -> Any:
    """Return what a plain asset gets for its input of an annotation; of a run that fails, the message."""
    seen = []

    def reader(orders: Any) -> pd.DataFrame:
        seen.append(orders)
        return pd.DataFrame({"n": [1]})

    reader.__annotations__["orders"] = annotation
    into = options.pop("into", dg.AssetIn(upstream.key))
    asset = dg.asset(ins={"orders": into._replace(key=upstream.key)}, **options)(reader)
    result = bench.run([upstream, asset], select=[asset], partition=partition, fails=fails)
    return errors(result) if fails else seen[0]


def numbers(value: Any) -> list[int]:
    """Return the column `n` of any of the types that an input can have."""
    if isinstance(value, Snapshot):
        value = value.scan()
    if isinstance(value, pa.RecordBatchReader):
        value = value.read_all()
    if isinstance(value, pl.LazyFrame):
        value = value.collect()
    return list(pa.table(value)["n"].to_pylist())


@pytest.mark.parametrize(
    "annotation",
    [
        dict[str, pl.DataFrame],
        dict[str, pl.LazyFrame],
        dict[str, pd.DataFrame],
        dict[str, pa.Table],
        dict[str, pa.RecordBatchReader],
        dict[str, Snapshot],
        Mapping[str, pl.DataFrame],
        dict[str, pl.DataFrame] | None,
    ],
    ids=str,
)
def test_several_partitions_arrive_by_their_keys(bench: Bench, upstream: Any, annotation: Any) -> None:
    parts = given(bench, upstream, annotation)
    assert {key: numbers(part) for key, part in parts.items()} == {
        FIRST: [1],
        SECOND: [2],
        THIRD: [3],
        LAST: [],
    }


@pytest.mark.parametrize("annotation", [dict[str, pl.DataFrame | None], dict[str, Snapshot | None]], ids=str)
def test_partitions_without_rows_are_left_out_of_a_mapping_of_optional_values(
    bench: Bench, upstream: Any, annotation: Any
) -> None:
    parts = given(bench, upstream, annotation)
    assert {key: numbers(part) for key, part in parts.items()} == {FIRST: [1], SECOND: [2], THIRD: [3]}


def test_a_mapping_of_optional_values_is_empty_where_there_is_no_table(bench: Bench) -> None:
    assert given(bench, PLAIN, dict[str, pl.DataFrame | None]) == {}
    assert "no Delta table" in given(bench, PLAIN, dict[str, pl.DataFrame], fails=True)


@pytest.mark.parametrize("upstream", [PLAIN, TABLE], ids=["plain", "table"], indirect=True)
def test_one_partition_and_none_are_mappings_too(bench: Bench, upstream: Any) -> None:
    options: dict[str, Any] = {"partitions_def": DAYS, "metadata": {"partition_expr": "day"}, "into": EARLIER}
    for day, keys in {FIRST: [], SECOND: [FIRST], THIRD: [FIRST, SECOND]}.items():
        parts = given(bench, upstream, dict[str, pl.DataFrame], partition=day, **options)
        assert [*parts] == keys
        assert all(numbers(parts[key]) == [int(key[-2:])] for key in keys)


def test_a_mapping_has_the_columns_that_were_asked_for(bench: Bench, upstream: Any) -> None:
    into = dg.AssetIn(metadata={"delta/columns": ["n"]})
    parts = given(bench, upstream, dict[str, pa.Table], into=into)
    assert {part.column_names == ["n"] for part in parts.values()} == {True}


def test_the_keys_of_two_dimensions_are_dagsters(bench: Bench) -> None:
    @dg.asset(
        partitions_def=dg.MultiPartitionsDefinition({"date": DAYS, "shop": SHOPS}),
        metadata={"partition_expr": {"date": "day", "shop": "shop"}},
    )
    def grid() -> pd.DataFrame:
        return pd.DataFrame({"n": [7]})

    bench.run([grid], partition=f"{FIRST}|izmir")
    parts = given(bench, grid, dict[str, pd.DataFrame])
    assert {key: numbers(part) for key, part in parts.items() if len(part)} == {f"{FIRST}|izmir": [7]}
    assert len(parts) == 8


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (dict[int, pl.DataFrame], "dict[int, polars.DataFrame]"),
        (dict, "dict"),
        (dict[str, collections.OrderedDict], "collections.OrderedDict"),  # type: ignore[type-arg]
        (list[pd.DataFrame], "list[pandas.DataFrame]"),
    ],
    ids=str,
)
def test_a_type_that_no_input_can_have_is_shown_as_its_author_wrote_it(
    bench: Bench, upstream: Any, annotation: Any, text: str
) -> None:
    message = given(bench, upstream, annotation, fails=True)
    assert f"{upstream.key.to_user_string()}: an input cannot be given as {text}." in message
    assert "dict[str, p" in message
    assert "typing." not in message.partition("an input cannot")[2][:300]


def test_a_mapping_of_a_table_without_partitions_is_refused(bench: Bench) -> None:
    @dg.asset
    def whole() -> pd.DataFrame:
        return pd.DataFrame({"n": [1]})

    bench.run([whole])
    message = given(bench, whole, dict[str, pd.DataFrame], fails=True)
    assert "whole: the input 'orders' is of an asset without partitions" in message
    assert "dict[str, pandas.DataFrame]" in message


def test_a_rehearsal_gives_each_partition_as_the_parameter_asks() -> None:
    @table_asset
    def total(orders: dict[str, pl.DataFrame]) -> pd.DataFrame:
        assert {type(part) for part in orders.values()} == {pl.DataFrame}
        return pd.DataFrame({"day": [*orders], "n": [part["n"].sum() for part in orders.values()]})

    parts = {FIRST: pd.DataFrame({"n": [1, 2]}), SECOND: pl.DataFrame({"n": [3]})}
    assert run_table(total, {"orders": parts}).rows.to_pylist() == [
        {"day": FIRST, "n": 3},
        {"day": SECOND, "n": 3},
    ]
