import multiprocessing
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from practicus_assets.errors import (
    DeclarationError,
    OutOfScope,
    ReleaseRefused,
    TableNotFound,
    UnsupportedTable,
    VersionGone,
)
from practicus_assets.lake.delta.record import InputVersion
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.lake.upkeep.releases import Release, kept_versions, publish, releases
from practicus_assets.lake.upkeep.retention import remove, unneeded_files
from tests import kit


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path / "lake")


def write(root: str, name: str, number: int, **inputs: int) -> int:
    table = Table.at(root, name.split("/"))
    who = Provenance(inputs=[InputVersion(upstream, version) for upstream, version in inputs.items()])
    return Transaction(table, provenance=who).write(pa.table({"n": [number]})).version


def read(release: Release, name: str) -> list[Any]:
    found: list[Any] = release.snapshot(name).scan().read_all()["n"].to_pylist()
    return found


def test_tables_of_a_release_are_read_as_they_were(root: str) -> None:
    write(root, "one", 1)
    write(root, "deep/two", 10)
    publish(root, "first", {"one": 0, "deep/two": 0}, run_id="run")
    write(root, "one", 2)
    release = Release.open(root)
    assert (release.name, release.number, release.run_id) == ("first", 1, "run")
    assert release.published_at <= datetime.now(UTC)
    assert (read(release, "one"), read(release, "deep/two")) == ([1], [10])


def test_the_newest_release_or_one_by_name_is_opened(root: str) -> None:
    for number, name in enumerate(("a", "b", "c")):
        publish(root, name, {"one": write(root, "one", number)})
    assert [each.name for each in releases(root)] == ["c", "b", "a"]
    assert read(Release.open(root), "one") == [2]
    assert read(Release.open(root, "a"), "one") == [0]
    with pytest.raises(TableNotFound, match="no release 'd'"):
        Release.open(root, "d")


def test_partitions_of_a_table_of_a_release_are_read_by_their_values(root: str) -> None:
    orders = Table.at(root, ["sales", "orders"])
    for number in range(2):
        kit.write(orders, "a", number)
        kit.write(orders, "b", number + 10)
    publish(root, "first", {"sales/orders": 1})
    release = Release.open(root, storage_options={"timeout": "10s"})
    assert release.snapshot("sales/orders", ["b"]).to_arrow().to_pylist() == [{"p": "b", "n": 10}]
    assert release.snapshot("sales/orders", partitions=[{"p": "a"}]).to_pandas()["n"].tolist() == [0]
    with pytest.raises(OutOfScope, match=r"^sales/orders: the table is partitioned by"):
        release.snapshot("sales/orders", [{"n": 1}])
    with pytest.raises(TableNotFound, match="Did you mean sales/orders"):
        release.snapshot("sales/order")
    with pytest.raises(TableNotFound, match="Did you mean first"):
        Release.open(root, "frist")


def test_a_lake_without_releases_says_so(root: str) -> None:
    assert releases(root) == []
    with pytest.raises(TableNotFound, match="has no release"):
        Release.open(root)


def test_a_name_is_given_once_but_the_same_run_finds_its_own(root: str) -> None:
    write(root, "one", 1)
    made = publish(root, "nightly", {"one": 0}, run_id="run")
    assert publish(root, "nightly", {"one": 0}, run_id="run") == made
    with pytest.raises(ReleaseRefused, match=r"a release 'nightly' already.*Nothing was written"):
        publish(root, "nightly", {"one": 0}, run_id="other")
    assert len(releases(root)) == 1


def test_versions_that_were_not_computed_from_each_other_are_refused(root: str) -> None:
    write(root, "up", 1)
    write(root, "down", 1, up=0)
    write(root, "up", 2)
    with pytest.raises(ReleaseRefused, match="version 0 of down was computed from version 0 of up"):
        publish(root, "mixed", {"up": 1, "down": 0})
    assert releases(root) == []
    publish(root, "told", {"up": 1, "down": 0}, mixed=True)
    publish(root, "older", {"up": 0, "down": 0})
    write(root, "down", 2, up=1)
    publish(root, "newer", {"up": 1, "down": 1})


def test_a_version_without_other_rows_between_is_no_mix(root: str) -> None:
    write(root, "up", 1)
    write(root, "down", 1, up=0)
    DeltaTable(f"{root}/up").alter.set_table_properties({"delta.checkpointInterval": "50"})
    publish(root, "same", {"up": 1, "down": 0})


def test_a_version_that_is_not_there_is_refused(root: str) -> None:
    write(root, "one", 1)
    with pytest.raises(VersionGone):
        publish(root, "x", {"one": 5})
    with pytest.raises(TableNotFound):
        publish(root, "x", {"none": 0})
    with pytest.raises(ReleaseRefused):
        publish(root, " ", {"one": 0})
    with pytest.raises(DeclarationError):
        publish(root, "x", {"../one": 0})
    assert releases(root) == []


def test_a_table_that_was_made_anew_is_told_from_the_released_one(root: str) -> None:
    write(root, "one", 1)
    publish(root, "first", {"one": 0})
    for path in sorted(Path(root, "one").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    write(root, "one", 1)
    with pytest.raises(VersionGone, match="created again"):
        Release.open(root).snapshot("one")
    with pytest.raises(TableNotFound, match="has no table 'two'"):
        Release.open(root).snapshot("two")


def test_the_newest_releases_keep_their_versions(root: str) -> None:
    for number in range(4):
        publish(root, f"r{number}", {"one": write(root, "one", number)})
    assert kept_versions(root, 2) == {"one": {3: "r3", 2: "r2"}}
    table = Table.at(root, ["one"])
    remove(table, unneeded_files(table, datetime.now(UTC), kept_versions(root, 2)["one"]))
    assert [read(release, "one") for release in releases(root)[:2]] == [[3], [2]]
    with pytest.raises(VersionGone):
        read(Release.open(root, "r0"), "one")


def rewrite(root: str, **columns: Any) -> None:
    """Write the rows of all releases again, with other columns: None takes one away."""
    table = DeltaTable(Table.at(root, ["_releases"]).uri)
    rows = pa.table(table.to_pyarrow_table())
    for name, value in columns.items():
        rows = rows.drop_columns([name] if name in rows.column_names else [])
        rows = rows if value is None else rows.append_column(name, pa.array([value] * len(rows)))
    write_deltalake(table, rows, mode="overwrite", schema_mode="overwrite")


def test_rows_of_releases_have_the_columns_that_every_release_of_the_package_reads(root: str) -> None:
    publish(root, "first", {"one": write(root, "one", 1)}, run_id="run")
    handle = Table.at(root, ["_releases"]).open()
    assert [(field.name, str(field.type)) for field in handle.schema] == [
        ("number", "int64"),
        ("name", "string"),
        ("published_at", "timestamp[us, tz=UTC]"),
        ("run_id", "string"),
        ("table", "string"),
        ("version", "int64"),
        ("table_id", "string"),
        ("format", "int64"),
    ]


def test_releases_from_before_rows_had_a_format_and_of_a_later_package_are_read_and_added_to(
    root: str,
) -> None:
    publish(root, "first", {"one": write(root, "one", 1)})
    rewrite(root, format=None)
    assert Release.open(root).name == "first"
    publish(root, "second", {"one": write(root, "one", 2)})
    rewrite(root, format=1, later="more")
    publish(root, "third", {"one": write(root, "one", 3)})
    assert [(release.number, release.name) for release in releases(root)] == [
        (3, "third"),
        (2, "second"),
        (1, "first"),
    ]


def test_releases_of_a_newer_format_are_neither_read_nor_added_to_nor_forgotten(root: str) -> None:
    publish(root, "first", {"one": write(root, "one", 1)})
    rewrite(root, format=2)
    for use in (
        lambda: Release.open(root),
        lambda: publish(root, "second", {"one": 0}),
        lambda: kept_versions(root, 5),
    ):
        with pytest.raises(
            UnsupportedTable, match=r"_releases: release 'first' is of format 2, .* up to 1\."
        ):
            use()


def _publish(root: str, name: str) -> int:
    return publish(root, name, {"one": 0}).number


@pytest.mark.process
def test_releases_published_at_once_all_land_under_numbers_of_their_own(root: str) -> None:
    write(root, "one", 1)
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        numbers = pool.starmap(_publish, [(root, f"r{number}") for number in range(12)])
    assert sorted(numbers) == list(range(1, 13))
    assert sorted(each.number for each in releases(root)) == list(range(1, 13))


def test_a_reader_finds_all_tables_of_a_release_or_none(root: str, rows: Callable[..., Any]) -> None:
    for name in ("one", "two", "three"):
        write(root, name, 1)
    publish(root, "r", {"one": 0, "two": 0, "three": 0})
    handle = DeltaTable(f"{root}/_releases")
    assert handle.version() == 0  # one commit made the table, and the rows of all three
    assert len(rows(Table.at(root, ["_releases"]))) == 3
