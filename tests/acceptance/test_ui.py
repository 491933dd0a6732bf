import shutil
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Page

from tests.acceptance.deployment import ROOT, ask, dagster


def test_lineage_leads_from_the_four_sources_to_the_final_table(url: str) -> None:
    nodes = ask(url, "{ assetNodes { assetKey { path } dependencyKeys { path } isMaterializable } }")[
        "assetNodes"
    ]
    parents = {n["assetKey"]["path"][0]: sorted(d["path"][0] for d in n["dependencyKeys"]) for n in nodes}
    assert parents == {
        "table1": [],
        "table2": [],
        "table3": [],
        "table4": [],
        "table1_new": ["table1"],
        "table2_new": ["table2"],
        "final_table": ["table1_new", "table2_new", "table3", "table4"],
    }
    assert [n["assetKey"]["path"][0] for n in nodes if not n["isMaterializable"]] == [
        f"table{i}" for i in range(1, 5)
    ]


def test_the_lineage_page_shows_every_table(page: Page, url: str, tmp_path: Path) -> None:
    page.goto(f"{url}/assets/final_table?view=lineage&lineageScope=upstream&lineageDepth=5")
    for name in ("table1", "table2", "table3", "table4", "table1_new", "table2_new", "final_table"):
        page.get_by_text(name, exact=True).first.wait_for(timeout=60_000)
    page.screenshot(path=tmp_path / "lineage.png")


def test_the_table_page_shows_rows_columns_and_descriptions(page: Page, url: str, tmp_path: Path) -> None:
    page.goto(f"{url}/assets/final_table?view=overview")
    page.get_by_text("name of the carrier").first.wait_for(timeout=60_000)
    page.get_by_text("Row count").first.wait_for(timeout=60_000)
    page.screenshot(path=tmp_path / "table.png", full_page=True)


def test_the_checks_page_shows_each_rule_of_the_contract(page: Page, url: str, tmp_path: Path) -> None:
    page.goto(f"{url}/assets/table1_new?view=checks")
    for name in ("day_carrier_flight_origin_unique", "row_count", "tailnum_pattern", "few_cancelled"):
        page.get_by_placeholder("Filter checks").fill(name)
        page.get_by_text(name).first.wait_for(timeout=60_000)
    page.screenshot(path=tmp_path / "checks.png")


def test_the_materialization_shows_version_size_and_a_preview(page: Page, url: str, tmp_path: Path) -> None:
    page.goto(f"{url}/assets/final_table?view=partitions&partition=2013-07-04")
    page.get_by_text("delta/version").first.wait_for(timeout=60_000)
    page.get_by_text("delta/preview").first.wait_for(timeout=60_000)
    page.screenshot(path=tmp_path / "partition.png")


def test_the_automation_page_shows_what_may_start_runs_and_that_all_of_it_is_off(
    page: Page, url: str, tmp_path: Path
) -> None:
    query = """{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError {
        ... on RepositoryLocation { repositories {
            schedules { name scheduleState { status } } sensors { name sensorState { status } }
        } } } } } } }"""
    [entry] = ask(url, query)["workspaceOrError"]["locationEntries"]
    [repository] = entry["locationOrLoadError"]["repositories"]
    found = {each["name"]: each["scheduleState"]["status"] for each in repository["schedules"]}
    found |= {each["name"]: each["sensorState"]["status"] for each in repository["sensors"]}
    names = ("daily", "table_maintain_schedule", "source_changes", "conditions", "notifications")
    assert found == dict.fromkeys(names, "STOPPED")
    page.goto(f"{url}/automation")
    for name in names:
        page.get_by_text(name, exact=True).first.wait_for(timeout=60_000)
    page.screenshot(path=tmp_path / "automation.png")


def test_the_run_page_shows_what_tasks_print_and_the_last_lines_of_one_that_fails(
    page: Page, server: str, home: Path, tmp_path: Path
) -> None:
    example = tmp_path / "practicus_export"
    shutil.copytree(ROOT / "examples" / "practicus_export", example)
    dag = example / "shop" / "shop_dag.py"
    dag.write_text(dag.read_text().replace('"retries": 1', '"retries": 0'))
    with (example / "shop" / "load_rates.sh").open("a") as script:
        script.write("echo no rate of USD >&2\nexit 3\n")
    done = dagster(home, "job", "execute", "-m", "practicus_export", "-j", "shop", folder=tmp_path)
    assert "Steps failed: ['load_rates']" in done.stderr, done.stderr[-4000:]
    query = '{ runsOrError(filter: {pipelineName: "shop"}) { ... on Runs { results { id } } } }'
    [run] = ask(server, query)["runsOrError"]["results"]

    def seen(name: str, waited: str, **view: str) -> str:
        """What the run page shows in that view, once it shows the text that is waited for."""
        page.goto(f"{server}/runs/{run['id']}?{urlencode(view)}")
        page.get_by_text(waited).first.wait_for(timeout=60_000)
        page.screenshot(path=tmp_path / f"{name}.png")
        return page.locator("body").inner_text()

    seen("stdout_python", "INFO orders of 20", selection='name:"load_orders"', logType="stdout")
    shell = 'name:"load_rates"'
    assert "no rate of USD" not in seen("stdout", "rates are loaded", selection=shell, logType="stdout")
    before, _ = seen("stderr", "STEP_FAILURE", selection=shell, logType="stderr").split("STEP_FAILURE")
    assert "no rate of USD" in before.splitlines()
    _, failure = seen("failure", "Its last lines:", logs="type:STEP_FAILURE").split("Its last lines:\n")
    assert failure.startswith("rates are loaded\nno rate of USD\n")
