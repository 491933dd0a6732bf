"""Guards for what is used of Dagster without being its public API: an upgrade that changes it fails here."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

import practicus_assets
from practicus_assets import DeltaIOManager, table_asset
from practicus_assets.assets.runs import step_of
from practicus_assets.instance.attempts import attempts, failed_checks
from practicus_assets.instance.events import began
from tests.integration.bench import Bench

# Dagster has no public way to write an executor that delegates steps, nor to choose a job's checks; by room:
SEAMS = {
    "assets": {
        "dagster._check",  # whose error Dagster raises for options of another type
        # by which an evaluation of one partition says which materialization it is about
        "dagster._core.definitions.asset_checks.asset_check_evaluation",
        # by which a run gives metadata to very many partitions at once
        "dagster._core.execution.context.metadata_logging",
    },
    "automation": {
        # by which conditions and schedules know which partitions are missing, and which are at work
        "dagster._core.asset_graph_view.asset_graph_view",
        "dagster._core.definitions.temporal_context",
        # by which `allow` and `ignore` of a condition reach its parts
        "dagster._core.definitions.declarative_automation.operators.dep_operators",
        "dagster._core.definitions.unresolved_asset_job_definition",
    },
    "doctor": {"dagster._core.instance.ref"},  # by which a pod is told of the instance, as steps are
    # by which a step waits for slots of several pools: an op names one, and Dagster claims only that
    "external": {"dagster._core.execution.plan.instance_concurrency_context"},
    "notifications": {
        "dagster._core.definitions.freshness",  # by which the freshness daemon's findings are read
        "dagster._core.scheduler.instigation",  # by which ticks of sensors and schedules are
    },
    "operations": {
        "dagster._core.definitions.assets.graph.asset_graph",
        "dagster._core.definitions.unresolved_asset_job_definition",
    },
    "overview": {"dagster._core.definitions.freshness"},  # by which it is told whether a table is late
    "tasks": {"dagster._check"},  # whose error Dagster raises for what a task reports
    "workers": {
        "dagster._check",  # whose error Dagster raises for an instance that cannot be opened elsewhere
        "dagster._config",
        "dagster._core.code_pointer",
        "dagster._core.events",
        "dagster._core.execution.plan.objects",
        "dagster._core.execution.retries",
        "dagster._core.execution.tags",
        "dagster._core.executor.in_process",
        "dagster._core.executor.step_delegating",
        "dagster._core.origin",
        "dagster_k8s",
        "dagster_k8s.container_context",
        "dagster_k8s.job",
        "dagster_shared.error",
    },
}
PACKAGE = Path(practicus_assets.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("source", SOURCES, ids=[str(path.relative_to(PACKAGE)) for path in SOURCES])
def test_no_private_module_of_dagster_is_imported_but_the_seams_of_executors(source: Path) -> None:
    imported = []
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.ImportFrom):
            imported.append(node.module or "")
        elif isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
    private = [name for name in imported if name.startswith(("dagster.", "dagster_"))]
    allowed = SEAMS.get(source.relative_to(PACKAGE).parts[0], set())
    assert [name for name in private if name not in allowed] == []


def _names(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "dg":
            yield node.attr


def test_every_name_that_is_taken_from_dagster_is_exported_there() -> None:
    used = {name for source in SOURCES for name in _names(source)}
    assert used
    assert [name for name in sorted(used) if not hasattr(dg, name)] == []


class Spy(DeltaIOManager):
    """A lake that notes the steps it meets."""

    def load_input(self, context: dg.InputContext) -> Any:
        SEEN["input"] = step_of(context)
        return super().load_input(context)

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        SEEN["output"] = step_of(context)
        super().handle_output(context, obj)


SEEN: dict[str, Any] = {}


def test_a_step_tells_its_run_its_key_its_attempt_and_its_instance(bench: Bench) -> None:
    @dg.asset
    def plain() -> pd.DataFrame:
        return pd.DataFrame({"n": [1]})

    @table_asset(retry_policy=dg.RetryPolicy(max_retries=1))
    def orders(context: dg.AssetExecutionContext, plain: pd.DataFrame) -> pd.DataFrame:
        SEEN["asset"] = step_of(context)
        SEEN.setdefault("attempts", []).append(SEEN["asset"].previous_attempt_count)
        if len(SEEN["attempts"]) == 1:
            raise OSError("once")
        return plain

    SEEN.clear()
    bench.resources = {"io_manager": Spy(root_uri=bench.root)}
    result = bench.run([plain, orders])
    assert SEEN["attempts"] == [0, 1]
    for place, key in {"output": "plain", "input": "orders", "asset": "orders"}.items():
        step = SEEN[place]
        assert (step.run_id, step.step.key) == (result.run_id, key)
        assert step.dagster_run.run_id == result.run_id
        assert step.dagster_run.parent_run_id is None
        assert step.instance is bench.instance


def test_a_context_outside_of_a_run_has_no_step() -> None:
    assert step_of(dg.build_input_context(asset_key=dg.AssetKey("orders"))) is None
    assert step_of(dg.build_output_context(asset_key=dg.AssetKey("orders"))) is None
    with dg.build_asset_context() as context:
        assert step_of(context) is None


def test_a_run_record_says_when_the_run_began(bench: Bench) -> None:
    @dg.asset
    def plain() -> None: ...

    record = bench.instance.get_run_record_by_id(bench.run([plain]).run_id)
    assert record is not None
    assert isinstance(record.start_time, float)
    assert record.create_timestamp.tzinfo is not None
    assert record.create_timestamp.timestamp() <= record.start_time + 1


def test_a_page_of_materializations_says_whether_there_is_more(bench: Bench) -> None:
    @dg.asset
    def plain() -> None: ...

    for _ in range(3):
        bench.run([plain])
    page = bench.instance.fetch_materializations(plain.key, limit=2)
    assert (len(page.records), page.has_more) == (2, True)
    rest = bench.instance.fetch_materializations(plain.key, limit=2, cursor=page.cursor)
    assert (len(rest.records), rest.has_more) == (1, False)
    assert page.records[0].storage_id > page.records[1].storage_id > rest.records[0].storage_id


def test_the_newest_number_of_a_partition_is_that_of_its_last_materialization(bench: Bench) -> None:
    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a", "b", "c"]))
    def plain() -> None: ...

    for partition in ("a", "b", "a"):
        bench.run([plain], partition=partition)
    bench.instance.report_runless_asset_event(dg.AssetObservation("plain", partition="a"))
    last, of_b, _ = bench.instance.fetch_materializations(plain.key, limit=3).records
    kind = dg.DagsterEventType.ASSET_MATERIALIZATION
    numbers = bench.instance.get_latest_storage_id_by_partition(plain.key, kind, {"a", "b", "c"})
    assert numbers == {"a": last.storage_id, "b": of_b.storage_id}


def test_numbers_of_runs_and_of_events_are_of_one_order_in_sqlite_too(tmp_path: Path) -> None:
    @dg.asset
    def plain() -> None: ...

    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        before = dg.materialize([plain], instance=instance, run_config=quiet).run_id
        instance.report_runless_asset_event(dg.AssetObservation("plain"))
        after = dg.materialize([plain], instance=instance, run_config=quiet).run_id
        numbers = began(instance, [before, after, "nobody"])
        [observed] = instance.fetch_observations(plain.key, limit=1).records
        made = instance.fetch_materializations(plain.key, limit=2).records
        newest, first = (record.storage_id for record in made)
    assert {*numbers} == {before, after}
    assert numbers[before] < first < observed.storage_id < numbers[after] < newest


def test_the_event_log_tells_what_was_planned_and_not_made_and_which_checks_failed(bench: Bench) -> None:
    parts = dg.StaticPartitionsDefinition(["a", "b"])

    @dg.asset(partitions_def=parts, check_specs=[dg.AssetCheckSpec("rule", asset="plain", blocking=True)])
    def plain(context: dg.AssetExecutionContext) -> Iterator[Any]:
        yield dg.AssetCheckResult(passed=context.partition_key == "a")
        if context.partition_key == "b":
            raise ValueError("broken")
        yield dg.MaterializeResult()

    bench.run([plain], partition="a")
    failed = bench.run([plain], partition="b", fails=True).run_id
    found = attempts(bench.instance, plain.key, has_partitions=True)
    assert {key: (each.run_id, each.checks) for key, each in found.items()} == {"b": (failed, ("rule",))}
    [checks] = failed_checks(bench.instance, [dg.AssetCheckKey(plain.key, "rule")]).values()
    assert [(each.run_id, each.checks) for each in checks] == [(failed, ("rule",))]


def test_a_data_version_is_a_tag_of_the_materialization(bench: Bench) -> None:
    @dg.asset
    def plain() -> dg.MaterializeResult:  # type: ignore[type-arg]
        return dg.MaterializeResult(data_version=dg.DataVersion("7"))

    bench.run([plain])
    assert bench.data_version("plain") == "7"


def test_partition_definitions_tell_windows_and_dimensions() -> None:
    days = dg.DailyPartitionsDefinition("2024-01-01", timezone="Europe/Istanbul")
    window = days.time_window_for_partition_key("2024-01-02")
    assert window.start.isoformat() == "2024-01-02T00:00:00+03:00"
    assert (window.end - window.start).total_seconds() == 24 * 3600
    grid = dg.MultiPartitionsDefinition({"shop": dg.StaticPartitionsDefinition(["a"]), "date": days})
    assert {d.name: d.partitions_def for d in grid.partitions_defs}["date"] == days
    key = grid.get_partition_key_from_str("2024-01-02|a")
    assert key.keys_by_dimension == {"date": "2024-01-02", "shop": "a"}


def test_dagster_takes_these_names_for_the_context() -> None:
    from dagster._core.decorator_utils import get_valid_name_permutations

    from practicus_assets.assets.step import _CONTEXT_NAMES

    assert set(get_valid_name_permutations("context")) == _CONTEXT_NAMES


def test_dagster_reads_a_compute_function_by_its_signature_and_annotations() -> None:
    """`table_asset` gives Dagster a wrapper that looks like the author's function."""

    def compute(**values: Any) -> Any:
        return len(values["orders"])

    compute.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter("orders", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=pd.DataFrame)]
    )
    compute.__annotations__ = {"orders": pd.DataFrame}
    asset = dg.asset(compute)
    assert [dep.asset_key.to_user_string() for dep in asset.get_asset_spec(asset.key).deps] == ["orders"]
    assert asset.op.input_dict["orders"].dagster_type.typing_type is pd.DataFrame


def test_checks_that_are_yielded_before_an_error_are_recorded(bench: Bench) -> None:
    @dg.asset(check_specs=[dg.AssetCheckSpec("rule", asset="orders")])
    def orders() -> Iterator[Any]:
        yield dg.AssetCheckResult(passed=False, check_name="rule", asset_key="orders")
        raise ValueError("broken")

    result = bench.run([orders], fails=True)
    assert [found.passed for found in result.get_asset_check_evaluations()] == [False]
    assert bench.materializations("orders") == 0
