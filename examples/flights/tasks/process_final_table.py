"""Delays beside the weather."""

import os

from practicus_assets import Snapshot, task

delays, weather = (
    Snapshot.open(f"{os.environ['LAKE']}/{name}").to_pandas() for name in ("table1_new", "table2_new")
)
task.table("final_table").replace(delays.merge(weather, "left", ["day", "origin"], validate="1:1"))
