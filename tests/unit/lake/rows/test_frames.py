"""What authors may return, and what they are given."""

import datetime as dt
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, Optional
from zoneinfo import ZoneInfo

import arro3.core
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from practicus_assets import Column, Contract
from practicus_assets.errors import DataRefused, DeclarationError, SchemaMismatch
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.rows.chunks import BATCH_ROWS
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
    "generator of pandas": lambda: (DATA.slice(n, 1).to_pandas() for n in range(3)),
    "generator of polars": lambda: (pl.from_arrow(batch) for batch in batches()),
    "generator of lists of dicts": lambda: (batch.to_pylist() for batch in (EMPTY, *batches())),
    "generator of dicts": lambda: (row for row in DATA.to_pylist()),
    "chunks of many kinds": lambda: iter(
        [DATA.slice(0, 1), DATA.slice(1, 1).to_pandas(), pl.from_arrow(DATA.slice(2)).lazy(), []]
    ),
    "list of dicts": DATA.to_pylist,
    "list of pandas": lambda: [DATA.to_pandas(types_mapper=pd.ArrowDtype)],
    "dict of columns": DATA.to_pydict,
    "dict of Series": lambda: {"n": pl.Series([1, 2, None]), "t": pd.Series(["x", None, "ü"])},
    "dict of columns of many kinds": lambda: {"n": DATA["n"], "t": np.array(["x", None, "ü"], dtype=object)},
    "polars lazy": lambda: pl.from_arrow(DATA).lazy(),
    "dataset": lambda: ds.dataset(DATA),
    "scanner": lambda: ds.dataset(DATA).scanner(),
}


@pytest.mark.parametrize("kind", OUTPUTS)
def test_every_kind_of_output_becomes_the_same_rows(table: Table, kind: str) -> None:
    Transaction(table).write(OUTPUTS[kind]())
    stored = Snapshot.of(table).scan(["n", "t"]).read_all()
    assert stored["n"].type == pa.int64() or kind == "pandas"
    assert sorted(stored.to_pylist(), key=repr) == sorted(DATA.to_pylist(), key=repr)


def test_an_index_without_name_is_no_column_and_a_named_one_is() -> None:
    frame = pd.DataFrame({"n": [1, 2]}, index=[7, 8])
    assert record_batches(frame).schema.names == ["n"]
    assert record_batches(frame.rename_axis("k")).schema.names == ["k", "n"]
    half = pd.DataFrame({"n": [1]}, index=pd.MultiIndex.from_tuples([(1, 2)], names=["a", None]))
    assert record_batches(half).read_all().to_pydict() == {"a": [1], "n": [1]}


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), r"more than one column named 'a'"),
        (pd.DataFrame([[1]], columns=[0]), "column label .* is no text"),
        (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])), "column label .* is no text"),
        (pd.DataFrame({"a": [1]}).rename_axis(index="a"), r"\['a'\] name levels"),
        (pd.DataFrame({"a": [1]}).rename_axis(index=[5]), "column label .* is no text"),
        (pa.table([[1], [2]], names=["a", "a"]), r"more than one column named 'a'"),
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
    taken = record_batches(pd.DataFrame({"x": pd.Series(values, dtype=object)})).read_all()["x"].to_pylist()
    assert taken == (expected if expected is not None else values)


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        "text",
        b"bytes",
        {"a": 1},
        {},
        {"a": [1], "b": [1, 2]},
        [1, 2],
        [{1: 1}],
        [{"a": 1}, {"a": "x"}],
        [{"a": 1}, pd.DataFrame({"a": ["x"]})],
        np.array([1]),
        pd.Series([1]),
        pl.Series([1]),
        DATA["n"],
        pytest.param(object(), id="object"),
    ],
)
def test_what_is_no_table_is_refused(table: Table, value: Any) -> None:
    with pytest.raises(SchemaMismatch, match=r"^t: .*Nothing was written\.$"):
        Transaction(table).write(value)
    assert table.open_if_exists() is None


def test_batches_of_different_columns_are_refused(table: Table, parquet_files: Any) -> None:
    mixed = [pa.record_batch({"n": [1]}), pa.record_batch({"n": ["x"]})]
    with pytest.raises(
        SchemaMismatch,
        match=r"chunk 2: it has the columns \{n: string\}, and the first, or the contract, \{n: int64\}",
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

    with pytest.raises(SchemaMismatch, match=r"chunk 1: it is a NoneType\. Yield DataFrames"):
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


# --- Python values, and chunks ---------------------------------------------------------------------------


def test_a_key_that_a_dict_lacks_is_null() -> None:
    rows = [{"a": 1}, {"b": "x"}, {"a": 2, "b": None}]
    assert record_batches(rows).read_all().to_pylist() == [
        {"a": 1, "b": None},
        {"a": None, "b": "x"},
        {"a": 2, "b": None},
    ]


@pytest.mark.parametrize("count", [BATCH_ROWS - 1, BATCH_ROWS, BATCH_ROWS + 1, 2 * BATCH_ROWS + 1])
def test_each_dict_of_a_generator_is_one_row_however_many_there_are(count: int) -> None:
    rows = record_batches({"n": n, "t": [n]} for n in range(count)).read_all()
    assert rows["n"].to_pylist() == list(range(count))
    assert rows.schema.field("t").type == pa.list_(pa.int64())


def test_dicts_have_the_columns_and_types_of_the_contract(table: Table) -> None:
    contract = Contract(
        {
            "id": Column("int32"),
            "price": Column("decimal128(10, 2)"),
            "note": Column("string"),
            "tags": Column(pa.map_(pa.string(), pa.int64())),
        }
    )
    rows = [{"id": 1, "price": 3, "tags": {"a": 1}}, {"id": 2, "price": Decimal("0.5"), "tags": None}]
    for data in (rows, iter([[row] for row in rows])):
        Transaction(table, contract=contract).write(data)
        stored = Snapshot.of(table).scan().read_all()
        assert stored.schema.types[:3] == [pa.int32(), pa.decimal128(10, 2), pa.string()]
        assert stored.to_pylist() == [
            {"id": 1, "price": Decimal("3.00"), "note": None, "tags": [("a", 1)]},
            {"id": 2, "price": Decimal("0.50"), "note": None, "tags": None},
        ]


def test_a_map_that_would_change_is_refused() -> None:
    declared = pa.schema([pa.field("m", pa.map_(pa.string(), pa.int64()))])
    with pytest.raises(SchemaMismatch, match="column 'm' has values that are no Arrow column"):
        record_batches([{"m": {"a": 1.5}}], declared)


@pytest.mark.parametrize("whole", [True, False])
def test_python_objects_in_dicts_that_would_change_are_refused(whole: bool) -> None:  # noqa: FBT001
    rows = [{"x": dt.date(2020, 1, 2)}, {"x": NOON}]
    value = rows if whole else {"x": [row["x"] for row in rows]}
    with pytest.raises(SchemaMismatch, match=r"column 'x' .*Give all its values one type"):
        record_batches(value)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, pd.NA], [1, None]),
        (["x", pd.NaT], ["x", None]),
        ([NOON, pd.NaT], [NOON, None]),
        ([dt.date(2020, 1, 1), pd.NaT], [dt.date(2020, 1, 1), None]),
        ([1.5, float("inf"), pd.NA], [1.5, float("inf"), None]),
        ([[1, pd.NA], (2,)], [[1, None], [2]]),
        ([{"a": [pd.NaT, NOON]}, pd.NA], [{"a": [None, NOON]}, None]),
        (np.array(["x", pd.NA], dtype=object), ["x", None]),
    ],
    ids=repr,
)
def test_the_nulls_of_pandas_are_nulls_in_dicts(values: Any, expected: list[Any]) -> None:
    assert record_batches({"x": values}).read_all()["x"].to_pylist() == expected
    assert record_batches([{"x": value} for value in values]).read_all()["x"].to_pylist() == expected


def test_a_nan_in_dicts_is_a_number_and_no_null() -> None:
    assert record_batches([{"x": float("nan")}, {"x": None}]).read_all()["x"].null_count == 1


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([("x", 1)], r"they are of the types str and int\. Give all its values one type\."),
        ([1, None, 2.5, "x"], r"they are of the types int, float and str\. Give all"),
        ([{"a": 1}, {"a": "x"}], r"they are of the types int and str\. Give all"),
        ([[1], "x"], r"they are of the types list and str\. Give all"),
        (
            ["x", float("nan")],
            r"they are of the types str and float\. Give .* one type\. A null is None, and NaN is a number",
        ),
        ([2**63], r"an integer needs more than 64 bits\. Give Decimals, of 38 digits at most, or text\."),
        ([[{"a": -(2**70)}]], r"an integer needs more than 64 bits\. Give Decimals"),
        (
            [2**53 + 1, 1.5],
            r"they are of the types int and float\. An integer beyond 2\*\*53 is no exact float: give",
        ),
        ([1 + 2j], r"they are of the type complex\. Convert them to text, numbers, dates, lists or dicts\."),
        (["\ud800"], r"pyarrow says: 'utf-8' codec can't encode"),
    ],
    ids=ascii,
)
def test_values_that_are_no_column_are_refused_with_their_types_and_advice(
    values: list[Any], says: str
) -> None:
    for data in ([{"x": value} for value in values], {"x": values}):
        with pytest.raises(
            SchemaMismatch, match=rf"^column 'x' has values that are no Arrow column[:.] {says}"
        ):
            record_batches(data)


def test_later_chunks_take_the_types_of_the_first_where_each_value_fits() -> None:
    chunks = [
        pd.DataFrame({"n": [1], "at": [pd.Timestamp("2024-01-01")]}),
        pd.DataFrame({"at": [pd.Timestamp("2024-01-02")], "n": [None]}),
        [{"n": 3, "at": dt.datetime(2024, 1, 3)}],  # noqa: DTZ001
    ]
    stored = record_batches(iter(chunks)).read_all()
    assert stored["n"].to_pylist() == [1, None, 3]
    assert stored.schema.field("n").type == pa.int64()
    assert [at.day for at in stored["at"].to_pylist()] == [1, 2, 3]


@pytest.mark.parametrize(
    ("later", "says"),
    [
        ([{"n": 1.5}], r"chunk 2: column 'n' has values .* E\.g\. row 1: 1\.5"),
        ([{"m": 1}], r"chunk 2: it has the columns \{m: int64\}, and the first"),
        ([{"n": 1, "m": 1}], r"chunk 2: it has the columns \{n: int64, m: int64\}"),
        (pd.DataFrame({1: [1]}), "chunk 2: the column label"),
        (7, "chunk 2: it is an int"),
        (pl.Series("n", [1]), "chunk 2: it is a polars.series.series.Series"),
        (pd.Series([1]), "chunk 2: it is a pandas"),
    ],
)
def test_a_chunk_that_does_not_fit_the_first_is_named_by_its_number(
    table: Table, later: Any, says: str, parquet_files: Any
) -> None:
    with pytest.raises(DataRefused, match=says):
        Transaction(table).write(chunk for chunk in ([{"n": 1}], later))
    assert parquet_files(table) == set()


def test_a_first_chunk_of_nulls_gets_its_type_from_the_contract_or_is_refused(table: Table) -> None:
    chunks = [[{"k": 1, "n": None}], [{"k": 2, "n": 1.5}]]
    with pytest.raises(SchemaMismatch, match=r"chunk 2: its column 'n' is of type double, and the first"):
        record_batches(iter(chunks)).read_all()
    Transaction(table, contract=Contract({"n": Column("float64")})).write(iter(chunks))
    assert Snapshot.of(table).scan().read_all().to_pylist() == [{"k": 1, "n": None}, {"k": 2, "n": 1.5}]


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (pd.Series([1]), "series.to_frame"),
        ("orders.parquet", r"read it: pl\.scan_parquet\('orders\.parquet'\)"),
        ((1,), "A comma at the end"),
        ({"a": 1}, r"return \[row\]"),
        (np.array([1]), "Name its columns"),
        (None, "output_required=False"),
    ],
)
def test_what_is_no_table_is_refused_with_the_line_to_write(value: Any, advice: str) -> None:
    with pytest.raises(SchemaMismatch, match=advice):
        record_batches(value)


def test_a_lazy_frame_is_streamed_and_stops_when_its_reader_does() -> None:
    lazy = pl.LazyFrame({"n": range(1_000_000)}).with_columns(pl.col("n").cast(pl.String).alias("t"))
    reader = record_batches(lazy)
    assert reader.read_next_batch().num_rows in range(1, 131_073) or reader.read_next_batch().num_rows
    del reader
    whole = record_batches(lazy).read_all()
    assert whole["n"].to_pylist() == list(range(1_000_000))
    assert record_batches(lazy.filter(pl.col("n") < 0)).read_all().schema.names == ["n", "t"]


def test_a_lazy_frame_that_cannot_be_computed_is_refused_in_words(table: Table) -> None:
    lazy = pl.LazyFrame({"n": ["1", "x"]}).with_columns(pl.col("n").cast(pl.Int64))
    for query in (lazy, lazy.select("absent")):
        with pytest.raises(SchemaMismatch, match=r"^t: the LazyFrame cannot be computed: .* Nothing was"):
            Transaction(table).write(query)
    assert table.open_if_exists() is None


def test_neither_polars_nor_duckdb_is_loaded_to_write_dicts() -> None:
    script = (
        "import sys; from practicus_assets.lake.rows.frames import record_batches; "
        "record_batches(iter([[{'n': 1}]])).read_all(); "
        "print([name for name in ('polars', 'duckdb') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert shown.stdout.strip() == "[]"


def test_a_dataset_whose_file_is_gone_is_refused_in_words(table: Table, tmp_path: Path) -> None:
    pq.write_table(DATA, tmp_path / "rows.parquet")
    gone = ds.dataset(tmp_path / "rows.parquet")
    (tmp_path / "rows.parquet").unlink()
    with pytest.raises(
        SchemaMismatch, match=r"^t: the dataset cannot be read: FileNotFoundError\. .* Nothing was"
    ):
        Transaction(table).write(gone)
