"""Every block of Python and of shell in the docs runs in a test, or is named here with the reason why not."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import write_deltalake

import practicus_assets
from practicus_assets import table_asset

ROOT = Path(__file__).parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for pattern in ("README.md", "docs/*.md", "deploy/README.md", "examples/README.md")
    for path in sorted(ROOT.glob(pattern))
}
IN_TESTS_OF_THEIR_OWN = {
    "README.md": "test_readme.py",
    "docs/automation.md": "test_automation_docs.py",
    "docs/ci.md": "test_ci.py",
    "docs/coming-from-airflow.md": "test_workflow_docs.py",
    "docs/coming-from-other-managers.md": "test_drop_in.py",
    "docs/coming-from-practicus.md": "test_workflow_docs.py",
    "docs/destinations.md": "test_destination_docs.py",
    "docs/dev-lakes.md": "test_dev_lake_docs.py",
    "docs/notifications.md": "test_notification_docs.py",
    "docs/openlineage.md": "test_openlineage.py",
    "docs/performance.md": "test_performance_docs.py",
    "docs/plan.md": "test_plan.py",
    "docs/scale.md": "test_engine_files.py",
    "docs/tasks.md": "test_workflow_docs.py",
    "docs/testing.md": "test_run_table.py",
    "docs/tutorial.md": "test_tutorial.py",
    "docs/workflows.md": "test_workflow_docs.py",
}
BELOW = (
    "docs/contracts.md",
    "docs/notebooks.md",
    "docs/operations.md",
    "docs/sources.md",
    "docs/tables.md",
    "docs/workers.md",
)
NOT_RUN = {  # by the page and the block's first line
    ("docs/contracts.md", '"gross": Column("float64", comes_from={"shop/orders": ["net", "tax"]})'): (
        "one entry of a dict"
    ),
    ("docs/operations.md", 'release = Release.open("s3://bucket/lake", storage_options=options)'): (
        "of releases that tests/unit/lake/upkeep publishes and opens"
    ),
    ("docs/tasks.md", "from dagster_pipes import open_dagster_pipes"): (
        "runs inside of a task: test_tasks.py has such a script"
    ),
    ("docs/tasks.md", "# load_orders.py"): "runs inside of a task: test_task_tables.py has such a script",
    ("docs/transactions.md", "transaction = Transaction(table, scope, options, contract=contract)"): (
        "a sketch; tests/unit/lake/transactions commits parts of several processes"
    ),
    ("docs/workers.md", "from practicus_assets import Worker, table_asset, worker_executor, worker_tags"): (
        "leaves assets and resources out"
    ),
}
SHELL = {  # what is run by hand, or where it is run
    ("README.md", ". .venv/bin/activate"): "test_readme.py runs the example in this process",
    ("README.md", "pip install"): "needs the network",
    ("docs/install.md", "pip install"): "needs the network",
    ("docs/install.md", "make wheel"): "the image of make cluster is built of the wheel's files",
    ("docs/install.md", "practicus-assets --version"): "tests/unit/test_command_line.py",
    ("docs/tutorial.md", ""): "test_tutorial.py runs all of them",
    ("docs/upgrading.md", "practicus-assets plan"): "test_plan_command.py",
}


def blocks(page: str, language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", PAGES[page], re.DOTALL | re.MULTILINE)
    return [code for _, code in found]


def first_line(code: str) -> str:
    return code.strip().splitlines()[0].partition("  #")[0]


def exempt(page: str, code: str) -> bool:
    return (page, first_line(code)) in NOT_RUN


def test_every_page_with_python_is_run_by_a_test_or_its_blocks_are_exempt() -> None:
    run = {*IN_TESTS_OF_THEIR_OWN, *BELOW}
    forgotten = {
        (page, first_line(code))
        for page in PAGES
        for code in blocks(page, "python")
        if page not in run and not exempt(page, code)
    }
    assert forgotten == set()
    assert all(blocks(page, "python") for page in run)


@pytest.mark.parametrize("page", IN_TESTS_OF_THEIR_OWN)
def test_a_page_is_read_by_the_test_that_runs_it(page: str) -> None:
    test = Path(__file__).with_name(IN_TESTS_OF_THEIR_OWN[page]).read_text(encoding="utf-8")
    assert Path(page).name in test


def test_what_is_exempt_is_on_its_page() -> None:
    there = {(page, first_line(code)) for page in PAGES for code in blocks(page, "python")}
    assert set(NOT_RUN) <= there


def test_every_block_of_shell_is_listed() -> None:
    there = [(page, first_line(code)) for page in PAGES for code in blocks(page, "bash")]
    unlisted = [
        (page, line)
        for page, line in there
        if not any(page == listed and line.startswith(begins) for listed, begins in SHELL)
    ]
    assert unlisted == []
    assert all(
        any(page == listed and line.startswith(begins) for page, line in there) for listed, begins in SHELL
    )


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What readers of a page have: imports, tables of a lake where they are, and functions of theirs."""
    monkeypatch.chdir(tmp_path)
    day = pd.to_datetime(["2024-01-01", "2024-01-02", "2026-01-02"]).date
    orders = pa.table({"day": day, "order_id": [1, 2, 3], "shop": [7, 7, 8], "amount": [5.0, 2000.0, 11.0]})
    for _ in range(8):
        write_deltalake("lake/orders", orders, partition_by=["day"], mode="overwrite")
    write_deltalake("lake/visits", orders, partition_by=["day", "shop"])
    connection = {"connection_type": "POSTGRESQL", "db_host": "db", "db_name": "shop", "user": "reader"}
    connection["sql_query"] = "SELECT * FROM orders"
    Path("orders_conn.json").write_text(json.dumps(connection), encoding="utf-8")
    flights = {
        "day": np.full(500, date(2013, 1, 1)),
        "carrier": np.full(500, "AA"),
        "flight": np.arange(500),
        "origin": np.full(500, "JFK"),
        "dest": np.where(np.arange(500) == 7, "JFK", "LAX"),
        "air_time": np.full(500, 60),
        "tailnum": np.full(500, "N12345"),
    }
    tables = {name: table_asset(name=name)(_rows) for name in ("table1_new", "table2_new", "final_table")}
    return {
        **{name: getattr(practicus_assets, name) for name in practicus_assets.__all__},
        "Any": Any,
        "Iterator": Iterator,
        "Path": Path,
        "UTC": UTC,
        "date": date,
        "datetime": datetime,
        "dg": dg,
        "pa": pa,
        "pc": pc,
        "pd": pd,
        "pl": pl,
        **tables,
        "cancelled": lambda _: True,
        "days": dg.DailyPartitionsDefinition("2024-01-01"),
        "is_holiday": lambda day: day.endswith("01-01"),
        "one_bad_flight": pa.table(flights),
        "options": {},
        "yesterday": dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1),
    }


def _rows() -> pd.DataFrame:
    return pd.DataFrame({"n": [1]})


@pytest.mark.parametrize("page", BELOW)
def test_the_blocks_of_a_page_run_one_after_the_other(names: dict[str, Any], page: str) -> None:
    for code in blocks(page, "python"):
        if not exempt(page, code):
            here = code.replace("s3://bucket/lake", "lake")
            exec(compile(here, page, "exec"), names)  # noqa: S102 our own page
    for name, value in list(names.items()):
        if name.startswith("test_"):
            value()
