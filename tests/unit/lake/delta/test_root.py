"""One spelling for each place where a lake can be."""

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from practicus_assets.errors import DeclarationError, StoreFailed
from practicus_assets.lake.delta.root import refuse_nested, resolved
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.transaction import Transaction

ROWS = pa.table({"n": [1]})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home and working folder that holds two folders and a link."""
    (tmp_path / "a").mkdir()
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


LOCAL = {
    "lake": "lake",
    "./lake/": "lake",
    "a/../lake": "lake",
    "{}/a/../lake": "lake",
    "{}//lake": "lake",
    "~/lake": "lake",
    "~": "",
    "link/lake": "real/lake",
    "file:{}/lake": "lake",
    "file://{}/lake": "lake",
    "FILE://{}/lake": "lake",
    "file://localhost{}/lake": "lake",
    "file://{}/my%20lake": "my lake",
    "file://{}/my lake": "my lake",
    "file://{}/a/../l%C3%A4ke": "läke",
    "my lake ": "my lake ",
    "what?": "what?",
    "a#b*c:d": "a#b*c:d",
    "läke 😀": "läke 😀",
    "quo'te\"": "quo'te\"",
}


@pytest.mark.parametrize("spelling", LOCAL)
def test_a_spelling_of_a_folder_is_the_place_that_delta_rs_uses(spelling: str, folder: Path) -> None:
    written = spelling.format(folder)
    place = folder / LOCAL[spelling] if LOCAL[spelling] else folder
    assert resolved(written) == str(place)
    Transaction(Table.at(written, ["t"])).write(ROWS)
    before = {path for path in folder.rglob("*") if path.is_dir()}
    write_deltalake(f"{written.rstrip('/')}/t", ROWS, mode="append")
    assert DeltaTable(place / "t").version() == 1
    assert {path for path in folder.rglob("*") if path.is_dir()} == before


def test_a_relative_root_begins_at_the_folder_that_is_given(folder: Path) -> None:
    assert resolved("lake", Path("/elsewhere")) == "/elsewhere/lake"
    assert resolved("/lake", Path("/elsewhere")) == "/lake"


@pytest.mark.parametrize("spelling", ["~/lake", "file://{}/my%20lake", "link"])
def test_an_empty_log_entry_is_noticed_however_the_root_is_spelled(spelling: str, folder: Path) -> None:
    root = spelling.format(folder)
    for number in range(2):
        Transaction(Table.at(root, ["t"])).write(pa.table({"n": [number]}))
    (Path(resolved(root)) / "t" / "_delta_log" / f"{1:020}.json").write_bytes(b"")
    with pytest.raises(StoreFailed, match=r"1\.json is empty"):
        Transaction(Table.at(root, ["t"])).write(pa.table({"n": [3]}))


@pytest.mark.parametrize("character", [*map(chr, range(1, 32)), *"\x7f%\\[]^|"])
def test_a_character_that_delta_rs_does_not_keep_is_refused(character: str, folder: Path) -> None:
    for root in (f"a{character}b", f"{folder}/{character}", f"s3://bucket/a{character}b"):
        with pytest.raises(DeclarationError, match=r"does not keep|no UTF-8"):
            Table.at(root, ["t"])
    with pytest.raises(DeclarationError, match="cannot name a folder"):
        Table.at("lake", [f"a{character}b"])
    assert sorted(path.name for path in folder.iterdir()) == ["a", "link", "real"]


@pytest.mark.parametrize(
    ("root", "place"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("S3://bucket/lake//", "s3://bucket/lake"),
        ("s3a://bucket/lake", "s3a://bucket/lake"),
        ("s3://bucket/my%20lake", "s3://bucket/my lake"),
        ("s3://bucket/my lake", "s3://bucket/my lake"),
        ("gs://bucket/l%C3%A4ke", "gs://bucket/läke"),
    ],
)
def test_a_prefix_of_an_object_store_is_spelled_plainly(root: str, place: str) -> None:
    assert resolved(root) == place
    assert Table.at(root, ["t"]).uri == f"{place}/t"


@pytest.mark.parametrize(
    "root",
    [
        "",
        "s3://",
        "s3:///lake",
        "s3://bucket//lake",
        "s3://bucket/../lake",
        "s3://bucket/./lake",
        "s3://b/a#b",
    ],
)
def test_a_prefix_that_is_no_place_is_refused(root: str) -> None:
    with pytest.raises(DeclarationError):
        resolved(root)


@pytest.mark.parametrize(
    "root", ["file:lake", "file://host/lake", "file:///lake?x", "file:///lake#x", "file:///l%FFke"]
)
def test_a_file_url_that_names_no_folder_here_is_refused(root: str) -> None:
    with pytest.raises(DeclarationError):
        resolved(root)


@pytest.mark.parametrize(
    ("root", "advice"),
    [
        ("s3:/bucket/lake", r"Did you mean s3://bucket/lake\?"),
        ("gs:/bucket", r"Did you mean gs://bucket\?"),
        ("~nobody-here/lake", "absolute path"),
    ],
)
def test_what_is_almost_another_place_makes_no_folder_here(root: str, advice: str, folder: Path) -> None:
    with pytest.raises(DeclarationError, match=advice):
        resolved(root, folder)


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9000", "localhost:9000", "minio", "http//x", "ftp://x", ""])
def test_an_endpoint_without_scheme_is_refused_and_not_shown(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL", "endpoint"):
        with pytest.raises(DeclarationError, match=f"^{name} in storage_options is not a URL"):
            Table.at("s3://bucket", ["t"], {name: endpoint})
    Table.at("lake", ["t"], {"AWS_ENDPOINT_URL": endpoint})
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(DeclarationError, match="in the environment is not a URL"):
        Table.at("s3://bucket", ["t"])
    Table.at("s3://bucket", ["t"], {"AWS_ENDPOINT_URL": "http://localhost:9000"})


@pytest.mark.parametrize(
    ("root", "base"),
    [
        ("s3a://lake", "s3://lake"),
        ("s3://lake/prod/dev", "s3://lake/prod"),
        ("abfss://lake@prod.dfs.core.windows.net/x", "az://lake/x"),
        ("azure://lake/x", "abfs://lake/x/y"),
    ],
)
def test_a_base_of_another_name_for_the_same_place_is_refused(root: str, base: str) -> None:
    with pytest.raises(DeclarationError, match="one place, or one lies in the other"):
        refuse_nested(root, base)


def test_a_base_beside_the_root_is_one() -> None:
    refuse_nested("s3://lake/production", "s3://lake/prod")
    refuse_nested("abfss://lake@dev.dfs.core.windows.net/x", "abfss://lake@prod.dfs.core.windows.net/x")
    refuse_nested("/lakes/a@b/x", "/lakes/a@c/x")
