"""Places to attack, and the count of what was tried."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.proxy import Fault, FaultProxy
from tests.faults.tally import Tally, summary
from tests.faults.work import Place, rotated
from tests.servers.seaweedfs import SeaweedFS

MakePlace = Callable[[], Place]

_TALLY = "tally"
_tallies: list[Tally] = []


@pytest.fixture(scope="session")
def running_proxy(seaweedfs: SeaweedFS) -> Iterator[FaultProxy]:
    with FaultProxy(seaweedfs.endpoint) as running:
        yield running


@pytest.fixture
def proxy(running_proxy: FaultProxy) -> FaultProxy:
    """Return the proxy without the fault that the test before may have left in it."""
    running_proxy.arm()
    return running_proxy


@pytest.fixture
def s3(seaweedfs: SeaweedFS) -> MakePlace:
    """Return a function that makes a fresh lake on S3."""
    return lambda: Place(f"{seaweedfs.root_uri}/{uuid.uuid4()}", seaweedfs.storage_options())


@pytest.fixture
def unsigned(tmp_path: Path) -> Iterator[MakePlace]:
    """Return a function that makes a fresh lake on a store that ignores `If-None-Match`."""
    with SeaweedFS(tmp_path / "unsigned", signed=False) as server, FaultProxy(server.endpoint) as between:
        between.arm(Fault("no condition", 1, count=1_000_000_000))
        yield lambda: Place(f"{server.root_uri}/{uuid.uuid4()}", server.storage_options(between.endpoint))


@pytest.fixture
def spelled(request: pytest.FixtureRequest) -> Callable[[Path], Place]:
    """Return a function that gives the lake in a folder, whose spelling is another one each time."""
    spellings = rotated(request.node.name)
    return lambda path: Place(next(spellings)(path))


@pytest.fixture
def folder(tmp_path: Path, spelled: Callable[[Path], Place]) -> MakePlace:
    """Return a function that makes a fresh lake in a folder, whose spelling is another one each time."""
    return lambda: spelled(tmp_path / str(uuid.uuid4()))


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest) -> MakePlace:
    """Return a function that makes a fresh lake, in a folder and on S3 in turn."""
    made: MakePlace = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    """Count the points of this test; the summary shows them."""
    count = Tally(request.node.name.removeprefix("test_").replace("_", " "))
    yield count
    request.node.user_properties.append((_TALLY, [count.name, count.tried, count.problems, count.seconds]))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Take the count of a test from its report, which comes from whichever process ran it."""
    if report.when == "teardown":
        for name, value in report.user_properties:
            if name == _TALLY:
                title, tried, problems, seconds = value  # type: ignore[misc]
                _tallies.append(Tally(title, tried, list(problems), seconds=seconds))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the counts."""
    if _tallies:
        terminalreporter.section("faults")
        for line in summary(_tallies):
            terminalreporter.write_line(line)
