"""Sources in steps that are processes of their own: what they read, and what is left open."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from tests.integration import source_jobs
from tests.integration.shelf import Shelf

pytestmark = pytest.mark.process


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    shelf = Shelf(tmp_path / "shelf")
    shelf.put(orders=pa.table({"n": [1, 2, 3]}))
    monkeypatch.setenv("SHELF", str(shelf.folder))
    monkeypatch.setenv("LAKE", str(tmp_path / "lake"))
    return shelf


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "home").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "home")) as instance:
        yield instance


def rows(tmp_path: Path, name: str) -> int:
    return int(DeltaTable(str(tmp_path / "lake" / name)).to_pyarrow_dataset().count_rows())


def consistency(result: Any, step: str) -> str:
    """Return what the input of a step says of the state that it read."""
    [event] = [e for e in result.all_events if e.event_type_value == "LOADED_INPUT" and e.step_key == step]
    return str(event.event_specific_data.metadata["source/consistency"].value)


@pytest.mark.slow
def test_workers_read_the_state_that_the_process_of_their_run_keeps(
    tmp_path: Path, instance: dg.DagsterInstance, shelf: Shelf
) -> None:
    with dg.execute_job(dg.reconstructable(source_jobs.in_workers), instance) as result:
        assert result.success
        assert (rows(tmp_path, "early"), rows(tmp_path, "late")) == (3, 3)
        assert consistency(result, "late") == "every step of the run reads this state"
    opened = [line for line in shelf.lines if line.startswith("open")]
    assert opened == ["open 1 1", "open 1 2", "open 1 2"]
    assert shelf.open == []


@pytest.mark.slow
def test_processes_of_the_multiprocess_executor_read_a_state_each_and_say_so(
    tmp_path: Path, instance: dg.DagsterInstance, shelf: Shelf
) -> None:
    with dg.execute_job(dg.reconstructable(source_jobs.in_processes), instance) as result:
        assert result.success
        assert (rows(tmp_path, "early"), rows(tmp_path, "late")) == (3, 0)
        assert consistency(result, "late").endswith("steps in other processes read states of their own")
    assert shelf.open == []


@pytest.mark.slow
def test_a_command_of_dagster_materializes_what_reads_a_source(tmp_path: Path, shelf: Shelf) -> None:
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "--select", "late"]
    command += ["-m", "tests.integration.source_jobs"]
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert rows(tmp_path, "late") == 3
    assert shelf.open == []
