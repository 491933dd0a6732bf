"""Facts about delta-rs on an S3 server."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, Schema, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import create_table_with_add_actions

from tests.servers.seaweedfs import SeaweedFS

AT_ONCE = CommitProperties(max_commit_retries=0)
SCHEMA = Schema.from_arrow(pa.schema([("n", pa.int64())]))


def test_of_two_commits_of_the_same_version_the_second_fails_without_any_option(
    seaweedfs: SeaweedFS, tmp_path: Path
) -> None:
    uri, options = f"{seaweedfs.root_uri}/{tmp_path.name}", seaweedfs.storage_options()
    write_deltalake(uri, pa.table({"n": [0]}), storage_options=options)
    one, other = (DeltaTable(uri, storage_options=options) for _ in range(2))
    schema = one.schema()
    one.create_write_transaction([], "append", schema, commit_properties=AT_ONCE)
    with pytest.raises(CommitFailedError):
        other.create_write_transaction([], "append", schema, commit_properties=AT_ONCE)
    assert DeltaTable(uri, storage_options=options).version() == 1


def created(uri: str, options: dict[str, str], start: threading.Barrier) -> str:
    start.wait()
    try:
        create_table_with_add_actions(
            uri, SCHEMA, [], mode="error", partition_by=[], storage_options=options, commit_properties=AT_ONCE
        )
    except DeltaError as error:
        return f"{type(error).__name__} {error}"
    return "won"


def test_a_creation_that_the_store_refused_is_told_from_one_that_came_too_late_to_ask(
    seaweedfs: SeaweedFS, tmp_path: Path
) -> None:
    uri, options = f"{seaweedfs.root_uri}/{tmp_path.name}", seaweedfs.storage_options()
    results = set()
    for number in range(20):
        start = threading.Barrier(2)
        with ThreadPoolExecutor(2) as threads:
            racers = [threads.submit(created, f"{uri}/{number}", options, start) for _ in range(2)]
        results |= {racer.result() for racer in racers}
    assert "won" in results
    assert "CommitFailedError Failed to commit transaction: 0" in results
    late = created(f"{uri}/0", options, threading.Barrier(1))
    assert late == "DeltaError Generic error: A Delta Lake table already exists at that location."
    assert results <= {"won", "CommitFailedError Failed to commit transaction: 0", late}


def test_an_empty_log_entry_is_read_over_in_silence(tmp_path: Path) -> None:
    write_deltalake(tmp_path, pa.table({"n": [0]}))
    write_deltalake(tmp_path, pa.table({"n": [1]}), mode="append")
    (tmp_path / "_delta_log" / f"{1:020}.json").write_bytes(b"")
    handle = DeltaTable(tmp_path)
    assert handle.version() == 1
    assert handle.count() == 1
