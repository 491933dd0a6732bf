"""deploy/ci/materialize-changed.sh, as docs/ci.md has it: what a change concerns, in a lake of its own."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from deltalake import DeltaTable

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "ci" / "materialize-changed.sh"
[LAKE] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "ci.md").read_text(), re.DOTALL)
DEFINITIONS = f"""
import os

import dagster as dg
import pandas as pd

from practicus_assets import Column, Contract, table_asset
{LAKE}
days = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-04")
by_day = dict(partitions_def=days, partition_by="day", backfill_policy=dg.BackfillPolicy.single_run())
price = float(os.environ["PRICE"])
not_negative = Contract({{"amount": Column("double", minimum=0)}})


@table_asset(**by_day, code_version="1")
def visits(context: dg.AssetExecutionContext) -> pd.DataFrame:
    return pd.DataFrame({{"day": pd.to_datetime(context.partition_keys).date, "n": 1}})


@table_asset(**by_day, code_version=f"{{price}}", contract=not_negative)
def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
    return pd.DataFrame({{"day": pd.to_datetime(context.partition_keys).date, "amount": price}})


@table_asset(code_version="1")
def totals(orders: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({{"amount": [orders["amount"].sum()]}})


tables = [visits, orders, totals]
defs = dg.Definitions(tables, resources={{"io_manager": lake}}, executor=dg.in_process_executor)
"""

pytestmark = [pytest.mark.slow, pytest.mark.process]


@dataclass
class Project:
    """A project whose tables are in production, and what the script did for a change of it."""

    folder: Path

    @property
    def base(self) -> Path:
        return self.folder / "production"

    @property
    def summary(self) -> str:
        file = self.folder / "summary.md"
        return file.read_text(encoding="utf-8") if file.exists() else ""

    def files(self) -> dict[Path, tuple[int, bytes]]:
        files = [path for path in self.base.rglob("*") if path.is_file()]
        return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    def check(self, **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run the script on the definitions as they are with these settings."""
        environment = {
            **os.environ,
            "DAGSTER_HOME": str(self.folder / "never-used"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "ignore",
            "LAKE": str(self.folder / "pull"),
            "BASE": str(self.base),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
            "PRICE": "1",
            **settings,
        }
        return subprocess.run(
            ["/usr/bin/env", "bash", str(SCRIPT), "-f", "shop.py"],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    (tmp_path / "shop.py").write_text(DEFINITIONS)
    project = Project(tmp_path)
    monkeypatch.setenv("LAKE", str(project.base))
    monkeypatch.setenv("PRICE", "1")
    names: dict[str, Any] = {"__name__": "shop"}
    exec(compile(DEFINITIONS, str(tmp_path / "shop.py"), "exec"), names)  # noqa: S102 as CI imports it
    whole, by_day = [names["totals"]], [names["visits"], names["orders"]]
    for selection, key in ((by_day, "2024-01-01"), (by_day, "2024-01-02"), (whole, None)):
        dg.materialize(
            [*by_day, *whole], selection=selection, partition_key=key, resources={"io_manager": names["lake"]}
        )
    return project


def test_changed_tables_and_those_that_read_them_are_computed_and_production_stays(project: Project) -> None:
    before = project.files()
    done = project.check(PRICE="2", PARTITIONS="2024-01-01...2024-01-02", SAMPLES="1")
    assert done.returncode == 0, done.stderr
    own = project.folder / "pull"
    assert sorted(path.name for path in own.iterdir() if (path / "_delta_log").exists()) == [
        "orders",
        "totals",
    ]
    assert DeltaTable(own / "totals").to_pyarrow_table()["amount"].to_pylist() == [4.0]
    assert project.files() == before
    for words in (
        "### Plan: 3 partitions of 2 tables would be computed.",
        "its code version changed from 1.0 to 2.0",
        "Up to date: visits",
        "### Changes against the base",
        "| day=2024-01-02 | 1 | 1 | -1 | +1 |",
        "1 table unchanged.",
    ):
        assert words in project.summary, project.summary


def test_a_change_that_breaks_a_contract_fails_and_what_reads_it_is_not_computed(project: Project) -> None:
    before = project.files()
    done = project.check(PRICE="-1", PARTITIONS="2024-01-02", LAUNCH="dg")
    assert done.returncode == 1, done.stderr
    assert "AuditFailed" in done.stderr
    _, failed = project.summary.split("### A run failed: what is left")
    assert r"was refused by amount\_minimum" in failed, project.summary
    assert "3 tables unchanged." in project.summary
    assert "| -1.0 |" not in project.summary  # no row, as SAMPLES is not set
    assert not (project.folder / "pull" / "totals").exists()
    assert project.files() == before


def test_settings_by_which_nothing_can_be_checked_end_it_before_a_run(project: Project) -> None:
    before = project.files()
    wrong = project.check(LAUNCH="dagit")
    assert (wrong.returncode, wrong.stderr) == (2, "LAUNCH is 'dagit': write dagster or dg.\n")
    in_place = project.check(BASE="", LAKE=str(project.base), PARTITIONS="2024-01-02", PRICE="2")
    assert in_place.returncode == 1
    assert "which lies over no base" in in_place.stderr
    unset = project.check(PRICE="2", SELECT="orders")
    assert unset.returncode == 2
    assert unset.stderr.endswith('PARTITIONS is not set, and these tables have partitions: key:"orders"\n')
    assert project.files() == before


def test_the_workflow_runs_the_script_on_pulls_without_a_right_to_write() -> None:
    workflow = yaml.safe_load((ROOT / "deploy" / "ci" / "github.yaml").read_text())
    assert workflow[True] == "pull_request"  # YAML reads the word on as true
    assert workflow["permissions"] == {"contents": "read"}
    job = workflow["jobs"]["changed"]
    assert {"LAKE", "BASE", "PARTITIONS"} <= job["env"].keys()
    assert job["steps"][-1]["run"] == f"bash ci/{SCRIPT.name} -m shop"
