import datetime as dt
from decimal import Decimal

import pytest

from practicus_assets.errors import DataRefused, DeclarationError, SchemaMismatch
from practicus_assets.sources.files.formats.csv import CSV
from practicus_assets.sources.files.store import Files
from tests.unit.sources.files.folder import Folder, schema_of


def test_columns_that_nobody_declares_are_texts_whatever_they_hold(folder: Folder) -> None:
    folder.write("a.csv", "zip,n,empty\n007,1,\n")
    folder.write("b.csv", "zip,n,empty\nAB1,2.5,x\n")
    assert folder.rows("*.csv") == [
        {"zip": "007", "n": "1", "empty": None},
        {"zip": "AB1", "n": "2.5", "empty": "x"},
    ]


def test_declared_columns_are_read_exactly_as_declared_and_no_others(folder: Folder) -> None:
    folder.write("a.csv", "id,amount,day,at,ok,other\n1,0.10,2013-01-02,2013-01-02T05:00:00Z,true,x\n")
    columns = {
        "at": "timestamp",
        "id": "int64",
        "amount": "decimal(9,2)",
        "day": "date",
        "ok": bool,
    }
    [row] = folder.rows("a.csv", columns=columns)
    assert list(row) == list(columns)
    assert row == {
        "at": dt.datetime(2013, 1, 2, 5, tzinfo=dt.UTC),
        "id": 1,
        "amount": Decimal("0.10"),
        "day": dt.date(2013, 1, 2),
        "ok": True,
    }


def test_types_of_a_source_s_columns_leave_the_others_as_texts(folder: Folder) -> None:
    folder.write("a.csv", "id,zip\n1,007\n")
    relation = folder.source.files("*.csv")
    typed = relation.typed({"id": folder.source.files("a.csv", columns={"id": "int64"}).columns[0].type})
    assert schema_of(typed) == {"id": "int64", "zip": "string"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("9223372036854775808", "9223372036854775808"),
        ("1.5", "1.5"),
        ("NA", "NA"),
        ('""', ""),
    ],
)
def test_a_value_that_is_none_of_its_type_is_named_by_file_row_and_column(
    folder: Folder, text: str, value: str
) -> None:
    folder.write("a.csv", f'id,n\n1,1\n"two\nlines",{text}\n')
    with pytest.raises(DataRefused) as error:
        folder.rows("a.csv", columns={"id": "string", "n": "int64"})
    assert "a.csv, row 3: a value of column 'n' cannot be read as int64" in error.value.problem
    assert repr(value) in error.value.sample
    assert value not in error.value.problem.rpartition("a.csv")[2] or not value


def test_rows_are_counted_over_blocks(folder: Folder) -> None:
    folder.write("a.csv", "n\n" + "1\n" * 5000 + "x\n")
    with pytest.raises(DataRefused, match=r"a\.csv, row 5002: "):
        folder.rows("a.csv", CSV(block_bytes=1000), columns={"n": "int64"})


def test_nulls_are_unquoted_empty_texts_unless_declared_otherwise(folder: Folder) -> None:
    folder.write("a.csv", 'a,b\n,""\nNA,x\n')
    assert folder.rows("a.csv") == [{"a": None, "b": ""}, {"a": "NA", "b": "x"}]
    with_na = CSV(nulls=["", "NA"], quoted_nulls=True)
    assert folder.rows("a.csv", with_na) == [{"a": None, "b": None}, {"a": None, "b": "x"}]


@pytest.mark.parametrize("mark", ["", "﻿"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_marks_and_ends_of_lines_are_not_part_of_values(folder: Folder, mark: str, end: str) -> None:
    folder.write("a.csv", (mark + end.join(["a,b", '1,"x,\n""y"""', "2,z"]) + end).encode())
    assert folder.rows("a.csv") == [{"a": "1", "b": 'x,\n"y"'}, {"a": "2", "b": "z"}]


@pytest.mark.parametrize("row", ["1", "1,2,3"])
def test_a_row_of_another_length_is_named_by_file_and_row(folder: Folder, row: str) -> None:
    folder.write("a.csv", f"a,b\n1,2\n{row}\n")
    with pytest.raises(SchemaMismatch) as error:
        folder.rows("a.csv")
    assert f"a.csv, row 3: it has {row.count(',') + 1} values, and there are 2 columns" in str(error.value)
    assert repr(row) in error.value.sample


def test_columns_go_by_name_and_not_by_place(folder: Folder) -> None:
    folder.write("a.csv", "a,b\n1,2\n")
    folder.write("b.csv", "b,a\n2,1\n")
    assert folder.rows("*.csv") == [{"a": "1", "b": "2"}] * 2


def test_a_file_with_other_columns_is_named_beside_the_first(folder: Folder) -> None:
    folder.write("a.csv", "a,b\n1,2\n")
    folder.write("b.csv", "a,c\n1,2\n")
    with pytest.raises(SchemaMismatch, match=r"b\.csv lacks 'b' and has 'c' besides, compared with .*a\.csv"):
        folder.rows("*.csv")
    together = folder.rows("*.csv", no_column="null")
    assert together == [{"a": "1", "b": "2", "c": None}, {"a": "1", "b": None, "c": "2"}]


def test_a_declared_column_that_a_file_lacks_is_refused_or_null_as_declared(folder: Folder) -> None:
    folder.write("a.csv", "a\n1\n")
    folder.write("b.csv", "a,new\n2,3\n")
    columns = {"a": "int64", "new": "int64"}
    with pytest.raises(SchemaMismatch, match=r"a\.csv has no column 'new'; it has \['a'\]"):
        folder.rows("*.csv", columns=columns)
    assert folder.rows("*.csv", columns=columns, no_column="null") == [
        {"a": 1, "new": None},
        {"a": 2, "new": 3},
    ]


@pytest.mark.parametrize("header", ["a,a", 'a,"a"'])
def test_two_columns_of_one_name_are_refused_unless_nobody_reads_them(folder: Folder, header: str) -> None:
    folder.write("a.csv", f"{header},b\n1,2,3\n")
    with pytest.raises(SchemaMismatch, match="more than one column named 'a'"):
        folder.rows("a.csv")
    with pytest.raises(SchemaMismatch, match="more than one column named 'a'"):
        folder.rows("a.csv", columns={"a": "int64"})
    assert folder.rows("a.csv", columns={"b": "int64"}) == [{"b": 3}]


def test_a_column_without_a_name_is_refused_unless_nobody_reads_it(folder: Folder) -> None:
    folder.write("a.csv", ",b\n0,3\n")
    with pytest.raises(SchemaMismatch, match="a column without a name: number 1 of 2"):
        folder.rows("a.csv")
    assert folder.rows("a.csv", columns={"b": "int64"}) == [{"b": 3}]


@pytest.mark.parametrize("nothing", ["", "\n", "﻿", "a,b", "a,b\n", "a,b\r\n", "\na,b\n\n"])
def test_a_file_without_rows_gives_none(folder: Folder, nothing: str) -> None:
    folder.write("a.csv", nothing)
    folder.write("b.csv", "a,b\n1,2\n")
    assert folder.rows("*.csv") == [{"a": "1", "b": "2"}]
    assert folder.rows("*.csv", columns={"a": "int64"}) == [{"a": 1}]


def test_files_that_are_all_empty_say_no_columns(folder: Folder) -> None:
    folder.write("a.csv", "")
    with pytest.raises(SchemaMismatch, match=r"1 file of .* are empty: no columns"):
        folder.rows("*.csv")
    assert folder.rows("*.csv", columns={"a": "int64"}) == []


def test_text_that_is_no_utf_8_is_named_by_file_and_column(folder: Folder) -> None:
    folder.write("a.csv", "a,b\n1,ü\n".encode("latin-1"))
    with pytest.raises(DataRefused, match=r"a\.csv, row 2: column 'b' is not utf-8\. Name its encoding"):
        folder.rows("a.csv")
    folder.write("h.csv", "ü\n1\n".encode("latin-1"))
    with pytest.raises(DataRefused, match=r"h\.csv: its header is not utf-8"):
        folder.rows("h.csv")
    assert folder.rows("a.csv", CSV(encoding="latin-1")) == [{"a": "1", "b": "ü"}]


def test_utf_16_is_refused_unless_declared(folder: Folder) -> None:
    folder.write("a.csv", "a,b\n1,ü\n".encode("utf-16"))
    with pytest.raises(DataRefused, match=r"a\.csv is utf-16\. Declare it: encoding='utf-16'"):
        folder.rows("a.csv")
    assert folder.rows("a.csv", CSV(encoding="utf-16")) == [{"a": "1", "b": "ü"}]


@pytest.mark.parametrize("rest", ['3,"4', '3,"4\n5,6\n', '3,"a""b'])
def test_a_file_that_ends_within_quotes_is_refused(folder: Folder, rest: str) -> None:
    folder.write("a.csv", f'a,b\n1,"2"\n{rest}')
    with pytest.raises(DataRefused, match=r"a\.csv ends within a quoted value"):
        folder.rows("a.csv")


def test_a_quote_in_the_middle_of_a_value_is_part_of_it(folder: Folder) -> None:
    folder.write("a.csv", 'a,b\n5" pipe,"2"\n')
    assert folder.rows("a.csv") == [{"a": '5" pipe', "b": "2"}]


def test_a_row_longer_than_a_block_is_refused_by_file(folder: Folder) -> None:
    folder.write("a.csv", 'a,b\n1,"' + "x" * 5000 + '"\n2,y\n3,z\n')
    with pytest.raises(DataRefused, match=r"a\.csv has a row of more than 1,000 bytes"):
        folder.rows("a.csv", CSV(block_bytes=1000))
    assert len(folder.rows("a.csv")) == 3


def test_the_dialect_is_declared(folder: Folder) -> None:
    folder.write("a.csv", "made by hand\n\na;'b;c'\n1,5;'x''y'\n")
    dialect = CSV(delimiter=";", quote="'", decimal_point=",", skip_lines=2)
    columns = {"a": "float64", "b;c": "string"}
    assert folder.rows("a.csv", dialect, columns=columns) == [{"a": 1.5, "b;c": "x'y"}]


def test_without_a_header_columns_are_named_in_order(folder: Folder) -> None:
    folder.write("a.csv", "1,x\n2,y\n")
    assert folder.rows("a.csv", CSV(header=False), columns={"n": "int64", "s": "string"}) == [
        {"n": 1, "s": "x"},
        {"n": 2, "s": "y"},
    ]
    with pytest.raises(SchemaMismatch, match=r"a\.csv has no header"):
        folder.rows("a.csv", CSV(header=False))


def test_formats_of_times_are_declared_and_hold_for_dates(folder: Folder) -> None:
    folder.write("a.csv", "d,t\n02.01.2013,02.01.2013\n")
    columns = {"d": "date", "t": "timestamp_ntz"}
    [row] = folder.rows("a.csv", CSV(time_formats=["%d.%m.%Y"]), columns=columns)
    assert row == {"d": dt.date(2013, 1, 2), "t": dt.datetime(2013, 1, 2)}  # noqa: DTZ001 a wall time
    with pytest.raises(DataRefused, match="cannot be read as date32"):
        folder.rows("a.csv", columns={"d": "date"})


def test_a_time_without_a_zone_is_no_instant(folder: Folder) -> None:
    folder.write("a.csv", "t\n2013-01-02T03:04:05\n")
    with pytest.raises(DataRefused, match="Declare timestamp_ntz"):
        folder.rows("a.csv", columns={"t": "timestamp"})


def test_tabs_are_the_delimiters_of_tsv(folder: Folder) -> None:
    folder.write("a.tsv", "a\tb,c\n1\t2\n")
    assert folder.rows("*.tsv") == [{"a": "1", "b,c": "2"}]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"delimiter": "||"}, "delimiter='||' is not one character"),
        ({"quote": "„"}, "is not one character of ASCII"),
        ({"encoding": "utf9"}, "no encoding 'utf9'"),
        ({"nulls": "NA"}, r"nulls=\['NA'\]"),
        ({"separator": ";"}, "CSV has no parameter 'separator'"),
    ],
)
def test_options_that_are_none_are_refused_where_they_are_written(options: dict[str, str], text: str) -> None:
    with pytest.raises(DeclarationError, match=text.replace("|", r"\|")):
        CSV(**options)  # type: ignore[arg-type] # that is the test


def test_a_misspelt_column_is_answered_with_the_nearest(folder: Folder) -> None:
    folder.write("a.csv", "amount\n1\n")
    with pytest.raises(SchemaMismatch, match="Did you mean amount"):
        folder.rows("a.csv", columns={"ammount": "int64"})
    with pytest.raises(DeclarationError, match="Did you mean csv"):
        Files(".").files("*", "cvs")
