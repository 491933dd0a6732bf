"""The script and the workflow of CI, and what they call, in a Git repository of a small project."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

CI = Path(__file__).parents[2] / "deploy" / "ci"
DEFINITIONS = """
import os
import dagster as dg
from practicus_assets import DeltaIOManager
from shop import orders, totals

lake = DeltaIOManager(root_uri=os.environ["LAKE"], base_uri=os.environ.get("LAKE_BASE"))
defs = dg.Definitions(assets=[orders.orders, totals.total], resources={"io_manager": lake})
"""
ORDERS = """
import dagster as dg
import pandas as pd
from practicus_assets import table_asset
from shop.prices import price

@table_asset(partitions_def=dg.StaticPartitionsDefinition(["a", "b|<c>"]), partition_by="p")
def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
    return pd.DataFrame({"p": [context.partition_key], "n": [price()]})
"""
TOTALS = """
import pandas as pd
from practicus_assets import table_asset

@table_asset
def total(orders: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"n": [orders["n"].sum()]})
"""
FILL = """
import dagster as dg
from shop.definitions import lake, orders, totals

with dg.DagsterInstance.get() as instance:
    resources = {"io_manager": lake}
    for key in ("a", "b|<c>"):
        dg.materialize([orders.orders], partition_key=key, instance=instance, resources=resources)
    assets = [orders.orders, totals.total]
    dg.materialize(assets, selection=["total"], instance=instance, resources=resources)
"""


class Project:
    """A repository, a production lake that its first commit filled, and a lake of a pull request."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        (self.folder / "shop").mkdir(parents=True)
        self.lakes = {"LAKE": str(folder / "ci"), "LAKE_BASE": str(folder / "prod")}
        home = folder / "home"
        home.mkdir()
        (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = {
            **os.environ,
            "PATH": path,
            "DAGSTER_HOME": str(home),
            "MODULE": "shop.definitions",
        }
        self.environment["PYTHONPATH"] = os.pathsep.join([str(self.folder), str(CI.parents[1])])
        self.write("shop/__init__.py", "")
        self.write("shop/definitions.py", DEFINITIONS)
        self.write("shop/prices.py", "def price():\n    return 1\n")
        self.write("shop/orders.py", ORDERS)
        self.write("shop/totals.py", TOTALS)
        self.call("git", "init", "-q", "-b", "main")
        self.commit()
        self.call(sys.executable, "-c", FILL, LAKE=self.lakes["LAKE_BASE"])
        self.call("git", "switch", "-q", "-c", "change")

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(exist_ok=True)
        (self.folder / name).write_text(text, encoding="utf-8")

    def commit(self) -> None:
        who = ["-c", "user.name=ann", "-c", "user.email=ann@example.org"]
        self.call("git", "add", "-A")
        self.call("git", *who, "commit", "-q", "-m", "change")

    def call(self, *command: str, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def pull_request(self, *, code: int = 0, **variables: str) -> str:
        """Run the shell steps of the workflow, and return the summary."""
        summary = self.folder.parent / "summary.md"
        summary.write_text("")
        workflow = yaml.safe_load((CI / "pull-request.yaml").read_text())
        [job] = workflow["jobs"].values()
        steps = [step["run"] for step in job["steps"] if "run" in step]
        assert steps == ["pip install -r requirements.lock", "deploy/ci/pull-request.sh"]
        assert {"MODULE", "BASE_REF", *self.lakes} <= set(job["env"])
        script = str(CI.parents[1] / steps[1])
        base = {"BASE_REF": "main", "GITHUB_STEP_SUMMARY": str(summary)}
        self.call("bash", "-e", "-c", script, code=code, **{**self.lakes, **base, **variables})
        return summary.read_text()

    def content(self) -> dict[str, Any]:
        files = [path for path in Path(self.lakes["LAKE_BASE"]).rglob("*") if path.is_file()]
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


@pytest.mark.slow
def test_a_pull_request_is_tried_over_production_and_says_what_it_changes(tmp_path: Path) -> None:
    project = Project(tmp_path)
    before = project.content()
    project.write("docs/page.md", "words")
    project.commit()
    assert project.pull_request() == "No table is concerned by this change.\n"
    project.write("shop/prices.py", "def price():\n    return 5\n")
    project.commit()
    summary = project.pull_request(LAUNCH="dg")
    assert "**orders: version 1 of the base, 2 rows to 2 rows**" in summary
    assert "| p=b\\|&lt;c> | 1 | 1 | -1 | +1 |" in summary
    assert "| b\\|&lt;c> | 5 |" in summary
    assert "total" not in summary
    project.write("shop/totals.py", TOTALS.replace("[orders", "[1000 + orders"))
    project.commit()
    summary = project.pull_request(PARTITION="a")
    assert "| n |\n| --- |\n| 1010 |" in summary
    project.write("shop/totals.py", TOTALS.replace("[orders", "[1 / 0 + orders"))
    project.commit()
    assert "❌ The run of `total` failed" in project.pull_request(code=1)
    assert project.content() == before
    assets = ["practicus-assets", "promote", "--all", "-m", "shop.definitions"]
    told = json.loads(project.call(*assets, "--apply", "--json", **project.lakes).stdout)
    assert [(each["table"], each["version"]) for each in told] == [("orders", 2), ("total", 1)]
    assert all(each["promoted"] == each["fingerprints"] for each in told)
    again = project.call(*assets, "--apply", **project.lakes).stdout
    assert "has all rows of the own root already" in again
