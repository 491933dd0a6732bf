import os
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from practicus_assets.errors import DeclarationError, SourceChanged, SourceFailed
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.sources.files.relation import FileRelation
from practicus_assets.sources.files.session import FilesSession
from practicus_assets.sources.files.store import Files
from tests.unit.sources.files.folder import Folder

ROWS = "n\n" + "1\n" * 300_000  # of several batches


def aged(path: Path, seconds: int = 60) -> None:
    """Make a file older."""
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


@pytest.fixture
def relation(folder: Folder) -> FileRelation:
    for name in ("a.csv", "b.csv"):
        aged(folder.write(name, ROWS))
    return folder.source.files("*.csv", columns={"n": "int64"})


@pytest.fixture
def session(relation: FileRelation) -> Iterator[FilesSession]:
    with relation.store.session() as session:
        assert isinstance(session, FilesSession)
        yield session


def read(relation: FileRelation, session: FilesSession) -> pa.Table:
    return relation.read(session, Scope()).read_all()


def test_files_are_listed_once_a_session(
    folder: Folder, relation: FileRelation, session: FilesSession
) -> None:
    assert len(read(relation, session)) == 600_000
    folder.write("c.csv", ROWS)
    assert len(read(relation, session)) == 600_000


def test_files_are_read_in_the_order_of_their_paths(folder: Folder) -> None:
    for name in ("b/1.csv", "a/2.csv", "a/10.csv"):
        folder.write(name, f"n\n{name}\n")
    assert [row["n"] for row in folder.rows("**/*.csv")] == ["a/10.csv", "a/2.csv", "b/1.csv"]


def test_rows_come_in_batches_while_they_are_read(relation: FileRelation, session: FilesSession) -> None:
    reader = relation.read(session, Scope())
    sizes = [batch.num_rows for batch in reader]
    assert len(sizes) > 1
    assert sum(sizes) == 600_000


@pytest.mark.parametrize("change", ["written again", "deleted"])
@pytest.mark.parametrize("file", ["a.csv", "b.csv"])
def test_a_file_that_changes_while_it_is_read_ends_the_stream_by_name(
    folder: Folder, relation: FileRelation, session: FilesSession, change: str, file: str
) -> None:
    reader = relation.read(session, Scope())
    reader.read_next_batch()  # of a.csv
    path = folder.path / file
    path.unlink()
    if change == "written again":
        path.write_text(ROWS.replace("1", "2"))  # as long as it was
    with pytest.raises(SourceChanged, match=rf"{file} was {change} after it was listed.*Run again"):
        reader.read_all()


def test_another_session_of_the_run_sees_the_same_files(
    folder: Folder, relation: FileRelation, session: FilesSession
) -> None:
    read(relation, session)
    folder.write("c.csv", ROWS)
    with folder.source.session(session.state) as second:
        assert isinstance(second, FilesSession)
        assert len(read(relation, second)) == 600_000
        assert second.state == session.state
    with folder.source.session() as third:
        assert isinstance(third, FilesSession)
        assert len(read(relation, third)) == 900_000


@pytest.mark.parametrize("change", ["written", "deleted"])
def test_another_session_refuses_files_that_are_not_as_the_first_saw_them(
    folder: Folder, relation: FileRelation, session: FilesSession, change: str
) -> None:
    read(relation, session)
    if change == "written":
        folder.write("b.csv", ROWS)
    else:
        (folder.path / "b.csv").unlink()
    text = "b.csv was written since" if change == "written" else "Files were deleted"
    with (
        folder.source.session(session.state) as second,
        pytest.raises(SourceChanged, match=f"1 are as they were.*{text}"),
    ):
        read(relation, second)  # type: ignore[arg-type] # a session of files


def test_a_file_as_old_as_the_listing_is_listed_again_when_its_time_tells_it_apart(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write("a.csv", "n\n1\n")
    waits: list[float] = []
    monkeypatch.setattr("practicus_assets.sources.files.session.time.sleep", waits.append)
    monkeypatch.setattr("practicus_assets.sources.files.session._UNTOLD_LOCAL_S", 1000.0)
    assert folder.rows("*.csv") == [{"n": "1"}]
    assert len(waits) == 1
    assert 900 < waits[0] <= 1000


def test_a_folder_that_may_not_be_read_or_is_none_is_named(folder: Folder) -> None:
    folder.write("a.csv", "n\n1\n")
    with pytest.raises(SourceFailed, match=r"a\.csv"):
        folder.rows("a.csv/*.csv", columns={"n": "int64"})


def test_options_are_those_of_delta_rs_and_misspelt_ones_are_answered() -> None:
    Files("s3://b", storage_options={"AWS_REGION": "eu-west-1", "aws_allow_http": "true", "timeout": "5s"})
    with pytest.raises(DeclarationError, match=r"no storage option 'AWS_REGOIN'.*Did you mean AWS_REGION\?"):
        Files("s3://b", storage_options={"AWS_REGOIN": "x"})
    number: Any = 1
    with pytest.raises(DeclarationError, match="'AWS_REGION' is a int"):
        Files("s3://b", storage_options={"AWS_REGION": number})
    with pytest.raises(DeclarationError, match="Files has no parameter 'options'"):
        Files("s3://b", options={})  # type: ignore[call-arg] # that is the test
    with pytest.raises(DeclarationError, match=r"the root of the files .* carries credentials"):
        Files("s3://user:password@bucket")


def test_secrets_come_from_variables_and_files_and_are_shown_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAW_SECRET", "a-secret-value")
    (tmp_path / "key").write_text("a-secret-key\n")
    store = Files(
        "s3://bucket/raw",
        storage_options={
            "AWS_SECRET_ACCESS_KEY": dg.EnvVar("RAW_SECRET"),
            "AWS_ACCESS_KEY_ID": tmp_path / "key",
            "AWS_SESSION_TOKEN": "a-secret-token",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "max_retries": "0",
        },
    )
    relation = store.files("*.parquet")
    with relation.store.session() as session, pytest.raises(SourceFailed) as error:
        relation.read(session, Scope())  # type: ignore[arg-type] # a session of files
    shown = "".join(traceback.format_exception(error.value)) + repr(store) + repr(relation) + relation.name
    assert "a-secret" not in shown
    assert "s3://bucket/raw" in str(error.value)
    assert repr(store) == "Files(root_uri='s3://bucket/raw')"


def test_a_variable_that_is_not_set_is_named() -> None:
    store = Files("s3://bucket", storage_options={"AWS_REGION": dg.EnvVar("NO_SUCH_VARIABLE")})
    with pytest.raises(DeclarationError, match="NO_SUCH_VARIABLE, which is not set"):
        store.session().__enter__()


def test_the_kind_is_that_of_the_store() -> None:
    kinds = [
        Files(root).kind for root in (".", "s3://b", "gs://b", "az://b", "abfss://c@a.dfs.core.windows.net")
    ]
    assert kinds == ["file", "s3", "gcs", "azure", "azure"]
