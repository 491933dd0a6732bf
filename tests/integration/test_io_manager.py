import json
import logging
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from practicus_assets import DeclarationError, DeltaIOManager, table_asset
from practicus_assets.testing import run_table
from tests.integration.bench import Bench, errors
from tests.servers.ports import free_port
from tests.servers.server import HANGS_S

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-02-01")
SHOPS = dg.StaticPartitionsDefinition(["ankara", "izmir"])
GRID = dg.MultiPartitionsDefinition({"date": DAYS, "shop": SHOPS})
FIRST, SECOND, THIRD = "2024-01-01", "2024-01-02", "2024-01-03"
ONE_ROW = pd.DataFrame({"n": [1]})


# --- plain assets -------------------------------------------------------------------------------------


def test_a_plain_asset_replaces_its_table(bench: Bench) -> None:
    @dg.asset(key_prefix=["shop"])
    def orders() -> pd.DataFrame:
        return ONE_ROW

    for _ in range(2):
        bench.run([orders])
    assert bench.rows("shop/orders") == [(1,)]
    told = bench.metadata("shop/orders")
    assert told["dagster/row_count"] == 1
    assert told["delta/outcome"] == "unchanged"


def test_a_column_in_partition_expr_holds_the_partition(bench: Bench) -> None:
    @dg.asset(
        partitions_def=DAYS,
        metadata={"partition_expr": "day"},
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return pd.DataFrame({"day": context.partition_keys, "n": 1})

    bench.run([orders], partition=FIRST)
    bench.run([orders], between=(SECOND, THIRD))
    bench.run([orders], partition=FIRST)
    assert bench.rows("orders", "day") == [(FIRST,), (SECOND,), (THIRD,)]
    assert bench.version("orders") == 1
    assert bench.table("orders").metadata().partition_columns == ["day"]
    assert bench.metadata("orders", FIRST)["dagster/partition_row_count"] == 1


def test_a_mapping_in_partition_expr_names_the_column_of_each_dimension(bench: Bench) -> None:
    @dg.asset(
        partitions_def=GRID,
        metadata={"partition_expr": {"date": "day", "shop": "place"}},
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        keys = [key.keys_by_dimension for key in context.partition_keys]  # type: ignore[attr-defined]
        return pd.DataFrame({"day": [k["date"] for k in keys], "place": [k["shop"] for k in keys], "n": 1})

    bench.run([orders], partition=f"{FIRST}|izmir")
    bench.run([orders], between=(f"{FIRST}|ankara", f"{SECOND}|izmir"))
    assert len(bench.rows("orders")) == 4
    assert bench.table("orders").metadata().partition_columns == ["day", "place"]


@pytest.mark.parametrize("decorator", [dg.asset, table_asset])
def test_dimensions_in_another_order_than_the_tables_partition_columns_are_taken(
    bench: Bench, decorator: Any
) -> None:
    expressions = [{"date": "day", "shop": "place"}, {"shop": "place", "date": "day"}]

    def orders(expression: dict[str, str], n: int) -> dg.AssetsDefinition:
        said: dict[str, Any] = {"metadata": {"partition_expr": expression}}
        how = {"partition_by": expression} if decorator is table_asset else said

        @decorator(partitions_def=GRID, name="orders", **how)
        def made() -> pd.DataFrame:
            return pd.DataFrame({"n": [n]})

        return made  # type: ignore[no-any-return]

    for n, expression in enumerate(expressions):
        bench.run([orders(expression, n)], partition=f"{FIRST}|izmir")
    bench.run([orders(expressions[1], 5)], partition=f"{SECOND}|ankara")
    assert bench.rows("orders", "n", "place") == [(1, "izmir"), (5, "ankara")]
    assert bench.table("orders").metadata().partition_columns == ["day", "place"]


def test_other_partition_columns_than_the_tables_are_refused_in_words_of_plain_assets(bench: Bench) -> None:
    bench.write("orders", pd.DataFrame({"day": [FIRST], "n": 1}), partition_by=["day"])

    @dg.asset(partitions_def=SHOPS, metadata={"partition_expr": "shop"})
    def orders() -> pd.DataFrame:
        return ONE_ROW

    message = errors(bench.run([orders], partition="izmir", fails=True))
    assert "orders [izmir]: the table is partitioned by ['day'], and the asset by ['shop']." in message
    assert "of a plain asset, in the metadata partition_expr" in message


def test_a_partitioned_asset_that_names_no_column_is_refused_in_words(bench: Bench) -> None:
    @dg.asset(partitions_def=DAYS)
    def orders() -> pd.DataFrame:
        return ONE_ROW

    message = errors(bench.run([orders], partition=FIRST, fails=True))
    assert "orders: the asset is partitioned, and partition_by is None." in message
    assert 'metadata={"partition_expr": "day"} on a plain asset' in message


NOTES = dg.TableSchema([dg.TableColumn("note", "string"), dg.TableColumn("price", "decimal(9,2)")])
NULLS = pd.DataFrame({"n": [1], "note": [None], "price": [None]})


@pytest.mark.parametrize(
    "options",
    [
        {"metadata": {"dagster/column_schema": NOTES}},
        {"metadata": {"dagster/column_schema": dg.MetadataValue.table_schema(NOTES)}},
        {"dagster_type": dg.DagsterType(lambda _, __: True, "Notes", metadata={"schema": NOTES})},
    ],
    ids=["table schema", "metadata value", "type"],
)
def test_columns_of_only_nulls_have_the_types_that_a_plain_asset_declares(
    bench: Bench, options: dict[str, Any]
) -> None:
    @dg.asset(**options)
    def orders():  # type: ignore[no-untyped-def]  # noqa: ANN202 Dagster would compare it with its type
        return NULLS

    bench.run([orders])
    types = {field.name: field.type for field in bench.table("orders").to_pyarrow_dataset().schema}
    assert types == {"n": pa.int64(), "note": pa.string(), "price": pa.decimal128(9, 2)}


def test_so_have_those_of_a_table_asset_without_contract(bench: Bench) -> None:
    @table_asset(metadata={"dagster/column_schema": NOTES})
    def orders() -> pd.DataFrame:
        return NULLS

    bench.run([orders])
    assert bench.table("orders").to_pyarrow_dataset().schema.field("note").type == pa.string()
    assert run_table(orders).rows.schema.field("price").type == pa.decimal128(9, 2)


@pytest.mark.parametrize("schema", [None, dg.TableSchema([dg.TableColumn("note", "a text, or none")])])
def test_a_column_of_unknown_type_is_refused_with_what_a_plain_asset_can_do(
    bench: Bench, schema: dg.TableSchema | None
) -> None:
    @dg.asset(metadata={"dagster/column_schema": schema} if schema else {})
    def orders() -> pd.DataFrame:
        return pd.DataFrame({"n": [1], "note": [None]})

    message = errors(bench.run([orders], fails=True))
    assert "orders: column 'note' holds only nulls, so its type is unknown." in message
    assert '.astype("string") in pandas or .cast(pl.String) in polars' in message
    assert "dagster/column_schema" in message

    @dg.asset(name="orders")
    def typed() -> pd.DataFrame:
        return pd.DataFrame({"n": [1], "note": [None]}).astype({"note": "string"})

    bench.run([typed])
    bench.run([orders])  # the table says it now
    assert bench.version("orders") == 0


@pytest.mark.parametrize("decorator", [dg.asset, table_asset])
def test_a_lazy_frame_is_an_output_of_one_partition_and_of_several(bench: Bench, decorator: Any) -> None:
    how = {"partition_by": "day"} if decorator is table_asset else {"metadata": {"partition_expr": "day"}}

    @decorator(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run(), **how)
    def orders(context: dg.AssetExecutionContext) -> pl.LazyFrame:
        return pl.LazyFrame({"day": context.partition_keys}).with_columns(n=pl.lit(1))

    @decorator
    def copy(orders: pl.LazyFrame) -> pl.LazyFrame:
        return orders.filter(pl.col("day") != SECOND)

    bench.run([orders], partition=FIRST)
    bench.run([orders], between=(SECOND, THIRD))
    bench.run([orders, copy], select=[copy])
    assert bench.rows("orders", "day", "n") == [(FIRST, 1), (SECOND, 1), (THIRD, 1)]
    assert bench.rows("copy", "day") == [(FIRST,), (THIRD,)]


def test_rows_of_another_partition_are_refused(bench: Bench) -> None:
    @dg.asset(partitions_def=DAYS, metadata={"partition_expr": "day"})
    def orders() -> pd.DataFrame:
        return pd.DataFrame({"day": [FIRST, SECOND], "n": 1})

    message = errors(bench.run([orders], partition=FIRST, fails=True))
    assert f"orders [{FIRST}]: the output has 1 row outside the scope" in message
    assert not bench.exists("orders")


@pytest.mark.parametrize(("mode", "rows"), [("append", 2), ("overwrite", 1), ("replace", 1)])
def test_the_mode_is_read_from_the_metadata(bench: Bench, mode: str, rows: int) -> None:
    @dg.asset(metadata={"delta/mode": mode})
    def orders() -> pd.DataFrame:
        return ONE_ROW

    for _ in range(2):
        bench.run([orders])
    assert len(bench.rows("orders")) == rows


def test_a_merge_is_read_from_the_metadata(bench: Bench) -> None:
    @dg.asset(metadata={"delta/mode": "merge", "delta/merge_keys": ["id"]})
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return pd.DataFrame({"id": [1, 2] if "first" in context.run.tags else [2, 3], "n": 1})

    bench.run([orders], tags={"first": "yes"})
    bench.run([orders])
    assert bench.rows("orders", "id") == [(1,), (2,), (3,)]


def test_metadata_without_our_prefix_are_the_authors_own(bench: Bench) -> None:
    @dg.asset(metadata={"mode": "nightly", "merge_keys": "none", "columns": 7})
    def orders() -> pd.DataFrame:
        return pd.DataFrame({"n": [1]})

    @table_asset(metadata={"mode": "nightly"})
    def copy(orders: pd.DataFrame) -> pd.DataFrame:
        return orders

    bench.run([orders, copy])
    bench.run([orders, copy])
    assert bench.rows("copy") == [(1,)]


def test_a_setting_in_the_metadata_that_does_not_exist_is_refused(bench: Bench) -> None:
    @dg.asset(metadata={"delta/mdoe": "append"})
    def orders() -> pd.DataFrame:
        return pd.DataFrame({"n": [1]})

    message = errors(bench.run([orders], fails=True))
    assert (
        "orders: the metadata has 'delta/mdoe', which is no setting of a table. Did you mean delta/mode?"
        in message
    )


def test_a_mode_that_nobody_knows_is_refused_in_words(bench: Bench) -> None:
    @dg.asset(metadata={"delta/mode": "upsert"})
    def orders() -> pd.DataFrame:
        return ONE_ROW

    assert "orders: mode 'upsert' is unknown." in errors(bench.run([orders], fails=True))


def test_every_asset_of_a_multi_asset_is_a_table_with_settings_of_its_own(bench: Bench) -> None:
    @dg.multi_asset(
        outs={
            "orders": dg.AssetOut(metadata={"partition_expr": "day", "delta/mode": "append"}),
            "returns": dg.AssetOut(key_prefix="shop", metadata={"partition_expr": "date"}),
        },
        partitions_def=DAYS,
    )
    def both(context: dg.AssetExecutionContext) -> tuple[pd.DataFrame, pa.Table]:
        return ONE_ROW, pa.table({"date": [context.partition_key], "m": [2]})

    for _ in range(2):
        bench.run([both], partition=FIRST)
    assert bench.rows("orders") == [(date.fromisoformat(FIRST), 1)] * 2
    assert bench.rows("shop/returns") == [(FIRST, 2)]


def test_the_asset_that_a_graph_ends_in_is_a_table(bench: Bench) -> None:
    @dg.op(out=dg.Out(io_manager_key="memory"))
    def first() -> int:
        return 7

    @dg.op
    def second(number: int) -> pd.DataFrame:
        return pd.DataFrame({"n": [number]})

    @dg.graph_asset
    def orders() -> Any:
        return second(first())

    bench.resources = {"memory": dg.InMemoryIOManager()}
    bench.run([orders])
    assert bench.rows("orders") == [(7,)]


def test_a_plain_asset_whose_function_returns_nothing_is_no_table(bench: Bench) -> None:
    @dg.asset
    def orders() -> None: ...

    @dg.asset
    def told() -> dg.MaterializeResult:  # type: ignore[type-arg]
        return dg.MaterializeResult(metadata={"n": 1})

    bench.run([orders, told])
    assert not bench.exists("orders")
    assert not bench.exists("told")


def test_a_plain_asset_is_run_again_by_its_retry_policy(bench: Bench) -> None:
    calls = []

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=1), metadata={"delta/mode": "append"})
    def orders() -> pd.DataFrame:
        calls.append(1)
        if len(calls) == 1:
            raise OSError("once")
        return ONE_ROW

    bench.run([orders])
    assert bench.rows("orders") == [(1,)]
    record = json.loads(bench.table("orders").history(1)[0]["practicus_assets"])
    assert record["attempt"] == 2


class DiesAfterItsCommit(DeltaIOManager):
    """A lake that dies after its first commit, before Dagster records it."""

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        super().handle_output(context, obj)
        if not DEATHS:
            DEATHS.append("here")
            raise OSError("the worker died after its commit")


DEATHS: list[str] = []


def test_a_retry_of_a_plain_asset_finds_its_commit_and_appends_once(bench: Bench) -> None:
    DEATHS.clear()
    calls = []

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=1), metadata={"delta/mode": "append"})
    def orders() -> pd.DataFrame:
        calls.append(1)
        return ONE_ROW

    bench.resources = {"io_manager": DiesAfterItsCommit(root_uri=bench.root)}
    bench.run([orders])
    assert len(calls) == 2
    assert bench.rows("orders") == [(1,)]
    assert bench.metadata("orders")["delta/outcome"] == "committed by an earlier attempt"


def test_a_plain_and_a_table_asset_read_each_other(bench: Bench) -> None:
    @dg.asset(partitions_def=DAYS, metadata={"partition_expr": "day"})
    def one() -> pd.DataFrame:
        return ONE_ROW

    @table_asset(partitions_def=DAYS, partition_by="day")
    def two(one: pa.Table) -> pa.Table:
        return one

    @dg.asset(partitions_def=DAYS, metadata={"partition_expr": "day"})
    def three(two: pd.DataFrame) -> pd.DataFrame:
        return two

    for day in (FIRST, SECOND):
        bench.run([one, two, three], partition=day)
    assert bench.rows("three") == [(date.fromisoformat(day), 1) for day in (FIRST, SECOND)]


# --- configuration ------------------------------------------------------------------------------------


def test_the_root_may_come_from_the_environment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    @table_asset
    def orders() -> pd.DataFrame:
        return ONE_ROW

    monkeypatch.setenv("LAKE_ROOT", bench.root)
    bench.resources = {"io_manager": DeltaIOManager(root_uri=dg.EnvVar("LAKE_ROOT"))}
    bench.run([orders])
    assert bench.rows("orders") == [(1,)]


def test_the_root_may_be_given_for_one_run(bench: Bench, tmp_path: Path) -> None:
    @table_asset
    def orders() -> pd.DataFrame:
        return ONE_ROW

    other = Bench(bench.instance, str(tmp_path / "other"))
    bench.run([orders], run_config={"resources": {"io_manager": {"config": {"root_uri": other.root}}}})
    assert other.rows("orders") == [(1,)]


def test_a_storage_option_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_KEY", "s3cret")
    lake = DeltaIOManager(
        root_uri="s3://bucket/lake", storage_options={"AWS_SECRET_ACCESS_KEY": dg.EnvVar("LAKE_KEY")}
    )
    table = lake.table(dg.AssetKey("orders"))
    assert table.storage_options == {"AWS_SECRET_ACCESS_KEY": "s3cret"}
    assert "s3cret" not in repr(table) + repr(lake)


def test_a_storage_option_whose_variable_is_not_set_is_refused_in_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("LAKE_KEY", raising=False)
    lake = DeltaIOManager(root_uri="lake", storage_options={"AWS_SECRET_ACCESS_KEY": dg.EnvVar("LAKE_KEY")})
    with pytest.raises(
        DeclarationError, match=r"AWS_SECRET_ACCESS_KEY comes from .* LAKE_KEY, which is not set"
    ):
        lake.table(dg.AssetKey("orders"))


def test_a_root_whose_variable_is_not_set_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    @table_asset
    def orders() -> pd.DataFrame:
        return ONE_ROW

    monkeypatch.delenv("LAKE_ROOT", raising=False)
    bench.resources = {"io_manager": DeltaIOManager(root_uri=dg.EnvVar("LAKE_ROOT"))}
    with pytest.raises(Exception, match="LAKE_ROOT"):
        bench.run([orders])


@pytest.mark.parametrize("key", [["..", "orders"], ["a/b"], ["_delta_log"]])
def test_a_key_that_leaves_its_folder_is_refused(bench: Bench, key: list[str]) -> None:
    lake = DeltaIOManager(root_uri=bench.root)
    with pytest.raises(DeclarationError, match="cannot name a folder of the lake"):
        lake.table(dg.AssetKey(key))


# --- secrets ------------------------------------------------------------------------------------------

SECRET = "xK7-literal-s3cret/9"  # noqa: S105 the one to be looked for
DEFINITIONS = f"""
import dagster as dg, pandas as pd
from practicus_assets import DeltaIOManager, Snapshot, table_asset

@table_asset
def orders() -> pd.DataFrame:
    return pd.DataFrame({{"n": [1]}})

@dg.asset
def plain(orders: Snapshot) -> pd.DataFrame:
    return orders.scan().read_all().to_pandas()

@table_asset
def broken(context: dg.AssetExecutionContext, orders: Snapshot) -> pd.DataFrame:
    context.log.info(f"{{orders!r}} {{context.resources.io_manager!r}}")
    return pd.DataFrame({{"n": list(orders.scan(predicate="nonsense("))}})

@table_asset(io_manager_key="s3")
def unreachable() -> pd.DataFrame:
    return pd.DataFrame({{"n": [1]}})

secret = {{"AWS_SECRET_ACCESS_KEY": "{SECRET}", "AWS_ACCESS_KEY_ID": "id-{SECRET}"}}
defs = dg.Definitions(
    assets=[orders, plain, broken, unreachable],
    executor=dg.in_process_executor,
    resources={{
        "io_manager": DeltaIOManager(root_uri="LAKE", storage_options=secret),
        "s3": DeltaIOManager(root_uri="s3://nobody/lake", storage_options={{
            **secret, "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "x", "max_retries": "0",
        }}),
    }},
)
"""

QUERIES = {
    "the resource page": """
        { repositoriesOrError { ... on RepositoryConnection { nodes { name allTopLevelResourceDetails {
            name description resourceType configFields { name description configTypeKey }
            configuredValues { key value type } nestedResources { name type }
            assetKeysUsing { path } schedulesUsing sensorsUsing } } } } }""",
    "the launchpad": """
        { runConfigSchemaOrError(selector: {repositoryName: "__repository__",
            repositoryLocationName: "LOCATION", pipelineName: "__ASSET_JOB"}) {
            ... on RunConfigSchema { rootDefaultYaml allConfigTypes { key description typeParamKeys
                ... on CompositeConfigType { fields { name description defaultValueAsJson } } } } } }""",
    "the runs": """
        { runsOrError { ... on Runs { results { runId runConfigYaml tags { key value } resolvedOpSelection
            eventConnection { events { ... on MessageEvent { message eventType }
                ... on ExecutionStepFailureEvent { error { message stack causes { message stack } } }
                ... on MaterializationEvent { metadataEntries { label
                    ... on TextMetadataEntry { text } ... on JsonMetadataEntry { jsonString }
                    ... on MarkdownMetadataEntry { mdStr } } } } } } } } }""",
    "the assets": """
        { assetNodes { assetKey { path } metadataEntries { label description } jobNames
            requiredResources { resourceKey } configField { name configType { key } } } }""",
}


@contextmanager
def webserver(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    port = free_port()
    command = ["dagster_webserver", "-f", "definitions.py", "-h", "127.0.0.1", "-p", str(port)]
    with (folder / "webserver.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=folder, env=environment, stdout=log, stderr=log
        )
        try:
            url = f"http://127.0.0.1:{port}"
            while True:
                try:
                    with socket.create_connection(("127.0.0.1", port), timeout=2):
                        break
                except OSError:
                    assert process.poll() is None, (folder / "webserver.log").read_text()
                    time.sleep(0.2)
            yield f"{url}/graphql"
        finally:
            process.terminate()
            process.wait(timeout=HANGS_S)


def answer(url: str, query: str) -> str:
    request = urllib.request.Request(
        url, json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=HANGS_S) as response:
        return str(response.read().decode())


@pytest.mark.process
def test_a_literal_secret_in_the_storage_options_is_nowhere_to_be_found(tmp_path: Path) -> None:
    """Not in a page, a run, an event, a log, an error, Dagster's home, nor the lake."""
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "definitions.py").write_text(DEFINITIONS.replace("LAKE", str(tmp_path / "lake")))
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    paths = os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH")]))
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "PYTHONPATH": paths,
        "DAGSTER_GRPC_TIMEOUT_SECONDS": str(HANGS_S),  # of the web server's calls of the code server
    }
    command = ["dagster", "asset", "materialize", "-f", "definitions.py", "--select"]
    outputs = []
    for selected, succeeds in (
        ("orders,plain", True),
        ("broken", False),  # the steps of a run end with the first that fails, whichever that is
        ("unreachable", False),
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command, selected],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=HANGS_S,
        )  # fmt: skip
        assert (done.returncode == 0) is succeeds, done.stderr
        outputs.append(done.stdout + done.stderr)
    assert "nonsense" in outputs[1]
    assert "127.0.0.1:9" in outputs[2]
    with webserver(tmp_path, environment) as url:
        for place, query in QUERIES.items():
            found = answer(url, query.replace("LOCATION", "definitions.py"))
            assert '"errors"' not in found, found
            assert SECRET not in found, place
            outputs.append(found)
    assert "root_uri" in outputs[3]
    assert "root_uri" in outputs[4]
    assert "nonsense" in outputs[5]
    assert not any(SECRET in text for text in outputs)
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}]
    assert any(path.suffix == ".db" for path in files)
    assert any(path.parent.name == "_delta_log" for path in files)
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


def test_a_literal_secret_is_in_no_snapshot_of_the_job(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    @table_asset
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        context.log.info("%r", context.resources.io_manager)
        return ONE_ROW

    lake = DeltaIOManager(root_uri=bench.root, storage_options={"AWS_SECRET_ACCESS_KEY": SECRET})
    bench.resources = {"io_manager": lake}
    with caplog.at_level(logging.DEBUG):
        result = bench.run([orders])
    run = bench.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.job_snapshot_id is not None
    snapshot = bench.instance.get_job_snapshot(run.job_snapshot_id)
    assert "root_uri" in repr(snapshot)
    events = [repr(record) for record in bench.instance.all_logs(result.run_id)]
    seen = [repr(snapshot), repr(run), repr(lake), str(lake), caplog.text, *events]
    assert not any(SECRET in text for text in seen)
    assert isinstance(lake.storage_options, dict)


@pytest.mark.parametrize(
    ("setting", "advice"),
    [
        ("preview_rows", "It is called sample_rows now"),
        ("root_url", r"Did you mean root_uri\?"),
        ("retries", "Its settings are root_uri, storage_options, sample_rows"),
    ],
)
def test_a_setting_that_does_not_exist_is_refused_with_the_nearest(setting: str, advice: str) -> None:
    with pytest.raises(DeclarationError, match=rf"no setting '{setting}'. {advice}"):
        DeltaIOManager(**{"root_uri": "lake", setting: 0})  # type: ignore[arg-type]
