"""Workers on this machine: all behaviours, and the rule by which steps share the run's process."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.workers.behaviours import Behaviours
from tests.workers.place import HERE, Place, until

pytestmark = [pytest.mark.slow, pytest.mark.process]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    home = tmp_path_factory.mktemp("home")
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    lake = str(home / "lake")
    config = {"backend": "local", "default": {"env": {"LAKE": lake}}}
    return Place(home, lake, {}, config, {"PYTHONPATH": str(HERE)})


class TestLocal(Behaviours):
    resumed_attempt = 3

    def workers(self, place: Place) -> Any:
        """Return the processes that were started for this place by processes of their own."""
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


def test_a_function_beyond_its_time_limit_is_ended_and_says_so(place: Place) -> None:
    run = place.run("late")
    assert not run.succeeded
    error = run.error("STEP_FAILURE", "late")
    assert error.startswith("WorkerTimedOut: late: it ran longer than its time_limit_seconds, which is")


def test_an_attempt_that_is_lost_with_its_runs_process_is_not_launched_again_but_followed(
    place: Place,
) -> None:
    with place.start("lost_with_run") as process:
        until(lambda: place.newest("lost_with_run").events("STEP_START"), "the first attempt")
        process.send_signal(signal.SIGSTOP)  # else it would begin another attempt itself
        for path in TestLocal().workers(place):
            with suppress(ProcessLookupError):  # which some are that end with others
                os.kill(int(path.parent.name), signal.SIGKILL)
    run = place.resume("lost_with_run")
    assert run.succeeded, run.output
    assert "its process is gone with the run's earlier process" in run.messages("lost_with_run")
    assert place.rows("lost_with_run") == [{"attempt": 2}]
    assert len(run.events("STEP_WORKER_STARTING")) == 2


# whole processes, as users start them: the run's own process matters here


def test_steps_share_the_runs_process_where_none_declares_a_worker(place: Place) -> None:
    run = place.run_by_command("bare", config={"default": {}})
    assert run.succeeded, run.output
    [one], [two] = place.rows("bare_one"), place.rows("bare_two")
    assert one["pid"] == two["pid"]


def test_each_step_has_a_process_of_its_own_where_isolation_is_asked_for(place: Place) -> None:
    run = place.run("bare", config={"isolation": "process"})
    assert run.succeeded, run.messages()
    [one], [two] = place.rows("bare_one"), place.rows("bare_two")
    assert one["pid"] != two["pid"]


def test_the_process_of_a_step_begins_with_all_that_a_step_does_loaded(place: Place) -> None:
    run = place.run_by_command("bare", config={"isolation": "process"})
    assert run.succeeded, run.output
    [row] = place.rows("bare_two")
    assert row["imported"] == ""


def test_a_step_with_a_worker_shares_the_runs_process_where_isolation_is_declined(place: Place) -> None:
    run = place.run_by_command("side_by_side", config={"isolation": "none"})
    assert run.succeeded, run.output
    [left], [right] = place.rows("left"), place.rows("right")
    assert left["to"] <= right["from"] or right["to"] <= left["from"]
