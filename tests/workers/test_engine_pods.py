"""Pods of an engine's workers, without a cluster: what they have, and what the step that starts them has."""

import json
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest

from practicus_assets import DeclarationError, Worker
from practicus_assets.engines.spark.run import _advice
from practicus_assets.engines.spark.workers import SailWorkers
from practicus_assets.workers.kubernetes.engine_pod import engine_environment
from practicus_assets.workers.launch import variables
from practicus_assets.workers.placement.configuration import Configuration
from practicus_assets.workers.placement.placement import Placement
from practicus_assets.workers.steps import planned_run

RUN = planned_run("nightly", run_id="3f2a9c1e-0000-4000-8000-000000000000", image="pipelines:1")


def placed(step: Worker, engine: Worker, **kubernetes: Any) -> Placement:
    config = {"default": {"secrets": ["lake"], "size": "Small"}, "kubernetes": kubernetes}
    return Configuration.of(config).place("report", step, engine=engine)


def test_workers_of_an_engine_have_what_their_step_has_and_a_size_of_their_own() -> None:
    placement = placed(
        Worker(memory="8Gi", gpu=1, env={"LEVEL": "debug"}, volumes={"/lake": {"emptyDir": {}}}),
        Worker(cpu=2, memory="16Gi", node_selector={"pool": "large"}),
        engine_account="engine",
        service_account="steps",
    )
    template = json.loads(engine_environment(placement, RUN, None)[variables.ENGINE_POD])
    [container] = template["spec"]["containers"]
    assert container["image"] == "pipelines:1"
    assert container["resources"]["requests"] == {"cpu": "2", "memory": "16Gi"}
    assert "nvidia.com/gpu" not in container["resources"]["limits"]
    assert {"name": "LEVEL", "value": "debug"} in container["env"]
    assert container["envFrom"] == [{"secretRef": {"name": "lake"}}]
    assert "/lake" in [mount["mountPath"] for mount in container["volumeMounts"]]
    assert not any(container.get(field) for field in ("command", "args"))
    assert template["spec"]["nodeSelector"] == {"pool": "large"}
    assert template["spec"]["serviceAccountName"] == "steps"
    assert template["spec"]["automountServiceAccountToken"] is False
    assert template["metadata"]["labels"]["practicus/engine"] == "worker"


def test_the_step_of_an_engine_with_workers_has_the_account_that_starts_them() -> None:
    step = placed(Worker(memory="8Gi"), Worker(), engine_account="engine", service_account="steps").worker
    assert (step.service_account, step.service_account_token) == ("engine", True)
    assert (step.memory, step.labels) == ("8Gi", {"practicus/engine": "driver"})
    own = placed(Worker(service_account="mine"), Worker(), engine_account="engine").worker
    assert own.service_account == "mine"


class Answers:
    """A cluster that answers with one list of pods after the other, and then with the last one again."""

    def __init__(self, *answers: list[dict[str, Any]]) -> None:
        self.answers = list(answers)

    def pods(self, _: str) -> list[dict[str, Any]]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def pod(name: str, phase: str = "Running", **metadata: str) -> dict[str, Any]:
    return {"metadata": {"name": name, **metadata}, "status": {"phase": phase}}


EVICTED = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "EvictionByEvictionAPI",
    "message": "drain",
}
DRAINED = pod("a", deletionTimestamp="2026-11-29T22:00:00Z")
DRAINED["status"]["conditions"] = [EVICTED]


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Callable[..., SailWorkers]:
    def made(*answers: list[dict[str, Any]]) -> SailWorkers:
        monkeypatch.setattr(SailWorkers, "_cluster", Answers(*answers))
        return SailWorkers(2)

    monkeypatch.setenv(variables.ENGINE_POD, "{}")
    monkeypatch.setattr("practicus_assets.engines.spark.workers._STATUS_S", 0.0)
    return made


@pytest.mark.parametrize(
    ("answers", "named"),
    [
        (
            [[pod("a"), pod("b")], [pod("b")]],
            "its pod a is gone: it was deleted, drained or lost with its node",
        ),
        ([[DRAINED]], "its pod a was taken away (EvictionByEvictionAPI: drain)"),
        ([[pod("a", "Succeeded")], []], ""),  # one that was idle
        ([[pod("a")], [pod("a")]], ""),
    ],
    ids=["deleted", "drained", "idle", "well"],
)
def test_a_pod_that_is_taken_away_is_named_when_a_query_fails(
    workers: Callable[..., SailWorkers], answers: list[list[dict[str, Any]]], named: str
) -> None:
    engine = workers(*answers)
    assert engine.trouble("Correct me") in {"", named}
    assert engine.trouble("connection reset") == named


def test_a_pod_that_is_gone_ends_no_server_whose_query_goes_on(workers: Callable[..., SailWorkers]) -> None:
    engine = workers([pod("a")], [])
    seen, gave_up = Event(), []

    def said() -> str:
        if not engine._cluster.answers[0]:  # type: ignore[attr-defined] # of the cluster above
            seen.set()
        return ""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("practicus_assets.engines.spark.workers._LOOK_S", 0.001)
        patch.setattr(Answers, "delete_pods", lambda *_: None, raising=False)
        engine.watch(said, lambda: gave_up.append(1))
        assert seen.wait(10)
        engine.end()
    assert gave_up == []
    assert engine.trouble("task failed for lost worker").startswith("its pod a is gone")


@pytest.mark.parametrize(
    "said",
    [
        "connection reset",
        "Connection refused (os error 111)",
        'status: Unavailable, message: "error trying to connect: tcp connect error"',
        "h2 protocol error: error reading a body from connection",
        "task failed for lost worker",
        "worker registration timeout",
    ],
)
def test_what_an_engine_says_of_a_lost_connection_is_no_fault_of_the_query(said: str) -> None:
    assert "run again" in _advice(said)


@pytest.mark.parametrize("said", ["No field named timeout", "no connection_id", "transport_costs"])
def test_a_column_with_such_a_name_is_a_fault_of_the_query(said: str) -> None:
    assert _advice(said) == "Correct the query."


def test_without_an_account_to_start_workers_the_error_says_what_to_set() -> None:
    with pytest.raises(DeclarationError, match="Set kubernetes: engine_account"):
        engine_environment(placed(Worker(), Worker(), service_account="steps"), RUN, None)
    assert engine_environment(Configuration.of({}).place("report", Worker()), RUN, None) == {}
