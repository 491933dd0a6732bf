"""Versions that move: what a run reads of a table after its own commit is what anybody opens."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from practicus_assets.errors import CommitConflict, TableNotFound
from practicus_assets.lake.delta.table import Table, TableVersion
from practicus_assets.lake.transactions.commit_window import CommitWindow
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.transaction import Transaction
from tests.kit import partitions, read, table_of, write


def described(version: TableVersion) -> tuple[object, ...]:
    files = sorted(version.files(), key=lambda file: file.path)
    return version.version, version.id, version.schema, version.features, dict(version.configuration), files


def add_column(table: Table) -> None:
    write(table, "a", 1, 2, more=pa.array([1.5, None]))


def add_naive_times(table: Table) -> None:
    write(table, "a", 1, at=pa.array([0], pa.timestamp("us")))


def replace_partition(table: Table) -> None:
    write(table, "b", 7, 8, 9)


def checkpoint(table: Table) -> None:
    write(table, "a", 5)
    DeltaTable(table.uri).create_checkpoint()
    write(table, "a", 6)


CHANGES = [add_column, add_naive_times, replace_partition, checkpoint]


@pytest.mark.parametrize("change", CHANGES)
def test_a_version_that_moved_is_what_one_opens(tmp_path: Path, change: Callable[[Table], None]) -> None:
    table = Table.from_uri(tmp_path / "t")
    write(table, "a", 1)
    write(table, "b", 2)
    before = table.open()
    before.files()
    change(table)
    newest = table.open()
    assert described(before.moved_to(newest.version)) == described(newest)


@pytest.mark.parametrize("change", CHANGES)
def test_a_version_that_caught_up_is_the_newest_and_what_it_was_stays_known(
    tmp_path: Path, change: Callable[[Table], None]
) -> None:
    table = Table.from_uri(tmp_path / "t")
    write(table, "a", 1)
    write(table, "b", 2)
    before, first = table.open(), described(table.open())
    change(table)
    newest = before.caught_up()
    assert newest is not None
    assert described(newest) == described(table.open())
    assert described(before) == first
    assert newest.caught_up() is newest


def replace_table(table: Table) -> None:
    shutil.rmtree(table.uri)
    for number in range(4):
        write(table, "a", number)


@pytest.mark.parametrize("rows", ["files", "row_count", "schema", "rows"])
def test_a_version_whose_handle_was_taken_gives_nothing_of_another_table_in_its_place(
    tmp_path: Path, rows: str
) -> None:
    table = Table.from_uri(tmp_path / "t")
    write(table, "a", 1)
    before = table.open()
    write(table, "a", 2)
    assert before.caught_up() is not None
    replace_table(table)
    ask = {
        "files": before.files,
        "row_count": lambda: before.row_count,
        "schema": lambda: before.schema,
        "rows": lambda: before.query("SELECT 1"),
    }
    with pytest.raises(CommitConflict, match="t: another table was put in the place"):
        ask[rows]()
    assert before.caught_up() is None


def remove_table(table: Table) -> None:
    shutil.rmtree(table.uri)


def clean_log(table: Table) -> None:
    DeltaTable(table.uri).create_checkpoint()
    for number in range(2):
        (Path(table.uri) / "_delta_log" / f"{number:020}.json").unlink()


@pytest.mark.parametrize("change", [remove_table, clean_log, replace_table])
def test_a_second_window_on_a_table_whose_log_is_gone_is_a_conflict(
    tmp_path: Path, change: Callable[[Table], None]
) -> None:
    table = Table.from_uri(tmp_path / "t")
    write(table, "a", 1)
    began = table.open()
    write(table, "a", 2)
    write(table, "a", 3)
    CommitWindow(table, began).look(in_doubt=False)
    change(table)
    with pytest.raises(CommitConflict, match="the log no longer says who committed what"):
        CommitWindow(table, began).look(in_doubt=False)


def test_a_version_that_is_still_the_newest_keeps_its_list_of_files(tmp_path: Path) -> None:
    table = Table.from_uri(tmp_path / "t")
    write(table, "a", 1)
    version = table.open()
    files = version.files()
    assert version.caught_up() is version
    assert version.files() is files


def damage_entry(table: Table) -> None:
    write(table, "a", 3)
    (Path(table.uri) / "_delta_log" / f"{0:020}.json").write_text("{")


def empty_newest_entry(table: Table) -> None:
    (Path(table.uri) / "_delta_log" / f"{1:020}.json").touch()


@pytest.mark.parametrize("change", [replace_table, damage_entry, empty_newest_entry])
def test_a_version_does_not_catch_up_with_a_log_that_is_not_known_to_be_its_own(
    tmp_path: Path, change: Callable[[Table], None]
) -> None:
    table = Table.from_uri(tmp_path / "t")
    write(table, "a", 1)
    before = table.open()
    change(table)
    assert before.caught_up() is None


def test_a_version_whose_entry_adds_no_file_does_not_catch_up(tmp_path: Path) -> None:
    table = Table.from_uri(tmp_path / "t")
    write(table, "a", 1)
    DeltaTable(table.uri).alter.set_table_properties({"delta.logRetentionDuration": "interval 9 days"})
    assert table.open().caught_up() is None


def test_a_version_moves_to_one_that_others_have_overtaken(tmp_path: Path) -> None:
    table = Table.from_uri(tmp_path / "t")
    for number in range(4):
        write(table, "a", number)
    assert described(table.open(1).moved_to(2)) == described(table.open(2))


def test_a_version_of_a_table_that_is_gone_moves_nowhere(tmp_path: Path) -> None:
    table = Table.from_uri(tmp_path / "t")
    write(table, "a", 1)
    before = table.open()
    shutil.rmtree(table.uri)
    with pytest.raises(TableNotFound):
        before.moved_to(1)


@pytest.mark.parametrize("stored", [{}, {"b": 3}, {"a": 1}, {"b": 3, "a": 1}], ids=str)
def test_a_transaction_knows_the_table_as_its_commit_left_it(tmp_path: Path, stored: dict[str, int]) -> None:
    table = Table.from_uri(tmp_path / "t")
    for key, number in stored.items():
        write(table, key, number)
    transaction = Transaction(table, partitions("a"), WriteOptions(partition_by=["p"]))
    commit = transaction.write(table_of("a", 1))
    write(table, "c", 4)  # somebody else, before the report
    assert commit.changed is ("a" not in stored)
    assert described(transaction.at(commit)) == described(table.open(commit.version))
    assert {row["p"] for row in read(table)} == {*stored, "a", "c"}
