"""The assets of docs/performance.md, run as they stand there."""

import re
from pathlib import Path

import dagster as dg
import pandas as pd
import pyarrow as pa

from practicus_assets import DeltaIOManager, Snapshot, table_asset

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
CUSTOMERS, ORDERS = 300, 20_000


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
