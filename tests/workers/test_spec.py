"""A worker's declaration: every mistake is caught where it is made, and names its field."""

from typing import Any

import pytest

from practicus_assets import Worker
from practicus_assets.errors import DeclarationError
from practicus_assets.workers.request.quantity import amount, memory
from practicus_assets.workers.request.worker import SIZES


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"cpu": "half"}, "cpu is 'half'"),
        ({"cpu": -1}, "cpu is -1"),
        ({"cpu": True}, "cpu is True"),
        ({"memory": "1GB"}, "memory is '1GB'"),
        ({"memory": "1 Gi"}, "memory is '1 Gi'"),
        ({"memory": "512m"}, "thousandth"),
        ({"memory": "0"}, "memory is '0'"),
        ({"memory": "2Gi", "memory_limit": "1Gi"}, "memory is 2Gi, more than memory_limit"),
        ({"cpu": 2, "cpu_limit": "500m"}, "cpu is 2, more than cpu_limit"),
        ({"ephemeral_storage": "big"}, "ephemeral_storage is 'big'"),
        ({"gpu": -1}, "gpu is -1"),
        ({"gpu": "1"}, "gpu is '1'"),
        ({"gpu_resource": "nvidia.com/"}, "gpu_resource is 'nvidia.com/'"),
        ({"image": "My Image"}, "image is 'My Image'"),
        ({"image_pull_secrets": "registry"}, "image_pull_secrets is 'registry'"),
        ({"secrets": "lake"}, 'secrets=["lake"]'),
        ({"secrets": ["Lake"]}, "secrets is 'Lake'"),
        ({"config_maps": [7]}, "config_maps is 7"),
        ({"env": {"A B": "c"}}, "env is 'A B'"),
        ({"env": {"A": 1}}, "env is {'A': 1}"),
        ({"env": {"DB_PASSWORD": "hunter2"}}, "DB_PASSWORD, which looks like a secret"),
        ({"env": {"PGPASSWORD": "hunter2"}}, "PGPASSWORD, which looks like a secret"),
        ({"env": {"DATABASE": "postgresql://me:hunter2@db/x"}}, "DATABASE, which looks like a secret"),
        (
            {"pod_spec": {"containers": [{"env": [{"name": "API_KEY", "value": "hunter2"}]}]}},
            "API_KEY, which looks like a secret",
        ),
        ({"volumes": {"data": {"emptyDir": {}}}}, "volumes is 'data'"),
        ({"volumes": {"/data": {}}}, "volumes['/data'] is {}"),
        ({"volumes": {"/data": {"emptyDirr": {}}}}, "did you mean emptyDir?"),
        ({"service_account": "No Body"}, "service_account is 'No Body'"),
        ({"service_account_token": "yes"}, "service_account_token is 'yes'"),
        ({"node_selector": {"a": "b c"}}, "node_selector['a'] is 'b c'"),
        (
            {"tolerations": [{"key": "a", "operatr": "Exists"}]},
            "tolerations[0].operatr is no field of Toleration",
        ),
        ({"tolerations": {"key": "a"}}, "tolerations is {'key': 'a'}, not a list"),
        ({"affinity": {"nodeAffinity": {"required": {}}}}, "affinity.nodeAffinity.required is no field"),
        ({"priority_class": "Very High"}, "priority_class is 'Very High'"),
        ({"labels": {"-team": "x"}}, "labels is '-team'"),
        ({"labels": {"team": "x" * 64}}, "labels['team']"),
        ({"labels": {"Example.com/team": "x"}}, "The prefix before '/' must be a DNS name"),
        ({"annotations": {"a": 1}}, "annotations is {'a': 1}"),
        ({"time_limit_seconds": 0}, "time_limit_seconds is 0"),
        ({"time_limit_seconds": "2h"}, "time_limit_seconds is '2h'"),
        ({"startup_script": " "}, "startup_script is ' '"),
        ({"region": ""}, "region is ''"),
        ({"spot": "yes"}, "spot is 'yes'"),
        ({"keep_failed_seconds": 0}, "keep_failed_seconds is 0"),
        ({"pod_spec": {"memry": "1Gi"}}, "pod_spec.memry is no field of PodSpec"),
        ({"pod_spec": {"node_selector": {}}}, "did you mean nodeSelector?"),
        (
            {"pod_spec": {"containers": [{"resources": {"limit": {}}}]}},
            "containers[0].resources.limit is no field of ResourceRequirements (did you mean limits?)",
        ),
        ({"pod_spec": {"nodeSelector": ["a"]}}, "pod_spec.nodeSelector is ['a'], not a mapping"),
        ({"pod_spec": {"nodeSelector": {"gpu": True}}}, "pod_spec.nodeSelector.gpu is True, not of type str"),
        ({"pod_spec": {"hostNetwork": "true"}}, "pod_spec.hostNetwork is 'true', not of type bool"),
        ({"pod_spec": {"terminationGracePeriodSeconds": True}}, "is True, not of type int"),
    ],
)
def test_a_wrong_value_is_refused_and_its_field_is_named(fields: dict[str, Any], names: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        Worker(**fields)
    assert names in str(caught.value)


def test_the_value_of_a_variable_that_looks_like_a_secret_is_not_in_the_error() -> None:
    with pytest.raises(DeclarationError) as caught:
        Worker(env={"DB_PASSWORD": "hunter2"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["TOKENIZERS_PARALLELISM", "CACHE_KEY_PREFIX", "SECRETARY", "POSTGRES_PASSWORD_FILE", "MAX_TOKEN_COUNT"],
)
def test_a_variable_whose_name_only_resembles_a_secret_is_taken(name: str) -> None:
    assert Worker(env={name: "x"}).env == {name: "x"}


def test_an_unknown_field_is_no_worker() -> None:
    with pytest.raises(DeclarationError, match=r"a Worker has no field 'memry'. Did you mean memory\?"):
        Worker(memry="1Gi")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("former", "name"),
    [
        ("time_limit", "time_limit_seconds"),
        ("keep_on_failure", "keep_failed_seconds"),
        ("raw", "pod_spec"),
    ],
)
def test_a_field_by_its_former_name_is_refused_with_the_new_one(former: str, name: str) -> None:
    with pytest.raises(DeclarationError, match=f"has no field '{former}'. It is called {name} now"):
        Worker(**{former: 5})
    with pytest.raises(DeclarationError, match=f"the tag has no field '{former}'. It is called {name} now"):
        Worker.from_config({former: 5}, "the tag")


@pytest.mark.parametrize("size", ["X-Large", "x-large", "X-LARGE"])
def test_a_size_is_named_in_any_case(size: str) -> None:
    assert Worker(size=size).sized(SIZES, "orders").memory == "16Gi"


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"memry": "1Gi"}, "Did you mean memory?"),
        ('{"memory": }', "is not JSON"),
        ("[]", "is []"),
        ({"memory": "1GB"}, "the tag: memory is '1GB'"),
    ],
)
def test_a_worker_from_a_tag_names_the_tag_and_the_field(config: Any, says: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        Worker.from_config(config, "the tag")
    assert says in str(caught.value)
    assert "the tag" in str(caught.value)


def test_a_worker_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Worker().memory = "1Gi"  # type: ignore[misc]


def test_a_worker_keeps_what_it_was_given_when_the_given_mapping_changes() -> None:
    env = {"A": "1"}
    worker = Worker(env=env)
    env["A"] = "2"
    assert worker.env == {"A": "1"}


def test_a_worker_survives_its_way_through_json() -> None:
    import json

    worker = Worker(
        size="Small",
        memory_limit="8Gi",
        gpu=1,
        env={"A": "b"},
        tolerations=[{"key": "gpu", "operator": "Exists"}],
        volumes={"/data": {"emptyDir": {"sizeLimit": "1Gi"}}},
        spot=False,
        pod_spec={"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}]},
    )
    assert Worker.from_config(json.dumps(worker.given()), "json") == worker


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("1.5", 1.5),
        (".5", 0.5),
        ("500m", 0.5),
        ("1k", 1e3),
        ("1Ki", 1024),
        ("2Gi", 2 * 2**30),
        ("1e3", 1e3),
        ("1E", 1e18),
        ("5u", 5e-6),
    ],
)
def test_quantities_are_read_as_kubernetes_reads_them(text: str, number: float) -> None:
    assert float(amount(text)) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "1 Gi", "Gi", "-1", "1gi", "1Gib", "0x1", "1e", "١"])  # noqa: RUF001
def test_what_kubernetes_would_not_read_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 the text is all that it says
        amount(text)


def test_memory_is_written_in_the_largest_unit_that_is_exact() -> None:
    assert memory(amount("1Gi") * 3) == "3Gi"
    assert memory(1536 << 20) == "1536Mi"
    assert memory(1001) == "1001"
