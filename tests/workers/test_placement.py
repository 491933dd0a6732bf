"""The worker that a step gets: layers, sizes, growth after failures, regions and overrides."""

from pathlib import Path
from typing import Any

import pytest

from practicus_assets import Worker
from practicus_assets.errors import DeclarationError
from practicus_assets.workers.placement.configuration import ENVIRONMENT, Configuration
from practicus_assets.workers.placement.declaration import overrides
from practicus_assets.workers.placement.layers import LayeredWorker
from practicus_assets.workers.request.manifest import k8s_config


def configured(**config: Any) -> Configuration:
    return Configuration.of(config)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENVIRONMENT, raising=False)


def test_the_stronger_layer_wins_and_mappings_and_lists_add_up() -> None:
    found = LayeredWorker.of(
        [
            ("default", Worker(memory="1Gi", env={"A": "1", "B": "1"}, secrets=["lake"])),
            ("asset", Worker(memory="2Gi", env={"B": "2"}, secrets=["db", "lake"])),
        ]
    )
    assert found.worker == Worker(memory="2Gi", env={"A": "1", "B": "2"}, secrets=["lake", "db"])
    assert found.origins == {"memory": "asset", "env": "default, asset", "secrets": "default, asset"}


def test_a_size_gives_what_its_layer_does_not_and_says_so() -> None:
    found = LayeredWorker.of([("asset", Worker(size="Large", memory="3Gi"))])
    assert (found.worker.cpu, found.worker.memory) == ("2", "3Gi")
    assert found.origins["cpu"] == "size Large of asset"
    assert found.origins["memory"] == "asset"


def test_a_size_of_a_stronger_layer_replaces_the_amounts_of_a_weaker_one() -> None:
    found = LayeredWorker.of([("asset", Worker(cpu="100m", memory="200Mi")), ("tag", Worker(size="Medium"))])
    assert (found.worker.cpu, found.worker.memory) == ("1", "4Gi")


def test_sizes_are_extended_and_replaced_in_the_configuration() -> None:
    found = configured(sizes={"Huge": {"memory": "64Gi"}, "Small": {"memory": "2Gi"}}).place(
        "step", Worker(size="Huge")
    )
    assert found.worker.memory == "64Gi"


def test_a_size_of_the_configuration_replaces_a_standard_one_in_any_case() -> None:
    found = configured(sizes={"small": {"memory": "2Gi"}}).place("step", Worker(size="Small"))
    assert (found.worker.cpu, found.worker.memory) == (None, "2Gi")


def test_an_unknown_size_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(DeclarationError, match="none of X-Small, Small, Medium, Large, X-Large"):
        configured().place("step", Worker(size="Tiny"))


def test_more_memory_than_the_limit_lifts_the_limit() -> None:
    found = LayeredWorker.of(
        [("asset", Worker(memory="1Gi", memory_limit="8Gi")), ("tag", Worker(memory="16Gi"))]
    )
    assert (found.worker.memory, found.worker.memory_limit) == ("16Gi", "16Gi")
    assert found.origins["memory_limit"] == "tag, as memory"


@pytest.mark.parametrize(("failures", "memory"), [(0, "1Gi"), (1, "2Gi"), (2, "4Gi"), (3, "5Gi"), (9, "5Gi")])
def test_memory_doubles_after_each_attempt_that_ran_out_up_to_the_limit(failures: int, memory: str) -> None:
    found = LayeredWorker.of([("asset", Worker(memory="1Gi", memory_limit="5Gi"))]).after(failures, 0)
    assert found.worker.memory == memory


def test_memory_without_a_limit_does_not_grow() -> None:
    assert LayeredWorker.of([("asset", Worker(memory="1Gi"))]).after(3, 0).worker.memory == "1Gi"


SPOT = {"node_selector": {"pool": "spot"}, "tolerations": [{"key": "spot", "operator": "Exists"}]}


def test_a_spot_worker_goes_to_spot_nodes_and_after_two_losses_to_others() -> None:
    place = configured(kubernetes={"spot": SPOT})
    first = place.place("step", Worker(spot=True), lost=1)
    assert first.worker.node_selector == {"pool": "spot"}
    assert first.worker.tolerations == [{"key": "spot", "operator": "Exists"}]
    third = place.place("step", Worker(spot=True), lost=2)
    assert third.worker.node_selector is None
    [term] = third.worker.affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][  # type: ignore[index]
        "nodeSelectorTerms"
    ]
    assert term == {"matchExpressions": [{"key": "pool", "operator": "NotIn", "values": ["spot"]}]}
    assert third.origins["spot"] == "2 attempts lost their pod"


def test_a_spot_worker_where_no_spot_nodes_are_known_is_refused() -> None:
    with pytest.raises(DeclarationError, match=r"does not say which these are\. Set kubernetes: spot:"):
        configured().place("step", Worker(spot=True))
    with pytest.raises(DeclarationError, match="Set kubernetes: regions: eu: spot:"):
        configured(kubernetes={"regions": {"eu": {}}}).place("step", Worker(spot=True, region="eu"))


def test_a_region_gives_image_and_account_to_workers_that_have_none() -> None:
    place = configured(
        default={"image": "default:1"},
        kubernetes={
            "regions": {"eu": {"image": "eu:1", "service_account": "eu-steps", "env": {"PLACE": "eu"}}}
        },
    )
    found = place.place("step", Worker(region="eu", env={"A": "b"}))
    assert found.region.name == "eu"
    assert (found.worker.image, found.worker.service_account) == ("eu:1", "eu-steps")
    assert found.worker.env == {"PLACE": "eu", "A": "b"}
    own = place.place("step", Worker(region="eu", image="own:1"))
    assert own.worker.image == "own:1"


def test_an_unknown_region_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(DeclarationError, match="the region 'us'; the executor's configuration has eu"):
        configured(kubernetes={"regions": {"eu": {}}}).place("step", Worker(region="us"))


def test_overrides_come_from_config_and_tags_and_the_step_is_stronger_than_all_steps() -> None:
    layers = overrides(
        {"practicus/worker": '{"memory": "3Gi"}', "practicus/worker.orders": '{"memory": "4Gi"}'},
        {"*": {"memory": "1Gi"}, "orders": {"memory": "2Gi"}},
        "orders",
    )
    assert [layer.memory for _, layer in layers] == ["1Gi", "2Gi", "3Gi", "4Gi"]


@pytest.mark.parametrize(
    "field", ["image", "service_account", "secrets", "startup_script", "pod_spec", "volumes", "env"]
)
def test_a_run_may_not_change_what_runs(field: str) -> None:
    values = {"secrets": ["a"], "pod_spec": {}, "volumes": {}, "env": {"A": "b"}}
    import json

    with pytest.raises(DeclarationError, match=f"sets {field}"):
        overrides({"practicus/worker": json.dumps({field: values.get(field, "x")})}, {}, "orders")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("backend: cloud", "not in enum type WorkerBackend got cloud"),
        ("kubernetez: {}", "Did you mean kubernetes?"),
        ("kubernetes: {regions: {eu: {namspace: a}}}", "Did you mean namespace?"),
        ("default: {memry: 1Gi}", "Did you mean memory?"),
        ("[1]", "is wrong"),
        ("isolation: proces", "not in enum type WorkerIsolation got proces"),
        ("max_concurrent: many", 'max_concurrent. Value "many" of type'),
        ("kubernetes: {keep_succeeded: 5}", "It is called keep_succeeded_seconds now."),
        ("kubernetes: {lost_retries: many}", "kubernetes: lost_retries is wrong. Invalid scalar"),
        ("kubernetes: {spot: {node_selectr: {}}}", "Did you mean node_selector?"),
        (":", "cannot be read"),
    ],
)
def test_a_mistake_in_the_file_of_the_environment_is_named(
    text: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "workers.yaml"
    file.write_text(text)
    monkeypatch.setenv(ENVIRONMENT, str(file))
    with pytest.raises(DeclarationError) as caught:
        configured()
    assert says in str(caught.value)


def test_the_file_of_the_environment_takes_variables_as_a_runs_configuration_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "workers.yaml"
    file.write_text("kubernetes: {namespace: {env: STEPS_NAMESPACE}}")
    monkeypatch.setenv(ENVIRONMENT, str(file))
    monkeypatch.setenv("STEPS_NAMESPACE", "steps")
    assert configured().home.namespace == "steps"
    monkeypatch.delenv("STEPS_NAMESPACE")
    with pytest.raises(DeclarationError, match="STEPS_NAMESPACE"):
        configured()


def test_the_run_is_stronger_than_the_file_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "workers.yaml"
    file.write_text("{backend: kubernetes, default: {memory: 1Gi}, kubernetes: {namespace: a, image: 'i:1'}}")
    monkeypatch.setenv(ENVIRONMENT, str(file))
    found = configured(backend="local", kubernetes={"namespace": "b"})
    assert (found.backend, found.default.memory) == ("local", "1Gi")
    assert (found.home.namespace, found.home.image) == ("b", "i:1")


def test_a_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, "kubernets")
    with pytest.raises(DeclarationError, match="'kubernets', and that file cannot be read"):
        configured()


def test_a_container_of_raw_is_laid_over_the_steps_and_others_stand_beside_it() -> None:
    config = k8s_config(
        Worker(pod_spec={"containers": [{"workingDir": "/data"}, {"name": "proxy", "image": "proxy:1"}]})
    )
    assert config["container_config"]["workingDir"] == "/data"
    assert config["pod_spec_config"]["containers"] == [{"name": "proxy", "image": "proxy:1"}]
