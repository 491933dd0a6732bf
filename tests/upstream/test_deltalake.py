"""What we rely on in delta-rs, so that an upgrade which changes a fact is noticed.

The tables are made as we make them: files staged beside it, in a store through `DeltaStorageHandler`,
and committed by our own actions.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import (
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    QueryBuilder,
    Schema,
    TableFeatures,
    Transaction,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.fs import DeltaStorageHandler
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions
from pyarrow.fs import FileType, PyFileSystem

Filters = list[tuple[str, str, Any]]

TEXT = pa.string()
AT_ONCE = CommitProperties(max_commit_retries=0)
NULL_DIRECTORY = "__HIVE_DEFAULT_PARTITION__"
TARGET_PARTITIONS = "datafusion.execution.target_partitions"

# The text we write for a partition value, and the value a reader must get back.
PARTITION_TYPES: list[tuple[pa.DataType, dict[str, object]]] = [
    (TEXT, {"a": "a", "1": "1", "x' OR '1'='1": "x' OR '1'='1", "a/b": "a/b", "a%20b": "a%20b"}),
    (pa.int64(), {"1": 1, "-2": -2}),
    (pa.bool_(), {"true": True, "false": False}),
    (pa.date32(), {"2021-01-01": date(2021, 1, 1), "1969-12-31": date(1969, 12, 31)}),
    (
        pa.timestamp("us"),
        {
            "2021-01-01 00:00:00.000000": datetime(2021, 1, 1),  # noqa: DTZ001
            "2021-01-01 01:02:03.123456": datetime(2021, 1, 1, 1, 2, 3, 123456),  # noqa: DTZ001
        },
    ),
    (
        pa.timestamp("us", "UTC"),
        {
            "2021-01-01T00:00:00.000000Z": datetime(2021, 1, 1, tzinfo=UTC),
            "2021-01-01T01:02:03.123456Z": datetime(2021, 1, 1, 1, 2, 3, 123456, tzinfo=UTC),
        },
    ),
]
each_partition_type = pytest.mark.parametrize(
    ("kind", "values"), PARTITION_TYPES, ids=[str(kind) for kind, _ in PARTITION_TYPES]
)
HOSTILE = ["x' OR '1'='1", "a/b", "a%20b", "..", ".", "ünï ☃", "a b", "back\\slash", "new\nline", "a=b&c?d#e"]


def schema(partition: pa.DataType = TEXT, **more: pa.DataType) -> Schema:
    return Schema.from_arrow(pa.schema({"p": partition, "n": pa.int64(), **more}))


def files(uri: Path) -> PyFileSystem:
    return PyFileSystem(DeltaStorageHandler(str(uri)))


def stage(uri: Path, p: str | None, n: int, stats: str = "{}", **more: pa.Array) -> AddAction:
    """Write the row n of partition p as a file of its own."""
    path = f"p={NULL_DIRECTORY if p is None else quote(p, safe='')}/{n}.parquet"
    with files(uri).open_output_stream(path) as out:
        pq.write_table(pa.table({"n": [n], **more}), out)
    return AddAction(path, files(uri).get_file_info(path).size, {"p": p}, 0, data_change=True, stats=stats)


def create(
    uri: Path,
    *partitions: str | None,
    kind: pa.DataType = TEXT,
    properties: CommitProperties = AT_ONCE,
) -> DeltaTable:
    """Create a table with one file, and so one row, for each partition: 0, 1, 2, …"""
    adds = [stage(uri, p, n) for n, p in enumerate(partitions)]
    create_table_with_add_actions(
        str(uri), schema(kind), adds, partition_by=["p"], commit_properties=properties
    )
    return DeltaTable(uri)


def overwrite(
    handle: DeltaTable, filters: Filters | None, *adds: AddAction, kind: pa.DataType = TEXT
) -> None:
    handle.create_write_transaction(
        list(adds), "overwrite", schema(kind), ["p"], partition_filters=filters, commit_properties=AT_ONCE
    )


def append(
    handle: DeltaTable, *actions: AddAction | RemoveAction, properties: CommitProperties = AT_ONCE
) -> None:
    handle.create_write_transaction(list(actions), "append", schema(), ["p"], commit_properties=properties)


def rows(table: DeltaTable, sql: str = "SELECT * FROM t ORDER BY n") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pa.table(QueryBuilder().register("t", table).execute(sql)).to_pylist()
    return found


def numbers(uri: Path) -> list[int]:
    return [row["n"] for row in rows(DeltaTable(uri))]


def selected(table: DeltaTable, filters: Filters | str) -> list[int]:
    return sorted(int(Path(file).stem) for file in table.file_uris(file_pruning_predicate=filters))


def log(uri: Path, version: int) -> list[dict[str, Any]]:
    text = (uri / "_delta_log" / f"{version:020}.json").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def race(task: str, uri: Path, racers: int) -> list[str]:
    """Start so many processes, let them go at the same moment, and return their results."""
    script = Path(__file__).with_name("racer.py")
    processes = [
        subprocess.Popen(
            [sys.executable, script, task, uri, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(racers)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    return [process.communicate(timeout=60)[0].strip() for process in processes]


# --- A commit of our own is a compare-and-set ---------------------------------------------------------------


@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_without_retries_a_commit_through_a_stale_handle_fails_and_nothing_lands(
    tmp_path: Path, mode: str
) -> None:
    # Our transaction is a compare-and-set on the version of the whole table, not on its partitions.
    stale = create(tmp_path, "a")
    append(DeltaTable(tmp_path), stage(tmp_path, "b", 1))
    with pytest.raises(CommitFailedError):
        stale.create_write_transaction(
            [stage(tmp_path, "c", 2)], mode, schema(), ["p"], [("p", "in", ["c"])], commit_properties=AT_ONCE
        )
    assert DeltaTable(tmp_path).version() == 1
    assert numbers(tmp_path) == [0, 1]


def test_a_handle_sees_its_own_commit_only_after_an_update(tmp_path: Path) -> None:
    # So every attempt must start with an update, else a writer would conflict with itself.
    handle = create(tmp_path, "a")
    append(handle, stage(tmp_path, "b", 1))
    assert handle.version() == 0
    with pytest.raises(CommitFailedError):
        append(handle)
    handle.update_incremental()
    assert handle.version() == 1
    append(handle)


def test_with_default_retries_two_overwrites_that_both_create_a_partition_double_it(tmp_path: Path) -> None:
    # This is why we commit with max_commit_retries=0.
    handles = [create(tmp_path, "a"), DeltaTable(tmp_path)]
    for n, handle in enumerate(handles, start=1):
        handle.create_write_transaction(
            [stage(tmp_path, "new", n)],
            "overwrite",
            schema(),
            ["p"],
            partition_filters=[("p", "in", ["new"])],
        )
    assert rows(DeltaTable(tmp_path), "SELECT n FROM t WHERE p = 'new' ORDER BY n") == [{"n": 1}, {"n": 2}]


def test_sixteen_processes_that_reload_and_retry_all_land_exactly_once(tmp_path: Path) -> None:
    # The retry loop of our transaction, under contention.
    create(tmp_path, "0", "1", "2")
    assert race("commit", tmp_path, 16) == ["landed"] * 16
    table = DeltaTable(tmp_path)
    partitions = pa.table(table.get_add_actions(flatten=True))["partition.p"].to_pylist()
    assert sorted(partitions, key=int) == [str(number) for number in range(16)]
    assert table.version() == 16


# --- The first write ----------------------------------------------------------------------------------------


def test_the_first_write_lands_all_files_transactions_and_metadata_in_version_0(tmp_path: Path) -> None:
    # The first write of a table is one transaction too.
    properties = CommitProperties({"run": "r"}, app_transactions=[Transaction("x", 3), Transaction("y", 4)])
    table = create(tmp_path, "a", "b", "c", properties=properties)
    assert table.version() == 0
    assert numbers(tmp_path) == [0, 1, 2]
    assert [table.transaction_version(app) for app in "xy"] == [3, 4]
    assert table.history(1)[0]["run"] == "r"


def test_a_second_first_write_fails_and_changes_nothing(tmp_path: Path) -> None:
    # The loser of a creation must notice: by this error or, when the two meet, by a CommitFailedError.
    create(tmp_path, "a")
    with pytest.raises(DeltaError, match="already exists") as error:
        create(tmp_path, "b")
    assert not isinstance(error.value, CommitFailedError)
    assert [file.name for file in (tmp_path / "_delta_log").glob("*.json")] == [f"{0:020}.json"]


def test_of_eight_processes_that_create_one_table_exactly_one_wins(tmp_path: Path) -> None:
    # Runs that meet at a table which does not exist yet must not both believe that they made it.
    results = race("create", tmp_path, 8)
    assert sorted(results) == ["lost"] * 7 + ["won"]
    assert DeltaTable(tmp_path).file_uris() == [str(tmp_path / f"{results.index('won')}.parquet")]


def test_a_table_created_with_a_naive_timestamp_gets_its_feature_by_itself(tmp_path: Path) -> None:
    # We set no protocol when we create a table.
    create_table_with_add_actions(str(tmp_path), schema(at=pa.timestamp("us")), [], partition_by=["p"])
    assert DeltaTable(tmp_path).protocol().reader_features == ["timestampNtz"]


# --- What an overwrite removes ------------------------------------------------------------------------------


@each_partition_type
def test_an_overwrite_removes_exactly_the_files_that_file_uris_selects(
    tmp_path: Path, kind: pa.DataType, values: dict[str, object]
) -> None:
    # We check before the commit with file_uris what the commit will remove.
    everything = range(len(values) + 1)
    for n, text in enumerate(values):
        uri = tmp_path / str(n)
        uri.mkdir()
        table = create(uri, *values, None, kind=kind)
        assert selected(table, [("p", "in", [text])]) == [n]
        overwrite(table, [("p", "in", [text])], kind=kind)
        assert numbers(uri) == [other for other in everything if other != n]


@pytest.mark.parametrize(
    ("kind", "written", "asked"),
    [
        (pa.int64(), "1", "01"),
        (pa.bool_(), "true", "True"),
        (pa.date32(), "2021-01-01", "2021-1-1"),
        (pa.timestamp("us"), "2021-01-01 00:00:00.000000", "2021-01-01 00:00:00"),
        (pa.timestamp("us", "UTC"), "2021-01-01T00:00:00.000000Z", "2021-01-01 00:00:00"),
        (pa.timestamp("us", "UTC"), "2021-01-01 00:00:00", "2021-01-01T00:00:00+00:00"),
    ],
    ids=str,
)
def test_a_partition_filter_matches_by_value_and_not_by_text(
    tmp_path: Path, kind: pa.DataType, written: str, asked: str
) -> None:
    # A table that another engine wrote may spell its values otherwise than we do.
    table = create(tmp_path, written, None, kind=kind)
    assert selected(table, [("p", "in", [asked])]) == [0]
    overwrite(table, [("p", "in", [asked])], kind=kind)
    assert numbers(tmp_path) == [1]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (pa.int64(), "1.0"),
        (pa.bool_(), "1"),
        (pa.date32(), "2021-01-01 00:00:00"),
        (pa.timestamp("us"), "2021-01-01T00:00:00"),
        (pa.timestamp("us"), "2021-01-01T00:00:00.000000Z"),
        (pa.timestamp("us"), "2021-01-01"),
        (pa.timestamp("us", "UTC"), "2021-01-01T00:00:00"),
        (pa.timestamp("us", "UTC"), "2021-01-01"),
    ],
    ids=str,
)
def test_a_partition_filter_in_a_form_that_does_not_parse_is_refused(
    tmp_path: Path, kind: pa.DataType, text: str
) -> None:
    # A wrong spelling must fail, and not match nothing; a naive timestamp takes a space, never T or Z.
    table = create(tmp_path, None, kind=kind)
    with pytest.raises(DeltaError, match="Failed to parse value"):
        table.file_uris(file_pruning_predicate=[("p", "in", [text])])
    with pytest.raises(DeltaError, match="Failed to parse value"):
        overwrite(table, [("p", "in", [text])], kind=kind)
    assert DeltaTable(tmp_path).version() == 0


@each_partition_type
def test_a_null_partition_is_matched_by_equals_with_empty_text_and_never_by_in(
    tmp_path: Path, kind: pa.DataType, values: dict[str, object]
) -> None:
    # So a scope that holds the null partition needs a filter of its own: `in` would double it.
    text = next(iter(values))
    table = create(tmp_path, text, None, kind=kind)
    assert selected(table, [("p", "in", [text, ""])]) == [0]
    assert selected(table, [("p", "=", "")]) == [1]
    overwrite(table, [("p", "in", [""])], kind=kind)
    assert numbers(tmp_path) == [0, 1]
    overwrite(DeltaTable(tmp_path), [("p", "=", "")], kind=kind)
    assert numbers(tmp_path) == [0]


def test_a_commit_takes_no_alternatives_in_its_filters_though_file_uris_does(tmp_path: Path) -> None:
    # So one overwrite cannot replace the null partition together with others.
    table = create(tmp_path, "a", None)
    alternatives: Any = [[("p", "in", ["a"])], [("p", "=", "")]]
    assert selected(table, alternatives) == [0, 1]
    with pytest.raises(TypeError):
        overwrite(table, alternatives)


def test_an_append_with_remove_actions_replaces_exactly_the_files_that_it_names(tmp_path: Path) -> None:
    # The way to replace the null partition together with others in one commit; paths are as in AddAction.
    table = create(tmp_path, "a/b", None, "c")
    removed = [
        RemoveAction(path, data_change=True, deletion_timestamp=0)
        for path in ("p=a%2Fb/0.parquet", f"p={NULL_DIRECTORY}/1.parquet")
    ]
    append(table, *removed, stage(tmp_path, "a/b", 3), stage(tmp_path, None, 4))
    assert numbers(tmp_path) == [2, 3, 4]


def test_a_remove_action_for_a_file_that_the_table_does_not_have_is_accepted_in_silence(
    tmp_path: Path,
) -> None:
    # A path in the encoding of get_add_actions would remove nothing.
    table = create(tmp_path, "a/b")
    append(table, RemoveAction("p=a%252Fb/0.parquet", data_change=True, deletion_timestamp=0))
    assert numbers(tmp_path) == [0]


def test_filters_on_two_partition_columns_select_where_both_hold(tmp_path: Path) -> None:
    # The scope of a table with two partition columns is a product of values.
    columns = pa.schema({"p": pa.string(), "q": pa.int64(), "n": pa.int64()})
    adds = [
        AddAction(f"{p}{q}.parquet", 1, {"p": p, "q": q}, 0, data_change=True, stats="{}")
        for p in "abc"
        for q in "12"
    ]
    create_table_with_add_actions(str(tmp_path), Schema.from_arrow(columns), adds, partition_by=["p", "q"])
    DeltaTable(tmp_path).create_write_transaction(
        [],
        "overwrite",
        columns,
        ["p", "q"],
        [("p", "in", ["a", "b"]), ("q", "in", ["1"])],
        commit_properties=AT_ONCE,
    )
    left = {Path(file).stem for file in DeltaTable(tmp_path).file_uris()}
    assert left == {"a2", "b2", "c1", "c2"}


@pytest.mark.parametrize("filters", [None, []])
def test_an_overwrite_without_filters_removes_everything(tmp_path: Path, filters: Filters | None) -> None:
    # The whole table as scope; and an empty list of filters is no protection.
    table = create(tmp_path, "a", "b", None)
    overwrite(table, filters, stage(tmp_path, "c", 3))
    assert numbers(tmp_path) == [3]


@pytest.mark.parametrize("filters", [[("p", "in", ["zzz"])], [("p", "in", [])]])
def test_an_overwrite_whose_filters_match_nothing_removes_nothing(tmp_path: Path, filters: Filters) -> None:
    # The first write of a partition is an overwrite as well.
    table = create(tmp_path, "a", "b", None)
    overwrite(table, filters, stage(tmp_path, "c", 3))
    assert numbers(tmp_path) == [0, 1, 2, 3]


def test_an_overwrite_with_a_filter_on_a_data_column_removes_whole_files(tmp_path: Path) -> None:
    # Filters may name partition columns only: others are checked against statistics, and remove too much.
    table = create(tmp_path, "a", "b")
    overwrite(table, [("n", "=", "0")])
    assert numbers(tmp_path) == []


def test_an_empty_partition_value_is_empty_in_rows_yet_null_in_add_actions_and_unmatched_by_filters(
    tmp_path: Path,
) -> None:
    # Why an empty partition value is refused: an overwrite with filters would double it.
    table = create(tmp_path, "", None)
    assert [row["p"] for row in rows(table)] == ["", None]
    assert pa.table(table.get_add_actions(flatten=True))["partition.p"].to_pylist() == [None, None]
    assert selected(table, [("p", "=", "")]) == [1]
    assert selected(table, [("p", "in", [""])]) == []


def test_write_deltalake_replaces_an_empty_partition_value_by_predicate(tmp_path: Path) -> None:
    # Older releases turned it into null and doubled it; its predicate is exact now, unlike the filters above.
    write_deltalake(tmp_path, pa.table({"p": ["", "a", None], "n": [0, 1, 2]}), partition_by=["p"])
    write_deltalake(tmp_path, pa.table({"p": [""], "n": [3]}), mode="overwrite", predicate="p = ''")
    assert rows(DeltaTable(tmp_path)) == [{"p": "a", "n": 1}, {"p": None, "n": 2}, {"p": "", "n": 3}]


# --- Paths --------------------------------------------------------------------------------------------------


def test_hostile_partition_values_in_escaped_directories_are_read_back(tmp_path: Path) -> None:
    # AddAction takes the name on disk, and delta-rs encodes it in the log: we must not encode it twice.
    table = create(tmp_path, *HOSTILE)
    for n, value in enumerate(HOSTILE):
        assert (tmp_path / f"p={quote(value, safe='')}" / f"{n}.parquet").is_file()
    expected = [{"p": value, "n": n} for n, value in enumerate(HOSTILE)]
    assert rows(table) == expected
    assert pl.read_delta(tmp_path).sort("n").to_dicts() == expected


def test_hostile_partition_values_are_removed_one_by_one(tmp_path: Path) -> None:
    # Filters are values and no SQL: nothing in them needs quoting.
    create(tmp_path, *HOSTILE)
    for n, value in enumerate(HOSTILE):
        overwrite(DeltaTable(tmp_path), [("p", "in", [value])])
        assert numbers(tmp_path) == list(range(n + 1, len(HOSTILE)))


def test_a_control_character_in_a_path_is_escaped_on_disk(tmp_path: Path) -> None:
    # The one change that the file system makes to our names: we escape control characters before it does.
    with files(tmp_path).open_output_stream("new\nline.parquet") as out:
        pq.write_table(pa.table({"n": [0]}), out)
    assert [file.name for file in tmp_path.iterdir()] == ["new%0Aline.parquet"]


@each_partition_type
def test_polars_reads_our_texts_of_partition_values(
    tmp_path: Path, kind: pa.DataType, values: dict[str, object]
) -> None:
    # Our readers are free to use polars.
    create(tmp_path, *values, None, kind=kind)
    assert pl.read_delta(tmp_path).sort("n")["p"].to_list() == [*values.values(), None]


def test_polars_takes_partition_values_from_the_name_of_the_directory(tmp_path: Path) -> None:
    # So our directories are called column=value, though the log alone would do for delta-rs.
    pq.write_table(pa.table({"n": [0]}), tmp_path / "plain.parquet")
    size = (tmp_path / "plain.parquet").stat().st_size
    add = AddAction("plain.parquet", size, {"p": "a"}, 0, data_change=True, stats="{}")
    create_table_with_add_actions(str(tmp_path), schema(), [add], partition_by=["p"])
    assert pl.read_delta(tmp_path)["p"].to_list() == [None]


def test_polars_reads_the_value_that_is_spelled_like_the_null_directory_as_null(tmp_path: Path) -> None:
    # A partition value of this name cannot be told from null by every reader.
    table = create(tmp_path, NULL_DIRECTORY)
    assert rows(table) == [{"p": NULL_DIRECTORY, "n": 0}]
    assert pl.read_delta(tmp_path)["p"].to_list() == [None]


# --- Schema -------------------------------------------------------------------------------------------------


def test_an_overwrite_with_a_wider_schema_changes_the_schema_in_the_same_commit(tmp_path: Path) -> None:
    # A new column arrives together with its first rows.
    table = create(tmp_path, "a", "b")
    add = stage(tmp_path, "b", 2, more=pa.array([7]))
    table.create_write_transaction(
        [add], "overwrite", schema(more=pa.int64()), ["p"], [("p", "in", ["b"])], commit_properties=AT_ONCE
    )
    assert DeltaTable(tmp_path).version() == 1
    assert rows(DeltaTable(tmp_path)) == [{"p": "a", "n": 0, "more": None}, {"p": "b", "n": 2, "more": 7}]


@pytest.mark.parametrize("replacement", [{"p": pa.string()}, {"p": pa.string(), "n": pa.string()}], ids=str)
def test_an_overwrite_of_one_partition_accepts_any_schema(
    tmp_path: Path, replacement: dict[str, pa.DataType]
) -> None:
    # delta-rs checks nothing: we must refuse lost or changed columns, for the other partitions keep theirs.
    table = create(tmp_path, "a", "b")
    table.create_write_transaction(
        [], "overwrite", pa.schema(replacement), ["p"], [("p", "in", ["b"])], commit_properties=AT_ONCE
    )
    assert pa.schema(DeltaTable(tmp_path).schema()) == pa.schema(replacement)


def test_an_append_with_a_wider_schema_does_not_change_the_schema(tmp_path: Path) -> None:
    # So a new column cannot come with an append: its values would be lost in silence.
    table = create(tmp_path, "a")
    add = stage(tmp_path, "b", 1, more=pa.array([7]))
    table.create_write_transaction([add], "append", schema(more=pa.int64()), ["p"], commit_properties=AT_ONCE)
    assert rows(DeltaTable(tmp_path)) == [{"p": "a", "n": 0}, {"p": "b", "n": 1}]


def test_a_naive_timestamp_added_to_a_table_without_its_feature_lands_and_makes_the_table_unreadable(
    tmp_path: Path,
) -> None:
    # The error comes after the commit: we must add the feature before such a column.
    table = create(tmp_path, "a")
    wider = schema(at=pa.timestamp("us"))
    with pytest.raises(DeltaError, match="timestampNtz"):
        table.create_write_transaction(
            [], "overwrite", wider, ["p"], [("p", "in", ["b"])], commit_properties=AT_ONCE
        )
    assert any("metaData" in action for action in log(tmp_path, 1))
    with pytest.raises(DeltaError, match="timestampNtz"):
        DeltaTable(tmp_path)
    assert rows(DeltaTable(tmp_path, version=0)) == [{"p": "a", "n": 0}]


def test_a_naive_timestamp_can_be_added_once_the_table_has_the_feature(tmp_path: Path) -> None:
    # The way out: a commit that adds the feature, then the write.
    create(tmp_path, "a").alter.add_feature(
        TableFeatures.TimestampWithoutTimezone, allow_protocol_versions_increase=True
    )
    add = stage(tmp_path, "b", 1, at=pa.array([7], pa.timestamp("us")))
    DeltaTable(tmp_path).create_write_transaction(
        [add],
        "overwrite",
        schema(at=pa.timestamp("us")),
        ["p"],
        [("p", "in", ["b"])],
        commit_properties=AT_ONCE,
    )
    assert [row["at"] is None for row in rows(DeltaTable(tmp_path))] == [True, False]


@pytest.mark.parametrize("listed", [True, False])
def test_a_raised_protocol_lists_only_the_features_that_are_asked_for(
    tmp_path: Path, *, listed: bool
) -> None:
    """So a change feed, which the older version implies, is asked for again."""
    write_deltalake(tmp_path, pa.table({"n": [0]}), configuration={"delta.enableChangeDataFeed": "true"})
    features = [TableFeatures.TimestampWithoutTimezone, *[TableFeatures.ChangeDataFeed] * listed]
    DeltaTable(tmp_path).alter.add_feature(features, allow_protocol_versions_increase=True)
    names = ["timestampNtz", *["changeDataFeed"] * listed]
    assert sorted(DeltaTable(tmp_path).protocol().writer_features or []) == sorted(names)


def test_a_table_is_created_with_no_property_that_is_not_deltas_own(tmp_path: Path) -> None:
    with pytest.raises(DeltaError, match="Error parsing property 'team'"):
        create_table_with_add_actions(str(tmp_path), schema(), [], configuration={"team": "sales"})


# --- What a commit says about itself ------------------------------------------------------------------------


def test_transaction_version_returns_what_was_committed_last_and_none_when_absent(tmp_path: Path) -> None:
    # Our record of a partition's writes; delta-rs does not object to a version that goes back.
    create(tmp_path, "a")
    for version in (9, 5):
        append(
            DeltaTable(tmp_path), properties=CommitProperties(app_transactions=[Transaction("x", version)])
        )
    table = DeltaTable(tmp_path)
    assert table.transaction_version("x") == 5
    assert table.transaction_version("y") is None
    table.create_checkpoint()
    assert DeltaTable(tmp_path).transaction_version("x") == 5


def test_a_handle_brought_up_to_date_takes_a_table_put_in_its_place_for_its_own(tmp_path: Path) -> None:
    # So a transaction that updates its handle asks whether its version's entry is still there.
    create(tmp_path, "a")
    handle = DeltaTable(tmp_path)
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    create(tmp_path, "a")
    for _ in range(3):
        append(DeltaTable(tmp_path))
    handle.update_incremental()
    replaced = DeltaTable(tmp_path)
    assert handle.version() == replaced.version() == 3
    assert handle.metadata().id != replaced.metadata().id


def test_an_empty_commit_lands_and_changes_no_file(tmp_path: Path) -> None:
    # A run that found nothing to write still leaves its mark.
    append(
        create(tmp_path, "a"),
        properties=CommitProperties(max_commit_retries=0, app_transactions=[Transaction("x", 1)]),
    )
    assert [list(action) for action in log(tmp_path, 1)] == [["commitInfo"], ["txn"]]
    assert numbers(tmp_path) == [0]


def test_custom_metadata_are_keys_of_the_history_and_a_json_string_survives_exactly(tmp_path: Path) -> None:
    # Each commit says which run, step and input versions it came from.
    text = json.dumps({"a": [1, 'é"\n'], "b": None})
    create(tmp_path, properties=CommitProperties({"run": text, "nested": {"a": [1]}}))
    entry = DeltaTable(tmp_path).history(1)[0]
    assert entry["run"] == text
    assert entry["nested"] == {"a": [1]}


def three_versions(uri: Path) -> None:
    create(uri, properties=CommitProperties({"run": "run of 0"}))
    for version in (1, 2):
        append(DeltaTable(uri), properties=CommitProperties({"run": f"run of {version}"}))


def test_history_of_the_newest_version_is_newest_first_and_limited(tmp_path: Path) -> None:
    # The latest commits of a table, as its reports show them.
    three_versions(tmp_path)
    entries = DeltaTable(tmp_path).history(2)
    assert [(entry["version"], entry["run"]) for entry in entries] == [(2, "run of 2"), (1, "run of 1")]


def test_history_of_an_older_version_returns_the_newest_commit_under_the_older_number(tmp_path: Path) -> None:
    # So history() must never be asked for the commit of a pinned version.
    three_versions(tmp_path)
    entry = DeltaTable(tmp_path, version=0).history(1)[0]
    assert (entry["version"], entry["run"]) == (0, "run of 2")


def test_history_of_a_stale_handle_returns_the_newest_commit_under_the_older_number(tmp_path: Path) -> None:
    # Nor may a handle be asked beside a concurrent writer: the numbers shift.
    stale = create(tmp_path)
    append(DeltaTable(tmp_path), properties=CommitProperties({"run": "run of 1"}))
    entry = stale.history(1)[0]
    assert (entry["version"], entry["run"]) == (0, "run of 1")


def test_the_log_file_of_a_version_holds_the_metadata_of_that_version(tmp_path: Path) -> None:
    # The one sure way to the commit of a given version, and the file system of the table reads it.
    three_versions(tmp_path)
    with files(tmp_path).open_input_file(f"_delta_log/{1:020}.json") as file:
        actions = [json.loads(line) for line in file.read().splitlines()]
    assert [action["commitInfo"]["run"] for action in actions if "commitInfo" in action] == ["run of 1"]


# --- The files of a table -----------------------------------------------------------------------------------


@each_partition_type
def test_add_actions_give_size_rows_and_typed_partition_values(
    tmp_path: Path, kind: pa.DataType, values: dict[str, object]
) -> None:
    # From these we report, and check the partitions that a table has.
    adds = [stage(tmp_path, text, n, '{"numRecords": 1}') for n, text in enumerate([*values, None])]
    create_table_with_add_actions(str(tmp_path), schema(kind), adds, partition_by=["p"])
    actions = pa.table(DeltaTable(tmp_path).get_add_actions(flatten=True)).sort_by("path")
    assert actions.schema.field("partition.p").type == kind
    assert set(actions["partition.p"].to_pylist()) == {*values.values(), None}
    assert sorted(actions["size_bytes"].to_pylist()) == sorted(add.size for add in adds)
    assert actions["num_records"].to_pylist() == [1] * len(adds)


def test_the_path_of_an_add_action_is_encoded_once_more_than_the_name_on_disk(tmp_path: Path) -> None:
    # It must be unquoted before it is compared with what we staged; file_uris gives the name on disk.
    table = create(tmp_path, "a/b", "ünï ☃")
    paths = sorted(pa.table(table.get_add_actions(flatten=True))["path"].to_pylist())
    assert paths == ["p=%25C3%25BCn%25C3%25AF%2520%25E2%2598%2583/1.parquet", "p=a%252Fb/0.parquet"]
    names = [f"p={quote(value, safe='')}/{n}.parquet" for n, value in ((1, "ünï ☃"), (0, "a/b"))]
    assert [unquote(path) for path in paths] == names
    assert sorted(table.file_uris()) == [str(tmp_path / name) for name in names]


def test_only_a_full_vacuum_takes_uncommitted_files_and_it_leaves_committed_ones(tmp_path: Path) -> None:
    # How the files of failed transactions go away.
    table = create(tmp_path, "a/b")
    stage(tmp_path, "a/b", 1)
    assert table.vacuum(0, dry_run=True, enforce_retention_duration=False) == []
    assert table.vacuum(0, dry_run=True, enforce_retention_duration=False, full=True) == ["p=a%2Fb/1.parquet"]


# --- Statistics ---------------------------------------------------------------------------------------------

MEASURED = pa.table(
    {
        "s": ["a", "b"],
        "i": [1, 2],
        "d": [date(2021, 1, 1), date(2021, 1, 2)],
        "ts": pa.array([1, 2], pa.timestamp("us", "UTC")),
        "naive": pa.array([1, 2], pa.timestamp("us")),
        "list": [[1], [2]],
        "struct": [{"x": 1}, {"x": 2}],
    }
)
OF_MEASURED = {
    "numRecords": 2,
    "nullCount": {"s": 0, "i": 0, "d": 0, "ts": 0, "naive": 0},
    "minValues": {
        "s": "a",
        "i": 1,
        "d": "2021-01-01",
        "ts": "1970-01-01T00:00:00.000001Z",
        "naive": "1970-01-01T00:00:00.000001Z",
    },
    "maxValues": {
        "s": "b",
        "i": 2,
        "d": "2021-01-02",
        "ts": "1970-01-01T00:00:00.000002Z",
        "naive": "1970-01-01T00:00:00.000002Z",
    },
}
# SQL of a column's minimum, its maximum, and a value outside.
LITERALS = {
    "s": ("'a'", "'b'", "'c'"),
    "i": ("1", "2", "3"),
    "d": ("DATE '2021-01-01'", "DATE '2021-01-02'", "DATE '2021-01-03'"),
    "ts": tuple(f"TIMESTAMP '1970-01-01T00:00:00.00000{n}Z'" for n in (1, 2, 3)),
    "naive": tuple(f"TIMESTAMP '1970-01-01T00:00:00.00000{n}'" for n in (1, 2, 3)),
}


def measured(uri: Path, stats: str) -> DeltaTable:
    with files(uri).open_output_stream("file.parquet") as out:
        pq.write_table(MEASURED, out)
    add = AddAction(
        "file.parquet", (uri / "file.parquet").stat().st_size, {}, 0, data_change=True, stats=stats
    )
    create_table_with_add_actions(str(uri), Schema.from_arrow(MEASURED.schema), [add])
    return DeltaTable(uri)


@pytest.mark.parametrize(
    "stats",
    [OF_MEASURED, {key: OF_MEASURED[key] for key in ("numRecords", "nullCount")}, {"numRecords": 2}, {}],
    ids=lambda stats: ",".join(stats) or "none",
)
def test_right_statistics_however_few_hide_no_row(tmp_path: Path, stats: dict[str, object]) -> None:
    # We leave out what has no safe minimum and maximum, and nested columns altogether.
    table = measured(tmp_path, json.dumps(stats))
    assert len(rows(table, "SELECT * FROM t")) == 2
    for column, (lowest, highest, _) in LITERALS.items():
        for literal in (lowest, highest):
            assert len(rows(table, f"SELECT * FROM t WHERE {column} = {literal}")) == 1


@pytest.mark.parametrize("column", LITERALS)
def test_minimum_and_maximum_in_our_json_form_keep_a_query_from_the_file(tmp_path: Path, column: str) -> None:
    # What we write is understood: a query outside does not even miss the file.
    table = measured(tmp_path, json.dumps(OF_MEASURED))
    files(tmp_path).delete_file("file.parquet")
    inside, _, outside = LITERALS[column]
    assert rows(table, f"SELECT * FROM t WHERE {column} = {outside}") == []
    with pytest.raises(pa.ArrowInvalid, match=r"file\.parquet"):
        rows(table, f"SELECT * FROM t WHERE {column} = {inside}")


def test_wrong_statistics_hide_rows(tmp_path: Path) -> None:
    # Why no statistic is better than a doubtful one.
    table = measured(tmp_path, json.dumps({"numRecords": 2, "minValues": {"i": 5}, "maxValues": {"i": 6}}))
    assert rows(table, "SELECT i FROM t WHERE i = 1") == []


def test_statistics_that_are_no_json_object_make_a_table_unreadable(tmp_path: Path) -> None:
    # A file without statistics must be committed with "{}".
    table = measured(tmp_path, "")
    with pytest.raises(DeltaError, match="JSON"):
        rows(table, "SELECT * FROM t")


# --- Reading ------------------------------------------------------------------------------------------------


def forty_partitions(uri: Path) -> DeltaTable:
    return create(uri, *(f"{number}" for number in range(40)))


def stream(builder: QueryBuilder, table: DeltaTable) -> pa.RecordBatchReader:
    return pa.RecordBatchReader.from_stream(builder.register("t", table).execute("SELECT * FROM t"))


def builder_by_set() -> QueryBuilder:
    builder = QueryBuilder()
    builder.execute(f"SET {TARGET_PARTITIONS} = 1")
    return builder


def builder_by_config() -> QueryBuilder:
    return QueryBuilder({TARGET_PARTITIONS: "1"})


@pytest.mark.parametrize("builder", [builder_by_set, builder_by_config])
def test_one_partition_at_a_time_gives_the_same_row_order_on_every_read(tmp_path: Path, builder: Any) -> None:
    # A retry that reads the same version computes the same table. Both ways to say it work.
    forty_partitions(tmp_path)
    orders = {tuple(stream(builder(), DeltaTable(tmp_path)).read_all()["n"].to_pylist()) for _ in range(5)}
    assert len(orders) == 1
    assert len(orders.pop()) == 40


def test_a_query_opens_its_files_only_as_it_is_read(tmp_path: Path) -> None:
    # An input larger than memory is read batch by batch.
    table = forty_partitions(tmp_path)
    reader = stream(builder_by_config(), table)
    reader.read_next_batch()
    for file in table.file_uris():
        Path(file).unlink()
    with pytest.raises(pa.ArrowInvalid, match="not found"):
        reader.read_all()


def test_text_comes_back_as_string_view(tmp_path: Path) -> None:
    # So what we read is cast back to the types that were written.
    assert stream(QueryBuilder(), create(tmp_path, "a")).schema.field("p").type == pa.string_view()


def test_a_version_whose_files_were_vacuumed_fails_only_when_read_and_names_the_file(tmp_path: Path) -> None:
    # A pinned version opens and plans without complaint: our error must be made while its stream is read.
    [gone] = create(tmp_path, "a").file_uris()
    overwrite(DeltaTable(tmp_path), None, stage(tmp_path, "a", 1))
    DeltaTable(tmp_path).vacuum(0, dry_run=False, enforce_retention_duration=False)
    pinned = DeltaTable(tmp_path, version=0)
    reader = stream(QueryBuilder(), pinned)
    with pytest.raises(pa.ArrowInvalid, match=f"Object at location {gone} not found"):
        reader.read_all()
    with pytest.raises(Exception, match=f"Object at location {gone} not found") as error:
        QueryBuilder().register("t", pinned).execute("SELECT * FROM t").read_all()
    assert type(error.value) is Exception


def test_a_count_of_rows_is_answered_from_statistics_though_the_file_is_gone(tmp_path: Path) -> None:
    # So a count is no proof that a version can still be read.
    add = stage(tmp_path, "a", 0, '{"numRecords": 1}')
    create_table_with_add_actions(str(tmp_path), schema(), [add], partition_by=["p"])
    files(tmp_path).delete_file(add.path)
    assert rows(DeltaTable(tmp_path), "SELECT count(*) AS c FROM t") == [{"c": 1}]


# --- The file system of a table -----------------------------------------------------------------------------


def test_the_file_system_of_a_local_table_needs_its_directory(tmp_path: Path) -> None:
    # We make the directory before we stage the first file.
    with pytest.raises(TableNotFoundError, match="does not exist"):
        DeltaStorageHandler(str(tmp_path / "absent"))


def test_a_file_can_be_deleted_and_a_missing_one_is_told(tmp_path: Path) -> None:
    # A failed transaction takes its staged files away.
    path = stage(tmp_path, "a", 0).path
    files(tmp_path).delete_file(path)
    assert files(tmp_path).get_file_info(path).type == FileType.NotFound
    with pytest.raises(FileNotFoundError):
        files(tmp_path).delete_file(path)


def test_a_full_vacuum_sees_the_half_file_that_a_killed_worker_left(tmp_path: Path) -> None:
    # On local disks a staged file has its name from the beginning; delta-rs's own name#1 no vacuum would see.
    table = create(tmp_path)
    (tmp_path / "part.parquet").write_bytes(b"PAR1")
    assert table.vacuum(0, dry_run=True, enforce_retention_duration=False, full=True) == ["part.parquet"]


def test_an_error_inside_the_with_blocks_leaves_a_readable_file_of_the_rows_so_far(tmp_path: Path) -> None:
    # There is no abort: a failed transaction must delete what it staged, and never commit it.
    def fail_after_one_row() -> None:
        columns = pa.schema({"n": pa.int64()})
        with (
            files(tmp_path).open_output_stream("part.parquet") as out,
            pq.ParquetWriter(out, columns) as writer,
        ):
            writer.write_table(pa.table({"n": [0]}))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_after_one_row()
    assert pq.read_table(tmp_path / "part.parquet").num_rows == 1


# --- upkeep -------------------------------------------------------------------------------------------


def test_optimize_commits_on_top_of_commits_that_it_has_not_seen(tmp_path: Path) -> None:
    """So compaction here stages files and commits them itself."""
    for number in range(3):
        write_deltalake(tmp_path, pa.table({"n": [number]}), mode="append")
    overtaken = DeltaTable(tmp_path)
    write_deltalake(tmp_path, pa.table({"n": [3]}), mode="append")
    overtaken.optimize.compact(commit_properties=AT_ONCE)
    assert DeltaTable(tmp_path).version() == 4


@pytest.mark.parametrize("hook", [None, False])
def test_a_commit_expires_the_log_unless_its_hook_says_otherwise(
    tmp_path: Path, *, hook: bool | None
) -> None:
    """So a commit here says so: only maintenance knows what releases need."""
    properties = {"delta.logRetentionDuration": "interval 1 days", "delta.checkpointInterval": "2"}
    write_deltalake(tmp_path, pa.table({"n": [0]}), configuration=properties)
    hooks = PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=hook)
    for number in range(4):
        for path in (tmp_path / "_delta_log").iterdir():
            then = time.time() - (9 - number) * 86_400
            os.utime(path, (then, then))
        handle = DeltaTable(tmp_path)
        handle.create_write_transaction([], "append", handle.schema(), post_commithook_properties=hooks)
    assert (tmp_path / "_delta_log" / f"{0:020}.json").exists() is (hook is False)


# --- constraints --------------------------------------------------------------------------------------


def constrained(uri: Path, rule: str, *numbers: int) -> None:
    """Make a table of these numbers whose log has a constraint, as Spark's ALTER TABLE writes it."""
    write_deltalake(uri, pa.table({"n": pa.array(numbers, pa.int64())}))
    entry = uri / "_delta_log" / f"{0:020}.json"
    actions = [json.loads(line) for line in entry.read_text().splitlines()]
    for action in actions:
        action.get("protocol", {}).update(minWriterVersion=3)
        action.get("metaData", {}).update(configuration={"delta.constraints.half": rule})
    entry.write_text("\n".join(map(json.dumps, actions)))


def test_a_quotient_of_integers_is_an_integer_to_datafusion_and_a_double_to_spark(tmp_path: Path) -> None:
    """So `delta.constraints.*` are refused: where 5 / 2 is 2.5, both answers differ (docs/delta.md)."""
    write_deltalake(tmp_path, pa.table({"n": pa.array([5], pa.int64())}))
    query = "select n / 2 >= 2.5 as least, n / 2 = 2 as equal from t"
    answer = pa.table(QueryBuilder().register("t", DeltaTable(tmp_path)).execute(query))
    assert answer.to_pylist() == [{"least": False, "equal": True}]


def test_write_deltalake_refuses_a_row_that_a_constraint_of_spark_allows(tmp_path: Path) -> None:
    constrained(tmp_path, "n / 2 >= 2.5", 6)
    with pytest.raises(DeltaError, match="1 rows failed validation check"):
        write_deltalake(tmp_path, pa.table({"n": pa.array([5], pa.int64())}), mode="append")


def test_write_deltalake_accepts_a_row_that_a_constraint_of_spark_forbids(tmp_path: Path) -> None:
    constrained(tmp_path, "n / 2 = 2", 4)
    write_deltalake(tmp_path, pa.table({"n": pa.array([5], pa.int64())}), mode="append")
    assert DeltaTable(tmp_path).version() == 1


def test_add_constraint_stores_another_rule_than_it_was_given(tmp_path: Path) -> None:
    """It stores the text of DataFusion's plan, where the bound has become an integer: 4 is then allowed."""
    write_deltalake(tmp_path, pa.table({"n": pa.array([6], pa.int64())}))
    table = DeltaTable(tmp_path)
    table.alter.add_constraint({"half": "n / 2 >= 2.5"})
    assert table.metadata().configuration == {"delta.constraints.half": "n / 2 >= 2"}
    write_deltalake(table, pa.table({"n": pa.array([4], pa.int64())}), mode="append")
