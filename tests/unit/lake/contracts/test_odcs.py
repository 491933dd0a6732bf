"""Contracts as files of the Open Data Contract Standard: read, written, and what is left out named."""

import datetime as dt
import warnings
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from practicus_assets import Column, Contract, ContractFileWarning, DeclarationError, RowRule, TableRule

FILE = """
apiVersion: v3.1.0
kind: DataContract
id: shop
version: 2.0
status: active
team: {name: sales}
schema:
  - name: orders
    physicalName: shop_orders
    description: What was ordered.
    customProperties: [{property: retention, value: 5}]
    quality:
      - {metric: rowCount, mustBeGreaterThan: 9, mustBeLessOrEqualTo: 1000}
      - {metric: duplicateValues, mustBe: 0, arguments: {properties: [day, order number]}}
    properties:
      - name: order number
        physicalName: id
        logicalType: integer
        logicalTypeOptions: {format: i32, exclusiveMinimum: 0}
        primaryKey: true
        required: true
        description: Counted from 1.
      - name: day
        logicalType: date
        logicalTypeOptions: {minimum: 2026-01-01}
        partitioned: true
      - name: country
        logicalType: string
        physicalType: VARCHAR(2)
        logicalTypeOptions: {minLength: 2, maxLength: 2}
        quality: [{metric: nullValues, mustBe: 0, severity: warning}]
      - name: state
        logicalType: string
        quality: [{metric: invalidValues, mustBe: 0, arguments: {validValues: [new, paid]}}]
      - name: iban
        logicalType: string
        unique: true
        logicalTypeOptions: {pattern: '^DE[0-9]+$'}
      - name: amount
        logicalType: number
        physicalType: numeric(10, 2)
        transformSourceObjects: [raw/orders.net, raw/orders.tax]
      - name: at
        logicalType: timestamp
        logicalTypeOptions: {timezone: false}
      - name: lines
        logicalType: array
        items:
          logicalType: object
          properties:
            - {name: sku, logicalType: string, required: true}
            - {name: count, logicalType: integer}
"""
ONE_COLUMN = """
apiVersion: v3.1.0
kind: DataContract
schema:
  - name: orders
    properties:
      - name: id
        logicalType: integer
"""


def read(text: str, **options: Any) -> tuple[Contract, list[str]]:
    """Return the contract of a text, and what it leaves out."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        contract = Contract.from_odcs(text, **options)
    left_out = [item for warning in caught for item in warning.message.left_out]  # type: ignore[union-attr]
    return contract, [str(item) for item in left_out]


def test_a_file_is_read_with_types_bounds_keys_and_counts() -> None:
    contract, _ = read(FILE)
    lines = pa.list_(pa.struct([pa.field("sku", "string", nullable=False), ("count", "int64")]))
    assert contract == Contract(
        columns={
            "id": Column(pa.int32(), "Counted from 1.", nullable=False, minimum=1),
            "day": Column(pa.date32(), minimum=dt.date(2026, 1, 1)),
            "country": Column(pa.string(), nullable=False, pattern="(?s:.{2,2})", severity="WARN"),
            "state": Column(pa.string(), allowed=("new", "paid")),
            "iban": Column(pa.string(), pattern="DE[0-9]+"),
            "amount": Column(pa.decimal128(10, 2), comes_from={"raw/orders": ["net", "tax"]}),
            "at": Column(pa.timestamp("us")),
            "lines": Column(lines),
        },
        unique=[["id"], ["iban"], ["day", "id"]],
        rows=(10, 1000),
    )


def test_what_a_file_documents_beside_promises_is_named_by_one_warning(tmp_path: Path) -> None:
    path = tmp_path / "orders.odcs.yaml"
    path.write_text(FILE)
    with pytest.warns(ContractFileWarning) as caught:
        Contract.from_odcs(path, "orders")
    [warning] = caught
    assert [str(item) for item in warning.message.left_out] == [  # type: ignore[union-attr]
        "team",
        "description",
        "customProperties.retention",
        "id.name (order number)",
        "day.partitioned",
        "country.physicalType (VARCHAR(2) is read as string)",
    ]
    assert str(warning.message).startswith(
        "the table shop_orders of the file says more than is kept. Left out: "
    )
    assert Path(warning.filename).name == "test_odcs.py"


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ("logicalTypeOptions: {multipleOf: 5}", "id.multipleOf (5)"),
        ("quality: [{metric: nullValues, mustBeLessThan: 5, unit: percent}]", "id.quality.nullValues"),
        ("quality: [{metric: nullValues, mustBeLessThan: 1, unit: percent}]", "id.quality.nullValues"),
        ("quality: [{metric: nullValues, mustNotBe: 0}]", "id.quality.nullValues"),
        ("quality: [{metric: medianValue, mustBe: 0}]", "id.quality.medianValue"),
        (
            "quality: [{type: sql, name: few, query: 'SELECT 1', mustBe: 0}]",
            "id.quality.few (in SQL: a rule 'few' keeps it)",
        ),
        (
            "quality: [{type: text, description: Is right.}]",
            "id.quality.text (in words: a rule 'text' keeps it)",
        ),
        ("requierd: true", "id.requierd (no key of the standard. Did you mean required?)"),
        ("logicalTypeOptions: {pattern: a}", "id.pattern (no regular expression (RE2) of a text)"),
    ],
)
def test_a_promise_without_a_counterpart_is_refused_and_left_out_only_when_asked(
    more: str, named: str
) -> None:
    text = f"{ONE_COLUMN}        {more}\n"
    with pytest.raises(DeclarationError, match="1 promise without a counterpart") as refused:
        Contract.from_odcs(text)
    assert named in str(refused.value)
    contract, left_out = read(text, unkept="warn")
    assert left_out == [named]
    assert contract == Contract({"id": pa.int64()})


@pytest.mark.parametrize("kind", ["time", "object", "array", None], ids=str)
def test_a_column_of_a_type_that_no_table_has_is_refused_by_its_name(kind: str | None) -> None:
    text = ONE_COLUMN.replace("logicalType: integer", f"logicalType: {kind}" if kind else "description: Odd.")
    with pytest.raises(DeclarationError, match="without a counterpart: id"):
        Contract.from_odcs(text)


def test_a_rule_of_the_same_name_keeps_what_a_file_says_in_words() -> None:
    text = f"{ONE_COLUMN}    quality: [{{type: text, name: few, description: Few.}}]\n"
    rule = TableRule("few", lambda rows: len(rows) < 9)
    assert Contract.from_odcs(text, rules=[rule]) == Contract({"id": pa.int64()}, rules=[rule])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [\n", "the contract is no YAML: "),
        (
            "- a\n- b\n",
            ("the contract is no contract: it is ['a', 'b']. A contract begins with apiVersion: v3.1.0"),
        ),
        (
            "dataContractSpecification: 1.1.0\nid: a\n",
            "has the kind None and the apiVersion None. The third version ",
        ),
        (
            "apiVersion: v2.2.2\nkind: DataContract\n",
            "and the apiVersion 'v2.2.2'. The third version",
        ),
        ("apiVersion: v3.1.0\nkind: DataContract\n", "the contract has no schema, and so no table."),
        (
            ONE_COLUMN.replace("integer", "[1]"),
            "the contract does not keep the standard: schema.0.properties.0.",
        ),
        (
            f"{ONE_COLUMN}        name: ix\n",
            "the contract: 'name' stands twice in what begins in line 7. Remove one.",
        ),
        (
            f"{ONE_COLUMN}  - name: lines\n",
            'the contract has the tables orders and lines. Choose one: table="orders".',
        ),
        (
            f"{ONE_COLUMN}        logicalTypeOptions: {{minimum: low}}\n",
            (
                "column 'id' of the contract is of type int64, and has the minimum 'low', which is "
                "no value of that"
            ),
        ),
        (
            "orders.yaml",
            ("orders.yaml cannot be read: No such file or directory. Give the path of a file, or its text."),
        ),
    ],
    ids=[
        "yaml",
        "list",
        "other",
        "version 2",
        "no schema",
        "model",
        "twice",
        "two tables",
        "bound",
        "no file",
    ],
)
def test_a_file_that_is_no_contract_says_why(text: str, told: str) -> None:
    with pytest.raises(DeclarationError) as refused:
        Contract.from_odcs(text)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (lambda: Contract.from_odcs(5), "5 is no file of a contract. Give the path of a file, or its text."),
        (
            lambda: Contract.from_odcs(ONE_COLUMN, tabel="a"),
            "from_odcs has no parameter 'tabel'. Did you mean table?",
        ),
        (lambda: Contract.from_odcs(ONE_COLUMN, unkept="no"), 'unkept=\'no\'. Write "refuse" or "warn".'),
        (
            lambda: Contract.from_odcs(ONE_COLUMN, rules=RowRule("a", len)),
            "is no list. Write rules=[RowRule(",
        ),
        (lambda: Contract().to_odcs(5), "table is 5. Write a text."),
        (lambda: Contract().to_odcs("a", version=2), "version is 2. Write a text."),
        (
            lambda: Contract.from_odcs(ONE_COLUMN.partition("    properties")[0]),
            "the table orders of the contract has no properties and no quality, and so no promise.",
        ),
    ],
    ids=["number", "parameter", "unkept", "one rule", "table", "version", "no columns"],
)
def test_a_call_that_is_wrong_says_what_to_write(mistake: Callable[[], Any], told: str) -> None:
    with pytest.raises(DeclarationError) as refused:
        mistake()
    assert told in str(refused.value)


def test_a_misspelt_table_is_answered_with_the_nearest() -> None:
    with pytest.raises(
        DeclarationError, match="has no table 'ordres'; it has orders\\. Did you mean orders\\?"
    ):
        Contract.from_odcs(ONE_COLUMN, "ordres")


def test_without_the_package_one_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "open_data_contract_standard", None)
    for call in (lambda: Contract.from_odcs(ONE_COLUMN), lambda: Contract().to_odcs("orders")):
        with pytest.raises(DeclarationError, match=r"pip install 'practicus-assets\[odcs\]'"):
            call()


def test_a_pattern_that_is_found_anywhere_in_a_text_is_read_as_one_of_the_whole_text() -> None:
    text = ONE_COLUMN.replace("integer", "string")
    for pattern, bad in (("^a|b$", "xa"), ("b", "a"), ("^(a|b)$", "ab"), ("^(?:a)|(?:b)$", "xa")):
        contract = Contract.from_odcs(f"{text}        logicalTypeOptions: {{pattern: '{pattern}'}}\n")
        assert [result.bad_rows for result in contract.audit([{"id": bad}, {"id": "b"}])][1:] == [1], pattern


@pytest.mark.parametrize(
    ("column", "named"),
    [
        (Column("string", minimum="a"), "c.minimum ('a' is no value of a file's bounds)"),
        (
            Column("decimal(38,2)", minimum=Decimal("123456789012345678.25")),
            "c.minimum (123456789012345678.25 is",
        ),
        (Column("binary", allowed=(b"a",)), "c.allowed (a value of it is none of a file's)"),
    ],
    ids=["text", "decimal", "bytes"],
)
def test_a_promise_that_no_file_can_say_is_refused_and_named(column: Column, named: str) -> None:
    with pytest.raises(DeclarationError) as refused:
        Contract({"c": column}).to_odcs("orders")
    assert named in str(refused.value)
    with pytest.warns(ContractFileWarning):
        text = Contract({"c": column}).to_odcs("orders", unkept="warn")
    assert Contract.from_odcs(text) == Contract({"c": column.arrow_type})


def test_rules_are_written_by_their_names_and_kept_by_the_same_functions() -> None:
    rules = (
        RowRule("positive", lambda rows: rows["n"], "n is positive"),
        TableRule("few", len, severity="WARN"),
    )
    contract = Contract({"n": pa.bool_()}, rules=rules)
    text = contract.to_odcs("orders")
    assert "n is positive" in text
    assert Contract.from_odcs(text, rules=rules) == contract
    with pytest.raises(DeclarationError, match=r"2 promises without a counterpart: quality\.positive"):
        Contract.from_odcs(text)


NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("C",), exclude_characters="."), min_size=1, max_size=6
)
SCALARS = ["int8", "int32", "int64", "float", "double", "bool", "string", "binary", "date32"]
TYPES = st.recursive(
    st.sampled_from([*SCALARS, "timestamp[us, tz=UTC]", "timestamp[us]", "decimal128(12, 3)"]).map(
        lambda text: Column(text).arrow_type
    ),
    lambda inside: st.one_of(
        inside.map(pa.list_),
        inside.map(lambda value: pa.map_(pa.string(), value)),
        st.lists(st.tuples(inside, st.booleans()), min_size=1, max_size=2).map(
            lambda parts: pa.struct([pa.field(f"f{i}", t, nullable=n) for i, (t, n) in enumerate(parts)])
        ),
    ),
    max_leaves=4,
)
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    pa.int8(): st.integers(-128, 127),
    pa.int32(): st.integers(-(2**31), 2**31 - 1),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(allow_nan=False, allow_infinity=False),
    pa.date32(): st.dates(),
    pa.timestamp("us"): st.datetimes(),
    pa.timestamp("us", "UTC"): st.datetimes(timezones=st.just(dt.UTC)),
    pa.decimal128(12, 3): st.integers(-(10**11), 10**11).map(lambda n: Decimal(n) / 1000),
}


@st.composite
def columns(draw: st.DrawFn) -> Column:
    type_ = draw(TYPES)
    low, high = None, None
    if type_ in VALUES:
        pair = sorted(draw(st.tuples(VALUES[type_], VALUES[type_])))
        low, high = (draw(st.sampled_from([None, bound])) for bound in pair)
    allowed = draw(st.none() | st.lists(VALUES[type_], min_size=1, max_size=3)) if type_ in VALUES else None
    is_text = type_ == pa.string()
    return Column(
        type_,
        draw(st.sampled_from(["", "a text: with\nlines", "#1"])),
        nullable=draw(st.booleans()),
        minimum=low,
        maximum=high,
        allowed=tuple(allowed) if allowed is not None else None,
        pattern=draw(st.sampled_from([None, "a|b", "^x", "[0-9]{2}$", "(a)|(b)", ""])) if is_text else None,
        severity=draw(st.sampled_from(["ERROR", "WARN", "QUARANTINE"])),
        comes_from=draw(
            st.none() | st.dictionaries(NAMES, st.lists(NAMES, min_size=2, max_size=2), min_size=1)
        ),
    )


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    named = draw(st.dictionaries(NAMES, columns(), min_size=1, max_size=3))
    keys = draw(
        st.lists(st.lists(st.sampled_from([*named]), min_size=1, unique=True), max_size=2, unique_by=tuple)
    )
    low, high = sorted(draw(st.tuples(st.integers(0, 9), st.integers(0, 9))))
    rows = (draw(st.sampled_from([None, low])), draw(st.sampled_from([None, high])))
    try:
        contract = Contract(named, unique=keys, rows=rows, closed=draw(st.booleans()))
        return (
            replace(contract, max_rejected=draw(st.sampled_from([5, 0.01]))) if contract.rejects else contract
        )
    except DeclarationError:  # names that make two checks of one name, or differ in case alone
        return Contract({"a": pa.int64()})


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(contracts())
def test_a_contract_that_is_written_and_read_is_the_same(contract: Contract) -> None:
    again = Contract.from_odcs(contract.to_odcs("shop/orders"))
    assert replace(again, unique=()) == replace(contract, unique=())
    assert sorted(map(list, again.unique)) == sorted(map(list, contract.unique))
