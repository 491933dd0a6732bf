"""First mistakes with tables, and the texts that newcomers read: which table, what is wrong, what to do."""

import asyncio
import datetime as dt
import functools
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from practicus_assets import (
    Column,
    Contract,
    DeclarationError,
    DeltaIOManager,
    RowRule,
    Worker,
    table_asset,
    task_asset,
)
from tests.integration.bench import Bench, errors
from tests.servers.seaweedfs import SeaweedFS

# mypy: disable-error-code="call-arg, arg-type, call-overload, misc"

DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-02-01")
FRAME = pd.DataFrame({"id": [1, 2], "day": ["a", "b"]})
UNWRITTEN = " Nothing was written."


def orders(rows: Any, **options: Any) -> dg.AssetsDefinition:
    """Return the table asset `orders`, whose function returns rows."""
    return table_asset(name="orders", **options)(lambda: rows)


def essential(result: dg.ExecuteInProcessResult) -> str:
    """Return the line of a failed run that is ours, which stands twice: with the step, and with the run."""
    lines = [line for line in errors(result).splitlines() if line.startswith("practicus_assets.errors.")]
    [line] = set(lines)
    return line.removeprefix("practicus_assets.errors.")


# --- Where it is written: before any run -----------------------------------------------------------------


def over_an_asset() -> Any:
    @table_asset
    @dg.asset
    def orders() -> pd.DataFrame: ...


def over_itself() -> Any:
    @table_asset
    @table_asset
    def orders() -> pd.DataFrame: ...


def over_an_op() -> Any:
    @table_asset
    @dg.op
    def orders() -> pd.DataFrame: ...


def over_a_class() -> Any:
    @table_asset
    class Orders: ...


def asynchronous() -> Any:
    @table_asset
    async def orders() -> pd.DataFrame:
        await asyncio.sleep(0)
        return FRAME


def starred() -> Any:
    @table_asset
    def total(*inputs: pd.DataFrame) -> pd.DataFrame: ...


class Orders:
    id: int
    day: str


DECLARED: list[tuple[str, Callable[[], Any], str]] = [
    (
        "a misspelt argument",
        lambda: table_asset(partitionby="day"),
        "a table asset has no option 'partitionby'. Did you mean partition_by?",
    ),
    (
        "a misspelt argument of Dagster",
        lambda: table_asset(partition_def=DAYS),
        "a table asset has no option 'partition_def'. Did you mean partitions_def?",
    ),
    (
        "a wrong mode",
        lambda: table_asset(mode="apend"),
        "mode 'apend' is unknown. Did you mean append? The modes are \"replace\" (delta-rs: ",
    ),
    (
        "partitions without a column",
        lambda: orders(FRAME, partitions_def=DAYS),
        (
            "the asset is partitioned, and partition_by is None. Name the column that holds the "
            'partition key: partition_by="day", or metadata={"partition_expr": "day"} on a plain '
            "asset."
        ),
    ),
    (
        "partitions by their name",
        lambda: orders(FRAME, partitions_def="daily", partition_by="day"),
        (
            'the asset orders cannot be made. Dagster says: Param "partitions_def" is not a '
            "PartitionsDefinition. Got 'daily' which is type <class 'str'>."
        ),
    ),
    (
        "a contract's class",
        lambda: table_asset(contract=Contract),
        (
            "the class Contract is no contract. Call it, and give it the columns: "
            'Contract(columns={"id": "int64"}).'
        ),
    ),
    (
        "a contract's file",
        lambda: table_asset(contract="orders.odcs.yaml"),
        (
            "'orders.odcs.yaml' is no contract. Write Contract.from_odcs('orders.odcs.yaml') for a file "
            "of a contract."
        ),
    ),
    (
        "a class of columns as contract",
        lambda: table_asset(contract=Orders),
        "the class Orders is no contract. Write Contract(columns={'id': int, 'day': str}).",
    ),
    (
        "a contract without its name",
        lambda: table_asset(Contract({"id": "int64"})),
        (
            "table_asset is given Contract(columns={'id': Column(type='int64', description='', "
            "nullable=True, …, which is no function. Write @table_asset above the function, and its "
            "options by name: @table_asset(name=…)."
        ),
    ),
    (
        "a misspelt type",
        lambda: Contract({"id": "int46"}),
        "column 'id' of the contract: the type 'int46' cannot be read. Did you mean int64? Types are ",
    ),
    (
        "a misspelt promise",
        lambda: Column("int64", min=0),
        "Column has no parameter 'min'. Did you mean minimum?",
    ),
    (
        "a column that a key alone names",
        lambda: Contract({"id": "int64"}, unique=[["idd"]]),
        "unique key ['idd'] names undeclared column 'idd'. Did you mean id?",
    ),
    (
        "a decorator over another",
        over_an_asset,
        (
            "table_asset is given orders, which is an asset already. Write @table_asset alone above "
            "the function: it makes the asset, and takes what dg.asset takes."
        ),
    ),
    ("a decorator twice", over_itself, "table_asset is given orders, which is an asset already. Write "),
    (
        "a decorator over an op",
        over_an_op,
        (
            "table_asset is given orders, which is an op already. Write @table_asset alone above the "
            "function, or "
        ),
    ),
    (
        "a decorator over a class",
        over_a_class,
        (
            "table_asset is given Orders, which is a class. Write @table_asset above a function that "
            "returns the rows; a Contract declares their columns."
        ),
    ),
    (
        "a decorator over a frame",
        lambda: table_asset(FRAME),
        "which is no function. Write @table_asset above the function, and its options by name: ",
    ),
    (
        "a function without a name",
        lambda: table_asset(functools.partial(len, [])),
        "which has no name of its own. Write a function with def, and call it there.",
    ),
    (
        "a name that is none",
        lambda: table_asset(name="my orders")(lambda: FRAME),
        'the asset my orders cannot be made. Dagster says: "my orders" is not a valid name in Dagster.',
    ),
    (
        "an async function",
        asynchronous,
        "asynchronous.<locals>.orders is asynchronous. Run what it awaits inside, with asyncio.run.",
    ),
    (
        "a function of any inputs",
        starred,
        (
            "starred.<locals>.total takes *inputs, and inputs have names. Name each input, or take "
            "**inputs and declare the inputs in ins."
        ),
    ),
    (
        "an input that the function does not take",
        lambda: orders(FRAME, ins={"order": dg.AssetIn("orders")}),
        (
            "the asset orders cannot be made. Dagster says: Key 'order' in provided ins dict does "
            "not correspond to any of the names of the arguments to the decorated function."
        ),
    ),
    (
        "an unhashable tag",
        lambda: table_asset(tags={"team": ["sales"]}),
        (
            "tags has 'team': ['sales'], and both must be texts. Write tags={\"team\": \"sales\"}; "
            "metadata takes "
        ),
    ),
    (
        "tags in a set",
        lambda: table_asset(tags={"sales"}),
        'tags={\'sales\'} is no mapping from names to texts. Write tags={"team": "sales"}.',
    ),
    (
        "a tag that Dagster does not take",
        lambda: orders(FRAME, tags={"my team!": "a b"}),
        ("the asset orders cannot be made. Dagster says: Invalid tag value: a b, for key: my team! Allowed "),
    ),
    ("one dependency", lambda: table_asset(deps="raw"), "deps is the text 'raw'. Write deps=['raw']."),
    (
        "a task's one dependency",
        lambda: task_asset("a.py", deps="raw"),
        "deps is the text 'raw'. Write deps=",
    ),
    ("one kind", lambda: table_asset(kinds="sql"), "kinds is the text 'sql'. Write kinds={'sql'}."),
    ("one owner", lambda: table_asset(owners="a@b.c"), "owners is the text 'a@b.c'. Write owners=['a@b.c']."),
    (
        "a key that is none",
        lambda: orders(FRAME, key={"a": 1}),
        "cannot be made. Dagster says: Failure condition: Unexpected type for AssetKey: <class 'dict'>",
    ),
    (
        "memory as a shop sells it",
        lambda: Worker(memory="8GB"),
        'memory is \'8GB\'. Did you mean 8Gi? Write a Kubernetes quantity, e.g. "512Mi" or "4Gi".',
    ),
    ("memory without a unit", lambda: Worker(memory=8), "memory is 8. That is 8 bytes. Did you mean 8Gi?"),
    (
        "memory in thousandths",
        lambda: Worker(memory="512m"),
        'memory is \'512m\'. That is less than a byte: "m" means a thousandth; write "Mi" or "M".',
    ),
    (
        "a worker as a dict",
        lambda: orders(FRAME, worker={"memory": "8Gi"}),
        "worker is {'memory': '8Gi'}. Pass a Worker, or a function from partition key to one.",
    ),
]


@pytest.mark.parametrize(("mistake", "text"), [case[1:] for case in DECLARED], ids=[c[0] for c in DECLARED])
def test_a_first_declaration_that_is_wrong_says_what_to_write(mistake: Callable[[], Any], text: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        mistake()
    told = str(raised.value)
    assert text in told
    assert "\n" not in told


def test_dagsters_decorator_above_ours_says_which_of_them_to_take_away() -> None:
    with pytest.raises(AttributeError, match=r"orders is an asset already, and no function\. Take"):
        dg.asset(orders(FRAME))
    assert not hasattr(orders(FRAME), "__name__")
    assert not hasattr(orders(FRAME), "anything")


# --- When it runs: what the function returns, the contract, and the lake ------------------------------------


def numbers() -> Iterator[int]:
    yield 1


def two_kinds() -> Iterator[pd.DataFrame]:
    yield FRAME
    yield FRAME.rename(columns={"day": "dya"})


def zoned(*zones: str | None) -> pd.DataFrame:
    return pd.DataFrame({"at": [pd.Timestamp("2026-01-01", tz=zone) for zone in zones]})


IDS = Contract({"id": "int64"})
RETURNED: list[tuple[str, Any, dict[str, Any], str]] = [
    (
        "a column that the contract misspells",
        pd.DataFrame({"id": [1], "amount": [2]}),
        {"contract": Contract({"id": "int64", "amuont": "int64"})},
        (
            "SchemaMismatch: orders: the output lacks the column 'amuont', which the contract "
            "promises; it has ['id', 'amount']. Did you mean amount? Return what is missing, with "
            "nulls if need be."
        ),
    ),
    (
        "a column too many",
        FRAME,
        {"contract": Contract({"id": "int64"}, closed=True)},
        (
            "SchemaMismatch: orders: the contract is closed, and does not declare the column 'day'. "
            "Declare what the output has, or leave it out."
        ),
    ),
    (
        "a misspelt partition_by",
        FRAME,
        {"partition_by": "dya"},
        (
            "SchemaMismatch: orders: the output lacks the column 'dya' of partition_by; it has "
            "['id', 'day']. Did you mean day?"
        ),
    ),
    (
        "a second partition column that is missing",
        FRAME,
        {"partition_by": ["day", "country"]},
        (
            "SchemaMismatch: orders: the output lacks the column 'country' of partition_by; it has "
            "['id', 'day']. Return what is missing."
        ),
    ),
    (
        "a misspelt merge key",
        FRAME,
        {"mode": "merge", "merge_keys": ["idd"]},
        (
            "SchemaMismatch: orders: the output lacks the merge key 'idd'; it has ['id', 'day']. Did "
            "you mean id?"
        ),
    ),
    (
        "None",
        None,
        {},
        (
            "SchemaMismatch: orders: the function returned None. Return a table, or one without "
            "rows. Where None says that there is nothing new, annotate `-> pd.DataFrame | None`, or "
            "declare output_required=False; a @dg.asset that stores no table is annotated `-> None`."
        ),
    ),
    (
        "a number",
        5,
        {},
        (
            "SchemaMismatch: orders: the function returned an int, which is no table. Return a "
            "DataFrame, a LazyFrame, a pyarrow.Table, a RecordBatchReader, an object with "
            "__arrow_c_stream__, a list of dicts, or a generator of chunks."
        ),
    ),
    (
        "the path of a file",
        "orders.csv",
        {},
        (
            "SchemaMismatch: orders: the function returned a str, which is no table. To return what "
            "a file holds, read it: pl.scan_parquet('orders.csv'), for one."
        ),
    ),
    (
        "one column",
        FRAME["id"],
        {},
        (
            "SchemaMismatch: orders: the function returned a pandas.Series, which is no table. Write "
            'series.to_frame("name"), with the name of the column.'
        ),
    ),
    (
        "two frames",
        (FRAME, FRAME),
        {},
        (
            "SchemaMismatch: orders: the function returned a tuple, which is no table. Return one "
            "table; of several chunks, a list. (A comma at the end of a line makes a tuple.)"
        ),
    ),
    (
        "a list of numbers",
        [1, 2],
        {},
        (
            "SchemaMismatch: orders: chunk 1: it is an int. Yield DataFrames, Arrow tables or record "
            "batches, or lists of dicts."
        ),
    ),
    (
        "a generator of numbers",
        numbers,
        {},
        (
            "SchemaMismatch: orders: chunk 1: it is an int. Yield DataFrames, Arrow tables or record "
            "batches, or lists of dicts."
        ),
    ),
    (
        "a generator of two kinds of frames",
        two_kinds,
        {},
        (
            "SchemaMismatch: orders: chunk 2: it has the columns {id: int64, dya: large_string}, and "
            "the first, or the contract, {id: int64, day: large_string}. Give all chunks the same "
            "columns, of the same types."
        ),
    ),
    (
        "nothing",
        [],
        {},
        (
            "SchemaMismatch: orders: the output has no columns, and neither the table nor a contract "
            "tells them. Return a table that has the columns, and no rows, or declare them in the "
            "contract."
        ),
    ),
    (
        "what Dagster records, without rows",
        dg.MaterializeResult(metadata={"rows": 1}),
        {},
        (
            "DataRefused: orders: the function returned a MaterializeResult without rows. Give it "
            "the table as value."
        ),
    ),
    (
        "one value of another type",
        pd.DataFrame({"id": [1, None, "x", 4]}, dtype=object),
        {"contract": IDS},
        (
            "SchemaMismatch: orders: column 'id' of dtype object is no Arrow column: they are of the "
            "types int and str. Give all its values one type. The first str is in row 2."
        ),
    ),
    (
        "one value of another type in dicts",
        [{"id": 1}, {"id": "x"}],
        {"contract": IDS},
        (
            "SchemaMismatch: orders: column 'id' has values that are no Arrow column: they are of "
            "the types int and str. Give all its values one type. The first str is in row 1."
        ),
    ),
    (
        "one number that is not whole",
        pd.DataFrame({"id": [1, 2.5]}),
        {"contract": IDS},
        (
            "LossyValues: orders: column 'id' has values of type double that type int64 cannot hold "
            "exactly. E.g. row 1: 2.5. Round or convert them on purpose, or change the column's "
            "type."
        ),
    ),
    (
        "one null",
        pd.DataFrame({"id": [1, None]}),
        {"contract": Contract({"id": Column("int64", nullable=False)})},
        (
            "AuditFailed: orders: the contract is broken. id_not_null (id is never null): 1 bad row, "
            "e.g. id=null. Fix the data or the contract."
        ),
    ),
    (
        "a column twice",
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        {},
        "SchemaMismatch: orders: the output has more than one column named 'a'. Rename them.",
    ),
    (
        "a column twice but for its case",
        pd.DataFrame([[1, 2]], columns=["a", "A"]),
        {},
        "SchemaMismatch: orders: Delta Lake does not tell the columns 'a' and 'A' apart. Rename one of them.",
    ),
    (
        "columns without names",
        pd.DataFrame([[1, 2]]),
        {},
        "SchemaMismatch: orders: the column labels 0 and 1 are no text. Rename the columns.",
    ),
    (
        "an index named as a column",
        FRAME.set_index("id", drop=False),
        {},
        (
            "SchemaMismatch: orders: ['id'] name levels of the index and columns, too. Rename one, "
            "or drop the level (reset_index)."
        ),
    ),
    (
        "times with and without a zone",
        zoned("Europe/Berlin", None),
        {},
        (
            "SchemaMismatch: orders: column 'at' of dtype object is no Arrow column. E.g. 2026-01-01 "
            "00:00:00 is among times of type timestamp[us, tz=Europe/Berlin]. Give all its values "
            "one type."
        ),
    ),
    (
        "times without the zone that is promised",
        zoned(None),
        {"contract": Contract({"at": "timestamp"})},
        (
            "LossyValues: orders: column 'at' is of type timestamp[us], and the table's column of "
            "type timestamp[us, tz=UTC]. Give the times a zone (tz_localize) on purpose, or take it "
            "away (tz_localize(None))."
        ),
    ),
    (
        "a query of a column that is not there",
        pl.LazyFrame({"id": [1]}).select("day"),
        {},
        (
            "SchemaMismatch: orders: the LazyFrame cannot be computed: ColumnNotFoundError. polars "
            'says: unable to find column "day"; valid columns: ["id"]. query.collect() raises the '
            "same."
        ),
    ),
]


@pytest.mark.parametrize(("rows", "options", "text"), [c[1:] for c in RETURNED], ids=[c[0] for c in RETURNED])
def test_rows_that_are_none_are_refused_with_the_table_and_what_to_do(
    bench: Bench, rows: Any, options: dict[str, Any], text: str
) -> None:
    function = rows if callable(rows) else lambda: rows
    result = bench.run([table_asset(name="orders", **options)(function)], fails=True)
    assert essential(result) == text + UNWRITTEN
    assert not bench.exists("orders")


def test_an_index_that_has_a_name_is_a_column_and_one_without_is_left_out(bench: Bench) -> None:
    bench.run([orders(FRAME.set_index("id"))])
    assert bench.rows("orders", "id", "day") == [(1, "a"), (2, "b")]
    bench.run([orders(FRAME[FRAME["id"] > 1])])
    assert bench.rows("orders") == [("b", 2)]


def test_times_of_several_zones_are_the_same_moments(bench: Bench) -> None:
    bench.run([orders(zoned("Europe/Berlin", "UTC"))])
    moments = [dt.datetime(2025, 12, 31, 23, tzinfo=dt.UTC), dt.datetime(2026, 1, 1, tzinfo=dt.UTC)]
    assert list(bench.frame("orders")["at"]) == moments


def test_a_function_that_takes_any_inputs_gets_none_but_those_of_ins(bench: Bench) -> None:
    @table_asset
    def total(**inputs: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"inputs": [len(inputs)]})

    bench.run([total])
    assert bench.rows("total") == [(0,)]


def test_a_row_of_another_partition_is_refused_with_the_partition_and_the_row(bench: Bench) -> None:
    rows = pd.DataFrame({"day": ["2026-01-05", "2026-01-06"], "id": [1, 2]})
    table = orders(rows, partitions_def=DAYS, partition_by="day")
    assert essential(bench.run([table], partition="2026-01-06", fails=True)) == (
        "OutOfScope: orders [2026-01-06]: the output has 1 row outside the scope, by column 'day'. E.g. "
        "day='2026-01-05', id=1. Return only rows of the partitions that the run materializes." + UNWRITTEN
    )


def test_a_run_of_no_partition_says_how_to_name_one(bench: Bench) -> None:
    table = orders(FRAME, partitions_def=DAYS, partition_by="day")
    assert essential(bench.run([table], fails=True)) == (
        (
            "DeclarationError: orders: the asset has partitions, and the run is of none. Name one: "
            "--partition KEY on the command line, partition_key=… of dg.materialize."
        )
        + UNWRITTEN
    )


def test_a_partition_that_does_not_exist_is_refused_by_dagster_with_its_key(bench: Bench) -> None:
    table = orders(FRAME, partitions_def=DAYS, partition_by="day")
    with pytest.raises(dg.DagsterUnknownPartitionError, match=r"partition with key `06\.01\.2026`"):
        bench.run([table], partition="06.01.2026")


@pytest.mark.parametrize("ins", [{}, {"raw_ordres": dg.AssetIn("raw_ordres")}], ids=["parameter", "AssetIn"])
def test_an_input_that_is_no_asset_is_refused_by_dagster_with_the_nearest(
    bench: Bench, ins: dict[str, Any]
) -> None:
    @table_asset(ins=ins)
    def total(raw_ordres: pd.DataFrame) -> pd.DataFrame:
        return raw_ordres

    raw = table_asset(name="raw_orders")(lambda: FRAME)
    with pytest.raises(dg.DagsterInvalidDefinitionError, match=r'"raw_ordres".* Did you mean one') as refused:
        bench.run([raw, total])
    assert '["raw_orders"]' in str(refused.value)


def test_an_input_of_a_type_that_no_table_can_be_given_as_says_which_there_are(bench: Bench) -> None:
    @table_asset
    def total(orders: int) -> pd.DataFrame: ...

    assert essential(bench.run([orders(FRAME), total], fails=True)).startswith(
        "DeclarationError: orders: an input cannot be given as int. Annotate it as pd.DataFrame, pa.Table, "
    )


def test_a_run_without_a_lake_names_the_table_and_the_line_to_write(bench: Bench) -> None:
    result = dg.materialize([orders(FRAME)], instance=bench.instance, raise_on_error=False)
    assert essential(result) == (
        (
            "DeclarationError: orders: no DeltaIOManager is set as the resource 'io_manager', so Dagster "
            "takes one of its own. Set resources={'io_manager': DeltaIOManager(root_uri=…)}."
        )
        + UNWRITTEN
    )


def test_a_lake_where_nothing_can_be_written_names_the_folder(bench: Bench, tmp_path: Any) -> None:
    bench.root = str(tmp_path / "file")
    (tmp_path / "file").touch()
    assert essential(bench.run([orders(FRAME)], fails=True)) == (
        f"DeclarationError: orders: the folder {tmp_path}/file/orders cannot be made: Not a directory. Set "
        "root_uri to a folder that this process may write to." + UNWRITTEN
    )


def test_two_tables_at_one_place_are_refused_with_the_names_of_both(bench: Bench) -> None:
    bench.resources = {"io_manager": DeltaIOManager(root_uri=bench.root, table_path="{name}")}
    two = [table_asset(key=[schema, "orders"])(lambda: FRAME) for schema in ("shop", "web")]
    assert essential(bench.run(two, fails=True)).startswith(
        "DeclarationError: the tables of shop/orders and web/orders are one, orders: each would replace the "
        "other's rows. Make them one asset with all the partitions, or give each a place of its own."
    )


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        (
            {"root": "s3://no-such-bucket/lake"},
            (
                "orders: the table's log at s3://no-such-bucket/lake/orders failed: there is no such "
                "bucket. Create it, or fix root_uri. In another region, set AWS_REGION in "
                "storage_options."
            ),
        ),
        (
            {"AWS_SECRET_ACCESS_KEY": "wrong"},
            (
                "was denied: 403 Forbidden, SignatureDoesNotMatch. This process may not do that "
                "there: check the mount, the folder's rights or the credentials."
            ),
        ),
    ],
    ids=["no bucket", "a wrong key"],
)
def test_a_store_that_a_lake_cannot_have_says_what_to_set(
    bench: Bench, seaweedfs: SeaweedFS, changed: dict[str, str], text: str
) -> None:
    options = {**seaweedfs.storage_options(), **changed}
    lake = DeltaIOManager(root_uri=options.pop("root", seaweedfs.root_uri), storage_options=options)
    bench.resources = {"io_manager": lake}
    told = essential(bench.run([orders(FRAME)], fails=True))
    assert told.startswith("StoreFailed: orders: ")
    assert told.endswith(text + UNWRITTEN)


# --- What stands around it --------------------------------------------------------------------------------


def test_the_end_of_a_failed_runs_log_is_the_error_and_few_lines_of_where(bench: Bench) -> None:
    result = bench.run([orders(FRAME, partition_by="dya")], fails=True)
    [failure] = [event for event in result.all_events if event.event_type is dg.DagsterEventType.STEP_FAILURE]
    text = str(failure.step_failure_data.error_display_string)
    assert text.splitlines()[2].startswith("practicus_assets.errors.SchemaMismatch: orders: the output lacks")
    assert len(text.splitlines()) < 15
    assert "reconcile" not in text


def test_a_rule_that_raises_keeps_the_line_of_its_author_in_the_log(bench: Bench) -> None:
    def odd(rows: pa.Table) -> Any:
        return rows["missing"]

    result = bench.run([orders(FRAME, contract=Contract(rules=[RowRule("odd", odd)]))], fails=True)
    [failure] = [event for event in result.all_events if event.event_type is dg.DagsterEventType.STEP_FAILURE]
    assert 'return rows["missing"]' in str(failure.step_failure_data.error_display_string)
