"""A table of an own root over that of a base: what is read, what is claimed, and that the base stays."""

import datetime as dt
import hashlib
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from practicus_assets import open_table
from practicus_assets.errors import (
    DeclarationError,
    LossyValues,
    ReadOnlyLake,
    SchemaMismatch,
    TableNotFound,
    UnsupportedTable,
    VersionGone,
)
from practicus_assets.lake.delta.conditional_puts import prove
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.layers.claims import Claims
from practicus_assets.lake.layers.layered import layers_of
from practicus_assets.lake.partitions.scope import Scope, Window
from practicus_assets.lake.transactions.branch import begin_over, elsewhere
from practicus_assets.lake.transactions.commit import Commit
from practicus_assets.lake.transactions.options import Mode, WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.stage.parquet_sink import FolderWriter
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.lake.upkeep.compaction import compact
from practicus_assets.lake.upkeep.retention import checkpoint, remove, unneeded_entries
from practicus_assets.lake.upkeep.rollback import carry_out, plan_rollback
from tests.kit import partitions, table_of, write

Numbers = dict[str, list[int]]


class Layers:
    """A lake of one's own over a base, and one table in both."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.writable = Table.at(folder / "base", ["t"])
        self.base = Table.at(folder / "base", ["t"], read_only=True)
        self.own = Table.at(folder / "own", ["t"])

    def write(self, rows: pa.Table, scope: Scope, mode: Mode = "replace", **options: Any) -> Commit:
        """Write rows to the own root, over the newest version of the base."""
        how = WriteOptions(partition_by=["p"], mode=mode, **options)
        at = self.base.open_if_exists()
        who = Provenance(base=elsewhere(str(self.folder / "base"), at))
        begin_over(self.own, at, scope, how, who)
        return Transaction(self.own, scope, how, provenance=who).write(rows)

    def put(self, p: str, *numbers: int, mode: Mode = "replace", **columns: Any) -> Commit:
        keys = {"merge_keys": ["n"]} if mode == "merge" else {}
        return self.write(table_of(p, *numbers, **columns), partitions(p), mode, **keys)

    def snapshot(self, *keys: str) -> Snapshot:
        layers = self.own.open_if_exists(), self.base.open_if_exists()
        return layers_of(*layers, partitions(*keys) if keys else Scope())[0]

    def numbers(self, *keys: str, **selection: Any) -> Numbers:
        rows = self.snapshot(*keys).scan(**selection).read_all().to_pylist()
        found: Numbers = {}
        for row in sorted(rows, key=repr):
            found.setdefault(row["p"], []).append(row["n"])
        return found


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    both = Layers(tmp_path)
    write(both.writable, "a", 1, 2)
    write(both.writable, "b", 3)
    return both


def content(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in folder.rglob("*")
    }


def test_a_partition_is_read_where_the_own_root_has_it_and_else_in_the_base(layers: Layers) -> None:
    assert layers.numbers() == {"a": [1, 2], "b": [3]}
    layers.put("a", 9)
    assert layers.numbers() == {"a": [9], "b": [3]}
    assert layers.numbers("a") == {"a": [9]}
    assert layers.numbers("b", columns=["n", "p"]) == {"b": [3]}
    assert layers.numbers(predicate="n < 9") == {"b": [3]}
    write(layers.writable, "c", 4)
    assert layers.numbers() == {"a": [9], "b": [3], "c": [4]}
    assert (layers.snapshot().row_count, layers.snapshot("a", "c", "d").partition_rows) == (
        3,
        {"a": 1, "c": 1, "d": 0},
    )
    files = layers.snapshot("a", "b", "c").partition_files.values()
    assert layers.snapshot().table_size == sum(file.size for part in files for file in part)
    assert set(layers.snapshot("a", "d").by_partition(with_rows=True)) == {"a"}
    assert layers.snapshot().without_rows().scan().read_all().num_rows == 0


def test_a_partition_without_rows_hides_those_of_the_base(layers: Layers) -> None:
    layers.put("a")
    assert layers.numbers() == {"b": [3]}
    assert layers.snapshot("a").row_count == 0


def test_rows_are_appended_and_merged_to_those_of_the_base(layers: Layers) -> None:
    layers.put("a", 7, mode="append")
    layers.put("b", 3, 8, mode="merge")
    layers.put("c", 5, mode="append")
    assert layers.numbers() == {"a": [1, 2, 7], "b": [3, 8], "c": [5]}
    layers.put("a", 7, mode="append")
    assert layers.numbers("a") == {"a": [1, 2, 7, 7]}


def test_a_merge_that_deletes_old_rows_knows_those_of_the_base(layers: Layers) -> None:
    keys = {"merge_keys": ["n"], "delete_unmatched": True}
    layers.write(table_of("a", 2, 9), partitions("a"), "merge", merge_kind="update", **keys)
    layers.write(table_of("b", 8), partitions("b"), "merge", **keys)
    assert layers.numbers() == {"a": [2], "b": [8]}
    own = layers.own.open()
    pins = [Claims.of(own).pin(partitions(p).on(own.schema).one(0)) for p in ("a", "b")]
    assert [pin and pin.version for pin in pins] == [1, 1]


def test_a_table_without_partitions_is_replaced_or_appended_to_as_a_whole(layers: Layers) -> None:
    layers.put("a", 9)
    layers.write(table_of("z", 1), Scope(), "append")
    assert layers.numbers() == {"a": [9], "b": [3], "z": [1]}
    write(layers.writable, "c", 4)
    assert layers.numbers() == {"a": [9], "b": [3], "z": [1]}
    layers.write(table_of("y", 1), Scope())
    assert layers.numbers() == {"y": [1]}


def test_partitions_that_are_null_or_of_odd_names_stay_the_base_s(layers: Layers) -> None:
    odd = ["a", None, "x'y", "b/c %d", "ü"]
    rows = pa.table({"p": odd, "n": range(len(odd))})
    write_deltalake(layers.writable.uri, rows, mode="overwrite")  # of which a transaction takes no null
    layers.put("x'y", 9)
    found = layers.snapshot().scan().read_all().to_pylist()
    assert {row["p"]: row["n"] for row in found} == {"a": 0, None: 1, "x'y": 9, "b/c %d": 3, "ü": 4}
    assert layers.snapshot().row_count == len(odd)


def test_new_columns_are_null_in_the_other_layer(layers: Layers) -> None:
    layers.put("a", 9, x=pa.array(["new"]))
    write(layers.writable, "c", 4, y=pa.array([1.5]))
    rows = {row["n"]: row for row in layers.snapshot().scan().read_all().to_pylist()}
    assert rows[9] == {"p": "a", "n": 9, "x": "new", "y": None}
    assert rows[4] == {"p": "c", "n": 4, "x": None, "y": 1.5}
    assert layers.numbers(predicate="x = 'new' OR y > 1") == {"a": [9], "c": [4]}
    assert layers.snapshot().scan(["x"], "x IS NULL").read_all()["x"].to_pylist() == [None, None]
    with pytest.raises(SchemaMismatch, match=r"names the column 'z'.*there are \['p', 'n', 'x', 'y'\]"):
        layers.snapshot().scan(predicate="z = 1")


def test_the_own_table_begins_with_the_columns_of_the_base(layers: Layers) -> None:
    with pytest.raises(LossyValues, match="'n' is of type string, and the table's column of type int64"):
        layers.write(pa.table({"p": ["a"], "n": ["text"]}), partitions("a"))
    with pytest.raises(SchemaMismatch, match="extra"):
        layers.write(table_of("a", 1, extra=pa.array([1])), partitions("a"), on_schema_change="refuse")
    assert layers.numbers() == {"a": [1, 2], "b": [3]}


def test_columns_whose_types_differ_are_refused_by_name(layers: Layers) -> None:
    layers.put("a", 9)
    Transaction(layers.writable, Scope(), WriteOptions(partition_by=["p"], on_schema_change="replace")).write(
        pa.table({"p": ["a"], "n": ["text"]})
    )
    with pytest.raises(SchemaMismatch, match=r"column 'n' of t differ.*int64.*string.*Materialize every"):
        layers.snapshot()


def test_equal_rows_are_committed_where_the_base_would_be_read_else_not(layers: Layers) -> None:
    first = layers.put("a")
    assert (first.changed, layers.put("a").changed) == (True, False)
    again = layers.put("a")
    assert again.version == first.version == layers.own.open().version
    write(layers.writable, "a", 7)
    assert layers.put("a").version == first.version + 1  # on another version of the base
    assert layers.numbers("a") == {}


def test_windows_of_any_grain_are_claimed_exactly(tmp_path: Path) -> None:
    layers, day = Layers(tmp_path), dt.timedelta(days=1)
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)

    def windows(first: int, days: int, count: int = 1) -> Scope:
        begins = [start + (first + number * days) * day for number in range(count)]
        parts = (Window(str(begin), begin, begin + days * day, daily=days == 1) for begin in begins)
        return Scope(("p",), tuple((window,) for window in parts))

    def rows(first: int, days: int, number: int) -> pa.Table:
        dates = [(start + (first + n) * day).date() for n in range(days)]
        return pa.table({"p": pa.array(dates, pa.date32()), "n": [number] * days})

    Transaction(layers.writable, Scope(), WriteOptions(partition_by=["p"])).write(rows(0, 60, 0))
    layers.write(rows(3, 2, 1), windows(3, 1, 2))
    layers.write(rows(5, 1, 1), windows(5, 1))
    layers.write(rows(4, 7, 2), windows(4, 7))
    found = sorted(layers.snapshot().scan().read_all().to_pylist(), key=lambda row: row["p"])
    assert [row["n"] for row in found] == [0] * 3 + [1] + [2] * 7 + [0] * 49
    layers.write(rows(0, 1, 5), windows(0, 31), "append")  # a month, of which some days are claimed
    found = sorted(layers.snapshot().scan().read_all().to_pylist(), key=lambda row: (row["p"], row["n"]))
    assert [row["n"] for row in found[:13]] == [0, 5, 0, 0, 1, *[2] * 7, 0]
    assert len(found) == 61


def test_random_work_leaves_what_a_dictionary_holds(layers: Layers) -> None:
    moves = random.Random(14)  # noqa: S311 the same in every run
    base: Numbers = {"a": [1, 2], "b": [3]}
    own: Numbers = {}
    for step in range(40):
        p = moves.choice("abcd")
        numbers = [moves.randrange(9) for _ in range(moves.randrange(3))]
        kind = moves.choice(["base", "replace", "append", "compact", "rollback"])
        if kind == "base":
            write(layers.writable, p, *numbers)
            base[p] = numbers
        elif kind == "compact" and own:
            compact(layers.own)
            checkpoint(layers.own)
        elif kind == "rollback" and p in own:
            layers.put(p, *own[p])
        elif kind in {"replace", "append"}:
            layers.put(p, *numbers, mode="append" if kind == "append" else "replace")
            own[p] = [*own.get(p, base.get(p, [])), *numbers] if kind == "append" else numbers
        expected = {key: sorted(rows) for key, rows in {**base, **own}.items() if rows}
        assert {key: sorted(rows) for key, rows in layers.numbers().items()} == expected, step
        assert layers.snapshot().row_count == sum(map(len, expected.values()))
        assert {k: sorted(v) for k, v in layers.numbers(p).items()} == (
            {p: expected[p]} if p in expected else {}
        )


def test_partitions_of_other_writers_of_the_own_table_are_its_own(layers: Layers) -> None:
    layers.put("a", 9)
    Transaction(layers.own, partitions("b"), WriteOptions(partition_by=["p"])).write(table_of("b", 5))
    assert layers.numbers() == {"a": [9], "b": [5]}


def test_a_log_that_does_not_reach_its_beginning_is_refused(layers: Layers) -> None:
    for number in range(3):
        layers.put("a", number)
    checkpoint(layers.own)
    entries = unneeded_entries(layers.own, dt.datetime.now(dt.UTC) + dt.timedelta(days=1))
    assert remove(layers.own, entries)
    with pytest.raises(VersionGone, match=r"begins with version \d.*Delete the table's folder"):
        layers.snapshot()


def test_a_table_that_the_base_would_refuse_is_refused(layers: Layers) -> None:
    layers.writable.open().set_properties({"delta.appendOnly": "true"}, {})
    with pytest.raises(UnsupportedTable, match="appendOnly"):
        layers.put("a", 9)
    layers.put("a", 9, mode="append")
    assert layers.numbers("a") == {"a": [1, 2, 9]}


def test_pins_are_those_of_the_rows_that_were_replaced_last(layers: Layers) -> None:
    def pin(p: str) -> int | None:
        own = layers.own.open()
        pinned = Claims.of(own).pin(partitions(p).on(own.schema).one(0))
        return pinned.version if pinned is not None else -1

    layers.put("a", 7, mode="append")
    write(layers.writable, "b", 4)
    layers.put("a", 8, mode="append")
    layers.put("b", 5)
    assert (pin("a"), pin("b"), pin("c")) == (1, 2, -1)
    layers.put("a", 5)
    assert pin("a") == 2


def _upkeep(table: Table) -> Sequence[Any]:
    plan = plan_rollback(table, 0, partitions("a", "b"), whole=True)
    return [
        lambda: Transaction(table, partitions("a"), WriteOptions(partition_by=["p"])),
        lambda: write(table, "a", 1),
        lambda: carry_out(table, plan, Provenance(), undo_newer=True),
        lambda: compact(table),
        lambda: checkpoint(table),
        lambda: table.open().set_properties({"delta.appendOnly": "true"}, {}),
        lambda: table.open().add_features([]),
        lambda: table.open().commit([], table.open().schema, None),  # type: ignore[arg-type]
        lambda: table.create([], table.open().schema, ["p"], {}, None),  # type: ignore[arg-type]
        lambda: table.write("x", b""),
        lambda: table.copy(Path(__file__), "x"),
        lambda: table.delete("x"),
        lambda: table.discard(["x"]),
        table.filesystem,
        lambda: FolderWriter(table),
        lambda: prove(table, None),
        lambda: remove(table, unneeded_entries(table, dt.datetime.now(dt.UTC) + dt.timedelta(days=1))),
    ]


def test_whatever_writes_a_table_refuses_one_of_a_base(layers: Layers) -> None:
    write(layers.writable, "a", 4)
    write(layers.writable, "a", 5, mode="append")
    checkpoint(layers.writable)
    before = content(layers.folder)
    for number, operation in enumerate(_upkeep(layers.base)):
        with pytest.raises(ReadOnlyLake, match="belongs to the base"):
            operation()
        assert content(layers.folder) == before, number


def test_sql_reads_both_layers_with_null_for_a_column_that_one_lacks(layers: Layers) -> None:
    layers.put("a", 9, more=["x"])
    query = "SELECT p, sum(n) AS s, count(more) AS c FROM t GROUP BY p ORDER BY p"
    assert layers.snapshot().sql(query).to_arrow().to_pylist() == [
        {"p": "a", "s": 9, "c": 1},
        {"p": "b", "s": 3, "c": 0},
    ]
    assert layers.snapshot("b").sql("SELECT n FROM t").to_arrow().to_pylist() == [{"n": 3}]
    assert layers.snapshot().without_rows().sql("SELECT n FROM t").to_arrow().num_rows == 0


def test_open_table_reads_an_own_root_over_its_base_by_the_names_of_both(layers: Layers) -> None:
    before = dt.datetime.now(dt.UTC)

    def numbers(**selection: Any) -> list[int]:
        at = open_table(layers.folder / "own", "t", base_uri=layers.folder / "base", **selection)
        return sorted(at.to_pandas()["n"])

    assert numbers() == [1, 2, 3]  # the base alone
    layers.put("b", 7)
    assert numbers() == [1, 2, 7]
    assert (numbers(partitions=["a"]), numbers(partitions=["b"]), numbers(partitions=[])) == ([1, 2], [7], [])
    assert numbers(version=before) == [1, 2, 3]
    with pytest.raises(DeclarationError, match="Give a moment"):
        numbers(version=0)
    with pytest.raises(TableNotFound, match="none in the base"):
        numbers(version=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    with pytest.raises(TableNotFound, match="none in the base"):
        open_table(layers.folder / "own", "tt", base_uri=layers.folder / "base")
