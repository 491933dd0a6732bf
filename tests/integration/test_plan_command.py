"""`practicus-assets plan` on the tables that ship: its texts and its exit codes."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from pipelines.sources import source_tables
from pipelines.tables import final_table, table1_new, table2_new
from practicus_assets import DeltaIOManager
from practicus_assets.cli import main
from tests.integration.bench import RANGE_END, RANGE_START, errors
from tests.integration.copies import copied, entered, with_home

FIRST, SECOND, THIRD = "2013-01-01", "2013-01-02", "2013-01-03"
BOTH = ("--partition-range", f"{FIRST}...{SECOND}")
TABLES = ("table1_new", "table2_new", "final_table")
SHIPPED = """
import os
import dagster as dg
from pipelines.sources import source_tables
from pipelines.tables import Flights, by_day, final_table, table1_new, table2_new
from practicus_assets import DeltaIOManager, table_asset, worker_executor

CHANGED = os.environ.get("PLAN_CHANGED", "")
if CHANGED:
    @table_asset(name="table1_new", **by_day, contract=Flights, code_version=CHANGED)
    def table1_new(table1): ...

defs = dg.Definitions(
    assets=[*source_tables, table1_new, table2_new, final_table],
    executor=worker_executor,
    resources={"io_manager": DeltaIOManager(root_uri=os.environ["PLAN_LAKE"])},
)
"""


def run(instance: dg.DagsterInstance, lake: str, *days: str, select: Any = TABLES) -> Any:
    """Run the tables on days from the first to the last."""
    return dg.materialize(
        [*source_tables, table1_new, table2_new, final_table],
        selection=list(select),
        instance=instance,
        resources={"io_manager": DeltaIOManager(root_uri=lake)},
        tags={RANGE_START: days[0], RANGE_END: days[-1]},
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        raise_on_error=False,
    )


def observe(instance: dg.DagsterInstance, name: str, version: str, day: str | None = None) -> None:
    """Record a data version of a source table."""
    tags = {"dagster/data_version": version}
    instance.report_runless_asset_event(dg.AssetObservation(name, partition=day, tags=tags))


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a home and a lake, in which two days were computed from sources that were observed."""
    folder = with_home(tmp_path_factory.mktemp("shipped"))
    (folder / "shipped.py").write_text(SHIPPED)
    with dg.DagsterInstance.from_config(str(folder / "home")) as instance:
        for name in ("table3", "table4"):
            observe(instance, name, "1")
        for day in (FIRST, SECOND, THIRD):
            observe(instance, "table1", "1", day)
            observe(instance, "table2", "1", day)
        result = run(instance, str(folder / "lake"), FIRST, SECOND)
        assert result.success, errors(result)
    return folder


@pytest.fixture
def folder(once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, to which commands are pointed."""
    monkeypatch.delenv("PLAN_CHANGED", raising=False)
    return entered(copied(once, tmp_path / "copy"), monkeypatch, "PLAN_LAKE")


@pytest.fixture
def instance(folder: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(folder / "home")) as opened:
        yield opened


def planned(*arguments: str, code: int) -> Result:
    result = CliRunner().invoke(main, ["plan", "-f", "shipped.py", *arguments])
    assert result.exit_code == code, result.output
    return result


def files(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_it_exits_with_0_6_and_7_and_writes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files(folder / "lake")
    assert "Nothing would be computed: all is up to date." in planned(*BOTH, code=0).stdout
    text = planned("--partition", THIRD, code=6).stdout
    assert "table1_new: 1 of 1 partition would be computed\n  2013-01-03: missing\n" in text
    assert "3 partitions of 3 tables would be computed." in text
    monkeypatch.delenv("DAGSTER_HOME")
    text = planned(*BOTH, code=7).stdout
    assert "without an instance, nobody knows whether table1 changed" in text
    assert "No instance was asked (DAGSTER_HOME)" in text
    assert files(folder / "lake") == before


def test_changed_code_is_said_at_80_and_at_200_columns(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAN_CHANGED", "2")
    texts = {}
    for width in (80, 200):
        monkeypatch.setenv("COLUMNS", str(width))
        texts[width] = planned(*BOTH, code=6).stdout
        assert max(map(len, texts[width].split("\n"))) <= width
    assert re.sub(r"\s+", " ", texts[80]) == re.sub(r"\s+", " ", texts[200])
    lines = texts[200].split("\n")
    assert lines[0] == "table1_new: 2 of 2 partitions would be computed"
    because = r"  2013-01-01 … 2013-01-02 \(2\): its code version changed from \w+ to 2"
    assert re.fullmatch(because, lines[1])
    assert re.match(r"  replaces 1,785 rows, \d+\.\d kB", lines[2])
    assert "final_table: 2 of 2 partitions would be computed" in lines
    monkeypatch.setenv("COLUMNS", "200")
    below = planned("--select", "table1_new", *BOTH, code=6).stdout
    assert "Out of date below, and left out: final_table (2)" in below


def test_a_changed_source_in_json_and_in_markdown(folder: Path, instance: dg.DagsterInstance) -> None:
    del folder
    observe(instance, "table1", "2", SECOND)
    told = json.loads(planned(*BOTH, "--json", code=6).stdout)
    assert (told["would_run"], told["is_known"], told["asks_instance"]) == (True, True, True)
    by_name = {table["table"]: table for table in told["tables"]}
    [group] = by_name["table1_new"]["planned"]
    assert group["partitions"] == [SECOND]
    assert group["reasons"] == [
        {"kind": "input_changed", "text": "table1 has another data version", "input": "table1"}
    ]
    assert by_name["final_table"]["planned"][0]["reasons"][0]["kind"] == "input_planned"
    assert by_name["table1_new"]["worker"]["memory_limit"] == "4Gi"
    text = planned(*BOTH, "--markdown", code=6).stdout
    assert text.startswith("### Plan: 2 partitions of 2 tables would be computed.")
    assert "| 2013-01-02 | table1 has another data version |" in text
    assert "Up to date: table2\\_new" in text


def test_wrong_selections_and_partitions_are_answered_with_what_there_is(folder: Path) -> None:
    del folder
    result = planned("--select", "table9", code=1)
    assert "table9" in result.stderr
    result = planned("--partition", "2013-13-01", "--json", code=1)
    assert json.loads(result.stdout)["error"]["type"] == "DeclarationError"
