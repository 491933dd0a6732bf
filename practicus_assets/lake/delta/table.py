"""Where a table lives: its URI, the options of its object store, and how it is opened."""

import errno
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pyarrow.fs
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from deltalake.exceptions import TableNotFoundError as DeltaTableNotFoundError
from deltalake.fs import DeltaStorageHandler

from practicus_assets.errors import (
    DeclarationError,
    PracticusAssetsError,
    StoreFailed,
    TableNotFound,
    VersionGone,
)
from practicus_assets.lake.delta.log_files import refuse_damaged_log, refuse_emptied_log

_SECRET = re.compile(
    r"secret|key|token|password|sas|credential|client|auth|signature|connection_string|service_account",
    re.IGNORECASE,
)
_SHORTEST_SECRET = 4  # "true" and the like are no secrets, and stand in many texts
_DISK_FAILED = {errno.ENOSPC, errno.EDQUOT, errno.EIO}
_LONGEST_TEXT = 600
_ADVICE = "See to the store or the disk, its credentials and the network, and run again."
_CREDENTIALS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://([^/]*@|[^?]*\?)")
_AZURE_CONTAINER = re.compile(r"abfss?://[^/@?:]+@[^/@?:]+(/[^?]*)?")  # container@account is a place
_UNSAFE_PART = re.compile(r"[/\\%?#*\x00-\x1f\x7f]")  # in a URI, `?` and `#` end the path and `%` escapes


@dataclass(frozen=True)
class Table:
    """A Delta table's place in a lake; the table itself need not exist.

    Attributes:
        name: how people call it, e.g. `sales/orders`.
        uri: a folder or an object store prefix.
        storage_options: delta-rs's own, e.g. `AWS_REGION`; never shown.

    """

    name: str
    uri: str
    storage_options: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False, hash=False)

    @classmethod
    def at(
        cls, root_uri: str, key: Sequence[str], storage_options: Mapping[str, str] | None = None
    ) -> "Table":
        """Return the table of an asset key: `root_uri` and the key's parts, joined by `/`.

        Raises:
            DeclarationError: for a part that would leave the root or hide in another table's log,
                or a root that carries credentials.

        """
        if _CREDENTIALS.match(root_uri) and not _AZURE_CONTAINER.fullmatch(root_uri):
            shown = re.sub(r"\?.*", "?***", re.sub(r"//[^/]*@", "//***@", root_uri))
            raise DeclarationError(
                f"the lake's root {shown} carries credentials.", "Pass them in storage_options."
            )
        if not root_uri or not key:
            raise DeclarationError("a table needs a root and a key.", "Set root_uri of the DeltaIOManager.")
        for part in key:
            if not part or part in {".", ".."} or part.startswith("_delta_log") or _UNSAFE_PART.search(part):
                raise DeclarationError(
                    f"asset key part {part!r} cannot name a folder of the lake.",
                    "Use letters, digits, '-', '_' and '.'.",
                )
        return cls("/".join(key), "/".join([root_uri.rstrip("/"), *key]), dict(storage_options or {}))

    @property
    def local_path(self) -> Path | None:
        """The table's folder, where it is one on this machine."""
        if "://" not in self.uri:
            return Path(self.uri)
        return Path(self.uri.removeprefix("file://")) if self.uri.startswith("file://") else None

    def open(self, version: int | None = None) -> DeltaTable:
        """Open the newest version, or the given one.

        Raises:
            TableNotFound: if there is no table.
            VersionGone: if the log no longer reaches that version.
            StoreFailed: if the store does not answer, or the log is damaged; it then names the file.

        """
        try:
            with self.reaching("the table's log"):
                handle = DeltaTable(self.uri, version=version, storage_options=dict(self.storage_options))
        except StoreFailed as failed:
            error = failed.__cause__
            missing = isinstance(error, DeltaTableNotFoundError)
            if not missing and isinstance(error, DeltaError):
                refuse_damaged_log(self.filesystem(), self.name, self.uri)
            if not missing and (version is None or not isinstance(error, DeltaError)):
                raise
            if version is None or self.open_if_exists() is None:
                raise TableNotFound(
                    f"there is no Delta table at {self.uri}.", f"Materialize {self.name} first."
                ) from None
            raise VersionGone(
                f"version {version} at {self.uri} cannot be opened: {in_one_line(failed)}",
                "Its log has expired, or it never was. Run again to read the newest version.",
            ) from error
        if self.local_path is not None:
            refuse_emptied_log(self.local_path, self.name, handle.version())
        return handle

    def open_if_exists(self) -> DeltaTable | None:
        """Open the newest version, or return None where there is no table."""
        try:
            return self.open()
        except TableNotFound:
            return None

    def filesystem(self) -> pyarrow.fs.FileSystem:
        """Return the table's folder as a pyarrow file system, for data files.

        Raises:
            DeclarationError: if it is a folder of this machine, and cannot be made.
            StoreFailed: if the disk is full or failing, or the options do not name a store.

        """
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
        with self.reaching("the store"):
            return pyarrow.fs.PyFileSystem(DeltaStorageHandler(self.uri, dict(self.storage_options)))

    @contextmanager
    def reaching(self, what: str) -> Iterator[None]:
        """Raise StoreFailed where delta-rs or pyarrow could not read or write.

        Args:
            what: is read or written, as the error's text calls it.

        """
        try:
            with self.redacted():
                yield
        except (DeltaError, OSError) as error:
            failed = StoreFailed(f"{what} at {self.uri} failed: {in_one_line(error)}.", _ADVICE)
            failed.table = self.name
            raise failed from error

    @contextmanager
    def redacted(self) -> Iterator[None]:
        """Keep the values of secret options out of the errors of delta-rs and pyarrow."""
        try:
            yield
        except PracticusAssetsError:
            raise
        except Exception as error:
            if self._clean(str(error)) == str(error):
                raise
            error.args = tuple(self._clean(a) if isinstance(a, str) else a for a in error.args)
            if self._clean(str(error)) == str(error):
                raise  # as the type that it was, which callers tell apart
            raise DeltaError(self._clean(str(error))) from None

    def _clean(self, text: str) -> str:
        """Return a text without secrets: values of options by their names, and passwords in URLs."""
        for name, value in self.storage_options.items():
            if len(value) >= _SHORTEST_SECRET and _SECRET.search(name):
                for form in (value, quote(value, safe="")):
                    text = text.replace(form, "***")
        return re.sub(r"//[^/\s@]+@", "//***@", text)


def in_one_line(error: Exception) -> str:
    """Return an error's text without the colours, lines and addresses in which delta-rs draws its causes."""
    text = re.sub(r"\x1b\[[0-9;]*m|↳|\s+\d+: [^\n]*(?=\n|$)", " ", str(error))
    return " ".join(text.split())[:_LONGEST_TEXT].rstrip(".")
