"""Where tables live, and that no secret of the way there is told."""

import traceback
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake.exceptions import CommitFailedError, DeltaError

from practicus_assets.errors import (
    DeclarationError,
    PracticusAssetsError,
    StoreFailed,
    TableNotFound,
    VersionGone,
)
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.transaction import Transaction

SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "hunter2-secret",
    "aws_session_token": "hunter2-token",
    "azure_storage_sas_token": "hunter2-sas",
    "AZURE_STORAGE_CONNECTION_STRING": "hunter2-connection",
    "google_service_account": "hunter2-account",
    "bearer_authorization": "hunter2-bearer",
}


def test_a_table_lives_at_the_root_and_the_parts_of_its_key() -> None:
    assert Table.at("s3://bucket/lake/", ["sales", "orders"]).uri == "s3://bucket/lake/sales/orders"
    assert Table.at("/lake", ["sales", "orders"]).name == "sales/orders"
    azure = "abfss://container@account.dfs.core.windows.net/lake"
    assert Table.at(azure, ["t"]).uri == f"{azure}/t"
    assert Table.at("/lake", ["ü b", "v1.2"]).local_path == Path("/lake/ü b/v1.2")


@pytest.mark.parametrize(
    "part", ["", ".", "..", "a/b", "../x", "a\\b", "a\nb", "a\0b", "_delta_log", "a%2Fb", "a?b", "a#b", "*"]
)
def test_a_key_part_that_could_leave_its_folder_or_be_taken_for_another_is_refused(part: str) -> None:
    for key in ([part], ["ok", part], [part, "ok"]):
        with pytest.raises(DeclarationError, match="cannot name a folder"):
            Table.at("lake", key)


@pytest.mark.parametrize(
    "root",
    [
        "s3://AKIA:hunter2@bucket/lake",
        "https://user:hunter2@host/lake",
        "abfss://user:hunter2@account.dfs.core.windows.net/lake",
        "abfss://hunter2@account.dfs.core.windows.net@x/lake?sig=hunter2",
        "https://account.blob.core.windows.net/lake?sv=1&sig=hunter2",
    ],
)
def test_a_root_that_carries_credentials_is_refused_without_telling_them(root: str) -> None:
    with pytest.raises(DeclarationError, match="carries credentials") as error:
        Table.at(root, ["t"])
    assert "hunter2" not in str(error.value)


def test_a_table_without_root_or_key_is_refused() -> None:
    for root, key in (("", ["t"]), ("lake", [])):
        with pytest.raises(DeclarationError):
            Table.at(root, key)


def test_storage_options_are_in_no_repr(tmp_path: Path) -> None:
    table = Table.at(str(tmp_path), ["t"], SECRETS)
    Transaction(table).write(pa.table({"n": [1]}))
    assert "hunter2" not in f"{table!r} {table} {table.open()!r}"
    assert table == Table.at(str(tmp_path), ["t"])


@pytest.mark.parametrize("kind", [DeltaError, CommitFailedError, OSError, FileNotFoundError, pa.ArrowInvalid])
def test_an_error_is_told_without_the_secrets_that_it_quotes(kind: type[Exception]) -> None:
    table = Table.at("/lake", ["t"], SECRETS | {"region": "here"})
    with pytest.raises(StoreFailed) as error, table.reaching("it"):
        raise kind(f"here: {SECRETS}")
    assert isinstance(error.value.__cause__, kind)
    assert "hunter2" not in "".join(traceback.format_exception(error.value))
    assert str(error.value).startswith("t: it at /lake/t failed: here: {'AWS_SECRET_ACCESS_KEY': '***'")


def test_an_error_whose_text_cannot_be_changed_is_told_as_another() -> None:
    class Stubborn(OSError):
        def __str__(self) -> str:
            return "hunter2-secret"

    with (
        pytest.raises(StoreFailed, match=r"\*\*\*") as error,
        Table.at("/lake", ["t"], SECRETS).reaching("it"),
    ):
        raise Stubborn
    assert "hunter2" not in "".join(traceback.format_exception(error.value))


def test_an_error_of_the_caller_passes_as_it_is() -> None:
    problem = UnicodeDecodeError("utf-8", b"x", 0, 1, "why")
    with pytest.raises(UnicodeDecodeError) as error, Table.at("/lake", ["t"], SECRETS).reaching("it"):
        raise problem
    assert error.value is problem


def test_a_table_that_is_not_there_is_not_made_by_looking(tmp_path: Path) -> None:
    table = Table.at(str(tmp_path), ["t"])
    with pytest.raises(TableNotFound, match=r"Materialize t first"):
        table.open()
    assert table.open_if_exists() is None
    assert not Path(table.uri).exists()


def test_a_version_that_never_was_is_named(tmp_path: Path) -> None:
    table = Table.at(str(tmp_path), ["t"])
    Transaction(table).write(pa.table({"n": [1]}))
    with pytest.raises(VersionGone, match="version 7"):
        table.open(7)


def test_errors_say_where_what_and_what_to_do() -> None:
    error = PracticusAssetsError("It is so.", "Do this.")
    assert str(error) == "It is so. Do this."
    error.table, error.partitions, error.nothing_written = "sales/orders", "2013-07-04", True
    assert str(error) == "sales/orders [2013-07-04]: It is so. Do this. Nothing was written."


def test_a_secret_that_is_part_of_the_path_keeps_the_first_write_possible(tmp_path: Path) -> None:
    options = {"AWS_ACCESS_KEY_ID": tmp_path.name, "AWS_SKIP_SIGNATURE": "true"}
    table = Table.at(str(tmp_path), ["t"], options)
    assert table.open_if_exists() is None
    assert Transaction(table).write(pa.table({"a": [1]})).version == 0


def test_a_password_in_an_endpoint_is_in_no_error() -> None:
    options = {
        "AWS_ENDPOINT_URL": "http://user:PASSW0RD@127.0.0.1:9",
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "x",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "a secret/key",
        "AWS_MAX_RETRIES": "0",
    }
    table = Table.at("s3://bucket", ["t"], options)
    with pytest.raises(Exception) as error:  # noqa: PT011 whatever the store's client raises
        Transaction(table)
    text = "".join(traceback.format_exception(error.value))
    assert "127.0.0.1:9" in text
    assert "PASSW0RD" not in text
    assert "a secret/key" not in text
    assert "a%20secret%2Fkey" not in text


def test_a_root_that_cannot_be_made_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeclarationError) as error:
        Transaction(Table.at(str(tmp_path / "file"), ["t"])).write(pa.table({"a": [1]}))
    assert str(error.value) == (
        f"t: the folder {tmp_path}/file/t cannot be made: Not a directory. "
        "Set root_uri to a folder that this process may write to. Nothing was written."
    )
