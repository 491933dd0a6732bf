"""What an operator does, on a lake in an object store."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from practicus_assets.errors import VersionGone
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.lake.upkeep.compaction import compact
from practicus_assets.lake.upkeep.diff import diff_versions
from practicus_assets.lake.upkeep.history import read_history
from practicus_assets.lake.upkeep.releases import Release, kept_versions, publish
from practicus_assets.lake.upkeep.retention import checkpoint, remove, unneeded_entries, unneeded_files
from practicus_assets.lake.upkeep.rollback import carry_out, plan_rollback
from practicus_assets.lake.upkeep.verify import verify_files
from tests.kit import partitions, write
from tests.servers.seaweedfs import SeaweedFS

ODD = "a b/%é"
SCOPE = partitions(ODD, "b")


@pytest.fixture
def lake(seaweedfs: SeaweedFS, tmp_path: Path) -> tuple[str, dict[str, str]]:
    return f"{seaweedfs.root_uri}/{tmp_path.name}", seaweedfs.storage_options()


@pytest.fixture
def table(lake: tuple[str, dict[str, str]]) -> Table:
    return Table.at(lake[0], ["t"], lake[1])


def read(snapshot: Snapshot) -> list[int]:
    return sorted(snapshot.scan().read_all()["n"].to_pylist())


def test_a_table_is_looked_at_compacted_and_rolled_back(table: Table) -> None:
    write(table, ODD, 1, 2)
    write(table, "b", 3)
    write(table, ODD, 4)
    assert [(each.rows_in, each.rows_out) for each in read_history(table)] == [(1, 2), (1, 0), (2, 0)]
    [change] = diff_versions(table, 1, 2).partitions
    assert (change.lost, change.gained) == (2, 1)
    carry_out(table, plan_rollback(table, 1, SCOPE, whole=True), Provenance())
    assert read(Snapshot.of(table)) == [1, 2, 3]
    rows = pa.table({"p": [ODD], "n": [9]})
    Transaction(table, options=WriteOptions(partition_by=["p"], mode="append")).write(rows)
    assert compact(table).files_after == 1
    assert read(Snapshot.of(table)) == [1, 2, 3, 9]
    found = verify_files(table, SCOPE, rows=True)
    assert (found.problems, found.files, found.older_files, found.orphans) == ((), 2, 4, 0)
    [lost] = [file.path for file in table.open().files() if file.values["p"] == "b"]
    assert table.delete(lost)
    assert [each.kind for each in verify_files(table).problems] == ["missing file"]


def test_what_nobody_needs_goes_and_what_a_release_needs_stays(
    lake: tuple[str, dict[str, str]], table: Table
) -> None:
    root, options = lake
    for number in range(4):
        write(table, ODD, number)
        if number == 1:
            publish(root, "first", {"t": 1}, options)
            checkpoint(table)
    checkpoint(table)
    time.sleep(1.1)  # the store keeps whole seconds
    keep = kept_versions(root, 1, options)["t"]
    assert remove(table, unneeded_files(table, datetime.now(UTC), keep)) == 2
    assert remove(table, unneeded_entries(table, datetime.now(UTC), keep)) == 1
    assert read(Release.open(root, "first", options).snapshot("t")) == [1]
    assert read(Snapshot.of(table)) == [3]
    with pytest.raises(VersionGone):
        read(Snapshot.of(table, 2))
    with pytest.raises(VersionGone):
        Snapshot.of(table, 0)
    assert verify_files(table, SCOPE, rows=True).problems == ()
