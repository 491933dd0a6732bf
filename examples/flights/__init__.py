"""Three scripts that write tables: two side by side, then one that joins what they wrote."""

import os
from pathlib import Path

import dagster as dg

from practicus_assets import Column, Contract, DeltaIOManager, Worker, workflow

lake = Path(os.environ.get("PRACTICUS_LAKE", "lake")).absolute()
tables = {
    "process_table_1": "table1_new",
    "process_table_2": "table2_new",
    "process_final_table": "final_table",
}


def spec_of(task: str, spec: dg.AssetSpec) -> dg.AssetSpec:
    """Name each asset by the table that its task writes."""
    return spec.replace_attributes(key=tables[task])


defs = dg.Definitions.merge(
    workflow(
        "flights",
        "[process_table_1, process_table_2] >> process_final_table",
        path="tasks",
        default_worker=Worker(size="Small"),
        workers={"process_final_table": Worker(memory="2Gi")},
        tables={
            "process_table_1": {"contract": Contract(columns={"flights": Column("int64", minimum=1)})},
            "process_table_2": {},
            "process_final_table": {"contract": Contract(unique=[["day", "origin"]])},
        },
        parameters={"LAKE": str(lake)},
        schedule="@daily",
        get_asset_spec=spec_of,
    ),
    dg.Definitions(resources={"io_manager": DeltaIOManager(root_uri=str(lake))}),
)
