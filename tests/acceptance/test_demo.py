import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from deltalake import DeltaTable

ROOT = Path(__file__).parents[2]
TABLES = ("table1_new", "table2_new", "final_table")


def demo(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "pipelines.demo"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def first(folder: Path) -> str:
    return demo(folder)


def test_the_demo_makes_three_tables_and_shows_versions_rows_and_checks(folder: Path, first: str) -> None:
    for name in TABLES:
        assert name in first
    assert "336,776" in first
    assert "26,115" in first
    assert "tailnum matches" in first
    assert "Done in" in first


def test_a_year_is_one_commit_a_table(folder: Path, first: str) -> None:
    for name in TABLES:
        assert DeltaTable(str(folder / ".demo" / "lake" / name)).version() == 0


def test_the_commit_says_which_run_made_it_from_which_versions(folder: Path, first: str) -> None:
    commit = DeltaTable(str(folder / ".demo" / "lake" / "final_table")).history(1)[0]
    record = json.loads(commit["practicus_assets"])
    assert record["step"] == "final_table"
    read = {read["table"]: read["version"] for read in record["inputs"]}
    assert read == {"table1_new": 0, "table2_new": 0}


def test_no_flight_is_lost_or_doubled_by_the_joins(folder: Path, first: str) -> None:
    lake = folder / ".demo" / "lake"
    key = ["day", "carrier", "flight", "origin"]
    flights, final = (
        DeltaTable(str(lake / name)).to_pandas(columns=key) for name in ("table1_new", "final_table")
    )
    assert len(final) == len(flights) == 336_776
    assert not final.duplicated().any()
    assert set(map(tuple, final.to_numpy())) == set(map(tuple, flights.to_numpy()))


def test_the_demo_run_again_changes_nothing_and_says_so(folder: Path, first: str) -> None:
    again = demo(folder)
    assert "Nothing changed" in again
    for name in TABLES:
        assert DeltaTable(str(folder / ".demo" / "lake" / name)).version() == 0
