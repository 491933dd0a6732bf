"""Commands where something is broken before they begin: one error that says where, and no traceback."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from practicus_assets.cli import main

DEFINITIONS = """
import dagster as dg
from practicus_assets import DeltaIOManager, table_asset

print("printed by the author's code")

@table_asset
def total(): ...

LAKE
"""
LAKE = """
lake = DeltaIOManager(root_uri=ROOT)
defs = dg.Definitions(assets=[total], resources={"io_manager": lake})
"""
COMMANDS = [
    ["history", "total"],
    ["diff", "total", "0", "1"],
    ["rollback", "total", "--to", "0"],
    ["verify", "total"],
    ["maintain", "total"],
    ["release", "list"],
    ["release", "publish", "first"],
    ["worker", "total"],
    ["doctor"],
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def define(folder: Path) -> None:
    lake = LAKE.replace("ROOT", repr(str(folder / "lake")))
    (folder / "shop.py").write_text(DEFINITIONS.replace("LAKE", lake))


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, [*arguments, "-f", "shop.py"])
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert "Traceback" not in result.output
    return result


@pytest.mark.parametrize("command", COMMANDS)
def test_a_broken_code_location_is_one_error_with_the_line_of_it(command: list[str], folder: Path) -> None:
    (folder / "shop.py").write_text(DEFINITIONS.replace("LAKE", "dg.Definitions(assets=1 / 0)"))
    failed = run(*command)
    assert failed.exit_code == 1
    assert failed.stdout == ""
    error = failed.stderr.splitlines()[-1]
    assert error.startswith("DeclarationError: the code location shop.py cannot be loaded: ZeroDivisionError")
    assert "shop.py, line 10)" in error


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import no_such_module", "No module named 'no_such_module' ("),
        ("def f(:", "SyntaxError: invalid syntax (shop.py, line 1)"),
        ("import sys; sys.exit('later')", "SystemExit: later ("),
        (
            "import dagster as dg\n@dg.asset\ndef a(b): ...\ndefs = dg.Definitions(assets=[a])",
            "DagsterInvalidDefinitionError: Input asset",
        ),
    ],
)
def test_what_the_authors_code_raises_is_told_as_one_sentence(text: str, reason: str, folder: Path) -> None:
    (folder / "shop.py").write_text(text)
    for command in (["doctor"], ["worker", "a"]):
        failed = run(*command)
        assert (failed.exit_code, failed.stdout) == (1, "")
        assert reason in failed.stderr
        assert len(failed.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_a_lake_that_cannot_be_read_is_one_error(command: list[str], folder: Path) -> None:
    (folder / "lake").mkdir()
    (folder / "lake" / "total").write_text("no table")
    (folder / "lake" / "_releases").write_text("no table")
    (folder / "shop.py").write_text(
        DEFINITIONS.replace("LAKE", LAKE).replace("ROOT", repr(str(folder / "lake")))
    )
    failed = run(*command)
    if command[0] not in {"worker", "doctor"}:
        assert failed.exit_code == (3 if command[0] == "verify" else 1)
        assert str(folder / "lake") in failed.output


@pytest.mark.parametrize("command", COMMANDS)
def test_what_the_authors_code_prints_is_no_output_of_a_command(command: list[str], folder: Path) -> None:
    (folder / "shop.py").write_text(
        DEFINITIONS.replace("LAKE", LAKE).replace("ROOT", repr(str(folder / "lake")))
    )
    answer = run(*command, "--json")
    assert "printed by the author's code" in answer.stderr
    json.loads(answer.stdout)


@pytest.mark.parametrize(
    ("yaml", "reason"),
    [
        ("storage: [", "cannot be opened"),
        ("run_launcher: {module: no_such_module, class: Launcher}", "no_such_module"),
        ("storage: {sqlite: {base_dir: /dev/null/no}}", "/dev/null/no"),
    ],
)
def test_a_broken_instance_is_one_error(yaml: str, reason: str, folder: Path) -> None:
    (folder / "home" / "dagster.yaml").write_text(f"telemetry: {{enabled: false}}\n{yaml}\n")
    (folder / "shop.py").write_text(
        DEFINITIONS.replace("LAKE", LAKE).replace("ROOT", repr(str(folder / "lake")))
    )
    commands = [["doctor"], ["worker", "total"]]
    if "launcher" not in yaml:
        commands += [["maintain", "total"], ["rollback", "total", "--to", "0"], ["verify", "total"]]
    for command in commands:
        failed = run(*command)
        assert failed.exit_code == 1
        assert reason in failed.output, command


def test_without_an_instance_what_needs_none_works(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME")
    (folder / "shop.py").write_text(
        DEFINITIONS.replace("LAKE", LAKE).replace("ROOT", repr(str(folder / "lake")))
    )
    for command in (["maintain", "total"], ["rollback", "total", "--to", "0"]):
        failed = run(*command)
        assert failed.exit_code == 1
        assert "DAGSTER_HOME is not set" in failed.stderr
    for command in (["release", "list"], ["worker", "total"], ["doctor"]):
        assert run(*command).exit_code == 0
    assert "DAGSTER_HOME" not in os.environ
