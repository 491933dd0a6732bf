"""Workers in pods of a real cluster: all behaviours, and what only a cluster can do to a step."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from deltalake import DeltaTable

from practicus_assets.workers.kubernetes import pod_status
from tests.cluster.conftest import INSTANCE, storage
from tests.servers.cluster import Cluster
from tests.servers.postgresql import PostgreSQL
from tests.servers.seaweedfs import SeaweedFS
from tests.workers.behaviours import Behaviours
from tests.workers.place import HERE, Place, Run, until

_STEPS_VOLUME = {"/steps": {"configMap": {"name": "steps"}}}


class _NothingThere(BaseHTTPRequestHandler):
    """A registry without images (OCI distribution specification, "Error Codes")."""

    def do_GET(self) -> None:
        body = b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}'
        self.send_response(404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 the base class's way

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def registry() -> Iterator[int]:
    """The port of a registry that the node finds at localhost, for it is this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _NothingThere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="module")
def place(  # noqa: PLR0917 a place needs all of these
    cluster: Cluster,
    home_namespace: str,
    image: str,
    postgresql: PostgreSQL,
    s3: SeaweedFS,
    s3_in_pods: dict[str, str],
    registry: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> Place:
    """Steps go to pods, from this process: it is outside of the cluster."""
    home = tmp_path_factory.mktemp("home")
    instance = {**INSTANCE, **storage(cluster, postgresql)}
    (home / "dagster.yaml").write_text(yaml.safe_dump(instance))
    secrets = {"INSTANCE_PASSWORD": postgresql.password, **s3_in_pods}
    equip(cluster, home_namespace, secrets)
    config = {
        "backend": "kubernetes",
        "kubernetes": {"namespace": home_namespace, "image": image},
        "default": {
            "secrets": ["lake"],
            "env": {"PYTHONPATH": "/steps", "LAKE": s3.root_uri},
            "volumes": _STEPS_VOLUME,
        },
    }
    here = {"PYTHONPATH": str(HERE), "REGISTRY_PORT": str(registry), "IMAGE": image}
    return Place(home, s3.root_uri, s3.storage_options(), config, {**secrets, **here})


def equip(cluster: Cluster, namespace: str, secrets: dict[str, str]) -> None:
    """Give a namespace what the steps need: their code, and the way to the lake and the instance."""
    code = {"steps.py": (HERE / "steps.py").read_text()}
    cluster.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "steps"}, "data": code},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "lake"}, "stringData": secrets},
        namespace=namespace,
    )


@pytest.fixture
def run_pods(cluster: Cluster, home_namespace: str) -> Any:
    """Return the pods of a run."""

    def pods(run: Run, namespace: str = home_namespace) -> list[dict[str, Any]]:
        return cluster.get("pods", namespace, f"dagster/run-id={run.run_id}")

    return pods


class TestPods(Behaviours):
    resumed_attempt = 2

    @pytest.fixture(autouse=True)
    def _namespace(self, cluster: Cluster, home_namespace: str) -> None:
        self.cluster, self.namespace = cluster, home_namespace

    def workers(self, place: Place) -> Any:
        pods = self.cluster.get("pods", self.namespace)
        return [each for each in pods if each["status"]["phase"] in {"Pending", "Running"}]


def test_a_pod_has_the_resources_user_and_security_that_were_asked_for(place: Place, run_pods: Any) -> None:
    run = place.run("told")
    [pod] = run_pods(run)
    [container] = pod["spec"]["containers"]
    assert container["resources"] == {
        "limits": {"memory": "400Mi"},
        "requests": {"cpu": "100m", "memory": "400Mi"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
    }
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert pod["spec"]["automountServiceAccountToken"] is False
    [row] = place.rows("told")
    assert row["user"] > 0


def test_a_successful_pod_goes_in_minutes_and_a_failed_one_stays_as_long_as_asked(
    place: Place, cluster: Cluster, home_namespace: str
) -> None:
    kept = {}
    for job in ("told", "raises"):
        run = place.run(
            job, config={"kubernetes": {**place.config["kubernetes"], "keep_succeeded_seconds": 120}}
        )
        [found] = cluster.get("jobs", home_namespace, f"dagster/run-id={run.run_id}")
        kept[job] = found["spec"]["ttlSecondsAfterFinished"]
    assert kept == {"told": 120, "raises": 3600}


def test_a_step_that_runs_out_of_memory_is_tried_again_with_more(place: Place, run_pods: Any) -> None:
    run = place.run("hungry")
    assert run.succeeded, run.messages()
    given = [each["Resources"]["limits"]["memory"] for each in _starts(run, "hungry")]
    assert given == ["200Mi", "400Mi", "800Mi"][: len(given)]
    assert len(given) > 1
    [row] = place.rows("hungry")
    assert row["attempt"] == len(given)
    messages = run.messages("hungry")
    assert "its container was killed for memory, of which it may have 200Mi" in messages
    assert "The next attempt gets 400Mi." in messages
    told = run.metadata("ENGINE_EVENT", "hungry")
    assert told["Exit code"] == 137
    assert re.fullmatch(r"\d+Mi", told["Peak memory"])
    assert told["Node"]
    assert "kubectl" in told["Look inside"]


def test_an_operator_gives_a_run_more_memory_by_a_tag_or_in_the_launchpad(place: Place) -> None:
    by_tag = place.run("hungry", tags={"practicus/worker.hungry": '{"memory": "1Gi"}'})
    by_config = place.run("hungry", config={"workers": {"hungry": {"memory": "1Gi"}}})
    for run in (by_tag, by_config):
        assert run.succeeded, run.messages()
        [start] = _starts(run, "hungry")
        assert start["Resources"]["limits"]["memory"] == "1Gi"


def test_a_step_whose_pod_is_deleted_while_it_writes_is_tried_again_and_the_table_is_right(
    place: Place, cluster: Cluster, home_namespace: str, run_pods: Any
) -> None:
    process = place.start("interrupted")
    until(lambda: place.newest("interrupted").events("STEP_START"), "the step to start")
    time.sleep(5)
    [pod] = run_pods(place.newest("interrupted"))
    deleted = time.time()
    cluster.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=false", namespace=home_namespace)
    output, _ = process.communicate()
    run = place.newest("interrupted")
    assert run.succeeded, output
    assert "WorkerLost: interrupted: its pod was taken away" in run.error("STEP_UP_FOR_RETRY", "interrupted")
    [noticed] = run.times("STEP_UP_FOR_RETRY", "interrupted")
    assert noticed - deleted < 60  # looked at each second, on a machine of any speed
    rows = place.table("interrupted").to_pyarrow_table()
    assert rows.num_rows == 100 << 16
    assert set(rows["attempt"].unique().to_pylist()) == {2}
    assert sorted(rows["batch"].unique().to_pylist()) == list(range(100))
    assert place.table("interrupted").version() == 0


def test_cancelling_a_run_that_dagster_would_resume_ends_its_pods(
    place: Place, tmp_path: Path, run_pods: Any
) -> None:
    resuming = {
        "run_launcher": {"module": "steps", "class": "ResumingLauncher"},
        "run_monitoring": {"enabled": True, "max_resume_run_attempts": 3},
    }
    settings = yaml.safe_load((place.home / "dagster.yaml").read_text())
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump({**settings, **resuming}))
    process = replace(place, home=tmp_path).start("cancelled")
    run = until(
        lambda: (newest := place.newest("cancelled")).events("STEP_START") and newest, "the step to start"
    )
    recorded = place.instance.get_run_by_id(run.run_id)
    assert recorded is not None
    place.instance.report_run_canceling(recorded)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert "because run will be resumed" in run.messages()
    until(lambda: all(each["status"]["phase"] == "Failed" for each in run_pods(run)), "the pod to end")


def test_a_wrong_image_fails_at_once_with_the_reason_and_leaves_no_pod(place: Place, run_pods: Any) -> None:
    run = place.run("imageless")
    assert not run.succeeded
    error = run.error("STEP_FAILURE", "imageless")
    assert "WorkerRejected" in error
    assert "no-such-image" in error
    [start], [failure] = (run.times(kind, "imageless") for kind in ("STEP_WORKER_STARTING", "STEP_FAILURE"))
    assert failure - start < pod_status.PATIENCE_S  # it was not waited for
    assert not run.events("STEP_UP_FOR_RETRY")
    until(lambda: not run_pods(run), "the pod to go")


def test_a_pod_that_the_cluster_refuses_fails_its_step_with_the_reason(place: Place) -> None:
    run = place.run("without_account")
    error = run.error("STEP_FAILURE", "without_account")
    assert "WorkerRejected" in error
    assert "nobody-here" in error


def test_the_job_that_is_printed_is_the_one_that_runs(
    place: Place, cluster: Cluster, home_namespace: str, tmp_path: Path
) -> None:
    run = place.run("tagged")
    assert run.succeeded, run.messages()
    [job] = cluster.get("jobs", home_namespace, f"dagster/run-id={run.run_id}")
    workers = tmp_path / "workers.yaml"
    workers.write_text(yaml.safe_dump(dict(place.config)))
    command = [str(Path(sys.executable).with_name("practicus-assets")), "worker", "tagged", "--yaml"]
    printed = yaml.safe_load(
        subprocess.run(
            [*command, "-j", "job_tagged", "-f", str(HERE / "steps.py")],
            env={**os.environ, **place.environment, "PRACTICUS_WORKERS": str(workers)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    ours, theirs = (each["spec"]["template"] for each in (printed, job))
    assert theirs["metadata"]["labels"].items() >= {"by": "tag", "dagster/op": "tagged"}.items()
    assert ours["metadata"]["labels"].keys() <= theirs["metadata"]["labels"].keys()
    [our_container], [their_container] = ours["spec"].pop("containers"), theirs["spec"].pop("containers")
    our_names = {variable["name"] for variable in our_container.pop("env")}
    assert our_names <= {variable["name"] for variable in their_container.pop("env")}
    assert their_container["resources"]["requests"] == {"cpu": "110m", "memory": "410Mi"}
    assert _lacking(our_container, their_container) == {}
    assert _lacking(ours["spec"], theirs["spec"]) == {}


def _lacking(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Return fields that differ, without those that the API server fills in."""
    return {
        name: (value, theirs.get(name))
        for name, value in ours.items()
        if value
        and value != theirs.get(name)
        and not (name == "volumes" and _names(value) == _names(theirs[name]))
    }


def _names(volumes: list[dict[str, Any]]) -> list[str]:
    return [volume["name"] for volume in volumes]


def test_a_mistake_in_the_tag_of_one_step_fails_that_step_and_leaves_its_siblings_be(place: Place) -> None:
    run = place.run("beside_a_mistake")
    assert not run.succeeded
    error = run.error("STEP_FAILURE", "mistagged")
    assert "WorkerRejected: mistagged: the tag dagster-k8s/config of mistagged" in error
    assert "container_config.resorces is no field of Container (did you mean resources?)" in error
    assert run.events("STEP_SUCCESS", "left"), run.messages()
    assert len(place.rows("left")) == 1


def test_memory_that_may_not_grow_is_a_matter_of_the_authors_policy(place: Place) -> None:
    run = place.run("greedy")
    assert not run.succeeded
    assert [s["Resources"]["limits"]["memory"] for s in _starts(run, "greedy")] == ["200Mi", "200Mi"]


def test_a_pod_that_passes_its_own_limit_of_disk_fails_once_and_says_what_to_raise(place: Place) -> None:
    run = place.run("spilling")
    assert not run.succeeded
    error = run.error("STEP_FAILURE", "spilling")
    assert "WorkerOutOfStorage: spilling: its pod was evicted: it used more local disk than" in error
    assert "30Mi" in error
    assert "Raise ephemeral_storage of its worker" in error
    assert len(_starts(run, "spilling")) == 1


@pytest.mark.parametrize(
    ("lake", "storage"),
    [
        ("/lake", "in the container's own file system"),
        ("/tmp/lake", "in the emptyDir volume that is mounted at /tmp"),  # noqa: S108 of the pod
    ],
)
def test_a_lake_that_is_gone_with_the_pod_is_refused_before_the_function_runs(  # noqa: PLR0917 fixtures
    place: Place, cluster: Cluster, home_namespace: str, run_pods: Any, lake: str, storage: str
) -> None:
    default = {**place.config["default"], "env": {**place.config["default"]["env"], "LAKE": lake}}
    run = place.run("homeless", config={"default": default})
    assert not run.succeeded
    error = run.error("STEP_FAILURE", "homeless")
    assert f"the lake's folder {lake} is {storage}, which is gone with this pod" in error
    [pod] = run_pods(run)
    log = cluster.kubectl("logs", pod["metadata"]["name"], namespace=home_namespace)
    assert "the function ran" not in log


def test_a_lake_in_a_folder_of_the_node_is_taken(place: Place, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    default = {**place.config["default"], "env": {**place.config["default"]["env"], "LAKE": "/lake/here"}}
    volumes = {**_STEPS_VOLUME, "/lake": {"hostPath": {"path": str(tmp_path)}}}
    run = place.run("homeless", config={"default": {**default, "volumes": volumes}})
    assert run.succeeded, run.messages()
    assert DeltaTable(str(tmp_path / "here" / "homeless")).to_pyarrow_table().num_rows == 1


def test_a_sidecar_does_not_keep_the_pod_of_a_step_that_has_ended(place: Place, run_pods: Any) -> None:
    run = place.run("accompanied")
    assert run.succeeded, run.messages()
    until(lambda: not run_pods(run), "the pod to go")


def test_a_pod_that_cannot_be_scheduled_says_why_while_it_waits(place: Place) -> None:
    process = place.start("huge")
    until(lambda: "Insufficient cpu" in place.newest("huge").messages("huge"), "the scheduler's reason")
    process.send_signal(signal.SIGINT)
    process.communicate()


def test_a_step_that_takes_longer_than_its_time_limit_is_ended_and_says_so(place: Place) -> None:
    run = place.run("late")
    assert "WorkerTimedOut: late: it ran longer than its time_limit_seconds, which is 8." in run.error(
        "STEP_FAILURE", "late"
    )


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ("cut_off", "attempt 2 committed the same scope"),
        ("plain_cut_off", "Finished execution of step"),  # an IO manager's own lands, and is not reported
    ],
)
def test_an_attempt_that_was_cut_off_and_comes_back_is_refused_and_reports_nothing(  # noqa: PLR0917 fixtures
    place: Place, cluster: Cluster, home_namespace: str, run_pods: Any, step: str, says: str
) -> None:
    """Its pod is deleted, but it is frozen and does not hear of it; the retry lands; then it thaws."""
    process = place.start(step)
    until(lambda: place.newest(step).events("STEP_START"), "the step to start")
    run = place.newest(step)
    [pod] = run_pods(run)
    name = pod["metadata"]["name"]
    processes = _processes(cluster, name, home_namespace)
    assert len(processes) == 2, "the step, and the one that watches it"
    _signal(cluster, name, home_namespace, "SIGSTOP", *processes)
    cluster.kubectl("delete", "pod", name, "--wait=false", namespace=home_namespace)
    output, _ = process.communicate()
    assert run.succeeded, output
    assert place.rows(step) == [{"attempt": 2}]
    [child] = [pid for pid, parent in processes.items() if parent in processes]
    _signal(cluster, name, home_namespace, "SIGCONT", child)
    log = until(
        lambda: (
            (text := cluster.kubectl("logs", name, namespace=home_namespace))
            and "given up on" in text
            and text
        ),
        "the attempt to end",
    )
    assert says in log
    assert place.rows(step) == [{"attempt": 2}]
    assert len(run.events("STEP_SUCCESS", step)) == 1
    assert not run.events("STEP_FAILURE", step)
    _signal(cluster, name, home_namespace, "SIGCONT", *(pid for pid in processes if pid != child))


def test_steps_of_one_run_go_to_the_regions_that_their_workers_name(
    place: Place, cluster: Cluster, run_pods: Any
) -> None:
    with cluster.namespace() as east, cluster.namespace() as west:
        regions = {}
        for name, namespace in (("east", east), ("west", west)):
            equip(cluster, namespace, dict(place.environment))
            account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": f"steps-{name}"}}
            cluster.apply(account, namespace=namespace)
            regions[name] = {
                "namespace": namespace,
                "service_account": f"steps-{name}",
                "image": place.config["kubernetes"]["image"],
                "env": {"PLACE": name},
            }
        run = place.run("regions", config={"kubernetes": {**place.config["kubernetes"], "regions": regions}})
        assert run.succeeded, run.messages()
        assert place.rows("in_west") == [{"place": "east", "also": "west-by-script"}]
        accounts = {
            pod["metadata"]["labels"]["dagster/op"]: pod["spec"]["serviceAccountName"]
            for namespace in (east, west)
            for pod in run_pods(run, namespace)
        }
        assert accounts == {"in_east": "steps-east", "in_west": "steps-west"}


def _starts(run: Run, step: str) -> list[dict[str, Any]]:
    events = run.events("STEP_WORKER_STARTING", step)
    return [{k: v.value for k, v in each.event_specific_data.metadata.items()} for each in events]


def _processes(cluster: Cluster, pod: str, namespace: str) -> dict[int, int]:
    """Return the processes that run a step in a pod, each with its parent."""
    script = """
import os, pathlib
for path in pathlib.Path("/proc").glob("[0-9]*"):
    if b"execute_step" in (path / "cmdline").read_bytes() and path.name != str(os.getpid()):
        print(path.name, (path / "stat").read_text().rsplit(")", 1)[1].split()[1])
"""
    printed = cluster.kubectl("exec", pod, "--", "python", "-c", script, namespace=namespace)
    return {int(pid): int(parent) for pid, parent in (line.split() for line in printed.splitlines())}


def _signal(cluster: Cluster, pod: str, namespace: str, name: str, *pids: int) -> None:
    script = f"import os, signal; [os.kill(pid, signal.{name}) for pid in {list(pids)}]"
    cluster.kubectl("exec", pod, "--", "python", "-c", script, namespace=namespace)
