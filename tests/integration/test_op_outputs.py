"""Ops, graphs and jobs whose default IO manager is a lake: what ops hand on to each other."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from practicus_assets import DeltaIOManager, MaintainConfig, build_maintain_job, table_asset
from practicus_assets.assets.catalog import catalog
from practicus_assets.errors import DeclarationError, StoreFailed, VersionGone
from practicus_assets.operations.configs import VerifyConfig
from practicus_assets.operations.maintain import maintain_op_outputs, maintain_table
from practicus_assets.operations.verify import verify_table
from tests.integration.bench import Bench, errors
from tests.servers.seaweedfs import SeaweedFS

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dg.op
def numbers() -> pd.DataFrame:
    return pd.DataFrame({"n": [1, 2]})


@dg.op
def doubled(rows: pd.DataFrame) -> pd.DataFrame:
    return rows * 2


@dg.op(out=dg.DynamicOut())
def fan() -> Iterator[dg.DynamicOutput[int]]:
    for number in (1, 2, 3):
        yield dg.DynamicOutput(number, mapping_key=f"k_{number}")


@dg.op
def tripled(number: int) -> int:
    return number * 3


@dg.op
def table_of_all(values: list[int]) -> list[dict[str, int]]:
    return [{"n": value} for value in values]


@dg.op(out={"rows": dg.Out(), "factor": dg.Out()})
def two_outputs(rows: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    return rows, 10


@dg.op
def times(rows: pd.DataFrame, factor: int) -> pd.DataFrame:
    return rows * factor


@dg.graph_asset
def graph() -> pd.DataFrame:
    return doubled(numbers())  # type: ignore[no-any-return]


@dg.graph_asset
def downstream(base: Any) -> pd.DataFrame:
    return doubled(doubled(base))  # type: ignore[no-any-return]


@dg.graph_asset
def mapped() -> Any:
    return table_of_all(fan().map(tripled).collect())


@dg.graph_multi_asset(outs={"rows": dg.AssetOut(), "more": dg.AssetOut()})
def several() -> Any:
    rows, factor = two_outputs(numbers())
    return {"rows": rows, "more": times(rows, factor)}


@table_asset
def base() -> list[dict[str, int]]:
    return [{"n": 1}]


def values(root: str) -> list[Path]:
    return sorted(Path(root, "_outputs").rglob("*.pickle"))


def test_graph_assets_pass_on_what_their_ops_return(bench: Bench) -> None:
    bench.run([graph, base, downstream, mapped, several])
    assert bench.rows("graph") == [(2,), (4,)]
    assert bench.rows("downstream") == [(4,)]
    assert bench.rows("mapped") == [(3,), (6,), (9,)]
    assert bench.rows("more") == [(10,), (20,)]
    assert len(values(bench.root)) == 10


KINDS: dict[str, Any] = {
    "nothing": None,
    "a number": 7,
    "a dict": {"a": [1, {"b": None}]},
    "text": "ü/..\0",
    "a frame": pd.DataFrame({"n": [1]}, index=["x"]),
    "polars": pl.DataFrame({"n": [1]}),
    "an Arrow table": pa.table({"n": [1]}),
    "much": b"x" * 5_000_001,
    "a path": Path("a"),
}


def kept_and_given(lake: DeltaIOManager, instance: dg.DagsterInstance) -> dict[str, Any]:
    """Run a job in which each kind of value goes from one op to another, and return what arrived."""
    arrived = {}

    @dg.op(out=dg.DynamicOut(Any))
    def make() -> Iterator[dg.DynamicOutput[Any]]:
        for kind, value in KINDS.items():
            yield dg.DynamicOutput((kind, value), mapping_key=kind.replace(" ", "_"))

    @dg.op
    def take(value: Any) -> None:
        arrived[value[0]] = value[1]

    @dg.job(resource_defs={"io_manager": lake}, config=QUIET)
    def job() -> None:
        make().map(take)

    assert job.execute_in_process(instance=instance).success
    return arrived


def assert_kept(arrived: dict[str, Any]) -> None:
    assert arrived.keys() == KINDS.keys()
    for kind, value in KINDS.items():
        given = arrived[kind]
        assert type(given) is type(value)
        assert given.equals(value) if hasattr(value, "equals") else given == value


def test_any_value_that_can_be_pickled_arrives_as_it_was(bench: Bench) -> None:
    assert_kept(kept_and_given(DeltaIOManager(root_uri=bench.root), bench.instance))


def test_ops_hand_values_on_through_s3(seaweedfs: SeaweedFS, instance: dg.DagsterInstance) -> None:
    options = seaweedfs.storage_options()
    lake = DeltaIOManager(root_uri=f"{seaweedfs.root_uri}/ops", storage_options=options)
    assert_kept(kept_and_given(lake, instance))
    assert dg.materialize([several], resources={"io_manager": lake}, run_config=QUIET).success
    table = DeltaTable(f"{seaweedfs.root_uri}/ops/more", storage_options=options)
    assert sorted(table.to_pandas()["n"]) == [10, 20]
    old = lake.op_outputs().older_than(pd.Timestamp.now("UTC") + pd.Timedelta(days=1))
    assert len(old) > 10
    assert lake.op_outputs().remove(old) == len(old)
    assert lake.op_outputs().older_than(pd.Timestamp.now("UTC") + pd.Timedelta(days=1)) == {}


def test_a_value_that_cannot_be_kept_is_refused_with_its_op_and_what_to_do(bench: Bench) -> None:
    @dg.op
    def locks() -> Any:
        return threading.Lock()

    @dg.graph_asset
    def locked() -> Any:
        return doubled(locks())

    message = errors(bench.run([locked], fails=True))
    assert "the output 'result' of the step locked.locks is a lock, which cannot be kept" in message
    assert "dg.Out(io_manager_key=…)" in message
    assert values(bench.root) == []


def test_a_retry_of_an_op_replaces_its_value(bench: Bench) -> None:
    attempts = []

    @dg.op(retry_policy=dg.RetryPolicy(max_retries=1), out={"first": dg.Out(), "second": dg.Out()})
    def flaky() -> Iterator[Any]:
        attempts.append(1)
        yield dg.Output(pd.DataFrame({"n": [len(attempts)]}), "first")
        if len(attempts) == 1:
            raise OSError("once")
        yield dg.Output(2, "second")

    @dg.graph_asset
    def retried() -> Any:
        return times(*flaky())

    bench.run([retried])
    assert bench.rows("retried") == [(4,)]


@dg.op
def twenty() -> int:
    with Path(os.environ["OPS_LAKE"] + ".calls").open("a") as calls:
        calls.write("twenty ")
    return 20


@dg.op
def fails_once(number: int) -> int:
    calls = Path(os.environ["OPS_LAKE"] + ".calls")
    failed_before = "failed" in calls.read_text()
    with calls.open("a") as log:
        log.write("passed " if failed_before else "failed ")
    if not failed_before:
        raise OSError("once")
    return number + 1


@dg.op
def total(context: dg.OpExecutionContext, one: int, other: int) -> None:
    context.log.info("%s and %s", one, other)
    assert (one, other) == (20, 21)


@dg.job(resource_defs={"io_manager": DeltaIOManager(root_uri=dg.EnvVar("OPS_LAKE"))}, config=QUIET)
def sums() -> None:
    number = twenty()
    total(number, fails_once(number))


@pytest.mark.process
def test_a_re_execution_from_failure_reads_what_other_processes_kept_in_the_first_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPS_LAKE", str(tmp_path / "lake"))
    job = dg.reconstructable(sums)
    with dg.instance_for_test(temp_dir=str(tmp_path)) as home:
        with dg.execute_job(job, home) as first:
            assert not first.success
        options = dg.ReexecutionOptions.from_failure(first.run_id, home)
        with dg.execute_job(job, home, reexecution_options=options) as again:
            assert again.success
    assert (tmp_path / "lake.calls").read_text() == "twenty failed passed "
    assert {path.parent.name for path in values(str(tmp_path / "lake"))} == {first.run_id, again.run_id}


def kept_value(bench: Bench) -> tuple[Path, Any]:
    """Return the file of an op's output in a finished run, and the context in which it is loaded."""
    bench.run([graph])
    [path] = values(bench.root)
    upstream = dg.build_output_context(step_key="graph.numbers", name="result", run_id=path.parent.name)
    return path, dg.build_input_context(upstream_output=upstream)


def test_a_value_that_is_gone_or_damaged_is_an_error_that_says_what_to_run(bench: Bench) -> None:
    path, context = kept_value(bench)
    lake = DeltaIOManager(root_uri=bench.root)
    assert lake.load_input(context).equals(pd.DataFrame({"n": [1, 2]}))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StoreFailed, match=r"of the step graph.numbers .* is damaged"):
        lake.load_input(context)
    path.unlink()
    with pytest.raises(VersionGone, match=r"is not in .*_outputs.* Run graph.numbers again"):
        lake.load_input(context)
    assert not Path(bench.root, "nowhere").exists()


def test_an_asset_cannot_be_named_like_the_place_of_op_outputs(bench: Bench) -> None:
    with pytest.raises(DeclarationError, match="begins with _outputs"):
        DeltaIOManager(root_uri=bench.root).table(dg.AssetKey(["_outputs", "orders"]))


def aged(path: Path, days: float) -> None:
    moment = time.time() - days * 86_400
    os.utime(path, (moment, moment))


def test_maintenance_removes_what_finished_runs_handed_on_once_it_is_old(bench: Bench) -> None:
    bench.run([graph])
    [old] = values(bench.root)
    partial = old.with_name("a.partial")
    partial.write_bytes(b"")
    bench.run([graph])
    [young] = set(values(bench.root)) - {old}
    for path in (old, partial):
        aged(path, 8)
    aged(young, 6)
    definitions = dg.Definitions(
        assets=[graph],
        jobs=[build_maintain_job()],
        resources={"io_manager": DeltaIOManager(root_uri=bench.root)},
    )
    job = definitions.resolve_job_def("table_maintain")
    for apply in (False, True):
        config = {**QUIET, "ops": {"maintain": {"config": {"apply": apply}}}}
        assert job.execute_in_process(run_config=config, instance=bench.instance).success
        assert old.parent.exists() is not apply
    assert young.exists()
    assert bench.rows("graph") == [(2,), (4,)]


def test_maintenance_keeps_what_an_unfinished_run_and_the_runs_that_it_retries_handed_on(
    bench: Bench,
) -> None:
    runs = [bench.run([graph]).run_id for _ in range(3)]
    for path in values(bench.root):
        aged(path, 30)
    parent = bench.instance.get_run_by_id(runs[0])
    assert parent is not None
    retry = dg.DagsterRun(job_name="retry", parent_run_id=runs[1], root_run_id=runs[0])
    middle = bench.instance.get_run_by_id(runs[1])
    assert middle is not None
    bench.instance.run_storage.add_run(retry._replace(status=dg.DagsterRunStatus.STARTED))
    entries = catalog(
        dg.Definitions(assets=[graph], resources={"io_manager": DeltaIOManager(root_uri=bench.root)})
    )
    config = MaintainConfig(apply=True, retention_hours=0)
    [lake] = maintain_op_outputs(entries.values(), bench.instance, config)
    assert lake.removed == 2
    assert {path.parent.name for path in values(bench.root)} == {runs[1]}
    assert maintain_op_outputs(entries.values(), bench.instance, MaintainConfig(tables=["graph"])) == []


def test_op_outputs_are_seen_by_no_command_that_looks_at_tables(bench: Bench) -> None:
    bench.run([graph])
    entries = catalog(
        dg.Definitions(assets=[graph], resources={"io_manager": DeltaIOManager(root_uri=bench.root)})
    )
    assert list(entries) == ["graph"]
    table = entries["graph"]
    assert verify_table(table, bench.instance, VerifyConfig()).open_problems == 0
    before = values(bench.root)
    for retention in (0, 7 * 24):
        config = MaintainConfig(tables=["graph"], apply=True, retention_hours=retention)
        assert maintain_table(table, bench.instance, config).error is None
    assert values(bench.root) == before
