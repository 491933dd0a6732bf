"""What a commit looks like to other engines: folders, removed files, change feed, and what it says it did."""

import json
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from practicus_assets.errors import SchemaMismatch
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Key, Scope
from practicus_assets.lake.transactions.options import Mode, WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.lake.upkeep.compaction import compact
from practicus_assets.lake.upkeep.rollback import carry_out, plan_rollback
from tests.kit import commit_info, log, parquet_files, partitions, read, table_of

PRINTABLE = [chr(code) for code in range(0x20, 0x7F)]
UNICODE = ["é", "ß", "Ω", "日", "\U0001f600", "\u2028", "\ue000", "a b", " "]


def begin(table: Table, *keys: str, mode: Mode = "replace") -> Transaction:
    merge_keys = ["n"] if mode == "merge" else []
    options = WriteOptions(partition_by=["p"], mode=mode, merge_keys=merge_keys)
    return Transaction(table, partitions(*keys) if keys else None, options)


def folders(table: Table) -> list[str]:
    return sorted({str(Path(path).parent) for path in parquet_files(table)})


def logged(table: Table) -> list[str]:
    """Return the folders of the files in the first log entry, as they are written there."""
    return sorted({action["add"]["path"].rpartition("/")[0] for action in log(table, 0) if "add" in action})


# --- Folders ------------------------------------------------------------------------------------------------


def test_values_make_the_folders_that_delta_rs_makes(table: Table) -> None:
    theirs = Table(table.name, table.uri + "-theirs")
    data = pa.table({"p": [f"x{text}y" for text in (*PRINTABLE, *UNICODE)]})
    data = data.append_column("n", pa.array(range(data.num_rows)))
    Transaction(table, options=WriteOptions(partition_by=["p"])).write(data)
    write_deltalake(theirs.uri, data, partition_by=["p"])
    assert folders(table) == folders(theirs)
    assert logged(table) == logged(theirs)
    assert read(table) == read(theirs)


@pytest.mark.parametrize("text", [*(c for c in PRINTABLE if c not in "/:"), *UNICODE])
def test_a_column_makes_the_folder_that_delta_rs_makes(table: Table, text: str) -> None:
    theirs = Table(table.name, table.uri + "-theirs")
    name = f"x{text}y"
    data = pa.table({name: ["a b/c"], "n": [1]})
    Transaction(table, options=WriteOptions(partition_by=[name])).write(data)
    write_deltalake(theirs.uri, data, partition_by=[name])
    assert folders(table) == folders(theirs)
    assert logged(table) == logged(theirs)
    assert read(table) == read(theirs) == data.to_pylist()


def test_polars_reads_a_table_whose_partition_column_has_a_space(table: Table) -> None:
    data = pa.table({"Day Of": ["2024-01-01", "a b"], "n": [1, 2]})
    Transaction(table, options=WriteOptions(partition_by=["Day Of"])).write(data)
    frame = pl.read_delta(table.uri).sort("n")
    assert frame.select("Day Of", "n").rows() == [("2024-01-01", 1), ("a b", 2)]


@pytest.mark.parametrize("name", ["a/b", "../x", "a\tb", "a\x7fb", "a:b"])
def test_a_column_whose_folder_delta_rs_could_not_read_is_escaped(table: Table, name: str) -> None:
    data = pa.table({name: ["a"], "n": [1]})
    Transaction(table, options=WriteOptions(partition_by=[name])).write(data)
    assert read(table) == data.to_pylist()
    [folder] = folders(table)
    assert "/" not in folder
    assert unquote(folder) == f"{name}=a"


# --- Change feed --------------------------------------------------------------------------------------------


def feed(table: Table, version: int) -> Counter[tuple[str, str, int]]:
    """Return the changes of one version that delta-rs reads: kind of change, partition and number of each."""
    changes = DeltaTable(table.uri).load_cdf(starting_version=version, ending_version=version)
    rows = pa.table(changes.read_all()).to_pylist()
    return Counter((row["_change_type"], row["p"], row["n"]) for row in rows)


@pytest.fixture
def fed(table: Table) -> Table:
    write_deltalake(
        table.uri,
        pa.concat_tables([table_of("a", 1), table_of("b", 2)]),
        partition_by=["p"],
        configuration={"delta.enableChangeDataFeed": "true"},
    )
    return table


def test_the_change_feed_of_each_commit_is_read(fed: Table) -> None:
    begin(fed, "a").write(table_of("a", 3))
    assert feed(fed, 1) == Counter([("delete", "a", 1), ("insert", "a", 3)])
    begin(fed, "a", mode="append").write(table_of("a", 4))
    assert feed(fed, 2) == Counter([("insert", "a", 4)])
    begin(fed, "a", mode="merge").write(table_of("a", 4, 5))
    net = feed(fed, 3)
    changed = Counter({row[1:]: net[row] for row in net if row[0] == "insert"})
    changed.subtract(Counter({row[1:]: net[row] for row in net if row[0] == "delete"}))
    assert +changed == Counter([("a", 5)])
    assert not -changed
    carry_out(fed, plan_rollback(fed, 0, partitions("a"), whole=False), Provenance(), undo_newer=True)
    assert feed(fed, 4)["insert", "a", 1] == 1
    assert not [row for row in feed(fed, 4) if row[1] == "b"]
    begin(fed).write(table_of("c", 6))
    assert feed(fed, 5) == Counter([("delete", "a", 1), ("delete", "b", 2), ("insert", "c", 6)])


def test_a_compaction_changes_nothing_for_readers_of_the_change_feed(fed: Table) -> None:
    for number in (3, 4):
        begin(fed, "a", mode="append").write(table_of("a", number))
    before = read(fed)
    assert compact(fed).files_after == 1
    assert feed(fed, 3) == Counter()
    assert read(fed) == before


def test_the_change_feed_is_read_where_columns_changed_and_many_partitions_went(fed: Table) -> None:
    keys = [f"k{number:03}" for number in range(300)]
    begin(fed, *keys, mode="append").write(pa.table({"p": keys, "n": range(300)}))
    begin(fed, *keys).write(pa.table({"p": keys[:1], "n": [7]}))
    assert feed(fed, 2) == Counter([("insert", "k000", 7), *(("delete", k, n) for n, k in enumerate(keys))])
    begin(fed, "a").write(table_of("a", 8, x=[True]))
    assert feed(fed, 3) == Counter([("delete", "a", 1), ("insert", "a", 8)])


def test_each_removed_file_says_its_size_and_partition(fed: Table) -> None:
    for keys in (["a"], ["a", *(f"k{number}" for number in range(300))]):
        transaction = begin(fed, *keys)
        size = {file.path: file.size for file in fed.open().files()}
        commit = transaction.write(table_of("a", 3 + (transaction.began or 0)))
        [removed] = [action["remove"] for action in log(fed, commit.version) if "remove" in action]
        assert removed["partitionValues"] == {"p": "a"}
        assert removed["size"] == size[unquote(removed["path"])]


# --- What a commit says it did ------------------------------------------------------------------------------


def parameters(table: Table, version: int) -> dict[str, Any]:
    info = commit_info(table, version)
    assert info["operation"] == "WRITE"
    return dict(info["operationParameters"])


def test_a_commit_says_whether_it_overwrote_or_appended_and_where(table: Table) -> None:
    begin(table).write(pa.concat_tables([table_of("a", 1), table_of("b", 2)]))
    begin(table, "a").write(table_of("a", 3))
    begin(table, "a", mode="append").write(table_of("a", 4))
    begin(table, "a", mode="merge").write(table_of("a", 5))
    begin(table).write(table_of("c", 6))
    begin(table, "new").write(table_of("new", 7))
    told = [parameters(table, version) for version in range(1, 6)]
    assert [info["mode"] for info in told] == ["Overwrite", "Append", "Overwrite", "Overwrite", "Overwrite"]
    assert [info.get("predicate") for info in told] == [
        """(("p" IN ('a')))""",
        None,
        """(("p" IN ('a')))""",
        None,
        """(("p" IN ('new')))""",
    ]
    assert [info.get("mergeKeys") for info in told] == [None, None, '["n"]', None, None]
    assert all(json.loads(info["partitionBy"]) == ["p"] for info in told)
    blind = [commit_info(table, version).get("isBlindAppend") for version in range(1, 6)]
    assert blind == [False, True, False, False, False]


def test_columns_change_for_many_partitions_that_lie_side_by_side(table: Table) -> None:
    keys = [f"k{number:05}" for number in range(2_000)]
    begin(table).write(pa.table({"p": keys, "n": range(2_000)}))
    begin(table, *keys).write(pa.table({"p": keys, "n": range(2_000), "x": [1] * 2_000}))
    assert len(read(table, "x")) == 2_000
    assert parameters(table, 1)["mode"] == "Overwrite"


def test_partitions_that_are_no_grid_are_replaced_exactly(table: Table) -> None:
    grid = [(p, q) for p in "ab" for q in "xy"]
    data = pa.table({"p": [p for p, _ in grid], "q": [q for _, q in grid], "n": range(4)})
    options = WriteOptions(partition_by=["p", "q"])
    Transaction(table, options=options).write(data)
    corners = Scope(("p", "q"), ((Key("a"), Key("x")), (Key("b"), Key("y"))))
    Transaction(table, corners, options).write(pa.table({"p": ["a"], "q": ["x"], "n": [9]}))
    assert sorted(row["n"] for row in read(table)) == [1, 2, 9]


def test_an_append_adds_a_column_to_a_table_that_begins_with_a_nested_one(table: Table) -> None:
    append = WriteOptions(mode="append")
    Transaction(table, None, append).write(pa.table({"s": [{"x": 1}], "n": [1]}))
    Transaction(table, None, append).write(pa.table({"s": [{"x": 2}], "n": [2], "new": ["y"]}))
    assert read(table, "n, new") == [{"n": 1, "new": None}, {"n": 2, "new": "y"}]


def test_an_append_cannot_add_a_column_where_all_are_nested(table: Table) -> None:
    append = WriteOptions(mode="append")
    Transaction(table, None, append).write(pa.table({"s": [{"x": 1}]}))
    with pytest.raises(
        SchemaMismatch, match=r"all nested.* Replace the whole table once.* Nothing was written"
    ):
        Transaction(table, None, append).write(pa.table({"s": [{"x": 2}], "new": ["y"]}))
    assert Snapshot.of(table).schema.names == ["s"]
