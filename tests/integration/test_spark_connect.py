"""Spark Connect as the engine of table assets: one suite over Sail and, with make long, Apache Spark."""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest
from grpc import _common

from practicus_assets import (
    Contract,
    DataRefused,
    DeclarationError,
    DeltaIOManager,
    EngineFailed,
    OutOfScope,
    SchemaMismatch,
    Snapshot,
    SparkConnect,
    VersionGone,
    Worker,
    table_asset,
)
from practicus_assets.engines.spark import spark_connect
from practicus_assets.engines.spark.server import Server
from tests.integration.spark import ROWS, DataFrame, F, children_of, given, servers_of, version_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.process,
    pytest.mark.filterwarnings("ignore:.*maximum number of retries:UserWarning"),
]


@pytest.fixture(scope="module", params=["sail", pytest.param("spark", marks=pytest.mark.long)])
def engine(request: pytest.FixtureRequest) -> Iterator[SparkConnect]:
    with Server(request.param) as server:
        yield SparkConnect(request.param, server.address)


def run(root: Path, *assets: Any, **options: Any) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [given, *assets], resources={"io_manager": DeltaIOManager(root_uri=str(root))}, **options
    )


def test_the_pages_query_runs(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "scale.md"
    [block] = [
        code
        for code in page.read_text(encoding="utf-8").split("```")
        if "@table_asset(engine=SparkConnect(" in code
    ]
    names: dict[str, Any] = {"table_asset": table_asset, "SparkConnect": SparkConnect, "Worker": Worker}
    exec(compile(block.removeprefix("python"), str(page), "exec"), names)  # noqa: S102 the page's code

    @table_asset
    def orders() -> pd.DataFrame:
        return pd.DataFrame({"shop": ["a", "a", "b"], "amount": [1.0, 2.0, 3.0]})

    run(tmp_path, orders, names["totals"])
    rows = Snapshot.open(tmp_path / "totals").to_arrow().sort_by("shop").to_pylist()
    assert rows == [{"shop": "a", "amount": 3.0}, {"shop": "b", "amount": 3.0}]


def test_a_session_lasts_while_a_function_computes_between_its_queries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAIL_SPARK__SESSION_TIMEOUT_SECS", "1")  # Sail's own are 15 minutes

    @table_asset(engine=SparkConnect())
    def slow(given: DataFrame) -> DataFrame:
        count = given.count()
        time.sleep(3)
        return given.select("id").where(F.col("id") < count)

    run(tmp_path, slow)
    assert Snapshot.open(tmp_path / "slow").row_count == 3


@pytest.mark.long
def test_a_step_on_apache_spark_leaves_no_folder_of_its_server(tmp_path: Path) -> None:
    """Whose JVM is killed, and removes nothing by itself."""

    def left() -> set[Path]:
        return {path for name in ("blockmgr-*", "artifacts-*") for path in Path("/tmp").glob(name)}  # noqa: S108 Java's

    @table_asset(engine=SparkConnect("spark"))
    def counted(given: DataFrame) -> DataFrame:
        return given.groupBy("shop").agg(F.count("id").alias("count"))

    before = left()
    run(tmp_path, counted)
    assert left() <= before


@pytest.mark.filterwarnings("ignore:Cannot infer the eval type:UserWarning")
def test_a_function_may_print_more_than_a_pipe_holds(tmp_path: Path) -> None:
    @table_asset(engine=SparkConnect())
    def printed(given: DataFrame) -> DataFrame:
        def shown(number: int) -> int:
            print("x" * 200_000)
            return number

        return given.select(F.udf(shown, "long")("id").alias("id"))

    run(tmp_path, printed)
    assert Snapshot.open(tmp_path / "printed").row_count == 4


@pytest.mark.parametrize("partition_by", [(), ("shop",), ("day", "id")])
def test_rows_have_the_same_fingerprint_as_from_one_process(
    tmp_path: Path, engine: SparkConnect, partition_by: tuple[str, ...]
) -> None:
    @table_asset(partition_by=list(partition_by) or None)
    def here(given: pa.Table) -> pa.Table:
        return given

    types = Contract({column: ROWS.schema.field(column).type for column in partition_by})

    @table_asset(partition_by=list(partition_by) or None, engine=engine, contract=types)
    def there(given: DataFrame) -> DataFrame:
        return given

    @table_asset(engine=engine)
    def again(there: DataFrame) -> DataFrame:  # of the files that the engine wrote
        return there.select(*ROWS.column_names)

    result = run(tmp_path, here, there, again)
    assert version_of(result, "there") == version_of(result, "here")
    assert Snapshot.open(tmp_path / "again").to_arrow().sort_by("id").drop(["ratio"]) == ROWS.drop(["ratio"])


def test_a_constant_beside_nan_is_read_as_nan_and_found_by_conditions(
    tmp_path: Path, engine: SparkConnect
) -> None:
    @table_asset(engine=engine)
    def beyond(given: DataFrame) -> DataFrame:
        return given.where(F.col("id") <= 2).where(F.col("ratio") > F.lit(2.0)).select("id", "ratio")

    run(tmp_path, beyond)
    [row] = Snapshot.open(tmp_path / "beyond").to_arrow().to_pylist()
    assert row["id"] == 2
    assert math.isnan(row["ratio"])


def test_partitions_are_read_and_replaced_one_by_one(tmp_path: Path, engine: SparkConnect) -> None:
    days = dg.StaticPartitionsDefinition(["2026-01-01", "2026-01-02"])

    @table_asset(partition_by=["day"], partitions_def=days)
    def sales(context: dg.AssetExecutionContext) -> pa.Table:
        return pa.table({"day": [context.partition_key] * 3, "n": [1, 2, 3]})

    @table_asset(partition_by=["day"], partitions_def=days, engine=engine)
    def totals(sales: DataFrame) -> DataFrame:
        return sales.groupBy("day").agg(F.sum("n").alias("n"))

    for key in [*days.get_partition_keys(), "2026-01-01"]:
        run(tmp_path, sales, totals, partition_key=key, selection=[sales, totals])
    assert Snapshot.open(tmp_path / "totals").to_arrow().sort_by("day").to_pylist() == [
        {"day": "2026-01-01", "n": 6},
        {"day": "2026-01-02", "n": 6},
    ]


def test_an_empty_result_is_a_table_with_its_columns(tmp_path: Path, engine: SparkConnect) -> None:
    @table_asset(engine=engine, partition_by=["shop"])
    def nothing(given: DataFrame) -> DataFrame:
        return given.where("id > 100").select("id", "shop")

    run(tmp_path, nothing)
    assert Snapshot.open(tmp_path / "nothing").to_arrow() == ROWS.select(["id", "shop"]).slice(0, 0)


def _null(frame: Any) -> Any:
    return frame.select("id", F.when(F.col("id") == 1, None).otherwise(F.lit("x")).alias("shop"))


@pytest.mark.parametrize(
    ("returned", "error", "words"),
    [
        pytest.param(lambda _: pd.DataFrame({"id": [1]}), DataRefused, "a pandas.DataFrame", id="pandas"),
        pytest.param(lambda frame: frame.select("nope"), EngineFailed, "says: AnalysisException", id="query"),
        pytest.param(
            lambda frame: frame.select("shop", F.raise_error(F.lit("boom")).alias("id")),
            EngineFailed,
            "boom",
            id="while it runs",
        ),
        pytest.param(
            lambda frame: frame.select("shop", F.col("id").cast("string").alias("id")),
            SchemaMismatch,
            "id",
            id="type",
        ),
        pytest.param(
            lambda frame: frame.select("id", F.col("day").alias("shop"), F.lit(1).alias("untyped")),
            SchemaMismatch,
            "shop",
            id="type of a partition column",
        ),
        pytest.param(_null, OutOfScope, "null", id="null partition"),
    ],
)
def test_bad_rows_name_the_table_and_nothing_is_written(  # noqa: PLR0917 fixtures and parameters
    tmp_path: Path,
    engine: SparkConnect,
    returned: Callable[[Any], Any],
    error: type[Exception],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @table_asset(
        engine=engine,
        partition_by=["shop"],
        contract=Contract({"id": "int32", "shop": "string"}),
    )
    def orders(given: DataFrame) -> DataFrame:
        return returned(given)

    monkeypatch.setenv("MY_TOKEN", "boom-secret")
    with pytest.raises(error, match=words) as raised:
        run(tmp_path, orders)
    assert str(raised.value).startswith("orders: ")
    assert str(raised.value).endswith("Nothing was written.")
    assert not [*tmp_path.glob("orders/**/*")]


def test_a_credential_in_a_query_is_not_in_its_error(
    tmp_path: Path, engine: SparkConnect, monkeypatch: pytest.MonkeyPatch
) -> None:
    @table_asset(engine=engine)
    def orders(given: DataFrame) -> DataFrame:
        return given.select("hunter2hunter2")

    monkeypatch.setenv("MY_PASSWORD", "hunter2hunter2")
    with pytest.raises(EngineFailed) as raised:
        run(tmp_path, orders)
    assert "hunter2" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_rows_of_other_partitions_are_refused(tmp_path: Path, engine: SparkConnect) -> None:
    @table_asset(engine=engine, partition_by=["n"], partitions_def=dg.StaticPartitionsDefinition(["a", "b"]))
    def orders(given: DataFrame) -> DataFrame:
        return given.select("id", F.lit("b").alias("n"))

    run(tmp_path, selection=[given])
    with pytest.raises(OutOfScope, match="orders"):
        run(tmp_path, orders, selection=[orders], partition_key="a")


@pytest.mark.parametrize(
    ("answer", "times"),
    [("ConfigResponse", 2), ("AnalyzePlanResponse", 2), ("ConfigResponse", 9), ("ExecutePlanResponse", 1)],
)
def test_an_answer_that_cannot_be_read_is_asked_for_again_or_ends_the_step_with_the_reason(
    tmp_path: Path, engine: SparkConnect, monkeypatch: pytest.MonkeyPatch, answer: str, times: int
) -> None:
    read, unread = _common.deserialize, []

    def deserialize(message: Any, deserializer: Callable[[bytes], Any]) -> Any:
        def reading(data: bytes) -> Any:
            found = deserializer(data)
            if type(found).__name__ == answer and len(unread) < times:
                unread.append(found)
                raise ValueError("no message of the protocol")
            return found

        return read(message, reading)

    @table_asset(engine=engine)
    def orders(given: DataFrame) -> DataFrame:
        return given.select(given.schema.names[0])  # which the server is asked for

    run(tmp_path, selection=[given])
    monkeypatch.setattr(_common, "deserialize", deserialize)
    if times == 2:
        run(tmp_path, orders, selection=[orders])
    else:
        with pytest.raises(EngineFailed, match=r"\(ValueError: no message of the protocol\).*run again"):
            run(tmp_path, orders, selection=[orders])
        assert not (tmp_path / "orders").exists()
        monkeypatch.undo()
        run(tmp_path, orders, selection=[orders])
    assert len(unread) == min(times, 4)  # it is asked for three times more at most
    orders_now = Snapshot.open(tmp_path / "orders")
    assert (orders_now.version, orders_now.row_count) == (0, 4)


def test_a_file_that_vanishes_while_it_is_read_ends_the_step(tmp_path: Path, engine: SparkConnect) -> None:
    @table_asset(engine=engine)
    def orders(given: DataFrame) -> DataFrame:
        for file in (tmp_path / "given").glob("*.parquet"):
            file.unlink()
        return given

    with pytest.raises((VersionGone, EngineFailed), match=r"(?i)deleted|not exist"):
        run(tmp_path, orders)
    assert not (tmp_path / "orders").exists()


def test_a_server_that_is_killed_fails_its_step_and_a_retry_commits_once(tmp_path: Path) -> None:
    kills = [True]

    @table_asset(engine=SparkConnect())
    def orders(given: DataFrame) -> DataFrame:
        if kills:
            kills.pop()
            [server] = _own_servers()
            os.kill(server, signal.SIGKILL)
        return given.select("id")

    run(tmp_path, selection=[given])
    with pytest.raises(EngineFailed, match=r"orders: Sail failed: its server was killed by SIGKILL\."):
        run(tmp_path, orders, selection=[orders])
    assert not (tmp_path / "orders").exists()
    run(tmp_path, orders, selection=[orders])
    assert Snapshot.open(tmp_path / "orders").version == 0
    assert Snapshot.open(tmp_path / "orders").row_count == ROWS.num_rows
    assert not _own_servers()


@pytest.mark.parametrize("kind", ["sail", pytest.param("spark", marks=pytest.mark.long)])
def test_a_server_ends_with_its_process_also_when_that_is_killed(kind: str) -> None:
    program = (
        "import sys, time\n"
        "from practicus_assets.engines.spark.server import Server\n"
        f"with Server({kind!r}) as server: print(server.address, flush=True); sys.stdin.read()"
    )
    step = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(os.environ)
    )
    assert step.stdout is not None
    assert step.stdin is not None
    assert step.stdout.readline().startswith(b"sc://127.0.0.1:")
    servers = _descendants_of(step.pid)
    watched = [os.pidfd_open(pid) for pid in servers]
    assert watched
    step.kill()
    step.wait()
    step.stdin.close()
    step.stdout.close()
    for descriptor in watched:
        _wait_for_end(descriptor)


def test_mistakes_are_refused_where_they_are_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeclarationError, match="not of the form") as raised:
        SparkConnect(address="sc://host:15002/;token=hunter2")
    assert "hunter2" not in str(raised.value)
    with pytest.raises(DeclarationError, match="'flink'"):
        SparkConnect("flink")  # type: ignore[arg-type] # a mistake
    with pytest.raises(DeclarationError, match="has no engine"):

        @table_asset
        def alone(given: DataFrame) -> pa.Table:
            return given

    with pytest.raises(DeclarationError, match="splits and an engine"):
        table_asset(engine=SparkConnect(), splits=2)
    monkeypatch.setattr(spark_connect, "find_spec", lambda _: None)
    with pytest.raises(DeclarationError, match=r"pip install 'practicus-assets\[spark\]'"):
        SparkConnect().refuse_missing()


def _own_servers() -> list[int]:
    """Return the servers that this process started, but for those of the fixture."""
    return [server for server in servers_of(os.getpid()) if server not in _FIXTURES]


_FIXTURES: set[int] = set()


@pytest.fixture(autouse=True)
def servers_before() -> None:
    _FIXTURES.clear()
    _FIXTURES.update(servers_of(os.getpid()))


def _descendants_of(pid: int) -> list[int]:
    children = children_of(pid)
    return [*children, *(below for child in children for below in _descendants_of(child))]


def _wait_for_end(descriptor: int) -> None:
    import select

    readable, _, _ = select.select([descriptor], [], [], 60)
    os.close(descriptor)
    assert readable, "it goes on"
