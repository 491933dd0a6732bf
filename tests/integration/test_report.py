import json
import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus  # what the UI asks
from dagster._core.definitions.metadata.metadata_set import TableMetadataSet, UriMetadataSet
from dagster._core.loader import LoadingContextForTest

from practicus_assets import Column, Contract, DeclarationError, DeltaIOManager, table_asset
from practicus_assets.assets.report import outcome
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.transactions.transaction import Transaction
from tests.integration.bench import Bench

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-02-01")
FIRST, SECOND, THIRD = "2024-01-01", "2024-01-02", "2024-01-03"


def status(bench: Bench, assets: list[Any], name: str, partition: str | None = None) -> StaleStatus:
    """Return what Dagster's UI says of an asset: fresh, stale or missing."""
    graph = dg.Definitions(assets=assets).resolve_asset_graph()
    resolver = CachingStaleStatusResolver(bench.instance, graph, LoadingContextForTest(bench.instance))
    return resolver.get_status(dg.AssetKey(name), partition)


def orders_of(**options: Any) -> tuple[list[dg.AssetsDefinition], list[int]]:
    """Return `orders`, which returns as many rows a partition as the list says, and `copy` of it."""
    rows = [2]
    partitioned = options.get("partitions_def") is not None

    @table_asset(**options)
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        keys = context.partition_keys if partitioned else ["all"]
        return pd.DataFrame({"day": [key for key in keys for _ in range(rows[0])], "n": 1})

    @table_asset(partitions_def=options.get("partitions_def"), partition_by=options.get("partition_by"))
    def copy(orders: pd.DataFrame) -> pd.DataFrame:
        return orders

    return [orders, copy], rows


# --- metadata -----------------------------------------------------------------------------------------

PROMISED = Contract(
    {
        "id": Column("int64", "the order's number", nullable=False, minimum=1),
        "shop": Column("string", "where", allowed=["a", "b"]),
    },
    unique=[["id"]],
)


def test_the_standard_keys_are_those_that_dagster_reads(bench: Bench) -> None:
    @table_asset(key=["shop", "orders"], contract=PROMISED)
    def orders() -> pd.DataFrame:
        return pd.DataFrame({"id": [1, 2], "shop": ["a", "b"], "more": [0.5, None]})

    bench.run([orders])
    event = bench.event("shop/orders")
    told = TableMetadataSet.extract(event.metadata)
    assert told.row_count == 2
    assert told.partition_row_count is None
    assert told.table_name == "shop/orders"
    assert UriMetadataSet.extract(event.metadata).uri == f"{bench.root}/shop/orders"
    assert told.column_schema is not None
    columns = {column.name: column for column in told.column_schema.columns}
    assert {name: column.type for name, column in columns.items()} == {
        "id": "int64",
        "shop": "string",
        "more": "double",
    }
    assert columns["id"].description == "the order's number"
    assert columns["id"].constraints == dg.TableColumnConstraints(nullable=False, unique=True, other=[">= 1"])
    assert columns["shop"].constraints.other == ["one of a, b"]
    told = {key: entry.value for key, entry in event.metadata.items()}
    assert (told["delta/version"], told["delta/outcome"]) == (0, "committed")
    assert told["delta/files"] == 1
    assert 0 < told["delta/size_mb"] < 0.1
    assert 0 <= told["delta/duration_s"] < 60
    assert "delta/input_versions" not in told


def test_the_catalog_knows_the_columns_before_the_first_run() -> None:
    @table_asset(contract=PROMISED, partition_by=["shop", "id"], mode="append", on_schema_change="refuse")
    def orders() -> pd.DataFrame: ...

    metadata = orders.get_asset_spec(orders.key).metadata
    assert [column.name for column in metadata["dagster/column_schema"].columns] == ["id", "shop"]
    assert (metadata["partition_expr"], metadata["delta/partition_by"]) == ("shop", ["shop", "id"])
    assert (metadata["delta/mode"], metadata["delta/on_schema_change"]) == ("append", "refuse")


def test_each_partition_of_a_run_is_told_its_own_rows(bench: Bench) -> None:
    @table_asset(partitions_def=DAYS, partition_by="day", backfill_policy=dg.BackfillPolicy.single_run())
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        counts = dict(zip(context.partition_keys, (3, 0, 1), strict=True))
        return pd.DataFrame({"day": [day for day, count in counts.items() for _ in range(count)], "n": 1})

    bench.run([orders], between=(FIRST, THIRD))
    counts = [bench.metadata("orders", day)["dagster/partition_row_count"] for day in (FIRST, SECOND, THIRD)]
    assert counts == [3, 0, 1]
    assert {bench.metadata("orders", day)["dagster/row_count"] for day in (FIRST, SECOND, THIRD)} == {4}


def test_a_partition_of_a_large_run_shows_its_own_rows_and_labels_the_rest_as_the_runs(bench: Bench) -> None:
    @table_asset(
        partitions_def=dg.MonthlyPartitionsDefinition("2024-01-01", end_date="2024-04-01"),
        partition_by=["day", "shop"],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        days = pd.to_datetime(["2024-01-05", "2024-01-06", "2024-03-07"]).date
        return pd.DataFrame({"day": days, "shop": "a", "n": [1, 2, 3]})

    bench.run([orders], between=("2024-01-01", "2024-03-01"))
    months = [bench.metadata("orders", month) for month in ("2024-01-01", "2024-02-01", "2024-03-01")]
    assert [month["dagster/partition_row_count"] for month in months] == [2, 0, 1]
    assert [month["delta/files"] for month in months] == [2, 0, 1]
    assert [month["delta/run_rows"] for month in months] == [3, 3, 3]
    assert [month["delta/run_partitions"] for month in months] == [3, 3, 3]
    assert sum(month["delta/size_mb"] for month in months) == pytest.approx(months[0]["delta/run_size_mb"])
    assert not {"delta/rows", "delta/duration_s"} & set(months[0])
    assert list(months[0]).index("dagster/partition_row_count") < list(months[0]).index("delta/run_rows")
    january, february, march = (str(month["delta/preview"]) for month in months)
    assert sorted(line[:23] for line in january.splitlines()[2:]) == [
        "| 2024-01-05 | a | 1 |",
        "| 2024-01-06 | a | 2 |",
    ]
    assert february == "no rows"
    assert march.splitlines() == [
        r"| day *date32\[day\]* | shop *string* | n *int64* |",
        "| --- | --- | --- |",
        "| 2024-03-07 | a | 3 |",
    ]


@pytest.mark.parametrize("between", [None, (FIRST, THIRD)])
def test_metadata_say_each_thing_once_and_the_fingerprint_last(
    bench: Bench, between: tuple[str, str] | None
) -> None:
    (orders, _), _ = orders_of(
        partitions_def=DAYS, partition_by="day", backfill_policy=dg.BackfillPolicy.single_run()
    )
    bench.run([orders], partition=None if between else FIRST, between=between)
    metadata = bench.metadata("orders", FIRST)
    assert "delta/rows" not in metadata
    assert list(metadata)[-1] == "delta/fingerprint"
    assert "delta/partition_by" not in orders.get_asset_spec(orders.key).metadata
    for key, value in metadata.items():
        if key.endswith(("rows", "count", "files", "partitions", "version")):
            assert type(value) is int
        if key.endswith(("_mb", "_s")):
            assert type(value) is float


def test_the_row_count_is_that_of_the_table_and_the_partitions_its_own(bench: Bench) -> None:
    (orders, _), rows = orders_of(partitions_def=DAYS, partition_by="day")
    bench.run([orders], partition=FIRST)
    rows[0] = 3
    bench.run([orders], partition=SECOND)
    told = TableMetadataSet.extract(bench.event("orders", SECOND).metadata)
    assert (told.row_count, told.partition_row_count) == (5, 3)


def test_the_preview_shows_the_first_rows_of_what_was_written(bench: Bench) -> None:
    @table_asset(partitions_def=DAYS, partition_by="day")
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return pd.DataFrame(
            {"day": context.partition_key, "n": range(10), "text": ["a|b\n<c>" + "x" * 99] * 10}
        )

    for day in (FIRST, SECOND):
        bench.run([orders], partition=day)
    lines = str(bench.metadata("orders", SECOND)["delta/preview"]).splitlines()
    assert len(lines) == 2 + 5
    assert all(SECOND in line for line in lines[2:])
    assert "a\\|b &lt;c>xx" in lines[2]
    assert "…" in lines[2]


def test_the_preview_has_the_types_of_columns_whatever_they_are_called(bench: Bench) -> None:
    @table_asset
    def orders() -> pa.Table:
        nested = pa.array([{"a*b|<c>": [1]}], pa.struct({"a*b|<c>": pa.list_(pa.int64())}))
        return pa.table({"at": pa.array([0], pa.timestamp("us", "UTC")), "x|y": nested})

    bench.run([orders])
    header, *_ = str(bench.metadata("orders")["delta/preview"]).splitlines()
    assert header == (
        r"| at *timestamp\[us, tz=UTC\]* | x\|y *struct&lt;a\*b\|&lt;c>: list&lt;element: int64>>* |"
    )


def test_the_preview_can_be_switched_off(bench: Bench) -> None:
    @table_asset
    def orders() -> pd.DataFrame:
        return pd.DataFrame({"n": [1]})

    bench.resources = {"io_manager": DeltaIOManager(root_uri=bench.root, sample_rows=0)}
    bench.run([orders])
    assert "delta/preview" not in bench.metadata("orders")


def test_the_commit_says_who_made_it_from_what(bench: Bench) -> None:
    (orders, copy), _ = orders_of(partitions_def=DAYS, partition_by="day")
    result = bench.run([orders, copy], partition=FIRST)
    record = json.loads(bench.table("copy").history(1)[0]["practicus_assets"])
    assert (record["run_id"], record["step"], record["attempt"]) == (result.run_id, "copy", 1)
    [read] = record["inputs"]
    assert (record["asset_key"], read["table"], read["version"]) == ("copy", "orders", 0)
    assert read["table_id"] == str(bench.table("orders").metadata().id)
    assert FIRST in json.dumps(read["scope"])
    assert record["code_version"] == copy.get_asset_spec(copy.key).code_version
    assert FIRST in json.dumps(record["scope"])


def test_an_author_may_add_metadata(bench: Bench) -> None:
    @table_asset
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        context.add_asset_metadata({"mine": 7})
        return pd.DataFrame({"n": [1]})

    bench.run([orders])
    assert bench.metadata("orders")["mine"] == 7
    assert bench.metadata("orders")["dagster/row_count"] == 1


def test_the_catalog_knows_from_which_columns_a_column_comes(bench: Bench) -> None:
    @table_asset(key=["shop", "orders"])
    def orders() -> pd.DataFrame:
        return pd.DataFrame({"id": [1], "net": [1.5], "tax": [0.5]})

    columns = {
        "id": Column("int64", comes_from={"shop/orders": "id"}),
        "gross": Column("float64", comes_from={"shop/orders": ["net", "tax"]}),
        "note": Column("string"),
    }

    @table_asset(ins={"orders": dg.AssetIn(["shop", "orders"])}, contract=Contract(columns))
    def totals(orders: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"id": orders["id"], "gross": orders["net"] + orders["tax"], "note": "a"})

    bench.run([orders, totals])
    key = orders.key
    lineage = dg.TableColumnLineage(
        {
            "id": [dg.TableColumnDep(key, "id")],
            "gross": [dg.TableColumnDep(key, "net"), dg.TableColumnDep(key, "tax")],
        }
    )
    assert totals.get_asset_spec(totals.key).metadata["dagster/column_lineage"] == lineage
    assert bench.metadata("totals")["dagster/column_lineage"] == lineage
    assert "dagster/column_lineage" not in bench.metadata("shop/orders")


def test_a_column_that_comes_from_a_table_that_is_not_read_is_refused() -> None:
    contract = Contract({"id": Column("int64", comes_from={"ordres": "id"})})
    with pytest.raises(DeclarationError, match=r"'ordres', which .* Did you mean orders"):

        @table_asset(contract=contract)
        def totals(orders: pd.DataFrame) -> pd.DataFrame: ...


@pytest.mark.parametrize(
    "comes_from", ["orders.id", {"orders": 7}, {"orders": [7]}, {"orders": []}, ["orders"]]
)
def test_a_source_that_names_no_columns_is_refused_where_it_is_written(comes_from: Any) -> None:
    with pytest.raises(DeclarationError, match="does not name columns of tables"):
        Column("int64", comes_from=comes_from)


def test_the_catalog_knows_the_file_and_the_line_of_the_function() -> None:
    @table_asset
    def orders() -> pd.DataFrame: ...

    [place] = orders.get_asset_spec(orders.key).metadata["dagster/code_references"].code_references
    assert place.file_path == __file__
    assert "@table_asset" in Path(__file__).read_text().splitlines()[place.line_number - 1]


def test_a_function_that_is_in_no_file_has_no_reference() -> None:
    names = {"table_asset": table_asset}
    exec("@table_asset\ndef orders(): ...", names)  # noqa: S102 as a notebook or a shell would
    orders: Any = names["orders"]
    assert "dagster/code_references" not in orders.get_asset_spec(orders.key).metadata


def test_dagsters_own_references_do_not_point_into_this_package() -> None:
    @table_asset
    def orders() -> pd.DataFrame: ...

    [referenced] = dg.with_source_code_references([orders])
    assert isinstance(referenced, dg.AssetsDefinition)
    places = referenced.get_asset_spec(orders.key).metadata["dagster/code_references"].code_references
    assert [place.file_path for place in places] == [__file__]


def test_references_become_links_to_a_repository() -> None:
    @table_asset
    def orders() -> pd.DataFrame: ...

    anchor = dg.AnchorBasedFilePathMapping(Path(__file__), "tests/integration/test_report.py")
    linked = dg.link_code_references_to_git(
        [orders], git_url="https://github.com/a/b", git_branch="main", file_path_mapping=anchor
    )
    [place] = linked[0].get_asset_spec(orders.key).metadata["dagster/code_references"].code_references
    assert place.url.startswith("https://github.com/a/b/tree/main/tests/integration/test_report.py#L")


def test_owners_tags_and_groups_are_those_of_the_asset() -> None:
    @table_asset(owners=["team:sales", "a@b.org"], tags={"domain": "sales"}, group_name="shop", kinds={"x"})
    def orders() -> pd.DataFrame: ...

    spec = orders.get_asset_spec(orders.key)
    assert (spec.owners, spec.group_name) == (["team:sales", "a@b.org"], "shop")
    assert spec.tags == {"domain": "sales", "dagster/kind/deltalake": "", "dagster/kind/x": ""}


# --- the run's log ------------------------------------------------------------------------------------


def lines(bench: Bench, run: dg.ExecuteInProcessResult, level: int = logging.INFO) -> list[str]:
    """Return what a run's log says of tables, without the time that it took."""
    entries = [e for e in bench.instance.all_logs(run.run_id) if not e.is_dagster_event]
    texts = [entry.user_message for entry in entries if entry.level == level]
    return [re.sub(r"[0-9.]+ s$", "… s", text) for text in texts]


def test_a_run_says_in_one_line_what_became_of_a_table(bench: Bench) -> None:
    (orders, _), rows = orders_of(
        contract=Contract({"n": Column("int64", allowed=[1]), "day": "string"}, rows=(1, 2)),
        partitions_def=DAYS,
        partition_by="day",
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    assert lines(bench, bench.run([orders], between=(FIRST, THIRD))) == [
        "orders [2024-01-01…03]: committed version 0, 6 rows, 3 checks passed, … s"
    ]
    assert lines(bench, bench.run([orders], partition=FIRST)) == [
        "orders [2024-01-01]: nothing changed, version 0 has the same 2 rows, 3 checks passed, … s"
    ]
    rows[0] = 7
    failed = bench.run([orders], partition=FIRST, fails=True)
    assert lines(bench, failed) == []
    assert lines(bench, failed, logging.ERROR) == [
        "orders [2024-01-01]: not committed, 1 check failed: row_count, 2 checks passed"
    ]


@pytest.mark.parametrize(
    ("names", "warned"),
    [
        ("n", "1 check warned: n_minimum"),
        ("nab", "3 checks warned: n_minimum, a_minimum and b_minimum"),
        ("nabcdef", "7 checks warned: n_minimum, a_minimum, b_minimum, c_minimum, d_minimum and 2 more"),
    ],
)
def test_the_line_of_a_table_names_the_rules_that_warned(bench: Bench, names: str, warned: str) -> None:
    small = Column("int64", minimum=2, severity="WARN")

    @table_asset(contract=Contract(dict.fromkeys(names, small)))
    def orders() -> pd.DataFrame:
        return pd.DataFrame({name: [1] for name in names})

    assert lines(bench, bench.run([orders])) == [
        f"orders: committed version 0, 1 row, {warned}, 1 check passed, … s"
    ]


def test_the_line_of_a_table_has_its_partitions_as_they_are_declared(bench: Bench) -> None:
    @table_asset(
        partitions_def=dg.StaticPartitionsDefinition(["1", "2", "10"]),
        partition_by="part",
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return pd.DataFrame({"part": context.partition_keys, "n": 1})

    assert lines(bench, bench.run([orders], between=("1", "10"))) == [
        "orders [1, 2, 10]: committed version 0, 3 rows, … s"
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.001 s"),
        (0.034, "0.034 s"),
        (0.03, "0.03 s"),
        (0.0996, "0.1 s"),
        (0.26, "0.3 s"),
        (75, "75.0 s"),
    ],
)
def test_a_short_time_is_said_with_two_significant_figures(tmp_path: Path, seconds: float, text: str) -> None:
    commit = Transaction(Table("orders", str(tmp_path / "orders"))).write(pa.table({"n": [1]}))
    line = outcome.committed("orders", Scope(), replace(commit, seconds=seconds))
    assert line == f"orders: committed version 0, 1 row, {text}"


def test_the_line_of_a_function_that_raised_says_that_nothing_was_committed(bench: Bench) -> None:
    @table_asset
    def orders() -> pd.DataFrame:
        raise ConnectionError

    failed = bench.run([orders], fails=True)
    assert lines(bench, failed, logging.ERROR) == ["orders: not committed, ConnectionError"]


def test_a_plain_asset_says_it_too(bench: Bench) -> None:
    @dg.asset(partitions_def=DAYS, metadata={"partition_expr": "day"})
    def orders() -> pd.DataFrame:
        return pd.DataFrame({"day": [FIRST], "n": [1]})

    assert lines(bench, bench.run([orders], partition=FIRST)) == [
        "orders [2024-01-01]: committed version 0, 1 row, … s"
    ]


# --- data versions ------------------------------------------------------------------------------------


def test_equal_rows_leave_what_is_downstream_fresh(bench: Bench) -> None:
    assets, rows = orders_of()
    bench.run(assets)
    assert status(bench, assets, "copy") == StaleStatus.FRESH
    bench.run(assets, select="orders")
    assert status(bench, assets, "copy") == StaleStatus.FRESH
    assert bench.version("orders") == 0
    rows[0] = 5
    bench.run(assets, select="orders")
    assert status(bench, assets, "copy") == StaleStatus.STALE
    bench.run(assets, select="copy")
    assert status(bench, assets, "copy") == StaleStatus.FRESH


def test_the_order_of_rows_does_not_matter(bench: Bench) -> None:
    order = [[1, 2, 3]]

    @table_asset
    def orders() -> pa.RecordBatchReader:
        return pa.table({"n": order[0]}).to_reader()

    bench.run([orders])
    before = bench.data_version("orders")
    order[0] = [3, 1, 2]
    bench.run([orders])
    assert bench.data_version("orders") == before


def test_an_append_makes_what_is_downstream_stale(bench: Bench) -> None:
    assets, rows = orders_of(mode="append")
    bench.run(assets)
    bench.run(assets, select="orders")
    assert status(bench, assets, "copy") == StaleStatus.STALE
    bench.run(assets, select="copy")
    rows[0] = 0
    bench.run(assets, select="orders")
    assert status(bench, assets, "copy") == StaleStatus.FRESH


def test_an_append_of_nothing_commits_nothing(bench: Bench) -> None:
    (orders, _), rows = orders_of(mode="append")
    bench.run([orders])
    before = bench.data_version("orders")
    rows[0] = 0
    bench.run([orders])
    assert bench.version("orders") == 0
    assert bench.data_version("orders") == before


@pytest.mark.parametrize("between", [(FIRST, FIRST), (FIRST, THIRD)])
def test_equal_rows_of_a_partition_leave_its_downstream_fresh(bench: Bench, between: tuple[str, str]) -> None:
    """After a run of the partition alone, and after one of a range."""
    assets, rows = orders_of(
        partitions_def=DAYS, partition_by="day", backfill_policy=dg.BackfillPolicy.single_run()
    )
    bench.run(assets, select="orders", between=between)
    bench.run(assets, select="copy", partition=FIRST)
    assert status(bench, assets, "copy", FIRST) == StaleStatus.FRESH
    bench.run(assets, select="orders", partition=FIRST)
    assert status(bench, assets, "copy", FIRST) == StaleStatus.FRESH
    bench.run(assets, select="orders", between=between)
    assert status(bench, assets, "copy", FIRST) == StaleStatus.FRESH
    rows[0] = 1
    bench.run(assets, select="orders", partition=FIRST)
    assert status(bench, assets, "copy", FIRST) == StaleStatus.STALE


def test_changed_rows_of_one_partition_leave_the_others_fresh(bench: Bench) -> None:
    assets, rows = orders_of(partitions_def=DAYS, partition_by="day")
    for day in (FIRST, SECOND):
        bench.run(assets, partition=day)
    rows[0] = 1
    bench.run(assets, select="orders", partition=SECOND)
    assert status(bench, assets, "copy", FIRST) == StaleStatus.FRESH
    assert status(bench, assets, "copy", SECOND) == StaleStatus.STALE


def test_changed_code_makes_an_asset_stale(bench: Bench) -> None:
    @table_asset(name="orders")
    def before() -> pd.DataFrame:
        return pd.DataFrame({"n": [1]})

    @table_asset(name="orders")
    def after() -> pd.DataFrame:
        return pd.DataFrame({"n": [1 + 0]})

    bench.run([before])
    assert status(bench, [before], "orders") == StaleStatus.FRESH
    assert status(bench, [after], "orders") == StaleStatus.STALE


def test_the_data_version_of_a_table_that_was_written_before_dagster_knew_it_is_its_content(
    bench: Bench,
) -> None:
    (orders, _), _ = orders_of()
    bench.run([orders])
    version = bench.data_version("orders")
    with dg.DagsterInstance.ephemeral() as other:
        elsewhere = Bench(other, bench.root)
        elsewhere.run([orders])
        assert elsewhere.data_version("orders") == version


def test_an_append_reports_what_the_partition_holds(bench: Bench) -> None:
    @table_asset(partitions_def=DAYS, partition_by="day", mode="append")
    def orders() -> pd.DataFrame:
        return pd.DataFrame({"n": [1, 2]})

    for _ in range(3):
        bench.run([orders], partition="2024-01-02")
    found = bench.metadata("orders", "2024-01-02")
    assert (found["delta/rows"], found["dagster/partition_row_count"]) == (2, 6)
    assert "delta/fingerprint" not in found


def test_a_row_beyond_the_years_of_python_is_shown_as_text(bench: Bench) -> None:
    @table_asset
    def orders() -> pa.Table:
        return pa.table({"late": pa.array([253402300800000000], pa.timestamp("us"))})

    bench.run([orders])
    assert "10000-01-01" in bench.metadata("orders")["delta/preview"]
