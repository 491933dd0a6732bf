"""The run of a contract on rows, batch by batch."""

import errno
import os
import pickle
import tracemalloc
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from practicus_assets.errors import AuditFailed, DataRefused, SchemaMismatch, StoreFailed
from practicus_assets.lake.contracts import unique
from practicus_assets.lake.contracts.audit import AuditResult
from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.contracts.rule import RowRule, TableRule
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.rows import distinct, key_hashes
from practicus_assets.lake.rows.fingerprints.hashes import hash_rows
from practicus_assets.lake.transactions.options import Mode, WriteOptions
from practicus_assets.lake.transactions.transaction import Transaction
from tests.kit import partitions

NAN = float("nan")


def audited(
    table: Table, contract: Contract, *batches: Any, scope: Scope | None = None, **options: Any
) -> dict[str, AuditResult]:
    """Return the results of a write of these batches, whether it landed or not."""

    def stream() -> Iterator[pa.RecordBatch]:
        yield from batches

    try:
        transaction = Transaction(table, scope, WriteOptions(**options), contract=contract)
        results = transaction.write(stream()).audits
    except AuditFailed as error:
        results = error.results
    return {result.name: result for result in results}


def column(type_: pa.DataType, *values: Any) -> pa.RecordBatch:
    return pa.record_batch({"x": pa.array(values, type_)})


INT, TEXT, FLOAT, MONEY = pa.int64(), pa.string(), pa.float64(), pa.decimal128(5, 2)


@pytest.mark.parametrize(
    ("declared", "first", "second", "bad"),
    [
        (Column(INT, nullable=False), [1, None], [None, 2], 2),
        (Column(INT, minimum=2), [1, 2, None], [3, 0], 2),
        (Column(INT, maximum=2), [1, 2, None], [3, 0], 1),
        (Column(FLOAT, minimum=0), [0.0, -0.5, None], [NAN, 1.0], 2),
        (Column(FLOAT, maximum=0.5), [float("inf"), 0.5, None], [NAN, -1.0], 2),
        (Column(MONEY, minimum=Decimal("1.10")), [Decimal("1.09"), Decimal("1.10")], [None], 1),
        (Column(TEXT, minimum="b"), ["a", "b"], ["ä", None], 1),
        (Column(TEXT, allowed=["a", "b"]), ["a", "b", None], ["c", "A"], 2),
        (Column(INT, allowed=[3]), [1, None], [2], 2),
        (Column(TEXT, pattern="a|b"), ["a", "ab", None], ["b", "a\n", "xa"], 3),
        (Column(TEXT, pattern="(?m)^a$"), ["a", "b\na"], ["a\nb"], 2),
        (Column(TEXT, pattern=".*"), ["", "a\nb"], [None], 1),
    ],
)
def test_a_rule_on_a_column_counts_bad_rows_over_all_batches(
    table: Table, declared: Column, first: list[Any], second: list[Any], bad: int
) -> None:
    type_ = declared.arrow_type
    found = audited(table, Contract({"x": declared}), column(type_, *first), column(type_, *second))
    [result] = [result for result in found.values() if not result.passed]
    assert result.bad_rows == bad
    assert len(result.sample) == bad
    assert result.blocks
    good = Contract({"x": Column(type_)})
    assert all(r.passed for r in audited(table, good, column(type_, *first), column(type_, *second)).values())


def test_a_sample_has_the_first_few_bad_rows_with_all_their_columns(table: Table) -> None:
    contract = Contract({"x": Column(INT, maximum=0)})
    batches = [pa.record_batch({"x": [n, n + 1], "y": ["a", "b"]}) for n in range(1, 40, 2)]
    result = audited(table, contract, *batches)["x_maximum"]
    assert result.bad_rows == 40
    assert result.sample == [{"x": n, "y": "ab"[(n + 1) % 2]} for n in range(1, 6)]
    assert result.finding == "40 bad rows"


def test_a_warning_is_recorded_and_the_rows_land(table: Table, rows: Any) -> None:
    contract = Contract({"x": Column(INT, minimum=1, severity="WARN")})
    result = audited(table, contract, column(INT, 0, 1))["x_minimum"]
    assert (result.passed, result.blocks, result.bad_rows) == (False, False, 1)
    assert rows(table) == [{"x": 0}, {"x": 1}]


def test_an_error_names_each_broken_rule_with_an_example(table: Table) -> None:
    contract = Contract({"x": Column(INT, minimum=1)}, rows=(3, None))
    with pytest.raises(AuditFailed, match=r"x_minimum \(x is at least 1\): 1 bad row, e\.g\. x=0") as error:
        Transaction(table, contract=contract).write(pa.table({"x": [0, 1]}))
    assert "row_count (each partition has at least 3 rows): 1 bad partition," in str(error.value)
    assert str(error.value).endswith("Fix the data or the contract. Nothing was written.")


# --- Unique keys --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "values", "surplus"),
    [
        (INT, [1, 2, 1, 3, 1], 2),
        (TEXT, ["a", "b", "A", None, None], 1),
        (TEXT, ["nan", None, "", "None", "null"], 0),
        (FLOAT, [NAN, NAN, 1.0], 1),
        (MONEY, [Decimal("1.00"), Decimal("1.01"), Decimal("1.00")], 1),
        (pa.binary(), [b"a", b"b", b"a"], 1),
        (pa.list_(INT), [[1], [2], [1], None, []], 1),
        (pa.bool_(), [True, False, None, True], 1),
        (pa.timestamp("us"), [1, 2, 1], 1),
        (pa.date32(), [1, 2, 1], 1),
    ],
    ids=str,
)
def test_a_key_that_appears_twice_is_found_across_batches(
    table: Table, type_: pa.DataType, values: list[Any], surplus: int
) -> None:
    batches = [column(type_, value) for value in values]
    result = audited(table, Contract(unique=[["x"]]), *batches)["x_unique"]
    assert (result.passed, result.bad_rows) == (not surplus, surplus)


def test_a_key_of_several_columns_may_repeat_in_each_and_columns_may_have_any_name(table: Table) -> None:
    names = ["rows", "count_all", "a b"]
    good = pa.record_batch([[1, 1, 2, 2], [1, 2, 1, 2], [0, 0, 0, 0]], names=names)
    bad = pa.record_batch([[2], [2], [0]], names=names)
    contract = Contract(unique=[names])
    assert audited(table, contract, good)["rows_count_all_a_b_unique"].passed
    found = audited(table, contract, good, bad)["rows_count_all_a_b_unique"]
    assert (found.bad_rows, found.sample) == (1, [{"rows": 2, "count_all": 2, "a b": 0}])


def test_a_nested_key_that_appears_twice_is_counted_after_batches_without_it() -> None:
    batches = [column(pa.list_(INT), [1], [2], []), column(pa.list_(INT), [3], [3])]
    hashes = key_hashes.KeyHashes()
    for batch in batches:
        hashes.add(hash_rows(batch, ["x"]))
    reader = pa.RecordBatchReader.from_batches(batches[0].schema, batches)
    found = unique.doubled(["x"], hashes, [lambda _: reader], None, 5)
    assert (found.surplus, found.sample) == (1, [{"x": "[3]"}])


def test_an_append_is_held_against_the_rows_that_are_there(table: Table, rows: Any) -> None:
    contract = Contract(unique=[["x"]])
    assert audited(table, contract, column(INT, 1, 2), mode="append")["x_unique"].passed
    again = audited(table, contract, column(INT, 3, 2), mode="append")["x_unique"]
    assert (again.bad_rows, again.sample) == (1, [{"x": 2}])
    assert audited(table, contract, column(INT, 3), mode="append")["x_unique"].passed
    assert audited(table, contract, column(INT, 3), mode="replace")["x_unique"].passed
    assert rows(table) == [{"x": 3}]


def test_an_append_with_a_key_column_that_old_rows_do_not_have_takes_it_for_null(table: Table) -> None:
    audited(table, Contract(), column(INT, 1))
    contract = Contract(unique=[["x", "y"]])
    new = pa.record_batch({"x": [1, 1], "y": [1, 2]})
    assert audited(table, contract, new, mode="append")["x_y_unique"].passed


def test_a_key_column_that_is_not_there_is_refused(table: Table) -> None:
    with pytest.raises(SchemaMismatch, match=r"lacks the column 'y'"):
        audited(table, Contract(unique=[["y"]]), column(INT, 1))


def test_unique_keys_cost_a_few_bytes_a_row(table: Table) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        for n in range(20):
            text = pa.array([f"{n}-{i}-" + "x" * 80 for i in range(5000)])
            yield pa.record_batch({"x": text})

    tracemalloc.start()
    try:
        before = pa.total_allocated_bytes()
        commit = Transaction(table, contract=Contract(unique=[["x"]])).write(batches())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert commit.rows == 100_000
    assert peak < 6 * 2**20  # the text is 9 MB, 100,000 hashes are 0.8 MB
    assert pa.total_allocated_bytes() - before < 2**20


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a few keys be too many for the memory."""
    monkeypatch.setattr(key_hashes, "_IN_MEMORY", 5)
    monkeypatch.setattr(key_hashes, "_SENT", 1)
    monkeypatch.setattr(key_hashes, "_AT_ONCE", 4)
    monkeypatch.setattr(unique, "_AT_ONCE", 3)
    monkeypatch.setattr(unique, "BATCH_ROWS", 2)
    monkeypatch.setattr(distinct, "_COUNTED_ROWS", 2)


def doubled_keys(table: Table, mode: Mode, *, pickled: bool) -> AuditResult:
    """Return what is found in 30 rows of three partitions, in several parts, after 10 rows that stay."""
    options, scope = WriteOptions(partition_by=["p"], mode=mode), partitions(*"abc")
    old = pa.table({"p": ["a"] * 10, "x": range(10)})
    Transaction(table, scope, options).write(old)
    transaction = Transaction(table, scope, options, contract=Contract(unique=[["p", "x"]]))
    parts = [
        transaction.stage(pa.table({"p": [p] * 10, "x": [n % modulus for n in range(10)]}))
        for p, modulus in [("a", 9), ("b", 2), ("c", 10)]
    ]
    if pickled:
        parts = pickle.loads(pickle.dumps(parts))  # noqa: S301 our own
    with pytest.raises(AuditFailed) as error:
        transaction.commit(*parts)
    [result] = error.value.results
    return result


@pytest.mark.parametrize("where", ["own parts", "parts of others"])
@pytest.mark.parametrize("mode", ["replace", "append"])
def test_keys_on_the_disk_are_named_and_counted_as_those_in_memory(
    table: Table, request: pytest.FixtureRequest, mode: Mode, where: str
) -> None:
    pickled = where == "parts of others"
    in_memory = doubled_keys(Table("m", f"{table.uri}-m"), mode, pickled=pickled)
    request.getfixturevalue("tiny")
    on_disk = doubled_keys(table, mode, pickled=pickled)
    assert (on_disk.bad_rows, on_disk.counted) == (9 if mode == "replace" else 18, "bad_rows")
    assert on_disk.bad_rows == in_memory.bad_rows
    assert on_disk.breaches is not None
    assert in_memory.breaches is not None
    rows = {key: breach.rows for key, breach in on_disk.breaches.items()}
    assert rows == {key: breach.rows for key, breach in in_memory.breaches.items()}
    assert rows == ({"a": 1, "b": 8} if mode == "replace" else {"a": 10, "b": 8})
    keys = {("a", n) for n in range(1 if mode == "replace" else 10)} | {("b", 0), ("b", 1)}
    assert {(row["p"], row["x"]) for row in on_disk.sample} <= keys
    assert len(on_disk.sample) == len(in_memory.sample)


@pytest.mark.usefixtures("tiny")
def test_a_full_disk_of_the_worker_ends_the_transaction_and_nothing_is_written(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(
        StoreFailed, match=r"No space left on device.*TMPDIR.*Nothing was written\.$"
    ) as error:
        audited(table, Contract(unique=[["x"]]), column(INT, *range(20)))
    assert error.value.table == table.name
    assert not Path(table.uri).exists()


# --- Row counts ---------------------------------------------------------------------------------------------


def test_row_bounds_hold_for_each_partition_and_for_those_without_rows(table: Table) -> None:
    scope = partitions(*"abc")
    data = pa.record_batch({"p": ["a", "b", "b", "b"], "x": [1, 2, 3, 4]})
    found = audited(table, Contract(rows=(1, 2)), data, scope=scope, partition_by=["p"])["row_count"]
    assert found.bad_rows == 2
    assert found.sample == [{"partition": "b", "rows": 3}, {"partition": "c", "rows": 0}]
    assert found.finding == "2 bad partitions"


def test_row_bounds_of_a_table_without_partitions_hold_for_the_table(table: Table) -> None:
    assert not audited(table, Contract(rows=(1, None)), column(INT))["row_count"].passed
    assert audited(table, Contract(rows=(1, 1)), column(INT, 1))["row_count"].passed


# --- Rules that are functions -------------------------------------------------------------------------------


def arrow_rule(rows: pa.Table) -> pa.ChunkedArray:
    return pc.greater(rows["x"], 0)


def pandas_rule(rows: pd.DataFrame) -> pd.Series:
    return rows["x"] > 0


def polars_rule(rows: pl.DataFrame) -> pl.Series:
    return rows["x"] > 0


def plain_rule(rows) -> list[bool]:  # type: ignore[no-untyped-def]  # noqa: ANN001 what is tested
    return [x is None or x > 0 for x in rows["x"].to_pylist()]


@pytest.mark.parametrize("rule", [arrow_rule, pandas_rule, polars_rule, plain_rule])
def test_a_row_rule_gets_rows_as_it_is_annotated_and_null_counts_as_true(
    table: Table, rule: Callable[[Any], Any]
) -> None:
    contract = Contract(rules=[RowRule("positive", rule)])
    found = audited(table, contract, column(INT, 1, 0, None), column(INT, -1, 5))["positive"]
    assert (found.bad_rows, found.sample) == (2, [{"x": 0}, {"x": -1}])


@pytest.mark.parametrize("answer", [True, [1, 2], [True], "yes", None])
def test_a_row_rule_that_does_not_answer_for_each_row_is_refused(table: Table, answer: Any) -> None:
    with pytest.raises(DataRefused, match="row rule 'odd' returned"):
        audited(table, Contract(rules=[RowRule("odd", lambda _: answer)]), column(INT, 1, 2))


def test_a_table_rule_sees_all_rows_as_it_is_annotated(table: Table) -> None:
    def streamed(rows: pa.RecordBatchReader) -> pa.Table:
        n = sum(batch.num_rows for batch in rows)
        return pa.table({"surplus": range(3, n)})

    def arrow(rows: pa.Table) -> bool:
        return bool(rows.num_rows == 3)

    def pandas(rows: pd.DataFrame) -> np.bool_:
        return np.bool_(rows["x"].sum() == 6)

    def default(rows) -> bool:  # type: ignore[no-untyped-def]  # noqa: ANN001 what is tested
        return isinstance(rows, pd.DataFrame)

    rules = [TableRule(rule.__name__, rule) for rule in (streamed, arrow, pandas, default)]  # type: ignore[arg-type]
    found = audited(table, Contract(rules=rules), column(INT, 1, 2), column(INT, 3))
    assert all(result.passed for result in found.values())
    found = audited(table, Contract(rules=rules), column(INT, 1, 2, 3, 0, 0))
    bad = {"streamed": 2, "arrow": 1, "pandas": 0, "default": 0}
    assert {r.name: r.bad_rows for r in found.values()} == bad
    assert found["streamed"].sample == [{"surplus": 3}, {"surplus": 4}]
    assert found["streamed"].finding == "2 cases"


@pytest.mark.parametrize(
    "cases",
    [pd.DataFrame({"x": [3, 4]}), pl.DataFrame({"x": [3, 4]}), pa.table({"x": [3, 4]})],
    ids=["pandas", "polars", "arrow"],
)
def test_a_table_rule_may_return_the_cases_that_break_it(table: Table, cases: Any) -> None:
    rules = [TableRule("broken", lambda _: cases), TableRule("kept", lambda _: cases[:0])]
    found = audited(table, Contract(rules=rules), column(INT, 1))
    assert (found["broken"].bad_rows, found["broken"].sample) == (2, [{"x": 3}, {"x": 4}])
    assert found["kept"].passed


@pytest.mark.parametrize("answer", [None, 1, 0, -1, np.int64(1), 1.0, "yes", [True]], ids=repr)
def test_a_table_rule_that_answers_with_neither_a_bool_nor_a_table_is_refused(
    table: Table, answer: Any
) -> None:
    with pytest.raises(DataRefused, match=r"table rule 'odd' returned.*True if the rule holds"):
        audited(table, Contract(rules=[TableRule("odd", lambda _: answer)]), column(INT, 1))


def test_an_error_in_a_rule_names_the_rule_and_keeps_its_cause(table: Table, parquet_files: Any) -> None:
    def broken(rows: pd.DataFrame) -> bool:
        raise ZeroDivisionError(len(rows))

    for rule in (TableRule("broken", broken), RowRule("broken", broken)):
        with pytest.raises(
            DataRefused, match=r"raised ZeroDivisionError in line \d+ of test_audit\.py\. It says: 1\."
        ) as error:
            audited(table, Contract(rules=[rule]), column(INT, 1))
        assert isinstance(error.value.__cause__, ZeroDivisionError)
        assert parquet_files(table) == set()


def test_bad_rows_that_python_has_no_object_for_are_shown_as_text(table: Table) -> None:
    late = pa.array([253402300800000000], pa.timestamp("us"))  # the year 10000
    contract = Contract({"n": Column("int64", maximum=0)})
    batch = pa.record_batch({"n": [1], "late": late})
    with pytest.raises(AuditFailed, match="n_maximum") as error:
        Transaction(table, contract=contract).write(pa.Table.from_batches([batch]))
    assert "10000-01-01" in str(error.value)
