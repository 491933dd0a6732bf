"""A shell script, a notebook and a script; the notebook is kept as it was executed."""

import os

import dagster as dg

from practicus_assets import DeltaIOManager, workflow

defs = dg.Definitions.merge(
    workflow("report", "prepare >> analysis >> publish", path="tasks", parameters={"YEAR": 2013}),
    dg.Definitions(
        resources={"io_manager": DeltaIOManager(root_uri=os.environ.get("PRACTICUS_LAKE", "lake"))}
    ),
)
