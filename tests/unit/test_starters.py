"""Starters: what `new` writes, and what it refuses."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from practicus_assets.cli import main
from practicus_assets.errors import DeclarationError
from practicus_assets.starters.here import Project
from practicus_assets.starters.project import project_starter
from practicus_assets.starters.source import source_addition
from practicus_assets.starters.starter import Starter
from practicus_assets.starters.system import SYSTEMS
from practicus_assets.starters.table import table_addition
from practicus_assets.starters.workflow import workflow_starter


@pytest.mark.parametrize(
    "name", ["", "2shop", "x-y", "../shop", "class", "json", "pandas", "_x", "schön", "a" * 101]
)
def test_a_name_that_is_none_of_a_module_or_hides_one_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="Take "):
        workflow_starter(name, "a", as_practicus=False)
    with pytest.raises(DeclarationError, match="Take "):
        project_starter(name)


@pytest.mark.parametrize(
    "flow",
    ["a >> random", "default >> b", "a >> x_dag", "load >> Load", "a >> a_worker", "a >>", "a >> b >> a", ""],
)
def test_tasks_that_cannot_be_files_of_one_folder_are_refused(flow: str) -> None:
    with pytest.raises(DeclarationError):
        workflow_starter("shop", flow, as_practicus=False)


def test_what_a_comment_or_a_layout_hides_is_not_written(tmp_path: Path) -> None:
    flow = """
        a >> (b)   # ''' \"\"\" import os
        b >> [c,
              d]
    """
    starter = workflow_starter("shop", flow, as_practicus=False)
    assert 'FLOW = """\na >> b\nb >> [c, d]\n"""' in starter.files["definitions.py"]
    assert "import os" not in starter.files["definitions.py"]
    compile(starter.files["test_shop.py"], "test_shop.py", "exec")


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_nothing_that_is_there_is_written_over(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "shop"
    {"file": target.touch, "folder": target.mkdir, "link": lambda: target.symlink_to("nowhere")}[kind]()
    with pytest.raises(DeclarationError, match=r"already\. Nothing was written"):
        workflow_starter("shop", "a", as_practicus=False).write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["shop"]
    assert not target.is_dir() or not [*target.iterdir()]


def test_of_two_at_once_one_writes_all_and_the_other_nothing(tmp_path: Path) -> None:
    begin, refused = threading.Barrier(2), []

    def write(text: str) -> None:
        starter = Starter("shop", {f"{number}.txt": text for number in range(50)})
        begin.wait()
        try:
            starter.write(tmp_path)
        except DeclarationError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=write, args=(text,)) for text in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["shop"]
    assert len({path.read_text() for path in (tmp_path / "shop").iterdir()}) == 1


def test_one_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    files: Any = {"a.txt": "x", "b.txt": None}
    with pytest.raises(TypeError):
        Starter("shop", files).write(tmp_path)
    assert [*tmp_path.iterdir()] == []


def test_a_folder_that_may_not_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DeclarationError, match="cannot be written: Not a directory"):
        Starter("shop", {"a": ""}).write(tmp_path / "file")


def test_the_command_says_what_it_wrote_and_what_is_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    shown = CliRunner().invoke(main, ["new", "workflow", "shop", "--flow", "a >> b"]).stdout
    assert shown.startswith("Wrote shop, 7 files:\n  shop/__init__.py\n")
    assert "dagster dev -m shop.definitions" in shown
    assert max(map(len, shown.splitlines())) <= 80
    told = json.loads(CliRunner().invoke(main, ["new", "workflow", "s2", "--flow", "a", "--json"]).stdout)
    assert (
        sorted(str(p.relative_to(told["folder"])) for p in Path(told["folder"]).rglob("*.*")) == told["files"]
    )
    assert (tmp_path / "shop").stat().st_mode & 0o777 == (tmp_path / "shop/tasks").stat().st_mode & 0o777


def test_a_new_project_a_table_and_sources_are_written_as_ruff_would_format_them(tmp_path: Path) -> None:
    project = project_starter("shop").write(tmp_path)
    table_addition("customers", Project.around(project)).write(project)
    for kind, system in SYSTEMS.items():
        source_addition(f"of_{kind}", system, Project.around(project)).write(project)
    ruff = Path(sys.executable).with_name("ruff")
    done = subprocess.run(
        [ruff, "format", "--isolated", "--diff", project], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert not any("NAME" in path.read_text() for path in project.rglob("*.*") if path.is_file())
    assert sum(path.stat().st_size for path in project.rglob("*") if path.is_file()) < 20_000


def test_the_command_says_what_a_new_project_has_and_what_is_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    shown = CliRunner().invoke(main, ["new", "project", "shop"]).stdout
    assert "  shop/src/shop/defs/orders.py\n" in shown
    assert shown.endswith("  dg dev\n")
    assert max(map(len, shown.splitlines())) <= 80
    again = CliRunner().invoke(main, ["new", "project", "shop"])
    assert again.exit_code == 1
    assert "Nothing was written." in again.stderr


@pytest.mark.parametrize(
    ("command", "there"),
    [
        (["table"], "src/shop/defs/customers.py"),
        (["table"], "tests/test_customers.py"),
        (["source", "--system", "postgresql"], "tests/test_customers.py"),
        (["source", "--system", "files"], "src/shop/data/customers/rows.csv"),
    ],
)
def test_a_table_or_source_of_which_a_file_is_there_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], there: str
) -> None:
    project = project_starter("shop").write(tmp_path)
    (project / there).parent.mkdir(exist_ok=True)
    (project / there).write_text("mine")
    before = sorted(project.rglob("*"))
    monkeypatch.chdir(project / "src" / "shop")
    refused = CliRunner().invoke(main, ["new", command[0], "customers", *command[1:]])
    assert refused.exit_code == 1
    assert f"{there} already. Nothing was written." in refused.stderr
    assert (project / there).read_text() == "mine"
    assert sorted(project.rglob("*")) == before


def test_a_table_comes_into_the_project_around_wherever_its_modules_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        "is in no project of dg. Nothing was written."
        in CliRunner().invoke(main, ["new", "table", "t"]).stderr
    )
    settings = '[tool.dg.project]\nroot_module = "shop"\ndefs_module = "shop.tables"\n'
    (tmp_path / "pyproject.toml").write_text(settings)
    assert "has no folder src/shop/tables" in CliRunner().invoke(main, ["new", "table", "t"]).stderr
    (tmp_path / "shop" / "tables").mkdir(parents=True)
    told = json.loads(CliRunner().invoke(main, ["new", "table", "calendar", "--json"]).stdout)
    assert told == {"folder": str(tmp_path), "files": ["shop/tables/calendar.py", "tests/test_calendar.py"]}
    assert "from shop.tables.calendar import calendar" in (tmp_path / "tests/test_calendar.py").read_text()
    for name in ("class", "../t", "a-b", ""):
        assert "is no name of a table" in CliRunner().invoke(main, ["new", "table", name]).stderr
    (tmp_path / "pyproject.toml").write_text("[tool")
    assert "cannot be read" in CliRunner().invoke(main, ["new", "table", "t"]).stderr


@pytest.mark.parametrize("name", ["os", "dg", "pytest", "database", "MySQL", "first_rows", "columns", "int"])
def test_a_source_whose_name_means_something_else_in_its_files_is_refused(tmp_path: Path, name: str) -> None:
    project = Project.around(project_starter("shop").write(tmp_path))
    with pytest.raises(DeclarationError, match="would hide"):
        source_addition(name, SYSTEMS["mysql"], project)


def test_a_table_whose_name_means_something_else_in_its_files_is_refused(tmp_path: Path) -> None:
    project = Project.around(project_starter("shop").write(tmp_path))
    for name in ("pd", "run", "run_table", "Column", "len"):
        with pytest.raises(DeclarationError, match="would hide"):
            table_addition(name, project)
    assert len([table_addition(name, project) for name in ("rows", "unique", "filter")]) == 3


def test_the_login_of_a_new_source_comes_from_variables_that_the_command_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = project_starter("shop").write(tmp_path)
    monkeypatch.chdir(project)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("ORDERS2_PASSWORD", "s3cret")
    shown = CliRunner().invoke(main, ["new", "source", "orders2", "--system", "postgresql"]).stdout
    module = (project / "src/shop/defs/orders2.py").read_text()
    assert "pip install 'practicus-assets[postgresql]'" in shown
    for field in ("HOST", "PORT", "DATABASE", "USER", "PASSWORD"):
        assert f"  export ORDERS2_{field}=…\n" in shown
        assert f'"ORDERS2_{field}"' in module
    assert 'password=dg.EnvVar("ORDERS2_PASSWORD")' in module
    assert "s3cret" not in shown + module
    assert max(map(len, shown.splitlines())) <= 80
    unknown = CliRunner().invoke(main, ["new", "source", "o", "--system", "oracle"])
    assert unknown.exit_code == 2
    assert "files" in unknown.stderr
