"""Files on an S3 server, as sources of assets."""

import gzip
import uuid
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from practicus_assets import CSV, DeltaIOManager, Files, Source, SourceChanged, SourceFailed, table_asset
from practicus_assets.lake.partitions.scope import Key, Scope
from practicus_assets.sources.files.session import FilesSession
from tests.faults.proxy import Fault, FaultProxy
from tests.servers.seaweedfs import SeaweedFS

NAMES = ["a b.csv", "p%20c.csv", "ü.csv", "h#sh?.csv", "br[ack].csv"]


class Bucket:
    """A prefix of its own in a bucket, with the objects that a test puts there."""

    def __init__(self, server: SeaweedFS) -> None:
        self.server = server
        self.root = f"{server.root_uri}/{uuid.uuid4()}"
        self.folder = self.root.removeprefix("s3://")
        self.objects = pyarrow.fs.S3FileSystem(  # not the one that reads them
            access_key=server.access_key, secret_key=server.secret_key, endpoint_override=server.endpoint
        )

    def put(self, name: str, content: bytes | str | pa.Table) -> None:
        with self.objects.open_output_stream(f"{self.folder}/{name}", compression=None) as stream:
            if isinstance(content, pa.Table):
                pq.write_table(content, stream)
            else:
                stream.write(content.encode() if isinstance(content, str) else content)

    def source(self, **options: str) -> Files:
        return Files(self.root, storage_options={**self.server.storage_options(), **options})


@pytest.fixture(scope="module")
def full(seaweedfs: SeaweedFS) -> Bucket:
    """A bucket that tests only read, so that none of its objects is young when they do."""
    bucket = Bucket(seaweedfs)
    for day in (1, 2, 3):
        table = pa.table({"n": pa.array([day] * 2, pa.int32()), "s": ["x", "ü"]})
        bucket.put(f"orders/day=2013-01-0{day}/a.parquet", table)
    for name in NAMES:
        bucket.put(f"odd/{name}", "n\n1\n")
    bucket.put("city=a%2Fb/x.csv.gz", gzip.compress(b"n\n1\n" * 1 + b"2\n" * 50_000))
    bucket.put("big.csv", "n\n" + "1234567\n" * 2_000_000)  # more than is asked of the store at once
    return bucket


@pytest.fixture
def bucket(seaweedfs: SeaweedFS) -> Bucket:
    return Bucket(seaweedfs)


@pytest.fixture
def proxy(seaweedfs: SeaweedFS) -> Iterator[FaultProxy]:
    with FaultProxy(seaweedfs.endpoint) as running:
        yield running


def rows(relation: object, scope: Scope | None = None) -> pa.Table:
    with relation.system.session() as session:  # type: ignore[attr-defined] # any relation
        return relation.read(session, scope or Scope()).read_all()  # type: ignore[attr-defined]


def test_objects_are_read_by_partition_with_whatever_names_they_have(full: Bucket) -> None:
    orders = full.source().files("orders/day={day}/*.parquet")
    assert rows(orders).column("n").to_pylist() == [1, 1, 2, 2, 3, 3]
    second = rows(orders, Scope(("day",), ((Key("2013-01-02"),),)))
    assert second.to_pylist() == [{"n": 2, "s": s, "day": "2013-01-02"} for s in ("x", "ü")]
    assert rows(full.source().files("odd/*.csv")).num_rows == len(NAMES)
    cities = rows(full.source().files("city={city}/*.csv.gz", columns={"n": "int64"}))
    assert (cities.num_rows, set(cities["city"].to_pylist())) == (50_001, {"a/b"})


def test_a_large_object_comes_as_a_stream(full: Bucket) -> None:
    big = full.source().files("big.csv", columns={"n": "int64"})
    with big.system.session() as session:
        sizes = [batch.num_rows for batch in big.read(session, Scope())]  # type: ignore[arg-type] # of files
    assert sum(sizes) == 2_000_000
    assert max(sizes) < 500_000


@pytest.mark.parametrize("change", ["written again", "deleted"])
def test_an_object_that_changes_after_it_was_listed_ends_the_stream_by_name(
    bucket: Bucket, change: str
) -> None:
    for name in ("a.csv", "b.csv"):
        bucket.put(name, "n\n" + "1\n" * 2_500_000)  # too large to be fetched ahead
    relation = bucket.source().files("*.csv", columns={"n": "int64"})
    with relation.system.session() as session:
        assert isinstance(session, FilesSession)
        reader = relation.read(session, Scope())
        reader.read_next_batch()
        if change == "deleted":
            bucket.objects.delete_file(f"{bucket.folder}/b.csv")
        else:
            bucket.put("b.csv", "n\n" + "2\n" * 2_500_000)  # of the same size
        with pytest.raises(SourceChanged, match=rf"b\.csv was {change} after it was listed"):
            reader.read_all()


def test_small_objects_are_fetched_ahead_in_order_and_are_as_they_were_listed(bucket: Bucket) -> None:
    for number in range(40):
        bucket.put(f"{number:02}.csv", f"n\n{number}\n")
    relation = bucket.source().files("*.csv", columns={"n": "int64"})
    with relation.system.session() as session:
        assert isinstance(session, FilesSession)
        reader = relation.read(session, Scope())
        numbers = reader.read_next_batch()["n"].to_pylist()
        bucket.put("39.csv", "n\n7\n")
        numbers += [reader.read_next_batch()["n"][0].as_py() for _ in range(38)]
        with pytest.raises(SourceChanged, match=r"39\.csv was written again"):
            reader.read_next_batch()
    assert numbers == [*range(39)]


def test_wrong_keys_are_told_as_such_and_not_shown(full: Bucket) -> None:
    wrong = {"AWS_SECRET_ACCESS_KEY": "wrong-secret-key"}
    relation = full.source(**wrong, max_retries="0").files("*.csv")
    with pytest.raises(SourceFailed, match=r"may not be read.*credentials") as error:
        rows(relation)
    assert "wrong-secret-key" not in str(error.value)


def test_a_store_that_goes_away_half_way_ends_the_stream(full: Bucket, proxy: FaultProxy) -> None:
    away = full.source(AWS_ENDPOINT_URL=proxy.endpoint, AWS_SKIP_SIGNATURE="false", max_retries="0")
    relation = away.files("big.csv", columns={"n": "int64"})
    with relation.system.session() as session:
        assert isinstance(session, FilesSession)
        reader = relation.read(session, Scope())
        reader.read_next_batch()
        proxy.arm(Fault("503 before", 1, count=1_000_000))
        with pytest.raises(SourceFailed, match=r"big\.csv"):
            reader.read_all()


def test_an_asset_reads_the_objects_of_its_partitions_and_commits_all_or_nothing(
    bucket: Bucket, tmp_path: Path
) -> None:
    for day in (1, 2):
        bucket.put(f"weather/2013/01/0{day}.csv", f"temp;at\n{day},5;2013-01-0{day}T05:00:00Z\n")
    days = dg.DailyPartitionsDefinition("2013-01-01", end_date="2013-01-04")
    raw = bucket.source().files("weather/{day:%Y/%m/%d}.csv", CSV(delimiter=";", decimal_point=","))
    weather = Source(
        "weather",
        raw,
        partitions_def=days,
        partition_expr="day",
        columns={"temp": "float64", "at": "timestamp"},
    )

    @table_asset(partitions_def=days, partition_by="day")
    def by_day(weather: pd.DataFrame) -> pd.DataFrame:
        return weather

    lake = DeltaIOManager(root_uri=str(tmp_path))

    def run(day: int) -> bool:
        return dg.materialize(
            [weather, by_day],
            selection=[by_day],
            partition_key=f"2013-01-0{day}",
            resources={"io_manager": lake},
            raise_on_error=False,
        ).success

    assert run(1)
    assert run(2)
    assert not run(3)  # of which there is no file
    table = DeltaTable(str(tmp_path / "by_day")).to_pandas().sort_values("temp")
    assert table["temp"].tolist() == [1.5, 2.5]
    assert table["day"].astype(str).tolist() == ["2013-01-01", "2013-01-02"]
    assert DeltaTable(str(tmp_path / "by_day")).version() == 1
