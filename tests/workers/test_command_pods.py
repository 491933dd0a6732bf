"""Commands in images without this package, without a cluster: their Jobs, and logs on bad connections."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from urllib3.exceptions import ProtocolError

from practicus_assets import Worker
from practicus_assets.workers.kubernetes.command_log import CommandLog
from practicus_assets.workers.kubernetes.command_pod import CommandPod, command_job_name, with_command
from practicus_assets.workers.kubernetes.job import step_job
from practicus_assets.workers.placement.configuration import Configuration
from practicus_assets.workers.placement.placement import Placement
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
    """A cluster with Jobs of earlier attempts."""

    def __init__(
        self,
        jobs: dict[str, dict[str, Any]],
        phase: str = "Failed",
        left: dict[str, list[str]] | None = None,
    ) -> None:
        self.jobs, self.phase = jobs, phase
        self.left = left or {}  # the phases of an earlier Job's pod, one at each look
        self.deleted: list[str] = []
        self.made: list[dict[str, Any]] = []

    def job(self, name: str) -> dict[str, Any] | None:
        return self.jobs.get(name)

    def delete_job(self, name: str) -> None:
        self.deleted.append(name)
        self.jobs.pop(name, None)

    def pods(self, selector: str) -> list[dict[str, Any]]:
        name = selector.removeprefix("job-name=")
        if self.left.get(name):
            return [{"metadata": {"uid": "0", "name": "left"}, "status": {"phase": self.left[name].pop(0)}}]
        if not self.made or name != self.made[-1]["metadata"]["name"]:
            return []
        ended = {"name": "dagster", "state": {"terminated": {"exitCode": 3, "reason": "Error"}}}
        status = {"phase": self.phase, "containerStatuses": [ended]}
        return [{"metadata": {"uid": "1", "name": "pod"}, "spec": {"containers": []}, "status": status}]

    def create_job(self, job: dict[str, Any]) -> None:
        self.made.append(json.loads(json.dumps(job)))

    def follow_log(self, *_: str) -> Answer:
        return Answer([b"said\n"])


def test_what_an_earlier_attempt_left_running_ends_before_the_command_begins() -> None:
    over = {"status": {"conditions": [{"type": "Failed", "status": "True"}]}}
    cluster = Jobs({"report-1": over, "report-2": {"status": {}}, "report-3": over})
    job, owner, taken = job_of(Worker(image="report:3")), {"kind": "Pod", "name": "step", "uid": "7"}, []
    job["metadata"]["name"] = "report-3"
    pod = CommandPod(job, cluster, owner, 3)  # type: ignore[arg-type] # as far as a command's pod goes
    assert pod.run(["report"], {}, taken.append) == 3  # type: ignore[func-returns-value]
    assert cluster.deleted == ["report-2", "report-3"]  # the first stays, to look inside
    assert cluster.made[0]["metadata"]["ownerReferences"] == [owner]
    assert b"".join(taken) == b"said\n"


def test_a_command_waits_for_an_earlier_pod_whose_job_is_deleted_already() -> None:
    left = {"report-1": ["Failed"], "report-2": ["Running", "Running"]}
    cluster = Jobs({}, left=left)
    job = job_of(Worker(image="report:3"))
    job["metadata"]["name"] = "report-3"
    pod = CommandPod(job, cluster, None, 3)  # type: ignore[arg-type] # as far as a command's pod goes
    assert pod.run(["report"], {}, lambda _: None) == 3
    assert left == {"report-1": [], "report-2": []}
    assert cluster.deleted == []


def test_what_goes_on_beside_a_command_ends_with_it() -> None:
    cluster = Jobs({}, phase="Running")  # the phase of a pod whose sidecar runs
    pod = CommandPod(job_of(Worker(image="report:3")), cluster, None, 1)  # type: ignore[arg-type] # the same
    assert pod.run(["report"], {}, lambda _: None) == 3
    assert cluster.deleted == ["report-1"]
