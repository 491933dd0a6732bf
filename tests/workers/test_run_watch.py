"""Run watches: what becomes of a run whose own process is killed while its steps share it."""

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster_shared.serdes import serialize_value

from practicus_assets.workers.local.run_watch import main, watched
from tests.workers.place import until

DIES = """
import os, sys
import dagster as dg
from practicus_assets.workers.local.run_watch import watched
with dg.DagsterInstance.from_config(sys.argv[1]) as instance, watched(instance, sys.argv[2]):
    os.kill(os.getpid(), 9)
"""


@dg.job
def nothing() -> None:
    pass


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


def started(instance: dg.DagsterInstance) -> str:
    """Return the id of a run whose steps are running."""
    run = instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.STARTED)
    return run.run_id


def status(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


@pytest.mark.slow
@pytest.mark.process
def test_a_run_whose_process_is_killed_is_reported_as_failed(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    run_id = started(instance)
    killed = subprocess.run([sys.executable, "-W", "ignore", "-c", DIES, tmp_path, run_id], check=False)
    assert killed.returncode == -9
    until(lambda: status(instance, run_id) is dg.DagsterRunStatus.FAILURE, "the run to be reported")
    [entry] = instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    assert "is gone before its steps ended" in entry.message


@pytest.mark.process
def test_a_run_whose_steps_end_is_left_alone(instance: dg.DagsterInstance) -> None:
    run_id = started(instance)
    with watched(instance, run_id):
        pass
    with pytest.raises(ZeroDivisionError), watched(instance, run_id):
        raise ZeroDivisionError
    assert status(instance, run_id) is dg.DagsterRunStatus.STARTED


def test_a_run_that_has_ended_is_not_reported_again(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = started(instance)
    for _ in range(2):
        monkeypatch.setattr("sys.stdin", io.StringIO(serialize_value(instance.get_ref())))
        main(run_id, "1")
        assert status(instance, run_id) is dg.DagsterRunStatus.FAILURE
    assert len(instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_FAILURE)) == 1


def test_nobody_watches_over_a_run_of_an_instance_that_ends_with_its_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("subprocess.Popen", None)  # it would raise
    with dg.DagsterInstance.ephemeral() as passing, watched(passing, "a run"):
        pass
