"""Servers that several suites use, one of each a session."""

from collections.abc import Iterator

import pytest

from tests.servers.seaweedfs import SeaweedFS


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """An S3 server on loopback."""
    with SeaweedFS(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server
