"""Tasks in pods of a real cluster: the examples, tasks that fail, and commands of images without Python."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from deltalake import DeltaTable

from tests.cluster.conftest import named
from tests.servers.cluster import Cluster
from tests.servers.postgresql import PostgreSQL
from tests.workers.place import Place, Run, until

STEPS = Path(__file__).parent / "task_steps"
CHECKOUT = Path(__file__).parents[2]
_RIGHTS = [
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "delete"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
]


@pytest.fixture(scope="session")
def tools_image() -> str:
    """The image of images/tools.Dockerfile."""
    return named("PRACTICUS_TOOLS_IMAGE", "an image without Python, of tests/cluster/images/tools.Dockerfile")


@pytest.fixture(scope="session")
def tasks_image() -> str:
    """The image of images/tasks.Dockerfile."""
    return named("PRACTICUS_TASKS_IMAGE", "the image with examples, of tests/cluster/images/tasks.Dockerfile")


@pytest.fixture(scope="module")
def place(  # noqa: PLR0917 a place needs all of these
    cluster: Cluster, home_namespace: str, image: str, tools_image: str, postgresql: PostgreSQL, home: Path
) -> "TaskPlace":
    """Steps go to pods, from this process; those of commands may start pods of their own."""
    secrets = {"INSTANCE_PASSWORD": postgresql.password}
    account = {"kind": "ServiceAccount", "name": "commands"}
    api = "rbac.authorization.k8s.io"
    role = {"apiGroup": api, "kind": "Role", "name": "commands"}
    named = {"metadata": {"name": "commands"}}
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "steps"},
            "data": {path.name: path.read_text() for path in STEPS.iterdir() if path.is_file()},
        },
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "instance"}, "stringData": secrets},
        {"apiVersion": "v1", "kind": "ServiceAccount", **named},
        {"apiVersion": f"{api}/v1", "kind": "Role", **named, "rules": _RIGHTS},
        {"apiVersion": f"{api}/v1", "kind": "RoleBinding", **named, "roleRef": role, "subjects": [account]},
        namespace=home_namespace,
    )
    config = {
        "backend": "kubernetes",
        "kubernetes": {"namespace": home_namespace, "image": image, "command_account": "commands"},
        "default": {
            "secrets": ["instance"],
            "env": {"PYTHONPATH": "/steps", "LAKE": str(home / "lake"), "TOOLS_IMAGE": tools_image},
            "volumes": {
                "/steps": {"configMap": {"name": "steps"}},
                str(home): {"hostPath": {"path": str(home)}},
            },
        },
    }
    here = {"PYTHONPATH": str(STEPS), "TOOLS_IMAGE": tools_image, "LAKE": str(home / "lake")}
    return TaskPlace(home, str(home / "lake"), {}, config, {**secrets, **here}, "commands", STEPS)


class TaskPlace(Place):
    """A place that has the output of its steps."""

    def output(self, run: Run, suffix: str = "out") -> str:
        """Return what Dagster shows as the output of the run's steps."""
        files = sorted((self.home / "logs" / run.run_id).rglob(f"*.{suffix}"))
        return "".join(file.read_text(errors="replace") for file in files)


@pytest.fixture
def pods_of(cluster: Cluster, home_namespace: str) -> Any:
    """Return the pods of a run's commands, or of its steps."""

    def pods(run: Run, component: str = "command") -> list[dict[str, Any]]:
        labels = f"dagster/run-id={run.run_id},app.kubernetes.io/component={component}"
        return cluster.get("pods", home_namespace, labels)

    return pods


def test_a_command_of_an_image_without_python_is_told_what_it_runs_for_and_reports(
    place: TaskPlace, pods_of: Any
) -> None:
    run = place.run("speaks", tags={"dagster/partition": "2026-01-06"})
    assert run.succeeded, run.messages()
    said = place.output(run)
    assert "it costs $(NAME); mode quick $(MODE); day 2026-01-06 from 2026-01-06T00:00:00+00:00\n" in said
    assert 'keys ["2026-01-06"]; parameters {"MODE": "quick $(MODE)"}; attempt 1\n' in said
    assert "asset speaks; date 2026-01-06\nlake none; password none\n" in said
    assert "on the other stream" in said
    assert "x" * 200_000 in said
    assert "\ufffd\ufffd is no UTF-8" in said
    assert "root is read-only" in said
    assert "the last words" in said
    assert "__dagster_pipes_version" not in said
    [event] = run.events("ASSET_MATERIALIZATION")
    shown = event.step_materialization_data.materialization
    assert shown.metadata["rows"].value == 12
    assert shown.metadata["practicus/exit_code"].value == 0
    assert shown.tags["dagster/data_version"] == "v7"
    [pod] = pods_of(run)
    [container] = pod["spec"]["containers"]
    assert container["resources"]["limits"] == {"memory": "16Mi"}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert [volume["name"] for volume in pod["spec"]["volumes"]] == ["scratch"]
    assert pod["metadata"]["labels"]["app.kubernetes.io/name"] == "practicus-command"


def test_a_commands_exit_code_decides_what_becomes_of_its_step(place: TaskPlace, pods_of: Any) -> None:
    failed = place.run("fails")
    error = failed.error("STEP_FAILURE", "fails")
    assert "the task ended with exit code 3" in error
    assert "about to fail" in error
    [pod] = pods_of(failed)
    assert pod["status"]["phase"] == "Failed"  # and stays, to look inside
    tried = place.run("passes")
    assert tried.succeeded, tried.messages()
    assert len(tried.events("STEP_UP_FOR_RETRY", "passes")) == 1
    assert "attempt 2" in place.output(tried)
    assert [pod["status"]["phase"] for pod in pods_of(tried)] == ["Failed", "Succeeded"]
    skipped = place.run("skips")
    assert skipped.succeeded
    assert not skipped.events("ASSET_MATERIALIZATION")
    unclosed = place.run("unclosed")
    assert "without closing it" in unclosed.error("STEP_FAILURE", "unclosed")


def test_a_command_that_runs_too_long_is_ended_with_its_pod(place: TaskPlace) -> None:
    run = place.run("late")
    error = run.error("STEP_FAILURE", "late")
    assert "WorkerTimedOut: late: it ran longer than its time_limit_seconds, which is 5." in error
    assert "begun" in place.output(run)


def test_a_command_that_runs_out_of_memory_is_tried_again_with_more(place: TaskPlace) -> None:
    run = place.run("grows")
    assert run.succeeded, run.messages()
    assert "killed for memory, of which it may have 16Mi" in run.messages("grows")
    assert "The next attempt gets 32Mi." in run.messages("grows")
    assert "grown" in place.output(run)


def test_a_command_whose_pod_is_deleted_runs_again_and_never_twice_at_a_time(
    place: TaskPlace, cluster: Cluster, home_namespace: str, pods_of: Any
) -> None:
    process = place.start("lost")
    until(lambda: "attempt 1" in place.output(place.newest("lost")), "the command's output")
    [pod] = pods_of(place.newest("lost"))
    cluster.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=false", namespace=home_namespace)
    said, _ = process.communicate()
    run = place.newest("lost")
    assert run.succeeded, said
    assert "WorkerLost" in run.error("STEP_UP_FOR_RETRY", "lost")
    assert "attempt 2" in place.output(run)


def test_a_step_that_is_killed_takes_its_command_with_it_before_the_next_begins(
    place: TaskPlace, cluster: Cluster, home_namespace: str, pods_of: Any
) -> None:
    process = place.start("lost")
    runs = place.instance
    before = {run.run_id for run in runs.get_runs(dg.RunsFilter(job_name="job_lost"))}
    run = until(
        lambda: next(
            (
                Run(runs, each.run_id)
                for each in runs.get_runs(dg.RunsFilter(job_name="job_lost"))
                if each.run_id not in before
            ),
            None,
        ),
        "the run",
    )
    until(lambda: "attempt 1" in place.output(run), "the command's output")
    [first] = pods_of(run)
    [step] = pods_of(run, "step_worker")
    process.send_signal(signal.SIGSTOP)  # else it may end the Job before that has another pod
    for kind, name in (("pod", step["metadata"]["name"]), ("job", job_of(first))):
        cluster.kubectl("delete", kind, name, "--wait=false", namespace=home_namespace)
    until(
        lambda: with_another(pods_of(run), first) or has_failed(cluster, job_of(step), home_namespace),
        "the command of the step's other pod, which its Job makes where that is Kubernetes' way",
    )
    known = pods_of(run)
    assert len(at_work(known)) <= 1
    process.send_signal(signal.SIGCONT)
    pods = until(lambda: with_another(pods_of(run), *known), "the pod of the second attempt")
    assert len(at_work(pods)) <= 1
    said, _ = process.communicate()
    assert run.succeeded, said


def test_a_task_whose_pod_is_deleted_begins_again_when_that_has_ended(
    place: TaskPlace, cluster: Cluster, home_namespace: str, pods_of: Any
) -> None:
    process = place.start("stubborn")
    [first] = until(lambda: at_work(pods_of(place.newest("stubborn"), "step_worker"), "Running"), "the pod")
    run = place.newest("stubborn")
    cluster.kubectl("delete", "pod", first["metadata"]["name"], "--wait=false", namespace=home_namespace)
    pods = until(lambda: with_another_job(pods_of(run, "step_worker"), first), "the second attempt")
    assert job_of(first) not in {job_of(pod) for pod in at_work(pods)}
    said, _ = process.communicate()
    assert run.succeeded, said
    assert "of an earlier attempt has not ended" in run.messages("stubborn")


def at_work(pods: list[dict[str, Any]], *phases: str) -> list[dict[str, Any]]:
    return [pod for pod in pods if pod["status"]["phase"] in (phases or ("Pending", "Running"))]


def job_of(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["labels"]["job-name"])


def with_another_job(pods: list[dict[str, Any]], first: dict[str, Any]) -> list[dict[str, Any]] | None:
    return pods if any(job_of(pod) != job_of(first) for pod in pods) else None


def has_failed(cluster: Cluster, job: str, namespace: str) -> bool:
    conditions = "jsonpath={.status.conditions[*].type}"
    return "Failed" in cluster.kubectl("get", "job", job, "-o", conditions, namespace=namespace)


def with_another(pods: list[dict[str, Any]], *known: dict[str, Any]) -> list[dict[str, Any]] | None:
    uids = {pod["metadata"]["uid"] for pod in known}
    return pods if any(pod["metadata"]["uid"] not in uids for pod in pods) else None


def test_a_run_again_of_one_that_died_begins_a_task_after_what_that_left_has_ended(
    place: TaskPlace, pods_of: Any
) -> None:
    with place.start("slow") as process:
        until(lambda: "begun" in place.output(place.newest("slow")), "the command's output")
        died = place.newest("slow")
        [first] = pods_of(died)
        process.kill()
    instance = place.instance
    recorded = instance.get_run_by_id(died.run_id)
    assert recorded is not None
    instance.report_run_failed(recorded)  # as Dagster's monitoring of runs does
    filters = dg.RunsFilter(job_name="job_slow")
    with ThreadPoolExecutor() as pool:
        ended = pool.submit(place.run, "slow", parent=died.run_id)
        until(lambda: len(instance.get_runs(filters)) == 2, "the second run")
        again = place.newest("slow")
        until(lambda: pods_of(again) or ended.done(), "the command of the second run")
        running = {pod["metadata"]["uid"] for pod in pods_of(died) if pod["status"]["phase"] == "Running"}
        assert first["metadata"]["uid"] not in running
        assert ended.result().succeeded, again.messages()
    assert "which this run re-executes, has not ended" in again.messages("slow")


def test_a_quota_of_jobs_that_is_used_up_is_waited_for_and_told(
    place: TaskPlace, cluster: Cluster, home_namespace: str
) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "no-jobs"}}
    cluster.apply({**quota, "spec": {"hard": {"count/jobs.batch": "0"}}}, namespace=home_namespace)
    process = place.start("shown")
    until(lambda: "exceeded quota" in place.newest("shown").messages("shown"), "the quota to be told")
    time.sleep(15)  # longer than a Job without a pod is let be
    cluster.kubectl("delete", "resourcequota", "no-jobs", namespace=home_namespace)
    said, _ = process.communicate()
    run = place.newest("shown")
    assert run.succeeded, said
    assert not run.events("STEP_UP_FOR_RETRY", "shown")


def test_a_cancelled_run_deletes_the_pod_of_its_command(place: TaskPlace, pods_of: Any) -> None:
    process = place.start("endless")
    until(lambda: "tick" in place.output(place.newest("endless")), "output of a command that still runs")
    run = place.newest("endless")
    assert [pod["status"]["phase"] for pod in pods_of(run)] == ["Running"]
    process.send_signal(signal.SIGINT)
    process.communicate()
    until(lambda: not pods_of(run) and not pods_of(run, "step_worker"), "the pods to go")


def test_a_command_that_cannot_start_fails_at_once_with_the_reason(place: TaskPlace) -> None:
    assert "that-is-not-there" in place.run("imageless").error("STEP_FAILURE", "imageless")
    error = place.run("programless").error("STEP_FAILURE", "programless")
    assert "WorkerRejected" in error
    assert "nothing-of-this-name" in error


def test_a_command_without_an_account_to_start_it_says_what_to_set(place: TaskPlace) -> None:
    kubernetes = {k: v for k, v in place.config["kubernetes"].items() if k != "command_account"}
    run = place.run("skips", config={"kubernetes": kubernetes})
    assert "Set kubernetes: command_account" in run.error("STEP_FAILURE", "skips")


def test_a_task_that_is_killed_for_memory_is_tried_again_with_more(place: TaskPlace) -> None:
    run = place.run("hungry")
    assert run.succeeded, run.messages()
    assert "killed for memory, of which it may have 400Mi" in run.messages("hungry")
    assert "The next attempt gets 800Mi." in run.messages("hungry")
    assert "attempt 2" in place.output(run)


def test_a_task_that_failed_is_kept_to_look_inside_and_its_output_is_shown(
    place: TaskPlace, cluster: Cluster, home_namespace: str, pods_of: Any
) -> None:
    run = place.run("broken")
    assert "the task ended with exit code 3" in run.error("STEP_FAILURE", "broken")
    assert "about to break" in place.output(run)
    [pod] = pods_of(run, "step_worker")
    assert "about to break" in cluster.kubectl("logs", pod["metadata"]["name"], namespace=home_namespace)
    [job] = cluster.get("jobs", home_namespace, f"dagster/run-id={run.run_id}")
    assert job["spec"]["ttlSecondsAfterFinished"] == 900


@pytest.mark.parametrize(
    ("example", "job"), [("flights", "flights"), ("practicus_export", "shop"), ("notebooks", "report")]
)
def test_an_example_runs_by_its_one_command_in_pods_with_a_read_only_root(
    place: TaskPlace, tasks_image: str, pods_of: Any, example: str, job: str
) -> None:
    lake = place.home / "lake"
    config = {
        **place.config,
        "kubernetes": {**place.config["kubernetes"], "image": tasks_image},
        "default": {
            "secrets": ["instance"],
            "memory": "700Mi",
            "cpu": "100m",
            "env": {"PRACTICUS_LAKE": str(lake)},
            "volumes": {str(place.home): {"hostPath": {"path": str(place.home)}}},
        },
    }
    workers = place.home / f"{example}.yaml"
    workers.write_text(yaml.safe_dump(config))
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-m", "dagster", "job", "execute"),
            "-m",
            f"examples.{example}",
            "-j",
            job,
        ],
        env={
            **os.environ,
            **place.environment,
            "DAGSTER_HOME": str(place.home),
            "PRACTICUS_LAKE": str(lake),
            "PRACTICUS_WORKERS": str(workers),
            "PRACTICUS_IMAGE": tasks_image,
            "PYTHONPATH": str(CHECKOUT),
        },
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    [found] = place.instance.get_runs(dg.RunsFilter(job_name=job), limit=1)
    run = Run(place.instance, found.run_id)
    pods = pods_of(run, "step_worker")
    steps = {event.step_key for event in run.events("STEP_SUCCESS")}
    assert len(steps) == len(pods) == 3
    for pod in pods:
        assert pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    if example == "flights":
        assert DeltaTable(str(lake / "final_table")).to_pyarrow_dataset().count_rows() == 3 * 365
    elif example == "practicus_export":
        assert "amounts are in EUR" in place.output(run) + place.output(run, "err")
    else:
        assert list((lake / "_artifacts" / "analysis").rglob("analysis_output.html"))
