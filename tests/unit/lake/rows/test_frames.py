"""What authors may return, and what they are given."""

import datetime as dt
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple, Optional
from zoneinfo import ZoneInfo

import arro3.core
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from practicus_assets.errors import DeclarationError, SchemaMismatch
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.rows.frames import read_as, record_batches
from practicus_assets.lake.transactions.transaction import Transaction

DATA = pa.table({"n": pa.array([1, 2, None], pa.int64()), "t": pa.array(["x", None, "ü"], pa.string())})
NOON = dt.datetime(2020, 1, 1, 12)  # noqa: DTZ001


EMPTY = pa.record_batch([pa.array([], field.type) for field in DATA.schema], schema=DATA.schema)


class Stream:
    """An object with a C stream and nothing else."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return DATA.__arrow_c_stream__(requested_schema)


def batches() -> Iterator[pa.RecordBatch]:
    yield from DATA.to_batches(max_chunksize=1)


OUTPUTS: dict[str, Callable[[], Any]] = {
    "pandas": DATA.to_pandas,
    "pandas with Arrow types": lambda: DATA.to_pandas(types_mapper=pd.ArrowDtype),
    "pandas with a named index": lambda: DATA.to_pandas(types_mapper=pd.ArrowDtype).set_index("n"),
    "pandas with two levels": lambda: (
        DATA.to_pandas(types_mapper=pd.ArrowDtype).assign(k=0).set_index(["n", "k"])
    ),
    "table": lambda: DATA,
    "batch": lambda: DATA.to_batches()[0],
    "reader": DATA.to_reader,
    "stream": Stream,
    "polars": lambda: pl.from_arrow(DATA),
    "duckdb": lambda: duckdb.sql("SELECT 1::BIGINT n, 'x' t UNION ALL VALUES (2, NULL), (NULL, 'ü')"),
    "arro3": lambda: arro3.core.Table.from_arrow(DATA),
    "generator": batches,
    "generator of tables": lambda: iter([DATA.slice(0, 0), DATA.slice(0, 2), DATA.slice(2)]),
    "generator of arro3": lambda: (arro3.core.RecordBatch.from_arrow(batch) for batch in batches()),
    "list": lambda: list(batches()),
    "empty batch first": lambda: iter([EMPTY, *batches(), EMPTY]),
}


@pytest.mark.parametrize("kind", OUTPUTS)
def test_every_kind_of_output_becomes_the_same_rows(table: Table, kind: str) -> None:
    Transaction(table).write(OUTPUTS[kind]())
    found = Snapshot.of(table).scan(["n", "t"]).read_all()
    assert found["n"].type == pa.int64() or kind == "pandas"
    assert sorted(found.to_pylist(), key=repr) == sorted(DATA.to_pylist(), key=repr)


def test_an_index_without_name_is_no_column_and_a_named_one_is() -> None:
    frame = pd.DataFrame({"n": [1, 2]}, index=[7, 8])
    assert record_batches(frame).schema.names == ["n"]
    assert record_batches(frame.rename_axis("k")).schema.names == ["k", "n"]
    half = pd.DataFrame({"n": [1]}, index=pd.MultiIndex.from_tuples([(1, 2)], names=["a", None]))
    assert record_batches(half).read_all().to_pydict() == {"a": [1], "n": [1]}


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), r"more than one column named \['a'\]"),
        (pd.DataFrame([[1]], columns=[0]), "not strings"),
        (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])), "not strings"),
        (pd.DataFrame({"a": [1]}).rename_axis(index="a"), r"\['a'\] name levels"),
        (pd.DataFrame({"a": [1]}).rename_axis(index=[5]), "not strings"),
        (pa.table([[1], [2]], names=["a", "a"]), r"more than one column named \['a'\]"),
    ],
)
def test_columns_that_have_no_name_of_their_own_are_refused(frame: Any, words: str) -> None:
    with pytest.raises(SchemaMismatch, match=words):
        record_batches(frame)


@pytest.mark.parametrize(
    "values",
    [
        [1, "a"],
        [True, 1],
        [1.0, True],
        ["a", b"b"],
        [b"b", "a"],
        [2**70],
        [2**63],
        [2**53 + 1, 1.5],
        [Decimal("1.1"), 1.5],
        [dt.date(2020, 1, 2), NOON],
        [NOON, dt.date(2020, 1, 2)],
        [NOON, NOON.replace(tzinfo=dt.UTC)],
        [NOON.replace(tzinfo=dt.UTC), NOON],
        [pd.Timestamp("2020-01-01 00:00:00.000000001")],
        [[dt.date(2020, 1, 1), NOON]],
        [{"a": [dt.date(2020, 1, 1), NOON]}],
        [{"a": dt.date(2020, 1, 1)}, {"a": NOON}],
        [1 + 2j],
        pytest.param([object()], id="list of objects"),
    ],
    ids=repr,
)
def test_python_objects_that_would_change_to_share_a_type_are_refused(values: list[Any]) -> None:
    with pytest.raises(SchemaMismatch, match="column 'x' of dtype object is no Arrow column"):
        record_batches(pd.DataFrame({"x": pd.Series(values, dtype=object)}))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, None, 2], [1, None, 2]),
        ([1, 2.5], [1.0, 2.5]),
        ([dt.date(2020, 1, 1), None], [dt.date(2020, 1, 1), None]),
        ([NOON, pd.NaT], [NOON, None]),
        ([pd.Timestamp(NOON), NOON], [NOON, NOON]),
        ([NOON.replace(tzinfo=ZoneInfo("Europe/Berlin")), NOON.replace(tzinfo=dt.UTC)], None),
        ([Decimal("1.1"), 2], [Decimal("1.1"), Decimal(2)]),
        (["a", np.nan], ["a", None]),
        ([np.array([1.5, 2.5]), None], [[1.5, 2.5], None]),
        ([{"a": dt.date(2020, 1, 1), "b": NOON}], [{"a": dt.date(2020, 1, 1), "b": NOON}]),
    ],
    ids=repr,
)
def test_python_objects_that_stay_what_they_are_are_taken(
    values: list[Any], expected: list[Any] | None
) -> None:
    found = record_batches(pd.DataFrame({"x": pd.Series(values, dtype=object)})).read_all()["x"].to_pylist()
    assert found == (expected if expected is not None else values)


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        "text",
        b"bytes",
        {"a": [1]},
        [1, 2],
        [{"a": 1}],
        pd.Series([1]),
        pl.Series([1]),
        DATA["n"],
        pytest.param(object(), id="object"),
    ],
)
def test_what_is_no_table_is_refused(table: Table, value: Any) -> None:
    with pytest.raises(SchemaMismatch, match=r"^t: the function (returned|yielded).*Nothing was written\.$"):
        Transaction(table).write(value)
    assert table.open_if_exists() is None


def test_batches_of_different_columns_are_refused(table: Table, parquet_files: Any) -> None:
    mixed = [pa.record_batch({"n": [1]}), pa.record_batch({"n": ["x"]})]
    with pytest.raises(
        SchemaMismatch, match=r"batch 2 has the columns \{n: string\}, the first \{n: int64\}"
    ):
        Transaction(table).write(iter(mixed))
    assert parquet_files(table) == set()


def test_a_stream_is_never_held_whole(table: Table) -> None:
    alive, most = pa.total_allocated_bytes(), 0

    def wide() -> Iterator[pa.RecordBatch]:
        nonlocal most
        for number in range(200):
            most = max(most, pa.total_allocated_bytes() - alive)
            values = np.random.default_rng(number).random(131_072)
            yield pa.record_batch({"x": pa.array(values), "y": pa.array(values)})

    assert Transaction(table).write(wide()).rows == 200 * 131_072
    assert most < 160 * 2**20  # of 400 MB


# --- Inputs -------------------------------------------------------------------------------------------------


def test_rows_are_given_as_the_annotation_says() -> None:
    assert isinstance(read_as(DATA.to_reader(), pa.RecordBatchReader), pa.RecordBatchReader)
    assert read_as(DATA.to_reader(), pa.Table) == DATA
    assert read_as(DATA.to_reader(), pl.DataFrame).to_dicts() == DATA.to_pylist()
    assert read_as(DATA.to_reader(), pl.LazyFrame).collect().to_dicts() == DATA.to_pylist()
    for annotation in (pd.DataFrame, None, Any):
        frame = read_as(DATA.to_reader(), annotation)
        assert frame["n"].dtype == pd.Int64Dtype()
        assert frame.index.equals(pd.RangeIndex(3))
    for annotation in (int, list[int], "pd.DataFrame"):
        with pytest.raises(DeclarationError, match="cannot be given as"):
            read_as(DATA.to_reader(), annotation)


def test_a_frame_that_was_read_is_written_back_as_it_was(table: Table) -> None:
    data = pa.table(
        {
            "int8": pa.array([1, None], pa.int8()),
            "int64": pa.array([2**62 + 1, None]),
            "flag": [True, None],
            "money": [Decimal("1.10"), None],
            "day": [dt.date(2020, 1, 1), None],
            "at": pa.array([NOON, None], pa.timestamp("us")),
            "zoned": pa.array([NOON, None], pa.timestamp("us", "UTC")),
            "text": ["ü", None],
            "bytes": [b"x", None],
            "list": [[1, 2], None],
            "row": [{"a": 1, "b": "x"}, None],
            "old": pa.array([dt.datetime(1, 1, 1), None], pa.timestamp("us")),  # noqa: DTZ001
        }
    )
    Transaction(table).write(data)
    frame = read_as(Snapshot.of(table).scan(), pd.DataFrame)
    assert not Transaction(table).write(frame).changed


def test_a_stream_that_begins_with_none_is_no_empty_stream() -> None:
    def rows() -> Iterator[Any]:
        yield None
        yield pa.record_batch({"a": [7]})

    with pytest.raises(SchemaMismatch, match=r"yielded builtins\.NoneType"):
        record_batches(rows())


def test_a_tuple_is_no_table_be_it_empty_named_or_one_of_batches() -> None:
    class Named(NamedTuple):
        first: None = None

    for value in (Named(), (), (pa.record_batch({"a": [1]}),)):
        with pytest.raises(SchemaMismatch, match="which is no table"):
            record_batches(value)


def test_an_input_that_may_be_none_is_given_as_the_other_type() -> None:
    rows = pa.table({"a": [1]})
    assert isinstance(read_as(rows.to_reader(), pd.DataFrame | None), pd.DataFrame)
    assert isinstance(read_as(rows.to_reader(), Optional[pa.Table]), pa.Table)  # noqa: UP045 people write it
    with pytest.raises(DeclarationError):
        read_as(rows.to_reader(), pd.DataFrame | pa.Table)
