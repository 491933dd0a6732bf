"""Every Python block of the pages on tasks and workflows runs, and what it declares can be run."""

import re
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

import practicus_assets
from practicus_assets import Column, Contract

DOCS = Path(__file__).parents[2] / "docs"
DAG = """import practicuscore as prt
from airflow import DAG

with DAG("shop", schedule="@daily") as dag:
    wait = HttpSensor(task_id="wait_for_api", endpoint="ready")
    orders = task(prt.workflows.run_airflow_task, task_id="orders")()
    wait >> orders
"""


@pytest.fixture
def names(tmp_path: Path) -> dict[str, Any]:
    """What the pages' blocks may use, in a module beside the folder of their tasks."""
    shop = tmp_path / "shop"
    shop.mkdir()
    for name in ("orders.py", "customers.sh", "report.py"):
        (shop / name).touch()
    (shop / "shop_dag.py").write_text(DAG)
    (shop / "default_worker.json").write_text('{"worker_image": "practicus", "worker_size": "small"}')
    for name in ("load_orders.py", "load_shop.py", "check.sh"):
        (tmp_path / name).touch()
    return {
        "__file__": str(tmp_path / "definitions.py"),
        "__name__": "definitions",
        "dg": dg,
        "Orders": Contract({"n": Column("int64")}),
        "days": dg.DailyPartitionsDefinition("2026-01-01"),
        **{name: getattr(practicus_assets, name) for name in practicus_assets.__all__},
    }


def blocks(page: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return [code for code in found if not code.startswith("# ") and "open_dagster_pipes" not in code]


@pytest.mark.parametrize(
    ("page", "count"),
    [("workflows.md", 3), ("coming-from-practicus.md", 1), ("coming-from-airflow.md", 1)],
)
def test_workflows_of_a_page_can_be_run(tmp_path: Path, names: dict[str, Any], page: str, count: int) -> None:
    found = blocks(page)
    if page == "coming-from-practicus.md":
        file = tmp_path / "shop" / "orders_worker.json"
        file.write_text('{"service_url": "https://practicus.eu.example.com"}')
    assert len(found) == count
    for code in found:
        exec(code, names)  # noqa: S102 our own page
        job = names["defs"].resolve_job_def("shop")
        assert "orders" in {node.name.split("__")[-1] for node in job.nodes}


def test_tasks_of_the_page_are_assets(names: dict[str, Any]) -> None:
    for code in blocks("tasks.md"):
        exec(code, names)  # noqa: S102 our own page
    keys = {name: names[name].key.to_user_string() for name in ("load", "check", "train", "orders")}
    assert keys == {"load": "load_orders", "check": "check", "train": "model", "orders": "orders"}


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in ("tasks.md", "workflows.md", "coming-from-practicus.md", "coming-from-airflow.md"):
        text = (DOCS / page).read_text(encoding="utf-8")
        for target, anchor in re.findall(r"\]\(([\w./-]+\.md)(?:#([\w-]+))?\)", text):
            there = (DOCS / target).read_text(encoding="utf-8")
            titles = re.findall(r"^#+ (.*)$", there, re.MULTILINE)
            anchors = [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]
            assert not anchor or anchor in anchors, (page, target, anchor)
