"""The pods of splits without a cluster: what they ask for, how they end, and what becomes of the step."""

import hashlib
import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from practicus_assets import Splits, Worker
from practicus_assets.engines import pods
from practicus_assets.engines.answers import SplitFailed, answer, refusal_of
from practicus_assets.engines.pods import SplitPods
from practicus_assets.engines.splits import Split
from practicus_assets.errors import (
    DeclarationError,
    WorkerCrashed,
    WorkerLost,
    WorkerOutOfMemory,
    WorkerRejected,
    WorkerTimedOut,
)
from practicus_assets.workers.kubernetes.split_jobs import SplitJobs
from practicus_assets.workers.launch import variables
from practicus_assets.workers.placement.configuration import Configuration
from practicus_assets.workers.placement.placement import Placement
from practicus_assets.workers.steps import planned_run
from tests.workers.pods_here import OWNER, RUNNING, PodsHere, ended

RUN = planned_run("nightly", run_id="3f2a9c1e-0000-4000-8000-000000000000", image="pipelines:1")
SPOT = {"node_selector": {"spot": "yes"}}
REGION = {"command_account": "starters", "service_account": "steps", "spot": SPOT}
NO_ROOM = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no room."}
DRAINED = {"type": "DisruptionTarget", "status": "True", "reason": "Drain"}
GROWING = Worker(memory="500Mi", memory_limit="1500Mi")
PENDING = {"phase": "Pending", "conditions": [NO_ROOM]}


def placed(splits: Worker, declared: Worker | None = None, **region: Any) -> tuple[Configuration, Placement]:
    config = {"default": {"secrets": ["lake"], "env": {"A": "$(B)"}}, "kubernetes": {**REGION, **region}}
    configuration = Configuration.of(config)
    return configuration, configuration.place("sales/orders", declared or Worker(), splits=splits)


def jobs_of(splits: Worker, declared: Worker | None = None, **region: Any) -> SplitJobs:
    configuration, placement = placed(splits, declared, **region)
    return SplitJobs.described(placement, RUN, attempt=2, configuration=configuration, launcher=None)


def pod_of(job: Mapping[str, Any]) -> dict[str, Any]:
    return dict(job["spec"]["template"]["spec"])


def test_the_pod_of_a_split_has_what_its_step_has_and_its_own_resources() -> None:
    jobs = jobs_of(Worker(memory="2Gi"), Worker(cpu=1, memory="500Mi", node_selector={"zone": "a"}))
    job = jobs.made(jobs.name(2, 1, OWNER), '{"uri": "s3://$(A)"}', OWNER)
    pod = pod_of(job)
    [container] = pod["containers"]
    assert container["resources"] == {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"memory": "2Gi"}}
    assert container["args"] == ["python", "-m", "practicus_assets.assets.splits.pod"]
    assert container["envFrom"] == [{"secretRef": {"name": "lake"}}]
    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == ("steps", False)
    assert (pod["nodeSelector"], container["image"]) == ({"zone": "a"}, "pipelines:1")
    variable = {each["name"]: each["value"] for each in container["env"]}
    assert variable[variables.SPLIT] == '{"uri": "s3://$$(A)"}'  # which Kubernetes reads as $(A)
    assert (variable["DAGSTER_RUN_STEP_KEY"], variable[variables.ATTEMPT]) == ("sales/orders", "2")
    assert not any(name.startswith("DAGSTER_COMPRESSED") for name in variable)
    assert job["metadata"]["ownerReferences"] == [OWNER]
    assert job["metadata"]["name"].startswith("split-3-2-of-sales-orders-")
    assert len(job["metadata"]["name"]) <= 57
    assert job["spec"]["template"]["metadata"]["name"] == job["metadata"]["name"]


def test_a_step_whose_splits_are_pods_has_the_account_to_start_them() -> None:
    _, placement = placed(Worker(memory="2Gi"))
    worker = placement.worker
    assert (worker.service_account, worker.service_account_token) == ("starters", True)
    assert worker.labels == {"practicus/starts-command": "yes"}  # by which a network policy lets it
    assert worker.memory is None
    _, own = placed(Worker(memory="2Gi"), Worker(service_account="mine"))
    assert own.worker.service_account == "mine"
    configuration, _ = placed(Worker())
    plain = configuration.place("sales/orders", Worker())
    assert (plain.splits, plain.worker.service_account, plain.worker.service_account_token) == (
        None,
        "steps",
        None,
    )


def test_a_step_without_an_account_that_may_start_pods_says_what_to_set() -> None:
    configuration = Configuration.of({"kubernetes": {"service_account": "steps", "image": "pipelines:1"}})
    placement = configuration.place("orders", Worker(), splits=Worker())
    with pytest.raises(DeclarationError, match="Set kubernetes: command_account"):
        SplitJobs.described(placement, RUN, attempt=1, configuration=configuration, launcher=None)


def test_a_splits_job_differs_by_attempt_and_its_step_reads_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = jobs_of(GROWING)
    replaced = {**OWNER, "uid": "2"}  # by the Job of the step, in the same attempt
    calls = ((0, 1, OWNER), (0, 2, OWNER), (1, 1, OWNER), (0, 1, replaced))
    assert len({jobs.name(*call) for call in calls}) == 4
    assert jobs.name(0, 1, OWNER) == jobs.name(0, 1, dict(OWNER))
    [(name, value)] = jobs.environment.items()
    monkeypatch.setenv(name, value.replace("$$", "$"))
    assert SplitJobs.of_this_step() == jobs
    assert len(value) < 10_000


def test_a_split_grows_to_its_limit_and_leaves_spot_nodes_that_it_lost() -> None:
    jobs = jobs_of(Worker(memory="500Mi", memory_limit="1500Mi", spot=True))

    def made(**counts: int) -> dict[str, Any]:
        return pod_of(jobs.made("a", "", OWNER, **counts))

    memory = [made(out_of_memory=n)["containers"][0]["resources"]["limits"]["memory"] for n in range(4)]
    assert memory == ["500Mi", "1000Mi", "1500Mi", "1500Mi"]
    assert [jobs.memory(n) for n in (1, 2, 3)] == ["1000Mi", "1500Mi", None]
    assert made(lost=1)["nodeSelector"] == {"spot": "yes"}
    off = made(lost=2)
    assert "nodeSelector" not in off
    assert "NotIn" in json.dumps(off["affinity"])


def test_splits_refuse_what_is_no_worker_and_a_region_of_their_own() -> None:
    with pytest.raises(DeclarationError, match="is no Worker"):
        Splits(4, worker={"memory": "4Gi"})  # type: ignore[arg-type] # what an author may write
    with pytest.raises(DeclarationError, match="splits run where their step does"):
        Splits(4, worker=Worker(region="eu"))


class Post:
    """Answers by the names of Jobs."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}

    def work(self, split: Split, name: str) -> str:
        return json.dumps({"index": split.index, "name": name})

    def answer(self, name: str, digest: str) -> bytes | None:
        content = self.answers.get(name)
        return content if content is not None and hashlib.sha256(content).hexdigest() == digest else None

    def leave(self, job: Mapping[str, Any], work: Callable[[bytes, Split], Any]) -> Mapping[str, Any]:
        told = json.loads(pod_of(job)["containers"][0]["env"][-1]["value"])
        content = answer(work, b"", Split(told["index"], 2))
        self.answers[told["name"]] = content
        return ended(message=f"answer_sha256={hashlib.sha256(content).hexdigest()}\npeak_memory_bytes=1")


class Running:
    """Two splits in pods, of which each test says what becomes."""

    def __init__(self, *statuses: Mapping[str, Any] | None, start_seconds: float = 60) -> None:
        self.post, self.done, self.warned, self.logs = Post(), [], [], ""  # type: ignore[var-annotated]
        self._statuses = {"1-1": list(statuses)}  # what becomes of the first split's pods, in order
        self.cluster = PodsHere(self._status)
        jobs = jobs_of(GROWING)
        self.jobs = SplitJobs(**{**jobs.__dict__, "lost_retries": 2, "start_seconds": start_seconds})

    def _status(self, job: dict[str, Any]) -> Mapping[str, Any] | None:
        told = json.loads(pod_of(job)["containers"][0]["env"][-1]["value"])
        number = int(told["name"].rpartition("-")[2])
        statuses = self._statuses["1-1"]
        if told["index"] == 0 and number <= len(statuses):
            status = statuses[number - 1]
            return status(job) if callable(status) else status
        return self.post.leave(job, lambda _, split: split.index)

    def run(self, at_once: int | None = None, splits: Sequence[int] = (0, 1)) -> None:
        SplitPods(
            self.jobs,
            self.cluster,  # type: ignore[arg-type] # as far as splits need one
            self.post,
            at_once=at_once,
            done=lambda split, value: self.done.append((split.index, value)),
            warn=self.warned.append,
            log=lambda heading, log: setattr(self, "logs", f"{self.logs}{heading}: {log}\n"),
        ).run([Split(index, 2) for index in splits])

    def memory(self) -> list[str]:
        """Return what the pods of the first split may have."""
        own = [job for job in self.cluster.made if job["metadata"]["name"].startswith("split-1-")]
        return [pod_of(job)["containers"][0]["resources"]["limits"]["memory"] for job in own]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pods, "_LOOK_S", 0)
    monkeypatch.setattr(pods, "NO_POD_S", 0)


OUT_OF_MEMORY = ended(137, "OOMKilled", "peak_memory_bytes=1")


def test_splits_end_in_any_order_and_leave_no_job() -> None:
    running = Running()
    running.run(at_once=1)
    assert running.done == [(0, 0), (1, 1)]
    assert (running.cluster.kept, running.cluster.most, running.warned) == ({}, 1, [])
    assert "split 1 of 2: its pod split-1-2-of-sales-orders-" in running.logs


def test_a_split_that_ran_out_of_memory_runs_again_alone_with_more() -> None:
    running = Running(OUT_OF_MEMORY, OUT_OF_MEMORY)
    running.run()
    assert sorted(running.done) == [(0, 0), (1, 1)]
    assert running.memory() == ["500Mi", "1000Mi", "1500Mi"]
    [first, second] = running.warned
    assert "of which it may have 500Mi. It runs again alone with 1000Mi" in first
    assert "attempt 2" in second
    assert len(running.cluster.made) == 4
    assert len(running.cluster.kept) == 2  # those that ran out of memory stay, to look inside


def test_a_split_that_needs_more_than_its_limit_fails_the_step_with_what_to_do() -> None:
    running = Running(*[OUT_OF_MEMORY] * 3)
    with pytest.raises(WorkerOutOfMemory, match=r"split 1 of 2: its pod split-1-.*attempt 3.*memory_limit"):
        running.run()


@pytest.mark.parametrize(
    "lost",
    [
        {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."},
        {"phase": "Running", "conditions": [DRAINED]},
    ],
)
def test_a_split_whose_pod_is_taken_away_runs_again_as_often_as_a_step(lost: Mapping[str, Any]) -> None:
    running = Running(lost, lost)
    running.run()
    assert sorted(running.done) == [(0, 0), (1, 1)]
    assert running.memory() == ["500Mi"] * 3
    assert running.cluster.kept == {}  # a Job without its pod would start another one
    with pytest.raises(WorkerLost, match=r"kubernetes: lost_retries, 2, is used up"):
        Running(lost, lost, lost).run()


def test_a_split_whose_pod_is_deleted_runs_again() -> None:
    seen: list[str] = []

    def gone(job: dict[str, Any]) -> Mapping[str, Any] | None:
        seen.append(job["metadata"]["name"])
        return RUNNING if len(seen) == 1 else None

    running = Running(gone)  # type: ignore[arg-type] # it says so once
    running.run()
    assert sorted(running.done) == [(0, 0), (1, 1)]
    assert "it was deleted. It runs again alone" in running.warned[0]


def test_a_split_whose_process_dies_has_three_attempts() -> None:
    crash = ended(3, "Error")
    running = Running(crash, crash)
    running.run()
    assert sorted(running.done) == [(0, 0), (1, 1)]
    with pytest.raises(WorkerCrashed, match=r"exit code 3.*kubectl logs split-1-"):
        Running(crash, crash, crash).run()


def test_an_error_of_the_function_ends_the_step_and_the_other_pods_and_names_the_pod() -> None:
    def raises(_: bytes, split: Split) -> None:
        raise SplitFailed(ValueError("theirs"), of_function=True)

    running = Running()
    running._statuses["1-1"] = [lambda job: running.post.leave(job, raises)]  # type: ignore[list-item]
    with pytest.raises(SplitFailed) as failed:
        running.run()
    assert failed.value.of_function
    notes = "\n".join(failed.value.error.__notes__)
    assert "In split 1 of 2" in notes
    assert "In its pod split-1-2-of-sales-orders-" in notes
    assert all(name.startswith("split-1-") for name in running.cluster.kept)


def beside_a_sidecar(status: Mapping[str, Any]) -> dict[str, Any]:
    sidecar = {"name": "proxy", "state": {"running": {}}}
    return {"phase": "Running", "containerStatuses": [{"name": "dagster", **status}, sidecar]}


def test_a_split_that_failed_beside_a_sidecar_does_not_keep_its_pod_running() -> None:
    def raises(_: bytes, split: Split) -> None:
        raise ValueError("theirs")

    running = Running(beside_a_sidecar(OUT_OF_MEMORY))
    running.run()
    assert sorted(running.done) == [(0, 0), (1, 1)]
    assert running.cluster.kept == {}
    running = Running()
    running._statuses["1-1"] = [lambda job: beside_a_sidecar(running.post.leave(job, raises))]  # type: ignore[list-item]
    with pytest.raises(SplitFailed, match="theirs"):
        running.run()
    assert running.cluster.kept == {}


def test_a_pod_that_is_refused_its_work_fails_the_step_with_that_error() -> None:
    word = refusal_of(DeclarationError("the variable KEY is not set.", "Set it."))
    running = Running(ended(message=f"{word}\npeak_memory_bytes=1"))
    with pytest.raises(SplitFailed) as failed:
        running.run()
    assert isinstance(failed.value.error, DeclarationError)
    assert str(failed.value.error) == "the variable KEY is not set. Set it."
    assert "In its pod split-1-" in failed.value.error.__notes__[-1]


def test_an_answer_with_another_digest_than_the_pod_said_is_not_unpacked() -> None:
    def foreign(job: dict[str, Any]) -> Mapping[str, Any]:
        said = running.post.leave(job, lambda _, split: split.index)
        running.post.answers[job["metadata"]["name"]] = pickle.dumps((True, "of somebody else"))
        return said

    running = Running()
    running._statuses["1-1"] = [foreign]  # type: ignore[list-item] # in the place of a status
    running.run()
    assert sorted(running.done) == [(0, 0), (1, 1)]
    assert "before it reported" in running.warned[0]


def test_pods_that_find_no_room_end_the_step_with_what_the_scheduler_says() -> None:
    running = Running(PENDING, start_seconds=0)
    with pytest.raises(
        WorkerTimedOut, match=r"no pod of its splits has run for 0 s\. Unschedulable: no room"
    ):
        running.run(splits=[0])
    assert running.warned == ["the pods of splits wait. Unschedulable: no room."]
    assert running.cluster.kept == {}


def test_a_quota_is_waited_for_while_others_run_and_a_refusal_is_not() -> None:
    quota = ApiException(status=403, reason="Forbidden")
    quota.body = json.dumps({"message": "exceeded quota: jobs"})
    running = Running()
    running.cluster.refusals = [quota, quota]
    running.run()
    assert sorted(running.done) == [(0, 0), (1, 1)]
    assert running.warned == ["the pods of splits wait. exceeded quota: jobs."]
    refused = ApiException(status=403, reason="Forbidden")
    refused.body = json.dumps({"message": 'User "steps" cannot create resource "jobs"'})
    running = Running()
    running.cluster.refusals = [refused]
    with pytest.raises(WorkerRejected, match="Grant that right"):
        running.run()


def test_a_job_whose_pod_the_cluster_refuses_fails_the_step() -> None:
    running = Running(None)
    running.cluster.warnings = [{"reason": "FailedCreate", "message": 'pods "a" is forbidden: no account'}]
    with pytest.raises(WorkerRejected, match="the cluster refuses its pod"):
        running.run()


def test_a_new_attempt_ends_what_the_one_before_left_running() -> None:
    running = Running()
    left = running.jobs.made("left", '{"index": 1, "name": "left-1"}', OWNER)
    running.cluster.kept["left"] = left
    statuses = running.cluster._status
    running.cluster._status = lambda job: RUNNING if job is left else statuses(job)
    running.run()
    assert running.cluster.kept == {}


def test_a_new_attempt_ends_the_jobs_that_have_no_pod_and_keeps_those_that_have_ended() -> None:
    running = Running()
    work = '{"index": 1, "name": "left-1"}'
    statuses = {"waiting": None, "held": beside_a_sidecar(ended()), "failed": ended(1)}
    left = {name: running.jobs.made(name, work, OWNER) for name in statuses}
    running.cluster.kept |= left
    others = running.cluster._status

    def status(job: dict[str, Any]) -> Mapping[str, Any] | None:
        name = job["metadata"]["name"]
        return statuses[name] if name in statuses else others(job)

    running.cluster._status = status
    running.run()
    assert list(running.cluster.kept) == ["failed"]


def test_a_new_attempt_ends_pods_also_where_its_account_may_not_list_jobs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden(_: str) -> list[dict[str, Any]]:
        raise ApiException(status=403, reason="Forbidden")

    running = Running()
    monkeypatch.setattr(running.cluster, "jobs", forbidden)
    left = running.jobs.made("left", '{"index": 1, "name": "left-1"}', OWNER)
    running.cluster.kept["left"] = left
    statuses = running.cluster._status
    running.cluster._status = lambda job: RUNNING if job is left else statuses(job)
    running.run()
    assert running.cluster.kept == {}


def test_a_pod_of_a_step_does_not_take_jobs_of_another_pod_of_the_same_attempt() -> None:
    running = Running()
    running.run()
    first = {job["metadata"]["name"] for job in running.cluster.made}
    running.cluster.owner = {**OWNER, "uid": "2"}
    running.run()
    assert first.isdisjoint(job["metadata"]["name"] for job in running.cluster.made[2:])


def test_a_step_that_does_not_find_its_own_pod_starts_none() -> None:
    running = Running()
    running.cluster.owner = None
    with pytest.raises(WorkerRejected, match="its own pod"):
        running.run()
    assert running.cluster.made == []
