"""Work whose rows an engine of Spark Connect computes, and during which its step or its server ends."""

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from practicus_assets.engines.spark.run import running
from practicus_assets.engines.spark.spark_connect import SparkConnect
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.engine_files.staged_parquet import StagedParquet
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.transaction import Transaction
from tests.faults.work import Place, Work

MOMENTS = (  # in the order in which a step passes them
    "before its server",
    "with its server",
    "with its input",
    "while its engine writes",
    "when its engine has written",
    "when its rows are staged",
)


@dataclass(frozen=True)
class SparkWork(Work):
    """Work whose rows an engine reads from another table of the lake, and writes.

    Attributes:
        engine: the engine of the first attempt.
        later: the engine of further attempts; None for the same.
        dies: the moment at which the step's process dies; empty for never.
        at: is called at each moment, with the server's processes; only for attempts in this process.

    """

    engine: SparkConnect = field(default_factory=SparkConnect)
    later: SparkConnect | None = None
    dies: str = ""
    at: Callable[[str, list[int]], None] | None = field(default=None, compare=False)

    def again(self) -> "SparkWork":
        """Return the next attempt, in which nothing happens."""
        engine = self.later or self.engine
        return replace(self, attempt=self.attempt + 1, engine=engine, dies="", at=None)

    def give(self, place: Place) -> None:
        """Write what the engine is to read: the work's rows, one file per partition."""
        Transaction(_given(place), options=WriteOptions(partition_by=["p"])).write(self.data())

    def carry_out(self, place: Place) -> int:
        """Make the attempt; return the version that it committed."""
        transaction = self.begin(place)
        if transaction.landed is not None:
            return transaction.landed.version
        others, over = servers_of(os.getpid()), threading.Event()

        def pass_by(moment: str) -> None:
            if moment == self.dies:
                os.kill(os.getpid(), signal.SIGKILL)
            if self.at is not None:
                self.at(moment, [pid for pid in servers_of(os.getpid()) if pid not in others])

        def begun() -> StagedParquet:
            staging = transaction.staging()
            if self.dies == MOMENTS[3] or self.at is not None:
                _once_written(staging, over, lambda: pass_by(MOMENTS[3]))
            return staging

        pass_by(MOMENTS[0])
        given = Snapshot(_given(place).open())
        with running(self.engine, place.table, [given]) as run:
            pass_by(MOMENTS[1])
            rows = run.given(given).repartition(2, "p").select("p", "id", "v")
            pass_by(MOMENTS[2])
            try:
                staged = run.staged(rows, ["p"], {"p": pa.string()}, begun)
            finally:
                over.set()
            pass_by(MOMENTS[4])
            part = transaction.stage(staged)
        pass_by(MOMENTS[5])
        return transaction.commit(part).version


def servers_of(pid: int) -> list[int]:
    """Return the processes of engines' servers that a process started, and the JVMs below them."""
    found = []
    for child in _children_of(pid):
        with suppress(OSError):
            if b"practicus_assets.engines.spark.program" in Path(f"/proc/{child}/cmdline").read_bytes():
                found += [child, *_children_of(child)]
    return found


def is_stopped(pid: int) -> bool:
    """Return whether a process is stopped."""
    return "\nState:\tT" in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")


def _given(place: Place) -> Table:
    return Table.at(place.root_uri, ["given"], place.options)


def _children_of(pid: int) -> list[int]:
    texts = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # a thread that has ended
            texts.append(path.read_text(encoding="ascii"))
    return [int(child) for child in "".join(texts).split()]


def _once_written(staging: StagedParquet, over: threading.Event, then: Callable[[], None]) -> None:
    """Do something, in a thread, once there is something in the folder where an engine writes."""

    def watch() -> None:
        while not over.is_set():
            with suppress(FileNotFoundError):  # Apache Spark makes the folder anew
                if any(Path(staging.uri).iterdir()):
                    then()
                    return
            time.sleep(0.0005)

    threading.Thread(target=watch, daemon=True).start()
