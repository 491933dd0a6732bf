"""Damage: what is wrong with the files of a table's log, by their names."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
from deltalake.exceptions import DeltaError

from practicus_assets.errors import StoreFailed

_LOG = "_delta_log"
_ENTRY = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(\.\d{10}\.\d{10})?\.parquet")
_NEWEST = 10  # entries; what a power cut can leave empty is young


def refuse_damaged_log(filesystem: pyarrow.fs.FileSystem, table: str, uri: str) -> None:
    """Look at each file of a log that cannot be opened.

    Raises:
        StoreFailed: for the first file that is damaged or missing; returns if none is.

    """
    try:
        files = filesystem.get_file_info(pyarrow.fs.FileSelector(_LOG))
    except (OSError, DeltaError):
        return  # the store is away, which the caller knows
    names = sorted(Path(file.path).name for file in files)
    for name in names:
        problem = _problem(filesystem, f"{_LOG}/{name}")
        if problem:
            raise _damaged(table, f"{uri}/{_LOG}/{name} is damaged: {problem}.")
    missing = _missing(names)
    if missing:
        raise _damaged(table, f"{uri}/{_LOG}/{missing} is missing.")


def refuse_emptied_log(folder: Path, table: str, version: int) -> None:
    """Raise StoreFailed if one of the newest log entries on a disk is empty, which delta-rs reads over."""
    for number in range(max(0, version - _NEWEST + 1), version + 1):
        path = folder / _LOG / f"{number:020}.json"
        if path.exists() and not path.stat().st_size:
            raise _damaged(table, f"{path} is empty.")


def _damaged(table: str, found: str) -> StoreFailed:
    error = StoreFailed(
        f"the table's log cannot be read: {found}",
        "Restore that file from a copy; nothing can be written before.",
    )
    error.table = table
    return error


def _problem(filesystem: pyarrow.fs.FileSystem, path: str) -> str:
    """Return what is wrong with the content of a file of the log; nothing if it can be read."""
    name = path.rpartition("/")[2]
    try:
        if _CHECKPOINT.fullmatch(name):
            pq.read_schema(path, filesystem=filesystem)
        elif _ENTRY.fullmatch(name) or name == "_last_checkpoint":
            with filesystem.open_input_stream(path) as stream:
                lines = stream.read().splitlines()
            for number, line in enumerate(lines, 1):
                try:
                    json.loads(line or b"{}")
                except ValueError as error:
                    return f"line {number} is no JSON ({error})"
            if not any(lines):
                return "it is empty"
    except (OSError, DeltaError, pa.ArrowException) as error:
        return str(error)
    return ""


def _missing(names: Sequence[str]) -> str:
    """Return the first entry that a log lacks between the newest checkpoint and the newest entry."""
    checkpoints = [int(match[1]) for match in map(_CHECKPOINT.fullmatch, names) if match]
    versions = {int(match[1]) for match in map(_ENTRY.fullmatch, names) if match}
    first = max(checkpoints, default=-1) + 1
    lacking = sorted(set(range(first, max(versions, default=first))) - versions)
    return f"{lacking[0]:020}.json" if lacking else ""
