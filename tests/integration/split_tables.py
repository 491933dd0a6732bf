"""Tables whose splits are processes, and which die, for `test_split_processes`."""

import os
import signal
import threading
import time
from pathlib import Path

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from practicus_assets import Contract, DeltaIOManager, RowRule, Split, Splits, table_asset

LAKE = os.environ["LAKE"]
MARK = Path(os.environ.get("MARK", "/nowhere"))  # a file by which a process knows that another died before


class Rate(dg.Config):
    rate: int = 2


class Held(dg.ConfigurableResource):  # type: ignore[type-arg] # as authors write it
    name: str
    _pid: int = 0

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        self._pid = os.getpid()

    @property
    def pid(self) -> int:
        return self._pid


@table_asset
def orders() -> pa.Table:
    return pa.table({"id": pa.array(range(1000)), "amount": [i / 8 for i in range(1000)]})


CONTRACT = Contract(
    unique=[["id"]], rules=[RowRule("positive", lambda rows: pc.greater_equal(rows["id"], 0))]
)


@table_asset(splits=Splits(3, at_once=2), contract=CONTRACT)
def told(orders: pd.DataFrame, split: Split, config: Rate, held: Held) -> pd.DataFrame:
    print(f"this is {split}", flush=True)
    own = {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "made": held.pid,
        "shop": held.name,
        "rate": config.rate,
    }
    return orders.assign(part=split.index, **own)


@table_asset(splits=2)
def held(orders: pd.DataFrame, lock: dg.ResourceParam[object]) -> pd.DataFrame:
    return orders


@table_asset(splits=3)
def dies_once(orders: pd.DataFrame, split: Split) -> pd.DataFrame:
    if split.index == 1 and not MARK.exists():
        MARK.write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    return orders


@table_asset(splits=1)
def dies(orders: pd.DataFrame) -> pd.DataFrame:
    os._exit(3)
    return orders


class SilentError(Exception):
    def __str__(self) -> str:
        raise KeyError("missing")


@table_asset(splits=2)
def silent(orders: pd.DataFrame) -> pd.DataFrame:
    raise SilentError


class OwnError(Exception):
    def __init__(self, first: str, second: str) -> None:  # which pickle cannot make again
        super().__init__(f"{first} and {second}")


@table_asset(splits=2)
def raises(orders: pd.DataFrame, split: Split) -> pd.DataFrame:
    if split.index == 1:
        raise OwnError("one", "two")
    time.sleep(3600)  # until it is ended
    return orders


defs = dg.Definitions(
    assets=[orders, told, held, dies_once, dies, raises, silent],
    resources={
        "io_manager": DeltaIOManager(root_uri=LAKE),
        "held": Held(name=dg.EnvVar("SHOP")),
        "lock": threading.Lock(),
    },
    jobs=[
        dg.define_asset_job(f"job_{name}", name, executor_def=dg.in_process_executor)
        for name in ("orders", "told", "held", "dies_once", "dies", "raises", "silent")
    ],
)
