"""Types as text, in Arrow's words and in Delta's."""

import re
from typing import Any

import pyarrow as pa
import pytest
from deltalake.schema import ArrayType, Field, MapType, PrimitiveType, StructType
from hypothesis import given, settings
from hypothesis import strategies as st

from practicus_assets.errors import DeclarationError
from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.contracts.declared_types import as_type
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.transaction import Transaction

INT, TEXT = pa.int64(), pa.string()
FLAT = st.sampled_from(
    [
        *(pa.bool_(), pa.int8(), pa.int16(), pa.int32(), INT, pa.float32(), pa.float64(), TEXT, pa.binary()),
        *(pa.date32(), pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.uint8(), pa.uint64(), pa.float16()),
        *(pa.large_string(), pa.string_view(), pa.large_binary(), pa.binary_view(), pa.binary(16)),
        *(pa.date64(), pa.timestamp("ns", "Europe/Berlin"), pa.timestamp("s", "+02:00")),
        *(pa.time32("s"), pa.time64("us"), pa.duration("ms")),
    ]
) | st.integers(1, 38).flatmap(lambda p: st.integers(0, p).map(lambda s: pa.decimal128(p, s)))
NAMES = st.text(st.characters(codec="utf-8", exclude_characters=":`"), min_size=1).map(str.strip).filter(bool)


def fields(types: st.SearchStrategy[pa.DataType]) -> st.SearchStrategy[pa.Field]:
    return st.builds(pa.field, NAMES, types, st.booleans())


def nested(types: st.SearchStrategy[pa.DataType]) -> st.SearchStrategy[pa.DataType]:
    return st.one_of(
        types.map(pa.list_),
        st.builds(lambda t, nullable: pa.list_(pa.field("element", t, nullable)), types, st.booleans()),
        types.map(pa.large_list),
        types.map(pa.list_view),
        types.map(lambda type_: pa.list_(type_, 3)),
        st.lists(fields(types), min_size=1, max_size=3, unique_by=lambda f: f.name).map(pa.struct),
        st.builds(pa.map_, types, types),
    )


@given(st.recursive(FLAT, nested, max_leaves=6))
@settings(max_examples=300, deadline=None)
def test_the_text_that_arrow_prints_is_read_as_the_type(type_: pa.DataType) -> None:
    assert as_type(str(type_)) == type_
    assert str(as_type(str(type_))) == str(type_)


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("null", pa.null()),
        ("long", INT),
        ("BIGINT", INT),
        ("integer", pa.int32()),
        ("int", pa.int32()),
        ("short", pa.int16()),
        ("byte", pa.int8()),
        ("float", pa.float32()),
        ("double", pa.float64()),
        ("boolean", pa.bool_()),
        ("date", pa.date32()),
        ("timestamp", pa.timestamp("us", "UTC")),
        ("timestamp_ntz", pa.timestamp("us")),
        ("decimal(18,2)", pa.decimal128(18, 2)),
        ("decimal( 18 )", pa.decimal128(18, 0)),
        ("array<long>", pa.list_(INT)),
        ("array<array<string>>", pa.list_(pa.list_(TEXT))),
        ("list<int64>", pa.list_(INT)),
        ("struct<a:int,b:array<string>>", pa.struct([("a", pa.int32()), ("b", pa.list_(TEXT))])),
        ("struct<`a:b`: long not null, `c``d`: date>", None),
        ("map<string,struct<x:double>>", pa.map_(TEXT, pa.struct([("x", pa.float64())]))),
        ("map<string, int64 not null>", pa.map_(TEXT, pa.field("value", INT, nullable=False))),
    ],
)
def test_types_are_read_as_delta_and_sql_write_them(text: str, type_: pa.DataType | None) -> None:
    quoted = pa.struct([pa.field("a:b", INT, nullable=False), pa.field("c`d", pa.date32())])
    assert as_type(text) == (type_ or quoted)


@pytest.mark.parametrize(
    ("declared", "type_"),
    [
        (PrimitiveType("long"), INT),
        (PrimitiveType("decimal(18,2)"), pa.decimal128(18, 2)),
        (ArrayType(PrimitiveType("string"), contains_null=True), pa.list_(TEXT)),
        (
            MapType(PrimitiveType("string"), PrimitiveType("long"), value_contains_null=True),
            pa.map_(TEXT, INT),
        ),
        (
            StructType([Field("a", PrimitiveType("timestamp"), nullable=False)]),
            pa.struct([pa.field("a", pa.timestamp("us", "UTC"), nullable=False)]),
        ),
    ],
    ids=str,
)
def test_a_column_takes_types_of_deltalake(declared: Any, type_: pa.DataType) -> None:
    assert Column(declared).arrow_type == type_


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        (
            "decimall(18,2)",
            r"'decimall\(18,2\)' cannot be read\. Did you mean decimal\?.*decimal128",
        ),
        ("in64", "Did you mean int64"),
        ("", "'' cannot be read"),
        ("decimal(99,2)", "cannot be read"),
        ("struct<>", "cannot be read"),
        ("struct<a int64>", r"'struct<a int64>' cannot be read at 'a int64>'"),
        ("list<int64", "cannot be read"),
        ("list<item: in64>", r"at 'in64>'\. Did you mean int64\?"),
        ("int64 int64", "at 'int64'"),
        ("timestamp[fs]", "cannot be read"),
        (complex, r"complex is no type of a column\. Use an Arrow type"),
        (None, "None is no type"),
    ],
)
def test_a_text_that_is_no_type_is_refused_with_the_types_and_the_nearest(declared: Any, words: str) -> None:
    with pytest.raises(DeclarationError, match=rf"^column 'x' of the contract: .*{words}") as error:
        Contract({"x": declared})
    assert re.search("struct<a: int64, b: string>, map<string, int64>", str(error.value))


def test_a_contract_declares_columns_of_each_kind_by_text(table: Table) -> None:
    types = {
        "price": "decimal128(18, 2)",
        "at": "timestamp[us, tz=UTC]",
        "tags": "list<item: string>",
        "place": "struct<lat: double not null, lon: double not null>",
        "counts": "map<string, int64>",
    }
    contract = Contract({name: Column(type_) for name, type_ in types.items()}, closed=True)
    Transaction(table, contract=contract).write(contract.schema.empty_table())  # type: ignore[union-attr]
    assert Snapshot.of(table).schema == contract.schema
