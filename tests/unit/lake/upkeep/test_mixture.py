"""Which versions belong together in a release: by the rows that were read, not by version numbers."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from practicus_assets.errors import ReleaseRefused
from practicus_assets.lake.delta.log import entries
from practicus_assets.lake.delta.record import InputVersion
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.lake.upkeep.compaction import compact
from practicus_assets.lake.upkeep.releases import publish
from practicus_assets.lake.upkeep.retention import remove, unneeded_files
from practicus_assets.lake.upkeep.rollback import carry_out, plan_rollback
from tests.kit import as_of_an_older_release, partitions, table_of, write

MARCH, APRIL = "2024-03", "2024-04"


class Lake:
    """`weather` by month, and `weather_log`, which is computed from it."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.weather, self.weather_log = (Table.at(root, [name]) for name in ("weather", "weather_log"))

    def log(self, month: str) -> int:
        """Compute a month of `weather_log` from the same month of `weather`."""
        snapshot = Snapshot.of(self.weather, scope=partitions(month))
        read = InputVersion(
            "weather",
            snapshot.version,
            snapshot.table_id,
            partitions(month).on(snapshot.schema).recorded,
        )
        transaction = Transaction(
            self.weather_log,
            partitions(month),
            WriteOptions(partition_by=["p"]),
            provenance=Provenance(inputs=[read]),
        )
        return transaction.write(pa.table(snapshot.scan())).version

    def roll_back(self, table: Table, to: int, *months: str) -> None:
        plan = plan_rollback(table, to, partitions(*(months or (MARCH, APRIL))), whole=not months)
        carry_out(table, plan, Provenance(), undo_newer=True)

    def publish(self, **options: Any) -> None:
        versions = {table.name: table.open().version for table in (self.weather, self.weather_log)}
        publish(self.root, f"release of {versions}", versions, **options)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(str(tmp_path / "lake"))
    write(lake.weather, MARCH, 1, 2)
    lake.log(MARCH)
    return lake


def test_an_input_that_gained_partitions_which_were_not_read_is_no_mixture(lake: Lake) -> None:
    write(lake.weather, APRIL, 3)
    lake.publish()


def test_an_input_whose_read_partition_changed_is_refused_by_name_with_what_to_do(lake: Lake) -> None:
    write(lake.weather, MARCH, 1, 9)
    write(lake.weather, APRIL, 3)
    with pytest.raises(ReleaseRefused) as refused:
        lake.publish()
    assert str(refused.value) == (
        "version 0 of weather_log was computed from version 0 of weather, and the release would have "
        "version 2: its rows of p=2024-03 differ. Nothing was written. Materialize weather_log first, or "
        "allow it with --mixed (mixed=True in Python)."
    )
    lake.publish(mixed=True)


def test_other_versions_with_the_same_rows_are_no_mixture(lake: Lake) -> None:
    write(lake.weather, MARCH, 9)
    lake.roll_back(lake.weather, 0)
    compact(lake.weather, order_by=["n"])
    lake.publish()


def test_a_rollback_keeps_the_inputs_of_the_rows_it_brings_back(lake: Lake) -> None:
    write(lake.weather, MARCH, 9)
    lake.log(MARCH)
    lake.publish()
    lake.roll_back(lake.weather_log, 0)
    [entry] = entries(lake.weather_log, 2, 2)
    assert entry.record is not None
    assert [(read.table, read.version) for read in entry.record.inputs] == [("weather", 0)]
    with pytest.raises(ReleaseRefused, match="version 2 of weather_log was computed from version 0"):
        lake.publish()


def test_a_rollback_that_only_empties_a_partition_does_not_hide_what_the_rest_was_computed_from(
    lake: Lake,
) -> None:
    write(lake.weather, APRIL, 3)
    lake.log(APRIL)
    write(lake.weather, MARCH, 9)
    lake.roll_back(lake.weather_log, 0)
    with pytest.raises(ReleaseRefused, match="its rows of p=2024-03 differ"):
        lake.publish()


def test_a_whole_table_that_goes_back_has_the_inputs_of_its_rows(tmp_path: Path) -> None:
    up, down = (Table.at(str(tmp_path), [name]) for name in ("up", "down"))
    for number in (1, 2):
        Transaction(up).write(table_of("x", number))
        who = Provenance(inputs=[InputVersion("up", up.open().version, up.open().id)])
        Transaction(down, provenance=who).write(table_of("x", number))
    publish(str(tmp_path), "together", {"up": 1, "down": 1})
    carry_out(down, plan_rollback(down, 0, Scope(), whole=True), Provenance())
    with pytest.raises(ReleaseRefused, match="version 2 of down was computed from version 0 of up"):
        publish(str(tmp_path), "mixed", {"up": 1, "down": 2})
    publish(str(tmp_path), "older", {"up": 0, "down": 2})


def test_rows_of_two_releases_are_compared_themselves_and_not_by_their_fingerprints(tmp_path: Path) -> None:
    up, down = (Table.at(str(tmp_path), [name]) for name in ("up", "down"))
    Transaction(up).write(table_of("x", 1))
    who = Provenance(inputs=[InputVersion("up", 0, up.open().id)])
    Transaction(down, provenance=who).write(table_of("x", 1))
    as_of_an_older_release(up, 0, table_of("x", 1))
    Transaction(up).write(table_of("x", 1).to_reader())
    publish(str(tmp_path), "the same rows", {"up": 1, "down": 0})
    Transaction(up).write(table_of("x", 2))
    with pytest.raises(ReleaseRefused, match="its rows differ"):
        publish(str(tmp_path), "others", {"up": 2, "down": 0})


def test_an_input_that_was_deleted_and_created_again_is_refused(lake: Lake) -> None:
    shutil.rmtree(lake.weather.uri)
    write(lake.weather, MARCH, 1, 2)
    with pytest.raises(ReleaseRefused, match="the table was deleted and created again in between"):
        lake.publish()


def test_rows_that_can_no_longer_be_compared_are_refused_unless_the_log_says_they_are_the_same(
    lake: Lake,
) -> None:
    write(lake.weather, MARCH, 3, mode="append")
    write(lake.weather, MARCH, 4, mode="append")
    lake.log(MARCH)
    compact(lake.weather)
    now = datetime.now(UTC)
    remove(lake.weather, unneeded_files(lake.weather, now))
    lake.publish()  # a compaction changes no rows
    write(lake.weather, MARCH, 3)
    remove(lake.weather, unneeded_files(lake.weather, datetime.now(UTC)))
    with pytest.raises(ReleaseRefused, match=r"the two cannot be compared \(the file p=2024-03/"):
        lake.publish()


def test_commits_of_other_writers_are_compared_by_their_rows(lake: Lake) -> None:
    write_deltalake(lake.weather.uri, table_of(APRIL, 5), mode="append")
    lake.publish()
    DeltaTable(lake.weather.uri).delete("p = '2024-03' AND n = 1")
    with pytest.raises(ReleaseRefused, match="its rows of p=2024-03 differ"):
        lake.publish()
