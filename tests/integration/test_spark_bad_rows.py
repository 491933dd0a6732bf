"""What an engine's table gets for bad rows: an error that names it, and not a byte, in a folder and on S3."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from practicus_assets import (
    AuditFailed,
    Column,
    Contract,
    DeltaIOManager,
    EngineFailed,
    OutOfScope,
    SchemaMismatch,
    Snapshot,
    SparkConnect,
    table_asset,
)
from practicus_assets.engines.spark.server import Server
from practicus_assets.engines.spark.stores import variables_of
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.transaction import Transaction
from tests.integration.spark import DataFrame, F

pytestmark = [pytest.mark.slow, pytest.mark.process]

DAYS = dg.StaticPartitionsDefinition(["a", "b"])
CONTRACT = Contract({"id": Column("int64", nullable=False, minimum=0), "day": "string"}, unique=[["id"]])


GIVEN = pa.table({"id": pa.array([1, 2, 3], pa.int64())})
OLD = pa.table({"id": pa.array([7, 8], pa.int64()), "day": ["a", "b"]})


@dg.asset
def given() -> pa.Table:
    raise AssertionError


@dataclass(frozen=True)
class Lake:
    """A lake with the rows that are given, and how an engine reaches it."""

    io_manager: DeltaIOManager
    engine: SparkConnect

    def table(self, name: str) -> Table:
        return Table.at(str(self.io_manager.root_uri), [name], dict(self.io_manager.storage_options))

    def run(self, asset: Any) -> None:
        resources = {"io_manager": self.io_manager}
        dg.materialize([given, asset], resources=resources, selection=[asset], partition_key="a")

    def rows(self, name: str) -> list[tuple[Any, ...]]:
        return sorted(tuple(row.values()) for row in Snapshot(self.table(name).open()).to_arrow().to_pylist())


@pytest.fixture(scope="module")
def lake(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    if request.param == "s3":
        seaweedfs = request.getfixturevalue("seaweedfs")
        root, options = f"{seaweedfs.root_uri}/{uuid.uuid4()}", seaweedfs.storage_options()
    else:
        root, options = str(tmp_path_factory.mktemp("lake")), {}
    io_manager = DeltaIOManager(root_uri=root, storage_options=options)
    Transaction(Table.at(root, ["given"], options)).write(GIVEN)
    own = WriteOptions(partition_by=["day"])
    Transaction(Table.at(root, ["orders"], options), options=own, contract=CONTRACT).write(OLD)
    kind: Any = "spark" if "Spark" in request.param else "sail"
    with Server(kind, variables_of([Table.at(root, ["given"], options)])) as server:
        yield Lake(io_manager, SparkConnect(kind, server.address))


def orders(lake: Lake, returned: Callable[[Any], Any]) -> Any:
    @table_asset(partition_by=["day"], partitions_def=DAYS, contract=CONTRACT, engine=lake.engine)
    def orders(given: DataFrame) -> DataFrame:
        return returned(given)

    return orders


def good(frame: Any) -> Any:
    return frame.select("id", F.lit("a").alias("day"))


BAD: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "a wrong type": (lambda f: good(f).withColumn("id", F.col("id").cast("string")), SchemaMismatch, "'id'"),
    "a narrower type": (lambda f: good(f).withColumn("id", F.col("id").cast("int")), SchemaMismatch, "'id'"),
    "a column too few": (
        lambda f: f.select(F.lit("a").alias("day"), F.lit(1).alias("n")),
        SchemaMismatch,
        "'id'",
    ),
    "no partition column": (lambda f: f.select("id"), SchemaMismatch, "'day'"),
    "a foreign row": (
        lambda f: good(f).withColumn("day", F.when(F.col("id") == 2, "b").otherwise(F.lit("a"))),
        OutOfScope,
        "'b'",
    ),
    "a null partition": (
        lambda f: good(f).withColumn("day", F.when(F.col("id") > 1, F.lit("a"))),
        OutOfScope,
        "null",
    ),
    "an empty partition": (
        lambda f: good(f).withColumn("day", F.when(F.col("id") > 1, "a").otherwise(F.lit(""))),
        OutOfScope,
        "day",
    ),
    "a null": (lambda f: good(f).withColumn("id", F.when(F.col("id") > 1, F.col("id"))), AuditFailed, "id"),
    "a row that breaks a rule": (lambda f: good(f).withColumn("id", -F.col("id")), AuditFailed, "minimum"),
    "a key twice": (lambda f: good(f).union(good(f)), AuditFailed, "unique"),
    "an error in its midst": (
        lambda f: good(f).withColumn(
            "id", F.when(F.col("id") > 0, F.raise_error(F.lit("boom"))).cast("long")
        ),
        EngineFailed,
        "boom",
    ),
}


_OF_STORES = ("a wrong type", "a foreign row", "a null partition", "an error in its midst")
LAKES = [  # test_spark_connect has some of them in a folder
    *(("folder", case) for case in BAD if case not in _OF_STORES),
    *(pytest.param("s3", case, marks=pytest.mark.s3) for case in _OF_STORES),
    *(pytest.param("folder of Apache Spark", case, marks=pytest.mark.long) for case in BAD),
]


@pytest.mark.parametrize(("lake", "case"), LAKES, indirect=["lake"])
def test_bad_rows_of_an_engine_name_the_table_and_nothing_is_written(lake: Lake, case: str) -> None:
    returned, error, words = BAD[case]
    before = lake.table("orders").open().version
    with pytest.raises(error, match=words) as raised:
        lake.run(orders(lake, returned))
    assert str(raised.value).startswith("orders [a]: ")
    assert "Nothing was written." in str(raised.value)
    assert lake.table("orders").open().version == before
    left = [file.path for file in lake.table("orders").files_in(recursive=True)]
    assert not [path for path in left if "staged" in path and path.endswith(".parquet")]


@pytest.mark.parametrize(
    "lake",
    [
        pytest.param("s3", marks=pytest.mark.s3),
        pytest.param("folder of Apache Spark", marks=pytest.mark.long),
    ],
    indirect=True,
)
def test_an_empty_result_empties_its_partitions_and_no_other(lake: Lake) -> None:
    lake.run(orders(lake, good))
    assert lake.rows("orders") == [(1, "a"), (2, "a"), (3, "a"), (8, "b")]
    lake.run(orders(lake, lambda frame: good(frame).where("id > 100")))
    assert lake.rows("orders") == [(8, "b")]
