"""Rows that a task gave for a table: Arrow files in a folder, written by `practicus_assets.task`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from practicus_assets.assets.writes.terms import TableTerms
from practicus_assets.errors import DataRefused, naming
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.tasks.execution import Report
from practicus_assets.tasks.tables.files import CHUNKS, ORDER, UNFINISHED


class TaskRows:
    """The rows that one attempt at a task gives for a table.

    Args:
        folder: an empty folder of the attempt, for all tables.
        table: the table's name.
        mode: how the table is stored.
        contract: what it promises; None for nothing.
        is_wanted: whether the attempt is to write the table; if not, its rows are left out.

    """

    def __init__(
        self, folder: Path, table: str, mode: str, contract: Contract | None, *, is_wanted: bool = True
    ) -> None:
        self._table = table
        self._folder = folder / table.replace("/", "%2F")
        self._folder.mkdir()
        schema = contract.schema if contract is not None else None
        order = {"table": table, "mode": mode, "columns": None, "is_wanted": is_wanted}
        if schema is not None:
            order["columns"] = schema.serialize().to_pybytes().hex()
        (self._folder / ORDER).write_text(json.dumps(order), encoding="utf-8")

    @classmethod
    def of(cls, folder: Path, key: dg.AssetKey, terms: TableTerms, *, is_wanted: bool = True) -> "TaskRows":
        """Return the rows of an asset's table, given an empty folder for all tables."""
        mode = terms.settings.options.mode
        return cls(folder, key.to_user_string(), mode, terms.contract, is_wanted=is_wanted)

    def reported(self, report: Report, key: dg.AssetKey, *, required: bool) -> Iterator[Any]:
        """Yield the rows of a task that has ended well, as a table asset's function does.

        Args:
            report: what the task left.
            key: the asset's key.
            required: whether the task must give rows; not if its exit code says that it skips.

        Raises:
            DataRefused: if there are none, or not all of them.

        """
        if report.succeeded:
            self.refuse_unfinished()
        metadata = report.metadata(key)
        if not report.succeeded or not (required or self.given()):
            yield dg.MaterializeResult(value=None, metadata=metadata)
            return
        self.refuse_none()
        yield from self.batches()
        yield dg.MaterializeResult(metadata=metadata, data_version=report.data_version(key))

    def given(self) -> bool:
        """Return whether the task gave rows, or said that there are none."""
        return any(self._folder.glob(CHUNKS))

    def refuse_unfinished(self) -> None:
        """Raise DataRefused if a process of the task was still giving rows, or died while it did."""
        if any(self._folder.glob(f"*{UNFINISHED}")):
            with naming(self._table, nothing_written=True):
                raise DataRefused(
                    "the task ended well while a process of it had not finished giving rows: it was killed, "
                    "or is still running.",
                    "Wait for each process that the script starts, and fail when one does.",
                )

    def refuse_none(self) -> None:
        """Raise DataRefused if the task gave no rows."""
        if not self.given():
            with naming(self._table, nothing_written=True):
                raise DataRefused(
                    "the task ended without rows for the table.",
                    f'Write from practicus_assets import task; task.table("{self._table}").replace(rows). '
                    "Where there may be nothing new, declare output_required=False.",
                )

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Stream the rows, in the order in which the task gave them."""
        for path in sorted(self._folder.glob(CHUNKS), key=lambda path: int(path.stem)):
            with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as stream:
                empty = True
                for batch in stream:
                    empty = False
                    yield batch
                if empty:
                    yield pa.RecordBatch.from_pylist([], stream.schema)
