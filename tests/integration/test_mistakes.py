"""What authors do wrong, and what they are told: each mistake beside its text."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from practicus_assets import Column, Contract, DeclarationError, RowRule, TableRule

# ruff: noqa: PLW0108 a mistake is made when its test calls it
# mypy: disable-error-code="call-arg, arg-type, call-overload"

Mistake = Callable[[], Any]
UTC = pa.timestamp("us", "UTC")


def said(mistake: Mistake, error: type[Exception] = DeclarationError) -> str:
    with pytest.raises(error) as raised:
        mistake()
    text = str(raised.value)
    assert ".." not in text.replace("...", "")
    return text


def ids(cases: list[tuple[Any, str]]) -> list[str]:
    return [text[:40] for _, text in cases]


TYPES: list[tuple[Any, str]] = [
    ("int46", "the type 'int46' cannot be read. Did you mean int64? Types are int64 (long), int32 (int), "),
    (
        "datetime64[ns]",
        "Write timestamp for moments with a time zone, or timestamp_ntz for times without one.",
    ),
    (dt.datetime, "datetime is no type of a column. Write timestamp for moments with a time zone, or "),
    (np.dtype("datetime64[ns]"), "is no type of a column. Write timestamp for moments with a time zone, or "),
    (pd.Timestamp, "Timestamp is no type of a column. Write timestamp for moments"),
    ("decimal", "the type 'decimal' cannot be read. Write decimal(18, 2): the number of its digits, 38 at "),
    (Decimal, "Decimal is no type of a column. Write decimal(18, 2): the number of its digits, 38 at most, "),
    ("decimal(99,2)", "the type 'decimal(99,2)' cannot be read. Write decimal(18, 2): the number of its "),
    (
        "decimal(5,9)",
        "the type 'decimal(5,9)' cannot be read. Write decimal(18, 2): the number of its digits",
    ),
    ("list", "the type 'list' cannot be read. Write what is in it: list<int64>. Types are "),
    (list, "list is no type of a column. Write what is in it: list<int64>."),
    ("struct", "the type 'struct' cannot be read. Write its fields: struct<a: int64, b: string>. "),
    (dict, "dict is no type of a column. Write struct<a: int64, b: string>, or map<string, int64>."),
    ("varchar(20)", "cannot be read at '(20)'. Write string; pattern=\".{0,20}\" promises a length. "),
    ("object", "the type 'object' cannot be read. Write string, and convert the values. "),
    (pd.CategoricalDtype(), "is no type of a column. Write string, and convert the values."),
    ("time", "Delta Lake has no times of day and no durations: write int64 or string, and convert the "),
    ("string not null", "at 'not null'. Write nullable=False for a column that has a value in each row. "),
    (
        "timestamp[us, tz=Europe/Istambul]",
        "has the time zone 'Europe/Istambul', which does not exist. Did you ",
    ),
    (pa.list_(pa.timestamp("us", "UCT3")), "has the time zone 'UCT3', which does not exist."),
    (pa.int64, "pa.int64 is no type of a column. Call it: pa.int64(…)."),
    (pl.Object, "Object is no type of a column. Use an Arrow type, or its text: int64 (long), "),
    (None, "None is no type of a column. Use an Arrow type, or its text: int64 (long), int32 (int), "),
]


@pytest.mark.parametrize(("declared", "text"), TYPES, ids=ids(TYPES))
def test_a_type_that_is_none_is_answered_where_the_column_is_written(declared: Any, text: str) -> None:
    assert text in said(lambda: Column(declared))
    told = said(lambda: Contract({"id": declared}))
    assert told.startswith("column 'id' of the contract: ")
    assert text in told


@pytest.mark.parametrize(
    ("declared", "type_"),
    [
        *((int, pa.int64()), (float, pa.float64()), (str, pa.string()), (bool, pa.bool_())),
        *((bytes, pa.binary()), (dt.date, pa.date32()), (list[int], pa.list_(pa.int64()))),
        *((dict[str, int], pa.map_(pa.string(), pa.int64())), (int | None, pa.int64())),
        *((np.int32, pa.int32()), (np.dtype("float32"), pa.float32()), (np.dtype("U5"), pa.string())),
        *((pd.Int64Dtype(), pa.int64()), (pd.StringDtype(), pa.string())),
        *((pl.Int64, pa.int64()), (pl.String(), pa.string()), (pl.Decimal(10, 2), pa.decimal128(10, 2))),
        *((pl.Datetime("us", "UTC"), UTC), (pl.Datetime("us"), pa.timestamp("us"))),
        *(("tinyint", pa.int8()), ("smallint", pa.int16()), ("bigint", pa.int64()), ("varchar", pa.string())),
        *(
            ("double precision", pa.float64()),
            ("numeric(10, 2)", pa.decimal128(10, 2)),
            ("text", pa.string()),
        ),
        *(("timestamptz", UTC), ("timestamp without time zone", pa.timestamp("us"))),
        ("timestamp[us, tz=+03:00]", pa.timestamp("us", "+03:00")),
    ],
    ids=str,
)
def test_a_type_that_can_mean_one_thing_is_taken(declared: Any, type_: pa.DataType) -> None:
    assert Column(declared).arrow_type == type_
    assert Contract({"id": declared}).schema == pa.schema([("id", type_)])


CONTRACTS: list[tuple[Mistake, str]] = [
    (lambda: Column("int64", min=1), "Column has no parameter 'min'. Did you mean minimum?"),
    (lambda: Column("int64", regex="a"), "Column has no parameter 'regex'. Its parameters are type, "),
    (
        lambda: Column(),
        "Column cannot be called like this: missing a required argument: 'type'. Its parameters ",
    ),
    (lambda: RowRule("a", len, sevrity="WARN"), "RowRule has no parameter 'sevrity'. Did you mean severity?"),
    (
        lambda: TableRule("a", function=len),
        "TableRule has no parameter 'function'. Its parameters are name, ",
    ),
    (lambda: Contract(colums={}), "Contract has no parameter 'colums'. Did you mean columns?"),
    (
        lambda: Contract({"x": Column("string", minimum=1)}),
        "column 'x' of the contract is of type string, and has the minimum 1, which is no value of ",
    ),
    (lambda: Contract({"x": Column("string", minimum=1)}), 'no value of that type. Write a text, e.g. "a".'),
    (
        lambda: Contract({"x": Column("date", maximum="2026-01-06")}),
        "has the maximum '2026-01-06', which is no value of that type. Write a date, e.g. ",
    ),
    (
        lambda: Contract({"x": Column("int64", allowed=[1, "b"])}),
        "allows 'b', which is no value of that type. Write a whole number, e.g. 1.",
    ),
    (
        lambda: Contract({"x": Column("date", minimum=dt.date(2026, 2, 1), maximum=dt.date(2026, 1, 6))}),
        "column 'x' of the contract: its minimum is above its maximum: 2026-02-01 is more than 2026-01-06.",
    ),
    (
        lambda: Contract({"x": Column("string", allowed="ab")}),
        "has allowed='ab', which is no list. Write ['ab'].",
    ),
    (lambda: Contract({"x": Column("int64", allowed=5)}), "has allowed=5, which is no list. Write [5]."),
    (
        lambda: Contract({"x": Column("int64", pattern="a")}),
        "is of type int64, and has a pattern. Only columns ",
    ),
    (
        lambda: Contract({"x": Column("string", pattern="(")}),
        "has the pattern '(': Invalid regular expression: ",
    ),
    (lambda: Contract({"x": Column("string", pattern=5)}), "has the pattern 5: "),
    (lambda: Contract({"x": Column("string", nullable=None)}), "has nullable=None. Write True or False."),
    (lambda: Contract({"x": Column("string", ["a"])}), "has description=['a']. Write a text."),
    (
        lambda: Contract({"x": Column("string", severity="warn")}),
        "has the severity 'warn'. Write \"ERROR\", which",
    ),
    (lambda: Contract(["id"]), "columns=['id'] is no mapping from names to columns. Write columns={\"id\": "),
    (lambda: Contract({1: "int64"}), "columns has the name 1. Name each column by a text."),
    (
        lambda: Contract(rows=5),
        "rows=5 is no pair of a least and a most number of rows. Write rows=(5, None) for ",
    ),
    (lambda: Contract(rows=(1, 2, 3)), "rows=(1, 2, 3) is no pair"),
    (lambda: Contract(rows=("1", 2)), "rows=('1', 2) is no pair"),
    (lambda: Contract(unique="id"), "unique='id' is no list of keys. Write unique=[['id']]."),
    (lambda: Contract(unique=["id"]), "unique key 'id' is no list of columns. Write unique=[['id']]."),
    (lambda: Contract(unique=5), "unique=5 is no list of keys."),
    (
        lambda: Contract({"day": "date", "n": int}, unique=[["dya"]]),
        "unique key ['dya'] names undeclared column 'dya'. Did you mean day?",
    ),
    (lambda: Contract(closed="yes"), "closed='yes' is neither. Write True or False."),
    (
        lambda: Contract(rules=[len]),
        'which is no rule. Write RowRule("name", function) for a condition on each ',
    ),
    (lambda: Contract(rules=RowRule("a", len)), 'is no list. Write rules=[RowRule("name", function)].'),
    (
        lambda: Contract(rules=[RowRule("a", 5)]),
        "the check of rule 'a' is 5, which is no function of the rows. ",
    ),
    (
        lambda: Contract(rules=[RowRule("a", lambda: 5)]),
        "which is no function of the rows. Write a function with ",
    ),
    (
        lambda: Contract(rules=[RowRule(5, len)]),
        "rule name 5 cannot name an asset check. Use letters, digits ",
    ),
]


@pytest.mark.parametrize(("mistake", "text"), CONTRACTS, ids=ids(CONTRACTS))
def test_a_contract_that_is_written_wrongly_says_what_to_write(mistake: Mistake, text: str) -> None:
    assert text in said(mistake)


def test_types_alone_are_columns_of_a_contract() -> None:
    contract = Contract({"id": "int64", "at": UTC, "n": Column(int, minimum=0)})
    assert contract.schema == pa.schema([("id", "int64"), ("at", UTC), ("n", "int64")])
    assert contract.columns["id"] == Column("int64")
