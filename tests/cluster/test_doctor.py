"""`practicus-assets doctor` on a cluster: what it says when all is well, and when something is wrong."""

import base64
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from practicus_assets.workers.kubernetes.cluster import RIGHTS
from tests.servers.cluster import HANGS_S, Cluster, wait_until
from tests.servers.postgresql import PostgreSQL

_ROOT = Path(__file__).parents[2]
_COMMAND = [str(Path(sys.executable).with_name("practicus-assets")), "doctor", "-m", "pipelines"]
_INSTANCE = {
    "storage": {
        "postgres": {
            "postgres_db": {
                "scheme": "postgresql+psycopg2",
                "hostname": {"env": "DAGSTER_PG_HOST"},
                "port": {"env": "DAGSTER_PG_PORT"},
                "db_name": "postgres",
                "username": {"env": "DAGSTER_PG_USERNAME"},
                "password": {"env": "DAGSTER_PG_PASSWORD"},
            }
        }
    },
    "telemetry": {"enabled": False},
}


@dataclass
class Site:
    """A namespace in which the shipped pipeline could run, and the doctor's environment."""

    cluster: Cluster
    namespace: str
    folder: Path
    workers: dict[str, Any]
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Start the doctor."""
        workers = self.folder / "workers.yaml"
        workers.write_text(yaml.safe_dump(self.workers))
        environment = {**os.environ, **self.environment, "PRACTICUS_WORKERS": str(workers)}
        return subprocess.Popen(
            [*_COMMAND, *options],
            cwd=_ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def examine(self, *options: str) -> tuple[int, dict[str, dict[str, str]], str]:
        """Return the doctor's exit code, its findings by check, and all that it wrote."""
        process = self.start("--json", *options)
        output, errors = process.communicate(timeout=HANGS_S)
        assert output, errors
        sections = json.loads(output)["sections"]
        findings = {each["check"]: each for section in sections for each in section["findings"]}
        return process.returncode, findings, output + errors

    def left(self) -> list[dict[str, Any]]:
        """Return the Jobs of the namespace."""
        return self.cluster.get("jobs", self.namespace)


@pytest.fixture
def site(  # noqa: PLR0917 fixtures
    cluster: Cluster,
    namespace: str,
    image: str,
    postgresql: PostgreSQL,
    s3_in_pods: dict[str, str],
    tmp_path: Path,
) -> Site:
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text(yaml.safe_dump(_INSTANCE))
    database = {
        "DAGSTER_PG_HOST": cluster.node_address,
        "DAGSTER_PG_PORT": str(postgresql.port),
        "DAGSTER_PG_USERNAME": postgresql.user,
        "DAGSTER_PG_PASSWORD": postgresql.password,
    }
    cluster.apply(secret("lake", s3_in_pods), secret("database", database), namespace=namespace)
    region = {"namespace": namespace, "image": image, "env": {"PRACTICUS_LAKE": "s3://lake"}}
    workers = {
        "backend": "kubernetes",
        "kubernetes": region,
        "default": {"secrets": ["lake", "database"]},
    }
    return Site(cluster, namespace, tmp_path, workers, {**database, "DAGSTER_HOME": str(home)})


def secret(name: str, values: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}


def test_all_is_well_where_steps_can_run_and_no_pod_is_left(site: Site, image: str) -> None:
    code, findings, _ = site.examine()
    assert {check: each for check, each in findings.items() if each["status"] != "ok"} == {}
    assert code == 0
    assert {
        "API server",
        "rights of the caller",
        "named objects",
        "nodes",
        f"pod of image {image}",
        "versions",
        "user",
        "root file system",
        "service account token",
        "definitions",
        "lake",
        "conditional puts",
        "instance",
    } <= set(findings)
    assert "Secret lake" in findings["named objects"]["found"]
    assert site.left() == []


def test_a_service_account_without_rights_is_told_which_it_lacks(site: Site) -> None:
    site.environment["KUBECONFIG"] = str(_kubeconfig(site, "nobody"))
    code, findings, _ = site.examine()
    assert code == 1
    rights = findings["rights of the caller"]
    assert rights["status"] == "failed"
    for missing in ("create jobs", "patch jobs", "list pods", "get pods/log", "list events"):
        assert missing in rights["found"]
    assert "Role" in rights["advice"]
    assert findings["named objects"]["status"] == "not checked"
    assert findings["nodes"]["status"] == "not checked"


def test_the_rights_that_the_executor_uses_are_enough_to_try_a_pod(site: Site, image: str) -> None:
    name, meta = "runner", {"name": "runner"}
    rules = [{"verbs": [verb], "apiGroups": [group], "resources": [kind]} for verb, group, kind in RIGHTS]
    group = "rbac.authorization.k8s.io"
    site.cluster.apply(
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": meta, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": site.namespace}],
        },
        namespace=site.namespace,
    )
    site.environment["KUBECONFIG"] = str(_kubeconfig(site, name))
    code, findings, _ = site.examine()
    assert code == 0
    unknown = {check for check, each in findings.items() if each["status"] == "not checked"}
    assert unknown == {"named objects", "nodes"}
    assert findings[f"pod of image {image}"]["status"] == "ok"
    assert findings["instance"]["status"] == "ok"
    assert site.left() == []


def _kubeconfig(site: Site, name: str) -> Path:
    """Return a kubeconfig file of a new service account."""
    token = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "annotations": {"kubernetes.io/service-account.name": name}},
        "type": "kubernetes.io/service-account-token",
    }
    site.cluster.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}},
        token,
        namespace=site.namespace,
    )
    path = "jsonpath={.data.token}"

    def read() -> str:
        return site.cluster.kubectl("get", "secret", name, "-o", path, namespace=site.namespace)

    wait_until(read, HANGS_S, "the account's token")
    config = json.loads(
        site.cluster.kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json")
    )
    config["users"][0]["user"] = {"token": base64.b64decode(read()).decode()}
    file = site.folder / "kubeconfig"
    file.write_text(json.dumps(config))
    return file


def test_a_wrong_image_is_told_with_the_reason(site: Site) -> None:
    wrong = "localhost/practicus-assets:no-such-tag"
    site.workers["kubernetes"]["image"] = wrong
    code, findings, _ = site.examine()
    assert code == 1
    assert findings[f"pod of image {wrong}"]["status"] == "failed"
    assert "ImagePull" in findings[f"pod of image {wrong}"]["found"]
    assert site.left() == []


def test_a_pod_that_would_run_as_root_is_told(site: Site, image: str) -> None:
    site.workers["default"]["pod_spec"] = {
        "containers": [{"name": "dagster", "securityContext": {"runAsUser": 0}}]
    }
    code, findings, _ = site.examine()
    assert code == 1
    assert "non-root" in findings[f"pod of image {image}"]["found"]


def test_a_sidecar_does_not_keep_a_trial_from_its_end_and_a_start_up_script_runs(
    site: Site, image: str
) -> None:
    sidecar = {"name": "sidecar", "image": image, "command": ["sleep", "600"]}
    site.workers["default"] |= {
        "pod_spec": {"containers": [sidecar]},
        "startup_script": "export DAGSTER_PG_HOST=",
    }
    code, findings, _ = site.examine()
    assert findings[f"pod of image {image}"]["status"] == "ok"
    assert (code, findings["instance"]["status"]) == (1, "failed")
    assert site.left() == []


def test_an_object_that_is_not_there_is_named(site: Site, image: str) -> None:
    site.workers["default"] |= {"service_account": "no-such-account", "priority_class": "no-such-class"}
    site.workers["default"]["secrets"] = ["lake", "database", "no-such-secret"]
    code, findings, _ = site.examine("--no-pods")
    assert code == 1
    for check in (
        "service account no-such-account",
        "PriorityClass no-such-class",
        "Secret no-such-secret",
    ):
        assert (findings[check]["status"], findings[check]["found"]) == ("failed", "there is none")
    assert f"pod of image {image}" not in findings


def test_a_store_that_cannot_be_reached_is_told_without_its_secrets(
    site: Site, s3_in_pods: dict[str, str]
) -> None:
    nowhere = f"http://{site.cluster.node_address}:1"
    site.cluster.apply(secret("lake", {**s3_in_pods, "AWS_ENDPOINT_URL": nowhere}), namespace=site.namespace)
    code, findings, output = site.examine()
    assert code == 1
    assert findings["lake"]["status"] == "failed"
    assert "s3://lake" in findings["lake"]["found"]
    assert "network" in findings["lake"]["advice"]
    assert findings["instance"]["status"] == "ok"
    assert s3_in_pods["AWS_SECRET_ACCESS_KEY"] not in output
    assert site.environment["DAGSTER_PG_PASSWORD"] not in output
    assert site.left() == []


def test_a_lake_in_a_folder_of_the_pod_is_refused(site: Site) -> None:
    site.workers["kubernetes"]["env"]["PRACTICUS_LAKE"] = "/var/lake"
    code, findings, _ = site.examine()
    assert code == 1
    assert findings["lake"]["status"] == "failed"
    assert "gone with it" in findings["lake"]["found"]


def test_a_gpu_that_no_node_offers_is_told_and_is_a_warning_where_nodes_come_when_needed(site: Site) -> None:
    site.workers["default"]["gpu"] = 1
    code, findings, _ = site.examine("--no-pods")
    check = next(each for each in findings if each.startswith("node for "))
    assert code == 1
    assert findings[check]["status"] == "failed"
    assert "nvidia.com/gpu" in findings[check]["found"]
    code, findings, _ = site.examine("--no-pods", "--autoscaled")
    assert (code, findings[check]["status"]) == (0, "warning")


def test_a_region_that_cannot_be_reached_does_not_hide_the_others(site: Site) -> None:
    site.workers["kubernetes"]["regions"] = {"eu": {"context": "no-such-context"}}
    process = site.start("--json", "--no-pods")
    output, _ = process.communicate(timeout=HANGS_S)
    sections = {each["title"].partition(",")[0]: each["findings"] for each in json.loads(output)["sections"]}
    assert process.returncode == 1
    first = sections["Region eu"][0]
    assert (first["check"], first["status"]) == ("API server", "failed")
    assert "no-such-context" in first["found"]
    assert {each["status"] for each in sections["The default region"]} == {"ok"}


def test_an_interrupted_doctor_leaves_no_pod(site: Site) -> None:
    site.workers["default"]["node_selector"] = {"no": "such-node"}
    process = site.start("--timeout", "3600")
    wait_until(site.left, HANGS_S, "the trial's Job")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=HANGS_S)
    assert process.returncode != 0
    wait_until(lambda: not site.left(), HANGS_S, "the Job to go")
    wait_until(lambda: not site.cluster.get("pods", site.namespace), HANGS_S, "the pod to go")


def test_the_service_account_of_runs_is_asked_about_and_what_the_launcher_adds_must_exist(
    site: Site, image: str
) -> None:
    launcher = {
        "job_namespace": site.namespace,
        "service_account_name": "default",
        "load_incluster_config": False,
        "kubeconfig_file": os.environ["KUBECONFIG"],
        "job_image": image,
        "dagster_home": "/opt/dagster",
        "instance_config_map": "dagster-instance",
        "env_config_maps": ["no-such-settings"],
        "env_vars": ["DAGSTER_PG_PASSWORD"],
    }
    run_launcher = {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": launcher}
    home = Path(site.environment["DAGSTER_HOME"], "dagster.yaml")
    home.write_text(yaml.safe_dump({**_INSTANCE, "run_launcher": run_launcher}))
    del site.workers["backend"]
    del site.workers["kubernetes"]["namespace"]
    code, findings, output = site.examine("--no-pods")
    assert code == 1
    assert "K8sRunLauncher" in findings["the job of all assets"]["found"]
    assert findings["rights of the caller"]["status"] == "ok"
    assert findings["rights of service account default"]["status"] == "failed"
    assert "create jobs" in findings["rights of service account default"]["found"]
    assert findings["ConfigMap no-such-settings"]["status"] == "failed"
    assert site.environment["DAGSTER_PG_PASSWORD"] not in output
