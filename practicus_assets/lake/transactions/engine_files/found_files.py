"""Found files: what lies where an engine wrote, which of it is data, and whether it is still the same."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pyarrow.fs

from practicus_assets.errors import DataRefused, OutOfScope, SchemaMismatch, did_you_mean
from practicus_assets.lake.delta.files import is_hidden, without_markers
from practicus_assets.lake.delta.root import LOG
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.values import is_null
from practicus_assets.lake.transactions.stage.staged import Staged, delete_files
from practicus_assets.wording import number_of, readable

_ENDINGS = (".parquet", ".parq")
_UNENDED = "Let the engine end, and nothing else write there, before the function returns."
_SUCCESS = "_SUCCESS"  # what Hadoop's committers leave once all files are there
_TEMPORARY = "_temporary"  # where they keep them until then


@dataclass(frozen=True)
class FoundFile:
    """A Parquet file that an engine wrote.

    Attributes:
        path: its path below the table's folder.
        name: its path below the place where the engine wrote, for people.
        size: its bytes.
        state: what the store said of it when it was listed.
        texts: the partition values of its folders, by column.

    """

    path: str
    name: str
    size: int
    state: str
    texts: dict[str, str]


@dataclass(frozen=True)
class FoundFiles:
    """What an engine left below a place.

    Attributes:
        files: the Parquet files, in the order of their paths.
        others: the paths of what is no data: markers, checksums, and what is hidden.
        is_complete: whether the engine said that it wrote all, so that no file means no row.

    """

    files: tuple[FoundFile, ...]
    others: tuple[str, ...]
    is_complete: bool


def found(table: Table, path: str, partition_by: Sequence[str]) -> FoundFiles:
    """Return what an engine left.

    Args:
        table: the table.
        path: the place, below the table's folder.
        partition_by: the table's partition columns.

    Raises:
        DataRefused: if it wrote a table of its own, or files that are no Parquet, or its job has not ended.
        SchemaMismatch: for a folder of a column by which the table is not partitioned.
        OutOfScope: for a folder of rows whose partition column is null.
        StoreFailed: if the files cannot be listed.

    """
    files, others = [], []
    for own, info in sorted(without_markers(table.files_in(path, recursive=True)).items()):
        name = own.removeprefix(f"{path}/")
        if LOG in name.split("/"):
            raise DataRefused(
                f"the engine wrote a Delta table of its own, {own.partition(f'/{LOG}')[0]}.",
                "Write plain Parquet: the transaction makes the commit.",
            )
        if is_hidden(name) or name.endswith(".crc"):
            others.append(own)
        elif not info.size and "." not in name.rpartition("/")[2].partition("=")[0]:
            continue  # a folder in which there is nothing, as some programs mark it in a store
        elif name.endswith(_ENDINGS):
            files.append(FoundFile(own, name, info.size, _state(info), _folders(name, partition_by)))
        else:
            raise DataRefused(
                f"the engine left {name}, which is no Parquet file by its name.",
                'Write Parquet alone, into files that end with ".parquet".',
            )
    is_complete = any(own.endswith(f"/{_SUCCESS}") for own in others)
    unended = [own for own in others if _TEMPORARY in own.split("/") and own.endswith(_ENDINGS)]
    if unended and not is_complete:
        name = unended[0].removeprefix(f"{path}/")
        raise DataRefused(f"the engine left {name} and no {_SUCCESS}: its job has not ended.", _UNENDED)
    return FoundFiles(tuple(files), tuple(others), is_complete)


def delete_found(table: Table, path: str) -> None:
    """Delete all that lies below a place, as far as the store lets it; maintenance deletes the rest."""
    with suppress(Exception):
        delete_files(table, without_markers(table.files_in(path, recursive=True)))
    if table.local_path is not None:
        remove_empty_folders(table, path)


def remove_empty_folders(table: Table, path: str) -> None:
    """Remove the folders below a place, on this machine, in which there is nothing."""
    assert table.local_path is not None, "a store has no folders"
    place = table.local_path / path
    below = [Path(folder) for folder, *_ in os.walk(place, topdown=False)]
    for folder in [*below, place.parent, table.local_path]:
        with suppress(OSError):
            folder.rmdir()


def refuse_changed(table: Table, staged: Staged) -> None:
    """Raise DataRefused if a file of an engine is no more what it was when it was listed, or others came.

    What is compared is its size and the time at which it was modified, as the store says them. Files without
    rows are deleted once they were read, as far as the store lets it.

    Args:
        table: the table.
        staged: the staged rows; only the places where an engine wrote are looked at.

    Raises:
        DataRefused: naming the file.
        StoreFailed: if the files cannot be listed.

    """
    named = {file.path for file in staged.files}
    for place, listed in sorted(staged.listed.items()):
        infos = without_markers(table.files_in(place, recursive=True))
        now = {path: _state(info) for path, info in infos.items()}
        for path, state in listed.items():
            if now.get(path, state) != state or (path in named and path not in now):
                raise DataRefused(
                    f"the staged file {path} had {state} when it was read, and "
                    + (f"has {now[path]} now." if path in now else "is not there any more."),
                    _UNENDED,
                )
        for path in sorted(now.keys() - listed.keys()):
            if path.endswith(_ENDINGS) and not is_hidden(path.removeprefix(f"{place}/")):
                raise DataRefused(f"the file {path} came after the others were read.", _UNENDED)


def _state(info: pyarrow.fs.FileInfo) -> str:
    return f"{number_of(info.size, 'byte')}, modified at {info.mtime_ns} ns"


def _folders(name: str, partition_by: Sequence[str]) -> dict[str, str]:
    """Return the partition values of a file's folders, as texts."""
    texts: dict[str, str] = {}
    for part in name.split("/")[:-1]:
        spelled, equals, value = part.partition("=")
        if not equals:
            continue
        try:
            column, text = unquote(spelled, errors="strict"), unquote(value, errors="strict")
        except UnicodeDecodeError as error:
            raise SchemaMismatch(
                f"the folder {part!r} of {name} is not escaped as UTF-8.", "Write partitions as Hive does."
            ) from error
        if column not in partition_by:
            raise SchemaMismatch(
                f"the file {name} lies in a folder of the column {column!r}, and the table is partitioned by "
                f"{list(partition_by)}.",
                did_you_mean(column, partition_by, "Let the engine partition by the table's columns alone."),
            )
        if column in texts:
            raise SchemaMismatch(
                f"the file {name} lies in two folders of the column {column!r}.", "Write below one of them."
            )
        if is_null(text):
            raise OutOfScope(
                f"the partition column {column!r} has the value {readable(text)} in the file {name}, where "
                "it would be read as null.",
                "Fill or drop these rows before the engine writes.",
            )
        texts[column] = text
    return texts
