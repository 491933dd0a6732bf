"""`make demo-servers`: the shipped pipeline on real servers, beside that on files."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import demo

ROOT = Path(__file__).parents[2]
DAYS = "2013-01-01...2013-01-02"

pytestmark = [pytest.mark.process, pytest.mark.s3, pytest.mark.postgresql, pytest.mark.mariadb]


def started(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.servers.demo", DAYS],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "150"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def session_of(pid: int) -> list[str]:
    """Return what runs in a session."""
    done = subprocess.run(
        ["ps", "-o", "comm=", "--sid", str(pid)],  # noqa: S607 of the system
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.split()


@pytest.mark.slow
def test_the_pipeline_makes_the_same_tables_on_servers_and_exports_the_last(tmp_path: Path) -> None:
    process = started(tmp_path)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert [line.count("equal") for line in output.splitlines() if "equal" in line] == [1, 1, 1]
    assert "public.final_table in PostgreSQL: 1,785 rows of 2 days" in output
    assert session_of(process.pid) == []


def test_the_servers_stop_when_the_demo_is_ended(tmp_path: Path) -> None:
    process = started(tmp_path)
    assert process.stdout is not None
    for line in process.stdout:
        if "flights in PostgreSQL" in line:  # all of them run
            break
    assert {"mariadbd", "postgres", "weed"} <= {*session_of(process.pid)}
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 130
    assert session_of(process.pid) == []
    assert list((tmp_path / ".demo" / "servers").glob("seaweedfs.*")) == []


def test_a_server_that_is_missing_is_named_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> None:
        raise FileNotFoundError("no mariadbd: apt install mariadb-server")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "PostgreSQL", missing)
    assert demo.main() == 1
    assert "A server is missing: no mariadbd: apt install mariadb-server" in capsys.readouterr().out
