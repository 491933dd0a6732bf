"""A webserver on the pipeline that ships, and the browser that looks at it: once for all tests."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.acceptance.deployment import ROOT, environment, python
from tests.servers.ports import free_port

DAYS = "2013-07-04...2013-07-05"


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="shop-"))  # a short name: pictures of the docs show it
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\nnux: {enabled: false}\n")
    yield home
    shutil.rmtree(home, ignore_errors=True)  # what a test ended may still write


@pytest.fixture(scope="session")
def server(home: Path) -> Iterator[str]:
    """The webserver on an instance in which nothing ran."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-W", "ignore", "-m", "dagster_webserver", "-m", "pipelines"]
    with (home / "webserver.log").open("w") as log:
        server = subprocess.Popen(
            [*command, "-h", "127.0.0.1", "-p", str(port)],
            cwd=ROOT,
            env=environment(home),
            stdout=log,
            stderr=log,
        )
        try:
            deadline = time.monotonic() + 300  # where the machine is busy
            while True:
                try:
                    urllib.request.urlopen(f"{address}/server_info", timeout=5).read()
                    break
                except OSError:
                    assert time.monotonic() < deadline, (home / "webserver.log").read_text()
                    time.sleep(0.5)
            yield address
        finally:
            server.terminate()
            server.wait(30)


@pytest.fixture(scope="session")
def url(server: str, home: Path) -> str:
    """The webserver on an instance in which two days were materialized."""
    done = python(home, "pipelines.run", str(uuid.uuid4()), DAYS)
    assert done.returncode == 0, done.stderr[-4000:]
    return server


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def page(browser: Browser) -> Page:
    return browser.new_page(viewport={"width": 1600, "height": 1000})
