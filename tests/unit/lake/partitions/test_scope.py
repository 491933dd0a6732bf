"""Which rows and files belong to a scope, told in Python, SQL and JSON: all three agree."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from practicus_assets.errors import DeclarationError, OutOfScope
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.bounds import Bounds
from practicus_assets.lake.partitions.scope import Key, Scope, Window
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.transaction import Transaction

Read = Callable[[Table], list[dict[str, Any]]]

BERLIN = ZoneInfo("Europe/Berlin")
NAIVE, ZONED = pa.timestamp("us"), pa.timestamp("us", "UTC")
quick = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def keys(column: str, *names: str) -> Scope:
    return Scope((column,), tuple((Key(name),) for name in names))


def windows(column: str, *ends: datetime) -> Scope:
    """Return windows from each moment to the next."""
    return Scope((column,), tuple((Window(a.isoformat(), a, b),) for a, b in pairwise(ends)))


def on(scope: Scope, *types: pa.DataType) -> Bounds:
    return scope.on(pa.schema(list(zip(scope.columns, types, strict=True))))


# --- What a key stands for ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "type_", "value"),
    [
        ("a", pa.string(), "a"),
        ("-7", pa.int8(), -7),
        ("7", pa.int64(), 7),
        ("True", pa.bool_(), True),
        ("2013-07-04", pa.date32(), date(2013, 7, 4)),
        ("2013-07-04T05:00:00", NAIVE, datetime(2013, 7, 4, 5)),  # noqa: DTZ001
        ("2013-07-04T05:00:00+02:00", ZONED, datetime(2013, 7, 4, 3, tzinfo=UTC)),
    ],
)
def test_a_key_is_one_value_of_the_column(key: str, type_: pa.DataType, value: Any) -> None:
    bounds = on(keys("p", key), type_)
    assert bounds.part_of(dict.fromkeys(bounds.columns, value)) == 0
    assert bounds.constants()["p"].as_py() == value
    assert bounds.part_of(dict.fromkeys(bounds.columns)) is None


@pytest.mark.parametrize(
    ("key", "type_"),
    [
        ("", pa.string()),
        ("__HIVE_DEFAULT_PARTITION__", pa.string()),
        ("1.0", pa.int64()),
        ("١", pa.int64()),  # noqa: RUF001 a digit of another script
        ("300", pa.int8()),
        ("9" * 5000, pa.int64()),
        ("yes", pa.bool_()),
        ("2013-02-30", pa.date32()),
        ("007", pa.int64()),  # else "7" and "007" would replace each other's rows in runs of their own
        ("20130704", pa.date32()),
        ("2013-07-04T05:00:00", ZONED),
        ("2013-07-04T05:00:00+00:00", NAIVE),
        ("1.5", pa.float64()),
    ],
)
def test_a_key_that_is_no_value_of_the_column_is_refused(key: str, type_: pa.DataType) -> None:
    with pytest.raises(OutOfScope, match="cannot be expressed on column 'p'"):
        on(keys("p", key), type_)


@pytest.mark.parametrize(("one", "other", "type_"), [("true", "True", pa.bool_())])
def test_two_keys_of_one_value_are_refused(one: str, other: str, type_: pa.DataType) -> None:
    with pytest.raises(OutOfScope, match=f"'{one}' and '{other}' are the same"):
        on(keys("p", one, other), type_)


def test_a_scope_whose_keys_do_not_tell_its_partitions_apart_is_refused() -> None:
    with pytest.raises(DeclarationError):
        Scope(("p",), ((Key("a"),), (Key("b"),)), ("same", "same"))
    with pytest.raises(DeclarationError):
        Scope(("p",), ((Key("a"),), (Key("b"),)), ("one",))
    with pytest.raises(DeclarationError):
        Scope(("p", "q"), ((Key("a"),),))


def test_a_scope_on_a_column_that_is_not_there_is_refused() -> None:
    with pytest.raises(OutOfScope, match="column 'p'"):
        keys("p", "a").on(pa.schema({"q": pa.string()}))


# --- Windows ------------------------------------------------------------------------------------------------


def test_a_window_is_half_open() -> None:
    bounds = on(windows("d", datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 8, tzinfo=UTC)), pa.date32())
    inside = [day for day in range(1, 15) if bounds.part_of({"d": date(2020, 1, day)}) == 0]
    assert inside == [1, 2, 3, 4, 5, 6, 7]
    bounds = on(windows("t", datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC)), ZONED)
    last = datetime(2020, 1, 1, 23, 59, 59, 999999, tzinfo=UTC)
    assert bounds.part_of({"t": last}) == 0
    assert bounds.part_of({"t": last + timedelta(microseconds=1)}) is None


def test_a_day_is_a_value_of_a_date_column_and_a_week_is_not() -> None:
    day = windows("d", datetime(2020, 1, 1, tzinfo=BERLIN), datetime(2020, 1, 2, tzinfo=BERLIN))
    assert on(day, pa.date32()).constants()["d"].as_py() == date(2020, 1, 1)
    week = windows("d", datetime(2020, 1, 1, tzinfo=BERLIN), datetime(2020, 1, 8, tzinfo=BERLIN))
    assert on(week, pa.date32()).constants() == {}


def test_a_day_on_which_clocks_change_has_23_or_25_hours_of_a_zoned_column() -> None:
    for day, hours in (
        (datetime(2020, 3, 29, tzinfo=BERLIN), 23),
        (datetime(2020, 10, 25, tzinfo=BERLIN), 25),
    ):
        bounds = on(windows("t", day, day + timedelta(days=1)), ZONED)
        (((low, high),),) = bounds.recorded.parts
        assert datetime.fromisoformat(high) - datetime.fromisoformat(low) == timedelta(hours=hours)
        moments = [day.astimezone(UTC) + timedelta(hours=n) for n in range(-1, 27)]
        assert sum(bounds.part_of({"t": moment}) == 0 for moment in moments) == hours
        assert (
            on(windows("t", day, day + timedelta(days=1)), NAIVE).part_of({"t": day.replace(tzinfo=None)})
            == 0
        )


@pytest.mark.parametrize("moment", [datetime(2020, 10, 25, 2), datetime(2020, 3, 29, 2)])  # noqa: DTZ001
def test_a_wall_time_that_clocks_repeat_or_skip_bounds_no_naive_column(moment: datetime) -> None:
    start = moment.replace(tzinfo=BERLIN)
    with pytest.raises(OutOfScope, match="repeats or skips"):
        on(windows("t", start, start + timedelta(days=1)), NAIVE)


def test_a_window_within_a_day_is_refused_on_a_date_column_and_one_without_zone_everywhere() -> None:
    with pytest.raises(OutOfScope, match="midnight"):
        on(windows("d", datetime(2020, 1, 1, 5, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC)), pa.date32())
    with pytest.raises(OutOfScope, match="no time zone"):
        on(windows("t", datetime(2020, 1, 1), datetime(2020, 1, 2)), ZONED)  # noqa: DTZ001


def test_windows_that_overlap_are_refused() -> None:
    days = [datetime(2020, 1, day, tzinfo=UTC) for day in (1, 3, 2, 4)]
    scope = Scope(("d",), ((Window("1", days[0], days[1]),), (Window("2", days[2], days[3]),)))
    with pytest.raises(OutOfScope, match="overlap"):
        on(scope, pa.date32()).part_of({"d": date(2020, 1, 1)})


def test_adjacent_windows_are_recorded_as_one() -> None:
    days = [datetime(2013, 1, 1, tzinfo=UTC) + timedelta(n) for n in range(366)]
    assert on(windows("d", *days), pa.date32()).recorded.parts == ((("2013-01-01", "2014-01-01"),),)


def test_a_window_on_a_text_column_is_its_key() -> None:
    scope = Scope(
        ("p",), ((Window("2020-W01", datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 8, tzinfo=UTC)),),)
    )
    assert on(scope, pa.string()).part_of({"p": "2020-W01"}) == 0


# --- Overlaps -----------------------------------------------------------------------------------------------

days = st.integers(0, 12).map(lambda n: date(2020, 1, 1) + timedelta(n))
texts = st.sampled_from(["a", "aa", "b", "x'", "x"])


@st.composite
def day_scopes(draw: st.DrawFn) -> Scope:
    cuts = sorted(draw(st.sets(days, min_size=2, max_size=6)))
    pairs = draw(st.sets(st.sampled_from(list(pairwise(cuts))), min_size=1))
    at = {cut: datetime(cut.year, cut.month, cut.day, tzinfo=UTC) for cut in cuts}
    names = draw(st.none() | st.sets(texts, min_size=1))
    if names is None:
        return Scope(("d",), tuple((Window(str(a), at[a], at[b]),) for a, b in sorted(pairs)))
    grid = [(Window(str(a), at[a], at[b]), Key(name)) for a, b in sorted(pairs) for name in sorted(names)]
    chosen = draw(st.sets(st.integers(0, len(grid) - 1), min_size=1))
    return Scope(("d", "p"), tuple(grid[i] for i in sorted(chosen)))


@quick
@given(one=day_scopes(), other=day_scopes())
def test_scopes_overlap_exactly_if_some_row_is_in_both(one: Scope, other: Scope) -> None:
    mine, theirs = (on(scope, *[pa.date32(), pa.string()][: len(scope.columns)]) for scope in (one, other))
    space = [
        (date(2020, 1, 1) + timedelta(n), text) for n in range(14) for text in ["a", "aa", "b", "x'", "x"]
    ]

    def holds(bounds: Bounds, row: tuple[date, str]) -> bool:
        return bounds.part_of(dict(zip(("d", "p"), row, strict=True))) is not None

    shared = any(holds(mine, row) and holds(theirs, row) for row in space)
    assert mine.overlaps(theirs.recorded) == (shared or one.columns != other.columns)
    assert mine.overlaps(theirs.recorded) == on(
        one.in_order_of(["p", "d"]), *[pa.date32(), pa.string()][: len(one.columns)][::-1]
    ).overlaps(theirs.recorded)
    assert mine.overlaps(on(Scope()).recorded)
    assert on(Scope()).overlaps(mine.recorded)


# --- SQL and Python agree -----------------------------------------------------------------------------------

INSTANTS = [datetime(2020, 3, 28, tzinfo=UTC) + timedelta(hours=7 * n, microseconds=n) for n in range(12)]
VALUES: dict[pa.DataType, list[Any]] = {
    pa.string(): [
        "a",
        "A",
        "x' OR '1'='1",
        "a/b",
        "a%2Fb",
        "ü",
        "u\u0308",
        " ",
        "null",
        '"',
        "\\",
        "\n",
        ".",
    ],
    pa.int64(): [-(2**63), -1, 0, 1, 10, 2**63 - 1],
    pa.int8(): [-128, -1, 0, 127],
    pa.bool_(): [True, False],
    pa.date32(): [date(2020, 3, 28) + timedelta(n) for n in range(6)] + [date(1, 1, 1), date(9999, 12, 31)],
    NAIVE: [moment.replace(tzinfo=None) for moment in INSTANTS],
    ZONED: INSTANTS,
}


@pytest.mark.parametrize("type_", VALUES, ids=str)
def test_a_scope_of_keys_reads_and_replaces_exactly_its_rows(
    table: Table, rows: Read, type_: pa.DataType
) -> None:
    values = VALUES[type_]
    data = pa.table({"p": pa.array(values, type_), "n": range(len(values))})
    Transaction(table, options=WriteOptions(partition_by=["p"])).write(data)
    handle = table.open()
    for chosen in (values[:1], values[1::2], values):
        scope = keys("p", *(v.isoformat() if isinstance(v, date) else str(v) for v in chosen))
        found = Snapshot(handle, scope).scan().read_all()
        assert sorted(found["n"].to_pylist()) == [n for n, v in enumerate(values) if v in chosen]
    again = pa.table({"p": pa.array(values[1::2], type_), "n": [-1] * len(values[1::2])})
    scope = keys("p", *(v.isoformat() if isinstance(v, date) else str(v) for v in values[1::2]))
    Transaction(table, scope, WriteOptions(partition_by=["p"])).write(again)
    expected = [{"p": v, "n": -1 if n % 2 else n} for n, v in enumerate(values)]
    assert rows(table) == sorted(expected, key=repr)
    in_polars = pl.read_delta(table.uri).to_dicts()
    assert sorted(in_polars, key=lambda row: (row["n"], repr(row["p"]))) == sorted(
        expected, key=lambda row: (row["n"], repr(row["p"]))
    )


@pytest.mark.parametrize("type_", [pa.date32(), NAIVE, ZONED], ids=str)
@quick
@given(
    cuts=st.lists(st.integers(0, 9), min_size=2, max_size=5, unique=True).map(sorted),
    gap=st.booleans(),
)
def test_a_scope_of_windows_reads_exactly_its_rows(
    tmp_path_factory: pytest.TempPathFactory,
    type_: pa.DataType,
    cuts: list[int],
    gap: bool,  # noqa: FBT001
) -> None:
    zone = UTC if type_ == NAIVE else BERLIN
    table = Table.at(
        str(tmp_path_factory.getbasetemp()), [f"windows-{type_}".replace("[", "").replace("]", "")]
    )
    values = VALUES[type_]
    if table.open_if_exists() is None:
        data = pa.table({"p": pa.array(values, type_), "n": range(len(values))})
        Transaction(table, options=WriteOptions(partition_by=["p"])).write(data)
    moments = [datetime(2020, 3, 27, tzinfo=zone) + timedelta(days=cut) for cut in cuts]
    parts = windows("p", *moments).parts
    scope = Scope(("p",), parts[::2] if gap else parts)
    bounds = on(scope, type_)
    found = Snapshot.of(table, scope=scope).scan().read_all()["n"].to_pylist()
    assert sorted(found) == [
        n
        for n, value in enumerate(values)
        if bounds.part_of(dict.fromkeys(bounds.columns, value)) is not None
    ]


def test_a_scope_of_two_dimensions_that_is_no_grid_replaces_exactly_its_rows(
    table: Table, rows: Read
) -> None:
    square = [(p, n) for p in ("a", "b") for n in (1, 2)]
    data = pa.table({"p": [p for p, _ in square], "q": [n for _, n in square], "v": [0] * 4})
    Transaction(table, options=WriteOptions(partition_by=["p", "q"])).write(data)
    diagonal = Scope(("p", "q"), ((Key("a"), Key("1")), (Key("b"), Key("2"))))
    assert diagonal.keys == ("a|1", "b|2")
    assert Snapshot.of(table, scope=diagonal).scan().read_all().num_rows == 2
    commit = Transaction(table, diagonal, WriteOptions(partition_by=["p", "q"])).write(
        pa.table({"p": ["a"], "q": [1], "v": [9]})
    )
    assert commit.partition_rows == {"a|1": 1, "b|2": 0}
    assert rows(table) == [{"p": "a", "q": 1, "v": 9}, {"p": "a", "q": 2, "v": 0}, {"p": "b", "q": 1, "v": 0}]
    with pytest.raises(OutOfScope, match="p='a', q=2"):
        Transaction(table, diagonal, WriteOptions(partition_by=["p", "q"])).write(
            pa.table({"p": ["a"], "q": [2], "v": [9]})
        )
    wider = pa.table({"p": ["a", "b"], "q": [1, 2], "v": [5, 5], "w": [1, 1]})
    before = rows(table)
    Transaction(table, diagonal, WriteOptions(partition_by=["p", "q"])).write(
        wider.slice(0, 1)
    )  # removes one file: still a grid
    Transaction(table, diagonal, WriteOptions(partition_by=["p", "q"])).write(wider)
    with pytest.raises(OutOfScope, match=r"full grid.*Nothing was written\.$"):
        Transaction(table, diagonal, WriteOptions(partition_by=["p", "q"])).write(
            wider.append_column("z", pa.array([1, 1]))
        )
    assert len(rows(table)) == len(before) + 1


def test_a_table_keeps_the_order_of_its_partition_columns_whatever_order_a_writer_has(
    table: Table, rows: Read
) -> None:
    ours, theirs = WriteOptions(partition_by=["p", "q"]), WriteOptions(partition_by=["q", "p"])
    square = pa.table({"p": ["a", "a", "b", "b"], "q": ["1", "2", "1", "2"], "v": [0] * 4})
    Transaction(table, options=ours).write(square)
    cell = Scope(("q", "p"), ((Key("1"), Key("b")),), ("b|1",))
    beside = Scope(("p", "q"), ((Key("a"), Key("1")),))
    first, second = Transaction(table, cell, theirs), Transaction(table, beside, ours)
    second.write(pa.table({"p": ["a"], "q": ["1"], "v": [5]}))
    assert first.write(pa.table({"v": [7]})).partition_rows == {"b|1": 1}
    assert [tuple(row.values()) for row in rows(table)] == [
        ("a", "1", 5),
        ("a", "2", 0),
        ("b", "1", 7),
        ("b", "2", 0),
    ]
    assert table.open().partition_by == ("p", "q")


def test_writers_that_create_a_table_at_once_need_not_have_one_order(table: Table, rows: Read) -> None:
    one, other = (
        Transaction(table, Scope(columns, ((Key(value), Key(value)),)), WriteOptions(partition_by=columns))
        for columns, value in ((("p", "q"), "a"), (("q", "p"), "b"))
    )
    one.write(pa.table({"v": [1]}))
    other.write(pa.table({"v": [2]}))
    assert rows(table) == [{"v": 1, "p": "a", "q": "a"}, {"v": 2, "p": "b", "q": "b"}]
    assert table.open().partition_by == ("p", "q")


def test_two_keys_that_differ_in_form_only_are_two_partitions(table: Table, rows: Read) -> None:
    Transaction(table, options=WriteOptions(partition_by=["p"])).write(
        pa.table({"p": ["ü", "u\u0308"], "n": [1, 2]})
    )
    Transaction(table, keys("p", "ü"), WriteOptions(partition_by=["p"])).write(pa.table({"n": [3]}))
    assert sorted(row["n"] for row in rows(table)) == [2, 3]


# --- Hostile keys -------------------------------------------------------------------------------------------

HOSTILE = [
    *(
        "x' OR '1'='1",
        "a/b",
        "a%20b",
        "a b",
        "..",
        ".",
        "ünï ☃",
        '"',
        "`",
        "back\\slash",
        "new\nline",
        "nul\0",
    ),
    *("a=b&c?d#e", "~", "null", "NULL", "_delta_log", "-", "\u202e", "x" * 250, " ", "\t", "😀" * 20),
]


def test_hostile_keys_are_exact_and_leave_each_other_alone(table: Table, rows: Read) -> None:
    written: dict[str, int] = {}
    for n, key in enumerate(HOSTILE):
        Transaction(table, keys("p", key), WriteOptions(partition_by=["p"])).write(pa.table({"n": [n]}))
        written[key] = n
    assert {row["p"]: row["n"] for row in rows(table)} == written
    for key in HOSTILE:
        Transaction(table, keys("p", key), WriteOptions(partition_by=["p"])).write(pa.table({"n": [-1]}))
        written[key] = -1
        found = Snapshot.of(table, scope=keys("p", key)).scan().read_all().to_pylist()
        assert [(row["p"], row["n"]) for row in found] == [(key, -1)]
    assert {row["p"]: row["n"] for row in rows(table)} == written
    assert all(path.is_relative_to(table.uri) for path in Path(table.uri).parent.rglob("*.parquet"))


@pytest.mark.parametrize("key", ["x" * 254, "ü" * 50, "", "__HIVE_DEFAULT_PARTITION__"])
def test_keys_that_no_folder_can_hold_are_refused(table: Table, key: str) -> None:
    with pytest.raises(OutOfScope, match=r"Nothing was written\.$"):
        Transaction(table, keys("p", key), WriteOptions(partition_by=["p"])).write(pa.table({"n": [1]}))
    assert table.open_if_exists() is None


@pytest.mark.parametrize("column", ["a b", "a.b", 'q"', "SELECT", "ü", "Upper", "a%", "x=y"])
def test_a_partition_column_may_have_any_name(table: Table, column: str) -> None:
    for value in (1, 2):
        Transaction(table, keys(column, "k"), WriteOptions(partition_by=[column])).write(
            pa.table({"n": [value]})
        )
    found = Snapshot.of(table, scope=keys(column, "k")).scan().read_all().to_pylist()
    assert found == [{"n": 2, column: "k"}]


def test_adjacent_windows_of_each_shop_are_recorded_as_one() -> None:
    days = [datetime(2021, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(4)]
    parts = [
        (Window(str(a), a, b), Key(shop))
        for shop in ("x", "y")
        for a, b in pairwise(days)
        if (a, shop) != (days[1], "y")
    ]
    bounds = on(Scope(("day", "shop"), tuple(parts)), pa.date32(), pa.string())
    assert bounds.recorded.parts == (
        (("2021-01-01", "2021-01-04"), "x"),
        (("2021-01-01", "2021-01-02"), "y"),
        (("2021-01-03", "2021-01-04"), "y"),
    )
    assert bounds.part_of({"day": date(2021, 1, 2), "shop": "x"}) is not None
    assert bounds.part_of({"day": date(2021, 1, 2), "shop": "y"}) is None


def test_a_column_that_is_filled_in_is_a_date_only_if_each_partition_is_a_day() -> None:
    start, end = datetime(2021, 1, 4, tzinfo=UTC), datetime(2021, 1, 5, tzinfo=UTC)
    for daily, type_ in ((True, pa.date32()), (False, pa.string())):  # a Monday of business days is text
        scope = Scope(("p",), ((Window("2021-01-04", start, end, daily=daily),),))
        assert scope.natural_types() == {"p": type_}
    assert keys("p", "a").natural_types() == {"p": pa.string()}
