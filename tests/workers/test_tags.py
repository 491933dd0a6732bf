"""The tags of a step: what a worker makes of them, and what an author writes there in Dagster's terms."""

import json
from typing import Any

import dagster as dg
import pytest
from dagster_k8s.job import get_user_defined_k8s_config

from practicus_assets import Worker, table_asset, worker_tags
from practicus_assets.errors import DeclarationError
from practicus_assets.workers.placement.configuration import Configuration
from practicus_assets.workers.placement.declaration import StepDeclaration
from practicus_assets.workers.request.tags import K8S_CONFIG_TAG, own_pod_tags


def declared(asset: dg.AssetsDefinition) -> StepDeclaration:
    return StepDeclaration("orders", asset.op, asset.op.tags)


def table(**options: Any) -> dg.AssetsDefinition:
    def orders() -> None: ...

    return table_asset(**options)(orders)


@pytest.mark.parametrize(
    ("config", "names"),
    [
        (
            {"container_config": {"resorces": {}}},
            "config of orders: container_config.resorces is no field of Container (did you mean resources?)",
        ),
        ({"container_confg": {}}, "the unknown section 'container_confg'"),
        (
            {"pod_spec_config": {"node_selector": ["a"]}},
            "nodeSelector is ['a'], not a mapping",
        ),
        (
            {"container_config": {"resources": {"limit": {"cpu": "1"}}}},
            "container_config.resources.limit is no field of ResourceRequirements (did you mean limits?)",
        ),
        ({"merge_behavior": "deep"}, "merge_behavior is 'deep'"),
        ("{", "is not JSON"),
        ([], "is []"),
    ],
)
@pytest.mark.parametrize(
    "worker", [None, Worker(cpu=1), lambda _: Worker(cpu=1)], ids=["bare", "worker", "by"]
)
def test_a_wrong_k8s_config_of_a_table_is_refused_where_it_is_declared(
    worker: Any, config: Any, names: str
) -> None:
    with pytest.raises(DeclarationError) as caught:
        table(worker=worker, op_tags={K8S_CONFIG_TAG: config})
    assert names in str(caught.value)


def test_k8s_config_may_be_spelled_as_dagster_or_as_kubernetes_spells_it_and_hold_bare_quantities() -> None:
    snake = {"container_config": {"image_pull_policy": "Always", "resources": {"requests": {"cpu": 3}}}}
    camel = {"container_config": {"imagePullPolicy": "Always", "resources": {"requests": {"cpu": 3}}}}
    own = [own_pod_tags(table(op_tags={K8S_CONFIG_TAG: each}).op.tags, "orders") for each in (snake, camel)]
    assert own[0] == own[1] == {K8S_CONFIG_TAG: json.dumps(camel)}


def test_a_worker_and_a_k8s_config_of_one_table_make_one_pod_for_either_executor() -> None:
    config = {"container_config": {"security_context": {"run_as_user": 7}, "image_pull_policy": "Always"}}
    asset = table(worker=Worker(memory="2Gi"), op_tags={K8S_CONFIG_TAG: config})
    stock = get_user_defined_k8s_config(asset.op.tags).container_config
    assert stock["security_context"]["run_as_user"] == 7
    assert stock["security_context"]["privileged"] is False
    assert stock["image_pull_policy"] == "Always"
    assert stock["resources"]["requests"] == {"memory": "2Gi"}
    [own] = own_pod_tags(asset.op.tags, "orders").values()
    assert json.loads(own) == {
        "container_config": {"securityContext": {"runAsUser": 7}, "imagePullPolicy": "Always"}
    }


def test_what_a_worker_derives_for_the_stock_executor_is_not_its_authors_word() -> None:
    @dg.asset(op_tags=worker_tags(Worker(size="Small", tolerations=[{"operator": "Exists"}])))
    def plain() -> None: ...

    assert own_pod_tags(plain.op.tags, "plain") == {}


def test_a_size_of_the_configuration_replaces_the_standard_one_whole() -> None:
    sizes = {"Small": {"memory": "3Gi"}}
    found = declared(table(worker=Worker(size="Small"))).placement(
        Configuration.of({"sizes": sizes}), {}, None
    )
    assert (found.worker.cpu, found.worker.memory, found.pod_tags) == (None, "3Gi", {})


def test_a_table_may_have_a_size_that_only_the_configuration_knows() -> None:
    declaration = declared(table(worker=Worker(size="Huge", cpu=2)))
    configuration = Configuration.of({"sizes": {"Huge": {"cpu": 16, "memory": "128Gi"}}})
    found = declaration.placement(configuration, {}, None)
    assert (found.worker.cpu, found.worker.memory) == ("2", "128Gi")
    with pytest.raises(DeclarationError, match="size is 'Huge', which is none of"):
        declaration.placement(Configuration.of({}), {}, None)


def test_a_worker_given_twice_is_refused() -> None:
    with pytest.raises(DeclarationError, match="Keep one of them"):
        table(worker=Worker(cpu=1), op_tags=worker_tags(Worker(cpu=2)))
