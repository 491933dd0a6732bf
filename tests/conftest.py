"""Servers that several suites use, one per process of a session, and markers that follow from use."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.seaweedfs import SeaweedFS

_HERE = Path(__file__).parent
_BY_FIXTURE = {
    "seaweedfs": "s3",
    "s3": "s3",
    "postgresql": "postgresql",
    "mariadb": "mariadb",
    "clickhouse": "process",
}
_BY_FOLDER = {"faults": "faults", "acceptance": "browser", "cluster": "cluster"}
_BY_FILE = {
    "integration/test_cli.py": "process",
    "integration/test_local_workers.py": "process",
    "integration/test_locations.py": "process",
    "integration/test_operator_cli.py": "process",
    "unit/lake/transactions/test_transaction_machine.py": "slow",
    "unit/test_public_names.py": "process",
    "workers/test_doctor_command.py": "process",
    "workers/test_without_kubernetes.py": "process",
}

# A suite that a shell starts in the background ignores SIGINT, and Dagster lets SIGTERM follow SIGINT.
# Servers that tests start would inherit both, and could not be asked to end.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def _pipe() -> None:
    """Let commands under test write as into a pipe: processes of pytest-xdist have the terminal's width."""
    os.environ.pop("COLUMNS", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the servers that they use, by their files, and by folders of what a machine may lack."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        names = {mark for fixture, mark in _BY_FIXTURE.items() if fixture in fixtures}
        inside = item.path.is_relative_to(_HERE)
        file = item.path.relative_to(_HERE).as_posix() if inside else ""
        names |= {_BY_FILE[file]} if file in _BY_FILE else set()
        folder = item.path.relative_to(_HERE).parts[0] if inside else ""
        for name in sorted(names | {_BY_FOLDER[folder]} if folder in _BY_FOLDER else names):
            item.add_marker(name)


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """An S3 server on loopback."""
    with SeaweedFS(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL server on loopback."""
    with PostgreSQL() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """A MariaDB server on loopback."""
    with MariaDB() as server:
        yield server
