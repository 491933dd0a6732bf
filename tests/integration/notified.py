"""Definitions whose runs fail, as a daemon loads them: a sensor of notifications tells a webhook of them."""

import os
from pathlib import Path

import dagster as dg
import pandas as pd

from practicus_assets import DeltaIOManager, Webhook, build_notification_sensor, table_asset

home = Path(os.environ["NOTIFIED_HOME"])
shop = dg.AssetSpec("shop")


@table_asset(deps=[shop], automation_condition=dg.AutomationCondition.eager())
def orders() -> pd.DataFrame:
    """Orders, which fail as often as the file `failures` says."""
    file = home / "failures"
    left = int(file.read_text())
    file.write_text(str(max(0, left - 1)))
    if left:
        raise ValueError(f"down, {left} left")
    return pd.DataFrame({"n": [1]})


defs = dg.Definitions(
    assets=[shop, orders],
    sensors=[
        dg.AutomationConditionSensorDefinition(
            "conditions",
            target="*",
            minimum_interval_seconds=1,
            default_status=dg.DefaultSensorStatus.RUNNING,
        ),
        build_notification_sensor(
            [Webhook(dg.EnvVar("HOOK_URL"), format="json", timeout_seconds=60)],
            base_url="https://dagster.example.com",
            minimum_interval_seconds=1,
            default_status=dg.DefaultSensorStatus.RUNNING,
        ),
    ],
    executor=dg.in_process_executor,
    resources={"io_manager": DeltaIOManager(root_uri=str(home / "lake"))},
)
