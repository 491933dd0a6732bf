"""Tables on S3: the proof that commits are safe there, unsafe options, and errors of a store that fails."""

import traceback
import uuid
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from practicus_assets import DeltaIOManager, StoreFailed, table_asset
from practicus_assets.errors import DeclarationError
from practicus_assets.lake.delta import conditional_puts
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.transaction import Transaction
from tests.faults.proxy import Fault, FaultProxy
from tests.faults.work import Place, Work, attempt, rows
from tests.kit import partitions
from tests.servers.seaweedfs import SeaweedFS

ONE = Work("replace", (), rows("a", "v", 1))


@pytest.fixture
def place(seaweedfs: SeaweedFS) -> Place:
    return Place(f"{seaweedfs.root_uri}/{uuid.uuid4()}", seaweedfs.storage_options())


@pytest.fixture
def proxy(seaweedfs: SeaweedFS) -> Iterator[FaultProxy]:
    with FaultProxy(seaweedfs.endpoint) as running:
        yield running


def through(proxy: FaultProxy, place: Place) -> Place:
    return place.through({"AWS_ENDPOINT_URL": proxy.endpoint, "max_retries": "0"})


def test_an_asset_lives_on_s3(place: Place) -> None:
    @table_asset
    def orders() -> pd.DataFrame:
        return pd.DataFrame({"n": [1, 2]})

    @dg.asset
    def total(orders: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"n": [orders["n"].sum()]})

    lake = DeltaIOManager(root_uri=place.root_uri, storage_options=dict(place.options))
    assert dg.materialize([orders, total], resources={"io_manager": lake}).success
    table = DeltaTable(f"{place.root_uri}/total", storage_options=dict(place.options))
    assert table.to_pandas()["n"].tolist() == [3]


def test_a_store_is_proven_once_a_root_and_once_a_table(place: Place, proxy: FaultProxy) -> None:
    conditional_puts._proven.clear()
    here = through(proxy, place)
    proxy.arm()
    assert attempt(ONE, here).kind == "landed"
    assert any("_conditional_puts-" in request for request in proxy.seen().requests)
    other = Table.at(place.root_uri, ["other"], here.options)
    proxy.arm()
    Transaction(other).write(pa.table({"n": [1]}))
    assert not any("_conditional_puts-" in request for request in proxy.seen().requests)
    conditional_puts._proven.clear()  # as in a new process
    proxy.arm()
    assert attempt(Work("append", ("a",), rows("a", "v", 2)), here).kind == "landed"
    assert not any("_conditional_puts-" in request for request in proxy.seen().requests)


def test_the_proof_leaves_nothing_behind(place: Place) -> None:
    conditional_puts._proven.clear()
    attempt(ONE, place)
    files = place.table.filesystem().get_file_info(pa.fs.FileSelector("", recursive=True))
    assert not [file.path for file in files if "_conditional_puts" in file.path and file.size]


def test_a_table_of_another_writer_is_proven_before_the_first_commit_to_it(
    place: Place, proxy: FaultProxy
) -> None:
    options = dict(place.options)
    DeltaTable.create(place.table.uri, pa.schema([("n", pa.int64())]), storage_options=options)
    conditional_puts._proven.clear()
    here = through(proxy, place).table
    proxy.arm()
    Transaction(here).write(pa.table({"n": [1]}))
    assert any("_conditional_puts-" in request for request in proxy.seen().requests)


@pytest.mark.parametrize("setting", ["storage_options", "environment"])
@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("AWS_S3_ALLOW_UNSAFE_RENAME", "true", "overwrite another"),
        ("aws_s3_allow_unsafe_rename", "1", "overwrite another"),
        ("AWS_CONDITIONAL_PUT", "disabled", "switches off"),
        ("conditional_put", "dynamo:locks", "switches off"),
        ("AWS_COPY_IF_NOT_EXISTS", "multipart", "another way"),
        ("AWS_S3_LOCKING_PROVIDER", "dynamodb", "another way"),
    ],
)
def test_options_that_make_commits_unsafe_are_refused(  # noqa: PLR0917 parameters of the test
    place: Place, name: str, value: str, why: str, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = place
    if setting == "environment":
        monkeypatch.setenv(name, value)
    else:
        here = place.through({name: value})
    with pytest.raises(DeclarationError, match=why) as error:
        ONE.begin(here)
    assert f"{name}={value} in " in str(error.value)
    assert setting in str(error.value)
    assert str(error.value).endswith("Nothing was written.")
    monkeypatch.undo()
    assert place.state() is None


@pytest.mark.parametrize(
    ("name", "value"), [("AWS_S3_ALLOW_UNSAFE_RENAME", "false"), ("AWS_CONDITIONAL_PUT", "etag")]
)
def test_options_that_change_nothing_are_taken(place: Place, name: str, value: str) -> None:
    assert attempt(ONE, place.through({name: value})).kind == "landed"


def test_options_of_s3_do_not_matter_to_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_S3_ALLOW_UNSAFE_RENAME", "true")
    assert attempt(ONE, Place(str(tmp_path))).kind == "landed"


def test_a_store_that_is_away_is_named_with_the_table_and_what_to_do(
    place: Place, proxy: FaultProxy, seaweedfs: SeaweedFS
) -> None:
    attempt(ONE, place)
    proxy.arm(Fault("503 before", 1, count=1_000_000))
    with pytest.raises(StoreFailed) as error:
        Transaction(through(proxy, place).table, partitions("a"), WriteOptions(partition_by=["p"]))
    text = str(error.value)
    assert text.startswith("t [a]: the table's log at s3://")
    assert "503 Service Unavailable" in text
    assert text.endswith("and run again. Nothing was written.")
    assert seaweedfs.secret_key not in "".join(traceback.format_exception(error.value))


def test_wrong_credentials_are_told_as_such(place: Place) -> None:
    outcome = attempt(ONE, place.through({"AWS_SECRET_ACCESS_KEY": "wrong-secret-key", "max_retries": "0"}))
    assert outcome.error == "StoreFailed"
    assert "403 Forbidden" in outcome.text
    assert "credentials" in outcome.text
    assert "wrong-secret-key" not in outcome.text


def test_a_lost_answer_to_a_commit_is_success(place: Place, proxy: FaultProxy) -> None:
    attempt(ONE, place)
    work = Work("append", ("a",), rows("a", "v", 2))
    proxy.arm(Fault("cut after", 1, "commits"))
    assert attempt(work, through(proxy, place)).version == 1
    assert place.state() == work.after(ONE.after(None))


def test_a_commit_that_delta_rs_itself_asks_for_twice_is_found_and_not_taken_for_a_conflict(
    place: Place, proxy: FaultProxy
) -> None:
    attempt(ONE, place)
    work = Work("append", ("a",), rows("a", "v", 2))
    proxy.arm(Fault("500 after", 1, "commits"))
    patient = place.through({"AWS_ENDPOINT_URL": proxy.endpoint, "max_retries": "3"})
    assert attempt(work, patient).version == 1
    assert [request for request in proxy.seen().requests if request.endswith("if-none-match")][1:2]
    assert place.state() == work.after(ONE.after(None))


def test_a_commit_that_arrives_after_the_deadline_is_found_by_the_next_attempt(
    place: Place, proxy: FaultProxy
) -> None:
    attempt(ONE, place)
    work = Work("append", ("a",), rows("a", "v", 2))
    proxy.arm(Fault("late request", 1, "commits"))
    first = attempt(work, through(proxy, place).through({"timeout": "0.4s"}))
    assert first.error == "CommitStateUnknown"
    assert "Staged files are kept" in first.text
    assert "Nothing was written" not in first.text
    proxy.seen()  # the request has arrived
    assert attempt(work.again(), place).version == 1
    assert place.state() == work.after(ONE.after(None))
