"""Reading writes nothing: not for a table that does not exist, and not where nothing can be written."""

import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from practicus_assets.errors import TableNotFound
from practicus_assets.lake.delta.origins import origins
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.lake.upkeep.compaction import compact
from practicus_assets.lake.upkeep.diff import diff_versions
from practicus_assets.lake.upkeep.history import read_history
from practicus_assets.lake.upkeep.releases import Release, releases
from practicus_assets.lake.upkeep.retention import unneeded_entries, unneeded_files
from practicus_assets.lake.upkeep.rollback import plan_rollback
from practicus_assets.lake.upkeep.verify import verify_files

NOW = datetime.now(UTC)

READINGS: dict[str, Callable[[Table], Any]] = {
    "open": lambda table: table.open(),
    "scan": lambda table: Snapshot(table.open()).scan().read_all(),
    "snapshot of a moment": lambda table: Snapshot.of(table, datetime.now(UTC)),
    "history": lambda table: list(read_history(table)),
    "diff": lambda table: diff_versions(table, 0, 1),
    "verify": verify_files,
    "verify rows": lambda table: verify_files(table, rows=True),
    "origins": lambda table: origins(table, 1, Scope(), table.open().schema),
    "plan of a rollback": lambda table: plan_rollback(table, 0, Scope(), whole=True),
    "compaction, dry": lambda table: compact(table, dry_run=True),
    "unneeded files": lambda table: unneeded_files(table, NOW),
    "unneeded entries": lambda table: unneeded_entries(table, NOW),
}


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """Return a lake with one table of two versions, in a folder that is mounted read-only."""
    folder = tmp_path / "lake"
    for number in range(2):
        Transaction(Table.at(str(folder), ["t"])).write(pa.table({"n": [number]}))
    subprocess.run(["/bin/mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["/bin/mount", "-o", "remount,ro,bind", folder], check=True)
        yield folder
    finally:
        subprocess.run(["/bin/umount", folder], check=True)


@pytest.mark.parametrize("reading", READINGS)
def test_a_reading_makes_nothing_where_there_is_no_table(reading: str, tmp_path: Path) -> None:
    with pytest.raises(TableNotFound):
        READINGS[reading](Table.at(str(tmp_path / "lake"), ["t"]))
    assert list(tmp_path.iterdir()) == []


def test_asking_for_releases_makes_nothing(tmp_path: Path) -> None:
    assert releases(str(tmp_path / "lake")) == []
    with pytest.raises(TableNotFound):
        Release.open(str(tmp_path / "lake"))
    assert list(tmp_path.iterdir()) == []


def test_every_reading_works_on_a_read_only_lake(read_only: Path) -> None:
    for reading in READINGS.values():
        reading(Table.at(str(read_only), ["t"]))
        with pytest.raises(TableNotFound):
            reading(Table.at(str(read_only), ["absent"]))
    assert releases(str(read_only)) == []
