"""Objects: files that appear as a whole or not at all, in a folder or an object store."""

import io
import os
import uuid
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.fs
from deltalake.fs import DeltaStorageHandler

from practicus_assets.errors import ExportFailed, PracticusAssetsError
from practicus_assets.lake.delta.failures import in_one_line, is_foreign
from practicus_assets.redaction import redacted

_PIECE = 4 << 20  # bytes that are sent at once


class Upload(io.RawIOBase):
    """An object that is being written; nobody sees it before `finish`, and never without.

    Attributes:
        size: how many bytes were written.

    """

    size = 0

    def writable(self) -> bool:
        """Return that it takes bytes."""
        return True

    @abstractmethod
    def finish(self) -> None:
        """Put the object in its place, instead of the one that is there."""

    @abstractmethod
    def abandon(self) -> None:
        """Forget what was written; after `finish`, nothing is left to forget."""


class Objects:
    """The files of a folder, or the objects below a prefix.

    Args:
        root: the folder's absolute path, or the prefix.
        options: how to reach it, as delta-rs takes it.

    """

    def __init__(self, root: str, options: Mapping[str, str]) -> None:
        self._root = root
        self._options = options

    @property
    def filesystem(self) -> pyarrow.fs.FileSystem:
        """The files as pyarrow reads them."""
        if "://" not in self._root:
            return pyarrow.fs.SubTreeFileSystem(self._root, pyarrow.fs.LocalFileSystem())
        return pyarrow.fs.PyFileSystem(self._handler())

    @contextmanager
    def reaching(self, what: str) -> Iterator[None]:
        """Raise ExportFailed for what the store or the disk refuses in a block, without secrets."""
        try:
            yield
        except PracticusAssetsError:
            raise
        except BaseException as error:
            if not is_foreign(error) and not isinstance(error, OSError | pa.ArrowException):
                raise
            text = redacted(in_one_line(error), self._options)
            raise ExportFailed(
                f"{self.name_of(what)}: {text}.",
                "Check the store or the disk, its credentials and the network, and run again.",
            ) from None

    @contextmanager
    def upload(self, path: str) -> Iterator[Upload]:
        """Begin an object, which is forgotten unless the block finishes it."""
        upload = self._upload(path)
        try:
            yield upload
        finally:
            upload.abandon()

    def _upload(self, path: str) -> Upload:
        if "://" not in self._root:
            return _LocalFile(Path(self._root, path))
        # pyarrow's stream would complete the object when it is forgotten; delta-rs's own does not
        return _StoreObject(self._handler()._handler.open_output_stream(path, None))  # noqa: SLF001

    def read(self, path: str) -> bytes | None:
        """Return an object's content; None if it is not there."""
        with self.reaching(path):
            try:
                with self.filesystem.open_input_stream(path) as stream:
                    return bytes(stream.read())
            except FileNotFoundError:
                return None

    def size(self, path: str) -> int | None:
        """Return how many bytes an object has; None if it is not there."""
        with self.reaching(path):
            info = self.filesystem.get_file_info(path)
        return info.size if info.type == pyarrow.fs.FileType.File else None

    def name_of(self, path: str) -> str:
        """Return a path with the root, as errors name it."""
        return f"{self._root.rstrip('/')}/{path}"

    def _handler(self) -> Any:
        return DeltaStorageHandler(self._root, dict(self._options))


class _LocalFile(Upload):
    def __init__(self, path: Path) -> None:
        super().__init__()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        self._file: IO[bytes] | None = self._temporary.open("xb")

    def write(self, data: Any) -> int:
        """Write bytes."""
        assert self._file is not None
        written = self._file.write(data)
        self.size += written
        return written

    def finish(self) -> None:
        """Replace the file."""
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        self._temporary.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def abandon(self) -> None:
        """Delete what was written."""
        if self._file is not None:
            self._file.close()
            self._file = None
            with suppress(OSError):
                self._temporary.unlink()


class _StoreObject(Upload):
    def __init__(self, stream: Any) -> None:
        super().__init__()
        self._stream = stream

    def write(self, data: Any) -> int:
        """Send bytes."""
        view = memoryview(data).cast("B")
        for start in range(0, len(view), _PIECE):
            self._stream.write(bytes(view[start : start + _PIECE]))
        self.size += len(view)
        return len(view)

    def finish(self) -> None:
        """Complete the object."""
        stream, self._stream = self._stream, None
        stream.close()

    def abandon(self) -> None:
        """Drop the stream, which completes nothing."""
        self._stream = None
