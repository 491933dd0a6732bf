"""Sources: tables of another system as inputs of assets."""

from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest

from practicus_assets import Source, table_asset
from tests.integration.bench import Bench
from tests.integration.shelf import Shelf

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-05")


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shelf = Shelf(tmp_path / "shelf")
    days = [f"2024-01-0{n}" for n in (1, 2, 3)]
    shelf.put(orders=pa.table({"day": days, "n": [1, 2, 3]}), shops=pa.table({"shop": ["a"]}))
    return shelf


def copy(annotation: Any = pd.DataFrame, name: str = "copy", **options: Any) -> dg.AssetsDefinition:
    """Return a table asset that copies its input `orders`."""

    def function(orders: Any) -> Any:
        return orders

    function.__annotations__["orders"] = annotation
    function.__name__ = name
    return table_asset(**options)(function)


# --- What a parameter gets ----------------------------------------------------------------------------------


def test_a_table_asset_reads_a_source_by_its_name(bench: Bench, shelf: Shelf) -> None:
    bench.run([Source("orders", shelf.table("orders")), copy()])
    assert bench.rows("copy", "n") == [(1,), (2,), (3,)]
    assert shelf.open == []
