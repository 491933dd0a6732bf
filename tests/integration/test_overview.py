"""`status`, `show`, `list` and `check`: tables at a glance, as people and as programs read them."""

import json
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner, Result
from rich.cells import cell_len

from practicus_assets import Column, Contract
from practicus_assets.cli import main
from practicus_assets.code_location import CodeLocation
from practicus_assets.definitions import definitions_of
from tests.integration.bench import errors
from tests.integration.copies import copied, entered, with_home

SHOP = """
import datetime as dt
import os
import dagster as dg
import pandas as pd
from practicus_assets import (
    Column, Contract, DeltaIOManager, Worker, build_partition_freshness_checks, table_asset, worker_executor
)

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-04")
FAILS = os.environ.get("SHOP_FAILS", "")
LONG = "x" * 300

@table_asset(
    partitions_def=DAYS,
    partition_by="day",
    owners=["team:shop"],
    worker=Worker(cpu="2", memory="1Gi"),
    contract=Contract({"day": "date32", "n": Column("int64", "how [bold]many[/bold]\\x1b[31m", maximum=9)}),
)
def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
    return pd.DataFrame({"day": [dt.date.fromisoformat(context.partition_key)], "n": [99 if FAILS else 1]})

@table_asset(
    key_prefix="shop",
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=dt.timedelta(days=1)),
    code_version=os.environ.get("SHOP_CODE", "1"),
)
def totals(orders: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "text": ["\\x1b[31mred\\x1b[0m\\n[bold]two[/bold]", "注文" * 40, None],
            "long": [LONG] * 3,
            "nested": [{"a": [1, 2], "b": "\\x07"}] * 3,
        }
    )

@table_asset
def never() -> pd.DataFrame: ...

defs = dg.Definitions(
    assets=[orders, totals, never],
    asset_checks=build_partition_freshness_checks([orders], deadline=dt.timedelta(hours=6)),
    executor=worker_executor,
    resources={
        "io_manager": DeltaIOManager(
            root_uri=os.environ["SHOP_LAKE"], storage_options={"AWS_SECRET_ACCESS_KEY": "hunter2"}
        )
    },
)
"""
WRONG = """
import os
import dagster as dg
import pandas as pd
from practicus_assets import Column, Contract, DeltaIOManager, table_asset

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-04")

@table_asset(partitions_def=DAYS, partition_by="week", contract=Contract({"n": "string"}))
def orders() -> pd.DataFrame: ...

@table_asset(key_prefix="shop", contract=Contract({"text": "int64"}))
def totals() -> pd.DataFrame: ...

@table_asset(io_manager_key="other")
def nowhere() -> pd.DataFrame: ...

@table_asset(io_manager_key="unset")
def unset() -> pd.DataFrame: ...

@dg.asset(partitions_def=DAYS)
def plain() -> pd.DataFrame: ...

@dg.asset(metadata={"delta/mde": "append"})
def misspelt() -> pd.DataFrame: ...

@dg.asset(metadata={"delta/path": "same"})
def one() -> pd.DataFrame: ...

@dg.asset(
    metadata={"delta/path": "same"},
    ins={"totals": dg.AssetIn(["shop", "totals"], metadata={"columns": ["txt"]})},
)
def two(totals: pd.DataFrame) -> pd.DataFrame: ...

defs = dg.Definitions(
    assets=[orders, totals, nowhere, unset, plain, misspelt, one, two],
    resources={
        "io_manager": DeltaIOManager(root_uri=os.environ["SHOP_LAKE"]),
        "unset": DeltaIOManager(root_uri=dg.EnvVar("SHOP_NOT_SET")),
    },
)
"""


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a home and a lake: two of three days computed, and a third that its contract refused."""
    folder = with_home(tmp_path_factory.mktemp("overview"))
    (folder / "shop.py").write_text(SHOP)
    (folder / "wrong.py").write_text(WRONG)
    with (
        pytest.MonkeyPatch.context() as patch,
        dg.DagsterInstance.from_config(str(folder / "home")) as instance,
    ):
        patch.setenv("SHOP_LAKE", str(folder / "lake"))
        for day, fails in (("2024-01-01", ""), ("2024-01-02", ""), ("2024-01-03", "yes")):
            patch.setenv("SHOP_FAILS", fails)
            shop = definitions_of(CodeLocation("shop", str(folder), file=str(folder / "shop.py")))
            orders = shop.resolve_assets_def("orders")
            result = dg.materialize(
                [orders],
                instance=instance,
                partition_key=day,
                resources=shop.resources,
                raise_on_error=False,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
            assert result.success is not bool(fails), errors(result)
        totals = [shop.resolve_assets_def(key) for key in ("orders", ["shop", "totals"])]
        assert dg.materialize(
            totals, selection=[dg.AssetKey(["shop", "totals"])], instance=instance, resources=shop.resources
        ).success
    return folder


@pytest.fixture
def folder(once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, to which commands are pointed."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("SHOP_FAILS", raising=False)
    return entered(copied(once, tmp_path / "copy"), monkeypatch, "SHOP_LAKE")


def run(*arguments: str, code: int = 0, file: str = "shop.py") -> Result:
    result = CliRunner().invoke(main, [*arguments, "-f", file])
    assert result.exit_code == code, result.output
    return result


def answer(*arguments: str, code: int = 0, file: str = "shop.py") -> Any:
    return json.loads(run(*arguments, "--json", code=code, file=file).stdout)


def files(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_status_says_what_is_there_stale_late_and_failed(folder: Path) -> None:
    before = files(folder / "lake")
    found = answer("status", code=3)
    assert found["asks_instance"]
    never, orders, totals = found["tables"]
    assert (orders["partitions_there"], orders["partition_count"]) == (2, 3)
    assert (orders["newest_partition"], orders["rows"], orders["rows_grown"]) == ("2024-01-02", 2, 1)
    assert orders["bytes_grown"] > 0
    assert orders["stale"] == 1
    assert orders["failure"]["checks"] == ["n_maximum"]
    assert orders["failure"]["partitions"] == 1
    assert orders["is_late"]
    assert "2024-01-03 is not there" in orders["late"]
    assert (totals["table"], totals["rows"], totals["stale"], totals["is_late"]) == (
        "shop/totals",
        3,
        1,
        False,
    )
    assert totals["reasons"] == ["orders is computed first"]
    assert (never["version"], never["stale"], never["is_wrong"]) == (None, 1, False)
    assert files(folder / "lake") == before


def test_status_goes_on_after_a_table_that_cannot_be_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "lake" / "orders" / "_delta_log" / f"{1:020}.json").write_text("{no")
    never, orders, totals = answer("status", code=3)["tables"]
    assert "1.json" in orders["error"]
    assert (totals["rows"], totals["stale"]) == (3, None)
    assert never["stale"] == 1
    monkeypatch.delenv("DAGSTER_HOME")
    shutil.rmtree(folder / "lake" / "orders")
    assert [table["is_late"] for table in answer("status")["tables"]] == [None, None, None]


@pytest.mark.parametrize("width", ["80", "200"])
def test_what_people_see_fits_and_shows_no_control_character(
    folder: Path, monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    for arguments, code in (
        (["status"], 3),
        (["list"], 0),
        (["show", "orders", "--partition", "2024-01-02"], 0),
        (["show", "shop/totals"], 0),
    ):
        shown = run(*arguments, code=code).stdout
        assert "\x1b" not in shown
        assert "\x07" not in shown
        assert "hunter2" not in shown
        assert all(c == "\n" or c.isprintable() for c in shown)
        wide = [line for line in shown.splitlines() if cell_len(line) > int(width)]
        assert all(
            "location" in line or line.startswith("✗") for line in wide
        )  # which are copied as they are


def test_status_in_words(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = " ".join(run("status", code=3).stdout.split())
    assert "table orders · newest 2024-01-02 (2 of 3)" in shown
    assert "rows (grown by) 2 (+1)" in shown
    assert "stale 1: missing" in shown
    assert "refused by n_maximum, 1 partition" in shown
    assert "✗ orders: 2024-01-03 is not there." in shown
    assert "no table yet" in shown
    monkeypatch.delenv("DAGSTER_HOME")
    assert "DAGSTER_HOME is not set" in run("status").stdout


def test_show_has_place_columns_contract_and_rows(folder: Path) -> None:
    found = answer("show", "orders", "--partition", "2024-01-02")
    assert (found["version"], found["rows"], found["partitions"], found["partitions_of_asset"]) == (
        1,
        2,
        2,
        3,
    )
    assert found["location"] == str(folder / "lake" / "orders")
    assert found["columns"][1]["promised"] == ["n is at most 9"]
    assert found["sample"] == [{"day": "2024-01-02", "n": 1}]
    assert found["rules"] == []
    assert answer("show", "orders", "--version", "0")["rows"] == 1
    assert len(answer("show", "shop/totals", "--rows", "2")["sample"]) == 2
    shown = run("show", "shop/totals", "--rows", "3").stdout
    assert r"\x1b[31mred\x1b[0m [bold]two[/bold]" in shown
    assert "…" in shown
    assert r"{a: [1, 2], b: '\x07'}" in shown
    assert "null" in shown
    assert "x" * 100 not in shown


@pytest.mark.usefixtures("folder")
def test_show_says_what_is_promised_of_a_column_without_its_name() -> None:
    [row] = [line for line in run("show", "orders").stdout.splitlines() if "at most 9" in line]
    assert "n is at most 9" not in row


def test_show_prints_a_contract_that_is_python(folder: Path) -> None:
    names: dict[str, Any] = {}
    exec(run("show", "orders", "--contract").stdout, names)  # noqa: S102 it is what a user pastes
    assert names["contract"] == Contract(
        {
            "day": Column("date32", nullable=False),
            "n": Column("int64", "how [bold]many[/bold]\x1b[31m", nullable=False),
        }
    )
    assert answer("show", "orders", "--contract")["possible_keys"] == ["day"]


def test_show_refuses_what_is_not_there(folder: Path) -> None:
    assert "Did you mean orders?" in run("show", "ordrs", code=1).stderr
    assert "Materialize never first" in run("show", "never", code=1).stderr
    assert "Did you mean 2024-01-0" in run("show", "orders", "--partition", "2024-02-01", code=1).stderr
    assert answer("show", "orders", "--version", "7", code=1)["error"]["table"] == "orders"


def test_list_says_what_is_declared_and_opens_no_table(folder: Path) -> None:
    shutil.rmtree(folder / "lake")
    never, orders, totals = answer("list")
    assert orders == {
        "table": "orders",
        "key": "orders",
        "group": "default",
        "partitions": "3 by day, 2024-01-01 … 2024-01-03",
        "partition_count": 3,
        "location": str(folder / "lake" / "orders"),
        "worker": {"cpu": "2", "memory": "1Gi"},
        "owners": ["team:shop"],
        "is_written": True,
        "description": "",
    }
    assert (totals["table"], totals["partition_count"], never["worker"]) == ("shop/totals", None, {})
    assert not (folder / "lake").exists()


def test_check_finds_nothing_wrong_with_what_runs(folder: Path) -> None:
    assert answer("check") == {"problems": [], "tables": 3, "stored": 2}
    assert run("check").stdout == "3 tables looked at, 2 of them stored: no problems.\n"


def test_check_knows_that_sources_bring_their_io_managers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRACTICUS_LAKE", str(tmp_path))
    done = CliRunner().invoke(main, ["check", "-m", "pipelines"])
    assert done.exit_code == 0, done.output
    assert "3 tables looked at" in done.output
    assert "no problems" in done.output


def test_check_lists_all_that_is_wrong_and_what_to_do(folder: Path) -> None:
    found = answer("check", code=1, file="wrong.py")
    texts = {problem["table"]: problem["text"] for problem in found["problems"]}
    assert set(texts) == {"", "orders", "shop/totals", "nowhere", "plain", "misspelt", "one", "two"}
    assert "SHOP_NOT_SET" in texts[""]
    assert "is partitioned by ['day']" in texts["orders"]
    assert "text" in texts["shop/totals"]
    assert "no DeltaIOManager is set as the resource 'other'" in texts["nowhere"]
    assert "the asset is partitioned, and partition_by is None" in texts["plain"]
    assert "'delta/mde'" in texts["misspelt"]
    assert "the tables of one and two are one, same" in texts["one"]
    assert "the input 'totals' reads column 'txt'" in texts["two"]
    lines = run("check", code=1, file="wrong.py").stdout.splitlines()
    assert sum(line.startswith("✗") for line in lines) == len(found["problems"]) == 8
    assert lines[-1].endswith(": 8 problems.")


def test_check_says_why_definitions_cannot_be_loaded(folder: Path) -> None:
    (folder / "broken.py").write_text("import dagster as dg\nraise ValueError('no')\n")
    error = answer("check", code=1, file="broken.py")["error"]
    assert "broken.py, line 2" in error["problem"]
