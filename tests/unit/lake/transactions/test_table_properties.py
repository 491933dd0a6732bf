"""What a table is created with beside its rows: properties, a description, comments of columns."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from practicus_assets.errors import DeclarationError, UnsupportedTable
from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.lake.upkeep.compaction import compact
from tests.kit import Row, log, partitions, read, table_of

Read = Callable[[Table], list[Row]]

FEED = {"delta.enableChangeDataFeed": "true"}


def begin(
    table: Table, scope: Scope | None = None, contract: Contract | None = None, **options: Any
) -> Transaction:
    return Transaction(table, scope, WriteOptions(partition_by=["p"], **options), contract=contract)


def comments(table: Table) -> dict[str, str | None]:
    """Return the comment of each column, as delta-rs reads it."""
    return {field.name: field.metadata.get("comment") for field in DeltaTable(table.uri).schema().fields}


# --- what can be declared -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("properties", "text"),
    [
        ({"delta.enableChangeDataFed": "true"}, "Did you mean delta.enableChangeDataFeed?"),
        ({"enableChangeDataFeed": "true"}, "Did you mean delta.enableChangeDataFeed?"),
        (
            {"delta.nightly": "1"},
            "'delta.nightly' cannot be declared. These can be declared: .*checkpointInterval",
        ),
        (
            {"team": "sales"},
            "'team' cannot be declared. delta-rs creates tables with Delta's own properties alone",
        ),
        ({"delta.enableChangeDataFeed": True}, "'delta.enableChangeDataFeed' is True. Write .* \"true\""),
        ({"delta.enableChangeDataFeed": "false"}, "is 'false'. Write a text such as \"true\""),
        (
            {"delta.logRetentionDuration": "30 days"},
            "is '30 days'. Write a text such as \"interval 30 days\"",
        ),
        ({"delta.checkpointInterval": "0"}, "is '0'. Write a text such as \"20\""),
        ({"delta.columnMapping.mode": "name"}, "refused by every write here"),
        ({"delta.enableDeletionVectors": "true"}, "refused by every write here"),
        ({"delta.enableRowTracking": "true"}, "refused by every write here"),
        ({"delta.enableInCommitTimestamps": "true"}, "refused by every write here"),
        ({"delta.constraints.positive": "n > 0"}, "Declare the rule in the contract"),
        ({"delta.feature.changeDataFeed": "supported"}, "the protocol follows from"),
        ({"delta.minWriterVersion": "7"}, "the protocol follows from"),
        ({"delta.enableExpiredLogCleanup": "true"}, "practicus-assets maintain expires the log"),
        ({"delta.setTransactionRetentionDuration": "interval 1 day"}, "a retry finds the commit"),
        (
            {"delta.appendOnly": "true"},
            "delta.appendOnly keeps its rows, and mode='replace' would replace some",
        ),
        (["delta.appendOnly"], "Write a mapping from names to texts"),
    ],
)
def test_a_property_that_would_not_be_kept_is_refused_with_what_to_do(properties: Any, text: str) -> None:
    with pytest.raises(DeclarationError, match=text):
        WriteOptions(table_properties=properties)


# --- what a table is created with ---------------------------------------------------------------------


@pytest.mark.parametrize(("declared", "every"), [({}, 20), ({"delta.checkpointInterval": "8"}, 8)])
def test_a_table_has_a_checkpoint_each_twenty_commits_or_as_often_as_it_declares(
    table: Table, declared: dict[str, str], every: int
) -> None:
    for number in range(2 * every):
        begin(table, mode="append", table_properties=declared).write(table_of("a", number))
    names = sorted(path.name for path in Path(table.uri, "_delta_log").glob("*.checkpoint.parquet"))
    versions = [int(name.partition(".")[0]) for name in names]
    assert versions[-1] - versions[0] == every
    assert versions[0] <= every


def test_a_table_is_created_with_its_properties_in_the_commit_of_its_first_rows(table: Table) -> None:
    properties = {
        **FEED,
        "delta.logRetentionDuration": "interval 60 days",
        "delta.deletedFileRetentionDuration": "interval 2 weeks",
        "delta.checkpointInterval": "2",
    }
    begin(table, table_properties=properties).write(table_of("a", 1))
    kept = {"delta.enableExpiredLogCleanup": "false"}  # what every table here has
    assert DeltaTable(table.uri, version=0).metadata().configuration == {**properties, **kept}
    assert read(table) == [{"p": "a", "n": 1}]
    for number in (2, 3):
        begin(table, mode="append", table_properties=properties).write(table_of("a", number))
    assert list(Path(table.uri, "_delta_log").glob("*.checkpoint.parquet"))


def test_the_change_feed_is_read_from_the_first_version_on(table: Table) -> None:
    begin(table, table_properties=FEED).write(table_of("a", 1))
    begin(table, partitions("a"), table_properties=FEED).write(table_of("a", 2))
    begin(table, mode="append", table_properties=FEED).write(table_of("b", 3))
    compact(table)
    changes = pa.table(DeltaTable(table.uri).load_cdf(0).read_all()).to_pylist()
    assert sorted((row["_commit_version"], row["_change_type"], row["n"]) for row in changes) == [
        (0, "insert", 1),
        (1, "delete", 1),
        (1, "insert", 2),
        (2, "insert", 3),
    ]
    [protocol] = [action["protocol"] for action in log(table, 0) if "protocol" in action]
    assert protocol == {"minReaderVersion": 1, "minWriterVersion": 4}  # 4 is the one with change feeds


@pytest.mark.parametrize("at_once", [True, False])
def test_a_change_feed_and_times_without_zone_are_both_in_the_protocol(
    table: Table, *, at_once: bool
) -> None:
    naive = pa.array([datetime(2024, 1, 1)], pa.timestamp("us"))  # noqa: DTZ001 a time without zone
    if not at_once:
        begin(table, table_properties=FEED).write(table_of("a", 1))
    begin(table, table_properties=FEED).write(table_of("a", 2, t=naive))
    begin(table, table_properties=FEED).write(table_of("a", 3, t=naive))
    features = DeltaTable(table.uri).protocol().writer_features or []
    assert {"changeDataFeed", "timestampNtz"} <= set(features)
    first = 0 if at_once else 2
    feed = pa.table(DeltaTable(table.uri).load_cdf(first).read_all()).to_pylist()
    assert {row["n"] for row in feed if row["_change_type"] == "insert"} == {2, 3}


def test_an_append_only_table_can_be_declared_and_keeps_its_rows(table: Table) -> None:
    keep = {"delta.appendOnly": "true"}
    for number in (1, 2):
        begin(table, mode="append", table_properties=keep).write(table_of("a", number))
    assert [row["n"] for row in read(table)] == [1, 2]
    with pytest.raises(UnsupportedTable, match=r"delta\.appendOnly"):
        begin(table)


# --- a table that exists ------------------------------------------------------------------------------


def test_a_run_does_not_change_the_properties_of_a_table_and_names_those_that_differ(table: Table) -> None:
    write_deltalake(
        table.uri,
        table_of("a", 1),
        partition_by=["p"],
        configuration={"delta.logRetentionDuration": "interval 7 days", "delta.checkpointInterval": "5"},
    )
    declared = {
        **FEED,
        "delta.logRetentionDuration": "interval 1 week",
        "delta.checkpointInterval": "20",
    }
    transaction = begin(table, table_properties=declared)
    assert list(transaction.property_differences) == [
        "delta.enableChangeDataFeed is None in the table and 'true' in the declaration",
        "delta.checkpointInterval is '5' in the table and '20' in the declaration",
    ]
    before = DeltaTable(table.uri).metadata().configuration
    transaction.write(table_of("a", 2))
    assert DeltaTable(table.uri).metadata().configuration == before
    DeltaTable(table.uri).alter.set_table_properties({**FEED, "delta.checkpointInterval": "20"})
    assert not begin(table, table_properties=declared).property_differences


# --- descriptions -------------------------------------------------------------------------------------

DESCRIBED = Contract({"p": Column("string"), "n": Column("int64", "How many, in pieces.")})


def test_a_table_is_created_with_its_description_and_the_comments_of_its_columns(table: Table) -> None:
    begin(table, contract=DESCRIBED, description="Every order.").write(table_of("a", 1))
    assert DeltaTable(table.uri).metadata().description == "Every order."
    assert comments(table) == {"p": None, "n": "How many, in pieces."}
    [name] = DeltaTable(table.uri).file_uris()
    assert pq.read_table(name, partitioning=None).to_pylist() == [{"n": 1}]


@pytest.mark.parametrize("mode", ["replace", "append", "merge"])
def test_comments_survive_later_commits_and_a_new_column_brings_its_own(table: Table, mode: str) -> None:
    keys = {"merge_keys": ["n"]} if mode == "merge" else {}
    begin(table, contract=DESCRIBED, description="Every order.").write(table_of("a", 1))
    begin(table, partitions("a"), DESCRIBED, mode=mode, **keys).write(table_of("a", 2))
    wider = Contract({**DESCRIBED.columns, "m": Column("int64", "The mass, in kg.")})
    begin(table, partitions("a"), wider, mode=mode, **keys).write(table_of("a", 3, m=[7]))
    begin(table, partitions("b"), description="Others.").write(table_of("b", 4, m=[8]))
    compact(table)
    assert comments(table) == {"p": None, "n": "How many, in pieces.", "m": "The mass, in kg."}
    assert DeltaTable(table.uri).metadata().description == "Every order."
    numbers = {"replace": [3, 4], "append": [1, 2, 3, 4], "merge": [1, 2, 3, 4]}
    assert sorted(row["n"] for row in read(table)) == numbers[mode]


def test_columns_that_are_replaced_get_the_comments_that_the_contract_has_now(table: Table) -> None:
    begin(table, contract=DESCRIBED).write(table_of("a", 1))
    other = Contract({**DESCRIBED.columns, "n": Column("string", "Who.")})
    data = pa.table({"p": ["a"], "n": ["x"]})
    begin(table, contract=other, on_schema_change="replace").write(data)
    assert comments(table) == {"p": None, "n": "Who."}
