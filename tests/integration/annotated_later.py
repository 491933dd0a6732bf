"""Table assets in a module whose annotations are texts."""

from __future__ import annotations

import dagster as dg
import pandas as pd
import pyarrow as pa  # noqa: TC002 Dagster resolves annotations

from practicus_assets import table_asset


class Rows(dg.Config):
    count: int


TWO_ROWS = {"ops": {"orders": {"config": {"count": 2}}}}


@table_asset
def orders(context: dg.AssetExecutionContext, config: Rows) -> pd.DataFrame:
    assert context.has_partition_key is False
    return pd.DataFrame({"n": range(config.count)})


@table_asset
def copied(orders: pa.Table) -> pd.DataFrame:
    kind = type(orders)
    return pd.DataFrame({"kind": [f"{kind.__module__}.{kind.__name__}"], "rows": [orders.num_rows]})
