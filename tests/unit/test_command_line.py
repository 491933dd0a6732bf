"""What the command line answers without definitions: help, its version, refusals. Nobody waits for it."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import practicus_assets
from practicus_assets.cli import main
from practicus_assets.cli.failure import report_error
from practicus_assets.errors import TableNotFound

COMMANDS = (
    "status",
    "show",
    "list",
    "check",
    "plan",
    "history",
    "diff",
    "rollback",
    "verify",
    "maintain",
    "worker",
    "doctor",
    "release",
    "promote",
)
HEAVY = ("dagster", "pandas", "pyarrow", "deltalake", "kubernetes", "numpy", "yaml", "rich", "pydantic")
QUICK = [
    ["--help"],
    ["--version"],
    *([name, "--help"] for name in COMMANDS),
    ["promote", "-m", "pipelines"],
    ["diff", "orders", "1", "-m", "pipelines"],
    ["release", "publish", "--help"],
    ["release", "list", "--help"],
    ["nothing"],
    ["history"],
    ["history", "--nothing"],
    ["history", "orders", "-n", "none"],
    ["verify", "-m", "pipelines"],
    ["verify", "--all", "--repair", "-m", "pipelines"],
    ["rollback", "orders", "--to", "1", "-m", "pipelines"],
    ["history", "orders", "-d", "/no/such/folder"],
    ["history", "orders", "-m", "a", "-f", "b.py", "--json"],
    ["history", "orders", "-f", "nofile.py"],
    ["history", "orders", "-m", "nomod.inner"],
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("DAGSTER_HOME", "NO_COLOR", "DAGSTER_MODULE_NAME", "DAGSTER_PYTHON_FILE"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str, code: int) -> Result:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == code, result.output
    return result


@pytest.mark.process
def test_help_the_version_and_refusals_load_no_more_than_click() -> None:
    script = f"""
import sys
from practicus_assets.cli import main
for arguments in {QUICK!r}:
    try:
        main(arguments)
    except SystemExit:
        pass
    loaded = [name for name in {HEAVY!r} if name in sys.modules]
    assert not loaded, (arguments, loaded)
assert len(sys.modules) < 400, len(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_fits_a_terminal_of_80_columns_and_nothing_of_it_is_cut(arguments: list[str]) -> None:
    shown = CliRunner().invoke(main, arguments, terminal_width=80).output
    assert max(map(len, shown.splitlines())) <= 80
    assert "..." not in shown.replace("[ARGS]...", "").replace("[TABLES]...", "")


@pytest.mark.parametrize("arguments", [[], ["release"]])
def test_a_group_without_a_command_shows_its_help(arguments: list[str]) -> None:
    shown = CliRunner().invoke(main, arguments).output
    assert shown == CliRunner().invoke(main, [*arguments, "--help"]).output


def test_the_version_is_told() -> None:
    assert run("--version", code=0).stdout == f"practicus-assets {practicus_assets.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "question"),
    [
        (["histroy"], "No such command 'histroy'. Did you mean history?"),
        (["release", "publsh"], "No such command 'publsh'. Did you mean publish?"),
        (
            ["zzz"],
            "Commands are status, show, list, check, plan, history, diff, rollback, verify, maintain, worker",
        ),
        (["history", "orders", "--lmit", "3"], "Did you mean '--limit'?"),
        (["-m", "shop", "status"], "-m belongs after the command: practicus-assets status -m …"),
        (["--apply", "rollback"], "--apply belongs after the command: practicus-assets rollback --apply …"),
        (["--zzz", "list"], "No such option '--zzz'."),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(arguments: list[str], question: str) -> None:
    assert question in " ".join(run(*arguments, code=2).stderr.split())


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["nothing"], 2, {"type": "UsageError", "advice": "See 'practicus-assets --help'."}),
        (["history"], 2, {"type": "UsageError", "problem": "Missing argument 'TABLE'."}),
        (["verify", "-m", "pipelines"], 1, {"type": "DeclarationError", "problem": "no tables are named."}),
        (
            ["history", "x"],
            1,
            {"type": "DeclarationError", "advice": "Give -m MODULE, -f FILE or -w WORKSPACE."},
        ),
        (["history", "x", "-f", "nofile.py"], 1, {"problem": "there is no Python file nofile.py."}),
        (["history", "x", "-m", "nomod.a"], 1, {"problem": "there is no module 'nomod.a' here."}),
    ],
)
def test_with_json_a_refusal_is_one_object_on_standard_output(
    arguments: list[str], code: int, error: dict[str, Any]
) -> None:
    result = run(*arguments, "--json", code=code)
    assert result.stderr == ""
    answer = json.loads(result.stdout)
    assert answer == {"error": {**answer["error"], **error, "exit_code": code}}


@pytest.mark.process
@pytest.mark.parametrize(
    ("environment", "is_colored"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_an_error_is_in_color_on_a_terminal_that_has_it(
    environment: dict[str, str], *, is_colored: bool
) -> None:
    mine, theirs = pty.openpty()
    command = Path(sys.executable).with_name("practicus-assets")
    settings = {**os.environ, "TERM": "xterm-256color", **environment}
    subprocess.run(
        [command, "nothing"], stdin=theirs, stdout=theirs, stderr=theirs, env=settings, check=False
    )
    os.close(theirs)
    shown = os.read(mine, 65536).decode()
    os.close(mine)
    assert "No such command 'nothing'." in shown
    assert ("\x1b[31m" in shown) is is_colored


def test_an_error_names_its_page_at_a_terminal_and_to_programs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error, page = TableNotFound("there is none.", "Make it."), "docs/errors.md#tablenotfound"
    report_error(error, as_json=False)
    assert capsys.readouterr().err == "TableNotFound: there is none. Make it.\n"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    report_error(error, as_json=False)
    assert capsys.readouterr().err == f"TableNotFound: there is none. Make it.\nSee {page}\n"
    report_error(error, as_json=True)
    assert json.loads(capsys.readouterr().out)["error"]["page"] == page


def test_help_lists_each_command_once_under_a_title_and_its_marks_are_no_text() -> None:
    shown = run("-h", code=0).stdout
    listed = [line.split()[0] for line in shown.splitlines() if line.startswith("  ")]
    assert [listed.count(name) for name in main.commands] == [1] * len(main.commands)
    assert "\\b" not in shown + run("new", "project", "-h", code=0).stdout
