"""Jobs for processes of their own: they find the lake by the environment variable LAKE."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
from deltalake import DeltaTable, write_deltalake

from practicus_assets import DeltaIOManager, Snapshot, table_asset
from practicus_assets.lake.delta.table import Table

source = dg.AssetSpec("source", metadata={"dagster/io_manager_key": "io_manager"})


@table_asset
def upstream() -> pd.DataFrame:
    return pd.DataFrame({"n": [time.time_ns()]})


@table_asset
def early(source: Snapshot, upstream: Snapshot) -> pd.DataFrame:
    """Tell what was read, and let somebody else commit to both tables."""
    for table in (source, upstream):
        write_deltalake(table.table_uri, pd.DataFrame({"n": [7]}), mode="append")
    return pd.DataFrame({"source": [source.version], "upstream": [upstream.version]})


@table_asset(deps=["early"])
def late(source: Snapshot, upstream: Snapshot) -> pd.DataFrame:
    """Tell what was read after the others' commits."""
    now = [DeltaTable(table.table_uri).version() for table in (source, upstream)]
    return pd.DataFrame(
        {"source": [source.version], "upstream": [upstream.version], "now": [now[0]], "also": [now[1]]}
    )


@dataclass(frozen=True)
class _Deadly(Table):
    """A table at which the process is killed when it reports a commit, once."""

    def open(self, version: int | None = None) -> Any:
        flag = Path(os.environ["LAKE"], "killed")
        if version is not None and not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().open(version)


class Deadly(DeltaIOManager):
    """A lake whose first commit kills the worker before it can tell Dagster."""

    def table(self, key: dg.AssetKey, *asset: Any) -> Table:
        table = super().table(key, *asset)
        return _Deadly(table.name, table.uri, table.storage_options)


@table_asset(mode="append", io_manager_key="deadly")
def appended() -> pd.DataFrame:
    return pd.DataFrame({"n": [1]})


@table_asset
def steady() -> pd.DataFrame:
    return pd.DataFrame({"n": [1]})


@dg.asset(deps=[steady])
def broken() -> None:
    raise ConnectionError


def definitions() -> dg.Definitions:
    root = dg.EnvVar("LAKE")  # read by the run: Dagster keeps the definitions of a process
    return dg.Definitions(
        assets=[source, upstream, early, late, appended, steady, broken],
        jobs=[
            dg.define_asset_job("pinned", selection=["upstream", "early", "late"]),
            dg.define_asset_job("append", selection=["appended"]),
            dg.define_asset_job("shaky", selection=["steady", "broken"]),
        ],
        resources={"io_manager": DeltaIOManager(root_uri=root), "deadly": Deadly(root_uri=root)},
    )


def pinned() -> dg.JobDefinition:
    return definitions().resolve_job_def("pinned")


def shaky() -> dg.JobDefinition:
    return definitions().resolve_job_def("shaky")


def append() -> dg.JobDefinition:
    return definitions().resolve_job_def("append")
