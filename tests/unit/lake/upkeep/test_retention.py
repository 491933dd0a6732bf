import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from practicus_assets.errors import RemovalRefused, VersionGone
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.lake.upkeep.compaction import compact
from practicus_assets.lake.upkeep.retention import (
    Removable,
    checkpoint,
    remove,
    unneeded_entries,
    unneeded_files,
)
from practicus_assets.lake.upkeep.verify import verify_files
from tests.kit import partitions, write

Files = Callable[[Table], set[str]]
Read = Callable[[Table], list[dict[str, Any]]]


def age(table: Table, hours: float) -> None:
    """Make all that is there now older, as the store's clock has it."""
    for path in Path(table.uri).rglob("*"):
        then = path.stat().st_mtime - hours * 3600
        os.utime(path, (then, then))


def ago(hours: float) -> datetime:
    return datetime.now(UTC) - timedelta(hours=hours)


def vacuum(table: Table, cutoff: datetime, *keep: int) -> int:
    return remove(table, unneeded_files(table, cutoff, keep))


def test_files_of_versions_before_the_cutoff_go_and_all_others_stay(
    table: Table, parquet_files: Files
) -> None:
    write(table, "a", 1)
    age(table, 100)
    write(table, "a", 2)
    age(table, 100)
    write(table, "a", 3)
    age(table, 10)
    assert vacuum(table, ago(205)) == 0  # version 0 was the newest then
    assert vacuum(table, ago(50)) == 1  # version 1 was
    assert len(parquet_files(table)) == 2
    assert Snapshot.of(table, 1).scan().read_all()["n"].to_pylist() == [2]
    with pytest.raises(VersionGone):
        Snapshot.of(table, 0).scan().read_all()
    assert vacuum(table, ago(5)) == 1
    assert verify_files(table).problems == ()


def test_what_a_reader_pinned_before_the_cutoff_was_over_stays_readable(table: Table) -> None:
    write(table, "a", 1)
    age(table, 100)
    moment = ago(20)
    write(table, "a", 2)
    pinned = Snapshot.of(table, moment)
    vacuum(table, moment)
    assert pinned.scan().read_all()["n"].to_pylist() == [1]


def test_files_being_staged_stay_whatever_the_cutoff(table: Table, rows: Read) -> None:
    write(table, "a", 1)
    age(table, 100)

    def slow() -> Iterator[pa.RecordBatch]:
        for number in (2, 3):
            yield pa.record_batch({"p": ["a"], "n": pa.array([number], pa.int64())})
            time.sleep(0.01)
            assert vacuum(table, datetime.now(UTC)) == 0

    Transaction(table, options=WriteOptions(partition_by=["p"])).write(slow())
    assert [row["n"] for row in rows(table)] == [2, 3]


def test_orphans_go_once_they_are_older_than_a_day_and_the_cutoff(table: Table, parquet_files: Files) -> None:
    write(table, "a", 1)
    orphan = Path(table.uri, "p=a", "part-left.parquet")
    pq.write_table(pa.table({"n": [1]}), orphan)
    age(table, 20)
    assert vacuum(table, datetime.now(UTC)) == 0
    age(table, 5)
    assert vacuum(table, ago(26)) == 0
    assert vacuum(table, ago(24)) == 1
    assert not orphan.exists()
    assert len(parquet_files(table)) == 1


def test_versions_that_are_to_be_kept_stay_readable(table: Table) -> None:
    for number in range(4):
        write(table, "a", number)
    age(table, 100)
    assert vacuum(table, ago(1), 1) == 2
    assert Snapshot.of(table, 1).scan().read_all()["n"].to_pylist() == [1]


def test_a_version_that_is_to_be_kept_and_is_lost_keeps_everything(
    table: Table, parquet_files: Files
) -> None:
    write(table, "a", 1)
    write(table, "a", 2)
    age(table, 100)
    with pytest.raises(RemovalRefused, match="version 7 of t, which is to be kept, cannot be opened"):
        unneeded_files(table, ago(1), [7])
    assert len(parquet_files(table)) == 2


def test_tables_inside_of_its_folder_are_not_touched(table: Table, rows: Read) -> None:
    write(table, "a", 1)
    inner = Table.at(table.uri, ["inner"])
    write(inner, "a", 5)
    deeper = Table.at(table.uri, ["x", "y"])
    write(deeper, "a", 6)
    age(table, 100)
    assert vacuum(table, ago(1)) == 0
    assert [row["n"] for row in (*rows(inner), *rows(deeper))] == [5, 6]


def test_hidden_folders_and_other_files_are_not_touched(table: Table) -> None:
    write(table, "a", 1)
    others = [Path(table.uri, name) for name in ("_change_data/x.parquet", ".tmp/y.parquet", "notes.txt")]
    for path in others:
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    age(table, 100)
    assert vacuum(table, ago(1)) == 0
    assert all(path.exists() for path in others)


def test_partition_columns_with_a_leading_underscore_are_not_hidden(table: Table) -> None:
    for number in (1, 2):
        write_deltalake(
            table.uri, pa.table({"_p": ["a"], "n": [number]}), partition_by=["_p"], mode="overwrite"
        )
    age(table, 100)
    assert vacuum(table, ago(1)) == 1


@pytest.mark.parametrize("p", ["a b/%é", "x=y", "ünï", "a+b&c", "100%", "日本"])
def test_odd_partition_values_are_compared_as_they_lie_in_the_folder(
    table: Table, rows: Read, p: str
) -> None:
    for number in (1, 2):
        write(table, p, number)
    write_deltalake(table.uri, pa.table({"p": [p], "n": [3]}), mode="append")
    age(table, 100)
    assert vacuum(table, ago(1)) == 1
    assert [row["n"] for row in rows(table)] == [2, 3]


def test_nothing_goes_if_a_file_of_the_table_is_missing(table: Table, parquet_files: Files) -> None:
    write(table, "a", 1)
    write(table, "a", 2)
    write(table, "b", 3)
    age(table, 100)
    next(Path(table.uri).glob("p=b/*.parquet")).unlink()
    with pytest.raises(RemovalRefused, match=r"t lacks 1 file of its log, e.g. p=b/.*Nothing was removed"):
        unneeded_files(table, ago(1))
    assert len(parquet_files(table)) == 2


def test_a_file_that_a_commit_named_meanwhile_stays(table: Table) -> None:
    write(table, "a", 1)
    age(table, 100)
    write(table, "a", 2)
    found = unneeded_files(table, datetime.now(UTC))
    [path] = found.paths
    later = Removable(found.cutoff, -1, found.paths, found.bytes)  # as if it had been found out before
    assert remove(table, later) == 0
    assert Path(table.uri, path).exists()
    assert remove(table, found) == 1


def test_log_entries_before_the_newest_old_checkpoint_go(table: Table, rows: Read) -> None:
    for number in range(6):
        write(table, "a", number, mode="append")
        if number in {1, 3}:
            checkpoint(table)
    age(table, 100)
    write(table, "a", 6, mode="append")
    assert unneeded_entries(table, ago(101)).paths == ()
    found = unneeded_entries(table, ago(50))
    assert remove(table, found) == len(found.paths) > 0
    left = sorted(path.name for path in Path(table.uri, "_delta_log").iterdir())
    assert left[:2] == [f"{3:020}.checkpoint.parquet", f"{3:020}.json"]
    assert [row["n"] for row in rows(table)] == list(range(7))
    assert verify_files(table, rows=True).problems == ()
    for version in (3, 4, 5, 6):
        assert table.open(version).version == version


def test_log_entries_of_versions_to_be_kept_stay(table: Table) -> None:
    for number in range(4):
        write(table, "a", number)
        checkpoint(table)
    age(table, 100)
    remove(table, unneeded_entries(table, ago(1), [1]))
    assert [table.open(version).version for version in (1, 2, 3)] == [1, 2, 3]
    with pytest.raises(VersionGone):
        table.open(0)


def test_a_damaged_checkpoint_is_not_relied_upon(table: Table) -> None:
    for number in range(3):
        write(table, "a", number)
        if number == 1:
            checkpoint(table)
    age(table, 100)
    write(table, "a", 3)
    checkpoint(table)
    Path(table.uri, "_delta_log", f"{1:020}.checkpoint.parquet").write_bytes(b"broken")
    assert unneeded_entries(table, ago(1)).paths == ()


@pytest.mark.parametrize("by_us", [True, False])
def test_a_checkpoint_expires_nothing_by_itself(table: Table, *, by_us: bool) -> None:
    if by_us:
        write(table, "a", 0)
    else:
        write_deltalake(table.uri, pa.table({"p": ["a"], "n": [0]}), partition_by=["p"])
    DeltaTable(table.uri).alter.set_table_properties({"delta.logRetentionDuration": "interval 1 days"})
    for number in range(3):
        write(table, "a", number, mode="append")
        age(table, 100)
        checkpoint(table)
    age(table, 100)
    checkpoint(table)
    assert table.open(0).version == 0


def test_checkpoints_beside_writers_land(table: Table, rows: Read) -> None:
    write_deltalake(table.uri, pa.table({"p": ["a"], "n": [0]}), partition_by=["p"])
    threads = [
        threading.Thread(target=write, args=(table, "a", n), kwargs={"mode": "append"}) for n in (1, 2, 3)
    ]
    for thread in threads:
        thread.start()
    checkpoint(table)
    for thread in threads:
        thread.join(60)
    assert [row["n"] for row in rows(table)] == [0, 1, 2, 3]


def test_maintenance_beside_writers_loses_and_doubles_nothing(table: Table, rows: Read) -> None:
    keys = ("a", "b", "c")
    for number in range(3):
        for p in keys:
            write(table, p, number)
    checkpoint(table)
    age(table, 100)
    began = datetime.now(UTC)
    done = threading.Event()

    def replace(p: str) -> None:
        for number in range(10):
            write(table, p, number)
            write(table, p, 100 + number, mode="append")

    def tidy() -> None:
        while not done.is_set():
            compact(table)
            checkpoint(table)
            vacuum(table, began)
            remove(table, unneeded_entries(table, began))

    with ThreadPoolExecutor() as pool:
        keeper = pool.submit(tidy)
        try:
            list(pool.map(replace, keys))
        finally:
            done.set()
        keeper.result()
    assert sorted((row["p"], row["n"]) for row in rows(table)) == [
        (p, number) for p in keys for number in (9, 109)
    ]
    assert verify_files(table, partitions(*keys), rows=True).problems == ()
    with pytest.raises(VersionGone):
        table.open(0)


def test_a_log_that_begins_after_the_cutoff_keeps_everything(table: Table) -> None:
    for number in range(3):
        write(table, "a", number)
    checkpoint(table)
    age(table, 100)
    remove(table, unneeded_entries(table, ago(1)))
    found = unneeded_files(table, ago(200))
    assert found.paths == ()
    assert found.held.startswith("the log begins later")
    assert vacuum(table, ago(1)) == 2


def test_an_attempt_whose_commit_is_in_the_log_is_still_found_after_expiry(table: Table) -> None:
    who = Provenance(run_id="run", step="step")
    landed = Transaction(table, provenance=who).write(pa.table({"n": [1]}))
    checkpoint(table)
    age(table, 100)
    remove(table, unneeded_entries(table, ago(1)))
    again = Transaction(table, provenance=who)
    assert again.landed is not None
    assert again.landed.version == landed.version


def test_commits_leave_the_expiry_of_the_log_to_maintenance(table: Table) -> None:
    write_deltalake(table.uri, pa.table({"p": ["a"], "n": [0]}), partition_by=["p"])
    properties = {"delta.logRetentionDuration": "interval 1 days", "delta.checkpointInterval": "2"}
    DeltaTable(table.uri).alter.set_table_properties(properties)
    for number in range(6):
        age(table, 100)
        write(table, "a", number, mode="append")
        write(table, "a", number + 10, mode="append")
        compact(table)
    assert (Path(table.uri, "_delta_log") / f"{0:020}.json").exists()
    assert any(Path(table.uri, "_delta_log").glob("*.checkpoint.parquet"))


@pytest.mark.parametrize(
    ("durations", "files", "reachable"),
    [
        ({}, 1, False),
        ({"logRetention": "interval 1 hour", "deletedFileRetention": "interval 1 hour"}, 1, False),
        ({"logRetention": "interval 15 days"}, 1, True),
        ({"deletedFileRetention": "interval 15 days"}, 3, True),
        ({"deletedFileRetention": "INTERVAL 99999999 weeks"}, 3, True),
    ],
)
def test_files_and_log_entries_stay_as_long_as_the_properties_of_the_table_say(
    table: Table, parquet_files: Files, durations: dict[str, str], files: int, *, reachable: bool
) -> None:
    for number in (1, 2, 3):  # 100 hours apart
        Transaction(table).write(pa.table({"n": [number]}))
        checkpoint(table)
        age(table, 100)
    properties = {f"delta.{name}Duration": text for name, text in durations.items()}
    DeltaTable(table.uri).alter.set_table_properties({"delta.checkpointInterval": "50", **properties})
    age(table, 10)
    vacuum(table, ago(5))
    assert len(parquet_files(table)) == files
    remove(table, unneeded_entries(table, ago(5)))
    assert (Path(table.uri, "_delta_log") / f"{0:020}.json").exists() is reachable
