"""For scripts that a task asset runs: rows for its table.

    from practicus_assets import task

    task.table("orders").replace(frame)

When the script has ended well, the step that runs it audits the table and commits it in one transaction; of
several tables, all are audited before the first is committed. A script that fails, or is killed, leaves its
tables as they are.
"""

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from practicus_assets.errors import DataRefused, DeclarationError, did_you_mean, naming
from practicus_assets.lake.rows.frames import record_batches
from practicus_assets.tasks.tables.files import CHUNKS, FINISHED, ORDER, UNFINISHED
from practicus_assets.tasks.variables import TABLES

_NO_COLUMNS = pa.schema([])


def table(name: str) -> "TaskTable":
    """Return a table of the task that this script runs for.

    Args:
        name: the table's asset key, its parts joined by "/".

    Raises:
        DeclarationError: if no task runs this script, or the task has no such table.

    """
    by_name = _orders(f"there is no table {name!r} to write to")
    if name not in by_name:
        raise DeclarationError(
            f"the task has no table {name!r}.",
            did_you_mean(name, by_name, f"It has {', '.join(by_name) or 'none: declare it in task_asset'}."),
        )
    return TaskTable(name, **by_name[name])


def wanted_tables() -> list[str]:
    """Return the names of the tables that this attempt is to write, in alphabetical order.

    Those are the tables that the run selects, but for those that an earlier attempt committed. Rows of others
    may be given: they are left out.

    Raises:
        DeclarationError: if no task runs this script.

    """
    orders = _orders("nobody wants tables")
    return sorted(name for name, order in orders.items() if order["is_wanted"])


def _orders(problem: str) -> dict[str, dict[str, Any]]:
    """Return how the rows of each table are to be given, by its name."""
    place = os.environ.get(TABLES)
    if place is None:
        raise DeclarationError(
            f"{problem}: no task runs this script.",
            "Materialize the task's asset, e.g. by dagster asset materialize.",
        )
    orders = {}
    for path in Path(place).glob(f"*/{ORDER}"):
        order = json.loads(path.read_text(encoding="utf-8"))
        name = order.pop("table")
        orders[name] = {**order, "folder": path.parent}
    return orders


@dataclass(frozen=True)
class TaskTable:
    """A table of a task.

    Attributes:
        name: the table's name.
        mode: how the task's asset stores it: "replace", "append", "merge" or "history".
        columns: those that its contract declares, as Arrow serializes a schema, in hexadecimal digits.
        is_wanted: whether this attempt is to write it; if not, rows of it are left out.
        folder: the folder that takes the rows.

    """

    name: str
    mode: str
    columns: str | None
    is_wanted: bool
    folder: Path

    def replace(self, rows: Any) -> None:
        """Give the rows that replace the run's partitions, or the whole table.

        Args:
            rows: what a table asset returns: a DataFrame of pandas or polars, an Arrow table or stream, a
                list of dicts, or an iterable of chunks of these.

        Raises:
            DataRefused: if rows were given already, or are no table.
            DeclarationError: if the asset stores its rows in another way.

        """
        self._refuse_mode("replace")
        if any(self.folder.glob(CHUNKS)):
            with naming(self.name, nothing_written=True):
                raise DataRefused(
                    "the script replaces the table twice.", "Give all rows at once, or as a list of chunks."
                )
        self._write(rows)

    def append(self, rows: Any) -> None:
        """Give rows to append; further calls give further ones. Raises as `replace` does."""
        self._refuse_mode("append")
        self._write(rows)

    def merge(self, rows: Any) -> None:
        """Give rows to merge by the asset's keys; further calls give more. Raises as `replace` does."""
        self._refuse_mode("merge")
        self._write(rows)

    def history(self, rows: Any) -> None:
        """Give rows to a history; further calls give further ones. Raises as `replace` does."""
        self._refuse_mode("history")
        self._write(rows)

    def _refuse_mode(self, mode: str) -> None:
        if mode != self.mode:
            raise DeclarationError(
                f'{self.name} is stored by mode="{self.mode}", and the script calls {mode}.',
                f'Call {self.mode}, or declare mode="{mode}".',
            )

    def _write(self, rows: Any) -> None:
        if not self.is_wanted:
            return
        declared = _NO_COLUMNS
        if self.columns is not None:
            declared = pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(self.columns)))
        with naming(self.name, nothing_written=True):
            reader = record_batches(rows, declared)
            unfinished = self._begun()
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            try:
                with (
                    pa.OSFile(str(unfinished), "wb") as file,
                    pa.ipc.new_stream(file, reader.schema, options=options) as stream,
                ):
                    for batch in reader:
                        stream.write_batch(batch)
            except BaseException:
                unfinished.unlink()  # the script hears of it, and may go on
                raise
            unfinished.rename(unfinished.with_suffix(FINISHED))

    def _begun(self) -> Path:
        """Return a new file, which no other thread or process of the task writes."""
        number = sum(1 for path in self.folder.iterdir() if path.name != ORDER)
        while True:
            unfinished = self.folder / f"{number}{UNFINISHED}"
            with contextlib.suppress(FileExistsError):
                unfinished.touch(exist_ok=False)
                if not unfinished.with_suffix(FINISHED).exists():
                    return unfinished
                unfinished.unlink()
            number += 1
