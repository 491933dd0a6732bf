"""What `new project` writes: it loads, runs, and a check finds the error that its data have."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from practicus_assets import Snapshot
from practicus_assets.starters.here import Project
from practicus_assets.starters.project import project_starter
from practicus_assets.starters.source import source_addition
from practicus_assets.starters.system import SYSTEMS
from practicus_assets.starters.table import table_addition

DG = Path(sys.executable).with_name("dg")
DAYS = {
    "dagster/asset_partition_range_start": "2026-01-01",
    "dagster/asset_partition_range_end": "2026-01-05",
}


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that imports the definitions of a project, until the test ends."""
    before = set(sys.modules)

    def load(project: Path) -> dg.Definitions:
        monkeypatch.syspath_prepend(str(project / "src"))
        module = __import__(f"{project.name}.definitions", fromlist=["defs"])
        return module.defs()  # type: ignore[no-any-return]

    yield load
    for name in {*sys.modules} - before:
        if name.partition(".")[0] == "shop_of_tests":
            del sys.modules[name]


def test_the_days_of_a_new_project_are_one_commit_a_table_and_one_check_warns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, imported: Any
) -> None:
    monkeypatch.setenv("LAKE_URI", str(tmp_path / "lake"))
    definitions = imported(project_starter("shop_of_tests").write(tmp_path))
    assert [schedule.default_status.value for schedule in definitions.schedules] == ["STOPPED"]
    job = definitions.resolve_implicit_global_asset_job_def()
    tables = [dg.AssetKey("orders"), dg.AssetKey("revenue")]
    result = job.execute_in_process(tags=DAYS, asset_selection=tables)
    broken = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert {(check.check_name, check.severity.value) for check in broken} == {("country_pattern", "WARN")}
    revenue = Snapshot.open(tmp_path / "lake" / "revenue")
    assert revenue.version == 0
    rows = revenue.to_arrow().to_pylist()
    assert {str(row["day"]) for row in rows if row["country"] == "de"} == {"2026-01-04"}
    assert sum(row["amount"] for row in rows) == sum(
        row["amount"] for row in Snapshot.open(tmp_path / "lake" / "orders").to_arrow().to_pylist()
    )


@pytest.mark.process
@pytest.mark.slow
def test_a_new_project_table_and_sources_pass_their_tests_and_the_checks_of_dg(tmp_path: Path) -> None:
    project = project_starter("shop").write(tmp_path)
    table_addition("customers", Project.around(project)).write(project)
    for kind, system in SYSTEMS.items():
        source_addition(f"of_{kind}", system, Project.around(project)).write(project)
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    python_path = filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH")])
    environment["PYTHONPATH"] = os.pathsep.join(python_path)
    for command, said in (
        ([sys.executable, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider"], "7 passed, 2 skipped"),
        ([str(DG), "check", "defs"], "All definitions loaded successfully"),
    ):
        done = subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert said in done.stdout
        assert "Warning" not in done.stdout + done.stderr
