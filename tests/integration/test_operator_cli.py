"""`practicus-assets` at a terminal, on a lake that Dagster's own command line fills."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from practicus_assets.assets.catalog import catalog
from practicus_assets.cli import main
from practicus_assets.definitions import definitions
from practicus_assets.errors import CommitConflict, CommitStateUnknown, DeclarationError
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.transaction import Transaction
from tests.integration.copies import entered, with_home

DEFINITIONS = """
import dagster as dg
import pandas as pd
from practicus_assets import Column, Contract, DeltaIOManager, table_asset

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-04")
SMALL = Contract({"n": Column("int64", minimum=1, severity="WARN")})

@table_asset(
    key=["shop", "orders"], partitions_def=DAYS, partition_by="day", contract=SMALL,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
    return pd.DataFrame({"day": context.partition_keys, "n": range(len(context.partition_keys))})

@table_asset
def total() -> pd.DataFrame:
    return pd.DataFrame({"n": [3]})

defs = dg.Definitions(
    assets=[orders, total], resources={"io_manager": DeltaIOManager(root_uri=dg.EnvVar("LAKE"))}
)
"""

Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return entered(begun(tmp_path), monkeypatch, "LAKE")


def begun(folder: Path) -> Path:
    """Write the definitions and an instance into a folder."""
    (folder / "shop_definitions.py").write_text(DEFINITIONS)
    (folder / "workspace.yaml").write_text("load_from: [{python_file: shop_definitions.py}]\n")
    return with_home(folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose tables were materialized once."""
    folder = begun(tmp_path_factory.mktemp("shop"))
    with (
        pytest.MonkeyPatch.context() as patch,
        dg.DagsterInstance.from_config(str(folder / "home")) as instance,
    ):
        entered(folder, patch, "LAKE")
        loaded = definitions()
        options: dict[str, Any] = {"instance": instance, "resources": loaded.resources}
        assets = loaded.resolve_asset_graph().assets_defs
        tags = {
            "dagster/asset_partition_range_start": "2024-01-01",
            "dagster/asset_partition_range_end": "2024-01-03",
        }
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        assert dg.materialize(
            assets, selection="key:shop/orders", tags=tags, run_config=quiet, **options
        ).success
        assert dg.materialize(assets, selection="total", run_config=quiet, **options).success
    return folder


@pytest.fixture
def run(made: Path, folder: Path) -> Run:
    """Return a function that runs a command in a copy of that folder."""
    for name in ("home", "lake"):
        shutil.copytree(made / name, folder / name, dirs_exist_ok=True)

    def command(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == code, result.output
        return result

    return command


def change(day: str = "2024-01-02", *numbers: int) -> None:
    entry = catalog(definitions())["shop/orders"]
    rows = pa.table({"day": [day] * len(numbers), "n": pa.array(numbers, pa.int64())})
    with dg.DagsterInstance.get() as instance:
        Transaction(entry.table, entry.scope(instance, [day]), WriteOptions(partition_by=["day"])).write(rows)


def told(result: Result) -> Any:
    return json.loads(result.stdout)


def test_history_and_diff_are_shown_to_people_and_programs(run: Run) -> None:
    change("2024-01-02", 7, 8)
    shown = run("history", "shop/orders").stdout
    assert "day=2024-01-01 and 2 more" in shown
    assert "n_minimum: 1 bad row" in shown
    newest, first = told(run("history", "shop/orders", "--json"))
    assert (newest["version"], newest["rows_in"], newest["rows_out"]) == (1, 2, 1)
    assert first["operation"] == "replace"
    [change_] = told(run("diff", "shop/orders", "0", "1", "--json"))["partitions"]
    assert (change_["partition"], change_["lost"], change_["gained"]) == ({"day": "2024-01-02"}, 1, 2)
    by_run = run("diff", "shop/orders", first["run_id"][:8], "1").stdout
    assert "- day=2024-01-02, n=1" in by_run
    assert "+ day=2024-01-02, n=8" in by_run


def test_verify_finds_drift_with_its_own_exit_code_and_repairs_it(run: Run) -> None:
    assert "none" in run("verify", "--all", "--rows").stdout
    change("2024-01-02", 7, 8)
    found = run("verify", "shop/orders", code=3).stdout
    assert "shop/orders [2024-01-02], changed" in found
    result = told(run("verify", "--all", "--json", code=3))
    assert result["dagster_compared"] is True
    assert [each["open_problems"] for each in result["tables"]] == [1, 0]
    assert "reported shop/orders [2024-01-02]" in run("verify", "--all", "--repair").stdout
    run("verify", "--all")


def test_verify_names_a_damaged_file_and_says_what_to_do(run: Run, folder: Path) -> None:
    [path] = (folder / "lake" / "shop" / "orders" / "day=2024-01-02").glob("*.parquet")
    path.write_bytes(b"")
    found = run("verify", "shop/orders", "--repair", code=3).stdout
    [line] = [line for line in found.splitlines() if path.name in line]
    assert line.endswith("or delete it, and materialize its partition again or roll it back.")


def test_verify_says_that_dagster_was_not_asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME")
    assert "what Dagster believes was not compared" in run("verify", "--all").stdout
    assert "DAGSTER_HOME is not set" in run("verify", "--all", "--repair", code=1).stderr


def test_rollback_shows_its_plan_and_then_does_it(run: Run) -> None:
    change("2024-01-02", 7)
    change("2024-01-02", 8)
    plan = told(run("rollback", "shop/orders", "--to", "0", "--json"))
    assert (plan["partitions"], plan["version"]) == (["2024-01-02"], None)
    assert [each["version"] for each in plan["undone"]] == [2, 1]
    assert "give --undo-newer --apply to do it" in run("rollback", "shop/orders", "--to", "0").stdout
    refused = run("rollback", "shop/orders", "--to", "0", "--apply", code=1).stderr
    assert "would undo 2 commits" in refused
    assert "Nothing was written." in refused
    options = ("--partition", "2024-01-02", "--undo-newer", "--apply")
    done = run("rollback", "shop/orders", "--to", "0", *options).stdout
    assert "Done: version 3" in done
    run("verify", "--all", "--rows")  # Dagster knows it
    assert "holds the rows of version 0 already" in run("rollback", "shop/orders", "--to", "0").stdout


def test_partitions_and_tables_that_are_not_there_are_named(run: Run) -> None:
    wrong = run("rollback", "shop/orders", "--to", "0", "--partition", "2023-01-01", code=1).stderr
    assert "shop/orders has no partition '2023-01-01'; it has 3, from 2024-01-01 to 2024-01-03." in wrong
    assert wrong.endswith("Did you mean 2024-01-01?\n")
    unknown = run("history", "orders", code=1).stderr
    assert unknown.endswith("there is no table 'orders' here. Did you mean shop/orders?\n")
    far = run("verify", "zzz", "yyy", code=1).stderr
    assert far.endswith("there are no tables 'zzz' and 'yyy' here. There are shop/orders, total.\n")
    assert (
        "total has no partitions." in run("rollback", "total", "--to", "0", "--partition", "x", code=1).stderr
    )


def test_an_error_in_json_names_its_table(run: Run) -> None:
    for command in (("diff", "total", "0", "9"), ("rollback", "total", "--to", "9")):
        error = told(run(*command, "--json", code=1))["error"]
        assert (error["type"], error["table"]) == ("VersionGone", "total")
        assert error["problem"].startswith("'9' is no version of total")
        assert run(*command, code=1).stderr.startswith("VersionGone: '9' is no version of total")


def test_a_table_that_a_terminal_has_no_room_for_is_shown_as_paragraphs_of_whole_words(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    change("2024-01-02", 7, 8)
    run("release", "publish", "the-first")
    commands = [
        ("history", "shop/orders"),
        ("diff", "shop/orders", "0", "1"),
        ("maintain", "--all"),
        ("release", "list"),
        ("rollback", "shop/orders", "--to", "0"),
        ("verify", "--all"),
    ]
    for command in commands:
        code = 3 if command[0] == "verify" else 0
        whole = run(*command, code=code).stdout
        assert "\n│" in whole, "a pipe has room"
        for width in (50, 80, 110):
            monkeypatch.setenv("COLUMNS", str(width))
            shown = run(*command, code=code).stdout
            # rows and problems are not wrapped: they are copied
            wide = [line for line in shown.splitlines() if len(line) > width and line[0] not in "!-+"]
            assert wide == []
            assert words(whole) <= words(shown), command
        monkeypatch.delenv("COLUMNS")


def test_what_ops_handed_on_is_said_in_lines_that_fit_the_terminal(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = folder / "lake" / "_outputs" / "a-run" / "result"
    value.parent.mkdir(parents=True)
    value.write_bytes(b"12345")
    os.utime(value, (0, 0))
    [whole] = [line for line in run("maintain", "--all").stdout.splitlines() if "_outputs" in line]
    assert re.search(
        r"_outputs: 1 value that ops handed on, written before .*, to be removed \(5 B\)\.$", whole
    )
    monkeypatch.setenv("COLUMNS", "80")
    shown = run("maintain", "--all").stdout
    assert "to be removed (5 B)." in " ".join(shown.split())
    assert max(map(len, shown.splitlines())) <= 80


def words(shown: str) -> set[str]:
    """Return the words of an output, but for its frames, the lake's folder, and the time of the command."""
    return set(re.sub(r"[━┏┳┓┡╇┩│└┴┘┃─·]|\S*/lake/\S*|\d\d:\d\d:\d\d", " ", shown).split())


def test_times_have_their_zone(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        for name, zone in (("UTC", "UTC"), ("Asia/Kolkata", "+05:30")):
            monkeypatch.setenv("TZ", name)
            time.tzset()
            assert f" {zone} " in run("history", "total").stdout
    finally:
        monkeypatch.undo()
        time.tzset()


def test_an_empty_list_is_a_sentence(run: Run, folder: Path) -> None:
    assert "There is no release yet" in run("release", "list").stdout
    (folder / "empty.py").write_text("import dagster as dg\ndefs = dg.Definitions()\n")
    for command in ("verify", "maintain"):
        assert run(command, "--all", "-f", "empty.py").stdout == "There is no table here.\n"


def test_maintain_shows_what_it_would_do_and_does_it_when_told(run: Run, folder: Path) -> None:
    change("2024-01-02", 7)
    files = sorted(path for path in (folder / "lake").rglob("*") if path.is_file())
    assert "Nothing was changed: give --apply" in run("maintain", "--all", "--retention-hours", "0").stdout
    assert sorted(path for path in (folder / "lake").rglob("*") if path.is_file()) == files
    before, total = told(run("maintain", "--all", "--retention-hours", "0", "--json"))
    assert (before["table"], len(before["files"]["paths"]), before["removed"]) == ("shop/orders", 1, None)
    assert total["files"]["paths"] == []
    assert "version 1" in run("maintain", "--all", "--retention-hours", "0", "--apply").stdout
    assert not Path(folder, "lake", "shop", "orders", before["files"]["paths"][0]).exists()
    run("verify", "--all", "--rows", "--repair")


def test_releases_are_published_and_listed(run: Run) -> None:
    made = told(run("release", "publish", "first", "--json"))
    assert made["versions"] == {"shop/orders": 0, "total": 0}
    change("2024-01-02", 7)
    [newest] = told(run("history", "total", "--json"))
    run("release", "publish", "second", "total", "--run", newest["run_id"])
    wrong = run("release", "publish", "third", "--run", newest["run_id"], code=1).stderr
    assert "did not materialize ['shop/orders']" in wrong
    assert "a release 'first' already" in run("release", "publish", "first", code=1).stderr
    assert [each["name"] for each in told(run("release", "list", "--json"))] == ["second", "first"]
    assert "shop/orders 0, total 0" in run("release", "list").stdout
    kept = run("maintain", "shop/orders", "--retention-hours", "0", "--apply").stdout
    assert "release first (version 0)" in kept.replace("\n", " ")


def test_assets_that_are_no_tables_are_left_alone(run: Run, folder: Path) -> None:
    more = """
@dg.asset
def note() -> None: ...

@table_asset
def later() -> pd.DataFrame: ...

raw = dg.AssetSpec("raw", partitions_def=DAYS)
raw_csv = dg.AssetSpec("raw_csv")
"""
    text = DEFINITIONS.replace("defs =", more + "defs =").replace(
        "[orders, total]", "[orders, total, note, later, raw, raw_csv]"
    )
    (folder / "more.py").write_text(text)
    with dg.DagsterInstance.get() as instance:
        loaded = definitions(python_file="more.py")
        assert dg.materialize(
            loaded.resolve_asset_graph().assets_defs,
            selection="note",
            instance=instance,
            resources=loaded.resources,
        ).success
    for command in ("verify", "maintain"):
        shown = run(command, "--all", "-f", "more.py").stdout
        assert "note" not in shown
        assert "raw" not in shown
        assert "No table yet: later." in shown
    versions = told(run("release", "publish", "first", "-f", "more.py", "--json"))["versions"]
    assert versions == {"shop/orders": 0, "total": 0}
    for name in ("note", "raw_csv"):
        missing = run("verify", name, "-f", "more.py", code=1).stderr
        assert "there is no Delta table at" in missing
        assert f"{name} is an external asset, or one that returns nothing" in missing
    assert "there is no table 'raw' here" in run("history", "raw", "-f", "more.py", code=1).stderr


@pytest.mark.parametrize(
    ("error", "code"), [(CommitConflict("x"), 4), (CommitStateUnknown("x"), 5), (DeclarationError("x"), 1)]
)
def test_exit_codes_tell_what_may_be_done(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    def fails(*_arguments: Any, **_options: Any) -> None:
        raise error

    change("2024-01-02", 7)
    monkeypatch.setattr("practicus_assets.cli.answers.rollback.roll_back", fails)
    failed = run("rollback", "shop/orders", "--to", "0", "--apply", code=code)
    assert failed.stderr == f"{type(error).__name__}: x\n"


def test_wrong_usage_has_the_usual_exit_code(run: Run) -> None:
    run("history", code=2)
    run("history", "total", "--limit", "0", code=2)
    run("nothing", code=2)
    assert "Name tables, or give --all." in run("verify", code=1).stderr


def test_the_installed_command_helps_and_has_no_traceback(folder: Path) -> None:
    command = Path(sys.executable).with_name("practicus-assets")
    helped = subprocess.run([command, "--help"], capture_output=True, text=True, check=True)
    assert "Exit codes: 0 done" in helped.stdout
    for name in ("history", "diff", "rollback", "verify", "maintain", "release"):
        assert f"  {name} " in helped.stdout
    failed = subprocess.run([command, "history", "total"], capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert failed.stderr.startswith("TableNotFound: there is no Delta table at")
    assert "Traceback" not in failed.stderr


# --- the code location --------------------------------------------------------------------------------


def tables(**named: str) -> list[str]:
    return sorted(catalog(definitions(**named)))


def test_definitions_are_found_by_module_file_workspace_and_project(folder: Path) -> None:
    everything = ["shop/orders", "total"]
    assert tables() == everything
    assert tables(python_file="shop_definitions.py") == everything
    assert tables(module_name="shop_definitions", working_directory=str(folder)) == everything
    other = folder / "other"
    other.mkdir()
    (other / "w.yaml").write_text(
        "load_from:\n- python_module: {module_name: shop_definitions, working_directory: ..}\n"
    )
    assert tables(workspace=str(other / "w.yaml")) == everything
    (other / "pyproject.toml").write_text('[tool.dagster]\nmodule_name = "shop_definitions"\n')
    assert tables(working_directory=str(other)) == everything


def test_functions_that_make_definitions_are_called(folder: Path) -> None:
    text = DEFINITIONS.replace(
        "defs = dg.Definitions(", "@dg.definitions\ndef defs():\n  return dg.Definitions("
    )
    (folder / "lazily.py").write_text(text)
    assert tables(python_file="lazily.py") == ["shop/orders", "total"]


def test_definitions_that_are_not_there_are_told(folder: Path) -> None:
    with pytest.raises(DeclarationError, match="there is no module 'nowhere' here"):
        tables(module_name="nowhere")
    with pytest.raises(DeclarationError, match=r"there is no Python file nowhere\.py"):
        tables(python_file="nowhere.py")
    with pytest.raises(DeclarationError, match="several code locations"):
        tables(module_name="a", python_file="b.py")
    (folder / "workspace.yaml").write_text("load_from: [{grpc_server: {port: 4266}}]\n")
    with pytest.raises(DeclarationError, match=r"no Python code: \['grpc_server'\]"):
        tables()
    (folder / "workspace.yaml").unlink()
    with pytest.raises(DeclarationError, match="Give -m MODULE, -f FILE"):
        tables()
    (folder / "twice.py").write_text("import dagster as dg\na = dg.Definitions()\nb = dg.Definitions()\n")
    with pytest.raises(DeclarationError, match="has 2 Definitions"):
        tables(python_file="twice.py")


def test_an_unset_variable_of_the_lake_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAKE")
    failed = CliRunner().invoke(main, ["history", "total"])
    assert failed.exit_code == 1
    assert "LAKE" in failed.stderr
