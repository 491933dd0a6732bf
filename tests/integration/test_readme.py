"""The README's example is a file that runs as it stands; its extras are those of the package."""

import importlib.util
import re
import tomllib
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from deltalake import DeltaTable

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "orders.py"
DAY = date(2026, 1, 2)
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def test_the_readme_shows_its_example_to_the_letter() -> None:
    [shown] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert shown == EXAMPLE.read_text(encoding="utf-8")


def test_the_example_runs_as_it_stands_and_a_second_run_changes_nothing(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRACTICUS_FOLDER", str(tmp_path))  # where a relative root begins
    spec = importlib.util.spec_from_file_location("orders_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    versions = []
    for _ in range(2):
        done = dg.materialize(
            module.defs.assets,
            resources=module.defs.resources,
            instance=instance,
            partition_key=str(DAY),
            run_config=QUIET,
        )
        assert done.success
        table = DeltaTable(tmp_path / "lake" / "orders")
        versions.append(table.version())
    assert versions == [0, 0]
    rows = table.to_pyarrow_table(columns=["day", "order_id", "amount"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [(DAY, 200, 9.95), (DAY, 201, 12.5)]
    assert {path.name for path in (tmp_path / "lake").iterdir()} == {"orders", "raw_orders"}


def test_the_page_on_installing_names_every_extra() -> None:
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(extras) - {"pipelines", "build"}
    assert all(f"`{extra}`" in page for extra in extras)


def test_the_page_on_environment_variables_names_each_that_the_code_has() -> None:
    page = (ROOT / "docs" / "environment.md").read_text(encoding="utf-8")
    code = [path for room in ("practicus_assets", "pipelines") for path in (ROOT / room).rglob("*.py")]
    named = {name for path in code for name in re.findall(r"\bPRACTICUS_[A-Z_]+\b", path.read_text("utf-8"))}
    assert named == set(re.findall(r"`(PRACTICUS_[A-Z_]+)`", page))
