"""Workers of Sail: parts of its process, or pods, which are processes behind a small API server here."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from practicus_assets import (
    Contract,
    DeclarationError,
    DeltaIOManager,
    EngineFailed,
    Snapshot,
    SparkConnect,
    Worker,
    table_asset,
)
from practicus_assets.engines.spark.workers import SailWorkers, pod_template
from practicus_assets.workers.launch import variables
from tests.integration.spark import DataFrame, F
from tests.servers.pods import Pods

pytestmark = [
    pytest.mark.slow,
    pytest.mark.process,
    pytest.mark.filterwarnings("ignore:.*maximum number of retries:UserWarning"),
]

COUNT = 20_000
STEP = {
    "metadata": {"name": "step", "uid": "1"},
    "status": {"podIP": "127.0.0.1"},
    "spec": {"nodeName": "node"},
}
TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"dagster/run-id": "run"}},
    "spec": {"containers": [{"name": "dagster", "image": "code:1", "env": [], "resources": {}}]},
}


@pytest.fixture
def pods(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pods]:
    """An API server that this step, whose pod is `step`, may start pods with."""
    with Pods(tmp_path_factory.mktemp("pods"), step=STEP) as server:
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
        monkeypatch.setattr(
            "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(server.kubeconfig)
        )
        monkeypatch.setenv("HOSTNAME", "step")
        monkeypatch.setenv(variables.ENGINE_POD, json.dumps(TEMPLATE))
        yield server
        assert not server.processes, "the step deletes its pods"


@table_asset(partition_by="day")
def orders() -> pa.Table:
    numbers = range(COUNT)
    return pa.table(
        {
            "day": [f"2026-01-0{n % 4 + 1}" for n in numbers],
            "shop": [f"shop {n % 97}" for n in numbers],
            "amount": pa.array(numbers, pa.int64()),
            "ratio": [float("nan") if n % 3 else n / 7 for n in numbers],
        }
    )


def run(root: Path, *assets: Any, **options: Any) -> dg.ExecuteInProcessResult:
    lake = DeltaIOManager(root_uri=str(root))
    return dg.materialize([orders, *assets], resources={"io_manager": lake}, **options)


def version_of(result: dg.ExecuteInProcessResult, name: str) -> str:
    [event] = [e for e in result.get_asset_materialization_events() if e.asset_key == dg.AssetKey(name)]
    tags = event.step_materialization_data.materialization.tags
    assert tags is not None
    return tags["dagster/data_version"]


def joined(orders: Any) -> Any:
    """Shuffle the rows, and more than once."""
    totals = orders.groupBy("shop").agg(F.sum("amount").alias("total"), F.count("*").alias("rows"))
    return orders.join(totals, "shop").where("ratio > 1")


def assert_equal_to_one_process(root: Path, *others: Any) -> None:
    columns = Contract({"day": "string"})

    @table_asset(engine=SparkConnect(), partition_by="day", contract=columns)
    def alone(orders: DataFrame) -> DataFrame:
        return joined(orders)

    @table_asset(engine=SparkConnect(workers=2), partition_by="day", contract=columns)
    def together(orders: DataFrame) -> DataFrame:
        return joined(orders)

    result = run(root, alone, together, *others)
    assert Snapshot.open(root / "together").row_count > 0
    assert version_of(result, "together") == version_of(result, "alone")


def test_rows_of_workers_in_one_process_have_the_fingerprint_of_a_server_alone(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "scale.md"
    [block] = [
        code
        for code in page.read_text(encoding="utf-8").split("```")
        if code.startswith("python") and "SparkConnect(workers=" in code
    ]
    names: dict[str, Any] = {**globals()}
    exec(compile(block.removeprefix("python"), str(page), "exec"), names)  # noqa: S102 the page's code
    assert_equal_to_one_process(tmp_path, names["shops"])
    rows = Snapshot.open(tmp_path / "shops").to_arrow()
    assert (rows.num_rows, sum(rows["orders"].to_pylist())) == (97, COUNT)


def test_rows_of_workers_in_pods_have_the_fingerprint_of_a_server_alone(tmp_path: Path, pods: Pods) -> None:
    assert_equal_to_one_process(tmp_path)
    assert len(pods.made) == 2
    for pod in pods.made.values():
        assert pod["metadata"]["ownerReferences"][0]["uid"] == "1"
        assert pod["metadata"]["labels"]["practicus/engine-of"] == "step"
        assert pod["spec"]["containers"][0]["image"] == "code:1"


def test_a_worker_that_is_killed_fails_its_step_and_a_retry_commits_once(tmp_path: Path, pods: Pods) -> None:
    marker = tmp_path / "killed"

    def fatal(amount: int) -> int:
        import os as system

        if not marker.exists():
            marker.touch()
            system.kill(system.getpid(), 9)
        return amount

    @table_asset(engine=SparkConnect(workers=2))
    def totals(orders: DataFrame) -> DataFrame:
        same = F.udf(lambda amount: fatal(amount), "bigint")  # noqa: PLW0108 without annotations
        return orders.groupBy("shop").agg(F.sum(same("amount")).alias("total"))

    run(tmp_path, selection=[orders])
    with pytest.raises(EngineFailed, match=r"totals: Sail: its pod step-.* ended with exit code 137"):
        run(tmp_path, totals, selection=[totals])
    assert not (tmp_path / "totals").exists()
    run(tmp_path, totals, selection=[totals])
    assert Snapshot.open(tmp_path / "totals").version == 0
    rows = Snapshot.open(tmp_path / "totals").to_arrow()
    assert rows.num_rows == 97
    assert sum(rows["total"].to_pylist()) == sum(range(COUNT))


def test_what_the_api_server_refuses_is_in_the_error(tmp_path: Path, pods: Pods) -> None:
    @table_asset(engine=SparkConnect(workers=1))
    def copied(orders: DataFrame) -> DataFrame:
        return orders

    run(tmp_path, selection=[orders])
    pods.hidden = True
    with pytest.raises(EngineFailed, match=r"copied: .* pods \"step\" is forbidden.*dagster-engine"):
        run(tmp_path, copied, selection=[copied])
    assert not (tmp_path / "copied").exists()


def test_a_pod_runs_our_program_and_stays_where_its_folders_are() -> None:
    made = pod_template(TEMPLATE, "step", "node")
    [container] = made["spec"]["containers"]
    assert (container["name"], container["image"]) == ("worker", "code:1")
    assert container["command"][-1] == "practicus_assets.engines.spark.pod_program"
    assert "affinity" not in made["spec"]

    here = {"spec": {**TEMPLATE["spec"], "volumes": [{"name": "lake", "hostPath": {"path": "/lake"}}]}}
    selected = pod_template({**TEMPLATE, **here}, "step", "node")["spec"]["affinity"]["nodeAffinity"]
    [term] = selected["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term["matchFields"] == [{"key": "metadata.name", "operator": "In", "values": ["node"]}]


def test_a_store_is_reached_by_what_pods_may_be_told_and_by_secrets_that_they_have(
    pods: Pods, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach = {"AWS_ENDPOINT": "http://store:9000", "AWS_SECRET_ACCESS_KEY": "hunter2hunter2"}
    with pytest.raises(DeclarationError, match="AWS_SECRET_ACCESS_KEY") as raised:
        SailWorkers(1, reach=reach).settings()
    assert "hunter2" not in str(raised.value)

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2hunter2")  # as a Secret of the step's pod has it
    settings = SailWorkers(1, reach=reach).settings()
    assert "hunter2" not in str(settings)
    template = json.loads(settings["SAIL_KUBERNETES__WORKER_POD_TEMPLATE"])
    assert {"name": "AWS_ENDPOINT", "value": "http://store:9000"} in template["spec"]["containers"][0]["env"]


def test_workers_that_no_server_has_are_refused_where_they_are_declared() -> None:
    with pytest.raises(DeclarationError, match="Apache Spark"):
        SparkConnect("spark", workers=2)
    with pytest.raises(DeclarationError, match="sc://host:1"):
        SparkConnect(address="sc://host:1", workers=2)
    with pytest.raises(DeclarationError, match="no workers"):
        SparkConnect(worker=Worker(cpu=1))
    with pytest.raises(DeclarationError, match="True"):
        SparkConnect(workers=True)
    with pytest.raises(DeclarationError, match="region"):
        SparkConnect(workers=2, worker=Worker(region="eu"))
