"""Every block of docs/destinations.md runs, one after the other, and what it declares can be run."""

import re
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from practicus_assets import DeltaIOManager, table_asset

PAGE = Path(__file__).parents[2] / "docs" / "destinations.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@table_asset(partition_by="day", partitions_def=dg.DailyPartitionsDefinition("2024-01-01"))
def orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
    return pd.DataFrame({"day": pd.to_datetime(context.partition_keys).date, "n": 1})


def test_the_page_declares_exports_to_each_kind_of_system(monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {"orders": orders}
    for block in BLOCKS:
        exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102 the page's code
    exports = [names[name] for name in ("orders_in_shop", "orders_in_till", "orders_for_partner")]
    keys = [assets.key.to_user_string() for assets in exports]
    assert keys == ["orders_postgresql", "orders_mysql", "orders_s3"]
    dg.Definitions.validate_loadable(
        dg.Definitions([orders, *exports], resources={"io_manager": DeltaIOManager(root_uri="lake")})
    )
