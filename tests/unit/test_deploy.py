"""The ways of deploying, of which no cluster here runs all, say the same."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster_k8s.container_context import K8sContainerContext

ROOT = Path(__file__).parents[2]


def read(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def launcher() -> dict[str, Any]:
    found: dict[str, Any] = read("deploy/base/dagster.yaml")["run_launcher"]["config"]
    return found


def context() -> dict[str, Any]:
    found: dict[str, Any] = read("dagster_cloud.yaml")["locations"][0]["container_context"]
    return found


def test_dagster_plus_understands_the_container_context() -> None:
    container = K8sContainerContext.create_from_config(context()).run_k8s_config.container_config
    assert container["security_context"]["read_only_root_filesystem"] is True


def test_dagster_plus_gives_runs_what_the_manifests_give() -> None:
    plus, manifests = context()["k8s"], launcher()
    restricted = {key: manifests["run_k8s_config"][key] for key in ("container_config", "pod_spec_config")}
    assert plus["run_k8s_config"] == plus["server_k8s_config"] == restricted
    assert plus["service_account_name"] == manifests["service_account_name"]
    assert plus["env_config_maps"] == manifests["env_config_maps"]
    assert plus["env_secrets"] == ["dagster-lake"]
    assert plus["env_vars"] == manifests["env_vars"][1:]
    assert plus["volumes"] == manifests["volumes"]
    assert plus["volume_mounts"] == manifests["volume_mounts"]


def test_runs_of_the_helm_chart_are_as_restricted_as_those_of_the_manifests() -> None:
    chart = read("deploy/helm/values.yaml")["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]
    manifests = launcher()["run_k8s_config"]
    assert chart == {
        "containerConfig": {
            "resources": manifests["container_config"]["resources"],
            "securityContext": manifests["container_config"]["security_context"],
        },
        "podSpecConfig": {"securityContext": manifests["pod_spec_config"]["security_context"]},
        "jobSpecConfig": {
            "ttlSecondsAfterFinished": manifests["job_spec_config"]["ttl_seconds_after_finished"]
        },
    }


def test_the_helm_chart_gives_runs_what_the_manifests_give() -> None:
    (code,) = read("deploy/helm/values.yaml")["dagster-user-deployments"]["deployments"]
    manifests = launcher()
    assert [each["name"] for each in code["envConfigMaps"]] == manifests["env_config_maps"]
    assert [each["name"] for each in code["envSecrets"]] == ["dagster-lake"]
    assert code["volumes"] == manifests["volumes"]
    assert code["volumeMounts"] == manifests["volume_mounts"]
    assert [f"{each['name']}={each['value']}" for each in code["env"]] == manifests["env_vars"][1:]


def test_the_freshness_of_assets_is_evaluated() -> None:
    with dg.DagsterInstance.ephemeral(
        settings={"freshness": read("deploy/base/dagster.yaml")["freshness"]}
    ) as one:
        assert one.freshness_enabled
    with dg.DagsterInstance.ephemeral() as chart:  # what the Helm chart leaves to Dagster
        assert chart.freshness_enabled


@pytest.mark.parametrize("part", ["dagsterWebserver", "dagsterDaemon"])
def test_servers_of_the_helm_chart_are_as_restricted_as_those_of_the_manifests(part: str) -> None:
    chart = read("deploy/helm/values.yaml")[part]
    deployment = next(
        yaml.safe_load_all((ROOT / f"deploy/base/{part.removeprefix('dagster').lower()}.yaml").read_text())
    )
    pod = deployment["spec"]["template"]["spec"]
    assert chart["podSecurityContext"] == pod["securityContext"]
    assert chart["securityContext"] == pod["containers"][0]["securityContext"]
    assert chart["resources"] == pod["containers"][0]["resources"]
