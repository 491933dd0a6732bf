"""The example of the README: orders of a shop, a table for each day."""

import dagster as dg
import pandas as pd

from practicus_assets import Column, Contract, DeltaIOManager, table_asset

days = dg.DailyPartitionsDefinition("2026-01-01")

Orders = Contract(
    columns={
        "day": Column("date32", "day of the order, UTC", nullable=False),
        "order_id": Column("int64", "from the shop", nullable=False, minimum=1),
        "amount": Column("float64", "EUR", minimum=0),
    },
    unique=[["order_id"]],
    rows=(1, None),
)


@table_asset(partitions_def=days, partition_by="day")
def raw_orders(context: dg.AssetExecutionContext) -> pd.DataFrame:
    """Two orders per day, as a shop would give them."""
    day = pd.Timestamp(context.partition_key)
    first = day.day_of_year * 100
    return pd.DataFrame({"day": day.date(), "order_id": [first, first + 1], "cents": [995, 1250]})


@table_asset(partitions_def=days, partition_by="day", contract=Orders)
def orders(raw_orders: pd.DataFrame) -> pd.DataFrame:
    """Orders with their amounts in EUR."""
    return raw_orders.assign(amount=raw_orders["cents"] / 100).drop(columns="cents")


defs = dg.Definitions(assets=[raw_orders, orders], resources={"io_manager": DeltaIOManager(root_uri="lake")})
