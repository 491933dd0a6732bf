"""Tasks that own several tables: audited together, committed one by one, completed by a retry."""

import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from practicus_assets import Column, Contract, DeltaIOManager, task_asset
from practicus_assets.assets.writes.table_write import TableWrite
from practicus_assets.errors import DeclarationError, StoreFailed
from tests.integration.bench import Bench, errors

days = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-02-01")
Ns = Contract(columns={"n": Column("int32", minimum=1)})
QUIET = dg.RetryPolicy(max_retries=1)
BOTH = """
    import os
    from practicus_assets import task
    task.table("a").append([{"n": 1}])
    task.table("b").replace([{"n": int(os.environ.get("N", "2"))}])
"""
APPENDS = {"a": {"mode": "append", "contract": Ns}, "b": {"contract": Ns}}


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., dg.AssetsDefinition]:
    """Write a script, and return its task with several tables."""
    folder = tmp_path / "tasks"
    folder.mkdir()

    def make(text: str = BOTH, tables: Any = APPENDS, **options: Any) -> dg.AssetsDefinition:
        path = folder / "load.py"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return task_asset(path, tables=tables, **options)

    return make


Made = Callable[..., dg.AssetsDefinition]


@pytest.fixture
def failing_once(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, BaseException], None]:
    """Let the first commit of a table fail."""

    def fail(table: str, error: BaseException) -> None:
        land, left = TableWrite.land, [error]

        def landing(self: TableWrite) -> None:
            if self.table.name == table and left:
                raise left.pop()
            land(self)

        monkeypatch.setattr(TableWrite, "land", landing)

    return fail


def test_a_script_writes_two_tables_each_in_its_own_mode_and_by_its_own_contract(
    bench: Bench, made: Made
) -> None:
    asset = made()
    for _ in range(2):
        bench.run([asset])
    assert (bench.rows("a"), bench.rows("b")) == ([(1,), (1,)], [(2,)])
    assert str(bench.frame("b")["n"].dtype) == "int32"
    assert bench.materializations("a") == bench.materializations("b") == 2


def test_a_table_that_its_audit_refuses_keeps_the_other_from_being_committed(
    bench: Bench, made: Made
) -> None:
    asset = made(parameters={"N": 2})
    bench.run([asset])
    config = {"ops": {"load": {"config": {"N": 0}}}}
    result = bench.run([asset], run_config=config, fails=True)
    assert "b: " in errors(result)
    assert "Nothing was written to a either" in errors(result)
    assert (bench.rows("a"), bench.rows("b")) == ([(1,)], [(2,)])
    failed = {
        (found.asset_key.to_user_string(), found.passed) for found in result.get_asset_check_evaluations()
    }
    assert failed == {("b", False), ("b", True)}  # of a, which is not committed, nothing is said


def test_all_tables_that_are_refused_are_named_at_once(bench: Bench, made: Made) -> None:
    text = BOTH.replace('[{"n": 1}]', '[{"n": -1}]')
    text = errors(bench.run([made(text, parameters={"N": 0})], fails=True))
    assert text.count("AuditFailed") >= 2
    assert not bench.exists("a")


def test_files_of_a_table_that_may_not_be_committed_are_deleted(bench: Bench, made: Made) -> None:
    bench.run([made(parameters={"N": 0})], fails=True)
    assert list(Path(bench.root).rglob("*.parquet")) == []


@pytest.mark.parametrize("first", ["a", "b"])
def test_a_retry_completes_what_is_missing_and_doubles_nothing(
    bench: Bench, made: Made, failing_once: Callable[..., None], first: str
) -> None:
    second = {"a": "b", "b": "a"}[first]
    tables = {first: APPENDS[first], second: APPENDS[second]}
    failing_once(second, StoreFailed("the store was away."))
    result = bench.run([made(tables=tables, retry_policy=QUIET)])
    assert [event.step_key for event in result.all_events if event.is_step_up_for_retry] == ["load"]
    assert (bench.rows("a"), bench.rows("b")) == ([(1,)], [(2,)])
    assert bench.version(first) == bench.version(second) == 0
    assert bench.metadata(first)["delta/outcome"] == "committed by an earlier attempt"


def test_a_commit_that_fails_says_what_was_committed_before_it_and_dagster_knows(
    bench: Bench, made: Made, failing_once: Callable[..., None]
) -> None:
    failing_once("b", StoreFailed("the store was away."))
    text = errors(bench.run([made()], fails=True))
    assert "a had been committed before it, in transactions of their own" in text
    assert (bench.materializations("a"), bench.materializations("b")) == (1, 0)


def appending() -> dg.JobDefinition:
    text = "from practicus_assets import task; task.table('a').append([{'n': 1}]); "
    command = [sys.executable, "-c", text + "task.table('b').replace([{'n': 2}])"]
    lake = DeltaIOManager(root_uri=os.environ["LAKE"])
    return dg.Definitions(
        [task_asset(command, name="load", tables=APPENDS)],
        jobs=[dg.define_asset_job("appending")],
        resources={"io_manager": lake},
    ).resolve_job_def("appending")


def test_a_run_that_retries_another_appends_nothing_that_it_had_committed(
    bench: Bench, failing_once: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKE", bench.root)
    failing_once("b", StoreFailed("the store was away."))
    job, in_process = dg.reconstructable(appending), {"execution": {"config": {"in_process": {}}}}
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        with dg.execute_job(job, instance, in_process) as failed:
            assert not failed.success
        again = dg.ReexecutionOptions(parent_run_id=failed.run_id)
        with dg.execute_job(job, instance, in_process, reexecution_options=again) as retried:
            assert retried.success
        assert (bench.rows("a"), bench.rows("b")) == ([(1,)], [(2,)])
        anew = dg.ReexecutionOptions(parent_run_id=retried.run_id)
        with dg.execute_job(job, instance, in_process, reexecution_options=anew) as rerun:
            assert rerun.success
    assert bench.rows("a") == [(1,), (1,)]


def test_a_script_whose_retry_fails_leaves_what_was_committed_and_known(
    bench: Bench, made: Made, failing_once: Callable[..., None]
) -> None:
    failing_once("b", StoreFailed("the store was away."))
    text = BOTH + '    assert os.environ["PRACTICUS_ATTEMPT"] == "1"\n'
    bench.run([made(text, retry_policy=QUIET)], fails=True)
    assert (bench.rows("a"), bench.exists("b")) == ([(1,)], False)
    assert bench.materializations("a") == 2


def test_a_retry_is_told_which_tables_are_wanted_and_leaves_rows_of_others_out(
    bench: Bench, made: Made, failing_once: Callable[..., None]
) -> None:
    failing_once("b", StoreFailed("the store was away."))
    text = (
        BOTH
        + """
    wanted = ["b"] if os.environ["PRACTICUS_ATTEMPT"] == "2" else ["a", "b"]
    assert task.wanted_tables() == wanted, task.wanted_tables()
    """
    )
    bench.run([made(text, retry_policy=QUIET)])
    assert bench.rows("a") == [(1,)]


def test_a_conflict_of_one_table_is_seen_before_another_is_committed(bench: Bench, made: Made) -> None:
    text = (
        BOTH
        + """
    import pyarrow
    from deltalake import write_deltalake
    write_deltalake(os.environ["B"], pyarrow.table({"n": pyarrow.array([9], "int32")}), mode="append")
    """
    )
    bench.write("b", pd.DataFrame({"n": pd.Series([5], dtype="int32")}))
    text_of_error = errors(bench.run([made(text, parameters={"B": f"{bench.root}/b"})], fails=True))
    assert "CommitConflict" in text_of_error
    assert not bench.exists("a")


def test_a_run_that_selects_one_table_leaves_the_other(bench: Bench, made: Made) -> None:
    asset = made()
    bench.run([asset], select="b")
    assert (bench.exists("a"), bench.rows("b")) == (False, [(2,)])
    assert bench.materializations("a") == 0


def test_checks_of_several_tables_run_without_their_script(bench: Bench, made: Made) -> None:
    asset = made()
    bench.run([asset])
    result = bench.run([asset], select=dg.AssetSelection.checks_for_assets("a", "b"))
    found = {found.asset_key.to_user_string() for found in result.get_asset_check_evaluations()}
    assert found == {"a", "b"}
    assert bench.rows("a") == [(1,)]


def test_a_partition_of_several_tables_is_replaced_each_by_its_own_column(bench: Bench, made: Made) -> None:
    text = """
        import os
        from practicus_assets import task
        n = int(os.environ["PRACTICUS_PARTITION_KEY"][-2:])
        task.table("shop/a").replace([{"n": n}])
        task.table("shop/b").replace([{"m": -n}])
    """
    tables = {"a": {"partition_by": "day"}, "b": {"partition_by": "date"}}
    asset = made(text, tables, partitions_def=days, key_prefix="shop")
    for day in ("2026-01-06", "2026-01-07", "2026-01-06"):
        bench.run([asset], partition=day)
    assert (bench.rows("shop/a", "n"), bench.rows("shop/b", "m")) == ([(6,), (7,)], [(-7,), (-6,)])


def test_a_range_of_partitions_of_several_tables_is_one_commit_of_each(bench: Bench, made: Made) -> None:
    text = """
        import json, os
        from practicus_assets import task
        keys = json.load(open(os.environ["PRACTICUS_PARTITION_KEYS_FILE"]))
        for name in "ab":
            task.table(name).replace([{"day": key, "n": 1} for key in keys])
    """
    tables = {"a": {"partition_by": "day"}, "b": {"partition_by": "day", "contract": Ns}}
    policy = dg.BackfillPolicy.single_run()
    bench.run(
        [made(text, tables, partitions_def=days, backfill_policy=policy)],
        between=("2026-01-06", "2026-01-08"),
    )
    assert bench.version("a") == bench.version("b") == 0
    assert bench.metadata("b", "2026-01-07")["delta/run_partitions"] == 3


def test_a_task_that_skips_leaves_all_its_tables(bench: Bench, made: Made) -> None:
    bench.run([made("raise SystemExit(99)")])
    assert (bench.exists("a"), bench.exists("b")) == (False, False)


def test_a_table_of_which_rows_are_missing_keeps_the_others_from_being_committed(
    bench: Bench, made: Made
) -> None:
    text = "from practicus_assets import task\ntask.table('a').append([{'n': 1}])"
    assert 'task.table("b").replace(rows)' in errors(bench.run([made(text)], fails=True))
    assert not bench.exists("a")
    bench.run([made(text, {"a": {"mode": "append"}, "b": {"output_required": False}})])
    assert (bench.exists("a"), bench.exists("b")) == (True, False)


def test_pipes_reports_of_each_table_are_shown_with_it(bench: Bench, made: Made) -> None:
    text = (
        BOTH
        + """
    from dagster_pipes import open_dagster_pipes
    with open_dagster_pipes() as pipes:
        pipes.report_asset_materialization(asset_key="a", metadata={"of": "a"}, data_version="v1")
        pipes.report_asset_materialization(asset_key="b", metadata={"of": "b"})
        pipes.report_asset_check("enough", asset_key="b", passed=True)
    """
    )
    result = bench.run([made(text, check_specs=[dg.AssetCheckSpec("enough", asset="b")])])
    assert (bench.metadata("a")["of"], bench.metadata("b")["of"]) == ("a", "b")
    assert bench.data_version("a") == "v1"
    assert "enough" in {found.check_name for found in result.get_asset_check_evaluations()}


def test_a_check_that_blocks_keeps_all_tables(bench: Bench, made: Made) -> None:
    text = (
        BOTH
        + """
    from dagster_pipes import open_dagster_pipes
    with open_dagster_pipes() as pipes:
        pipes.report_asset_check("enough", asset_key="b", passed=False)
    """
    )
    spec = dg.AssetCheckSpec("enough", asset="b", blocking=True)
    bench.run([made(text, check_specs=[spec])], fails=True)
    assert (bench.exists("a"), bench.exists("b")) == (False, False)


def test_tables_have_what_is_said_of_all_and_of_each() -> None:
    asset = task_asset(
        ["true"],
        tables={"a": {"description": "One."}, "b": {"owners": ["team:b"]}},
        group_name="shop",
        owners=["team:all"],
        deps=["raw"],
    )
    specs = {spec.key.to_user_string(): spec for spec in asset.specs}
    assert [specs[name].group_name for name in "ab"] == ["shop", "shop"]
    assert [list(specs[name].owners) for name in "ab"] == [["team:all"], ["team:b"]]
    assert specs["a"].description == "One."
    assert {dep.asset_key.to_user_string() for name in "ab" for dep in specs[name].deps} == {"raw"}
    assert asset.op.name == "true"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tables": {}}, "tables is {}"),
        ({"tables": ["a"]}, r"tables is \['a'\]"),
        ({"tables": {"a": {"mod": "append"}}}, "Did you mean mode"),
        ({"tables": {"a": {}}, "table": {}}, "table and tables"),
        ({"tables": {"a": {}}, "key": "b"}, "takes no key"),
        (
            {"tables": {"a": {}}, "check_specs": [dg.AssetCheckSpec("enough", asset="c")]},
            "of c, which is no table of the task",
        ),
        ({"tables": {"a": {"mode": "merge"}}}, "merge_keys"),
    ],
    ids=["none", "a list", "misspelt", "table too", "key", "a check of another", "no merge keys"],
)
def test_tables_that_cannot_be_are_refused_where_they_are_declared(options: Any, said: str) -> None:
    with pytest.raises(DeclarationError, match=said):
        task_asset(["true"], **options)
