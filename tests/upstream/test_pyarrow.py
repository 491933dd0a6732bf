"""What we rely on in pyarrow and in its meeting with pandas: which conversions refuse to lose data."""

from datetime import UTC, date, datetime
from math import inf, isnan, nan

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pytest


def test_a_safe_cast_of_doubles_to_floats_loses_precision_and_range_in_silence() -> None:
    # So a contract that narrows a double must check the round trip itself.
    narrowed = pa.array([0.1, 1e300]).cast(pa.float32()).to_pylist()
    assert narrowed[0] != 0.1
    assert narrowed[1] == inf


@pytest.mark.parametrize("unit", ["us", "ns"])
def test_a_safe_cast_of_a_timestamp_to_a_date_drops_the_time_of_day_in_silence(unit: str) -> None:
    # So a timestamp offered for a date column must be refused before the cast.
    noon = pa.array([datetime(2021, 1, 1, 12, 30), datetime(1969, 12, 31, 12, 30)], pa.timestamp(unit))  # noqa: DTZ001
    assert noon.cast(pa.date32()).to_pylist() == [date(2021, 1, 1), date(1969, 12, 31)]


def test_a_cast_of_a_zoned_timestamp_to_a_date_gives_the_local_date_of_its_zone() -> None:
    # So the date of an instant depends on the zone of its column.
    late = pa.array([datetime(2021, 1, 1, 23, 30, tzinfo=UTC)], pa.timestamp("us", "UTC"))
    assert late.cast(pa.date32()).to_pylist() == [date(2021, 1, 1)]
    assert late.cast(pa.timestamp("us", "Europe/Berlin")).cast(pa.date32()).to_pylist() == [date(2021, 1, 2)]


def test_a_safe_cast_of_a_naive_timestamp_to_a_zoned_one_takes_it_for_utc_in_silence() -> None:
    # So naive and zoned timestamps must be told apart before the cast.
    naive = pa.array([datetime(2021, 1, 1, 12)], pa.timestamp("us"))  # noqa: DTZ001
    zoned = naive.cast(pa.timestamp("us", "Europe/Berlin"))
    assert zoned.cast(pa.int64()).equals(naive.cast(pa.int64()))


def test_a_safe_cast_of_nanoseconds_to_microseconds_refuses_to_truncate() -> None:
    # Delta Lake keeps microseconds: pandas' nanoseconds pass only when nothing is lost.
    assert pa.array([1000], pa.timestamp("ns")).cast(pa.timestamp("us")).cast(pa.int64()).to_pylist() == [1]
    with pytest.raises(pa.ArrowInvalid, match="would lose data"):
        pa.array([1001], pa.timestamp("ns")).cast(pa.timestamp("us"))


def test_a_safe_cast_of_integers_to_doubles_refuses_beyond_two_to_the_53() -> None:
    # Identifiers must not change on their way through a double; even an exact power of two is refused.
    assert pa.array([2**53]).cast(pa.float64()).to_pylist() == [float(2**53)]
    for beyond in (2**53 + 1, 2**54):
        with pytest.raises(pa.ArrowInvalid, match="not in range"):
            pa.array([beyond]).cast(pa.float64())


@pytest.mark.parametrize("value", [1.5, nan])
def test_a_safe_cast_of_doubles_to_integers_refuses_fractions_and_nan(value: float) -> None:
    # pandas turns integers with nulls into doubles: whole ones may come back, others not.
    assert pa.array([1.0]).cast(pa.int64()).to_pylist() == [1]
    with pytest.raises(pa.ArrowInvalid, match="was truncated"):
        pa.array([value]).cast(pa.int64())


def test_a_cast_to_a_schema_with_a_required_column_refuses_nulls() -> None:
    # A contract's required columns are guarded by the cast already.
    with pytest.raises(ValueError, match="non-nullable"):
        pa.table({"a": [None, 1]}).cast(pa.schema([pa.field("a", pa.int64(), nullable=False)]))


def test_nan_in_a_numpy_column_of_pandas_becomes_null() -> None:
    # numpy has no null, so pandas writes one as NaN: a required column refuses it.
    frame = pd.DataFrame({"a": np.array([1.0, np.nan])})
    assert pa.Table.from_pandas(frame)["a"].to_pylist() == [1.0, None]


def test_nan_in_an_arrow_column_of_pandas_stays_nan_when_it_came_from_arrow() -> None:
    # A table read from Arrow and handed back through pandas keeps NaN and null apart.
    frame = pa.table({"a": [1.0, nan, None]}).to_pandas(types_mapper=pd.ArrowDtype)
    back = pa.Table.from_pandas(frame)["a"].to_pylist()
    assert isnan(back[1])
    assert back[2] is None


def test_nan_that_pandas_itself_puts_in_an_arrow_column_becomes_null() -> None:
    # Constructing and computing in pandas do not tell NaN from null.
    built = pd.DataFrame({"a": pd.array([1.0, nan], dtype="double[pyarrow]")})
    computed = pd.DataFrame({"a": pd.Series([0.0], dtype="double[pyarrow]") / 0.0})
    assert pa.Table.from_pandas(built)["a"].to_pylist() == [1.0, None]
    assert pa.Table.from_pandas(computed)["a"].to_pylist() == [None]


def test_a_quote_that_is_never_closed_ends_with_the_file() -> None:
    # Hence `CSVText` counts quotes.
    table = pyarrow.csv.read_csv(
        pa.BufferReader(b'a,b\n1,"2\n3,4\n'),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
    )
    assert table.to_pylist() == [{"a": 1, "b": "2\n3,4\n"}]


def test_json_takes_times_without_a_zone_for_utc_and_texts_that_are_no_utf_8() -> None:
    # Hence `JSONLines` parses times as texts, and validates every batch.
    schema = pa.schema([("t", pa.timestamp("us", "UTC")), ("s", pa.string())])
    options = pyarrow.json.ParseOptions(explicit_schema=schema)
    line = b'{"t":"2013-01-02T03:04:05","s":"\xff"}\n'
    table = pyarrow.json.read_json(pa.BufferReader(line), parse_options=options)
    assert table["t"][0].as_py() == datetime(2013, 1, 2, 3, 4, 5, tzinfo=UTC)
    with pytest.raises(pa.ArrowInvalid):
        table.validate(full=True)


def test_formats_of_times_do_not_hold_for_dates_of_csv() -> None:
    # Hence `CSV` parses dates as times where formats are declared.
    options = pyarrow.csv.ConvertOptions(column_types={"d": pa.date32()}, timestamp_parsers=["%d.%m.%Y"])
    with pytest.raises(pa.ArrowInvalid):
        pyarrow.csv.read_csv(pa.BufferReader(b"d\n02.01.2013\n"), convert_options=options)
