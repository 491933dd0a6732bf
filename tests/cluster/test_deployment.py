"""The deployment of deploy/, with the pipeline that ships, on PostgreSQL and an S3 lake."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from deltalake import DeltaTable

from tests.servers.cluster import HANGS_S, Cluster, wait_until
from tests.servers.deployment import Dagster, Deployment
from tests.servers.postgresql import PostgreSQL
from tests.servers.seaweedfs import SeaweedFS

ASKED = {  # by pipelines/tables.py
    "table1_new": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
    "table2_new": {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"memory": "512Mi"}},
    "final_table": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
}
TABLES = tuple(ASKED)
DAYS = ("2013-07-04", "2013-07-05")
RANGE = {"dagster/asset_partition_range_start": DAYS[0], "dagster/asset_partition_range_end": DAYS[-1]}


@pytest.fixture(scope="module")
def place(cluster: Cluster) -> Iterator[str]:
    """The deployment's namespace."""
    with cluster.namespace() as name:
        yield name


@pytest.fixture(scope="module")
def lake(place: str, s3_in_pods: dict[str, str]) -> dict[str, str]:
    return {"PRACTICUS_LAKE": f"s3://lake/{place}", **s3_in_pods}


@pytest.fixture(scope="module")
def deployment(
    cluster: Cluster,
    place: str,
    postgresql: PostgreSQL,
    lake: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Deployment:
    postgresql.create_database(place)
    return Deployment(cluster, postgresql, place, lake, tmp_path_factory.mktemp("deployment"))


@pytest.fixture(scope="module")
def dagster(deployment: Deployment, cluster: Cluster, place: str, image: str) -> Iterator[Dagster]:
    deployment.deploy(place, image)
    with cluster.forward("service/dagster-webserver", 80, place) as url:
        yield Dagster(url)


@pytest.fixture(scope="module")
def run(dagster: Dagster) -> str:
    """A run of all three tables, two days of them, that succeeded."""
    run_id = dagster.launch(*TABLES, tags=RANGE)
    status = dagster.wait(run_id)
    assert status == "SUCCESS", [event.get("message") for event in dagster.events(run_id)]
    return run_id


@pytest.fixture(scope="module")
def pods(cluster: Cluster, place: str, run: str) -> dict[str, dict[str, Any]]:
    """The pods of the run's steps, by step."""
    selector = f"dagster/run-id={run},app.kubernetes.io/component=step_worker"
    cluster.kubectl(
        "wait", "job", "-l", selector, "--for=condition=complete", f"--timeout={HANGS_S}s", namespace=place
    )
    found = cluster.get("pods", place, selector)
    by_step = {pod["metadata"]["labels"]["dagster/op"]: pod for pod in found}
    assert len(by_step) == len(found), "a step had more than one pod"
    return by_step


def test_each_table_has_a_pod_of_its_own(pods: dict[str, dict[str, Any]]) -> None:
    assert set(pods) == set(TABLES)
    assert {pod["status"]["phase"] for pod in pods.values()} == {"Succeeded"}


def test_the_first_two_tables_are_made_at_the_same_time_and_the_last_after_them(
    pods: dict[str, dict[str, Any]], run: str, dagster: Dagster
) -> None:
    ended = {step: pod["status"]["containerStatuses"][0]["state"]["terminated"] for step, pod in pods.items()}
    first, second = ended["table1_new"], ended["table2_new"]
    assert max(first["startedAt"], second["startedAt"]) < min(first["finishedAt"], second["finishedAt"])
    order = [(event["__typename"], event["stepKey"]) for event in dagster.events(run) if event.get("stepKey")]
    last = order.index(("StepWorkerStartingEvent", "final_table"))
    for step in ("table1_new", "table2_new"):
        assert order.index(("ExecutionStepSuccessEvent", step)) < last


def test_each_pod_has_the_resources_the_image_and_the_user_that_were_asked_for(
    pods: dict[str, dict[str, Any]], image: str
) -> None:
    for step, pod in pods.items():
        (container,) = pod["spec"]["containers"]
        assert container["resources"] == ASKED[step]
        assert container["image"] == image
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["securityContext"]["runAsUser"] == 10001
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_the_jobs_of_steps_are_owned_by_the_pod_of_their_run(cluster: Cluster, place: str, run: str) -> None:
    selector = f"dagster/run-id={run},app.kubernetes.io/component=step_worker"
    owners = [job["metadata"]["ownerReferences"] for job in cluster.get("jobs", place, selector)]
    assert len(owners) == len(TABLES)
    ((kind, name),) = {(owner["kind"], owner["name"]) for (owner,) in owners}
    assert kind == "Pod"
    assert name.startswith(f"dagster-run-{run}")


def test_the_lake_holds_the_days_and_nothing_else(run: str, s3: SeaweedFS, lake: dict[str, str]) -> None:
    rows = {}
    for name in TABLES:
        table = DeltaTable(f"{lake['PRACTICUS_LAKE']}/{name}", storage_options=s3.storage_options())
        days = table.to_pandas(columns=["day"])["day"]
        assert set(days) == {date.fromisoformat(day) for day in DAYS}
        rows[name] = len(days)
    assert rows == {"table1_new": 1559, "table2_new": 144, "final_table": 1559}


def test_a_run_that_is_cancelled_leaves_no_pod(
    cluster: Cluster, place: str, run: str, dagster: Dagster
) -> None:
    months = {  # long enough to be in time
        "dagster/asset_partition_range_start": "2013-01-01",
        "dagster/asset_partition_range_end": "2013-04-30",
    }
    cancelled = dagster.launch(*TABLES, tags=months)
    started = ("StepWorkerStartedEvent", "table1_new")
    wait_until(
        lambda: started in [(e["__typename"], e.get("stepKey")) for e in dagster.events(cancelled)],
        HANGS_S,
        "a step to start",
    )
    dagster.cancel(cancelled)
    assert dagster.wait(cancelled) == "CANCELED"
    wait_until(
        lambda: not cluster.get("pods", place, f"dagster/run-id={cancelled}"), HANGS_S, "the pods to go"
    )
    assert not cluster.get("jobs", place, f"dagster/run-id={cancelled}")


def test_a_step_has_no_token_and_an_account_without_rights(
    cluster: Cluster, place: str, pods: dict[str, dict[str, Any]]
) -> None:
    for pod in pods.values():
        assert pod["spec"]["serviceAccountName"] == "dagster-step"
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert sorted(volume["name"] for volume in pod["spec"]["volumes"]) == ["scratch", "workers"]
    assert rights(cluster, place, "dagster-step") == rights(cluster, place, "nobody")


def test_each_account_has_just_its_rights(cluster: Cluster, place: str, dagster: Dagster) -> None:
    anyone = rights(cluster, place, "nobody")
    accounts = ("webserver", "daemon", "code", "run", "step")
    assert {name: rights(cluster, place, f"dagster-{name}") - anyone for name in accounts} == {
        "webserver": {"jobs.batch [] [] [delete]", "pods [] [] [list delete]"},
        "daemon": {
            "jobs.batch [] [] [create list delete]",
            "jobs.batch/status [] [] [get]",
            "pods [] [] [list delete]",
            "pods/log [] [] [get]",
            "events [] [] [list]",
        },
        "code": set(),
        "run": {
            "jobs.batch [] [] [create get list patch delete]",
            "pods [] [] [get list]",
            "pods/log [] [] [get]",
            "events [] [] [list]",
        },
        "step": set(),
    }


def test_runs_and_events_are_kept_in_postgresql(run: str, place: str, postgresql: PostgreSQL) -> None:
    assert postgresql.execute(f"SELECT status FROM runs WHERE run_id = '{run}'", place) == [("SUCCESS",)]
    found = postgresql.execute(
        f"SELECT DISTINCT asset_key FROM event_logs WHERE run_id = '{run}' AND "
        "dagster_event_type = 'ASSET_MATERIALIZATION' ORDER BY 1",
        place,
    )
    assert found == [(f'["{table}"]',) for table in sorted(TABLES)]


def test_logs_of_steps_are_kept_in_the_bucket_and_shown(run: str, dagster: Dagster) -> None:
    captured = [e for e in dagster.events(run) if e["__typename"] == "LogsCapturedEvent"]
    keys = {step: event["fileKey"] for event in captured for step in event["stepKeys"] or ()}
    query = "query ($key: [String!]!) { capturedLogs(logKey: $key) { stderr } }"
    for table in TABLES:
        logs = dagster.ask(query, key=[run, "compute_logs", keys[table]])["capturedLogs"]
        assert f'Started execution of step "{table}"' in logs["stderr"]


def test_a_run_sends_a_step_to_the_namespace_of_a_region(
    deployment: Deployment, cluster: Cluster, place: str, namespace: str, dagster: Dagster
) -> None:
    deployment.add_region(namespace, home=place)
    config = {
        "execution": {
            "config": {
                "workers": {"table2_new": {"region": "eu"}},
                "kubernetes": {
                    "regions": {"eu": {"namespace": namespace, "service_account": "dagster-step"}}
                },
            }
        }
    }
    run_id = dagster.launch("table1_new", "table2_new", tags=RANGE, run_config=config)
    status = dagster.wait(run_id)
    assert status == "SUCCESS", [event.get("message") for event in dagster.events(run_id)]
    selector = f"dagster/run-id={run_id},app.kubernetes.io/component=step_worker"
    steps = {
        where: [pod["metadata"]["labels"]["dagster/op"] for pod in cluster.get("pods", where, selector)]
        for where in (place, namespace)
    }
    assert steps == {place: ["table1_new"], namespace: ["table2_new"]}


def rights(cluster: Cluster, place: str, account: str) -> set[str]:
    """Return what a service account may do in the namespace, as `kubectl auth can-i --list` tells it."""
    who = f"system:serviceaccount:{place}:{account}"
    lines = cluster.kubectl("auth", "can-i", "--list", f"--as={who}", namespace=place).splitlines()[1:]
    return {" ".join(line.split()) for line in lines}
