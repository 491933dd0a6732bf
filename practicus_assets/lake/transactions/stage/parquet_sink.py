"""Parquet sinks: files below a table's folder that are being written, and no commit names yet."""

from collections.abc import Sequence
from contextlib import suppress

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

from practicus_assets.errors import PracticusAssetsError
from practicus_assets.lake.delta.table_folder import TableFolder

_TRIES = 5_000  # to begin a file in a folder that other writers may remove all the time


class FolderWriter:
    """Begins Parquet files below a table's folder, which is made if need be.

    Args:
        folder: the table's folder.

    Raises:
        DeclarationError: if it is a folder of this machine, and cannot be made.
        StoreFailed: if the disk is full or failing, or the options do not name a store.

    """

    def __init__(self, folder: TableFolder) -> None:
        self._folder = folder
        self._filesystem = folder.filesystem()

    def begin(self, path: str, schema: pa.Schema, repetitive: Sequence[str]) -> "ParquetSink":
        """Begin a file below the table's folder.

        Args:
            path: the file's path below the table's folder.
            schema: the file's columns.
            repetitive: the Parquet paths of the columns whose values are written once, into a dictionary.

        Raises:
            StoreFailed: if it cannot be written.

        """
        return ParquetSink(self._folder, self._filesystem, path, schema, repetitive)


class ParquetSink:
    """One Parquet file that is being written.

    Raises:
        StoreFailed: from each of its methods, if the file cannot be written.

    """

    def __init__(
        self,
        folder: TableFolder,
        filesystem: pyarrow.fs.FileSystem,
        path: str,
        schema: pa.Schema,
        repetitive: Sequence[str],
    ) -> None:
        self._folder = folder
        self._what = f"staged file {path}"
        with folder.reaching(self._what):
            self._stream = _begun(filesystem, path, has_folders=folder.local_path is not None)
            try:
                self._writer = pq.ParquetWriter(
                    self._stream,
                    schema,
                    compression="zstd",
                    compression_level=1,
                    use_dictionary=list(repetitive),
                    store_schema=False,
                )
            except BaseException:  # it writes already, and the disk may be full
                with suppress(Exception):
                    self._stream.close()
                raise

    @property
    def size(self) -> int:
        """How many bytes were written."""
        with self._folder.reaching(self._what):
            return int(self._stream.tell())

    def write(self, rows: pa.Table, row_group_rows: int) -> None:
        """Write rows, as row groups of at most so many rows."""
        with self._folder.reaching(self._what):
            self._writer.write_table(rows, row_group_rows)

    def close(self) -> int:
        """Finish the file, and return its size in bytes."""
        with self._folder.reaching(self._what):
            self._writer.close()
            size = int(self._stream.tell())
            self._stream.close()
        return size

    def abandon(self) -> None:
        """Let go of a file that is going to be deleted; the store need not be there any more."""
        for part in (self._writer, self._stream):
            with suppress(PracticusAssetsError), self._folder.reaching(self._what):
                part.close()


def _begun(filesystem: pyarrow.fs.FileSystem, path: str, *, has_folders: bool) -> pa.NativeFile:
    """Begin a file, and make its folder where there are folders; other writers may remove an empty one."""
    folder = path.rpartition("/")[0] or "."  # the table's own
    for _ in range(_TRIES if has_folders else 0):
        with suppress(FileNotFoundError):
            return filesystem.open_output_stream(path)
        with suppress(FileNotFoundError, FileExistsError):  # what Arrow finds of folders that come and go
            filesystem.create_dir(folder)
    return filesystem.open_output_stream(path)
