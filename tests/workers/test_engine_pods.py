"""Pods of an engine's workers, without a cluster: what they have, and what the step that starts them has."""

import json
from typing import Any

import pytest

from practicus_assets import DeclarationError, Worker
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


def test_without_an_account_to_start_workers_the_error_says_what_to_set() -> None:
    with pytest.raises(DeclarationError, match="Set kubernetes: engine_account"):
        engine_environment(placed(Worker(), Worker(), service_account="steps"), RUN, None)
    assert engine_environment(Configuration.of({}).place("report", Worker()), RUN, None) == {}
