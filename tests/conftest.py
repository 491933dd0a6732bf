"""Servers that several suites use, one per process of a session, and markers that follow from use."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.seaweedfs import SeaweedFS

_HERE = Path(__file__).parent
_BY_FIXTURE = {"seaweedfs": "s3", "s3": "s3", "postgresql": "postgresql"}
_BY_FOLDER = {"faults": "faults", "acceptance": "browser", "cluster": "cluster"}

# A suite that a shell starts in the background ignores SIGINT, and Dagster lets SIGTERM follow SIGINT.
# Servers that tests start would inherit both, and could not be asked to end.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the servers that they use, and by the folders of what a machine may lack."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        names = {mark for fixture, mark in _BY_FIXTURE.items() if fixture in fixtures}
        folder = item.path.relative_to(_HERE).parts[0] if item.path.is_relative_to(_HERE) else ""
        for name in sorted(names | {_BY_FOLDER[folder]} if folder in _BY_FOLDER else names):
            item.add_marker(name)


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """An S3 server on loopback."""
    with SeaweedFS(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server
