"""A table that is read as a DataFrame and written again: each value and each type is what it was."""

import datetime as dt
import math
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.rows.frames import read_as, record_batches
from practicus_assets.lake.transactions.transaction import Transaction

BIG = 2**53 + 1  # a float makes another integer of it
NESTED = pa.table(
    {
        "n": pa.array([1, 2, 3], pa.int64()),
        "s": pa.array([{"id": BIG}, {"id": None}, None], pa.struct([("id", pa.int64())])),
        "l": pa.array([[BIG, None], None, []], pa.list_(pa.int64())),
        "m": pa.array([[("a", BIG)], None, [("b", None)]], pa.map_(pa.string(), pa.int64())),
    }
)


@pytest.fixture
def frame() -> pd.DataFrame:
    return read_as(NESTED.to_reader(), pd.DataFrame)


# --- Every type, nested in every other ----------------------------------------------------------------------

_NAIVE, _ZONED = pa.timestamp("us"), pa.timestamp("us", "UTC")
_TIMES = st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30))  # noqa: DTZ001 the wall times
_VALUES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.bool_(): st.booleans(),
    **{
        pa.type_for_alias(f"int{bits}"): st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        for bits in (8, 16, 32, 64)
    },
    pa.float32(): st.floats(width=32),
    pa.float64(): st.floats(),
    pa.string(): st.text(st.characters(exclude_categories=["Cs"])),
    pa.binary(): st.binary(),
    pa.date32(): st.dates(),
    _NAIVE: _TIMES,
    _ZONED: _TIMES.map(lambda time: time.replace(tzinfo=dt.UTC)),
    pa.decimal128(5, 2): st.decimals(-999, 999, places=2),
    pa.decimal128(38, 18): st.decimals(-(10**19), 10**19, places=18).filter(lambda d: abs(d) < 10**19),
}
_TYPES = st.recursive(
    st.sampled_from(list(_VALUES)),
    lambda inner: st.one_of(
        inner.map(pa.list_),
        st.lists(inner, min_size=1, max_size=3).map(lambda types: pa.struct(list(zip("abc", types)))),  # noqa: B905 of other lengths
        st.tuples(st.sampled_from([pa.string(), pa.int64(), pa.date32()]), inner)
        .filter(lambda pair: "timestamp[us]" not in str(pair[1]))
        .map(lambda pair: pa.map_(*pair)),
    ),
    max_leaves=4,
)


def values(type_: pa.DataType) -> st.SearchStrategy[Any]:
    """Return values of a type, None among them at every level."""
    if pa.types.is_map(type_):
        pairs = st.tuples(values(type_.key_type).filter(lambda k: k is not None), values(type_.item_type))
        some: st.SearchStrategy[Any] = st.lists(pairs, max_size=3)
    elif pa.types.is_list(type_):
        some = st.lists(values(type_.value_type), max_size=3)
    elif pa.types.is_struct(type_):
        some = st.fixed_dictionaries({field.name: values(field.type) for field in type_})
    else:
        some = _VALUES[type_]
    return st.none() | some


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    types = draw(st.lists(_TYPES, min_size=1, max_size=3))
    rows = draw(st.integers(0, 4))
    return pa.table(
        {
            f"c{i}": pa.array(draw(st.lists(values(type_), min_size=rows, max_size=rows)), type_)
            for i, type_ in enumerate(types)
        }
    )


@given(data=tables())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_rows_that_are_read_as_pandas_and_written_are_the_same_values_and_types(
    tmp_path_factory: pytest.TempPathFactory, data: pa.Table
) -> None:
    lake = str(tmp_path_factory.mktemp("lake"))
    first, second = Table.at(lake, ["first"]), Table.at(lake, ["second"])
    Transaction(first).write(data)
    read = Snapshot.of(first)
    Transaction(second).write(read_as(read.scan(), pd.DataFrame))
    copied = Snapshot.of(second)
    assert copied.schema == read.schema
    assert repr(copied.scan().read_all().to_pylist()) == repr(data.to_pylist())


# --- What an author holds -----------------------------------------------------------------------------------


def test_structs_are_dicts_lists_are_lists_and_maps_are_lists_of_pairs(frame: pd.DataFrame) -> None:
    assert frame["s"].tolist() == [{"id": BIG}, {"id": None}, None]
    assert frame["l"].tolist() == [[BIG, None], None, []]
    assert frame["m"].tolist() == [[("a", BIG)], None, [("b", None)]]
    assert dict(frame["m"].iloc[0]) == {"a": BIG}


WAYS: dict[str, Callable[[pd.Series], list[Any]]] = {
    "a value": lambda s: [s[0], s.iloc[1], s.loc[2]],
    "iteration": list,
    "map": lambda s: s.map(lambda value: value).tolist(),
    "apply": lambda s: s.apply(lambda value: value).tolist(),
    "astype": lambda s: s.astype(object).tolist(),
    "numpy": lambda s: s.to_numpy().tolist(),
    "iterrows": lambda s: [row["x"] for _, row in pd.DataFrame({"x": s, "y": 1}).iterrows()],
    "itertuples": lambda s: [row.x for row in pd.DataFrame({"x": s}).itertuples()],
    "rows to a function": lambda s: (
        pd.DataFrame({"x": s, "y": 1}).apply(lambda row: row["x"], axis=1).tolist()
    ),
    "to_dict": lambda s: list(s.to_dict().values()),
    "filter": lambda s: s[[True, True, True]].tolist(),
    "concat": lambda s: pd.concat([s[:1], s[1:]]).tolist(),
    "merge": lambda s: (
        pd.DataFrame({"k": [1, 2, 3], "x": s}).merge(pd.DataFrame({"k": [1, 2, 3]})).x.tolist()
    ),
    "group": lambda s: s.groupby([1, 2, 3]).agg(lambda group: group.iloc[0]).tolist(),
    "where": lambda s: s.where([True, True, True]).tolist(),
    "mask": lambda s: s.mask([False, True, False], s).tolist(),
    "shift": lambda s: [*s.shift(1).shift(-1).tolist()[:2], s[2]],
    "melt": lambda s: pd.DataFrame({"k": 1, "x": s}).melt("k")["value"].tolist(),
}


@pytest.mark.parametrize("column", ["s", "l", "m"])
@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_a_nested_value_gives_the_same_integers(
    frame: pd.DataFrame, column: str, way: str
) -> None:
    assert repr(WAYS[way](frame[column])) == repr(NESTED[column].to_pylist())


def test_the_accessors_and_explode_of_pandas_work_on_nested_columns(frame: pd.DataFrame) -> None:
    assert frame["s"].struct.field("id").tolist() == [BIG, pd.NA, pd.NA]
    assert frame["l"].list.len().tolist() == [2, pd.NA, 0]
    assert frame["l"].explode().iloc[0] == BIG
    assert frame.to_json().count(str(BIG)) == 3


def test_nested_columns_keep_their_type_through_what_rows_go_through(frame: pd.DataFrame) -> None:
    frame = pd.concat([frame, frame.iloc[:0]]).merge(frame[["n"]], on="n", how="right")
    frame = frame[frame["n"] > 0].sort_values("n", ascending=False).reset_index(drop=True)
    written = record_batches(frame.assign(kept=frame["s"])).read_all()
    assert written.schema.field("m").type == NESTED.schema.field("m").type
    assert written["kept"].to_pylist() == NESTED["s"].to_pylist()[::-1]


def test_decimals_keep_their_digits_and_dates_and_bytes_their_type_without_values(table: Table) -> None:
    data = pa.table(
        {
            "price": pa.array([Decimal("1.10")], pa.decimal128(18, 2)),
            "day": pa.array([None], pa.date32()),
            "raw": pa.array([None], pa.binary()),
        }
    )
    frame = read_as(data.to_reader(), pd.DataFrame)
    assert frame["price"].sum() == Decimal("1.10")
    Transaction(table).write(frame)
    assert Snapshot.of(table).schema == data.schema
    Transaction(table).write(read_as(data[:0].to_reader(), pd.DataFrame))
    assert Snapshot.of(table).schema == data.schema


def test_dates_are_python_dates_and_those_that_python_lacks_stay_what_they_are() -> None:
    days = pa.table({"day": pa.array([dt.date(2024, 1, 1), None])})
    assert read_as(days.to_reader(), pd.DataFrame)["day"].tolist() == [dt.date(2024, 1, 1), None]
    far = pa.table({"day": pa.array([3_000_000], pa.date32())})  # the year 10183
    assert record_batches(read_as(far.to_reader(), pd.DataFrame)).read_all() == far


def test_a_column_with_a_nan_keeps_it_apart_from_null(table: Table, rows: Any) -> None:
    Transaction(table).write(pa.table({"x": [1.5, math.nan, None], "y": [1.5, None, 2.5]}))
    frame = read_as(Snapshot.of(table).scan(), pd.DataFrame)
    assert frame["y"].dtype == "float64"
    assert not Transaction(table).write(frame).changed
    assert repr(rows(table)[1:]) == "[{'x': None, 'y': 2.5}, {'x': nan, 'y': None}]"


def test_nested_columns_that_pandas_makes_are_written_as_their_arrow_type(tmp_path: Path) -> None:
    map_type = pa.map_(pa.string(), pa.int64())
    maps = pd.Series([[("a", BIG)], None], dtype=pd.ArrowDtype(map_type))
    frame = pd.DataFrame({"m": maps, "s": [{"id": BIG, "l": [1, None]}, None]})
    table = Table.at(str(tmp_path), ["t"])
    Transaction(table).write(frame)
    found = Snapshot.of(table).scan().read_all()
    assert found.schema.field("m").type == map_type
    assert found.to_pylist() == [
        {"m": [("a", BIG)], "s": {"id": BIG, "l": [1, None]}},
        {"m": None, "s": None},
    ]
