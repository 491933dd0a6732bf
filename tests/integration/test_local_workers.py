"""Workers on this machine: all behaviours, and the rule by which steps share the run's process."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from deltalake import DeltaTable

from tests.workers.behaviours import Behaviours
from tests.workers.place import HERE, Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    lake = str(tmp_path / "lake")
    return Place(tmp_path, lake, {}, {"backend": "local"}, {"PYTHONPATH": str(HERE)})


class TestLocal(Behaviours):
    def workers(self, place: Place) -> Any:
        """Return the processes that were started for this place."""
        return [
            path
            for path in Path("/proc").glob("[0-9]*/environ")
            if f"DAGSTER_HOME={place.home}".encode() in _read(path)
        ]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_steps_share_the_runs_process_where_none_declares_a_worker(place: Place) -> None:
    assert place.run("bare").succeeded
    [one], [two] = place.rows("bare_one"), place.rows("bare_two")
    assert one["pid"] == two["pid"]


def test_each_step_has_a_process_of_its_own_where_isolation_is_asked_for(place: Place) -> None:
    run = place.run("bare", config={"isolation": "process"})
    assert run.succeeded, run.output
    [one], [two] = place.rows("bare_one"), place.rows("bare_two")
    assert one["pid"] != two["pid"]


def test_a_step_with_a_worker_shares_the_runs_process_where_isolation_is_declined(place: Place) -> None:
    run = place.run("side_by_side", config={"isolation": "none"})
    assert run.succeeded, run.output
    [left], [right] = place.rows("left"), place.rows("right")
    assert left["to"] <= right["from"] or right["to"] <= left["from"]


ELSEWHERE = """
import os

import dagster as dg

from practicus_assets import DeltaIOManager, Snapshot, table_asset, worker_executor

if "DAGSTER_RUN_STEP_KEY" in os.environ:
    os.chdir("/")


@table_asset
def first():
    import pandas as pd

    return pd.DataFrame({"n": [1], "folder": [os.getcwd()]})


@table_asset
def second(first: Snapshot):
    return first.scan().read_all()


defs = dg.Definitions(
    assets=[first, second],
    resources={"io_manager": DeltaIOManager(root_uri="lake")},
    executor=worker_executor.configured({"backend": "local", "isolation": "process"}),
)
"""


def test_workers_in_another_folder_share_the_lake_of_the_run_and_report_its_place(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    (tmp_path / "elsewhere.py").write_text(ELSEWHERE)
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "--select", "*", "-f", "elsewhere.py"]
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path)}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert DeltaTable(tmp_path / "lake" / "second").to_pyarrow_table()["folder"].to_pylist() == ["/"]
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("first"))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["dagster/uri"].value == str(tmp_path / "lake" / "first")
