"""Components: `dg` lists, scaffolds and checks them; what they define runs, and shows no secret."""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from click.testing import CliRunner
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster_shared.serdes import serialize_value

from practicus_assets import DeclarationError, DeltaIOManager
from practicus_assets.components import Lake, Sources, Task, Workflow
from practicus_assets.components.sources import SourcesScaffolder, SourcesToBegin
from practicus_assets.starters.project import project_starter

NAME = "shop_of_components"
TYPES = ("Lake", "Sources", "Task", "Workflow")
SECRET = "s3cr3t-of-the-environment"  # noqa: S105 what must not be shown


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project without tables, which is the working directory, and whose package can be imported."""
    root = project_starter(NAME).write(tmp_path)
    for module in (root / "src" / NAME / "defs").glob("*.py"):
        module.unlink()
    settings = root / "pyproject.toml"
    listed = f'root_module = "{NAME}"\nregistry_modules = ["practicus_assets.components"]'
    settings.write_text(settings.read_text().replace(f'root_module = "{NAME}"', listed))
    monkeypatch.chdir(root)
    monkeypatch.syspath_prepend(str(root / "src"))
    monkeypatch.setenv("LAKE_URI", str(tmp_path / "lake"))
    yield root
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[name]


def definitions_of(project: Path) -> dg.Definitions:
    return dg.load_from_defs_folder(path_within_project=project / "src" / NAME)


def write(project: Path, name: str, type_: str, attributes: dict[str, Any]) -> Path:
    folder = project / "src" / NAME / "defs" / name
    folder.mkdir(parents=True)
    content = {"type": f"practicus_assets.components.{type_}", "attributes": attributes}
    (folder / "defs.yaml").write_text(yaml.safe_dump(content))
    return folder


def test_the_package_registers_its_components() -> None:
    settings = tomllib.loads(Path("pyproject.toml").read_text())["project"]["entry-points"]
    assert settings["dagster_dg_cli.registry_modules"] == {"practicus_assets": "practicus_assets.components"}


@pytest.mark.slow
def test_dg_lists_scaffolds_and_checks_components_and_what_it_scaffolds_runs(project: Path) -> None:
    from dagster_dg_cli.cli import create_dg_cli

    commands, runner = create_dg_cli(), CliRunner(env={"COLUMNS": "200"})
    listed = runner.invoke(commands, ["list", "components", "--package", "practicus_assets"])
    for name in TYPES:
        made = runner.invoke(
            commands, ["scaffold", "defs", f"practicus_assets.components.{name}", f"my_{name}"]
        )
        assert made.exit_code == 0, made.output
        assert f"practicus_assets.components.{name} " in listed.output
    for system in ("mysql", "postgresql"):
        words = ["practicus_assets.components.Sources", f"of_{system}", "--system", system]
        assert runner.invoke(commands, ["scaffold", "defs", *words]).exit_code == 0
    checked = runner.invoke(commands, ["check", "yaml"])
    assert checked.exit_code == 0, checked.output

    definitions = definitions_of(project)
    keys = {key.to_user_string() for key in definitions.resolve_all_asset_keys()}
    assert keys == {"first", "second", "my_Task", "my_Sources", "of_mysql", "of_postgresql"}
    lake = definitions.resources["io_manager"]  # type: ignore[index]
    assert isinstance(lake, DeltaIOManager)
    assert lake.root_uri == str(project.parent / "lake")
    result = definitions.resolve_job_def("my_Workflow").execute_in_process()
    ran = [event.asset_key.path[-1] for event in result.get_asset_materialization_events() if event.asset_key]
    assert ran == ["first", "second"]


@pytest.mark.parametrize("system", ["files", "postgresql"])
def test_a_name_that_no_source_can_have_is_refused_before_anything_is_written(
    tmp_path: Path, system: str
) -> None:
    folder = tmp_path / "my-shop"
    asked = SourcesToBegin.model_validate({"system": system})
    with pytest.raises(DeclarationError, match="'my-shop' is no name of a source"):
        SourcesScaffolder().scaffold(dg.ScaffoldRequest("Sources", folder, "yaml", tmp_path, asked))
    assert not folder.exists()


def test_a_variable_of_a_secret_is_read_by_the_run_and_is_in_no_definition(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", SECRET)
    seen = project / "seen"
    folder = write(project, "call", "Task", {"program": "call.py", "parameters": {"KEY": "{{ env.TOKEN }}"}})
    (folder / "call.py").write_text(
        f"import os, pathlib\npathlib.Path({str(seen)!r}).write_text(os.environ['KEY'])\n"
    )
    options = {"AWS_SECRET_ACCESS_KEY": "{{ env('TOKEN') }}"}
    write(project, "lake", "Lake", {"root_uri": "{{ env.LAKE_URI }}", "storage_options": options})
    database = {"host": "{{ env('HOST', 'db') }}", "user": "u", "password": "{{ env.TOKEN }}"}
    tables = {
        "orders": {"relation": "public.orders", "partitions": {"keys": ["a"]}, "partition_expr": "shop"}
    }
    write(project, "of_postgresql", "Sources", {"postgresql": database, "tables": tables})
    login = {**database, "database": "shop"}
    write(
        project, "of_mysql", "Sources", {"mysql": login, "tables": {"airlines": {"query": "SELECT 1 AS id"}}}
    )

    definitions = definitions_of(project)
    repository = definitions.get_repository_def()
    shown = serialize_value(RepositorySnap.from_def(repository)) + repr(definitions.resources)
    assert "postgresql://u@db:5432/postgres" in shown or "postgresql://db:5432/postgres" in shown
    assert SECRET not in shown
    job = definitions.resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(asset_selection=[dg.AssetKey("call")]).success
    assert seen.read_text() == SECRET


@pytest.mark.filterwarnings("ignore:`parse_obj_as` is deprecated")  # of resolve_from_yaml, which Dagster has
def test_the_blocks_of_the_docs_are_components(monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path("docs/components.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    types = {
        f"{type_.__module__.rpartition('.')[0]}.{type_.__name__}": type_
        for type_ in (Lake, Sources, Task, Workflow)
    }
    assert len(blocks) == 3
    for block in blocks:
        component = types[block["type"]].resolve_from_dict(block["attributes"])
        if isinstance(component, Sources):
            [customers, orders] = component.build_defs(dg.ComponentTree.for_test().load_context).assets or ()
            assert customers.relation.system.address == "postgresql://localhost:5432/shop"  # type: ignore[union-attr]
            assert isinstance(orders.partitions_def, dg.DailyPartitionsDefinition)  # type: ignore[union-attr]


@pytest.mark.filterwarnings("ignore:`parse_obj_as` is deprecated")  # of resolve_from_yaml, which Dagster has
@pytest.mark.parametrize(
    ("type_", "text", "said"),
    [
        (
            Task,
            "{program: a.py, parameters: {URL: 'db:{{ env.TOKEN }}'}}",
            "Write one variable and nothing else",
        ),
        (Task, "{program: a.py, arguments: ['{{ env.TOKEN }}']}", "Dagster's pages would show it"),
        (Task, "{program: a.py, worker: {env: {KEY: '{{ env.TOKEN }}'}}}", "from a Secret of the cluster"),
        (
            Workflow,
            "{flow: a, workers: {a: {env: {KEY: '{{ env.TOKEN }}'}}}}",
            "from a Secret of the cluster",
        ),
        (Lake, "{root_uri: x, storage_options: {K: '{{ env.TOKEN | upper }}'}}", "Write one variable"),
        (Sources, "{mysql: {password: \"{{ env('TOKEN', 'x') }}\"}, tables: {}}", "Write one variable"),
        (Lake, "{root: x}", "root_uri"),
    ],
    ids=["within a text", "argument", "worker", "of workers", "storage", "login", "misspelt"],
)
def test_a_template_that_would_show_a_secret_is_refused(
    type_: type[dg.Resolvable], text: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", SECRET)
    with pytest.raises(Exception, match=said) as error:
        type_.resolve_from_yaml(text)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    ("type_", "attributes", "said"),
    [
        ("Workflow", {"path": "nowhere", "flow": "a >> b"}, "no folder"),
        ("Workflow", {"schedule": "@daily"}, "there is no flow"),
        ("Workflow", {"flow": "a", "images": {"a": "b"}}, "there is a flow"),
        ("Sources", {"tables": {}}, "in no system"),
        ("Sources", {"files": "data", "tables": {"a": {"query": "SELECT 1"}}}, "take no query"),
        ("Sources", {"files": "data", "tables": {"a": {}}}, "a relation or a query"),
        ("Task", {"program": "nowhere.py"}, "nowhere.py"),
        ("Task", {"program": ["true"], "partitions": {"every": "daily"}}, "neither of time"),
    ],
    ids=["folder", "of a flow", "of a dag file", "system", "query", "relation", "program", "partitions"],
)
def test_a_component_that_fits_nothing_says_what_to_do(
    project: Path, type_: str, attributes: dict[str, Any], said: str
) -> None:
    write(project, "wrong", type_, attributes)
    with pytest.raises(Exception, match="wrong") as error:
        definitions_of(project)
    told = f"{error.value} {error.value.__cause__} {error.getrepr()}"
    assert said in told
