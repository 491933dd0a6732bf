"""A cluster, an image, and servers that pods reach: KUBECONFIG and PRACTICUS_IMAGE name the first two."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.servers.cluster import Cluster
from tests.servers.postgresql import PostgreSQL
from tests.servers.seaweedfs import SeaweedFS

INSTANCE = {"telemetry": {"enabled": False}}
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


@pytest.fixture(scope="module")
def home_namespace(cluster: Cluster) -> Iterator[str]:
    with cluster.namespace() as name:
        yield name


def storage(cluster: Cluster, postgresql: PostgreSQL) -> dict[str, Any]:
    """Return the storage of an instance in a new database, whose password is in INSTANCE_PASSWORD."""
    return postgresql.dagster_storage(cluster.node_address, {"env": "INSTANCE_PASSWORD"})


@pytest.fixture(scope="module")
def home(
    request: pytest.FixtureRequest,
    cluster: Cluster,
    postgresql: PostgreSQL,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The folder of an instance for a module's tests, where pods find it too: the node is this machine."""
    name = request.module.__name__.rpartition(".")[2]
    folder = tmp_path_factory.mktemp(name)
    for each in (folder, folder / "lake", folder / "logs"):
        each.mkdir(exist_ok=True)
        each.chmod(0o777)
    folder.parent.chmod(0o755)
    logs = {
        "module": "dagster._core.storage.local_compute_log_manager",
        "class": "LocalComputeLogManager",
        "config": {"base_dir": str(folder / "logs")},
    }
    instance = {**INSTANCE, **storage(cluster, postgresql), "compute_logs": logs}
    (folder / "dagster.yaml").write_text(yaml.safe_dump(instance))
    return folder
