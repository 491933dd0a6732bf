"""A cluster, an image, and servers that pods reach: KUBECONFIG and PRACTICUS_IMAGE name the first two."""

import os
from collections.abc import Iterator

import pytest

from tests.servers.cluster import Cluster
from tests.servers.postgresql import PostgreSQL
from tests.servers.seaweedfs import SeaweedFS

_EVERYWHERE = "0.0.0.0"  # noqa: S104 pods come from other addresses than this machine's own


def named(variable: str, what: str) -> str:
    if not os.environ.get(variable):
        pytest.fail(f"{variable} is not set: it names {what}", pytrace=False)
    return os.environ[variable]


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The cluster of KUBECONFIG; its first node is this machine."""
    named("KUBECONFIG", "the file that leads to the cluster")
    return Cluster()


@pytest.fixture(scope="session")
def image() -> str:
    """The image of deploy/Dockerfile, built of this checkout, that the cluster's nodes have."""
    return named("PRACTICUS_IMAGE", "the image under test")


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the test's own."""
    with cluster.namespace() as name:
        yield name


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL server that pods reach at the node's address."""
    with PostgreSQL(_EVERYWHERE) as server:
        yield server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """An S3 server that pods reach at the node's address."""
    with SeaweedFS(tmp_path_factory.mktemp("s3"), _EVERYWHERE) as server:
        yield server


@pytest.fixture(scope="session")
def s3_in_pods(cluster: Cluster, s3: SeaweedFS) -> dict[str, str]:
    """The environment variables by which delta-rs and boto3 in a pod use the S3 server."""
    return s3.storage_options(f"http://{cluster.node_address}:{s3.port}")
