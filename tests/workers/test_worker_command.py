"""`practicus-assets worker`: the manifest that would be made, and why. No cluster is asked."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from click.testing import CliRunner, Result

from practicus_assets.cli import main

GOLDEN = Path(__file__).with_name("golden")
ROOT = Path(__file__).parents[2]
CONFIG: dict[str, Any] = {
    "backend": "kubernetes",
    "default": {"env": {"LEVEL": "info"}, "labels": {"team": "data"}},
    "kubernetes": {
        "image": "registry.example/pipelines:1",
        "service_account": "dagster-step",
        "namespace": "steps",
        "env": {"ZONE": "home"},
        "regions": {
            "eu": {"namespace": "steps-eu", "context": "eu", "roots": {"s3://lake": "s3://lake-eu"}},
        },
    },
}
MIXED = """
import dagster as dg
from practicus_assets import Worker, worker_executor, worker_tags

@dg.multi_asset(
    specs=[dg.AssetSpec(["sales", "orders"]), dg.AssetSpec(["sales", "items"])],
    op_tags=worker_tags(Worker(memory="2Gi")),
)
def sales(): ...

@dg.asset(key_prefix=["raw"])
def events(): ...

@dg.op(tags=worker_tags(Worker(cpu=3)))
def load(): return 1

@dg.op
def clean(rows): return rows

@dg.graph_asset
def cleaned(): return clean(load())

tag = {
    "container_config": {"resources": {"requests": {"cpu": "3", "memory": "1Gi"}}},
    "pod_spec_config": {"node_selector": {"disk": "ssd"}, "termination_grace_period_seconds": 7},
}

@dg.asset(op_tags={"dagster-k8s/config": tag})
def tagged(): ...

@dg.asset(op_tags={"dagster-k8s/config": {"container_config": {"resorces": {}}}})
def mistagged(): ...

defs = dg.Definitions(assets=[sales, events, cleaned, tagged, mistagged], executor=worker_executor)
"""


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DAGSTER_HOME", "PRACTICUS_WORKERS", "DAGSTER_CURRENT_IMAGE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(ROOT)


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "workers.yaml"
    file.write_text(yaml.safe_dump(CONFIG))
    monkeypatch.setenv("PRACTICUS_WORKERS", str(file))


@pytest.fixture
def mixed(tmp_path: Path) -> list[str]:
    file = tmp_path / "mixed.py"
    file.write_text(MIXED)
    return ["-f", str(file)]


def worker(*arguments: str) -> Result:
    location = () if "-f" in arguments else ("-m", "pipelines")
    return CliRunner().invoke(main, ["worker", *location, *arguments], terminal_width=200)


def told(*arguments: str) -> dict[str, Any]:
    result = worker("--json", *arguments)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.output)
    return found


@pytest.mark.parametrize("step", ["table1_new", "table2_new", "final_table"])
def test_the_shipped_pipeline_gets_these_manifests(step: str, configured: None, tmp_path: Path) -> None:
    result = worker(step, "--partition", "2013-01-02")
    assert result.exit_code == 0, result.output
    output = result.output.replace(str(tmp_path), "FOLDER").replace(dg.__version__, "VERSION")
    output = "".join(f"{line.rstrip()}\n" for line in output.splitlines())
    assert output == (GOLDEN / f"{step}.txt").read_text()


def test_yaml_is_the_manifest_alone(configured: None) -> None:
    manifest = yaml.safe_load(worker("table1_new", "--yaml").output)
    assert (manifest["kind"], manifest) == ("Job", told("table1_new")["manifest"])


def test_each_field_says_which_layer_gave_it(configured: None) -> None:
    fields = told("table1_new", "--run-tag", 'practicus/worker.table1_new={"cpu": 2}')["fields"]
    assert {name: field["origin"] for name, field in fields.items()} == {
        "cpu": "run tag practicus/worker.table1_new",
        "memory": "size Small of table1_new",
        "memory_limit": "table1_new",
        "image": "the default region",
        "env": "executor's default, the default region",
        "service_account": "the default region",
        "labels": "executor's default",
        "capture_logs": "default",
        "keep_failed_seconds": "default",
    }
    assert fields["env"]["value"] == {"LEVEL": "info", "ZONE": "home"}


def test_the_k8s_config_tag_of_a_step_is_in_its_job_and_its_fields_say_so(mixed: list[str]) -> None:
    override = 'practicus/worker={"memory": "4Gi"}'
    found = told("tagged", *mixed, "--run-tag", override)
    pod = found["manifest"]["spec"]["template"]["spec"]
    assert (pod["nodeSelector"], pod["terminationGracePeriodSeconds"]) == ({"disk": "ssd"}, 7)
    assert pod["containers"][0]["resources"]["requests"] == {"cpu": "3", "memory": "4Gi"}
    origin = found["fields"]["pod_spec_config.nodeSelector"]["origin"]
    assert origin == "the tag dagster-k8s/config of tagged; the worker is laid over it"
    assert found["fields"]["memory"]["origin"] == "run tag practicus/worker"


def test_what_the_code_server_gives_to_runs_is_in_the_job(
    mixed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_CURRENT_IMAGE", "of-the-code-server:1")
    monkeypatch.setenv("DAGSTER_CONTAINER_CONTEXT", '{"k8s": {"env_secrets": ["of-the-code-server"]}}')
    [container] = told("tagged", *mixed)["manifest"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "of-the-code-server:1"
    assert {"secretRef": {"name": "of-the-code-server"}} in container["envFrom"]


def test_a_mistake_in_a_k8s_config_tag_is_named(mixed: list[str]) -> None:
    result = worker("mistagged", *mixed)
    assert result.exit_code == 1
    assert "the tag dagster-k8s/config of mistagged: container_config.resorces is no field" in result.output


def test_an_attempt_after_one_that_ran_out_of_memory_gets_twice_as_much(configured: None) -> None:
    found = told("table1_new", "--out-of-memory", "1")
    assert found["fields"]["memory"]["value"] == "2Gi"
    assert found["manifest"]["metadata"]["name"].endswith("-2")
    [container] = found["manifest"]["spec"]["template"]["spec"]["containers"]
    assert {"name": "PRACTICUS_ATTEMPT", "value": "2"} in container["env"]


def test_a_region_is_chosen_by_a_run_tag_and_its_roots_are_told_to_the_step(configured: None) -> None:
    found = told("table1_new", "--run-tag", 'practicus/worker={"region": "eu"}')
    assert (found["region"], found["namespace"]) == ("eu", "steps-eu")
    [container] = found["manifest"]["spec"]["template"]["spec"]["containers"]
    told_roots = next(each["value"] for each in container["env"] if each["name"] == "PRACTICUS_ROOTS")
    assert json.loads(told_roots) == {"s3://lake": "s3://lake-eu"}


def test_where_steps_run_locally_it_says_so_and_still_shows_the_manifest() -> None:
    result = worker("table1_new")
    assert "Steps run in local processes: nothing says otherwise" in result.output
    assert "nothing names one" in result.output
    assert "kind: Job" in result.output


def test_a_job_whose_executor_starts_no_workers_is_named_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "plain.py"
    file.write_text("import dagster as dg\n@dg.asset\ndef orders(): ...\ndefs = dg.Definitions([orders])\n")
    assert (
        "The executor of the job of all assets is multi_or_in_process_executor: that is Dagster's own, "
        "so its steps run in processes, without workers. Set executor=worker_executor in "
    ) in worker("orders", "-f", str(file)).output


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("sales/items", "sales"),
        ("sales", "sales"),
        ("raw/events", "raw__events"),
        ("raw__events", "raw__events"),
        ("cleaned.load", "cleaned.load"),
    ],
)
def test_a_step_is_found_by_its_key_and_by_an_asset_it_makes(name: str, step: str, mixed: list[str]) -> None:
    assert told(name, *mixed)["step"] == step


def test_an_asset_of_several_steps_names_them(mixed: list[str]) -> None:
    result = worker("cleaned", *mixed)
    assert result.exit_code == 1
    assert "cleaned is made by the steps cleaned.clean, cleaned.load. Name one of them." in result.output


def test_the_worker_of_an_op_in_a_graph_is_its_own(mixed: list[str]) -> None:
    assert told("cleaned.load", *mixed)["fields"]["cpu"] == {"value": "3", "origin": "cleaned.load"}
    assert "cpu" not in told("cleaned.clean", *mixed)["fields"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["table_1_new"], "Did you mean table1_new"),
        (
            ["zzz"],
            "There are diff, final_table, history, maintain, observe_table1, observe_table2",
        ),
        (["table1_new", "--job", "nightly"], "there is no job 'nightly' here"),
        (["table1_new", "--partition", "2012-01-01"], "it has 365, from 2013-01-01 to 2013-12-31"),
        (["table1_new", "--run-tag", "cpu"], "Write KEY=VALUE"),
        (["table1_new", "--run-tag", 'practicus/worker={"image": "mine"}'], "sets image"),
        (["table1_new", "--run-tag", 'practicus/worker={"region": "mars"}'], "asks for the region 'mars'"),
    ],
)
def test_what_cannot_be_answered_is_told_with_what_to_do(arguments: list[str], said: str) -> None:
    result = worker(*arguments)
    assert result.exit_code == 1
    assert said in result.output


def test_a_partition_of_a_step_without_partitions_is_refused(mixed: list[str]) -> None:
    assert "raw__events has no partitions" in worker("raw/events", "--partition", "x", *mixed).output


def test_what_the_run_launcher_adds_is_shown_without_values_of_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    cluster = {"clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}]}
    users = {"users": [{"name": "u", "user": {}}]}
    contexts = {"contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}], "current-context": "x"}
    kubeconfig.write_text(yaml.safe_dump({"kind": "Config", **cluster, **users, **contexts}))
    launcher = {
        "job_namespace": "dagster",
        "service_account_name": "dagster-run",
        "load_incluster_config": False,
        "kubeconfig_file": str(kubeconfig),
        "job_image": "registry.example/runs:1",
        "dagster_home": "/opt/dagster",
        "instance_config_map": "dagster-instance",
        "env_vars": ["LAKE_KEY"],
        "env_secrets": ["lake"],
        "run_k8s_config": {"container_config": {"resources": {"limits": {"cpu": "3"}}}},
    }
    instance = {"run_launcher": {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": launcher}}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump({**instance, "telemetry": {"enabled": False}}))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("LAKE_KEY", "hunter2-hunter2")
    result = worker("table1_new")
    assert "the instance launches runs with K8sRunLauncher" in result.output
    assert "hunter2" not in result.output
    found = told("table1_new")
    assert found["namespace"] == "dagster"
    assert found["fields"]["image"]["value"] == "registry.example/runs:1"
    assert "resources.limits.cpu" not in found["fields"], "a worker with its own resources has not the run's"
    [container] = found["manifest"]["spec"]["template"]["spec"]["containers"]
    assert {"name": "LAKE_KEY", "value": "***"} in container["env"]
    assert {"secretRef": {"name": "lake"}} in container["envFrom"]
