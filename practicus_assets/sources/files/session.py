"""Sessions with a store of files, in which each listing is made once."""

import hashlib
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from types import TracebackType
from typing import ClassVar, Self, TypeVar, cast

import pyarrow as pa
import pyarrow.fs
from deltalake.fs import DeltaStorageHandler

from practicus_assets.errors import DeclarationError, PracticusAssetsError
from practicus_assets.lake.delta.root import refuse_unusable_endpoint
from practicus_assets.lake.delta.table import Table
from practicus_assets.sources.credentials import Credential
from practicus_assets.sources.files.ahead import AT_ONCE, Content, ahead
from practicus_assets.sources.files.failures import reaching
from practicus_assets.sources.files.formats.compression import Compression
from practicus_assets.sources.files.formats.open_file import OpenFile
from practicus_assets.sources.files.listing import Listing, SourceFile, records_of, state_of
from practicus_assets.sources.files.pattern import Pattern
from practicus_assets.sources.files.storage_options import revealed_options
from practicus_assets.sources.system import Session

Answer = TypeVar("Answer")

_UNTOLD_S = 2.0  # a store tells when an object was written to the second; clocks may differ by one
_UNTOLD_LOCAL_S = 0.02  # disks go by the ticks of the kernel


class FilesSession(Session):
    """A view of a store in which each listing is made once.

    Args:
        root: the folder's absolute path, or the prefix in an object store.
        options: how to reach it, as delta-rs takes it; with secrets that are still to be read.
        state: which files another session of the run has listed.

    Attributes:
        state: which files it has listed; grows with each listing.

    """

    parallel: ClassVar[bool] = True

    def __init__(self, root: str, options: Mapping[str, Credential], state: str | None = None) -> None:
        self._root = root
        self._credentials = options
        self.state = state
        self._records = records_of(state)
        self._listings: dict[str, Listing] = {}
        self._remembered: dict[Hashable, object] = {}

    def __enter__(self) -> Self:
        """Read the credentials; a store is first reached by a listing."""
        _ = self._filesystem
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Forget the connection."""
        self.__dict__.pop("_filesystem", None)

    @cached_property
    def _options(self) -> Mapping[str, str]:
        options = revealed_options(self._credentials, self._root)
        refuse_unusable_endpoint(self._root, options)
        return options

    @cached_property
    def _filesystem(self) -> pyarrow.fs.FileSystem:
        root = self._root
        if not self._is_remote:
            return pyarrow.fs.SubTreeFileSystem(root, pyarrow.fs.LocalFileSystem())
        sizes = {file.path: file.size for listing in self._listings.values() for file in listing.files}
        with reaching(root, self._options):  # a known size spares the request that asks for it
            return pyarrow.fs.PyFileSystem(DeltaStorageHandler(root, dict(self._options), sizes))

    @property
    def _is_remote(self) -> bool:
        return "://" in self._root

    def listing(self, pattern: Pattern, folders: Mapping[str, bool]) -> Listing:
        """Return the files that match a pattern, in the order of their paths; the same ones each time.

        Args:
            pattern: which files.
            folders: the folders to look into, and whether to look below them, too.

        Raises:
            SourceFailed: if they cannot be listed.
            SourceChanged: if another session of the run has listed them, and some are no longer as they were.

        """
        key = hashlib.sha256(repr((pattern.text, sorted(folders.items()))).encode()).hexdigest()[:16]
        if key not in self._listings:
            listing = self._listed(pattern, folders)
            if key in self._records:
                listing = listing.as_recorded(self._records[key], self.name_of(pattern.text))
            self._listings[key] = listing
            self.__dict__.pop("_filesystem", None)
            self.record(key, listing.recorded)
        return self._listings[key]

    def _listed(self, pattern: Pattern, folders: Mapping[str, bool]) -> Listing:
        """List files; once more if one is so young that it could be written again and bear the same time."""
        untold_s = _UNTOLD_S if self._is_remote else _UNTOLD_LOCAL_S
        listing = self._listed_now(pattern, folders)
        age_s = time.time() - listing.newest_ns / 1e9
        if age_s >= untold_s:
            return listing
        time.sleep(min(untold_s - age_s, untold_s))
        return self._listed_now(pattern, folders)

    def _listed_now(self, pattern: Pattern, folders: Mapping[str, bool]) -> Listing:
        files = []
        for folder, below in folders.items():
            selector = pyarrow.fs.FileSelector(folder, recursive=below, allow_not_found=True)
            with reaching(f"the list of files in {self.name_of(folder)}", self._options):
                infos = self._filesystem.get_file_info(selector)
            for info in infos:
                path = info.path.strip("/")
                if info.type == pyarrow.fs.FileType.File and pattern.match(path) is not None:
                    files.append(SourceFile(path, info.size or 0, info.mtime_ns or 0))
        return Listing.of(files)

    def record_of(self, key: str) -> list[int | str] | None:
        """Return what this session, or one before it, has recorded of something; None for nothing."""
        return self._records.get(key)

    def record(self, key: str, record: list[int | str]) -> None:
        """Let this session, and others of its run, see the same state of something."""
        self._records[key] = record
        self.state = state_of(self._records)

    def table(self, path: str) -> Table:
        """Return the Delta table in a folder below the root."""
        return Table.from_uri(self.name_of(path.strip("/")), self._options)

    def remembered(self, relation: Hashable, found: Callable[[], Answer]) -> Answer:
        """Return what is found out about a relation once a session."""
        if relation not in self._remembered:
            self._remembered[relation] = found()
        return cast("Answer", self._remembered[relation])

    def each(
        self, files: Sequence[SourceFile], ask: Callable[["FilesSession", SourceFile], Answer]
    ) -> list[Answer]:
        """Ask something of each file, several at once, and return the answers in the files' order."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda file: ask(self, file), files))

    def ahead(self, files: Sequence[SourceFile]) -> Iterator[tuple[SourceFile, Content | None]]:
        """Yield files in their order, each with what `reading` takes; small objects are fetched ahead."""
        return ahead(files, self._fetched) if self._is_remote else ((file, None) for file in files)

    def _fetched(self, file: SourceFile) -> pa.Buffer:
        """Return the content of a file that was the one listed when it had been read."""
        with self._filesystem.open_input_file(file.path) as handle:
            content = handle.read_buffer()
        self._refuse_change(file, self.name_of(file.path))
        return content

    @contextmanager
    def reading(
        self, file: SourceFile, compression: Compression | None, content: Content | None = None
    ) -> Iterator[OpenFile]:
        """Open a file for the block, and make sure that it is the one that was listed, before and after.

        Args:
            file: the file.
            compression: how it is compressed; None if it is not.
            content: what waits for its content, where it is fetched ahead.

        Raises:
            SourceFailed: if it cannot be read.
            SourceChanged: if it was written again, or deleted, since it was listed.

        """
        name = self.name_of(file.path)
        try:
            if not self._is_remote:
                self._refuse_change(file, name)
            with reaching(name, self._options), self._opened(file, content) as handle:
                yield OpenFile(name, file.size, compression, handle, self._is_remote and content is None)
        except PracticusAssetsError as error:
            if isinstance(error, DeclarationError):
                raise
            self._refuse_change(file, name)
            raise
        if content is None:
            self._refuse_change(file, name)

    def _opened(self, file: SourceFile, content: Content | None) -> pa.NativeFile:
        return self._filesystem.open_input_file(file.path) if content is None else pa.BufferReader(content())

    def _refuse_change(self, file: SourceFile, name: str) -> None:
        with reaching(name, self._options):
            now = self._filesystem.get_file_info(file.path)
        file.refuse_change(now, name, precise=not self._is_remote)

    def name_of(self, path: str) -> str:
        """Return a path below the root with the root, as errors name it."""
        return f"{self._root.rstrip('/')}/{path}".rstrip("/")
