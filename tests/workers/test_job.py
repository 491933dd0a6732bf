"""From worker to manifest: the files in golden/ were read by eye; each is what the API server gets."""

import json
import re
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from practicus_assets import Worker, worker_tags
from practicus_assets.errors import DeclarationError
from practicus_assets.workers.kubernetes.job import step_job
from practicus_assets.workers.placement.configuration import Configuration
from practicus_assets.workers.request.manifest import job_name
from practicus_assets.workers.request.tags import own_pod_tags
from practicus_assets.workers.steps import planned_run

GOLDEN = Path(__file__).parent / "golden"
RUN = planned_run("nightly", run_id="3f2a9c1e-0000-4000-8000-000000000000", image="pipelines:1")
SPOT = {"node_selector": {"pool": "spot"}, "tolerations": [{"key": "spot", "operator": "Exists"}]}

WORKERS = {
    "nothing": Worker(),
    "size": Worker(size="Small", memory_limit="8Gi", cpu_limit="2"),
    "gpu_on_spot": Worker(
        cpu=2, memory="8Gi", ephemeral_storage="20Gi", gpu=1, spot=True, time_limit_seconds=3600
    ),
    "everything": Worker(
        cpu="500m",
        memory="1Gi",
        image="registry.example.com/team/pipelines:7",
        image_pull_secrets=["registry"],
        env={"MODE": "full"},
        secrets=["lake"],
        config_maps=["settings"],
        volumes={"/models": {"persistentVolumeClaim": {"claimName": "models", "readOnly": True}}},
        service_account="trainer",
        service_account_token=True,
        node_selector={"disk": "fast"},
        tolerations=[{"key": "dedicated", "operator": "Equal", "value": "etl", "effect": "NoSchedule"}],
        affinity={"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        priority_class="nightly",
        labels={"team": "data"},
        annotations={"example.com/owner": "data team"},
        startup_script="echo started",
        keep_failed_seconds=7200,
        pod_spec={
            "dnsPolicy": "ClusterFirst",
            "containers": [
                {"securityContext": {"readOnlyRootFilesystem": False}},
                {"name": "proxy", "image": "proxy:1"},
            ],
        },
    ),
}


def made(worker: Worker, *, run: dg.DagsterRun = RUN, tags: Any = None, owner: Any = None) -> dict[str, Any]:
    configuration = Configuration.of({"kubernetes": {"spot": SPOT}})
    pod_tags = own_pod_tags(tags or {}, "shop__orders")
    placement = configuration.place("shop__orders", worker, pod_tags=pod_tags)
    name, environment = job_name("shop__orders", RUN.run_id, 1), {"PRACTICUS_ATTEMPT": "1"}
    return step_job(name, placement, run, environment=environment, launcher=None, owner=owner)


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_becomes_this_manifest(name: str) -> None:
    job = made(WORKERS[name], owner={"apiVersion": "batch/v1", "kind": "Job", "name": "run", "uid": "7"})
    for labels in (job["metadata"]["labels"], job["spec"]["template"]["metadata"]["labels"]):
        del labels["app.kubernetes.io/version"]  # Dagster's
    assert job == yaml.safe_load((GOLDEN / f"{name}.yaml").read_text())


def test_the_pods_own_dagster_k8s_config_is_kept_below_the_worker() -> None:
    tag = {"container_config": {"resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}}
    job = made(Worker(memory="2Gi"), tags={"dagster-k8s/config": json.dumps(tag)})
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["requests"] == {"cpu": "1", "memory": "2Gi"}


@pytest.mark.parametrize("bare_image", [False, True], ids=["a step", "a command"])
def test_a_job_has_one_pod_which_runs_once_whatever_its_configuration_asks_for(*, bare_image: bool) -> None:
    config = {
        "job_spec_config": {"backoff_limit": 3, "parallelism": 2, "completions": 2},
        "pod_spec_config": {"restart_policy": "OnFailure"},
    }
    pod_tags = own_pod_tags({"dagster-k8s/config": json.dumps(config)}, "report")
    configuration = Configuration.of({"kubernetes": {"command_account": "commands"}})
    worker = Worker(image="report:3", pod_spec={"restartPolicy": "OnFailure"})
    placement = configuration.place("report", worker, pod_tags=pod_tags, bare_image=bare_image)
    made = step_job("report-1", placement, RUN, environment={}, launcher=None)["spec"]
    assert [made[field] for field in ("backoffLimit", "parallelism", "completions")] == [0, 1, 1]
    assert made["template"]["spec"]["restartPolicy"] == "Never"


@pytest.mark.parametrize(
    ("region", "key"), [(None, "Set kubernetes: image"), ("eu", "Set kubernetes: regions: eu: image")]
)
def test_a_worker_without_any_image_is_refused_and_the_key_to_set_is_named(region: Any, key: str) -> None:
    configuration = Configuration.of({"kubernetes": {"regions": {"eu": {}}}})
    placement = configuration.place("orders", Worker(region=region))
    run = planned_run("nightly", run_id=RUN.run_id)
    with pytest.raises(DeclarationError, match="no image is named") as caught:
        step_job("orders", placement, run, environment={}, launcher=None)
    assert key in str(caught.value)


@pytest.mark.parametrize("step", ["orders", "shop__orders", "A" * 200, "ñandú", "9lives", "[dynamic]?"])
def test_a_jobs_name_is_one_that_kubernetes_takes_and_tells_attempts_apart(step: str) -> None:
    names = {job_name(step, RUN.run_id, attempt) for attempt in (1, 2, 10)}
    assert len(names) == 3
    for name in names:
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)
        assert len(name) <= 57


def test_the_stock_executor_reads_the_same_pod_from_the_tags() -> None:
    from dagster_k8s.job import get_user_defined_k8s_config

    @dg.op(tags=worker_tags(Worker(size="Small", node_selector={"disk": "fast"})))
    def work() -> None: ...

    config = get_user_defined_k8s_config(work.tags)
    assert config.container_config["resources"] == {
        "requests": {"cpu": "500m", "memory": "1Gi"},
        "limits": {"memory": "1Gi"},
    }
    assert config.pod_spec_config["node_selector"] == {"disk": "fast"}
    assert config.container_config["security_context"]["read_only_root_filesystem"] is True
