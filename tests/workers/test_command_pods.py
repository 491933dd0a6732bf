"""Commands in images without this package, without a cluster: their Jobs, and logs on bad connections."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import ProtocolError

from practicus_assets import Worker
from practicus_assets.errors import WorkerRejected
from practicus_assets.workers.kubernetes import pod_status
from practicus_assets.workers.kubernetes.command_log import CommandLog
from practicus_assets.workers.kubernetes.command_pod import CommandPod, command_job_name, with_command
from practicus_assets.workers.kubernetes.earlier_attempts import EarlierAttempts
from practicus_assets.workers.kubernetes.job import step_job
from practicus_assets.workers.placement.configuration import Configuration
from practicus_assets.workers.placement.placement import Placement
from practicus_assets.workers.placement.region import Region
from practicus_assets.workers.request.manifest import job_name
from practicus_assets.workers.steps import planned_run

RUN = planned_run("nightly", run_id="3f2a9c1e-0000-4000-8000-000000000000", image="pipelines:1")
OWN_CODE = {
    "env": {"LAKE": "s3://lake"},
    "secrets": ["lake"],
    "config_maps": ["settings"],
    "volumes": {"/steps": {"configMap": {"name": "steps"}}},
    "service_account": "steps",
    "service_account_token": True,
    "startup_script": "echo started",
    "pod_spec": {"hostNetwork": True},
}


def placed(worker: Worker, **default: Any) -> Placement:
    regions = {"image": "pipelines:1", "env": {"PLACE": "here"}, "command_account": "commands"}
    config = {"default": {**default, "cpu": "100m"}, "kubernetes": regions}
    return Configuration.of(config).place("report", worker, bare_image=True)


def job_of(worker: Worker, **default: Any) -> dict[str, Any]:
    placement = placed(worker, **default)
    return step_job("report-1", placement, RUN, environment={}, launcher=None)


def test_a_command_has_what_its_worker_says_and_nothing_of_what_steps_have_by_default() -> None:
    job = job_of(Worker(image="report:3", memory="1Gi", env={"A": "b"}), **OWN_CODE)
    pod = job["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["image"] == "report:3"
    assert container["env"] == [{"name": "HOME", "value": "/tmp"}, {"name": "A", "value": "b"}]  # noqa: S108
    assert not any(container.get(field) for field in ("envFrom", "command", "args"))
    assert [volume["name"] for volume in pod["volumes"]] == ["scratch"]
    assert pod["automountServiceAccountToken"] is False
    assert not any(pod.get(field) for field in ("hostNetwork", "serviceAccountName"))
    assert container["resources"]["requests"] == {"cpu": "100m", "memory": "1Gi"}
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/name"] == "practicus-command"  # network policies of Dagster's pods


def test_the_step_that_starts_a_command_has_what_steps_have_and_the_account_to_start_it() -> None:
    starter = placed(Worker(image="report:3", memory="1Gi", gpu=1, time_limit_seconds=60), **OWN_CODE).starter
    assert starter is not None
    assert starter.worker.image == "pipelines:1"
    assert starter.worker.secrets == ["lake"]
    assert (starter.worker.service_account, starter.worker.service_account_token) == ("commands", True)
    assert (starter.worker.memory, starter.worker.gpu, starter.worker.time_limit_seconds) == (
        None,
        None,
        None,
    )


def test_a_command_and_its_variables_reach_the_container_as_they_are() -> None:
    job = with_command(
        job_of(Worker(image="report:3")),
        ["sh", "-c", "echo $(date) $$ $HOME"],
        {"A": "$(B)", "HOME": "/here"},
    )
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["sh", "-c", "echo $$(date) $$$$ $$HOME"]  # Kubernetes reads $$ as $
    assert container["env"] == [{"name": "A", "value": "$$(B)"}, {"name": "HOME", "value": "/here"}]


def test_a_startup_script_of_the_commands_own_worker_runs_before_it() -> None:
    job = with_command(job_of(Worker(image="report:3", startup_script="cd /data")), ["report"], {})
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert container["command"][:2] == ["/bin/sh", "-ec"]
    assert container["args"] == ["report"]


def test_a_commands_job_is_named_like_that_of_no_step() -> None:
    assert command_job_name("report", RUN.run_id, 2) != job_name("report.command", RUN.run_id, 2)
    assert command_job_name("report", RUN.run_id, 2).endswith("-2")


class Answer:
    """A log as the API server sends it, which may break off."""

    def __init__(self, chunks: Sequence[bytes], *, breaks: bool = False) -> None:
        self._chunks, self._breaks = chunks, breaks

    def stream(self, _: int) -> Iterator[bytes]:
        yield from self._chunks
        if self._breaks:
            raise ProtocolError("Connection broken")

    def close(self) -> None: ...


class Logs:
    """A cluster of one container, whose log is read more than once."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)

    def follow_log(self, *_: str) -> Answer:
        return self._answers.pop(0)


def passed_on(*answers: Answer) -> bytes:
    taken: list[bytes] = []
    log = CommandLog(Logs(*answers), taken.append)  # type: ignore[arg-type] # as far as a log goes
    log.begin("pod")
    log.finish()
    return b"".join(taken)


def test_output_is_passed_on_once_however_often_the_connection_breaks() -> None:
    assert (
        passed_on(
            Answer([b"one\n", b"tw"], breaks=True),
            Answer([b"one\ntwo\nth"], breaks=True),
            Answer([b"one", b"\ntwo\nthree\n"]),
        )
        == b"one\ntwo\nthree\n"
    )


@pytest.mark.parametrize("after", [[b"new\n"], [b"a log of another file\n"]], ids=["shorter", "longer"])
def test_a_log_that_was_rotated_while_the_connection_was_lost_says_that_output_may_be_missing(
    after: list[bytes],
) -> None:
    said = passed_on(Answer([b"one\ntwo\n"], breaks=True), Answer(after))
    assert said.startswith(b"one\ntwo\n")
    assert b"output may be missing" in said


class Jobs:
    """A cluster with Jobs of earlier attempts, and with pods that have a phase at each look."""

    def __init__(
        self,
        jobs: dict[str, dict[str, Any]] | None = None,
        phase: str = "Failed",
        left: dict[str, list[str]] | None = None,
    ) -> None:
        self.jobs, self.phase = jobs or {}, phase
        self.left = left or {}
        self.deleted: list[str] = []
        self.made: list[dict[str, Any]] = []
        self.namespace, self.region = "steps", Region()

    def job(self, name: str) -> dict[str, Any] | None:
        return self.jobs.get(name)

    def delete_job(self, name: str) -> None:
        self.deleted.append(name)
        self.jobs.pop(name, None)

    def pods(self, selector: str) -> list[dict[str, Any]]:
        name = selector.removeprefix("job-name=")
        if self.left.get(name):
            return [pod_of(name, self.left[name].pop(0))]
        if not self.made or name != self.made[-1]["metadata"]["name"]:
            return []
        ended = {"name": "dagster", "state": {"terminated": {"exitCode": 3, "reason": "Error"}}}
        return [pod_of(name, self.phase, ended)]

    def create_job(self, job: dict[str, Any]) -> None:
        self.made.append(json.loads(json.dumps(job)))

    def follow_log(self, *_: str) -> Answer:
        return Answer([b"said\n"])

    def kubectl(self, *words: str) -> str:
        return " ".join(("kubectl", *words))


def pod_of(job: str, phase: str, *containers: dict[str, Any]) -> dict[str, Any]:
    status = {"phase": phase, "containerStatuses": list(containers)}
    spec = {"containers": [], "nodeName": "node-1"}
    return {"metadata": {"uid": "1", "name": f"{job}-pod"}, "spec": spec, "status": status}


OWNER = {"kind": "Pod", "name": "step", "uid": "7"}


def run(cluster: Jobs, attempt: int, take: Any = lambda _: None) -> int:
    """Run the command of an attempt, whose Job is report-N and that of its step is step-N."""
    job = job_of(Worker(image="report:3"))
    job["metadata"]["name"] = f"report-{attempt}"
    earlier = EarlierAttempts(cluster, f"step-{attempt}", f"report-{attempt}", attempt, 0)  # type: ignore[arg-type] # as far as a command's pod goes
    return CommandPod(job, cluster, OWNER, earlier).run(["report"], {}, take)  # type: ignore[arg-type] # the same


def test_what_an_earlier_attempt_left_running_ends_before_the_command_begins() -> None:
    over = {"status": {"conditions": [{"type": "Failed", "status": "True"}]}}
    cluster, taken = Jobs({"report-1": over, "report-2": {"status": {}}, "report-3": over}), []
    assert run(cluster, 3, taken.append) == 3
    assert cluster.deleted == ["report-2", "report-3"]  # the first stays, to look inside
    assert cluster.made[0]["metadata"]["ownerReferences"] == [OWNER]
    assert b"".join(taken) == b"said\n"


def test_a_command_waits_for_an_earlier_pod_whose_job_is_deleted_already() -> None:
    cluster = Jobs(left={"report-1": ["Failed"], "report-2": ["Running", "Running"]})
    assert run(cluster, 3) == 3
    assert cluster.left == {"report-1": [], "report-2": []}


def test_a_command_waits_for_that_of_another_pod_of_its_attempt_whose_job_is_deleted_already() -> None:
    cluster = Jobs(left={"report-1": ["Running", "Failed"]})  # one that stays would be taken for its own
    assert run(cluster, 1) == 3
    assert cluster.left == {"report-1": []}


def test_a_command_waits_for_an_earlier_step_that_might_start_its_own_yet(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cluster = Jobs(left={"step-1": ["Running", "Running"]})
    assert run(cluster, 2) == 3
    assert cluster.left == {"step-1": []}
    said = capsys.readouterr().err
    assert said.count("waits for an earlier one to end") == 1
    assert "the pod step-1-pod is Running on the node node-1" in said


def test_an_earlier_attempt_that_does_not_end_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pod_status, "PATIENCE_S", 0.5)
    cluster = Jobs(left={"step-1": ["Running"] * 9})
    with pytest.raises(WorkerRejected, match="the pod step-1-pod is Running on the node node-1") as refused:
        run(cluster, 2)
    assert "kubectl delete pod step-1-pod --force" in str(refused.value)
    assert not cluster.made


def test_the_job_of_a_command_that_its_step_loses_sight_of_is_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = Jobs()

    def refuse(_: str) -> list[dict[str, Any]]:
        if not cluster.made:
            return []
        raise ApiException(status=403, reason="Forbidden")

    monkeypatch.setattr(cluster, "pods", refuse)
    with pytest.raises(WorkerRejected):
        run(cluster, 1)
    assert [job["metadata"]["name"] for job in cluster.made] == cluster.deleted == ["report-1"]


def test_what_goes_on_beside_a_command_ends_with_it() -> None:
    cluster = Jobs(phase="Running")  # the phase of a pod whose sidecar runs
    assert run(cluster, 1) == 3
    assert cluster.deleted == ["report-1"]
