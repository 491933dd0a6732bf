"""The example of Ray in docs/scale.md, on a Ray that it starts here: make long, or make .venv/ray.ready."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

import practicus_assets
from practicus_assets import DeltaIOManager, Snapshot, table_asset

pytestmark = [pytest.mark.long, pytest.mark.process, pytest.mark.filterwarnings("ignore")]
ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / ".venv" / "ray"  # beside our environment, as what few need
DAYS = ["2026-01-01", "2026-01-02", "2026-01-03"]


@table_asset(partition_by="day")
def orders() -> pa.Table:
    return pa.table({"day": DAYS * 100, "amount": range(300)})


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make Ray importable, also for its workers."""
    assert PACKAGES.is_dir(), f"{PACKAGES} is not there: make .venv/ray.ready"
    monkeypatch.syspath_prepend(str(PACKAGES))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PACKAGES), str(ROOT)]))
    yield
    import ray

    ray.shutdown()


def test_the_pages_asset_is_computed_by_ray_and_committed_once(
    packages: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = ROOT / "docs" / "scale.md"
    section = page.read_text(encoding="utf-8").partition("\n## Ray\n")[2].partition("\n## ")[0]
    [code] = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    names: dict[str, Any] = {name: getattr(practicus_assets, name) for name in practicus_assets.__all__}
    names |= {"dg": dg, "pa": pa, "Iterator": Iterator, "orders": orders}
    exec(compile(code, str(page), "exec"), names)  # noqa: S102 the page's code

    resources = {**names["defs"].resources, "io_manager": DeltaIOManager(root_uri=str(tmp_path))}
    assert dg.materialize([orders, names["labels"]], resources=resources).success
    labels = Snapshot.open(tmp_path / "labels")
    assert labels.version == 0
    assert sorted(labels.to_arrow()["amount"].to_pylist()) == list(range(300))
    assert set(labels.to_arrow()["day"].to_pylist()) == set(DAYS)
