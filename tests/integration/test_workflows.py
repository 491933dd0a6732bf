"""Workflows: folders of scripts, in the order of a flow."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from practicus_assets import DeltaIOManager, Worker, workflow
from practicus_assets.errors import DeclarationError
from tests.integration.bench import Bench


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of three tasks, which note their names in a file when they run."""
    folder = tmp_path / "shop"
    folder.mkdir()
    for name in ("orders", "customers"):
        (folder / f"{name}.sh").write_text(f"echo {name} >> {tmp_path}/ran; echo $MODE > mode.txt")
    (folder / "report.py").write_text(f"open('{tmp_path}/ran', 'a').write('report\\n')")
    (folder / "notes.txt").write_text("no task")
    return folder


def job_of(definitions: dg.Definitions, bench: Bench, name: str = "shop") -> dg.JobDefinition:
    resources = {"io_manager": DeltaIOManager(root_uri=bench.root)}
    whole = dg.Definitions.merge(definitions, dg.Definitions(resources=resources))
    return whole.resolve_job_def(name)


FLOW = "[orders, customers] >> report"


def test_tasks_run_in_the_order_of_the_flow(bench: Bench, folder: Path) -> None:
    job_of(workflow("shop", FLOW, path=folder), bench).execute_in_process(instance=bench.instance)
    ran = (folder.parent / "ran").read_text().split()
    assert (sorted(ran[:2]), ran[2:]) == (["customers", "orders"], ["report"])


def test_tasks_are_assets_of_the_workflows_group(folder: Path) -> None:
    graph = workflow("shop", FLOW, path=folder).resolve_asset_graph()
    report = graph.get(dg.AssetKey("report"))
    assert report.parent_keys == {dg.AssetKey("orders"), dg.AssetKey("customers")}
    assert {node.group_name for node in graph.asset_nodes} == {"shop"}


def test_a_spec_can_be_changed_and_the_order_stays(folder: Path) -> None:
    def spec_of(task: str, spec: dg.AssetSpec) -> dg.AssetSpec:
        return spec.replace_attributes(key=["shop", task], owners=["team:data"], deps=["outside"])

    graph = workflow("shop", FLOW, path=folder, get_asset_spec=spec_of).resolve_asset_graph()
    report = graph.get(dg.AssetKey(["shop", "report"]))
    assert report.parent_keys == {
        dg.AssetKey(["shop", "orders"]),
        dg.AssetKey(["shop", "customers"]),
        dg.AssetKey("outside"),
    }
    assert report.owners == ["team:data"]


def test_a_schedule_runs_the_job(folder: Path) -> None:
    definitions = workflow("shop", FLOW, path=folder, schedule="@daily", execution_timezone="Europe/Berlin")
    found = definitions.resolve_schedule_def("shop_schedule")
    assert (found.job_name, found.cron_schedule, found.execution_timezone) == (
        "shop",
        "0 0 * * *",
        "Europe/Berlin",
    )


def test_a_partitioned_workflow_runs_when_its_partition_is_complete(folder: Path) -> None:
    days = dg.DailyPartitionsDefinition("2026-01-01")
    definitions = workflow("shop", FLOW, path=folder, schedule="@daily", partitions_def=days)
    found = definitions.resolve_schedule_def("shop_schedule")
    assert isinstance(found, dg.ScheduleDefinition)
    assert found.cron_schedule == "0 0 * * *"
    with pytest.raises(DeclarationError, match="A partitioned workflow runs when a partition is complete"):
        workflow("shop", FLOW, path=folder, schedule="@hourly", partitions_def=days)


def test_a_schedule_without_a_time_is_refused(folder: Path) -> None:
    with pytest.raises(DeclarationError, match="the schedule of shop is '@once', which is no time"):
        workflow("shop", FLOW, path=folder, schedule="@once")


def test_a_task_that_failed_is_tried_again(bench: Bench, folder: Path) -> None:
    (folder / "orders.sh").write_text('[[ "$PRACTICUS_ATTEMPT" == 2 ]]')
    definitions = workflow("shop", "orders", path=folder, retries=1)
    assert job_of(definitions, bench).execute_in_process(instance=bench.instance).success


def test_parameters_reach_every_task(bench: Bench, folder: Path) -> None:
    (folder / "orders.sh").write_text('[[ "$MODE" == full ]]')
    job = job_of(workflow("shop", "orders", path=folder, parameters={"MODE": "quick"}), bench)
    config = {"ops": {"orders": {"config": {"MODE": "full"}}}}
    assert job.execute_in_process(instance=bench.instance, run_config=config).success


def test_a_tasks_worker_lies_over_the_default(folder: Path) -> None:
    definitions = workflow(
        "shop",
        FLOW,
        path=folder,
        default_worker=Worker(size="Small", env={"LEVEL": "info"}),
        workers={"report": Worker(size="Large")},
    )
    tags = definitions.resolve_job_def("shop").get_node_named("report").definition.tags
    assert '"size": "Large"' in tags["practicus/worker"]
    assert "LEVEL" in tags["practicus/worker"]


def test_a_workflow_writes_tables(bench: Bench, folder: Path) -> None:
    (folder / "orders.py").write_text(
        "from practicus_assets import task\ntask.table('orders').replace([{'n': 1}])"
    )
    (folder / "orders.sh").unlink()
    job = job_of(workflow("shop", FLOW, path=folder, tables={"orders": {}}), bench)
    assert job.execute_in_process(instance=bench.instance).success
    assert bench.rows("orders") == [(1,)]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"flow": "orders >> rapport"}, r"there is no task 'rapport'[^?]* Did you mean report\?"),
        ({"workers": {"report2": Worker()}}, r"workers names 'report2', .* Did you mean report\?"),
        ({"tables": {"x": {}}}, r"tables names 'x', which is no task of the flow\. It has orders, customers"),
        ({"path": "absent"}, r"the workflow shop has no folder .*/tests/integration/absent"),
        ({"get_asset_spec": lambda *_: None}, "get_asset_spec returned None for the task 'orders'"),
    ],
    ids=["task", "worker", "table", "folder", "spec"],
)
def test_a_mistake_is_named(folder: Path, change: dict[str, Any], problem: str) -> None:
    options: dict[str, Any] = {"name": "shop", "flow": FLOW, "path": folder, **change}
    with pytest.raises(DeclarationError, match=problem):
        workflow(**options)


def test_a_task_with_two_files_is_named(folder: Path) -> None:
    (folder / "orders.py").write_text("")
    with pytest.raises(DeclarationError, match=r"the task 'orders' has two files, orders\.py and orders\.sh"):
        workflow("shop", FLOW, path=folder)


def test_names_that_dagster_does_not_take_are_refused_and_another_key_helps(folder: Path) -> None:
    (folder / "überblick.sh").touch()
    with pytest.raises(
        DeclarationError, match="the task 'überblick' would be 'überblick', and Dagster takes"
    ):
        workflow("shop", "überblick", path=folder)
    with pytest.raises(DeclarationError, match="the workflow's name is 'my-shop', and Dagster takes"):
        workflow("my-shop", FLOW, path=folder)
    keys = {"überblick": "summary"}
    definitions = workflow(
        "shop",
        "überblick",
        path=folder,
        get_asset_spec=lambda task, spec: spec.replace_attributes(key=keys[task]),
    )
    assert definitions.resolve_asset_graph().get_all_asset_keys() == {dg.AssetKey("summary")}
