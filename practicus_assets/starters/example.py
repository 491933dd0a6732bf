"""The example of a new project: orders of a shop, their revenue, and an error that a contract finds."""


def example_files() -> dict[str, str]:
    """Return the texts by their paths in a project; NAME stands for the project's name."""
    days = {f"src/NAME/data/orders/{day}.csv": _HEADER + rows for day, rows in _DAYS.items()}
    return {**_FILES, **days}


_ORDERS = '''"""Orders: each day's CSV file becomes a partition of a table."""

from pathlib import Path

import dagster as dg
import pandas as pd
from practicus_assets import Column, Contract, Files, Source, table_asset

data = Files(str(Path(__file__).parents[1] / "data"))
days = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-06")

raw_orders = Source(
    "raw_orders",
    data.files("orders/{day:%Y-%m-%d}.csv"),
    columns={"order_id": "int64", "country": "string", "amount": "decimal(10, 2)"},
    partitions_def=days,
    partition_expr="day",
)

Orders = Contract(
    columns={
        "day": Column("date32", "day of the order", nullable=False),
        "order_id": Column("int64", "from the shop", nullable=False, minimum=1),
        "country": Column("string", "ISO 3166", pattern="[A-Z]{2}", severity="WARN"),
        "amount": Column("decimal(10, 2)", "EUR", nullable=False, minimum=0),
    },
    unique=[["order_id"]],
    rows=(1, None),
)


@table_asset(
    partitions_def=days,
    partition_by="day",
    contract=Orders,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def orders(raw_orders: pd.DataFrame) -> pd.DataFrame:
    """The orders of the shop, each once."""
    return raw_orders
'''

_REVENUE = '''"""Revenue: what the orders add up to."""

import dagster as dg
import pandas as pd
from practicus_assets import table_asset

from NAME.defs.orders import days


@table_asset(
    partitions_def=days,
    partition_by="day",
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def revenue(orders: pd.DataFrame) -> pd.DataFrame:
    """EUR by day and country."""
    return orders.groupby(["day", "country"], as_index=False)["amount"].sum()
'''

_LAKE = '''"""The lake: where the tables are, and where their steps run."""

import os

import dagster as dg
from practicus_assets import DeltaIOManager, worker_executor

lake = DeltaIOManager(root_uri=os.environ.get("LAKE_URI", "lake"))

defs = dg.Definitions(resources={"io_manager": lake}, executor=worker_executor)
'''

_SCHEDULES = '''"""Schedules: off, until they are switched on in the UI."""

from practicus_assets import build_catch_up_schedule

from NAME.defs.orders import orders
from NAME.defs.revenue import revenue

daily = build_catch_up_schedule([orders, revenue], name="daily")
'''

_TESTS = '''"""The tables: of rows in memory, and of the files in a lake of their own."""

from decimal import Decimal
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from practicus_assets import DeltaIOManager, Snapshot
from practicus_assets.errors import AuditFailed
from practicus_assets.testing import run_table

from NAME.defs.orders import orders, raw_orders
from NAME.defs.revenue import revenue

ROWS = pd.DataFrame(
    {
        "order_id": [1, 2],
        "country": ["DE", "DE"],
        "amount": [Decimal("10.50"), Decimal("4.00")],
    }
)


def test_orders_keep_their_contract() -> None:
    run = run_table(orders, {"raw_orders": ROWS}, partition="2026-01-01")
    assert run.broken() == []


def test_an_order_that_comes_twice_is_refused() -> None:
    twice = pd.concat([ROWS, ROWS])
    with pytest.raises(AuditFailed, match="order_id_unique"):
        run_table(orders, {"raw_orders": twice}, partition="2026-01-01")


def test_the_files_of_a_day_become_its_revenue(tmp_path: Path) -> None:
    result = dg.materialize(
        [raw_orders, orders, revenue],
        partition_key="2026-01-01",
        resources={"io_manager": DeltaIOManager(root_uri=str(tmp_path))},
    )
    assert result.success
    rows = Snapshot.open(tmp_path / "revenue").to_pandas()
    assert dict(zip(rows["country"], rows["amount"], strict=True)) == {
        "DE": Decimal("25.15"),
        "FR": Decimal("45.00"),
        "NL": Decimal("120.00"),
    }
'''

_HEADER = "order_id,country,amount\n"
_DAYS = {
    "2026-01-01": "101,DE,19.90\n102,FR,45.00\n103,DE,5.25\n104,NL,120.00\n",
    "2026-01-02": "105,FR,12.50\n106,DE,74.99\n107,DE,19.90\n108,NL,33.10\n109,FR,8.00\n",
    "2026-01-03": "110,NL,51.00\n111,DE,19.90\n112,FR,27.40\n113,DE,64.00\n",
    "2026-01-04": "114,DE,19.90\n115,FR,88.00\n116,de,42.00\n117,NL,15.75\n118,DE,9.99\n",
    "2026-01-05": "119,FR,39.90\n120,DE,110.00\n121,NL,7.50\n122,DE,19.90\n123,FR,23.00\n",
}

_FILES = {
    "src/NAME/defs/orders.py": _ORDERS,
    "src/NAME/defs/revenue.py": _REVENUE,
    "src/NAME/defs/lake.py": _LAKE,
    "src/NAME/defs/schedules.py": _SCHEDULES,
    "tests/test_tables.py": _TESTS,
}
