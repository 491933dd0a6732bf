"""Contracts to begin with: inferred from rows, and as source that gives an equal contract."""

import datetime as dt
import decimal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from practicus_assets import Column, Contract, RowRule, Snapshot
from practicus_assets.errors import DeclarationError, SchemaMismatch
from practicus_assets.lake.contracts.beginnings.contract_source import contract_source
from practicus_assets.lake.contracts.beginnings.inferred import inferred
from practicus_assets.lake.contracts.declared_types import as_type
from practicus_assets.lake.contracts.type_text import type_source
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.transaction import Transaction

NAMES = {"Contract": Contract, "Column": Column, "datetime": dt, "decimal": decimal}

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
flat = st.sampled_from(
    [
        *(pa.int8(), pa.int64(), pa.float32(), pa.float64(), pa.bool_(), pa.string(), pa.binary()),
        *(pa.date32(), pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.decimal128(18, 2)),
    ]
)


def structs(types: st.SearchStrategy[pa.DataType]) -> st.SearchStrategy[pa.DataType]:
    part = st.tuples(texts, types, st.booleans())
    parts = st.lists(part, min_size=1, max_size=3, unique_by=lambda each: each[0].lower())
    return parts.map(lambda each: pa.struct([pa.field(*field) for field in each]))


types = st.recursive(
    flat,
    lambda inner: st.one_of(
        st.tuples(inner, st.booleans()).map(lambda each: pa.list_(pa.field("element", *each))),
        inner.map(lambda each: pa.map_(pa.string(), each)),
        structs(inner),
    ),
    max_leaves=4,
)


def evaluated(source: str) -> Any:
    return eval(source, dict(NAMES))  # noqa: S307 it is ours


few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@few
@given(types)
def test_the_text_of_a_type_reads_as_the_same_type(type_: pa.DataType) -> None:
    assert as_type(type_source(type_)) == type_


@few
@given(
    columns=st.dictionaries(
        texts, st.builds(Column, flat.map(str), texts, nullable=st.booleans()), max_size=2
    ),
    closed=st.booleans(),
    rows=st.tuples(st.none() | st.integers(0, 3), st.none() | st.integers(3)),
)
def test_the_source_of_a_contract_is_an_equal_contract(
    *,
    columns: dict[str, Column],
    closed: bool,
    rows: tuple[int | None, int | None],
) -> None:
    try:
        contract = Contract(columns, rows=rows, closed=closed, unique=[[n] for n in columns] or ())
    except DeclarationError:  # two names of one check
        return
    source = contract.source
    assert source.isprintable() or set(source) - {"\n"} == {c for c in source if c.isprintable()}
    assert evaluated(source) == contract
    assert evaluated(contract_source(contract, [*columns])) == contract


def test_bounds_values_and_long_columns_are_in_the_source() -> None:
    columns = {
        "price": Column("decimal128(18, 2)", "in €" * 30, minimum=decimal.Decimal("0.10"), severity="WARN"),
        "day": Column("date32", minimum=dt.date(2026, 1, 6), comes_from={"orders": ["a", "b"]}),
        "rate": Column("float64", maximum=float("inf")),
        "name": Column("string", allowed=["Decimal('1')", 'a"b'], pattern="x|\\d+"),
    }
    contract = Contract(columns, unique=[["day", "name"]])
    assert evaluated(contract.source) == contract
    assert max(map(len, contract.source.splitlines())) < 160
    with pytest.raises(DeclarationError, match="rules"):
        _ = Contract(rules=[RowRule("r", lambda rows: rows)]).source


FRAME = pa.table(
    {
        "id": pa.array([3, 1, 2], pa.int32()),
        "day": [dt.date(2026, 1, 6)] * 3,
        "note": ["a", None, "b"],
        "code": ["x", "y", "z"],
        "share": [0.1, 0.2, 0.3],
    }
)


@pytest.mark.parametrize(
    "rows", [FRAME, FRAME.to_pandas(), [FRAME.slice(0, 2), FRAME.slice(2)], FRAME.to_pylist()]
)
def test_rows_of_any_kind_give_their_columns_nulls_and_possible_keys(rows: Any) -> None:
    found = inferred(rows if not isinstance(rows, list) else iter(rows))
    assert [name for name, column in found.columns.items() if column.nullable] == ["note"]
    assert (found.keys, found.rows) == (("id", "code"), 3)
    assert Contract.infer(rows if not isinstance(rows, Sequence) else iter(rows)).audit(FRAME)


def test_a_table_gives_its_descriptions_and_a_contract_that_it_keeps(tmp_path: Path) -> None:
    table = Table.at(tmp_path, ["t"])
    Transaction(table, contract=Contract({"id": Column("int32", "which one")})).write(FRAME)
    contract = Contract.infer(Snapshot.of(table))
    assert contract.columns["id"] == Column("int32", "which one", nullable=False)
    assert all(result.passed for result in contract.audit(Snapshot.of(table)))
    assert evaluated(contract.source) == contract


def test_no_rows_promise_nothing_about_nulls_and_what_delta_cannot_hold_is_refused() -> None:
    assert Contract.infer(FRAME.slice(0, 0)).columns["id"].nullable
    assert inferred(FRAME.slice(0, 1)).keys == ()
    for rows in (pd.DataFrame({"t": [pd.Timedelta(1)]}), {"n": [None]}, 3):
        with pytest.raises(SchemaMismatch):
            Contract.infer(rows)
