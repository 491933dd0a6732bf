"""Notifications by a real daemon, of runs that the automation sensor starts, also if the daemon is killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from tests.servers.hook import Hook

ROOT = Path(__file__).parents[2]
HANGS_S = 600  # ends what hangs; a busy machine takes long
SETTINGS = """
run_coordinator: {module: dagster.core.run_coordinator, class: DefaultRunCoordinator}
run_retries: {enabled: true, max_retries: 1}
telemetry: {enabled: false}
"""

pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.process]


@contextmanager
def daemon(environment: dict[str, str], log: Path) -> Iterator[None]:
    """Run a daemon with its code server for the block, and kill both at its end."""
    program = [sys.executable, "-m", "dagster._daemon", "run", "-m", "tests.integration.notified"]
    with log.open("ab") as output:
        process = subprocess.Popen(
            program, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until(what: Callable[[], object], log: Path) -> None:
    ends = time.monotonic() + HANGS_S
    while not what():
        assert time.monotonic() < ends, log.read_text()[-4000:]
        time.sleep(0.1)


def test_a_run_of_a_condition_is_told_after_its_retry_by_a_daemon_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text(SETTINGS)
    (tmp_path / "failures").write_text("2")
    log = tmp_path / "daemon.log"
    shop = dg.AssetMaterialization("shop")
    with Hook() as hook, dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        hook.waits = threading.Event()
        environment = {
            **os.environ,
            "DAGSTER_HOME": str(tmp_path),
            "NOTIFIED_HOME": str(tmp_path),
            "HOOK_URL": hook.url,
            "PYTHONPATH": str(ROOT),
        }
        with daemon(environment, log):
            until(lambda: "Sensor notifications skipped: 0 notices." in log.read_text(), log)
            instance.report_runless_asset_event(shop)
            until(hook.arrived.is_set, log)  # killed with the message sent, and nothing of it kept
        hook.waits.set()
        with daemon(environment, log):
            until(lambda: len(hook.posts) == 2, log)
            instance.report_runless_asset_event(shop)
            until(lambda: len(hook.posts) == 3, log)
        statuses = [run.status.value for run in instance.get_runs()]
    assert statuses == ["SUCCESS", "FAILURE", "FAILURE"]
    first, again, recovered = hook.posts
    assert first == again
    assert first["title"] == "orders failed"
    assert "ValueError: down, 1 left\nThat was after 1 retry of the run." in first["text"]
    assert "https://dagster.example.com/runs/" in first["text"]
    assert recovered["title"] == "orders went well again"
