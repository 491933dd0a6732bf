"""Workspaces with several code locations: each is loaded as Dagster loads it, in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from practicus_assets.assets.catalog import TableEntry, chosen
from practicus_assets.assets.locations import tables_of
from practicus_assets.code_location import CodeLocation, code_locations, selected
from practicus_assets.definitions import definitions
from practicus_assets.errors import DeclarationError

DEFINITIONS = """
import dagster as dg
import pandas as pd
from practicus_assets import DeltaIOManager, table_asset

print("loaded by the author's code")

@table_asset
def orders() -> pd.DataFrame: ...

days = dg.DailyPartitionsDefinition("2024-01-01", timezone="Europe/Paris")

@table_asset(partitions_def=days, partition_by="day")
def of_NAME(orders: pd.DataFrame) -> pd.DataFrame: ...

other = dg.AssetSpec("of_OTHER").with_io_manager_key("lake_OTHER")
defs = dg.Definitions(
    assets=[orders, of_NAME, other, dg.AssetSpec("csv")],
    resources={
        "io_manager": DeltaIOManager(root_uri="ROOT/NAME", storage_options={"timeout": "7s"}),
        "lake_OTHER": DeltaIOManager(root_uri="ROOT/OTHER"),
    },
)
"""

WORKSPACE = """
load_from:
  - python_module: {module_name: shop, working_directory: eu}
  - python_module: {module_name: shop, working_directory: us}
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workspace")
    for name, other in (("eu", "us"), ("us", "eu")):
        (folder / name).mkdir()
        text = DEFINITIONS.replace("NAME", name).replace("OTHER", other).replace("ROOT", str(folder / "lake"))
        (folder / name / "shop.py").write_text(text)
    (folder / "workspace.yaml").write_text(WORKSPACE)
    write_deltalake(str(folder / "lake" / "us" / "orders"), pa.table({"n": [1, 2]}))
    return folder


@pytest.fixture
def here(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(workspace)
    return workspace


@pytest.fixture(scope="module")
def tables(workspace: Path) -> Iterator[dict[str, TableEntry]]:
    before = Path.cwd()
    os.chdir(workspace)
    yield tables_of(code_locations())
    os.chdir(before)


def test_locations_with_the_same_module_name_are_named_after_their_folders(here: Path) -> None:
    assert [location.name for location in code_locations()] == ["shop@eu", "shop@us"]


def test_each_location_shows_its_own_tables_with_its_name_where_names_meet(
    tables: dict[str, TableEntry], workspace: Path
) -> None:
    assert set(tables) == {
        "shop@eu:csv", "shop@eu:orders", "shop@us:csv", "shop@us:orders", "of_eu", "of_us",
    }  # fmt: skip
    places = {name: Path(entry.table.uri).relative_to(workspace / "lake") for name, entry in tables.items()}
    assert {name: str(places[name]) for name in ("shop@eu:orders", "shop@us:orders", "of_us")} == {
        "shop@eu:orders": "eu/orders",
        "shop@us:orders": "us/orders",
        "of_us": "us/of_us",
    }


def test_a_table_that_another_location_declares_is_the_one_of_the_location_that_makes_it(
    tables: dict[str, TableEntry],
) -> None:
    assert tables["of_us"].is_written
    assert tables["of_us"].settings.partition_by == "day"
    assert "timeout" in tables["of_us"].table.storage_options
    partitions_def = tables["of_us"].partitions_def
    assert partitions_def is not None
    assert partitions_def.get_first_partition_key() == "2024-01-01"


def test_a_name_that_several_locations_have_is_answered_with_theirs(tables: dict[str, TableEntry]) -> None:
    with pytest.raises(DeclarationError, match=r"Did you mean shop@..:orders or shop@..:orders\?"):
        chosen(tables, ["orders"])


def test_commands_show_the_tables_of_all_locations_or_of_one(here: Path, tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("practicus-assets")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "DAGSTER_HOME": ""}
        return subprocess.run(
            [command, *arguments], capture_output=True, text=True, check=False, env=environment
        )

    every = run("verify", "--all")
    assert every.returncode == 0, every.stderr
    assert "shop@us:orders" in every.stdout
    assert "No table yet: of_eu, of_us, shop@eu:orders." in every.stdout
    assert "author's code" in every.stderr
    one = run("history", "orders", "--location", "shop@us", "--json")
    assert '"rows_in": 2' in one.stdout, one.stderr
    several = run("worker", "orders")
    assert several.returncode == 1
    assert several.stderr == (
        "DeclarationError: there are several code locations: shop@eu, shop@us. Name one with --location.\n"
    )


def test_definitions_of_several_locations_are_those_of_a_named_one(here: Path) -> None:
    with pytest.raises(DeclarationError, match="several code locations: shop@eu, shop@us"):
        definitions()
    with pytest.raises(DeclarationError, match=r"no code location 'shop@uk'\. Did you mean shop@us\?"):
        selected(code_locations(), "shop@uk")


def test_a_location_that_cannot_be_loaded_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good.py").write_text("import dagster as dg\ndefs = dg.Definitions()\n")
    (tmp_path / "bad.py").write_text("import no_such_module\n")
    locations = [CodeLocation(name, str(tmp_path), module=name) for name in ("good", "bad", "missing")]
    reason = (
        r"^the code location bad cannot be loaded: .*No module named 'no_such_module' \(.*bad\.py, line 1\)"
    )
    with pytest.raises(DeclarationError, match=reason):
        tables_of(locations[:2])
    assert "Traceback" not in capfd.readouterr().err
    with pytest.raises(DeclarationError, match="code location missing: there is no module 'missing' here"):
        tables_of([locations[0], locations[2]])


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ({"workspace.yaml": "load_from: [{python_module: a}, {python_file: b.py}]"}, ["a", "b.py"]),
        ({"workspace.yml": "load_from: [{python_package: {package_name: a, location_name: x}}]"}, ["x"]),
        ({"workspace.yaml": "load_from: [{python_module: {module_name: a, attribute: d}}]"}, ["a:d"]),
        ({"pyproject.toml": "[tool.dagster]\nmodule_name='a'\ncode_location_name='x'"}, ["x"]),
        ({"pyproject.toml": "[tool.dagster]\nmodules=[{type='module', name='a'}, {name='b'}]"}, ["a", "b"]),
        ({"pyproject.toml": "[tool.dg.project]\nroot_module='a'"}, ["a.definitions"]),
        ({"pyproject.toml": "[tool.dg.project]\ncode_location_target_module='a'"}, ["a"]),
        (
            {
                "pyproject.toml": "[tool.dagster]\nmodule_name='a'",
                "workspace.yaml": "load_from: [{python_module: b}]",
            },
            ["a"],
        ),
        ({"pyproject.toml": "[tool.ruff]", "workspace.yaml": "load_from: [{python_module: b}]"}, ["b"]),
    ],
)
def test_locations_are_named_by_what_dagster_reads(
    tmp_path: Path, files: dict[str, Any], names: list[str]
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert [location.name for location in code_locations(working_directory=str(tmp_path))] == names


def test_a_location_is_run_by_the_python_that_the_workspace_names(tmp_path: Path) -> None:
    text = "load_from: [{python_file: {relative_path: a.py, executable_path: /no/such/python}}]"
    (tmp_path / "workspace.yaml").write_text(text)
    locations = code_locations(workspace=str(tmp_path / "workspace.yaml"))
    with pytest.raises(DeclarationError, match=r"a\.py cannot be loaded by /no/such/python: No such file"):
        tables_of(locations)
    (tmp_path / "a.py").write_text(DEFINITIONS.replace("NAME", "a").replace("OTHER", "b"))
    (tmp_path / "workspace.yaml").write_text(text.replace("/no/such/python", sys.executable))
    assert "of_a" in tables_of(code_locations(workspace=str(tmp_path / "workspace.yaml")))
