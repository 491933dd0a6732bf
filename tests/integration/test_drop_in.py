"""What assets of other Delta IO managers declare is done here as well, or refused with what to write."""

import json
import logging
import re
from enum import Enum
from pathlib import Path
from typing import Any, get_origin

import dagster as dg
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from practicus_assets import (
    Column,
    Contract,
    DeclarationError,
    DeltaIOManager,
    Release,
    Snapshot,
    build_release_asset,
    table_asset,
)
from practicus_assets.assets.catalog import catalog
from practicus_assets.assets.metadata.input_settings import InputSettings
from practicus_assets.assets.metadata.other_fields import ADVICE
from practicus_assets.assets.metadata.spellings import _TRANSLATIONS
from practicus_assets.assets.settings import TableSettings
from tests.integration.bench import Bench, errors

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-02-01")
FIRST, SECOND = "2024-01-01", "2024-01-02"


class WriteMode(str, Enum):  # noqa: UP042 as they are
    """As the other managers spell their modes."""

    append = "append"


def numbers(*values: int) -> pd.DataFrame:
    return pd.DataFrame({"n": list(values)})


def versions_of_orders(bench: Bench) -> dg.AssetSpec:
    """Write a table of two versions, one row and then three, and return the asset that it is."""
    bench.write("orders", pd.DataFrame({"n": [1], "m": ["a"]}))
    bench.write("orders", pd.DataFrame({"n": [1, 2, 3], "m": ["a", "b", "c"]}), mode="overwrite")
    return dg.AssetSpec("orders")


def reading(bench: Bench, metadata: dict[str, Any], annotation: Any = pd.DataFrame) -> list[Any]:
    """Return the assets by which a plain and a table asset read some of the orders, into two tables."""
    orders = versions_of_orders(bench)
    read = dg.AssetIn("orders", metadata=metadata)

    def rows(table: Any) -> Any:
        return table.scan() if isinstance(table, Snapshot) else table

    def plain(table: annotation) -> Any:
        return rows(table)

    def own(table: annotation) -> Any:
        return rows(table)

    ins = {"table": read}
    return [orders, dg.asset(ins=ins)(plain), table_asset(ins=ins)(own)]


# --- what an input reads ------------------------------------------------------------------------------


VERSIONS: list[tuple[dict[str, Any], Any]] = [
    ({"version": 0}, pd.DataFrame),
    ({"version": "0"}, Snapshot),
    ({"table_version": 0}, pa.Table),
    ({"delta/version": 0}, pl.LazyFrame),
]


@pytest.mark.parametrize(
    ("metadata", "annotation"), VERSIONS, ids=[f"{metadata}" for metadata, _ in VERSIONS]
)
def test_an_input_reads_the_version_that_its_metadata_say(
    bench: Bench, metadata: dict[str, Any], annotation: Any
) -> None:
    bench.run(reading(bench, metadata, annotation))
    for name in ("plain", "own"):
        assert bench.rows(name, "n") == [(1,)]
        assert bench.metadata(name)["delta/input_versions"] == {"orders": 0}
        [read] = json.loads(bench.table(name).history(1)[0]["practicus_assets"])["inputs"]
        assert (read["table"], read["version"]) == ("orders", 0)


@pytest.mark.parametrize("key", ["predicate", "delta/predicate"])
def test_an_input_reads_the_rows_that_its_predicate_says(bench: Bench, key: str) -> None:
    bench.run(reading(bench, {key: "n > 1", "columns": ["n"], "version": 1}))
    assert bench.rows("plain") == bench.rows("own") == [(2,), (3,)]


def test_an_input_reads_the_partitions_of_its_run_that_satisfy_the_predicate(bench: Bench) -> None:
    bench.write("orders", pd.DataFrame({"day": [FIRST, FIRST, SECOND], "n": [1, 2, 3]}), partition_by=["day"])
    orders = dg.AssetSpec("orders", partitions_def=DAYS, metadata={"partition_expr": "day"})

    @dg.asset(ins={"orders": dg.AssetIn(metadata={"predicate": "n > 1"})}, partitions_def=DAYS)
    def seen(context: dg.AssetExecutionContext, orders: pa.Table) -> None:
        context.add_output_metadata({"n": orders["n"].to_pylist()})

    bench.run([orders, seen], partition=FIRST)
    assert bench.metadata("seen")["n"] == [2]


def test_a_version_that_is_gone_or_was_never_there_is_named(bench: Bench) -> None:
    orders, plain, _ = reading(bench, {"version": 7})
    assert "orders: there is no version 7 of the table" in errors(bench.run([orders, plain], fails=True))


def test_a_predicate_that_is_no_sql_is_refused_in_words(bench: Bench) -> None:
    orders, plain, _ = reading(bench, {"predicate": "m >"})
    assert "orders: the predicate 'm >'" in errors(bench.run([orders, plain], fails=True))


INPUTS = [
    ({"version": 1.5}, "delta/version is 1.5, which is no version. Write its number"),
    ({"version": 0, "table_version": 1}, "{'version': 0, 'table_version': 1}, which differ. Write 'delta/"),
    ({"predicate": 7}, "delta/predicate is 7, which is no SQL."),
    ({"columns": "n"}, "delta/columns is the text 'n'. Write {'delta/columns': ['n']}."),
    ({"columns": 7}, "delta/columns is 7, which is no list."),
    ({"delta/colums": ["n"]}, "'delta/colums', which is no setting of an input. Did you mean delta/columns?"),
    ({"pyarrow_options": {}}, "have 'pyarrow_options', which is not read here. Write"),
    ({"delta_table_options": {}}, "have 'delta_table_options', which is not read here."),
]


@pytest.mark.parametrize(("metadata", "message"), INPUTS, ids=[f"{metadata}" for metadata, _ in INPUTS])
def test_a_setting_of_an_input_that_cannot_be_honoured_is_refused(
    metadata: dict[str, Any], message: str
) -> None:
    with pytest.raises(DeclarationError, match=re.escape(message)):
        InputSettings.from_metadata(metadata)


@pytest.mark.parametrize("metadata", [{"columns": ["n"]}, {"predicate": "n > 1"}], ids=str)
def test_a_snapshot_of_some_columns_or_rows_is_refused(bench: Bench, metadata: dict[str, Any]) -> None:
    orders, plain, _ = reading(bench, metadata, Snapshot)
    message = errors(bench.run([orders, plain], fails=True))
    assert "Select in the function: orders.scan(columns=…, predicate=…)." in message


@pytest.mark.parametrize("selects", [True, False])
def test_an_input_can_be_a_dataset_of_pyarrow(bench: Bench, selects: bool) -> None:  # noqa: FBT001
    metadata = {"columns": ["n"], "predicate": "n > 1"} if selects else {}
    bench.run(reading(bench, metadata, ds.Dataset))
    expected = [(2,), (3,)] if selects else [(1,), (2,), (3,)]
    assert bench.rows("plain", "n") == bench.rows("own", "n") == expected


# --- how an output is written --------------------------------------------------------------------------

SETTINGS: list[tuple[dict[str, Any], int]] = [
    ({"mode": "append"}, 2),
    ({"mode": WriteMode.append}, 2),
    ({"mode": "overwrite"}, 1),
    ({"delta_write_options": {"schema_mode": "merge"}, "mode": "append"}, 2),
    ({"mode": "merge", "delta/merge_keys": ["n"]}, 1),
]


@pytest.mark.parametrize(("metadata", "rows"), SETTINGS, ids=[f"{metadata}" for metadata, _ in SETTINGS])
def test_a_mode_of_another_manager_is_honoured(bench: Bench, metadata: dict[str, Any], rows: int) -> None:
    @dg.asset(metadata=metadata)
    def orders() -> pd.DataFrame:
        return numbers(1)

    for _ in range(2):
        bench.run([orders])
    assert len(bench.rows("orders")) == rows


@pytest.mark.parametrize(
    "metadata",
    [
        {"overwrite_schema": True},
        {"schema_mode": "overwrite"},
        {"delta_write_options": {"schema_mode": "overwrite"}},
    ],
    ids=str,
)
def test_a_schema_mode_of_another_manager_replaces_the_columns(
    bench: Bench, metadata: dict[str, Any]
) -> None:
    bench.write("orders", pd.DataFrame({"old": [1]}))

    @dg.asset(metadata=metadata)
    def orders() -> pd.DataFrame:
        return numbers(1)

    bench.run([orders])
    assert bench.table("orders").schema().to_arrow().names == ["n"]


def test_a_schema_mode_that_merges_adds_a_column(bench: Bench) -> None:
    bench.write("orders", numbers(1))

    @dg.asset(metadata={"schema_mode": "merge", "mode": "append"})
    def orders() -> pd.DataFrame:
        return numbers(2).assign(m="a")

    bench.run([orders])
    assert bench.table("orders").schema().to_arrow().names == ["n", "m"]


def test_the_partition_column_of_dagster_polars_is_honoured(bench: Bench) -> None:
    @dg.asset(metadata={"partition_by": "day"}, partitions_def=DAYS)
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return numbers(1).assign(day=context.partition_key)

    for day in (FIRST, SECOND, FIRST):
        bench.run([orders], partition=day)
    assert bench.rows("orders", "day") == [(FIRST,), (SECOND,)]
    assert bench.table("orders").metadata().partition_columns == ["day"]


def test_the_table_configuration_of_dagster_delta_is_honoured(bench: Bench) -> None:
    @dg.asset(metadata={"table_configuration": {"delta.enableChangeDataFeed": "true"}})
    def orders() -> pd.DataFrame:
        return numbers(1)

    bench.run([orders])
    assert bench.table("orders").metadata().configuration["delta.enableChangeDataFeed"] == "true"


OUTPUTS: list[tuple[dict[str, Any], str]] = [
    ({"mode": "error"}, "mode 'error' is unknown. A run always writes: there is no"),
    ({"mode": "ignore"}, "mode 'ignore' is unknown. A run always writes: there is no"),
    (
        {"mode": "create_or_replace"},
        'mode \'create_or_replace\' is unknown. Did you mean "replace", with on_schema_change="replace"?',
    ),
    (
        {"mode": "merge", "merge_predicate": "s.a = t.a AND s.b = t.b"},
        'write "delta/mode": "merge", "delta/merge_keys": [\'a\', \'b\'].',
    ),
    ({"merge_predicate": "s.a > t.b"}, "\"delta/merge_keys\": ['id']."),
    ({"merge_operations_config": {"when_matched_delete": []}}, "Read the table as an input of its own asset"),
    ({"writer_properties": {"compression": "ZSTD"}}, "Files are written with Zstandard"),
    ({"commit_properties": {"max_commit_retries": 3}}, "A transaction tries again by itself"),
    ({"delta_write_options": {"engine": "rust"}}, "delta_write_options['engine']='rust', a setting of anoth"),
    ({"descriptions": {"n": "a number"}}, "Columns are described in the contract of a @table_asset"),
    ({"n_rows": 0}, "DeltaIOManager(sample_rows=…) says how many rows are shown, of all tables."),
    ({"fraction": 0.5}, "DeltaIOManager(sample_rows=…) says how many rows are shown, of all tables."),
    ({"mode": "append", "delta/mode": "merge"}, "say both delta/mode='merge' and mode='append'."),
]


@pytest.mark.parametrize(("metadata", "message"), OUTPUTS, ids=[f"{metadata}" for metadata, _ in OUTPUTS])
def test_a_setting_of_an_output_that_cannot_be_honoured_is_refused(
    metadata: dict[str, Any], message: str
) -> None:
    with pytest.raises(DeclarationError, match=re.escape(message)):
        TableSettings.from_metadata(metadata)


def test_a_plain_asset_with_a_setting_that_is_refused_writes_nothing(bench: Bench) -> None:
    @dg.asset(metadata={"mode": "ignore"})
    def orders() -> pd.DataFrame:
        return numbers(1)

    assert "orders: mode 'ignore' is unknown." in errors(bench.run([orders], fails=True))
    assert not bench.exists("orders")


@pytest.mark.parametrize(
    "metadata",
    [
        {"mode": "nightly", "n_rows": "many", "fraction": "half", "descriptions": "none"},
        {"schema_mode": 3, "overwrite_schema": "yes", "partition_by": 7, "custom_metadata": "x"},
        {"schema_mode": None, "overwrite_schema": False, "mode": None, "streaming": True},
    ],
    ids=str,
)
def test_a_word_with_a_value_that_no_manager_takes_is_the_authors_own(
    bench: Bench, metadata: dict[str, Any]
) -> None:
    @dg.asset(metadata=metadata)
    def plain() -> pd.DataFrame:
        return numbers(1)

    @table_asset(metadata=metadata)
    def own() -> pd.DataFrame:
        return numbers(1)

    bench.run([plain, own])
    assert bench.rows("plain") == bench.rows("own") == [(1,)]


KINDS = [("upsert", [1, 2, 3], "new"), ("insert", [1, 2, 3], "old"), ("update", [1, 2], "new")]


@pytest.mark.parametrize(("kind", "numbers_left", "of_two"), KINDS, ids=[kind for kind, *_ in KINDS])
def test_a_merge_takes_the_new_rows_that_its_kind_says(
    bench: Bench, kind: Any, numbers_left: list[int], of_two: str
) -> None:
    names = {"insert": "deduplicate_insert", "update": "update_only"}  # of dagster-delta
    old, new = numbers(1, 2).assign(m="old"), numbers(2, 3).assign(m="new")
    plain_metadata = {"mode": "merge", "delta/merge_keys": ["n"], "delta/merge_kind": names.get(kind, kind)}
    bench.write("plain", old)
    bench.write("own", old)

    @dg.asset(metadata=plain_metadata)
    def plain() -> pd.DataFrame:
        return new

    @table_asset(mode="merge", merge_keys=["n"], merge_kind=kind)
    def own() -> pd.DataFrame:
        return new

    for _ in range(2):
        bench.run([plain, own])
        for name in ("plain", "own"):
            assert bench.rows(name, "n") == [(n,) for n in numbers_left]
            assert (2, of_two) in bench.rows(name, "n", "m")
    assert bench.metadata("own")["delta/outcome"] == "unchanged"


def test_an_output_that_is_no_asset_and_asks_for_a_table_is_refused(bench: Bench) -> None:
    lake = DeltaIOManager(root_uri=bench.root)
    for metadata in (
        {"schema": "eu"},
        {"mode": "append"},
        {"partition_expr": "day"},
        {"delta/mode": "append"},
    ):

        @dg.op(out=dg.Out(metadata=metadata))
        def first() -> pd.DataFrame:
            return numbers(1)

        @dg.job(resource_defs={"io_manager": lake})
        def job() -> None:
            first()

        with pytest.raises(DeclarationError, match="is no asset, so it is handed to the next op as it is"):
            job.execute_in_process(instance=bench.instance)


def test_an_input_that_is_no_asset_and_selects_columns_is_refused(bench: Bench) -> None:
    @dg.op
    def first() -> pd.DataFrame:
        return numbers(1)

    @dg.op(ins={"rows": dg.In(metadata={"columns": ["n"]})})
    def second(rows: pd.DataFrame) -> None: ...

    @dg.job(resource_defs={"io_manager": DeltaIOManager(root_uri=bench.root)})
    def job() -> None:
        second(first())

    with pytest.raises(DeclarationError, match=r"of a table, of which.* is none\. Select in the function\."):
        job.execute_in_process(instance=bench.instance)


def test_the_storage_kind_of_a_table_is_deltalake(bench: Bench) -> None:
    @dg.asset
    def plain() -> pd.DataFrame:
        return numbers(1)

    @table_asset
    def own() -> pd.DataFrame:
        return numbers(1)

    bench.run([plain, own])
    kinds = {name: bench.metadata(name)["dagster/storage_kind"] for name in ("plain", "own")}
    assert kinds == {"plain": "deltalake", "own": "deltalake"}
    assert own.get_asset_spec().metadata["dagster/storage_kind"] == "deltalake"


@pytest.mark.parametrize("mode", ["replace", "merge", "append"])
def test_the_history_says_overwrite_of_what_replaces_rows(bench: Bench, mode: str) -> None:
    keys = {"delta/merge_keys": ["n"]} if mode == "merge" else {}
    bench.write("orders", pd.DataFrame({"day": [FIRST, SECOND], "n": 1}), partition_by=["day"])

    @dg.asset(metadata={"partition_expr": "day", "mode": mode, **keys}, partitions_def=DAYS)
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return numbers(7).assign(day=context.partition_key)

    bench.run([orders], partition=FIRST)
    [entry] = bench.table("orders").history(1)
    expected = "Append" if mode == "append" else "Overwrite"
    assert (entry["operation"], entry["operationParameters"]["mode"]) == ("WRITE", expected)


# --- what a run decides --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "word"),
    [("add_output_metadata", "mode"), ("Output", "delta/mode"), ("MaterializeResult", "mode")],
)
def test_a_run_of_a_plain_asset_may_decide_its_mode(bench: Bench, way: str, word: str) -> None:
    @dg.asset(metadata={"mode": "append"})
    def orders(context: dg.AssetExecutionContext):  # type: ignore[no-untyped-def] # noqa: ANN202 any result
        decided = {word: context.run.tags["mode"]}
        if way == "Output":
            return dg.Output(numbers(1, 2), metadata=decided)
        if way == "MaterializeResult":
            return dg.MaterializeResult(value=numbers(1, 2), metadata=decided)
        context.add_output_metadata(decided)
        return numbers(1, 2)

    for mode, rows in (("append", 2), ("append", 4), ("overwrite", 2)):
        bench.run([orders], tags={"mode": mode})
        assert len(bench.rows("orders")) == rows


def test_a_retry_of_an_append_that_a_run_decided_adds_its_rows_once(bench: Bench) -> None:
    attempts = []

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=1))
    def orders(context: dg.AssetExecutionContext) -> Any:
        context.add_output_metadata({"mode": "append"})
        return numbers(1)

    class Dying(DeltaIOManager):
        def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
            super().handle_output(context, obj)
            attempts.append(1)
            if len(attempts) == 1:
                raise OSError("died after its commit")

    bench.resources = {"io_manager": Dying(root_uri=bench.root)}
    bench.run([orders])
    assert len(attempts) == 2
    assert bench.rows("orders") == [(1,)]
    bench.run([orders])
    assert bench.rows("orders") == [(1,), (1,)]


def test_a_run_may_decide_its_merge_and_its_schema_mode(bench: Bench) -> None:
    bench.write("orders", numbers(1, 2))

    @dg.asset
    def orders(context: dg.AssetExecutionContext) -> Any:
        context.add_output_metadata(
            {"delta/mode": "merge", "delta/merge_keys": ["n"], "schema_mode": "merge"}
        )
        return numbers(2, 3).assign(m="new")

    bench.run([orders])
    assert bench.rows("orders", "n") == [(1,), (2,), (3,)]


RUNS: list[tuple[dict[str, Any], str]] = [
    (
        {"delta/partition_by": ["n"]},
        "added delta/partition_by=['n'] to its metadata, which no run can decide",
    ),
    ({"mode": "ignore"}, "mode 'ignore' is unknown. A run always writes"),
    ({"merge_predicate": "s.id = t.id"}, "\"delta/merge_keys\": ['id']."),
    ({"writer_properties": {"compression": "ZSTD"}}, "Files are written with Zstandard"),
]


@pytest.mark.parametrize(("metadata", "message"), RUNS, ids=[f"{metadata}" for metadata, _ in RUNS])
def test_what_no_run_can_decide_is_refused(metadata: dict[str, Any], message: str) -> None:
    with pytest.raises(DeclarationError, match=re.escape(message)):
        TableSettings().decided(metadata)


def test_a_run_that_decides_what_it_cannot_writes_nothing(bench: Bench) -> None:
    @dg.asset
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        context.add_output_metadata({"delta/partition_by": ["n"]})
        return numbers(1)

    message = errors(bench.run([orders], fails=True))
    assert "orders: the function added delta/partition_by=['n']" in message
    assert not bench.exists("orders")


@pytest.mark.parametrize("way", ["add_output_metadata", "MaterializeResult", "at the end of chunks"])
def test_a_table_asset_refuses_a_mode_that_its_run_decides(bench: Bench, way: str) -> None:
    decided = {"mode": "append"}

    def orders(context: dg.AssetExecutionContext) -> Any:
        if way == "MaterializeResult":
            return dg.MaterializeResult(value=numbers(1), metadata=decided)
        context.add_output_metadata(decided)
        return numbers(1)

    def chunks() -> Any:
        yield numbers(1)
        yield dg.MaterializeResult(metadata=decided)

    asset = table_asset(name="orders")(chunks if way == "at the end of chunks" else orders)
    message = errors(bench.run([asset], fails=True))
    assert "orders: the function added delta/mode='append' to its metadata, and what a table asset" in message
    assert "Pass it to @table_asset." in message
    assert "Nothing was written." in message
    assert not bench.exists("orders")


@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_a_table_asset_takes_what_says_the_same_as_its_arguments(bench: Bench, mode: Any) -> None:
    @table_asset(mode=mode, metadata={"mode": mode, "schema_mode": "merge"})
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        context.add_output_metadata({"mode": mode, "n_rows": 1})
        return numbers(1)

    @table_asset
    def copy(orders: pd.DataFrame) -> pd.DataFrame:
        return orders

    bench.run([orders, copy])
    assert bench.rows("orders") == bench.rows("copy") == [(1,)]
    lake = {"io_manager": DeltaIOManager(root_uri=bench.root)}
    assert set(catalog(dg.Definitions(assets=[orders, copy], resources=lake))) == {"orders", "copy"}


def test_a_table_asset_refuses_another_managers_mode_in_its_metadata() -> None:
    with pytest.raises(Exception, match="say otherwise than its arguments"):
        table_asset(metadata={"mode": "append"})(lambda: None)


# --- where a table lies --------------------------------------------------------------------------------

PLACES: list[tuple[str, list[str], dict[str, Any], str]] = [
    ("{key}", ["sales", "eu", "orders"], {}, "sales/eu/orders"),
    ("{key}.delta", ["sales", "orders"], {}, "sales/orders.delta"),  # of dagster-polars
    ("{schema}/{name}", ["orders"], {}, "public/orders"),  # of dagster-deltalake and dagster-delta
    ("{schema}/{name}", ["sales", "eu", "orders"], {}, "eu/orders"),
    ("{schema}/{name}", ["sales", "orders"], {"schema": "eu"}, "eu/orders"),
    ("{schema}/{name}", ["orders"], {"root_name": "all_orders"}, "public/all_orders"),
    ("mine/{name}", ["sales", "orders"], {}, "mine/orders"),
    ("{schema}/{name}", ["orders"], {"delta/path": "old/place/orders"}, "old/place/orders"),
]


@pytest.mark.parametrize(("pattern", "key", "metadata", "path"), PLACES, ids=[p[-1] for p in PLACES])
def test_a_table_lies_where_its_lake_or_its_metadata_say(
    pattern: str, key: list[str], metadata: dict[str, Any], path: str
) -> None:
    lake = DeltaIOManager(root_uri="/lake", table_path=pattern)
    table = lake.table(dg.AssetKey(key), metadata)
    assert (table.uri, table.name) == (f"/lake/{path}", path)


NO_PLACES: list[tuple[dict[str, Any], str]] = [
    (
        {"schema": "eu"},
        "the lake's tables lie at '{key}'. Write {'delta/path': \"eu/orders\"}, or DeltaIOManager(…, ",
    ),
    ({"root_name": "all"}, "Write {'delta/path': \"public/all\"}, or"),
    ({"delta/path": 7}, "delta/path is 7. Write {'delta/path': \"sales/orders\"}."),
    ({"delta/path": "../orders"}, "'..' cannot name a folder of the lake."),
    ({"delta/path": "/orders"}, "'' cannot name a folder of the lake."),
    ({"delta/path": "_outputs/orders"}, "begins with _outputs, the place of op outputs."),
]


@pytest.mark.parametrize(("metadata", "message"), NO_PLACES, ids=[f"{metadata}" for metadata, _ in NO_PLACES])
def test_a_place_that_cannot_be_meant_is_refused(metadata: dict[str, Any], message: str) -> None:
    with pytest.raises(DeclarationError, match=re.escape(message)):
        DeltaIOManager(root_uri="/lake").table(dg.AssetKey("orders"), metadata)


@pytest.mark.parametrize("pattern", ["", "{schema}", "{database}/{name}", "orders", "{name", "{{key}}"])
def test_a_pattern_by_which_no_table_has_a_place_of_its_own_is_refused(pattern: str) -> None:
    with pytest.raises(DeclarationError, match=re.escape(f"table_path is {pattern!r}. Write")):
        DeltaIOManager(root_uri="/lake", table_path=pattern)


def test_a_table_at_a_chosen_place_is_written_read_and_operated_on_there(bench: Bench) -> None:
    lake = DeltaIOManager(root_uri=bench.root, table_path="{schema}/{name}")

    @dg.asset(metadata={"schema": "raw"})
    def orders() -> pd.DataFrame:
        return numbers(1, 2)

    @table_asset(metadata={"delta/path": "kept/best"}, contract=Contract({"n": Column("int64", minimum=0)}))
    def best(orders: pd.DataFrame) -> pd.DataFrame:
        return orders.tail(1)

    @table_asset
    def last(best: Snapshot) -> Any:
        return best.scan()

    published = build_release_asset("published", [orders, "best"])
    bench.resources = {"io_manager": lake}
    assets = [orders, best, last, published]
    bench.run(assets)
    assert bench.rows("raw/orders") == [(1,), (2,)]
    assert bench.rows("kept/best") == bench.rows("public/last") == [(2,)]
    assert bench.metadata("best")["dagster/table_name"] == "kept/best"
    assert bench.metadata("last")["delta/input_versions"] == {"kept/best": 0}
    bench.run([orders, best], select=dg.AssetSelection.checks_for_assets(best))
    bench.run([orders, best, last], select=[last])
    entries = catalog(dg.Definitions(assets=assets, resources={"io_manager": lake}), ["raw/orders"])
    keys = {name: entry.key.to_user_string() for name, entry in entries.items()}
    own = {"raw/orders": "orders", "kept/best": "best", "public/last": "last"}
    assert keys == {**own, "public/published": "published"}
    release = Release.open(bench.root)
    assert release.versions == {"raw/orders": 0, "kept/best": 0}
    assert release.snapshot("kept/best").row_count == 1


def test_assets_whose_tables_would_be_one_are_refused(bench: Bench) -> None:
    @dg.asset(key_prefix="eu")
    def orders() -> pd.DataFrame:
        return numbers(1)

    @dg.asset(key=["asia", "orders"])
    def others() -> pd.DataFrame:
        return numbers(2)

    lake = DeltaIOManager(root_uri=bench.root, table_path="all/{name}")
    bench.resources = {"io_manager": lake}
    message = errors(bench.run([orders, others], fails=True))
    assert "are one, all/orders: each would replace the other's rows." in message
    assert not bench.exists("all/orders")
    with pytest.raises(DeclarationError, match="asia/orders and eu/orders are one, all/orders"):
        catalog(dg.Definitions(assets=[orders, others], resources={"io_manager": lake}))


def test_an_asset_that_no_run_writes_may_have_such_words_of_its_own(bench: Bench) -> None:
    @dg.asset(metadata={"n_rows": 7, "descriptions": {"n": "a number"}})
    def report() -> None: ...

    @table_asset
    def orders() -> pd.DataFrame:
        return numbers(1)

    marts = dg.AssetSpec("marts", metadata={"schema": "marts"})
    wrong = dg.AssetSpec("wrong", metadata={"schema": "marts", "delta/mdoe": "append"})
    lake = {"io_manager": DeltaIOManager(root_uri=bench.root)}
    definitions = dg.Definitions(assets=[report, orders, marts], resources=lake)
    assert set(catalog(definitions)) == {"orders"}
    with pytest.raises(DeclarationError, match="schema='marts'"):
        catalog(dg.Definitions(assets=[orders, wrong], resources=lake))


@pytest.mark.parametrize("decorate", [dg.asset, table_asset], ids=["plain", "table asset"])
def test_an_asset_is_warned_of_another_that_committed_its_table_last(bench: Bench, decorate: Any) -> None:
    def orders() -> pd.DataFrame:
        return numbers(1)

    mine, others = decorate(key=["eu", "orders"])(orders), decorate(key=["asia", "orders"])(orders)
    bench.resources = {"io_manager": DeltaIOManager(root_uri=bench.root, table_path="all/{name}")}
    logged: list[str] = []
    for asset in (mine, mine, others):
        entries = bench.instance.all_logs(bench.run([asset]).run_id)
        logged += [entry.user_message for entry in entries if entry.level == logging.WARNING]
    [warning] = logged
    assert "all/orders: version 0 of the table was committed by the asset eu/orders." in warning


# --- what a whole lake says ----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["append", WriteMode.append])
def test_a_lakes_mode_is_that_of_plain_assets_that_say_none(bench: Bench, mode: Any) -> None:
    @dg.asset
    def plain() -> pd.DataFrame:
        return numbers(1)

    @dg.asset(metadata={"mode": "overwrite"})
    def replaced() -> pd.DataFrame:
        return numbers(1)

    @table_asset
    def own() -> pd.DataFrame:
        return numbers(1)

    bench.resources = {"io_manager": DeltaIOManager(root_uri=bench.root, mode=mode)}
    for _ in range(2):
        bench.run([plain, replaced, own])
    assert [len(bench.rows(name)) for name in ("plain", "replaced", "own")] == [2, 1, 1]


def test_a_lakes_schema_mode_is_that_of_plain_assets_that_say_none(bench: Bench) -> None:
    bench.write("orders", pd.DataFrame({"old": [1]}))

    @dg.asset
    def orders() -> pd.DataFrame:
        return numbers(1)

    lake = DeltaIOManager(root_uri=bench.root, on_schema_change="overwrite")
    bench.resources = {"io_manager": lake}
    bench.run([orders])
    assert bench.table("orders").schema().to_arrow().names == ["n"]


def test_a_lake_that_merges_takes_the_keys_of_each_asset(bench: Bench) -> None:
    @dg.asset(metadata={"delta/merge_keys": ["n"]})
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return numbers(*json.loads(context.run.tags["n"]))

    @table_asset
    def copy(orders: pd.DataFrame) -> pd.DataFrame:
        return orders

    bench.resources = {"io_manager": DeltaIOManager(root_uri=bench.root, mode="merge")}
    bench.run([orders, copy], tags={"n": "[1, 2]"})
    bench.run([orders, copy], tags={"n": "[2, 3]"})
    assert bench.rows("orders") == bench.rows("copy") == [(1,), (2,), (3,)]


FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"mode": "ignore"}, "A run always writes: there is no"),
    ({"mode": "append", "on_schema_change": "overwrite"}, "would change rows that mode='append' keeps"),
    (
        {"schema_mode": "merge"},
        'It is called on_schema_change here: "add" for merge, "replace" for overwrite.',
    ),
    ({"overwrite_schema": True}, 'Write on_schema_change="replace" for true'),
    ({"schema": "mine"}, 'Write table_path="my_schema/{name}".'),
    ({"base_dir": "/lake"}, "It is called root_uri here."),
    ({"client_options": {}}, "Put them into storage_options, by delta-rs's names."),
    ({"table_config": {}}, 'metadata={"delta/table_properties": {…}}.'),
    ({"custom_metadata": {}}, "It is called commit_metadata here."),
    ({"commit_properties": {}}, "Write commit_metadata for its custom_metadata"),
    ({"writer_properties": {}}, "files are written with Zstandard"),
    ({"writer_engine": "rust"}, "Leave it out: there is one."),
    ({"merge_config": {}}, 'metadata={"delta/mode": "merge", "delta/merge_keys": ["id"]}.'),
    ({"parquet_read_options": {}}, "a table is read as its log describes it."),
    ({"version": 3}, 'dg.AssetIn(metadata={"delta/version": 3}).'),
    ({"commit_metadata": {"operation": "x"}}, "'operation', which a commit says by itself."),
]


@pytest.mark.parametrize(("fields", "message"), FIELDS, ids=[f"{fields}" for fields, _ in FIELDS])
def test_a_field_of_another_manager_is_refused_with_what_replaces_it(
    fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(DeclarationError, match=re.escape(message)):
        DeltaIOManager(root_uri="/lake", **fields)


class LocalConfig(dg.Config):
    """As other managers configure the options of a store."""

    provider: str = "local"


def test_storage_options_that_are_a_configuration_of_another_manager_are_refused() -> None:
    options: Any = LocalConfig()
    with pytest.raises(DeclarationError, match=r"another IO manager, LocalConfig\. Write the options by"):
        DeltaIOManager(root_uri="/lake", storage_options=options)


# --- commit metadata -----------------------------------------------------------------------------------


def test_commits_have_the_metadata_of_the_lake_of_the_asset_and_of_the_run(bench: Bench) -> None:
    @dg.asset(metadata={"custom_metadata": {"ticket": "A-1", "team": "sales"}})
    def plain(context: dg.AssetExecutionContext) -> pd.DataFrame:
        context.add_output_metadata({"delta/commit_metadata": {"ticket": "A-2"}})
        return numbers(1)

    @dg.asset(metadata={"commit_properties": {"custom_metadata": {"ticket": "B-1"}}})
    def second() -> pd.DataFrame:
        return numbers(1)

    @table_asset(commit_metadata={"ticket": "C-1"})
    def own() -> pd.DataFrame:
        return numbers(1)

    lake = DeltaIOManager(root_uri=bench.root, commit_metadata={"userName": "etl", "ticket": "none"})
    bench.resources = {"io_manager": lake}
    bench.run([plain, second, own])
    for name, ticket in (("plain", "A-2"), ("second", "B-1"), ("own", "C-1")):
        [entry] = bench.table(name).history(1)
        assert (entry["userName"], entry["ticket"]) == ("etl", ticket)
        assert json.loads(entry["practicus_assets"])["asset_key"] == name


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"practicus_assets": "x"}, "commit_metadata has 'practicus_assets', which a commit says by itself."),
        ({"ticket": 7}, "commit_metadata has 'ticket': 7. Give texts by name."),
        ("ticket", "commit_metadata is 'ticket', which is no mapping."),
    ],
    ids=str,
)
def test_commit_metadata_that_cannot_be_some_are_refused(entries: Any, message: str) -> None:
    with pytest.raises(DeclarationError, match=re.escape(message)):
        table_asset(commit_metadata=entries)


# --- unit tests of the IO manager ----------------------------------------------------------------------


class _Model:
    """As a model of patito looks: a class of frames that knows its model."""

    DataFrame = type("OrdersDataFrame", (pl.DataFrame,), {"__module__": "patito.polars", "model": object()})


ANNOTATIONS = [_Model.DataFrame, _Model.DataFrame | None, dg.Output[_Model.DataFrame]]  # type: ignore[name-defined] # made above


@pytest.mark.parametrize("annotation", ANNOTATIONS, ids=["model", "or None", "in an Output"])
def test_a_value_that_another_manager_would_validate_is_refused(bench: Bench, annotation: Any) -> None:
    def orders() -> Any:
        rows = _Model.DataFrame({"n": [1]})
        return dg.Output(rows) if get_origin(annotation) is dg.Output else rows

    orders.__annotations__["return"] = annotation
    said = errors(bench.run([dg.asset(orders)], fails=True))
    assert "patito.polars.OrdersDataFrame" in said
    assert "dagster_type=patito_model_to_dagster_type(…)" in said
    assert not bench.exists("orders")
    with pytest.raises(DeclarationError, match=r"Annotate pl\.DataFrame, and declare columns"):
        table_asset(orders)


def test_a_dagster_type_that_validates_a_model_is_asked(bench: Bench) -> None:
    found = []

    def checked(_: Any, frame: Any) -> bool:
        found.append(frame["n"].to_list())
        return frame["n"].min() > 0

    promised = dg.DagsterType(checked, name="Orders", typing_type=_Model.DataFrame)
    rows = [1]

    @dg.asset(dagster_type=promised)
    def orders() -> pl.DataFrame:
        return pl.DataFrame({"n": rows})

    bench.run([orders])
    rows[:] = [-1]
    bench.run([orders], fails=True)
    assert found == [[1], [-1]]
    assert bench.rows("orders") == [(1,)]


def test_a_context_without_a_type_reads_a_data_frame(bench: Bench) -> None:
    bench.write("orders", numbers(1, 2))
    lake = DeltaIOManager(root_uri=bench.root)
    read = lake.load_input(dg.build_input_context(asset_key="orders"))
    pd.testing.assert_frame_equal(read, numbers(1, 2))


def test_a_context_that_has_only_an_upstream_output_reads_its_asset(bench: Bench) -> None:
    lake = DeltaIOManager(root_uri=bench.root)
    with dg.build_output_context(asset_key="orders") as output:
        lake.handle_output(output, numbers(1))
    read = lake.load_input(dg.build_input_context(upstream_output=output))
    pd.testing.assert_frame_equal(read, numbers(1))


def test_a_context_that_has_only_an_upstream_output_reads_its_partition(bench: Bench) -> None:
    bench.write("orders", pd.DataFrame({"day": [FIRST, SECOND], "n": [1, 2]}), partition_by=["day"])
    output = dg.build_output_context(
        asset_key="orders",
        partition_key=SECOND,
        asset_partitions_def=DAYS,
        definition_metadata={"partition_expr": "day"},
    )
    read = DeltaIOManager(root_uri=bench.root).load_input(dg.build_input_context(upstream_output=output))
    assert read["n"].tolist() == [2]


# --- the page ------------------------------------------------------------------------------------------

PAGE = (Path(__file__).parents[2] / "docs" / "coming-from-other-managers.md").read_text(encoding="utf-8")


def test_the_code_of_the_page_runs(bench: Bench) -> None:
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    code = code.replace('root_uri="lake"', f"root_uri={bench.root!r}")
    names: dict[str, Any] = {"dg": dg, "pd": pd, "DeltaIOManager": DeltaIOManager}
    exec(compile(code, "page", "exec"), names)  # noqa: S102 our own page
    bench.resources = {"io_manager": names["lake"]}
    bench.run([names["orders"], names["total"]])
    assert bench.rows("sales/orders", "id") == [(1,), (2,)]
    assert bench.rows("public/total") == [(30.0,)]


def test_the_page_names_each_word_of_the_other_managers() -> None:
    words = {*_TRANSLATIONS, *ADVICE, "table_version", "version", "pyarrow_options", "delta_table_options"}
    said = {
        word
        for text in re.findall(r"`([^`]+)`", PAGE.replace("```", ""))
        for word in re.findall(r"\w+", text)
    }
    assert words - said - {"cloud_storage_options"} == set()
