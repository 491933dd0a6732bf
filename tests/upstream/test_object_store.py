"""Facts about delta-rs on an S3 server."""

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError

from tests.servers.seaweedfs import SeaweedFS

AT_ONCE = CommitProperties(max_commit_retries=0)


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
