"""Commands that look at a lake need no right to write to it, and those that change it say what they lack."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from practicus_assets.assets.catalog import catalog
from practicus_assets.cli import main
from practicus_assets.definitions import definitions
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.upkeep.releases import publish
from tests.kit import write

DEFINITIONS = """
import json
import os
import dagster as dg
import pandas as pd
from practicus_assets import DeltaIOManager, table_asset

KEYS = dg.StaticPartitionsDefinition(["a", "b"])

@table_asset(key=["shop", "orders"], partitions_def=KEYS, partition_by="p")
def orders() -> pd.DataFrame: ...

@table_asset
def later() -> pd.DataFrame: ...

lake = DeltaIOManager(
    root_uri=os.environ["LAKE"], storage_options=json.loads(os.environ["LAKE_OPTIONS"])
)
defs = dg.Definitions(assets=[orders, later], resources={"io_manager": lake})
"""

READING = [
    ("history", "shop/orders"),
    ("diff", "shop/orders", "0", "2"),
    ("verify", "--all"),
    ("verify", "--all", "--rows"),
    ("rollback", "shop/orders", "--to", "1"),
    ("maintain", "--all", "--retention-hours", "0"),
    ("maintain", "--all", "--z-order", "n"),
    ("release", "list"),
]
CHANGING = [
    ("maintain", "shop/orders", "--apply"),
    ("maintain", "shop/orders", "--compact", "--apply"),
    ("maintain", "shop/orders", "--vacuum", "--retention-hours", "0", "--releases", "0", "--apply"),
    ("rollback", "shop/orders", "--to", "2", "--apply"),
    ("maintain", "shop/orders", "--checkpoint", "--apply"),
    ("release", "publish", "second", "shop/orders"),
]

DENIED = "This process may not do that there: check the mount, the folder's rights or the credentials."

Run = Callable[..., Result]


def fill(root: str, options: dict[str, str]) -> None:
    table = Table.at(root, ["shop", "orders"], options)
    for key, number in (("a", 1), ("b", 2), ("a", 3)):
        write(table, key, number)
    write(table, "b", 4, mode="append")
    publish(root, "first", {"shop/orders": 0}, options)


@pytest.fixture(params=["mount", pytest.param("key", marks=pytest.mark.s3)])
def run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Return a function that runs a command on a lake which the process may only read."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    (tmp_path / "read_only.py").write_text(DEFINITIONS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    if request.param == "mount":
        if os.geteuid():
            pytest.skip("only root can mount")
        writable, root = str(tmp_path / "lake"), str(tmp_path / "mounted")
        fill(writable, {})
        options: dict[str, str] = {}
        Path(root).mkdir()
        mount(writable, root)
    else:
        server = request.getfixturevalue("seaweedfs")
        root, options = f"{server.root_uri}/{tmp_path.name}", server.reader_options()
        fill(root, server.storage_options())
    monkeypatch.setenv("LAKE", root)
    monkeypatch.setenv("LAKE_OPTIONS", json.dumps(options))

    def command(*arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments, "-f", "read_only.py"])

    try:
        with dg.DagsterInstance.get() as instance:  # Dagster knows what the lake holds
            entry = catalog(definitions(python_file="read_only.py"))["shop/orders"]
            for key in ("a", "b"):
                instance.report_runless_asset_event(dg.AssetMaterialization(entry.key, partition=key))
        yield command
    finally:
        if request.param == "mount":
            subprocess.run(["umount", root], check=True)  # noqa: S607


def mount(folder: str, place: str) -> None:
    subprocess.run(["mount", "--bind", folder, place], check=True)  # noqa: S607
    subprocess.run(["mount", "-o", "remount,ro,bind", place], check=True)  # noqa: S607


def test_commands_that_look_at_tables_need_no_right_to_write(run: Run) -> None:
    for arguments in READING:
        result = run(*arguments)
        assert (result.exit_code, result.stderr) == (0, ""), (arguments, result.output, result.exception)
        if "--all" in arguments:
            assert "No table yet: later." in result.stdout


def test_commands_that_change_tables_say_in_one_line_that_they_may_not(run: Run) -> None:
    for arguments in CHANGING:
        result = run(*arguments)
        assert result.exit_code == 1, (arguments, result.output)
        assert isinstance(result.exception, SystemExit), (arguments, result.exception)
        [line] = [line for line in result.output.splitlines() if "was denied: " in line]
        assert line.endswith(f"{DENIED}{' Nothing was written.' * (arguments[0] != 'maintain')}"), line
        assert "rror" not in line.removeprefix("StoreFailed")


def test_verify_makes_no_folder_for_a_table_that_does_not_exist_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "read_only.py").write_text(DEFINITIONS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("LAKE_OPTIONS", "{}")
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    for arguments in (("verify", "--all"), ("verify", "--all", "--rows"), ("verify", "later")):
        CliRunner().invoke(main, [*arguments, "-f", "read_only.py"])
    assert not (tmp_path / "lake").exists()
