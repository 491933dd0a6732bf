"""The pictures of the docs are of pages that show what the docs say; make screenshots writes them anew."""

import shutil
import uuid
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.acceptance.deployment import ROOT, ask, python
from tests.acceptance.pictures import Camera

TABLES = ("table1", "table2", "table3", "table4", "table1_new", "table2_new", "final_table")
FORGIVING = 'pattern="N[0-9A-Z]{4,5}", severity="WARN"'


@pytest.fixture(scope="module")
def camera(browser: Browser, url: str, tmp_path_factory: pytest.TempPathFactory) -> Camera:
    return Camera(browser, url, tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def failed_run(home: Path, camera: Camera, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run of a day with one bad row, by a contract that does not forgive it."""
    code = tmp_path_factory.mktemp("code")
    shutil.copytree(ROOT / "pipelines", code / "pipelines")
    contracts = code / "pipelines" / "contracts.py"
    assert FORGIVING in contracts.read_text()
    contracts.write_text(contracts.read_text().replace(FORGIVING, FORGIVING.partition(", severity")[0]))
    run_id = str(uuid.uuid4())
    done = python(home, "pipelines.run", run_id, "2013-07-05...2013-07-05", folder=code)
    assert done.returncode == 1, done.stderr[-4000:]
    return run_id


def test_the_overview_shows_the_runs_of_the_code_location(camera: Camera, url: str) -> None:
    query = "{ runsOrError { ... on Runs { results { repositoryOrigin { repositoryLocationName } } } } }"
    origins = [run["repositoryOrigin"] for run in ask(url, query)["runsOrError"]["results"]]
    assert {"repositoryLocationName": "pipelines"} in origins
    camera.visit("/overview/timeline")
    camera.page.get_by_text("Jobless asset materializations").first.wait_for(timeout=60_000)


def test_the_picture_of_the_lineage_has_every_table(camera: Camera) -> None:
    camera.visit("/assets/final_table?view=lineage&lineageScope=upstream&lineageDepth=5")
    camera.take("lineage", TABLES, cut=True)


def test_the_picture_of_a_table_has_its_contract_its_rows_and_what_starts_its_runs(camera: Camera) -> None:
    camera.visit("/assets/table1_new?view=overview")
    contract = ("local day of departure", "non-nullable", "<= 2359")
    camera.take("table", ("Row count", *contract, "daily_job", "source_changes", "Open tables.py"))


def test_the_picture_of_a_materialization_has_its_rows_and_version(camera: Camera) -> None:
    camera.visit("/assets/final_table?view=events")
    entries = ("delta/summary", "delta/version", "dagster/row_count")
    camera.take("materialization", ("materialized in run", *entries, "committed"))


def test_the_picture_of_the_automation_has_every_schedule_and_sensor(camera: Camera) -> None:
    camera.visit("/automation")
    names = ("conditions", "daily", "notifications", "source_changes", "table_maintain_schedule")
    camera.take("automation", (*names, "Automation condition sensor", "Standard sensor", "At 12:00 AM"))


def test_the_picture_of_a_failed_check_has_its_rule_and_how_many_rows_break_it(
    camera: Camera, failed_run: str
) -> None:
    camera.visit("/assets/table1_new?view=checks&checkDetail=tailnum_pattern")
    camera.page.get_by_placeholder("Filter checks").fill("pattern")
    rule = "tailnum matches N[0-9A-Z]{4,5}"
    camera.take("failed_check", (f"{rule}: 1 bad row", "Failed", "Succeeded", "bad_rows", "2013-07-05"))


def test_the_picture_of_a_failed_run_has_the_bad_row_and_what_to_do(camera: Camera, failed_run: str) -> None:
    camera.visit(f"/runs/{failed_run}?logs=type%3ASTEP_FAILURE")
    camera.page.get_by_text("Errored (1)").first.wait_for(timeout=60_000)
    error = ("table1_new [2013-07-05]: the contract is broken", "tailnum='D942DN'", "Nothing was written.")
    camera.take("failed_run", error, height=520)  # and not the stack below
