"""The log's folder: its entries and checkpoints, by their names (Delta protocol, "File Types")."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow.fs

from practicus_assets.errors import PracticusAssetsError, StoreFailed
from practicus_assets.lake.delta.failures import in_one_line
from practicus_assets.lake.delta.root import LOG
from practicus_assets.lake.delta.table_folder import TableFolder
from practicus_assets.wording import names_of

POINTER = "_last_checkpoint"
_SIDECARS = f"{LOG}/_sidecars"
_ENTRY = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(
    r"(\d{20})\.checkpoint(?:\.(?P<part>\d{10})\.(?P<parts>\d{10})|\.(?P<uuid>[0-9a-fA-F-]{36}))?\.(?:parquet|json)"
)
# a file about one version, or about a range that ends with it
_EXPIRING = re.compile(r"(?:\d{20}\.)?(\d{20})\.(?:json|crc|compacted\.json|checkpoint.*)")
_NEWEST = 10  # entries; what a power cut can leave empty is young

_RESTORE = "Restore that file from a copy; nothing can be written before."


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint: a classic one, one in several parts, or one of the V2 spec.

    Attributes:
        version: the version that it holds.
        files: the names of its files in the log's folder, in order.
        parts: the number of files that it should have.

    """

    version: int
    files: tuple[str, ...]
    parts: int


@dataclass(frozen=True)
class LogProblem:
    """Something that is wrong with a log.

    Attributes:
        file: the file's name; the folder's, where it is about several.
        text: the problem.
        advice: what to do.

    """

    file: str
    text: str
    advice: str


class LogFolder:
    """The files of a table's log; listed once, at first use."""

    def __init__(self, folder: TableFolder) -> None:
        self._folder = folder

    @cached_property
    def _files(self) -> Mapping[str, pyarrow.fs.FileInfo]:
        return {info.base_name: info for info in self._folder.files_in(LOG)}

    @cached_property
    def entries(self) -> tuple[int, ...]:
        """The versions whose entries are there, in order."""
        return tuple(sorted(int(match[1]) for match in map(_ENTRY.fullmatch, self._files) if match))

    @cached_property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """The checkpoints, whole or not, oldest first."""
        files: dict[tuple[int, int, str], list[str]] = {}
        for name in sorted(self._files):
            match = _CHECKPOINT.fullmatch(name)
            if match:
                key = (int(match[1]), int(match["parts"] or 1), "" if match["parts"] else name)
                files.setdefault(key, []).append(name)
        return tuple(Checkpoint(key[0], tuple(files[key]), key[1]) for key in sorted(files))

    def last_checkpoint(self) -> int | None:
        """Return the version of the checkpoint that readers begin at; None if they find it by listing.

        Raises:
            StoreFailed: if the file that names it cannot be read.

        """
        content = self._folder.read(f"{LOG}/{POINTER}")
        if content is None:
            return None
        try:
            return _pointed(content)
        except ValueError as error:
            raise self._damaged(POINTER, error) from error

    def actions(self, version: int) -> list[dict[str, Any]] | None:
        """Return the actions of an entry; None if it is not there.

        Raises:
            StoreFailed: if it cannot be read.

        """
        content = self._folder.read(entry_path(version))
        try:
            return None if content is None else _actions(content)
        except ValueError as error:
            raise self._damaged(_entry_name(version), error) from error

    def modified_ns(self, version: int) -> int | None:
        """Return when an entry was stored, in nanoseconds since 1970; None where the store does not say."""
        return self._folder.modified_ns(entry_path(version))

    def problems(self) -> Iterator[LogProblem]:
        """Yield what is wrong with the log: entries missing or damaged, checkpoints damaged or gone."""
        yield from self._holes()
        yield from self._damages()
        yield from self._lost_pointer()

    def refuse_unreadable(self) -> None:
        """Raise StoreFailed for the first file that keeps the newest version from being opened."""
        try:
            newest = max((checkpoint.version for checkpoint in self.checkpoints), default=-1)
        except StoreFailed:
            return  # the folder cannot be listed, which the caller knows
        missing = self._missing(newest + 1)
        problem = next(self._damages(), None)
        if problem is None and missing:
            problem = LogProblem(_entry_name(missing[0]), "it is missing.", "")
        problem = problem or next(self._lost_pointer(), None)
        if problem is not None:
            advice = problem.advice if problem.file == POINTER else _RESTORE
            raise self._unreadable(f"{problem.file}: {problem.text}", advice)

    def refuse_emptied(self, version: int) -> None:
        """Raise StoreFailed if one of the newest entries on a disk is empty, which delta-rs reads over."""
        root = self._folder.local_path
        if root is None:
            return
        for number in range(max(0, version - _NEWEST + 1), version + 1):
            path = root / entry_path(number)
            if path.exists() and not path.stat().st_size:
                raise self._unreadable(f"{path.name} is empty.")

    def damage(self, checkpoint: Checkpoint) -> LogProblem | None:
        """Return why a checkpoint cannot be read; None if it can, with all its parts and sidecars."""
        path, *_ = paths = [f"{LOG}/{name}" for name in checkpoint.files]
        if len(paths) < checkpoint.parts:
            text = f"only {len(paths)} of its {checkpoint.parts} parts are there"
        else:
            try:
                paths += [f"{_SIDECARS}/{name}" for name in sorted(self._sidecars_of(checkpoint))]
                rows = 0
                for path in paths:
                    rows += self._row_count(path)
                text = "" if rows else "it is empty"
            except (PracticusAssetsError, ValueError) as error:
                text = _why(error)
        if not text:
            return None
        return LogProblem(
            path.removeprefix(f"{LOG}/"),
            f"the checkpoint cannot be read: {text}.",
            "Delete it, and write another one with maintain --checkpoint, if all entries are there.",
        )

    def before(self, version: int) -> dict[str, int]:
        """Return the files that are only about older versions: the bytes of each, by path, oldest first."""
        return {
            f"{LOG}/{name}": self._files[name].size or 0
            for name in sorted(self._files)
            if (match := _EXPIRING.fullmatch(name)) and int(match[1]) < version
        }

    def unnamed_sidecars(self, version: int, written_before_s: float) -> dict[str, int]:
        """Return the sidecars that no checkpoint of a version or a later one names: bytes, by path.

        None are returned where such a checkpoint cannot be read.

        Args:
            version: the oldest version whose checkpoints count.
            written_before_s: the time, in seconds since 1970, from which on a sidecar's checkpoint may be
                about to be written.

        """
        sidecars = self._folder.files_in(_SIDECARS)
        if not sidecars:
            return {}
        named: set[str] = set()
        for checkpoint in self.checkpoints:
            if checkpoint.version >= version:
                try:
                    named |= self._sidecars_of(checkpoint)
                except (PracticusAssetsError, ValueError):
                    return {}
        return {
            f"{_SIDECARS}/{info.base_name}": info.size or 0
            for info in sidecars
            if info.base_name not in named
            and info.mtime_ns is not None
            and info.mtime_ns / 1e9 < written_before_s
        }

    def _missing(self, first: int) -> list[int]:
        last = self.entries[-1] if self.entries else first
        return sorted(set(range(first, last)) - set(self.entries))

    def _holes(self) -> Iterator[LogProblem]:
        if not self.entries:
            return
        first, last = self.entries[0], self.entries[-1]
        missing = self._missing(first)
        if missing:
            yield LogProblem(
                LOG,
                f"no entry is there of {names_of('version', missing[:10])}.",
                "Restore them from a backup; without them only versions after a later checkpoint open.",
            )
        if first > 0 and not any(first - 1 <= c.version <= last for c in self.checkpoints):
            yield LogProblem(
                LOG,
                f"it begins at version {first}, and no checkpoint holds what was before.",
                "Restore the log from a backup.",
            )

    def _damages(self) -> Iterator[LogProblem]:
        for version in self.entries:
            try:
                self.actions(version)
            except PracticusAssetsError as error:
                text = f"the entry cannot be read: {_why(error)}."
                yield LogProblem(_entry_name(version), text, "Restore it from a backup.")
        yield from filter(None, map(self.damage, self.checkpoints))
        try:
            self.last_checkpoint()
        except PracticusAssetsError as error:
            yield _pointer_problem(f"it cannot be read: {_why(error)}.")

    def _lost_pointer(self) -> Iterator[LogProblem]:
        try:
            version = self.last_checkpoint()
        except PracticusAssetsError:
            return  # a damage
        if version is not None and version not in {c.version for c in self.checkpoints}:
            yield _pointer_problem(f"it names a checkpoint of version {version}, which is not there.")

    def _row_count(self, path: str) -> int:
        """Return how many actions a file of a checkpoint has; reads the paths of all files that it adds."""
        if path.endswith(".json"):
            return len(_actions(self._folder.read(path) or b""))
        with self._folder.parquet(path) as parquet:
            parquet.read(columns=["add.path"], use_threads=False)
            return int(parquet.metadata.num_rows)

    def _sidecars_of(self, checkpoint: Checkpoint) -> set[str]:
        """Return the names of the sidecars of a checkpoint (Delta protocol, "Sidecar Files")."""
        if checkpoint.parts > 1:
            return set()
        [name] = checkpoint.files
        if name.endswith(".json"):
            actions = _actions(self._folder.read(f"{LOG}/{name}") or b"")
        else:
            with self._folder.parquet(f"{LOG}/{name}") as parquet:
                if "sidecar" not in parquet.schema_arrow.names:
                    return set()
                actions = parquet.read(columns=["sidecar"], use_threads=False).to_pylist()
        return {str(a["sidecar"]["path"]).rpartition("/")[2] for a in actions if a.get("sidecar")}

    def _damaged(self, name: str, why: ValueError) -> StoreFailed:
        error = StoreFailed(
            f"{LOG}/{name} at {self._folder.uri} is damaged: {why}.", "Restore that file from a copy."
        )
        error.table = self._folder.name
        return error

    def _unreadable(self, text: str, advice: str = _RESTORE) -> StoreFailed:
        error = StoreFailed(f"the table's log cannot be read: {self._folder.uri}/{LOG}/{text}", advice)
        error.table = self._folder.name
        return error


def entry_path(version: int) -> str:
    """Return the path of a version's entry, below the table's folder."""
    return f"{LOG}/{_entry_name(version)}"


def _entry_name(version: int) -> str:
    return f"{version:020}.json"


def _pointer_problem(text: str) -> LogProblem:
    return LogProblem(POINTER, text, "Delete it: readers then find the checkpoint by listing.")


def _why(error: Exception) -> str:
    """Return the words of the store, or of the parser, for what one of our errors is about."""
    return in_one_line(error.__cause__ or error)


def _pointed(content: bytes) -> int:
    """Return the version that `_last_checkpoint` names; raises ValueError, with what is wrong, for none."""
    pointer = json.loads(content)
    version = pointer.get("version") if isinstance(pointer, dict) else None
    if not isinstance(version, int):
        raise ValueError("it names no version")  # noqa: TRY004 the content is wrong, not an argument
    return version


def _actions(content: bytes) -> list[dict[str, Any]]:
    """Return the actions of a file of lines of JSON; raises ValueError, with what is wrong, for another."""
    actions = []
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        try:
            action = json.loads(line)
        except ValueError as error:
            raise ValueError(f"line {number} is no JSON ({error})") from error
        if not isinstance(action, dict):
            raise ValueError(f"line {number} is no JSON object")  # noqa: TRY004 as above
        actions.append(action)
    if not actions:
        raise ValueError("it is empty")
    return actions
