"""What authors do wrong, and what they are told: each mistake beside its text."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from practicus_assets import (
    Column,
    Contract,
    DataRefused,
    DeclarationError,
    DeltaIOManager,
    DiffConfig,
    HistoryConfig,
    MaintainConfig,
    Release,
    RollbackConfig,
    RowRule,
    SchemaMismatch,
    Snapshot,
    TableRule,
    VerifyConfig,
    VersionGone,
    Worker,
    build_maintain_job,
    build_maintain_schedule,
    build_release_asset,
    table_asset,
    worker_executor,
    worker_tags,
)
from practicus_assets.lake.transactions.options import WriteOptions
from tests.integration.bench import Bench, checks, errors

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
    (
        lambda: Contract({"x": Column("int64", allowed=())}),
        "has allowed=(), which no value can keep. List the values that may appear, or leave allowed out.",
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
        "the check of rule 'a' is 5, which cannot be called with rows. ",
    ),
    (
        lambda: Contract(rules=[RowRule("a", lambda: 5)]),
        "which cannot be called with rows. Write a function with ",
    ),
    (
        lambda: Contract(rules=[RowRule(5, len)]),
        "rule name 5 cannot name an asset check. Use letters, digits ",
    ),
]


@pytest.mark.parametrize(("mistake", "text"), CONTRACTS, ids=ids(CONTRACTS))
def test_a_contract_that_is_written_wrongly_says_what_to_write(mistake: Mistake, text: str) -> None:
    assert text in said(mistake)


@pytest.mark.parametrize("value", [5, None, "orders.csv", b"", dt.date(2026, 1, 1), ({"id": 1},), len])
def test_an_audit_of_what_is_no_table_is_an_error_and_no_result(value: Any) -> None:
    text = said(lambda: Contract({"id": "int64"}).audit(value), DataRefused)
    assert "the audit is given a value of type " in text
    assert "which is no table. Give it what a table asset may return" in text
    assert Contract({"id": "int64"}).audit([{"id": "a"}])[0].passed is False  # rows that do not fit are one


def test_a_misspelt_column_of_nulls_is_answered_with_the_declared_one() -> None:
    contract = Contract({"day": "date", "id": "int64"})
    result = contract.audit([{"dya": None, "id": 0}])[0]
    assert (result.passed, result.finding) == (
        False,
        "column 'dya' is not declared and holds only nulls. Did you mean day?",
    )
    assert "its type is unknown" in contract.audit([{"other": None, "id": 0}])[0].finding


def test_types_alone_are_columns_of_a_contract() -> None:
    contract = Contract({"id": "int64", "at": UTC, "n": Column(int, minimum=0)})
    assert contract.schema == pa.schema([("id", "int64"), ("at", UTC), ("n", "int64")])
    assert contract.columns["id"] == Column("int64")


# --- The lake and other configuration ------------------------------------------------------------------

SETTINGS: list[tuple[Mistake, str]] = [
    (
        lambda: DeltaIOManager(root_url="lake"),
        "DeltaIOManager has no setting 'root_url'. Did you mean root_uri?",
    ),
    (
        lambda: DeltaIOManager(root_uri="lake", preview_row=0),
        "DeltaIOManager has no setting 'preview_row'. preview_rows is called sample_rows now.",
    ),
    (lambda: DeltaIOManager(), "DeltaIOManager lacks the setting 'root_uri'."),
    (
        lambda: DeltaIOManager("lake"),
        "DeltaIOManager is given 'lake' without the name of a setting. Its settings ",
    ),
    (lambda: DeltaIOManager(root_uri=5), "DeltaIOManager: root_uri is 5. Write a text."),
    (
        lambda: DeltaIOManager(root_uri="a", sample_rows=-1),
        "DeltaIOManager: sample_rows is -1. Write 0 or more.",
    ),
    (lambda: DeltaIOManager(root_uri="a", sample_rows="b"), "sample_rows is 'b'. Write a whole number."),
    (lambda: DeltaIOManager(root_uri="a", sample_rows=0.5), "sample_rows is 0.5. Write a whole number."),
    (
        lambda: DeltaIOManager(root_uri="a", storage_options="b"),
        "storage_options is no mapping from names to ",
    ),
    (
        lambda: DeltaIOManager(root_uri="a", storage_options={"b": 1}),
        "storage_options is no mapping from names to ",
    ),
    (lambda: MaintainConfig(retention_hour=1), "no setting 'retention_hour'. Did you mean retention_hours?"),
    (lambda: MaintainConfig(retention_hours=-1), "MaintainConfig: retention_hours is -1. Write 0 or more."),
    (lambda: MaintainConfig(retention_hours="long"), "retention_hours is 'long'. Write a number."),
    (lambda: MaintainConfig(tables="orders"), "MaintainConfig: tables is 'orders'. Write ['orders']."),
    (lambda: MaintainConfig(aply=True), "MaintainConfig has no setting 'aply'. Did you mean apply?"),
    (lambda: RollbackConfig(table="orders"), "RollbackConfig lacks the setting 'to'."),
    (lambda: RollbackConfig(table="orders", to=1), "RollbackConfig: to is 1. Write a text."),
    (lambda: VerifyConfig(rowz=True), "VerifyConfig has no setting 'rowz'. Did you mean rows?"),
    (lambda: HistoryConfig(table="a", limit="b"), "HistoryConfig: limit is 'b'. Write a whole number."),
    (lambda: DiffConfig(tabel="a"), "DiffConfig has no setting 'tabel'. Did you mean table?"),
    (
        lambda: worker_executor.configured({"isolatoin": "none"}),
        "the configuration of worker_executor has the unknown field 'isolatoin'. Did you mean isolation?",
    ),
    (
        lambda: worker_executor.configured({"kubernetes": {"lost_retry": 1}}),
        "worker_executor: kubernetes has the unknown field 'lost_retry'. Did you mean lost_retries?",
    ),
    (lambda: Worker(memry="1Gi"), "a Worker has no field 'memry'. Did you mean memory?"),
    (
        lambda: Worker("Large"),
        "a Worker is given 'Large' without the name of a field. Name the fields, e.g. ",
    ),
    (lambda: worker_tags({"cpu": 1}), "worker is {'cpu': 1}. Pass a Worker, e.g. Worker(memory=\"8Gi\")."),
    (lambda: build_maintain_job(nam="a"), "build_maintain_job has no parameter 'nam'. Did you mean name?"),
    (lambda: build_maintain_schedule(build_maintain_job(), cron="0 3 * * *"), "Did you mean cron_schedule?"),
    (
        lambda: build_maintain_schedule("maintain"),
        "the job is 'maintain'. Pass the job that build_maintain_job ",
    ),
    (lambda: build_release_asset("r", ["a"], mixd=True), "has no parameter 'mixd'. Did you mean mixed?"),
    (lambda: build_release_asset("r", "a"), "tables='a', which is no list of tables. Write tables=['a']."),
    (lambda: build_release_asset("r", []), "tables=[], which is no list of tables."),
    (lambda: Release.open("lake", nam="a"), "Release.open has no parameter 'nam'. Did you mean name?"),
]


@pytest.mark.parametrize(("mistake", "text"), SETTINGS, ids=ids(SETTINGS))
def test_a_setting_that_is_written_wrongly_is_refused_where_it_is_written(
    mistake: Mistake, text: str
) -> None:
    assert text in said(mistake)


ROOTS = [
    (
        "http://x",
        "has the scheme 'http', which is not supported. The address of an S3 store is its AWS_ENDPOINT_URL",
    ),
    (
        "s4://bucket/lake",
        "has the scheme 's4', which is not supported. Did you mean s3://bucket/lake? Roots are ",
    ),
    (
        "gcs://bucket/lake",
        "has the scheme 'gcs', which is not supported. Did you mean gs://bucket/lake? Roots are ",
    ),
    (
        "hdfs://name/lake",
        "Roots are folders, file:// URLs, and prefixes that begin with s3:// or s3a:// (S3 and ",
    ),
    (
        "s3:/bucket",
        "the lake's root s3:/bucket is neither a URL nor a plain folder. Did you mean s3://bucket?",
    ),
    ("s3:bucket/lake", "is neither a URL nor a plain folder. Did you mean s3://bucket/lake?"),
    ("s3//bucket", "is neither a URL nor a plain folder. Did you mean s3://bucket?"),
    (
        "~ann/lake",
        "begins with another user's home, which delta-rs does not look up. Write the folder's absolute ",
    ),
    (
        "dbfs:/lake",
        "the lake's root dbfs:/lake has the scheme 'dbfs', which is not supported. Where Databricks mounts ",
    ),
    ("dbfs://lake", "mounts it as a folder, write /dbfs/lake. Roots are folders, "),
    ("hdfs:/lake", "has the scheme 'hdfs', which is not supported."),
    ("s4:/bucket", "has the scheme 's4', which is not supported. Did you mean s3://bucket? Roots are "),
    ("  ", "the lake's root has only blanks. Name a folder, or a prefix in an object store."),
    ("", "the lake's root is empty. Name a folder, or a prefix in an object store."),
]


@pytest.mark.parametrize(("root", "text"), ROOTS, ids=[root for root, _ in ROOTS])
def test_a_root_that_no_lake_can_have_is_refused_when_the_lake_is_declared(root: str, text: str) -> None:
    assert text in said(lambda: DeltaIOManager(root_uri=root))
    told = said(lambda: Snapshot.open(root))
    assert told == said(lambda: DeltaIOManager(root_uri=root)).replace("the lake's root", "the table's URI")


@pytest.mark.parametrize("root", ["lake", "data//lake", "s3/lake", "a:b", "~/lake", "s3a://b/c", "az://b"])
def test_a_root_that_a_lake_can_have_is_taken(root: str) -> None:
    assert DeltaIOManager(root_uri=root).root_uri == root


# --- Tables --------------------------------------------------------------------------------------------

TABLES: list[tuple[Mistake, str]] = [
    (lambda: table_asset(contrct=None), "a table asset has no option 'contrct'. Did you mean contract?"),
    (
        lambda: table_asset("orders"),
        "table_asset is given 'orders', which is no function. Write @table_asset above",
    ),
    (
        lambda: table_asset(contract={"id": "int64"}),
        "is no contract. Write Contract(columns={'id': 'int64'}).",
    ),
    (
        lambda: table_asset(mode="merge"),
        'mode="merge" needs merge_keys: the columns that tell which old row a new one replaces. Write merge_',
    ),
    (
        lambda: table_asset(merge_keys=["id"]),
        'need mode="merge", and it is "replace". Write mode="merge", or drop ',
    ),
    (
        lambda: table_asset(mode="merge", merge_keys="id"),
        "merge_keys is the text 'id'. Write merge_keys=['id'].",
    ),
    (
        lambda: table_asset(mode="merge", merge_keys=5),
        'merge_keys is 5. Write a list, e.g. merge_keys=["id"].',
    ),
    (
        lambda: table_asset(mode="upsert"),
        "mode 'upsert' is unknown. Did you mean merge? The modes are \"replace\" ",
    ),
    (lambda: table_asset(mode="apend"), "mode 'apend' is unknown. Did you mean append? The modes are "),
    (
        lambda: table_asset(mode="ignore"),
        'A run always writes: there is no "error" and no "ignore". The modes are ',
    ),
    (lambda: table_asset(on_schema_change="refus"), 'Did you mean refuse? Write "add" (delta-rs: "merge"), '),
    (
        lambda: table_asset(name="_outputs")(len),
        "asset key _outputs begins with _outputs, the place of op outputs. Rename the asset.",
    ),
    (lambda: table_asset(key_prefix="_outputs")(len), "asset key _outputs/len begins with _outputs"),
    (lambda: table_asset(key=["_outputs", "a"])(len), "asset key _outputs/a begins with _outputs"),
    (
        lambda: table_asset(worker=Worker)(lambda: None),
        "Pass a Worker, or a function from partition key to one.",
    ),
    (lambda: WriteOptions(mod="append"), "WriteOptions has no parameter 'mod'. Did you mean mode?"),
    (
        lambda: Snapshot.open(5),
        "the table's URI is 5, which is no text. Name a folder, or a prefix in an object ",
    ),
    (lambda: Snapshot.open(np), "the table's URI is the module numpy, which is no text."),
    (
        lambda: Snapshot.open("orders", versoin=1),
        "Snapshot.open has no parameter 'versoin'. Did you mean version?",
    ),
    (
        lambda: Snapshot.open("orders", storage_options="a"),
        "storage_options is a str. Write a mapping from names ",
    ),
]


@pytest.mark.parametrize(("mistake", "text"), TABLES, ids=ids(TABLES))
def test_a_table_that_is_declared_or_opened_wrongly_says_what_to_write(mistake: Mistake, text: str) -> None:
    assert text in said(mistake)


READS: list[tuple[Callable[[Snapshot], Any], type[Exception], str]] = [
    (
        lambda t: t.scan(columns="value"),
        DeclarationError,
        "columns='value' is no list. Write columns=['value'].",
    ),
    (lambda t: t.scan(columns=5), DeclarationError, "columns=5 is no list."),
    (
        lambda t: t.scan(colums=["n"]),
        DeclarationError,
        "Snapshot.scan has no parameter 'colums'. Did you mean ",
    ),
    (
        lambda t: t.to_pandas(predcate="n"),
        DeclarationError,
        "Snapshot.to_pandas has no parameter 'predcate'.",
    ),
    (
        lambda t: t.scan(["tetx"]),
        SchemaMismatch,
        "orders has no column 'tetx'; it has ['n', 'text']. Did you mean ",
    ),
    (
        lambda t: t.scan(["a", "b"]),
        SchemaMismatch,
        "orders has no columns 'a' and 'b'; it has ['n', 'text'].",
    ),
    (lambda t: t.scan(predicate=5), DeclarationError, "predicate=5 is no text. Write a SQL condition, e.g. "),
    (
        lambda t: t.scan(predicate="nn > 1"),
        SchemaMismatch,
        "orders: the predicate 'nn > 1' names the column 'nn', and there are ['n', 'text']. Did you mean n?",
    ),
    (
        lambda t: t.scan(predicate="n > "),
        SchemaMismatch,
        "expected is an expression, and there is its end. Write ",
    ),
    (
        lambda t: t.scan(predicate="n > 'x'").read_all(),
        SchemaMismatch,
        "is no condition on this table: 'x' is no Int64, with which it is compared.",
    ),
    (lambda t: t.scan(predicate="n + 1"), SchemaMismatch, "it is of type Int64, and neither true nor false."),
    (
        lambda t: t.scan(predicate="nosuch(n)"),
        SchemaMismatch,
        "is no condition on this table: Invalid function ",
    ),
    (
        lambda t: Snapshot.open(t.table_uri, 9),
        VersionGone,
        "yet: 0 is the newest. Give the number of an earlier one, or none to read the newest.",
    ),
]


@pytest.mark.parametrize(("read", "error", "text"), READS, ids=[text[:40] for *_, text in READS])
def test_a_read_that_is_asked_for_wrongly_is_answered_in_our_words(
    bench: Bench, read: Callable[[Snapshot], Any], error: type[Exception], text: str
) -> None:
    bench.write("orders", pd.DataFrame({"n": [1, 2], "text": ["a", "b"]}))
    told = said(lambda: read(Snapshot.open(f"{bench.root}/orders")), error)
    assert text in told
    assert "\n" not in told


# --- A partition column that is misspelt -----------------------------------------------------------------

DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-02-01")


def orders_by(column: str, rows: Callable[[str], Any], **options: Any) -> dg.AssetsDefinition:
    @table_asset(partitions_def=DAYS, partition_by=column, **options)
    def orders(context: dg.AssetExecutionContext) -> Any:
        return rows(context.partition_key)

    return orders


def test_a_partition_column_that_the_contract_does_not_have_is_refused_where_it_is_declared() -> None:
    contract = Contract({"day": "date", "n": "int64"})
    assert said(lambda: table_asset(partition_by="dya", contract=contract)) == (
        "partition_by names 'dya', which is no column of the contract (day, n). Did you mean day?"
    )
    closed = Contract({"day": "date", "n": "int64"}, closed=True)
    told = said(lambda: table_asset(mode="merge", merge_keys=["id"], contract=closed))
    assert "merge_keys names 'id', which is no column of the contract (day, n). Declare it in the" in told
    table_asset(partition_by="shop", contract=contract)  # a contract that is open may leave columns out


@pytest.mark.parametrize(
    "value",
    [str, dt.date.fromisoformat, dt.datetime.fromisoformat],
    ids=["text", "date", "midnight"],
)
def test_a_filled_in_column_beside_the_one_that_was_meant_is_refused(bench: Bench, value: Any) -> None:
    orders = orders_by("dya", lambda key: pd.DataFrame({"day": [value(key)] * 2, "n": [1, 2]}))
    message = errors(bench.run([orders], partition="2026-01-06", fails=True))
    assert (
        "orders [2026-01-06]: the output has no partition column 'dya', and each row of its column 'day' has "
        "2026-01-06, which is the partition. Did you mean partition_by='day'? If both are meant, return "
        "'dya' as well. Nothing was written."
    ) in message
    assert not bench.exists("orders")


@pytest.mark.parametrize(
    "value",
    [pd.Timestamp("2026-01-01 05:00"), dt.datetime(2026, 1, 1, 4, tzinfo=dt.UTC), "2026-01-01T05:00"],
    ids=["wall time", "moment", "text"],
)
def test_a_filled_in_hour_beside_the_column_of_hours_that_was_meant_is_refused(
    bench: Bench, value: Any
) -> None:
    hours = dg.HourlyPartitionsDefinition("2026-01-01-00:00", timezone="Europe/Berlin")

    @table_asset(partitions_def=hours, partition_by="huor")
    def orders() -> list[dict[str, Any]]:
        return [{"hour": value, "n": 1}, {"hour": value, "n": 2}]

    message = errors(bench.run([orders], partition="2026-01-01-05:00", fails=True))
    assert "the output has no partition column 'huor', and each row of its column 'hour' has" in message
    assert "which is the partition. Did you mean partition_by='hour'?" in message
    assert not bench.exists("orders")


def test_another_time_than_the_hour_of_the_partition_is_no_misspelt_column(bench: Bench) -> None:
    @table_asset(partitions_def=dg.HourlyPartitionsDefinition("2026-01-01-00:00"), partition_by="huor")
    def orders() -> list[dict[str, Any]]:
        return [{"hour": pd.Timestamp("2026-01-01 06:00"), "n": 1}]

    bench.run([orders], partition="2026-01-01-05:00")
    assert bench.metadata("orders")["delta/filled_columns"] == ["huor"]


@pytest.mark.parametrize(
    "columns",
    [{"dax": ["2026-01-05", "2026-01-06"]}, {"shop": ["2026-01-06"] * 2}, {"dax": [None, "2026-01-06"]}],
    ids=["other days", "another name", "a null"],
)
def test_a_column_that_is_filled_in_is_said_in_the_log_and_the_metadata(bench: Bench, columns: Any) -> None:
    orders = orders_by("day", lambda _: pa.table({**columns, "n": [1, 2]}))
    result = bench.run([orders], partition="2026-01-06")
    lines = [entry.user_message for entry in bench.instance.all_logs(result.run_id)]
    assert bench.metadata("orders")["delta/filled_columns"] == ["day"]
    assert any("column 'day' filled in, which the output lacks" in line for line in lines)


def test_a_column_that_is_returned_is_not_said_to_be_filled_in(bench: Bench) -> None:
    orders = orders_by("day", lambda key: pd.DataFrame({"day": [key], "n": [1]}))
    bench.run([orders], partition="2026-01-06")
    assert "delta/filled_columns" not in bench.metadata("orders")


def test_a_misspelt_column_of_many_partitions_is_answered_with_the_nearest(bench: Bench) -> None:
    orders = table_asset(
        name="orders", partitions_def=DAYS, partition_by="dya", backfill_policy=dg.BackfillPolicy.single_run()
    )(lambda: pd.DataFrame({"day": ["2026-01-06", "2026-01-07"], "n": [1, 2]}))
    message = errors(bench.run([orders], between=("2026-01-06", "2026-01-07"), fails=True))
    assert "the output lacks the partition column 'dya', and the scope has more than one value" in message
    assert "Return the column. Did you mean day?" in message


# --- Broken rules -----------------------------------------------------------------------------------------

ROWS = pa.table({"day": [dt.date(2026, 1, 6)] * 3, "n": [1, -1, -2], "price": [Decimal("1.50")] * 3})


def broken(bench: Bench, contract: Contract, rows: Any = ROWS) -> tuple[str, dg.AssetCheckEvaluation]:
    result = bench.run([table_asset(name="orders", contract=contract)(lambda: rows)], fails=True)
    [check] = [check for check in checks(result).values() if not check.passed]
    return errors(result), check


def test_samples_are_shown_as_people_read_them(bench: Bench) -> None:
    message, _ = broken(bench, Contract({"n": Column("int64", minimum=0)}))
    assert "n_minimum (n is at least 0): 2 bad rows, e.g. day=2026-01-06, n=-1, price=1.50. Fix" in message


def test_one_bad_row_is_one_row(bench: Bench) -> None:
    message, _ = broken(bench, Contract({"n": Column("int64", minimum=-1)}))
    assert "n_minimum (n is at least -1): 1 bad row, e.g. day=2026-01-06, n=-2" in message


def test_a_table_rule_says_cases_and_which_and_may_return_the_rows(bench: Bench) -> None:
    rule = TableRule("never_negative", lambda rows: rows[rows["n"] < 0])
    message, check = broken(bench, Contract(rules=[rule]))
    assert "never_negative (never negative): 2 cases, e.g. day=2026-01-06, n=-1, price=1.50. Fix" in message
    assert "bad_rows" not in check.metadata
    assert check.metadata["cases"].value == 2
    assert "2026-01-06" in str(check.metadata["sample"].value)


def test_a_table_rule_that_does_not_hold_counts_nothing(bench: Bench) -> None:
    message, check = broken(bench, Contract(rules=[TableRule("balanced", lambda rows: rows["n"].sum() == 0)]))
    assert "balanced (balanced): the rule does not hold. Fix" in message
    assert not {"bad_rows", "cases"} & set(check.metadata)


def test_a_row_count_counts_partitions(bench: Bench) -> None:
    message, check = broken(bench, Contract(rows=(5, None)))
    assert "at least 5 rows): 1 bad partition, e.g. partition='(table)', rows=3" in message
    assert check.metadata["bad_partitions"].value == 1


def test_keys_of_a_merge_that_appear_twice_are_shown_without_a_count_of_ours(bench: Bench) -> None:
    orders = table_asset(name="orders", mode="merge", merge_keys=["day"])(lambda: ROWS)
    message = errors(bench.run([orders], fails=True))
    assert "more than one row for 1 merge key. E.g. day=2026-01-06. Keep one row per key." in message


def raises_below(rows: pd.DataFrame) -> Any:
    return rows["m"]  # raises inside of pandas


@pytest.mark.parametrize("kind", [RowRule, TableRule])
@pytest.mark.parametrize("sample_rows", [0, 5])
def test_a_rule_that_raises_is_named_with_the_line_of_its_author(
    bench: Bench, kind: Any, sample_rows: int
) -> None:
    orders = table_asset(name="orders", contract=Contract(rules=[kind("odd", raises_below)]))(lambda: ROWS)
    bench.resources = {"io_manager": DeltaIOManager(root_uri=bench.root, sample_rows=sample_rows)}
    message = errors(bench.run([orders], fails=True))
    line = raises_below.__code__.co_firstlineno + 1
    assert f"in line {line} of test_mistakes.py. " in message


def test_columns_of_an_input_that_are_a_text_are_refused_and_not_split_into_letters(bench: Bench) -> None:
    bench.write("orders", pd.DataFrame({"n": [1]}))

    @table_asset(ins={"orders": dg.AssetIn(metadata={"delta/columns": "n"})})
    def total(orders: pd.DataFrame) -> pd.DataFrame:
        return orders

    message = errors(bench.run([dg.AssetSpec("orders"), total], fails=True))
    assert "delta/columns is the text 'n'. Write {'delta/columns': ['n']}." in message
