"""Engines whose workers are pods of a real cluster: equal rows, and a worker that is killed for memory."""

from pathlib import Path

import pytest

from tests.cluster.conftest import named
from tests.servers.cluster import Cluster
from tests.servers.postgresql import PostgreSQL
from tests.workers.place import Place, Run

STEPS = Path(__file__).parent / "engine_steps"
_VERBS = ["create", "get", "list", "delete", "deletecollection"]


@pytest.fixture(scope="module")
def place(cluster: Cluster, home_namespace: str, postgresql: PostgreSQL, home: Path) -> Place:
    """Steps go to pods, from this process; their engines start pods with the account `engine`."""
    secrets = {"INSTANCE_PASSWORD": postgresql.password}
    account = {"kind": "ServiceAccount", "name": "engine"}
    api = "rbac.authorization.k8s.io"
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": _VERBS}]
    role = {"apiGroup": api, "kind": "Role", "name": "engine"}
    bound = {"roleRef": role, "subjects": [account]}
    metadata = {"metadata": {"name": "engine"}}
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "steps"},
            "data": {path.name: path.read_text() for path in STEPS.glob("*.py")},
        },
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "instance"}, "stringData": secrets},
        {"apiVersion": "v1", "kind": "ServiceAccount", **metadata},
        {"apiVersion": f"{api}/v1", "kind": "Role", **metadata, "rules": rules},
        {"apiVersion": f"{api}/v1", "kind": "RoleBinding", **metadata, **bound},
        namespace=home_namespace,
    )
    image = named("PRACTICUS_TASKS_IMAGE", "the image with Sail, of tests/cluster/images/tasks.Dockerfile")
    variables = {"LAKE": str(home / "lake")}
    config = {
        "backend": "kubernetes",
        "kubernetes": {"namespace": home_namespace, "image": image, "engine_account": "engine"},
        "default": {
            "secrets": ["instance"],
            "env": {"PYTHONPATH": "/steps", **variables},
            "volumes": {
                "/steps": {"configMap": {"name": "steps"}},
                str(home): {"hostPath": {"path": str(home)}},
            },
        },
    }
    here = {**secrets, **variables}
    return Place(home, str(home / "lake"), {}, config, here, module="joins", folder=STEPS)


def started(cluster: Cluster, namespace: str, run: Run) -> int:
    """Return how many pods of engines' workers have started, and assert that none is left."""
    assert cluster.get("pods", namespace, "practicus/engine=worker") == [], run.messages()
    events = cluster.get("events", namespace)
    names = {each["involvedObject"]["name"] for each in events if each["reason"] == "Started"}
    return sum("-sail-" in name for name in names)


def test_rows_of_workers_in_pods_have_the_fingerprint_of_a_server_alone(
    place: Place, cluster: Cluster, home_namespace: str
) -> None:
    run = place.run("equal")
    assert run.succeeded, run.messages()
    versions = {
        event.asset_key.to_user_string(): event.step_materialization_data.materialization.tags[
            "dagster/data_version"
        ]
        for event in run.events("ASSET_MATERIALIZATION")
    }
    assert versions["together"] == versions["alone"]
    assert started(cluster, home_namespace, run) == 2


def test_a_worker_that_is_killed_for_memory_fails_its_step_and_a_retry_commits_once(
    place: Place, cluster: Cluster, home_namespace: str
) -> None:
    run = place.run("hungry")
    error = run.error("STEP_FAILURE", "hungry")
    assert "ended with exit code 137, OOMKilled" in error
    assert "Nothing was written." in error
    assert not Path(place.lake, "hungry").exists()
    assert place.run("hungry").succeeded
    assert place.table("hungry").version() == 0
    rows = place.rows("hungry")
    assert len(rows) == 97
    assert sum(row["total"] for row in rows) == sum(range(20_000))
    started(cluster, home_namespace, run)
