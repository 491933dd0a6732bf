"""Nested and encoded values on their way into a table's column."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, Schema

from practicus_assets.errors import SchemaMismatch
from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.lake.upkeep.compaction import compact
from tests import kit

Read = Callable[[Table], list[dict[str, Any]]]
INT = pa.int64()
NOON = dt.datetime(2020, 1, 1, 12)  # noqa: DTZ001


def required(name: str, type_: pa.DataType = INT) -> pa.Field:
    return pa.field(name, type_, nullable=False)


# --- polars -------------------------------------------------------------------------------------------------

WORDS = ["a", None, "b"]
POLARS: dict[str, tuple[pl.DataType | type[pl.DataType], list[Any], pa.DataType]] = {
    **{f"Int{n}": (getattr(pl, f"Int{n}"), [1, None], pa.type_for_alias(f"int{n}")) for n in (8, 16, 32, 64)},
    "UInt8": (pl.UInt8, [1, None], pa.int16()),
    "UInt16": (pl.UInt16, [1, None], pa.int32()),
    "UInt32": (pl.UInt32, [1, None], INT),
    "UInt64": (pl.UInt64, [1, None], INT),
    "Float16": (pl.Float16, [1.5, None], pa.float32()),
    "Float32": (pl.Float32, [1.5, None], pa.float32()),
    "Float64": (pl.Float64, [1.5, None], pa.float64()),
    "Decimal": (pl.Decimal(10, 2), [Decimal("1.10"), None], pa.decimal128(10, 2)),
    "Boolean": (pl.Boolean, [True, None], pa.bool_()),
    "String": (pl.String, WORDS, pa.string()),
    "Binary": (pl.Binary, [b"a", None], pa.binary()),
    "Date": (pl.Date, [dt.date(2020, 1, 1), None], pa.date32()),
    "Datetime": (pl.Datetime("ms"), [NOON, None], pa.timestamp("us")),
    "zoned Datetime": (
        pl.Datetime("us", "Europe/Berlin"),
        [NOON.replace(tzinfo=dt.UTC), None],
        pa.timestamp("us", "UTC"),
    ),
    "Categorical": (pl.Categorical, WORDS, pa.string()),
    "Enum": (pl.Enum(["a", "b"]), WORDS, pa.string()),
    "List": (pl.List(pl.Int64), [[1, None], None, []], pa.list_(INT)),
    "Array": (pl.Array(pl.Int64, 2), [[1, None], None], pa.list_(INT)),
    "Struct": (pl.Struct({"x": pl.Int8}), [{"x": 1}, {"x": None}, None], pa.struct([("x", pa.int8())])),
    "list of Categorical": (pl.List(pl.Categorical), [WORDS, None, []], pa.list_(pa.string())),
    "list of Enum": (pl.List(pl.Enum(["a", "b"])), [WORDS, None, []], pa.list_(pa.string())),
    "Array of Enum": (pl.Array(pl.Enum(["a", "b"]), 3), [WORDS, None], pa.list_(pa.string())),
    "struct of Categorical": (
        pl.Struct({"x": pl.Categorical}),
        [{"x": "a"}, {"x": None}, None],
        pa.struct([("x", pa.string())]),
    ),
    "list of structs of Enum": (
        pl.List(pl.Struct({"x": pl.Enum(["a"])})),
        [[{"x": "a"}, {"x": None}, None], None],
        pa.list_(pa.struct([("x", pa.string())])),
    ),
}


@pytest.mark.parametrize("dtype", POLARS)
def test_a_polars_column_is_stored_with_its_values(table: Table, dtype: str) -> None:
    polars, values, type_ = POLARS[dtype]
    Transaction(table).write(pl.DataFrame({"x": pl.Series(values, dtype=polars)}))
    stored = Snapshot.of(table).scan().read_all()
    assert stored.schema.field("x").type == type_
    assert stored["x"].to_pylist() == values


@pytest.mark.parametrize(
    ("dtype", "words"),
    [
        (pl.Time, "time64"),
        (pl.Duration, "duration"),
        (pl.Null, "holds only nulls"),
        (pl.Struct({}), "struct<>"),
        (pl.Int128, r"x \(Int128\).*Decimal\(38, 0\)"),
        (pl.UInt128, r"x \(UInt128\)"),
        (pl.Object, r"x \(Object\)"),
        (pl.List(pl.Int128), r"x \(List\(Int128\)\)"),
        (pl.Struct({"y": pl.Int128}), "x.*Int128"),
    ],
    ids=str,
)
def test_a_polars_column_that_delta_has_no_type_for_is_refused_by_name(
    table: Table, dtype: Any, words: str
) -> None:
    with pytest.raises(SchemaMismatch, match=f"x.*{words}.*Nothing was written|{words}.*Nothing was written"):
        Transaction(table).write(pl.DataFrame({"x": pl.Series([None], dtype=dtype)}))


def test_polars_maps_are_stored_and_lists_of_pairs_where_the_table_has_a_map(
    table: Table, rows: Read
) -> None:
    maps = pa.table({"m": pa.array([[("a", 1)], None, []], pa.map_(pa.string(), INT))})
    Transaction(table).write(pl.from_arrow(maps))
    Transaction(table).write(Snapshot.of(table).scan())
    assert Snapshot.of(table).schema == maps.schema
    pairs = pl.DataFrame({"m": [[{"key": "b", "value": 2}], None]})
    Transaction(table).write(pairs)
    assert rows(table) == [{"m": None}, {"m": [("b", 2)]}]


# --- Encoded values, nested ---------------------------------------------------------------------------------


def runs(values: pa.Array) -> pa.Array:
    return pa.RunEndEncodedArray.from_arrays(pa.array([1, 2, 3], pa.int32()), values)


def indexed(values: pa.Array) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([0, 1, 2], pa.int8()), values)


NESTINGS: dict[str, tuple[Callable[[pa.Array], pa.Array], list[Any]]] = {
    "flat": (lambda a: a, WORDS),
    "list": (lambda a: pa.ListArray.from_arrays(pa.array([0, 2, 3], pa.int32()), a), [["a", None], ["b"]]),
    "struct": (lambda a: pa.StructArray.from_arrays([a], ["f"]), [{"f": word} for word in WORDS]),
    "map": (
        lambda a: pa.MapArray.from_arrays(pa.array([0, 2, 3], pa.int32()), pa.array(["x", "y", "z"]), a),
        [[("x", "a"), ("y", None)], [("z", "b")]],
    ),
}
ENCODINGS: dict[str, Callable[[pa.Array], pa.Array]] = {
    "plain": lambda a: a,
    "dictionary": indexed,
    "runs": runs,
    "runs of dictionary": lambda a: runs(indexed(a)),
    "dictionary of dictionary": lambda a: indexed(indexed(a)),
}


@pytest.mark.parametrize("nesting", NESTINGS)
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("type_", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
def test_text_of_each_encoding_is_stored_as_text_wherever_it_stands(
    table: Table, nesting: str, encoding: str, type_: pa.DataType
) -> None:
    nest, expected = NESTINGS[nesting]
    array = nest(ENCODINGS[encoding](pa.array(WORDS, type_)))
    Transaction(table).write(pa.table({"x": array}))
    stored = Snapshot.of(table).scan().read_all()
    assert stored["x"].to_pylist() == expected
    Transaction(table).write(pa.table({"x": array.slice(1)}))
    assert Snapshot.of(table).scan().read_all()["x"].to_pylist() == expected[1:]


# --- NOT NULL inside ----------------------------------------------------------------------------------------

S = pa.struct([required("a"), pa.field("b", INT)])
TYPES: dict[str, pa.DataType] = {
    "struct": S,
    "list": pa.list_(required("element")),
    "map": pa.map_(pa.string(), required("value")),
    "list of structs": pa.list_(pa.field("element", pa.struct([required("a")]))),
    "struct of structs": pa.struct([required("in", pa.struct([required("a")]))]),
    "struct of nullable structs": pa.struct([pa.field("in", pa.struct([required("a")]))]),
    "struct of lists": pa.struct([required("in", pa.list_(required("element", pa.string())))]),
}


def created(table: Table, type_: pa.DataType) -> None:
    DeltaTable.create(table.uri, Schema.from_arrow(pa.schema([pa.field("x", type_)])))


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("struct", [{"a": 1, "b": None}, None]),
        ("struct", [None, None]),
        ("list", [[1], None, []]),
        ("list", [[], []]),
        ("list", [None]),
        ("map", [[("k", 1)], None, []]),
        ("map", [[]]),
        ("list of structs", [[{"a": 1}, None], None, []]),
        ("list of structs", [[None]]),
        ("struct of structs", [{"in": {"a": 1}}, None]),
        ("struct of nullable structs", [{"in": {"a": 1}}, {"in": None}, None]),
        ("struct of lists", [{"in": ["x"]}, {"in": []}, None]),
    ],
)
@pytest.mark.parametrize("types", ["typed", "inferred"])
def test_rows_without_a_null_where_it_is_forbidden_are_taken(
    table: Table, kind: str, values: list[Any], types: str
) -> None:
    created(table, TYPES[kind])
    inferred = {"struct": pa.struct([("a", INT), ("b", INT)]), "map": pa.map_(pa.string(), INT)}
    type_ = TYPES[kind] if types == "typed" else inferred.get(kind)
    data = pa.table({"x": pa.array(values, type_)})
    Transaction(table).write(data)
    snapshot = Snapshot.of(table)
    assert snapshot.schema.field("x").type == TYPES[kind]
    assert snapshot.scan().read_all()["x"].to_pylist() == values
    Transaction(table, options=WriteOptions(mode="append")).write(snapshot.scan())
    compact(table)
    assert len(kit.read(table)) == 2 * len(values)


@pytest.mark.parametrize(
    ("kind", "values", "path", "row"),
    [
        ("struct", [None, {"a": None, "b": 1}], "x.a", r"row 1: \{a: null, b: 1\}"),
        ("list", [[], None, [1, None]], "x[]", r"row 2: \[1, null\]"),
        ("map", [[("k", None)], []], "x.value", r"row 0: \[\['k', null\]\]"),
        ("list of structs", [[None], [{"a": None}]], "x[].a", r"row 1: \[\{a: null\}\]"),
        ("struct of structs", [None, {"in": None}], "x.in", r"row 1: \{in: null\}"),
        ("struct of structs", [None, {"in": {"a": None}}], "x.in.a", "row 1: "),
        ("struct of nullable structs", [{"in": None}, {"in": {"a": None}}], "x.in.a", "row 1: "),
        ("struct of lists", [{"in": []}, {"in": [None]}], "x.in[]", "row 1: "),
    ],
)
def test_a_null_where_it_is_forbidden_is_refused_by_path_and_row(
    table: Table, kind: str, values: list[Any], path: str, row: str
) -> None:
    created(table, TYPES[kind])
    type_ = pa.map_(pa.string(), INT) if kind == "map" else None
    with pytest.raises(SchemaMismatch, match=rf"E\.g\. {row}.*Nothing was written\.$") as error:
        Transaction(table).write(pa.table({"x": pa.array(values, type_)}))
    assert repr(path) in error.value.problem
    assert error.value.sample.count("row ") == 1


def test_a_list_of_nothing_is_taken_where_table_or_contract_tells_its_type(table: Table) -> None:
    contract = Contract({"l": Column(pa.list_(INT)), "s": Column(pa.struct([("a", INT)]))})
    for values in ([[], None], [[None], []], [None, None]):
        data = pa.table({"l": pa.array(values), "s": pa.array([{"a": None}, None])})
        Transaction(table, contract=contract).write(data)
        Transaction(table).write(data)
        assert Snapshot.of(table).scan().read_all()["l"].to_pylist() == values


def test_a_contract_may_say_not_null_inside_and_is_held_to_it(table: Table) -> None:
    contract = Contract({"x": Column(S)})
    Transaction(table, contract=contract).write(pa.table({"x": [{"a": 1, "b": None}, None]}))
    assert Snapshot.of(table).schema.field("x").type == S
    with pytest.raises(SchemaMismatch, match=r"'x\.a' is NOT NULL"):
        Transaction(table, contract=contract).write(pa.table({"x": [{"a": None, "b": 1}]}))
    loose = Contract({"x": Column(pa.struct([("b", INT), ("a", INT)]))})  # in any order, and less strict
    Transaction(table, contract=loose).write(pa.table({"x": [{"a": 1, "b": 1}]}))


def test_a_contract_that_forbids_nulls_which_the_table_allows_is_refused(table: Table) -> None:
    Transaction(table).write(pa.table({"x": [{"a": 1, "b": 1}]}))
    with pytest.raises(SchemaMismatch, match="allows nulls where the contract"):
        Transaction(table, contract=Contract({"x": Column(S)})).write(pa.table({"x": [{"a": 1, "b": 1}]}))
