"""What can be declared, and what is refused when it is declared."""

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pandas as pd
import pandera.pandas as pandera
import pandera.polars as pandera_polars
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from practicus_assets.errors import DataRefused, DeclarationError
from practicus_assets.lake.contracts.audit import AuditResult
from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.contracts.declared import as_contract
from practicus_assets.lake.contracts.rule import RowRule, TableRule

# pandera finds checks by their first parameter, and reads annotations when the class is made
# ruff: noqa: N805


def audited(contract: Contract, *batches: pa.RecordBatch) -> dict[str, AuditResult]:
    return {result.name: result for result in contract.audit(iter(batches))}


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("integr", "'x'.*Did you mean integer"),
        (Column(pa.time64("us")), "'x'.*Delta Lake cannot hold"),
        (Column("int64", minimum="1"), "'x'"),
        (Column("int64", minimum=1.5), "'x'"),
        (Column("int8", maximum=300), "'x'"),
        (Column("int64", allowed=["a"]), "'x'"),
        (Column("string", allowed="abc"), "'x'.*no list"),
        (Column("int64", pattern="1"), "'x'"),
        (Column("string", pattern="(?=a)"), "'x'"),
        (Column(pa.list_(pa.int64()), minimum=[1]), "'x'"),
        (Column("int64", minimum=2, maximum=1), "'x'.*minimum is above"),
        (Column("int64", severity="WARNING"), "'x'.*'WARNING'"),  # type: ignore[arg-type]
    ],
)
def test_a_column_that_cannot_be_kept_is_refused_by_name(column: Column, words: str) -> None:
    with pytest.raises(DeclarationError, match=words):
        Contract({"x": column})


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"unique": ["x"]}, "no list of columns"),
        ({"unique": [[]]}, "no list of columns"),
        ({"columns": {"x": Column("int64")}, "unique": [["y"]]}, "undeclared"),
        ({"rows": (2, 1)}, "least is above"),
        ({"rules": [RowRule("a b", bool)]}, "a b"),
        ({"rules": [RowRule("ab\n", bool)]}, "cannot name"),
        ({"rules": [RowRule("a", bool), TableRule("a", bool)]}, "declared twice"),
        ({"rules": [RowRule("a", bool, severity="warn")]}, "'a'.*'warn'"),  # type: ignore[arg-type]
        ({"columns": {"a b": Column("int8", minimum=1), "a_b": Column("int8", minimum=1)}}, "declared twice"),
    ],
)
def test_a_contract_that_contradicts_itself_is_refused(declared: dict[str, Any], words: str) -> None:
    with pytest.raises(DeclarationError, match=words):
        Contract(**declared)


def test_what_is_no_contract_is_refused() -> None:
    for declaration in (object(), dict, "pandera", {"a": int}):
        with pytest.raises(DeclarationError, match="is no contract"):
            as_contract(declaration)
    assert as_contract(None) is None


def test_a_type_of_the_contract_may_be_one_that_delta_stores_as_another() -> None:
    contract = Contract(
        {"x": Column("uint8", minimum=0, maximum=255), "y": Column(pa.large_string(), pattern="a")}
    )
    assert [check.name for check in contract.checks] == ["schema", "x_range", "y_pattern"]


def test_the_digest_changes_with_each_promise_and_with_nothing_else() -> None:
    rule: Callable[[Any], Any] = lambda rows: rows["x"]  # noqa: E731
    contracts = [
        Contract(),
        Contract({"x": Column("int64")}),
        Contract({"x": Column("int32")}),
        Contract({"x": Column("int64")}, closed=True),
        Contract({"x": Column("int64", minimum=1)}),
        Contract({"x": Column("int64", minimum=2)}),
        Contract({"x": Column("int64", minimum=2, severity="WARN")}),
        Contract(unique=[["x"]]),
        Contract(rows=(1, None)),
        Contract(rules=[RowRule("r", rule)]),
    ]
    digests = [contract.digest for contract in contracts]
    assert len(set(digests)) == len(digests)
    assert Contract({"x": Column("int64", "described")}).digest == digests[1]


# --- Audits without a table ---------------------------------------------------------------------------------

ORDERS = Contract(
    {"n": Column("int64", nullable=False, minimum=1), "t": Column("string", allowed=["a", "b"])},
    unique=[["n"]],
    rows=(1, 3),
    rules=[
        RowRule("odd", lambda rows: pc.equal(pc.bit_wise_and(rows["n"], 1), 1)),
        TableRule("sums", lambda rows: rows["n"].sum() < 10),
    ],
)


def broken(results: list[AuditResult]) -> dict[str, int]:
    return {result.name: result.bad_rows for result in results if not result.passed}


@pytest.mark.parametrize("make", [pd.DataFrame, pa.table, pl.DataFrame], ids=["pandas", "arrow", "polars"])
def test_a_contract_is_run_on_rows_without_a_table(make: Callable[[Any], Any]) -> None:
    results = ORDERS.audit(make({"n": [1, 3], "t": ["a", "b"]}))
    assert [result.name for result in results] == [check.name for check in ORDERS.checks]
    assert broken(results) == {}
    assert broken(ORDERS.audit(make({"n": [1, 1, 2, 9], "t": ["a", "b", "c", None]}))) == {
        "t_allowed": 1,
        "n_unique": 1,
        "row_count": 1,
        "odd": 1,
        "sums": 1,
    }


def test_rows_of_other_columns_or_types_break_the_schema_and_run_no_other_rule() -> None:
    for data, words in (
        ({"n": [1]}, r"lacks the column 't'"),
        ({"n": ["x"], "t": ["a"]}, "column 'n' is of type string"),
        ({"n": [1.5], "t": ["a"]}, "column 'n' has values"),
    ):
        [result] = ORDERS.audit(pa.table(data))
        assert (result.name, result.passed) == ("schema", False)
        assert re.search(words, result.finding)
    assert broken(Contract({"n": Column("int64")}, closed=True).audit(pa.table({"n": [1], "x": [1]}))) == {
        "schema": 1
    }


def test_a_value_that_is_no_table_cannot_be_audited() -> None:
    with pytest.raises(DataRefused, match="a value of type NoneType, which is no table"):
        Contract(rules=[TableRule("sums", lambda _: True)]).audit(None)


# --- Pandera ------------------------------------------------------------------------------------------------


class Model(pandera.DataFrameModel):
    a: int = pandera.Field(ge=0, le=10, unique=True, description="how many")
    s: str = pandera.Field(str_matches="x+", isin=["x", "xy", "y"], nullable=True)
    f: float = pandera.Field(gt=0, nullable=True)
    o: pd.Int64Dtype = pandera.Field(in_range={"min_value": 1, "max_value": 3}, nullable=True)
    at: pd.Timestamp = pandera.Field(ge="2020-01-01")

    @pandera.check("a")
    def even(cls, values: pd.Series) -> pd.Series:
        return values % 2 == 0

    @pandera.dataframe_check(raise_warning=True)
    def a_is_below_f(cls, frame: pd.DataFrame) -> pd.Series:
        return frame["a"] < frame["f"]

    class Config:
        strict = True
        unique = ["a", "s"]  # noqa: RUF012 as pandera wants it


def batch(**columns: Any) -> pa.RecordBatch:
    return pa.RecordBatch.from_pandas(pd.DataFrame(columns), preserve_index=False)


def test_a_pandera_model_becomes_rules_of_its_own_names_and_severities() -> None:
    contract = as_contract(Model)
    assert contract is not None
    assert {check.name: check.severity for check in contract.checks} == {
        "schema": "ERROR",
        "a_not_null": "ERROR",
        "a_range": "ERROR",
        "s_allowed": "ERROR",
        "o_range": "ERROR",
        "at_not_null": "ERROR",
        "a_unique": "ERROR",
        "a_s_unique": "ERROR",
        "a_even": "ERROR",
        "s_str_matches": "ERROR",
        "f_greater_than": "ERROR",
        "at_greater_than_or_equal_to": "ERROR",
        "a_is_below_f": "WARN",
    }
    assert contract.closed
    assert contract.columns["a"].description == "how many"
    assert contract.digest == as_contract(Model.to_schema()).digest  # type: ignore[union-attr]


def test_pandera_rules_find_bad_rows_in_each_batch() -> None:
    contract = as_contract(Model)
    assert contract is not None
    times = pd.to_datetime(["2021-01-01", "2019-01-01", "2021-01-01"])
    found = audited(
        contract,
        batch(
            a=[0, 1, 2], s=["x", "xy", "y"], f=[0.5, 2.0, None], o=pd.array([1, None, 3], "Int64"), at=times
        ),
        batch(
            a=[4, 3, 12], s=["x", None, "zx"], f=[5.0, -1.0, 13.0], o=pd.array([4, 2, 2], "Int64"), at=times
        ),
    )
    bad = {name: result.bad_rows for name, result in found.items() if not result.passed}
    assert bad == {
        "a_range": 1,
        "a_even": 2,
        "s_allowed": 1,
        "s_str_matches": 2,
        "f_greater_than": 1,
        "o_range": 1,
        "at_greater_than_or_equal_to": 2,
        "a_is_below_f": 1,
    } | {"a_is_below_f": bad["a_is_below_f"]}
    assert not found["a_is_below_f"].blocks
    assert found["s_str_matches"].sample[0]["s"] == "y"


def test_two_checks_without_a_name_get_names_of_their_own() -> None:
    checks = [pandera.Check(lambda s: s > 0), pandera.Check(lambda s: s < 9, element_wise=False)]
    contract = as_contract(pandera.DataFrameSchema({"a b": pandera.Column(int, checks)}))
    assert contract is not None
    assert [rule.name for rule in contract.rules] == ["a_b_lambda", "a_b_lambda_2"]


def test_a_pandera_check_that_minds_nulls_finds_them() -> None:
    check = pandera.Check(lambda s: s.notna(), ignore_na=False)
    contract = as_contract(pandera.DataFrameSchema({"a": pandera.Column(float, [check], nullable=True)}))
    assert contract is not None
    assert audited(contract, batch(a=[1.0, None]))["a_lambda"].bad_rows == 1


def test_a_pandera_check_with_one_answer_for_all_rows_is_refused_since_it_would_run_on_batches() -> None:
    check = pandera.Check(lambda s: s.sum() > 0)
    contract = as_contract(pandera.DataFrameSchema({"a": pandera.Column(int, [check])}))
    assert contract is not None
    with pytest.raises(DataRefused, match="one answer for all rows"):
        audited(contract, batch(a=[1, 2]))


class PolarsModel(pandera_polars.DataFrameModel):
    a: int = pandera_polars.Field(ge=0)
    s: str = pandera_polars.Field(str_matches="x+", nullable=True)
    d: pl.Date

    @pandera_polars.check("a")
    def even(cls, data: pandera_polars.PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(pl.col(data.key) % 2 == 0)

    @pandera_polars.dataframe_check
    def small(cls, data: pandera_polars.PolarsData) -> pl.LazyFrame:  # type: ignore[misc]
        return data.lazyframe.select(pl.col("a") < 5)


def test_a_polars_model_of_pandera_finds_bad_rows_too() -> None:
    contract = as_contract(PolarsModel)
    assert contract is not None
    assert contract.columns["d"].arrow_type == pa.date32()
    rows = pa.record_batch(
        {"a": [0, 1, 6, -2], "s": ["x", "y", None, "yx"], "d": pa.array([1, 2, 3, 4], pa.date32())}
    )
    found = audited(contract, rows)
    bad = {name: result.bad_rows for name, result in found.items() if not result.passed}
    assert bad == {"a_minimum": 1, "s_str_matches": 2, "a_even": 1, "small": 1}


@pytest.mark.parametrize(
    "schema",
    [
        pandera.DataFrameSchema({"a": pandera.Column(int, coerce=True)}),
        pandera.DataFrameSchema({"a": pandera.Column(int)}, coerce=True),
        pandera.DataFrameSchema({"a": pandera.Column(int, required=False)}),
        pandera.DataFrameSchema({"a.*": pandera.Column(int, regex=True)}),
        pandera.DataFrameSchema({"a": pandera.Column(int)}, index=pandera.Index(int)),
        pandera.DataFrameSchema({"a": pandera.Column(int)}, strict="filter"),
        pandera.DataFrameSchema({"a": pandera.Column(int, parsers=pandera.Parser(abs))}),
        pandera.DataFrameSchema({"a": pandera.Column(int, default=1)}),
        pandera.DataFrameSchema({"a": pandera.Column()}),
        pandera.DataFrameSchema({"a": pandera.Column(object)}),
        pandera.DataFrameSchema(
            {"a": pandera.Column(int, pandera.Check(len, groupby="b")), "b": pandera.Column(int)}
        ),
    ],
    ids=str,
)
def test_what_pandera_would_change_or_cannot_promise_is_refused(schema: Any) -> None:
    with pytest.raises(DeclarationError):
        as_contract(schema)


@pytest.mark.process
def test_importing_the_package_imports_neither_pandera_nor_polars() -> None:
    code = "import sys, practicus_assets; print({'pandera', 'polars', 'duckdb'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
