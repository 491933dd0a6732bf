"""Run watches: what becomes of a run whose own process is killed while its steps share it."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster_shared.serdes import serialize_value

from practicus_assets.workers.local import run_watch
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


@pytest.mark.process
def test_a_run_that_lost_its_pipe_is_not_reported_while_its_process_lives(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = started(instance)
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    looks = []

    def look(_: float) -> None:
        looks.append(status(instance, run_id))
        if len(looks) == 2:
            sleeper.kill()  # and is not waited for: it ended, and its number is still taken

    monkeypatch.setattr("time.sleep", look)
    monkeypatch.setattr("sys.stdin", io.StringIO(serialize_value(instance.get_ref())))
    try:
        main(run_id, str(sleeper.pid), run_watch._start_of(sleeper.pid) or "")
        assert set(looks) == {dg.DagsterRunStatus.STARTED}
        assert status(instance, run_id) is dg.DagsterRunStatus.FAILURE
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_process_of_the_same_number_that_started_later_is_another_one() -> None:
    mine, parents = run_watch._start_of(os.getpid()), run_watch._start_of(1)
    assert mine
    assert mine != parents
    assert run_watch._start_of(2**22 + 1) is None


@pytest.mark.process
def test_a_body_that_closes_the_pipe_ends_and_what_has_its_number_stays_open(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    run_id = started(instance)
    with watched(instance, run_id):
        [watch] = run_watch._open_watches
        os.close(watch.pipe)
        other = os.open(tmp_path / "other", os.O_CREAT | os.O_WRONLY)
        os.dup2(other, watch.pipe)
        os.close(other)
    assert watch.process.returncode == -9
    os.write(watch.pipe, b"mine")
    os.close(watch.pipe)
    assert (tmp_path / "other").read_text() == "mine"
    assert status(instance, run_id) is dg.DagsterRunStatus.STARTED


@pytest.mark.process
def test_a_forked_process_does_not_hold_the_pipe(instance: dg.DagsterInstance) -> None:
    with watched(instance, started(instance)):
        [watch] = run_watch._open_watches
        child = os.fork()
        if child == 0:
            try:
                os.fstat(watch.pipe)
            except OSError:
                os._exit(0 if not run_watch._open_watches else 2)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        assert watch.process.poll() is None
        assert run_watch._open_watches == [watch]
    assert not run_watch._open_watches


def test_an_instance_that_cannot_be_opened_elsewhere_is_not_watched(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance, "_ref", None)
    with watched(instance, "a run"):
        assert not run_watch._open_watches
