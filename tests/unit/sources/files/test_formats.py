import bz2
import datetime as dt
import gzip
import io
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from practicus_assets.errors import DataRefused, DeclarationError, LossyValues, SchemaMismatch, SourceFailed
from tests.unit.sources.files.folder import Folder, schema_of

CSV_TEXT = b"a,b\n" + b"1,x\n" * 2000


def arrow_compressed(kind: str, data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, kind) as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


def zipped(*members: tuple[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return sink.getvalue()


COMPRESSED = {
    "gz": gzip.compress(CSV_TEXT[:4000]) + gzip.compress(CSV_TEXT[4000:]),  # as tools append
    "bz2": bz2.compress(CSV_TEXT),
    "zst": arrow_compressed("zstd", CSV_TEXT),
    "lz4": arrow_compressed("lz4", CSV_TEXT),
    "zip": zipped(("folder/", b""), ("a.csv", CSV_TEXT), ("__MACOSX/._a.csv", b"x")),
}


@pytest.mark.parametrize("end", COMPRESSED)
def test_compressed_files_are_read_by_the_end_of_their_names(folder: Folder, end: str) -> None:
    folder.write(f"a.csv.{end}", COMPRESSED[end])
    assert folder.rows(f"*.csv.{end}") == [{"a": "1", "b": "x"}] * 2000


@pytest.mark.parametrize("end", COMPRESSED)
def test_a_compressed_file_that_was_cut_off_is_refused_by_name(folder: Folder, end: str) -> None:
    folder.write(f"a.csv.{end}", COMPRESSED[end][:-9])
    with pytest.raises(SourceFailed, match=rf"a\.csv\.{end} is damaged, cut off"):
        folder.rows(f"*.csv.{end}")


def test_a_file_that_is_not_compressed_as_its_name_says_is_refused_or_declared(folder: Folder) -> None:
    folder.write("a.csv.gz", CSV_TEXT)
    with pytest.raises(SourceFailed, match=r"a\.csv\.gz is damaged, cut off, or of another format"):
        folder.rows("*.csv.gz")
    assert len(folder.rows("*.csv.gz", compression="none")) == 2000
    folder.write("b.csv", COMPRESSED["gz"])
    assert len(folder.rows("b.csv", compression="gzip")) == 2000
    with pytest.raises(DeclarationError, match="Did you mean gzip"):
        folder.rows("b.csv", compression="gzp")


def test_a_zip_archive_of_two_files_is_refused(folder: Folder) -> None:
    folder.write("a.csv.zip", zipped(("a.csv", CSV_TEXT), ("b.csv", CSV_TEXT)))
    with pytest.raises(SourceFailed, match=r"a\.csv\.zip is a zip archive of 2 files"):
        folder.rows("*.zip", "csv")


def test_parquet_keeps_its_types_and_gives_those_that_delta_lake_has(folder: Folder) -> None:
    moment = dt.datetime(2013, 1, 2, 3, 4, 5, 678, tzinfo=dt.UTC)
    table = pa.table(
        {
            "i": pa.array([1], pa.uint8()),
            "d": pa.array([Decimal("1.10")], pa.decimal128(9, 2)),
            "t": pa.array([moment], pa.timestamp("us", "Europe/Berlin")),
            "c": pa.array(["x"]).dictionary_encode(),
            "l": pa.array([[1, None]]),
            "s": pa.array([{"x": 1}]),
        }
    )
    folder.write("a.parquet", table)
    assert schema_of(folder.source.files("*.parquet")) == {
        "i": "int16",
        "d": "decimal128(9, 2)",
        "t": "timestamp[us, tz=UTC]",
        "c": "string",
        "l": "list<element: int64>",
        "s": "struct<x: int64>",
    }
    assert folder.rows("*.parquet") == [
        {"i": 1, "d": Decimal("1.10"), "t": moment, "c": "x", "l": [1, None], "s": {"x": 1}}
    ]


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("int32", "int64", "int64"),
        ("uint32", "int32", "int64"),
        ("float32", "float64", "double"),
        ("decimal128(9, 2)", "decimal128(12, 4)", "decimal128(12, 4)"),
        ("null", "string", "string"),
        ("timestamp[ms]", "timestamp[ns]", "timestamp[us]"),
        ("list<item: int32>", "list<item: int64>", "list<element: int64>"),
    ],
)
def test_types_of_several_files_become_the_one_that_holds_both(
    folder: Folder, one: str, other: str, both: str
) -> None:
    types = {name: _type(name) for name in (one, other)}
    folder.write("a.parquet", pa.table({"x": pa.nulls(1, types[one])}))
    folder.write("b.parquet", pa.table({"x": pa.nulls(1, types[other])}))
    assert schema_of(folder.source.files("*.parquet")) == {"x": both}
    assert folder.rows("*.parquet") == [{"x": None}] * 2


def _type(text: str) -> pa.DataType:
    from practicus_assets.lake.contracts.declared_types import as_type

    return as_type(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("int64", "string"),
        ("int64", "float64"),
        ("timestamp[us]", "timestamp[us, tz=UTC]"),
        ("date32", "string"),
    ],
)
def test_types_that_no_type_holds_exactly_name_both_files_and_the_column(
    folder: Folder, one: str, other: str
) -> None:
    folder.write("a.parquet", pa.table({"x": pa.nulls(1, _type(one))}))
    folder.write("b.parquet", pa.table({"x": pa.nulls(1, _type(other))}))
    with pytest.raises(SchemaMismatch, match=r"column 'x' is of type .* in .*a\.parquet and .*b\.parq"):
        folder.rows("*.parquet")


def test_declared_parquet_columns_are_cast_exactly_or_refused_by_file(folder: Folder) -> None:
    folder.write("a.parquet", pa.table({"n": [1, 2**40], "o": [1, 2]}))
    assert folder.rows("*.parquet", columns={"n": "float64"}) == [{"n": 1.0}, {"n": float(2**40)}]
    with pytest.raises(LossyValues, match=r"a\.parquet: column 'n' has values of type int64 that type int32"):
        folder.rows("*.parquet", columns={"n": "int32"})


def test_a_type_that_delta_lake_lacks_is_refused_unless_nobody_reads_it(folder: Folder) -> None:
    folder.write("a.parquet", pa.table({"t": pa.array([1], pa.time64("us")), "n": [1]}))
    with pytest.raises(SchemaMismatch, match=r"a\.parquet: column 't' is of type time64"):
        folder.rows("*.parquet")
    assert folder.rows("*.parquet", columns={"n": "int64"}) == [{"n": 1}]


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"no parquet, but long enough to have a footer"])
def test_what_is_no_parquet_is_refused_by_name(folder: Folder, damage: bytes) -> None:
    folder.write("a.parquet", damage)
    with pytest.raises(SourceFailed, match=r"a\.parquet is damaged, cut off, or of another format"):
        folder.rows("*.parquet")


def test_parquet_in_gzip_is_refused_with_what_to_do(folder: Folder) -> None:
    folder.write("a.parquet.gz", b"x")
    with pytest.raises(SourceFailed, match="compressed as a whole"):
        folder.rows("*.parquet.gz")


def ipc(kind: str, table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    new = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
    with new(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("kind", ["file", "stream"])
def test_arrow_files_and_streams_are_told_apart_by_their_beginning(folder: Folder, kind: str) -> None:
    table = pa.table({"n": pa.array([1, 2], pa.int32()), "s": pa.array(["x", "x"]).dictionary_encode()})
    folder.write("a.arrow", ipc(kind, table))
    assert schema_of(folder.source.files("*.arrow")) == {"n": "int32", "s": "string"}
    assert folder.rows("*.arrow") == [{"n": 1, "s": "x"}, {"n": 2, "s": "x"}]
    folder.write("a.arrows.gz", gzip.compress(ipc("stream", table)))
    assert len(folder.rows("*.arrows.gz")) == 2
    folder.write("cut.arrow", ipc(kind, table)[:-200])
    with pytest.raises(SourceFailed, match=r"cut\.arrow"):
        folder.rows("cut.arrow")


JSON_COLUMNS: dict[str, Any] = {
    "id": "int64",
    "amount": "decimal(9,2)",
    "day": "date",
    "at": "timestamp",
    "name": "string",
    "tags": "list<string>",
    "shop": "struct<city: string, since: date>",
}


def test_json_lines_are_read_as_declared(folder: Folder) -> None:
    folder.write(
        "a.jsonl",
        '﻿{"id":1,"amount":1.10,"day":"2013-01-02","at":"2013-01-02T03:04:05+02:00","name":"ü\\n",'
        '"tags":["x"],"shop":{"city":"Ankara","since":"2012-01-01","more":1},"more":{}}\n\n{"id":null}',
    )
    assert folder.rows("*.jsonl", columns=JSON_COLUMNS) == [
        {
            "id": 1,
            "amount": Decimal("1.10"),
            "day": dt.date(2013, 1, 2),
            "at": dt.datetime(2013, 1, 2, 1, 4, 5, tzinfo=dt.UTC),
            "name": "ü\n",
            "tags": ["x"],
            "shop": {"city": "Ankara", "since": dt.date(2012, 1, 1)},
        },
        dict.fromkeys(JSON_COLUMNS),
    ]


def test_json_lines_without_declared_columns_are_refused(folder: Folder) -> None:
    folder.write("a.json", '{"id":1}\n')
    with pytest.raises(SchemaMismatch, match=r"a\.json has no schema.*Declare the columns"):
        folder.rows("*.json")
    relation = folder.source.files("*.json").typed({"id": pa.int64()})
    assert schema_of(relation) == {"id": "int64"}


@pytest.mark.parametrize(
    ("member", "row"),
    [
        ('"id":"1"', 3),
        ('"id":1.5', None),
        ('"id":9223372036854775808', None),
        ('"at":"2013-01-02T03:04:05"', None),
        ('"day":"2013-13-01"', None),
        ('"amount":1.101', None),
        ('"name":1', 3),
        ('"id":1,"id":2', 3),
        ('"id":', 3),
    ],
)
def test_json_that_is_not_as_declared_is_refused_by_file(
    folder: Folder, member: str, row: int | None
) -> None:
    folder.write("a.jsonl", f'{{"id":1}}\n{{"id":2}}\n{{{member}}}\n')
    place = rf"a\.jsonl, row {row}: " if row else r"a\.jsonl"
    with pytest.raises(DataRefused, match=place):
        folder.rows("*.jsonl", columns=JSON_COLUMNS)


def test_json_that_is_no_utf_8_is_refused_by_file(folder: Folder) -> None:
    folder.write("a.jsonl", '{"name":"ü"}\n'.encode("latin-1"))
    with pytest.raises(DataRefused, match=r"a\.jsonl"):
        folder.rows("*.jsonl", columns=JSON_COLUMNS)


def test_an_empty_json_file_has_no_rows(folder: Folder) -> None:
    folder.write("a.jsonl", "")
    folder.write("b.jsonl", "\n")
    assert folder.rows("*.jsonl", columns=JSON_COLUMNS) == []


def test_a_format_that_nothing_says_is_to_be_declared(folder: Folder, tmp_path: Path) -> None:
    folder.write("a.dat", "n\n1\n")
    with pytest.raises(DeclarationError, match=r"the end of '\*\.dat' does not say which format"):
        folder.rows("*.dat")
    assert folder.rows("*.dat", "csv") == [{"n": "1"}]
