"""Exports to files in a folder and on S3: whole objects, their markers, and what goes wrong."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.fs
import pyarrow.parquet as pq
import pytest
from deltalake.fs import DeltaStorageHandler

from practicus_assets.destinations.destination import Destination
from practicus_assets.destinations.export import Export, Exported
from practicus_assets.destinations.files.objects import Objects, Upload
from practicus_assets.destinations.systems import destination_of
from practicus_assets.errors import (
    DeclarationError,
    ExportConflict,
    ExportFailed,
    LossyValues,
    SchemaMismatch,
)
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.sources.files.store import Files
from tests.integration.exports import exported, filled, rows_of_each_type
from tests.kit import partitions, write
from tests.servers.seaweedfs import SeaweedFS


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    if request.param == "folder":
        return Files(str(tmp_path / "out"))
    server: SeaweedFS = request.getfixturevalue("seaweedfs")
    return Files(f"{server.root_uri}/{uuid.uuid4()}", storage_options=server.storage_options())


@pytest.fixture
def to(store: Files) -> Destination:
    return destination_of(store)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table.at(tmp_path, ["orders"])


@pytest.fixture
def objects(store: Files) -> Objects:
    return Objects(store.address, dict(store.storage_options))  # type: ignore[arg-type] # they are texts here


def parquet(objects: Objects, path: str) -> pa.Table:
    with objects.filesystem.open_input_file(path) as file:
        return pq.ParquetFile(file).read()


def names(objects: Objects) -> set[str]:
    selector = pyarrow.fs.FileSelector("", recursive=True)
    infos = objects.filesystem.get_file_info(selector)
    return {info.path for info in infos if info.type == pyarrow.fs.FileType.File}


def test_each_type_arrives_exactly_in_a_parquet_file(to: Destination, table: Table, objects: Objects) -> None:
    rows = rows_of_each_type()
    filled(table, rows)
    assert exported(to, table, "orders.parquet").rows == 3
    found = parquet(objects, "orders.parquet")
    assert found.select(rows.column_names).to_pylist() == rows.to_pylist()
    assert exported(to, table, "orders.parquet").outcome == "already there"
    assert names(objects) == {"orders.parquet"}


@pytest.mark.parametrize("path", ["orders.csv", "orders.csv.gz"])
def test_rows_become_csv_that_sources_read_back(
    to: Destination, store: Files, table: Table, objects: Objects, path: str
) -> None:
    rows = pa.table(
        {"n": [1, 2, 3], "s": ["a,\"b'\n", "", None], "x": [0.1, None, 1e-9], "l": [[1], None, []]}
    )
    filled(table, rows)
    assert exported(to, table, path).rows == 3
    assert exported(to, table, path).outcome == "already there"
    relation = store.files(path, columns={"n": "int64", "s": "string", "x": "float64", "l": "string"})
    with store.session() as session:
        found = relation.read(session, Scope()).read_all()
    assert found.to_pylist() == [
        {**row, "l": str(row["l"]) if row["l"] is not None else None} for row in rows.to_pylist()
    ]


def test_each_partition_is_one_object_that_its_pattern_names(
    to: Destination, store: Files, table: Table, objects: Objects
) -> None:
    hostile = "b/c d=%é"
    for number, key in enumerate(["a", hostile]):
        write(table, key, number)
    target = "orders/p={p}/rows.parquet"
    assert exported(to, table, target, partitions("a", hostile)).rows == 2
    assert exported(to, table, target, partitions("a", hostile)).outcome == "already there"
    write(table, "a", 7)
    assert exported(to, table, target, partitions("a")).outcome == "exported"
    assert exported(to, table, target, partitions(hostile)).outcome == "already there"
    assert parquet(objects, "orders/p=a/rows.parquet").to_pylist() == [{"n": 7}]
    with store.session() as session:
        found = store.files(target).read(session, Scope()).read_all().sort_by("n").to_pylist()
    assert found == [{"n": 1, "p": hostile}, {"n": 7, "p": "a"}]


@pytest.mark.parametrize("target", ["orders.parquet", "orders.csv"])
def test_older_versions_do_not_replace_newer_ones(
    to: Destination, table: Table, objects: Objects, target: str
) -> None:
    for number in range(3):
        filled(table, pa.table({"n": [number]}))
    exported(to, table, target, version=1)
    with pytest.raises(ExportConflict, match="version 1 of the table already"):
        exported(to, table, target, version=0)
    filled(table, pa.table({"n": [1]}))  # the rows that are there, in version 3
    assert exported(to, table, target).outcome == "already there"
    with pytest.raises(ExportConflict, match="version 3 of the table already"):
        exported(to, table, target, version=2)


def test_a_zombie_that_wakes_up_before_it_finishes_its_object_is_refused(
    to: Destination, table: Table, objects: Objects
) -> None:
    filled(table, pa.table({"n": [1]}))
    filled(table, pa.table({"n": [2]}))

    class Late(Export):
        def batches(self) -> Any:
            exported(to, table, "orders.parquet")
            yield from super().batches()

    with pytest.raises(ExportConflict, match="version 1 of the table already") as raised:
        to.write(Late(table, Snapshot.of(table, 0), "orders.parquet"))
    assert raised.value.nothing_written
    assert parquet(objects, "orders.parquet").to_pylist() == [{"n": 2}]


def test_a_marker_does_not_outlive_its_object_when_an_export_ends_between_the_two(
    to: Destination, table: Table, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(table, pa.table({"n": [1]}))
    exported(to, table, "orders.csv")
    filled(table, pa.table({"n": [2]}))
    of_files = Objects._upload

    def ending(objects: Objects, path: str) -> Upload:
        upload = of_files(objects, path)
        finish = upload.finish

        def finish_and_end() -> None:
            finish()
            raise KeyboardInterrupt

        if path == "orders.csv":
            monkeypatch.setattr(upload, "finish", finish_and_end)
        return upload

    with monkeypatch.context() as patched:
        patched.setattr(Objects, "_upload", ending)
        with pytest.raises(KeyboardInterrupt):
            exported(to, table, "orders.csv")
    filled(table, pa.table({"n": [1]}))  # as they were, and as long in CSV
    assert exported(to, table, "orders.csv").outcome == "exported"
    assert b"1" in (objects.read("orders.csv") or b"")


def test_a_zombie_that_wakes_up_while_it_finishes_its_object_is_told_what_it_did(
    to: Destination, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = "orders.csv"
    filled(table, pa.table({"n": [1]}))
    filled(table, pa.table({"n": [2]}))
    of_files, finishing = Objects._upload, list[str]()

    def late(objects: Objects, path: str) -> Upload:
        upload = of_files(objects, path)
        if path == target and not finishing:
            finish = upload.finish
            finishing.append(path)

            def after_the_other() -> None:
                exported(to, table, target)
                finish()

            monkeypatch.setattr(upload, "finish", after_the_other)
        return upload

    monkeypatch.setattr(Objects, "_upload", late)
    with pytest.raises(ExportConflict, match=r"was replaced by .* while this run wrote it") as raised:
        exported(to, table, target, version=0)
    assert not raised.value.nothing_written
    assert exported(to, table, target).outcome == "exported"


def test_an_older_version_put_in_place_after_a_newer_one_is_replaced_by_the_next_export(
    to: Destination, table: Table, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = "orders.parquet"
    for number in range(2):
        filled(table, pa.table({"n": [number]}))
    with objects.upload("other") as begun:
        upload = type(begun)
    finish = upload.finish

    def late(self: Upload) -> None:
        monkeypatch.setattr(upload, "finish", finish)
        assert exported(to, table, target) == Exported("exported", 1)
        finish(self)

    monkeypatch.setattr(upload, "finish", late)
    exported(to, table, target, version=0)  # which is not told: there is no lock to hold
    assert exported(to, table, target) == Exported("exported", 1)
    assert exported(to, table, target).outcome == "already there"
    with pytest.raises(ExportConflict, match="version 1 of the table already"):
        exported(to, table, target, version=0)


@pytest.mark.parametrize("target", ["p={p}/orders.parquet", "p={p}/orders.csv"])
def test_of_sixteen_exports_at_once_one_object_is_left_and_each_says_what_became_of_it(
    to: Destination, table: Table, objects: Objects, target: str
) -> None:
    write(table, "a", *range(1000))
    write(table, "b", 1)
    together = Barrier(16)

    def one(_: int) -> str:
        together.wait()
        try:
            ended = exported(to, table, target, partitions("a"))
        except ExportConflict as error:
            assert "was replaced by" in str(error)  # noqa: PT017 one outcome of several
            return "told"
        assert ended.rows == 1000
        return ended.outcome

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(one, range(16)))
    assert "exported" in outcomes
    assert set(outcomes) <= {"exported", "already there", "told"}
    path = target.format(p="a")
    assert {name for name in names(objects) if "_practicus_exports" not in name} == {path}
    with objects.filesystem.open_input_file(path) as file:
        there = pq.read_table(file) if path.endswith("parquet") else pyarrow.csv.read_csv(file)
    assert sorted(there.column("n").to_pylist()) == list(range(1000))
    assert exported(to, table, target, partitions("a")) == Exported("already there", 1000)


@pytest.mark.parametrize("target", ["orders.parquet", "orders.csv"])
def test_an_export_that_ends_half_way_leaves_the_object_as_it_was(
    to: Destination, table: Table, objects: Objects, target: str
) -> None:
    filled(table, pa.table({"n": [1]}))
    exported(to, table, target)
    before = objects.read(target)
    filled(table, pa.table({"n": range(300_000)}))

    class Interrupted(Export):
        def batches(self) -> Any:
            yield from super().batches()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        to.write(Interrupted(table, Snapshot.of(table), target))
    assert objects.read(target) == before
    assert not [name for name in names(objects) if "/." in f"/{name}"]
    assert exported(to, table, target).rows == 300_000


def test_what_a_store_or_csv_cannot_take_is_said_without_a_secret(
    to: Destination, store: Files, table: Table, seaweedfs: SeaweedFS
) -> None:
    filled(table, pa.table({"b": [b"x"]}))
    with pytest.raises(SchemaMismatch, match="CSV has no text"):
        exported(to, table, "orders.csv")
    with pytest.raises(DeclarationError, match="does not say in which format"):
        to.refuse_target("orders.xlsx")
    with pytest.raises(DeclarationError, match=r"has the keys \['day'\]"):
        exported(to, table, "orders/{day}.parquet")
    options = {**seaweedfs.storage_options(), "AWS_SECRET_ACCESS_KEY": "wr0ng-secret"}
    wrong = destination_of(Files(f"{seaweedfs.root_uri}/x", storage_options=options))
    with pytest.raises(ExportFailed) as raised:
        exported(wrong, table, "orders.parquet")
    assert "wr0ng" not in str(raised.value)
    assert raised.value.nothing_written


def test_nested_values_without_json_text_are_refused(to: Destination, table: Table) -> None:
    filled(table, pa.table({"l": [[float("inf")]]}))
    with pytest.raises(LossyValues, match="JSON cannot"):
        exported(to, table, "orders.csv")


def test_a_stream_of_delta_rs_that_is_dropped_completes_nothing(seaweedfs: SeaweedFS) -> None:
    handler = DeltaStorageHandler(seaweedfs.root_uri, seaweedfs.storage_options())
    stream = handler._handler.open_output_stream("dropped", None)
    stream.write(b"x" * (12 << 20))
    del stream
    info = pyarrow.fs.PyFileSystem(handler).get_file_info("dropped")
    assert info.type == pyarrow.fs.FileType.NotFound
