"""Tables of a lake by their names, SQL on them, and how they look in a notebook."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from practicus_assets import Column, Contract, Snapshot, open_table
from practicus_assets.errors import (
    DeclarationError,
    PracticusAssetsError,
    SchemaMismatch,
    StoreFailed,
    TableNotFound,
)
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.transaction import Transaction
from tests.kit import partitions, table_of, write

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e" + "x" * 500


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("lake")
    orders = Table.at(root, ["orders"])
    write(orders, "a", 1, 2, Shop=["x", HOSTILE])
    write(orders, "b", 3, 4, 5, Shop=["x", "y", None])
    visits = Table.at(root, ["shop", "Visits"])
    Transaction(visits, contract=Contract({"n": Column("int64", "<b>how many</b>")})).write(
        pa.table({"n": pa.array([1, None], pa.int64())})
    )
    (root / "_hidden" / "secrets" / "_delta_log").mkdir(parents=True)
    return root


def test_a_table_is_opened_by_its_name_its_version_and_its_partitions(lake: Path) -> None:
    orders = open_table(lake, "orders")
    assert isinstance(orders, Snapshot)
    assert (orders.version, orders.row_count) == (1, 5)
    assert open_table(lake, "orders", 0).to_polars(["n"]).rows() == [(1,), (2,)]
    assert sorted(open_table(lake, "orders", partitions=["b"]).to_pandas(predicate="n > 3")["n"]) == [4, 5]
    assert (
        open_table(str(lake), ["shop", "Visits"]).row_count == open_table(lake, "shop/Visits").row_count == 2
    )


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("ordrs", "Did you mean orders? The lake has orders and shop/Visits."),
        ("visits", "The lake has orders and shop/Visits."),
        ("shop", "The lake has orders and shop/Visits."),
    ],
)
def test_the_error_for_a_missing_table_names_those_that_are_there(lake: Path, name: str, advice: str) -> None:
    with pytest.raises(TableNotFound) as refused:
        open_table(lake, name)
    assert advice in str(refused.value)
    assert "secrets" not in str(refused.value)


def test_a_lake_without_tables_and_a_name_that_is_none_are_said(tmp_path: Path) -> None:
    with pytest.raises(TableNotFound, match="The lake has no tables: correct its root"):
        open_table(tmp_path / "nowhere", "orders")
    assert not (tmp_path / "nowhere").exists()
    names: list[Any] = [3, ["a", 3], "..", ""]
    for name in names:
        with pytest.raises(DeclarationError):
            open_table(tmp_path, name)
    with pytest.raises(DeclarationError, match="Did you mean storage_options"):
        open_table(tmp_path, "orders", storage_option={})  # type: ignore[call-overload]


def test_sql_answers_in_the_order_asked_for_with_the_types_of_the_table(lake: Path) -> None:
    answer = open_table(lake, "orders").sql(
        "SELECT p, sum(n) AS total, min(Shop) AS shop FROM orders -- all\n GROUP BY p ORDER BY p DESC;"
    )
    assert answer.schema == pa.schema({"p": pa.string(), "total": pa.int64(), "shop": pa.string()})
    assert answer.to_arrow()["total"].to_pylist() == answer.to_pandas()["total"].tolist() == [12, 3]
    assert answer.to_polars()["p"].to_list() == ["b", "a"]
    assert pa.table(answer).num_rows == 2
    assert duckdb.sql("SELECT max(total) FROM answer").fetchall() == [(12,)]
    assert repr(answer) == "Answer(p: string, total: int64, shop: string)"
    with_nulls = open_table(lake, "shop/Visits").sql('WITH v AS (SELECT * FROM "Visits") SELECT * FROM v')
    assert str(with_nulls.to_pandas()["n"].dtype) == "Int64"


@pytest.mark.parametrize(("keys", "expected"), [(["b"], 3), (["a", "b"], 5), ([], 0), (["nope"], 0)])
def test_sql_sees_no_more_than_the_snapshot(lake: Path, keys: list[str], expected: int) -> None:
    orders = open_table(lake, "orders", partitions=keys)
    assert orders.sql("SELECT count(*) AS c FROM orders").to_arrow().to_pylist() == [{"c": expected}]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("SELECT nn FROM orders", "names the column 'nn'"),
        ("SELECT shop FROM orders", "Did you mean Shop?"),
        ("SELECT 1 FROM others", "there is only 'orders'"),
        ("INSERT INTO orders VALUES ('c', 1, 'x')", "writes"),
        ("WITH x AS (SELECT 1) INSERT INTO orders SELECT * FROM x", "writes"),
        ("INSERT INTO snapshot_of_table_0 VALUES ('c', 1, 'x')", "writes"),
        ("DELETE FROM orders", "writes"),
        ("DROP VIEW orders", "Write one SELECT"),
        ("CREATE EXTERNAL TABLE e STORED AS CSV LOCATION '/etc'", "Write one SELECT"),
        ("COPY orders TO 'stolen.csv'", "Write one SELECT"),
        ("SELECT 1) x; DROP VIEW orders; --", "Write one SELECT"),
        ("SELECT 1; SELECT 2", "Write one SELECT"),
        ("SELECT * FROM '/etc/passwd'", "there is only 'orders'"),
        ("SELECT n / 0 FROM orders", "cannot be computed: Divide by zero"),
        ("SELECT CAST(p AS INT) FROM orders", "cannot be computed"),
    ],
)
def test_sql_that_is_no_query_of_the_table_is_refused_and_writes_nothing(
    lake: Path, query: str, problem: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(str(path) for path in lake.rglob("*"))
    with pytest.raises(SchemaMismatch) as refused:
        open_table(lake, "orders").sql(query).to_arrow()
    assert problem in str(refused.value)
    assert sorted(str(path) for path in lake.rglob("*")) == before
    assert list(tmp_path.iterdir()) == []


def test_sql_shows_no_value_where_no_rows_may_be_shown(lake: Path) -> None:
    table = Table.at(lake, ["orders"], sample_rows=0)
    with pytest.raises(SchemaMismatch) as refused:
        Snapshot.of(table).sql("SELECT CAST(p AS INT) FROM orders").to_arrow()
    assert "'a'" not in str(refused.value)


def test_a_vacuumed_file_is_no_fault_of_the_query(tmp_path: Path) -> None:
    table = Table.at(tmp_path, ["t"])
    write(table, "a", 1)
    for file in tmp_path.rglob("*.parquet"):
        file.unlink()
    answer = Snapshot.of(table).sql("SELECT n FROM t")
    with pytest.raises(PracticusAssetsError) as refused:
        answer.to_arrow()
    assert not isinstance(refused.value, SchemaMismatch | StoreFailed)


@pytest.mark.parametrize(
    "page",
    [
        lambda lake: open_table(lake, "orders")._repr_html_(),
        lambda lake: open_table(lake, "shop/Visits")._repr_html_(),
        lambda lake: open_table(lake, "orders").sql("SELECT * FROM orders")._repr_html_(),
        lambda lake: open_table(lake, "orders").sql('SELECT 1 AS "<script>" FROM orders')._repr_html_(),
    ],
    ids=["snapshot", "described", "answer", "column"],
)
def test_a_notebook_shows_columns_types_and_values_and_no_markup_of_theirs(
    lake: Path, page: Callable[[Path], str]
) -> None:
    html = page(lake)
    assert "<table>" in html
    assert "int64" in html
    assert "<script>" not in html
    assert "<b>how" not in html
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert len(html) < 3000


def test_a_long_answer_is_cut_in_a_notebook_and_says_so(tmp_path: Path) -> None:
    table = Table.at(tmp_path, ["t"])
    Transaction(table, partitions("a"), WriteOptions(partition_by=["p"])).write(table_of("a", *range(50)))
    html = Snapshot.of(table).sql("SELECT n FROM t ORDER BY n")._repr_html_()
    assert html.count("<tr>") == 11
    assert "The first 10 rows; there are more." in html
    assert "No rows." in Snapshot.of(table).sql("SELECT n FROM t WHERE n < 0")._repr_html_()
