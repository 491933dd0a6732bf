"""Files of a lake that belong to no table: what they are, how old they are, and their removal."""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath

from practicus_assets.lake.delta.table_folder import TableFolder


@dataclass(frozen=True)
class LakeFile:
    """A file.

    Attributes:
        size: its bytes.
        modified: when it was written.

    """

    size: int
    modified: datetime


@dataclass(frozen=True)
class LakeFiles:
    """The files below one folder of a lake.

    Attributes:
        root_uri: the lake's root.
        name: the folder's name below it.
        storage_options: delta-rs's own; never shown.

    """

    root_uri: str
    name: str
    storage_options: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)

    @property
    def folder(self) -> TableFolder:
        """The folder."""
        return TableFolder(self.name, f"{self.root_uri.rstrip('/')}/{self.name}", self.storage_options)

    def files(self) -> dict[str, LakeFile]:
        """Return the files by their paths below the folder, but for those of which the store tells no time.

        Raises:
            StoreFailed: if they cannot be listed.

        """
        return {
            info.path: LakeFile(info.size, datetime.fromtimestamp(info.mtime_ns / 1e9, UTC))
            for info in self.folder.files_in(recursive=True)
            if "/" in info.path and info.mtime_ns is not None  # some stores list folders, too
        }

    def remove(self, paths: Iterable[str]) -> int:
        """Delete files and the folders that they leave empty, and return how many files were there.

        Raises:
            StoreFailed: if one cannot be deleted.

        """
        paths = list(paths)
        folder = self.folder
        removed = sum(folder.delete(path) for path in paths)
        if folder.local_path is not None:
            around = {parent for path in paths for parent in PurePosixPath(path).parents if parent.name}
            for parent in sorted(around, key=lambda parent: len(parent.parts), reverse=True):
                with contextlib.suppress(OSError):  # it holds others
                    (folder.local_path / parent).rmdir()
        return removed
