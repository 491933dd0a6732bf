"""docs/scale.md on Ray: tables whose rows Ray Data stages, and workers of Ray and steps that die."""

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from practicus_assets import Snapshot
from tests.servers.ports import free_ports
from tests.workers.place import until

pytestmark = [pytest.mark.long, pytest.mark.process]

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / ".venv" / "ray"  # beside our environment, which has no use for it elsewhere
GOOD = {"error": None, "rows": 582, "amount": 4498500.0}
HANGS_S = 600

Run = Callable[[str], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lake")


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """Start Ray on this machine; return the variables of processes that use it."""
    assert PACKAGES.is_dir(), f"{PACKAGES} is not there: make .venv/ray.ready"
    variables = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(PACKAGES), str(ROOT)]),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_raylet_start_wait_time_s": "90",
    }
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ray-"))  # paths of sockets are short
        for number in range(3):  # on a busy machine Ray gives its own processes too little time, now and then
            gcs, client = free_ports(2)
            options = {"port": gcs, "ray-client-server-port": client, "node-ip-address": "127.0.0.1"}
            options |= {"min-worker-port": 0, "max-worker-port": 0, "temp-dir": f"{folder}/{number}"}
            options |= {"num-cpus": 2, "object-store-memory": 200_000_000, "include-dashboard": "false"}
            log = Path(folder, f"{number}.log")
            server = stack.enter_context(
                _ray("start", "--head", "--block", log=log, variables=variables, **options)
            )
            until(lambda: b"Ray runtime started" in log.read_bytes() or server.poll() is not None, "Ray")  # noqa: B023 it is called at once
            if server.poll() is None:
                break
        assert server.poll() is None, log.read_text()
        yield {**variables, "RAY_ADDRESS": f"127.0.0.1:{gcs}"}


@contextmanager
def _ray(
    *words: str, log: Path, variables: dict[str, str], **options: object
) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "ray.scripts.scripts", *words]
    command += [f"--{name}={value}" for name, value in options.items()]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, env=variables, stdout=output, stderr=output) as server,
    ):
        try:
            yield server
        finally:
            server.terminate()  # by which it ends all of its processes


@pytest.fixture(scope="module")
def run(lake: Path, environment: dict[str, str]) -> Run:
    """Return a function that makes tables in a process with Ray, and gives how each run ended."""

    def made(case: str) -> list[dict[str, Any]]:
        with started(case, lake, environment) as process:
            output, errors = process.communicate(timeout=HANGS_S)
        assert process.returncode == 0, errors[-3000:]
        ended: list[dict[str, Any]] = json.loads(output.splitlines()[-1])
        return ended

    return made


@contextmanager
def started(case: str, lake: Path, environment: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.integration.ray_tables", str(lake), case]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(scope="module")
def inputs(run: Run) -> dict[str, Any]:
    """Return how the table ended that one process made, of the same orders."""
    _, alone = run("the inputs")
    return alone


def test_the_table_of_the_page_has_the_fingerprint_that_one_process_gives_it(
    run: Run, inputs: dict[str, Any]
) -> None:
    [made] = run("the page")
    assert made == inputs
    assert made == {**GOOD, "version": 0, "data_version": inputs["data_version"]}


def test_bad_rows_are_refused_by_name_and_the_old_table_stays(run: Run, inputs: dict[str, Any]) -> None:
    good, *bad = run("bad rows")
    assert good["error"] is None
    words = [
        ("OutOfScope", "2026-01-06"),
        ("OutOfScope", "null"),
        ("SchemaMismatch", "float"),
        ("AuditFailed", "minimum"),
    ]
    for ended, (error, word) in zip(bad, words, strict=True):
        assert error in ended["error"]
        assert word in ended["error"]
        assert "Nothing was written." in ended["error"]
        assert (ended["version"], ended["rows"]) == (0, good["rows"])


def test_a_worker_of_ray_that_is_killed_ends_the_step_and_a_retry_lands_once(
    run: Run, inputs: dict[str, Any]
) -> None:
    killed, retried = run("a worker dies")
    assert "WorkerCrashedError" in killed["error"]
    assert "version" not in killed
    assert retried == {**GOOD, "version": 0, "data_version": inputs["data_version"]}


def test_a_task_that_ray_runs_again_writes_over_its_own_files(run: Run, inputs: dict[str, Any]) -> None:
    [made] = run("a worker dies, and Ray tries again")
    assert made == {**GOOD, "version": 0, "data_version": inputs["data_version"]}


def test_a_step_that_is_killed_while_ray_writes_leaves_no_table_and_a_retry_lands_once(
    run: Run, inputs: dict[str, Any], lake: Path, environment: dict[str, str]
) -> None:
    with started("held", lake, environment) as process:
        until((lake / "held-now").exists, "the worker of Ray to be held")
        os.kill(process.pid, signal.SIGKILL)
    assert list((lake / "held").rglob("*.parquet"))
    assert not (lake / "held" / "_delta_log").exists()
    [retried] = run("held")
    assert retried == {**GOOD, "version": 0, "data_version": inputs["data_version"]}
    assert Snapshot.open(lake / "held").version == 0
