"""The assets of docs/performance.md, run as they stand there."""

import importlib
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest

from practicus_assets import DeltaIOManager, Snapshot, table_asset

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "performance.md"
CUSTOMERS, ORDERS = 300, 20_000
SVG = "{http://www.w3.org/2000/svg}"


@table_asset
def customers() -> pd.DataFrame:
    return pd.DataFrame({"customer": range(CUSTOMERS), "name": [f"name {n}" for n in range(CUSTOMERS)]})


@table_asset
def orders() -> pa.Table:
    numbers = range(ORDERS)
    return pa.table({"customer": [n % (2 * CUSTOMERS) for n in numbers], "amount": list(numbers)})


def test_joins_and_sums_that_are_larger_than_memory_are_those_of_the_page(tmp_path: Path) -> None:
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names = {"__name__": "performance"}
    exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102 our own
    assets = [customers, orders, names["named_orders"], names["totals"]]
    lake = DeltaIOManager(root_uri=str(tmp_path))
    assert dg.materialize(assets, resources={"io_manager": lake}).success
    joined = Snapshot.open(tmp_path / "named_orders").to_pandas()
    of_known = sum(n % (2 * CUSTOMERS) < CUSTOMERS for n in range(ORDERS))
    assert len(joined) == of_known
    assert (joined["name"] == "name " + joined["customer"].astype(str)).all()
    totals = Snapshot.open(tmp_path / "totals").to_pandas()
    assert (len(totals), totals["amount"].sum()) == (2 * CUSTOMERS, sum(range(ORDERS)))


def test_pictures_of_the_benchmark_are_drawn_of_its_results_and_read_on_pages_of_any_colour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    plot = importlib.import_module("plot")
    turns = {way: [{"seconds": 0.25}, {"seconds": 3.0}, {"seconds": 0.5}] for way in [*plot.WORDS, "a < b"]}
    works = {name: {"label": f"{name} & more", "turns": turns} for name in ("rewrite", "other")}
    results = {"machine": {"cpus": 2}, "works": works}
    for draw, count in ((plot.drawn, 2 * len(turns)), (plot.picture, len(plot.WORDS))):
        root = ET.fromstring(draw(results))  # noqa: S314 our own
        panel, *bars = root.iter(f"{SVG}rect")
        assert (panel.get("fill"), panel.get("height")) == ("white", root.get("height"))
        assert len(bars) == count
        assert [text.text for text in root.iter(f"{SVG}text")].count("500 ms") == count
