import uuid

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from practicus_assets.errors import VersionGone
from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.delta.record import InputVersion
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.options import Mode, WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.lake.upkeep.compaction import compact
from practicus_assets.lake.upkeep.history import read_history, version_of
from practicus_assets.lake.upkeep.retention import checkpoint
from tests.kit import partitions, table_of


def write(table: Table, numbers: list[int], run_id: str | None = None, mode: Mode = "replace") -> None:
    inputs = [InputVersion("up", 3)]
    who = Provenance(run_id=run_id or str(uuid.uuid4()), step="s", asset_key="t", inputs=inputs)
    rule = Contract({"n": Column("int64", minimum=2, severity="WARN")})
    transaction = Transaction(
        table, partitions("a"), WriteOptions(partition_by=["p"], mode=mode), contract=rule, provenance=who
    )
    transaction.write(table_of("a", *numbers))


def test_each_commit_says_who_what_and_how_many_rows(table: Table) -> None:
    write(table, [1, 2, 3], "run-one")
    write(table, [4, 5], "run-two")
    second, first = read_history(table)
    assert (first.version, first.operation, first.rows_in, first.rows_out) == (0, "replace", 3, 0)
    assert (second.version, second.rows_in, second.rows_out) == (1, 2, 3)
    assert (second.run_id, second.step, second.asset_key, second.scope) == ("run-two", "s", "t", "p=a")
    assert first.audits["n_minimum"] == 1
    assert first.findings == {"n_minimum": "1 bad row"}
    assert (second.audits["n_minimum"], second.findings) == (0, {})
    assert second.inputs == {"up": 3}
    assert first.landed < second.landed


def test_rows_that_went_are_counted_although_their_commit_is_not_shown(table: Table) -> None:
    write(table, [1, 2, 3])
    write(table, [4])
    [newest] = read_history(table, limit=1)
    assert (newest.version, newest.rows_in, newest.rows_out) == (1, 1, 3)


def test_commits_of_others_are_shown_by_their_own_words(table: Table) -> None:
    write(table, [1])
    write_deltalake(table.uri, pa.table({"p": ["b"], "n": [9]}), mode="append")
    DeltaTable(table.uri).delete("n = 9")
    deleted, written, _ = read_history(table)
    assert (written.operation, written.scope, written.rows_in) == ("write", "p=b", 1)
    assert (deleted.operation, deleted.rows_in, deleted.rows_out) == ("delete", 0, 1)
    assert "delta-rs" in written.engine
    assert written.run_id == ""


def test_a_compaction_is_shown_as_one_that_changed_no_rows(table: Table) -> None:
    write(table, [1])
    write(table, [2], mode="append")
    compact(table, run_id="keeper")
    newest = next(read_history(table))
    assert (newest.operation, newest.run_id, newest.changes_rows) == ("compact", "keeper", False)
    assert (newest.files_in, newest.files_out, newest.rows_in, newest.rows_out) == (1, 2, 2, 2)


def test_history_ends_where_the_log_was_cleaned_up(table: Table) -> None:
    for number in range(3):
        write(table, [number])
    checkpoint(table)
    for version in (0, 1):
        table.filesystem().delete_file(f"_delta_log/{version:020}.json")
    assert [each.version for each in read_history(table)] == [2]


def test_a_version_is_named_by_its_number_or_by_the_run_that_made_it(table: Table) -> None:
    write(table, [1], "aaaaaaaa-1")
    write(table, [2], "bbbbbbbb-1")
    write(table, [3], "bbbbbbbb-2")
    assert version_of(table, "0") == 0
    assert version_of(table, "aaaaaa") == 0
    assert version_of(table, "bbbbbbbb-2") == 2
    for wrong, why in (
        ("7", "2 is the newest"),
        ("bbbbbbbb", "2 runs"),
        ("cccccc", "no runs"),
        ("a", "1 runs"),
    ):
        with pytest.raises(VersionGone, match=why):
            version_of(table, wrong)
