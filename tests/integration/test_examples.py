"""The examples, each by its one command, with every step in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from deltalake import DeltaTable

pytestmark = [pytest.mark.slow, pytest.mark.process]


def run(tmp_path: Path, module: str, job: str) -> str:
    """Run a job of an example as its README says, and return what it printed."""
    home = tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    environment = {**os.environ, "DAGSTER_HOME": str(home), "PRACTICUS_LAKE": str(tmp_path / "lake")}
    command = [sys.executable, "-W", "ignore", "-m", "dagster", "job", "execute", "-m", module, "-j", job]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    logs = [path.read_text() for path in home.rglob("*.out")]
    return done.stdout + done.stderr + "".join(logs)


def test_scripts_write_tables_of_the_seeds_flow(tmp_path: Path) -> None:
    run(tmp_path, "examples.flights", "flights")
    rows = DeltaTable(f"{tmp_path}/lake/final_table").to_pyarrow_dataset().count_rows()
    assert rows == 3 * 365


def test_a_practicus_export_runs_as_it_is(tmp_path: Path) -> None:
    said = run(tmp_path, "examples.practicus_export", "shop")
    assert "amounts are in EUR" in said


def test_a_notebook_runs_between_scripts_and_is_kept(tmp_path: Path) -> None:
    run(tmp_path, "examples.notebooks", "report")
    [kept] = (tmp_path / "lake" / "_artifacts" / "analysis").rglob("analysis_output.ipynb")
    printed = [out for cell in json.loads(kept.read_text())["cells"] for out in cell.get("outputs", [])]
    assert "2013 is a leap year: False\n" in ["".join(out.get("text", "")) for out in printed]
