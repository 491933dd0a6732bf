"""`practicus-assets doctor` on this machine, and what it concludes from manifests. No cluster is asked."""

import inspect
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from practicus_assets.cli import main
from practicus_assets.doctor import probe
from practicus_assets.doctor.capacity import capacity
from practicus_assets.doctor.finding import Finding
from practicus_assets.doctor.references import references
from practicus_assets.workers.request.manifest import k8s_config
from practicus_assets.workers.request.worker import Worker
from tests.servers.seaweedfs import SeaweedFS
from tests.unit.workflows.test_dag_file import SECOND, TASK, in_dag

ROOT = Path(__file__).parents[2]
DEFINITIONS = """
import os
import dagster as dg
from practicus_assets import DeltaIOManager, Worker, table_asset, worker_executor

days = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-03")

@table_asset(partitions_def=days, partition_by="day", worker=lambda day: Worker(size=os.environ.get("SIZE")))
def orders(): ...

options = {"AWS_ACCESS_KEY_ID": dg.EnvVar("LAKE_KEY")}
lake = DeltaIOManager(root_uri=os.environ["LAKE"], storage_options=options)
defs = dg.Definitions(assets=[orders], resources={"io_manager": lake}, executor=worker_executor)
"""


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DAGSTER_HOME", "PRACTICUS_WORKERS", "DAGSTER_CURRENT_IMAGE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("LAKE_KEY", "hunter2-hunter2")
    monkeypatch.chdir(ROOT)


@pytest.fixture
def location(tmp_path: Path) -> list[str]:
    file = tmp_path / "definitions.py"
    file.write_text(DEFINITIONS)
    return ["-f", str(file)]


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(home))


def doctor(*arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
    result = CliRunner().invoke(main, ["doctor", "--json", *arguments])
    assert result.output.startswith("{"), result.output
    assert "hunter2" not in result.output
    sections = json.loads(result.output)["sections"]
    return result.exit_code, {each["check"]: each for found in sections for each in found["findings"]}


def test_all_is_well_on_a_machine_where_steps_run_locally(
    instance: None, location: list[str], tmp_path: Path
) -> None:
    code, findings = doctor(*location)
    assert code == 0
    assert {each["status"] for each in findings.values()} == {"ok"}
    assert "local processes" in findings["the job of all assets"]["found"]
    assert {"instance", "versions", "processes", "lake"} <= set(findings)
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(("settings", "status"), [("", "ok"), ("freshness: {enabled: false}\n", "warning")])
def test_a_freshness_policy_that_nobody_evaluates_is_told(
    instance: None, tmp_path: Path, settings: str, status: str
) -> None:
    home = Path(os.environ["DAGSTER_HOME"])
    (home / "dagster.yaml").write_text(f"telemetry: {{enabled: false}}\n{settings}")
    file = tmp_path / "fresh.py"
    file.write_text(
        "import datetime as dt, dagster as dg\n"
        "policy = dg.FreshnessPolicy.time_window(dt.timedelta(days=1))\n"
        "@dg.asset(freshness_policy=policy)\ndef orders(): ...\ndefs = dg.Definitions(assets=[orders])\n"
    )
    code, findings = doctor("-f", str(file))
    assert (code, findings["freshness"]["status"]) == (0, status)
    assert findings["freshness"].get("advice", "").startswith("Write freshness:" if settings else "")


def test_findings_are_shown_as_tables_with_a_last_line_that_counts(location: list[str]) -> None:
    result = CliRunner().invoke(main, ["doctor", *location])
    assert result.exit_code == 0
    assert "This machine" in result.output
    assert "Set it as for dagster's own commands." in result.output
    assert result.output.splitlines()[-1] == "4 ok, 0 warnings, 0 failed, 1 not checked"


def test_a_lake_that_cannot_be_written_fails(location: list[str], tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("a file")
    code, findings = doctor(*location)
    assert (code, findings["lake"]["status"]) == (1, "failed")
    assert str(tmp_path / "lake") in findings["lake"]["found"]


def test_a_variable_of_the_lake_that_is_not_set_is_named(
    location: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LAKE_KEY")
    code, findings = doctor(*location)
    assert code == 1
    assert "LAKE_KEY" in findings["lake"]["found"]
    assert findings["lake"]["advice"] == "Set it where the run's processes start."


def test_a_lake_on_an_object_store_is_written_and_its_conditional_puts_are_proven(
    seaweedfs: SeaweedFS, location: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in seaweedfs.storage_options().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LAKE", f"{seaweedfs.root_uri}/doctor")
    monkeypatch.setenv("LAKE_KEY", seaweedfs.access_key)
    code, findings = doctor(*location)
    assert code == 0
    assert (findings["lake"]["status"], findings["conditional puts"]["status"]) == ("ok", "ok")


def test_a_worker_that_contradicts_the_configuration_is_named(
    location: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIZE", "Huge")
    code, findings = doctor(*location)
    assert code == 1
    assert "'Huge'" in findings["worker of orders"]["found"]


def test_a_mistake_in_the_k8s_config_tag_of_a_plain_asset_is_named(tmp_path: Path) -> None:
    file = tmp_path / "mistagged.py"
    file.write_text(
        "import dagster as dg\nfrom practicus_assets import worker_executor\n"
        "@dg.asset(op_tags={'dagster-k8s/config': {'pod_spec_config': {'nodeSelectr': {}}}})\n"
        "def events(): ...\ndefs = dg.Definitions(assets=[events], executor=worker_executor)\n"
    )
    code, findings = doctor("-f", str(file))
    assert code == 1
    assert "did you mean nodeSelector?" in findings["worker of events"]["found"]


def test_a_configuration_that_cannot_be_read_is_told(
    location: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "workers.yaml"
    file.write_text("kubernetes: {regoins: {}}\n")
    monkeypatch.setenv("PRACTICUS_WORKERS", str(file))
    code, findings = doctor(*location)
    assert code == 1
    assert "regoins" in findings["configuration of the job of all assets"]["found"]


def test_an_instance_on_this_machine_does_not_serve_pods_and_no_cluster_is_told_once(
    instance: None, location: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    code, findings = doctor("--backend", "kubernetes", *location)
    assert code == 1
    assert "Sqlite" in findings["events"]["found"]
    assert findings["API server"]["status"] == "failed"
    assert "KUBECONFIG" in findings["API server"]["advice"]
    assert findings["rights, named objects, nodes, pods"]["status"] == "not checked"


def test_an_executor_that_gives_no_workers_is_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "other.py"
    file.write_text("import dagster as dg\n@dg.asset\ndef a(): ...\ndefs = dg.Definitions(assets=[a])\n")
    code, findings = doctor("-f", str(file))
    assert (code, findings["the job of all assets"]["status"]) == (0, "warning")


def test_a_code_server_that_does_not_answer_fails(location: list[str]) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{held.getsockname()[1]}"
        code, findings = doctor("--code-server", address, *location)
    assert (code, findings[f"code server {address}"]["status"]) == (1, "failed")


def test_the_probe_needs_no_package_and_tells_that_it_is_not_there() -> None:
    script = f"{inspect.getsource(probe)}\ndef load():\n    import practicus_assets\nmain([load])"
    asked = {"versions": probe.versions(), "instance": None, "durable": [], "wants_token": False}
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script],
        env={**os.environ, probe.VARIABLE: json.dumps(asked)},
        capture_output=True,
        text=True,
        check=True,
    )
    [line] = [each for each in done.stdout.splitlines() if each.startswith(probe.MARK)]
    results = {
        check: (status, found) for check, status, found, _ in json.loads(line.removeprefix(probe.MARK))
    }
    assert results["versions"][0] == "failed"
    assert "dagster is none there" in results["versions"][1]
    assert results["definitions"][0] == "failed"
    assert "practicus_assets" in results["definitions"][1]


@pytest.mark.parametrize(
    ("other", "status"),
    [
        ({}, "ok"),
        ({"deltalake": "1.0"}, "warning"),
        ({"python": "3.9"}, "warning"),
        ({"dagster": "1.0"}, "failed"),
    ],
)
def test_versions_that_a_run_must_share_fail_and_others_warn(other: dict[str, str], status: str) -> None:
    here = probe.versions()
    [(_, found, _, _)] = probe.compared({**here, **other}, here)
    assert found == status


def pod(worker: Worker) -> dict[str, Any]:
    config = k8s_config(worker)
    container = {"name": "dagster", **config["container_config"]}
    return {**config["pod_spec_config"], "containers": [container]}


def node(labels: Mapping[str, str] | None = None, taints: Any = (), **offers: str) -> dict[str, Any]:
    allocatable = {"cpu": "4", "memory": "16Gi", "ephemeral-storage": "100Gi", **offers}
    return {
        "metadata": {"labels": dict(labels or {})},
        "spec": {"taints": list(taints)},
        "status": {"allocatable": allocatable},
    }


def judged(worker: Worker, *nodes: dict[str, Any], autoscaled: bool = False) -> Finding:
    [found] = capacity(nodes, [("orders", pod(worker), worker.memory_limit)], autoscaled=autoscaled)
    return found


GPU_TAINT = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
TOLERATION = {"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("worker", "status", "found"),
    [
        (Worker(cpu=4, memory="16Gi"), "ok", "fits"),
        (Worker(cpu=5), "failed", "cpu 5, and the most that a node offers is 4"),
        (Worker(memory="20Gi"), "failed", "memory 20.0Gi, and the most that a node offers is 16.0Gi"),
        (Worker(ephemeral_storage="1Ti"), "failed", "ephemeral-storage 1024.0Gi"),
        (Worker(memory="1Gi", memory_limit="64Gi"), "warning", "memory 64.0Gi"),
        (Worker(gpu=1), "failed", "nvidia.com/gpu, which no node offers of the 1"),
        (Worker(gpu=1, tolerations=[TOLERATION]), "ok", "fits"),
        (Worker(gpu=3, tolerations=[{"operator": "Exists"}]), "failed", "nvidia.com/gpu 3"),
        (
            Worker(gpu=1, gpu_resource="amd.com/gpu", tolerations=[TOLERATION]),
            "failed",
            "amd.com/gpu, which no node offers of the 2",
        ),
        (Worker(node_selector={"disk": "ssd"}), "failed", "of 2 nodes, none has the labels"),
        (Worker(node_selector={"zone": "a"}, cpu=1), "ok", "fits"),
    ],
)
def test_what_no_node_can_give_is_told(worker: Worker, status: str, found: str) -> None:
    nodes = [node({"zone": "a"}), node({"zone": "b"}, [GPU_TAINT], **{"nvidia.com/gpu": "2"})]
    result = judged(worker, *nodes)
    assert (result.status, found in result.found) == (status, True), result


@pytest.mark.parametrize(
    ("operator", "values", "fits"),
    [
        ("In", ["a", "b"], True),
        ("NotIn", ["a"], False),
        ("Exists", [], True),
        ("DoesNotExist", [], False),
    ],
)
def test_affinity_decides_which_nodes_count(operator: str, values: list[str], *, fits: bool) -> None:
    expression = {"key": "zone", "operator": operator, **({"values": values} if values else {})}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    assert (judged(Worker(affinity=affinity), node({"zone": "a"})).status == "ok") is fits


def test_a_cordoned_node_counts_and_an_autoscaler_turns_failures_into_warnings() -> None:
    cordon = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    assert judged(Worker(cpu=1), node(taints=[cordon])).status == "ok"
    assert judged(Worker(cpu=9), node(), autoscaled=True).status == "warning"


def test_a_pod_is_read_for_every_object_that_it_names() -> None:
    claim = {"spec": {"storageClassName": "fast", "accessModes": ["ReadWriteOnce"]}}
    worker = Worker(
        service_account="steps",
        secrets=["lake"],
        config_maps=["settings"],
        image_pull_secrets=["registry"],
        priority_class="high",
        volumes={
            "/models": {"persistentVolumeClaim": {"claimName": "models"}},
            "/keys": {"secret": {"secretName": "keys"}},
            "/maybe": {"configMap": {"name": "maybe", "optional": True}},
            "/scratch": {"ephemeral": {"volumeClaimTemplate": claim}},
            "/all": {"projected": {"sources": [{"secret": {"name": "one"}}, {"configMap": {"name": "two"}}]}},
        },
        pod_spec={
            "containers": [
                {"name": "dagster", "env": [_from_secret("token"), _from_secret("may", optional=True)]}
            ]
        },
    )
    assert references(pod(worker)) == {
        ("service account", "steps"),
        ("Secret", "lake"),
        ("Secret", "registry"),
        ("Secret", "keys"),
        ("Secret", "one"),
        ("Secret", "token"),
        ("ConfigMap", "settings"),
        ("ConfigMap", "two"),
        ("PersistentVolumeClaim", "models"),
        ("PriorityClass", "high"),
        ("StorageClass", "fast"),
    }


def _from_secret(name: str, *, optional: bool = False) -> dict[str, Any]:
    reference = {"name": name, "key": "k", **({"optional": True} if optional else {})}
    return {"name": name.upper(), "valueFrom": {"secretKeyRef": reference}}


BY_AIRFLOW = "daily to Airflow 2 and none to Airflow 3"


def test_a_folder_of_practicus_is_looked_through_and_no_credential_is_shown(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    text = in_dag(TASK, SECOND, "a >> b").replace("dag_id=dag_id", "max_active_runs=3")
    (shop / "shop_dag.py").write_text(text)
    (shop / "a.py").write_text("PASSWORD = 'hunter2-hunter2'\nprt.notebooks.execute_notebook('gone')")
    (shop / "b.sh").touch()
    (shop / "default_worker.json").write_text(json.dumps({"refresh_token": "hunter2", "git_configs": ["x"]}))
    (shop / "bb_worker.json").write_text("{}")
    file = tmp_path / "definitions.py"
    file.write_text("from practicus_assets import workflow_from_folder\ndefs = workflow_from_folder('shop')")
    result = CliRunner().invoke(main, ["doctor", "-f", str(file), "--json"])
    assert "hunter2" not in result.output
    sections = {each["title"]: each["findings"] for each in json.loads(result.stdout)["sections"]}
    findings = [(each["check"], each["status"], each["found"]) for each in sections["Folder shop"]]
    assert findings[0][:2] == ("dag file", "ok")
    assert findings[1:] == [
        ("counterpart", "warning", f"the dag has no schedule, which is {BY_AIRFLOW}: there is none"),
        ("counterpart", "warning", "max_active_runs=3: Dagster's run queue has such limits, by tags"),
        ("counterpart", "warning", "default_worker.json: git_configs has no counterpart"),
        ("files", "warning", "bb_worker.json is of no task, and says nothing to any. Did you mean b?"),
        ("files", "warning", "a.py runs gone.ipynb (line 2), which is not there."),
        ("credentials", "warning", "a.py holds PASSWORD (line 1)"),
        ("credentials", "warning", "default_worker.json holds refresh_token"),
    ]
