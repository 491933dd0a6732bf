"""Scopes of many keys: no query grows with them, and exactly their rows are read."""

import datetime as dt
import random

import pyarrow as pa
import pytest

from practicus_assets.lake.delta import conditions
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Key, Scope, Window
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.transaction import Transaction

MANY = Scope(("p",), tuple((Key(f"k{number:05}"),) for number in range(30_000)))
HOUR = dt.timedelta(hours=1)
START = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
THREE_YEARS = Scope(
    ("p",),
    tuple((Window(str(n), START + n * HOUR, START + (n + 1) * HOUR),) for n in range(3 * 365 * 24)),
)


def write(table: Table, data: pa.Table, scope: Scope | None = None, **options: object) -> int:
    how = WriteOptions(partition_by=["p"], **options)  # type: ignore[arg-type]
    return Transaction(table, scope, how).write(data.to_reader()).version


def test_thirty_thousand_keys_are_read_replaced_merged_and_appended(table: Table) -> None:
    write(table, pa.table({"p": ["k00001", "k00002", "other"], "n": [1, 2, 3]}))
    snapshot = Snapshot(table.open(), MANY)
    assert sorted(snapshot.scan(["n"]).read_all()["n"].to_pylist()) == [1, 2]
    assert snapshot.scan(predicate="n > 1").read_all()["n"].to_pylist() == [2]
    assert sum(count or 0 for count in snapshot.partition_rows.values()) == 2
    write(table, pa.table({"p": ["k00001"], "n": [7]}), MANY, mode="merge", merge_keys=["p"])
    write(table, pa.table({"p": ["k29999"], "n": [8]}), MANY, mode="append")
    assert sorted(Snapshot(table.open(), MANY).scan(["n"]).read_all()["n"].to_pylist()) == [2, 7, 8]
    write(table, pa.table({"p": ["k00003"], "n": [9], "new": [1]}), MANY)
    assert sorted(Snapshot(table.open()).scan(["n"]).read_all()["n"].to_pylist()) == [3, 9]


@pytest.mark.parametrize("type_", [pa.timestamp("us", "UTC"), pa.timestamp("us"), pa.string()], ids=str)
def test_three_years_of_hours_are_read(table: Table, type_: pa.DataType) -> None:
    moments = [START, START + HOUR, START - HOUR]
    texts = ["0", "1", "other"]
    values = (
        texts if pa.types.is_string(type_) else [m if type_.tz else m.replace(tzinfo=None) for m in moments]
    )
    write(table, pa.table({"p": pa.array(values, type_), "n": [1, 2, 3]}))
    rows = Snapshot(table.open(), THREE_YEARS).scan(["n"]).read_all()["n"].to_pylist()
    assert sorted(rows) == [1, 2]


def test_keys_of_a_column_that_is_no_partition_column_are_read_by_several_queries(table: Table) -> None:
    Transaction(table).write(pa.table({"p": ["k00001", "k29999", "other"], "n": [1, 2, 3]}))
    rows = Snapshot(table.open(), MANY).scan(["n"]).read_all()["n"].to_pylist()
    assert sorted(rows) == [1, 2]


def test_each_set_of_partitions_is_read_exactly_and_once(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conditions, "_ALTERNATIVES", 3)
    grid = [(p, q) for p in ("a", "b'", "c d", "é") for q in range(5)]
    p, q = zip(*grid, strict=True)
    data = pa.table({"p": p, "q": q, "n": range(len(grid))})
    Transaction(table, options=WriteOptions(partition_by=["p", "q"])).write(data)
    version = table.open()
    chance = random.Random(0)  # noqa: S311 the same in every run
    for _ in range(40):
        chosen = chance.sample(range(len(grid)), chance.randint(1, len(grid)))
        absent = (Key("a"), Key("99"))
        parts = (*((Key(grid[n][0]), Key(str(grid[n][1]))) for n in chosen), absent)
        rows = Snapshot(version, Scope(("p", "q"), parts)).scan(["n"]).read_all()["n"].to_pylist()
        assert sorted(rows) == sorted(chosen)
        letters = sorted({grid[n][0] for n in chosen})
        of_letters = Snapshot(version, Scope(("p",), tuple((Key(letter),) for letter in letters)))
        expected = [n for n, (letter, _) in enumerate(grid) if letter in letters]
        assert sorted(of_letters.scan(["n"]).read_all()["n"].to_pylist()) == expected


def test_a_scope_without_rows_reads_none_and_still_refuses_a_wrong_predicate(table: Table) -> None:
    write(table, pa.table({"p": ["a"], "n": [1]}))
    snapshot = Snapshot(table.open(), Scope(("p",), ((Key("b"),),)))
    assert snapshot.scan().read_all().num_rows == 0
    with pytest.raises(Exception, match="names the column 'nope', and there are"):
        snapshot.scan(predicate="nope = 1")
