"""Listings: which files there are, seen once, so that every read of a run sees the same ones."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import pyarrow.fs

from practicus_assets.errors import SourceChanged
from practicus_assets.wording import enumerated, number_of

_SECOND = 10**9  # nanoseconds
_NAMED = 3
RUN_AGAIN = "Run again: then all of it is read as it is by then."


@dataclass(frozen=True, order=True)
class SourceFile:
    """One file as a listing has it.

    Attributes:
        path: its path below the root.
        size: its size in bytes.
        modified_ns: when it was last written, in nanoseconds since 1970.

    """

    path: str
    size: int
    modified_ns: int

    def refuse_change(self, now: pyarrow.fs.FileInfo, name: str, *, precise: bool) -> None:
        """Raise SourceChanged if the file is another one by now.

        Args:
            now: what the store says of it now.
            name: the file with its store.
            precise: whether the store tells times below a second the same way each time.

        """
        if now.type == pyarrow.fs.FileType.NotFound:
            raise SourceChanged(f"{name} was deleted after it was listed.", RUN_AGAIN)
        unit = 1 if precise else _SECOND
        modified = now.mtime_ns if now.mtime_ns is not None else self.modified_ns
        if now.size != self.size or modified // unit != self.modified_ns // unit:
            raise SourceChanged(
                f"{name} was written again after it was listed: it had {number_of(self.size, 'byte')}, "
                f"and has {number_of(now.size or 0, 'byte')}.",
                RUN_AGAIN,
            )


@dataclass(frozen=True)
class Listing:
    """Files in the order of their paths."""

    files: tuple[SourceFile, ...]

    @classmethod
    def of(cls, files: Iterable[SourceFile]) -> "Listing":
        """Return the files as a listing."""
        return cls(tuple(sorted(set(files))))

    @cached_property
    def newest_ns(self) -> int:
        """When the newest file was written, in nanoseconds since 1970; 0 if there is none."""
        return max((file.modified_ns for file in self.files), default=0)

    @cached_property
    def digest(self) -> str:
        """A short text that changes when a file comes, goes, or is written again."""
        lines = [json.dumps([file.path, file.size, file.modified_ns]) for file in self.files]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]

    @property
    def recorded(self) -> list[int | str]:
        """What another session needs to see the same files."""
        return [self.newest_ns, len(self.files), self.digest]

    def as_recorded(self, record: Iterable[int | str], place: str) -> "Listing":
        """Return those of the files that another session has listed.

        Args:
            record: what that session recorded; files that came after it are left out.
            place: where the files are, for the error.

        Raises:
            SourceChanged: if some of them were written again, or are gone.

        """
        newest_ns, count, digest = record
        then = Listing(tuple(file for file in self.files if file.modified_ns <= int(newest_ns)))
        if then.digest == digest:
            return then
        later = [file.path for file in self.files if file.modified_ns > int(newest_ns)]
        written = (
            f"{enumerated([*later[:_NAMED], *['…'] * (len(later) > _NAMED)])} "
            f"{'was' if len(later) == 1 else 'were'} written since."
            if later
            else "Files were deleted, or have older times than when they came."
        )
        raise SourceChanged(
            f"of the {number_of(int(count), 'file')} of {place} that this run reads, "
            f"{len(then.files):,} are as they were. {written}",
            RUN_AGAIN,
        )


Records = Mapping[str, list[int | str]]


def records_of(state: str | None) -> dict[str, list[int | str]]:
    """Return the listings that a session's state tells of, by their keys."""
    return dict(json.loads(state)) if state else {}


def state_of(records: Records) -> str:
    """Return listings as a session's state."""
    return json.dumps(records, separators=(",", ":"), sort_keys=True)
