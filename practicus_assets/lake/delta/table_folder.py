"""Folders of tables: the files in one, with every error of the store in our words."""

import errno
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow.fs
import pyarrow.parquet as pq
from deltalake.fs import DeltaStorageHandler

from practicus_assets.errors import DeclarationError, PracticusAssetsError, ReadOnlyLake
from practicus_assets.lake.delta.failures import Failures
from practicus_assets.wording import names_of

_SLICE = 2**20  # bytes
_LOOKS = 16  # files that a thread looks for at a time
_MOST_THREADS = 16
_DISK_FAILED = {errno.ENOSPC, errno.EDQUOT, errno.EIO}


def options_of(storage_options: Any) -> dict[str, str]:
    """Return storage options as delta-rs takes them; None is none.

    Raises:
        DeclarationError: if they are no mapping from names to texts.

    """
    if not isinstance(storage_options, Mapping | None):
        raise DeclarationError(
            f"storage_options is a {type(storage_options).__name__}.",
            'Write a mapping from names to texts, e.g. {"AWS_REGION": "eu-west-1"}.',
        )
    odd = [name for name, value in (storage_options or {}).items() if not isinstance(value, str)]
    if odd:
        raise DeclarationError(
            f"the storage {names_of('option', odd)} {'is' if len(odd) == 1 else 'are'} no text.",
            "Write their values as text.",
        )
    return dict(storage_options or {})


@dataclass(frozen=True)
class TableFolder:
    """The folder of a table, on this machine or in an object store; it need not exist.

    Attributes:
        name: the table's name, e.g. `sales/orders`.
        uri: an absolute folder, or an object store prefix.
        storage_options: delta-rs's own, e.g. `AWS_REGION`; never shown.
        read_only: whether it belongs to a base, so that nothing here may write to it.

    """

    name: str
    uri: str
    storage_options: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False, hash=False)
    read_only: bool = field(default=False, kw_only=True, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        """Refuse options that are no texts, of which delta-rs would not name the one at fault."""
        options_of(self.storage_options)

    @property
    def local_path(self) -> Path | None:
        """The table's folder, where it is one on this machine."""
        return Path(self.uri) if "://" not in self.uri else None

    def refuse_read_only(self) -> None:
        """Raise ReadOnlyLake for a folder of a base; whatever writes calls this first."""
        if self.read_only:
            raise ReadOnlyLake(
                f"{self.uri} belongs to the base, which a lake of one's own only reads.",
                "Write to the own root, and bring what is right to the base by `practicus-assets promote`.",
            )

    def filesystem(self) -> pyarrow.fs.FileSystem:
        """Return the table's folder as a pyarrow file system to write to; a folder is made if need be.

        Raises:
            ReadOnlyLake: if it belongs to a base.
            DeclarationError: if it is a folder of this machine, and cannot be made.
            StoreFailed: if the disk is full or failing, or the options do not name a store.

        """
        self.refuse_read_only()
        if self.local_path is not None:
            try:
                self.local_path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                if error.errno in _DISK_FAILED:
                    with self.reaching("the folder"):
                        raise
                raise DeclarationError(
                    f"the folder {self.uri} cannot be made: {error.strerror}.",
                    "Set root_uri to a folder that this process may write to.",
                ) from error
        return self.reader()

    def _store(self) -> pyarrow.fs.FileSystem:
        with self.reaching("the store"):
            return pyarrow.fs.PyFileSystem(DeltaStorageHandler(self.uri, dict(self.storage_options)))

    def reader(self) -> pyarrow.fs.FileSystem:
        """Return the table's folder as a pyarrow file system to read from; nothing is made by looking.

        Raises:
            StoreFailed: if the options do not name a store.

        """
        if self.local_path is not None:
            return pyarrow.fs.SubTreeFileSystem(str(self.local_path), pyarrow.fs.LocalFileSystem())
        return self._store()

    def modified_ns(self, path: str) -> int | None:
        """Return when a file was last modified, in nanoseconds since 1970; None where the store does not say.

        Raises:
            StoreFailed: if the store does not answer.

        """
        filesystem = self.reader()
        with self.reaching(path):
            modified: int | None = filesystem.get_file_info(path).mtime_ns
        return modified

    def files_in(self, folder: str = "", *, recursive: bool = False) -> list[pyarrow.fs.FileInfo]:
        """Return the files in a folder below the table's; none if there is no such folder.

        Raises:
            StoreFailed: if they cannot be listed.

        """
        infos = self._infos(folder, recursive=recursive)
        return [info for info in infos if info.type != pyarrow.fs.FileType.Directory]

    def folders_in(self, folder: str = "") -> list[str]:
        """Return the names of the folders in one below the table's; none if there is no such folder.

        Raises:
            StoreFailed: if they cannot be listed.

        """
        infos = self._infos(folder, recursive=False)
        return sorted(info.base_name for info in infos if info.type == pyarrow.fs.FileType.Directory)

    def _infos(self, folder: str, *, recursive: bool) -> list[pyarrow.fs.FileInfo]:
        selector = pyarrow.fs.FileSelector(folder, recursive=recursive, allow_not_found=True)
        filesystem = self.reader()
        with self.reaching(f"the list of files{' in ' * bool(folder)}{folder}"):
            return list(filesystem.get_file_info(selector))

    def missing(self, paths: Iterable[str]) -> list[str]:
        """Return which of these files below the table's folder are not there.

        Raises:
            StoreFailed: if the store does not answer.

        """
        filesystem, wanted = self.reader(), list(paths)
        slices = [wanted[i : i + _LOOKS] for i in range(0, len(wanted), _LOOKS)]
        with self.reaching("a look at files"), ThreadPoolExecutor(_MOST_THREADS) as threads:
            looks = threads.map(filesystem.get_file_info, slices)  # each file is a request, or two
            infos = [info for infos in looks for info in infos]
        gone = pyarrow.fs.FileType.NotFound
        return [path for path, info in zip(wanted, infos, strict=True) if info.type == gone]

    def read(self, path: str) -> bytes | None:
        """Return the content of a file below the table's folder; None if it is not there.

        Raises:
            StoreFailed: if it cannot be read.

        """
        filesystem = self.reader()
        with self.reaching(path):
            try:
                with filesystem.open_input_stream(path) as stream:
                    return bytes(stream.read())
            except FileNotFoundError:
                return None

    def write(self, path: str, content: bytes) -> None:
        """Write a file below the table's folder as a whole, or not at all; one that is there is replaced.

        Raises:
            ReadOnlyLake: if it belongs to a base.
            StoreFailed: if it cannot be written.

        """
        self._write(path, (content[i : i + _SLICE] for i in range(0, len(content), _SLICE)))

    def copy(self, source: Path, path: str) -> None:
        """Write a file of this machine, a piece at a time, to where there is none; raises as `write`."""
        self.refuse_read_only()
        with self.reaching(path), source.open("rb") as file:
            try:
                self._write(path, iter(lambda: file.read(_SLICE), b""))
            except BaseException:  # a store may have put what there was of it in place
                self.discard([path])
                raise

    def _write(self, path: str, pieces: Iterable[bytes]) -> None:
        self.refuse_read_only()
        with self.reaching(path):
            if self.local_path is not None:
                _write_at_once(self.local_path / path, pieces)
                return
            filesystem = self.filesystem()
            with filesystem.open_output_stream(path, buffer_size=4 * _SLICE) as stream:
                for piece in pieces:  # delta-rs takes no more at once than fits the buffer
                    stream.write(piece)

    def delete(self, path: str) -> bool:
        """Delete a file below the table's folder, and return whether it was there.

        Raises:
            StoreFailed: if it cannot be deleted.

        """
        self.refuse_read_only()
        filesystem = self.reader()
        with self.reaching(f"deleting {path}"):
            try:
                filesystem.delete_file(path)
            except FileNotFoundError:
                return False
        return True

    def discard(self, paths: Iterable[str]) -> None:
        """Delete files that no commit names, as far as the store lets it; vacuum removes the others."""
        self.refuse_read_only()
        with suppress(PracticusAssetsError):
            filesystem = self.reader()
            for path in paths:
                with suppress(PracticusAssetsError), self.reaching(f"deleting {path}"):
                    filesystem.delete_file(path)

    @contextmanager
    def parquet(self, path: str, *, staged: bool = False) -> Iterator[pq.ParquetFile]:
        """Open a Parquet file below the table's folder.

        Args:
            path: the file's path below the table's folder.
            staged: whether it waits for its commit, so that no version of the table needs it.

        Raises:
            VersionGone: if it is not there, and is not a staged file.
            StoreFailed: if it is damaged, or cannot be read.

        """
        filesystem = self.reader()
        failures = self.reaching(f"staged file {path}") if staged else self.reading(path)
        with failures, pq.ParquetFile(path, filesystem=filesystem) as parquet:
            yield parquet

    def reaching(self, what: str) -> AbstractContextManager[None]:
        """Raise our errors for those of delta-rs, pyarrow and the operating system, without secrets.

        Args:
            what: what is being read or written, for the error's text.

        Raises:
            UnsupportedTable: if delta-rs does not know a feature of the table.
            StoreFailed: in all other cases.

        """
        return self.failures.reaching(what)

    def reading(self, path: str = "", version: int | None = None) -> AbstractContextManager[None]:
        """Raise our errors for those of delta-rs, pyarrow and the operating system that a data file causes.

        Args:
            path: the file's path below the table's folder, where it is known.
            version: the version that names the file, where it is known.

        Raises:
            VersionGone: if the file is not there.
            UnsupportedTable: if delta-rs does not know a feature of the table.
            StoreFailed: if the file is damaged, or cannot be read.

        """
        return self.failures.reading(path, version)

    @cached_property
    def failures(self) -> Failures:
        """The translation of errors that are met on the way to the table."""
        return Failures(self.name, self.uri, self.storage_options, of_base=self.read_only)


def _write_at_once(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file beside its place, and then put it there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{uuid.uuid4()}.partial")
    try:
        with partial.open("wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
