"""Verify: whether a table's log can be read, and its files are there and are what the log says."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow.fs

from practicus_assets.errors import PracticusAssetsError, TableNotFound
from practicus_assets.lake.delta.data_file import DataFile, stored_path
from practicus_assets.lake.delta.files import listed, read_file
from practicus_assets.lake.delta.log import entries
from practicus_assets.lake.delta.log_files import LogFolder
from practicus_assets.lake.delta.origins import origins
from practicus_assets.lake.delta.protocol import refuse_unsupported
from practicus_assets.lake.delta.root import LOG
from practicus_assets.lake.delta.table import Table, TableVersion
from practicus_assets.lake.partitions.scope import WHOLE_TABLE, Scope
from practicus_assets.lake.rows.fingerprints.fingerprint import Fingerprint, same_rows
from practicus_assets.lake.upkeep.contents import Contents
from practicus_assets.lake.upkeep.progress import Progress, unseen

_RESTORE = "Materialize its partition again, roll it back, or restore the file from a backup."
# a run with equal rows goes by the log, and leaves a file that can be opened as it is
_REPLACE = (
    "Restore the file from a backup; or delete it, and materialize its partition again or roll it back."
)
_REWRITE = "Delete its files, and materialize it again or roll it back."


@dataclass(frozen=True)
class TableProblem:
    """Something that is wrong with a table.

    Attributes:
        kind: "log", "missing file", "damaged file", "rows", "statistics" or "content".
        subject: the file or the partition.
        text: the problem: what is there, and what was expected.
        advice: what to do.

    """

    kind: str
    subject: str
    text: str
    advice: str


@dataclass(frozen=True)
class Verification:
    """What was examined, and the problems.

    Attributes:
        version: the newest version; None if the table cannot be opened.
        entries: log entries read.
        files, rows, bytes: of that version.
        older_files, older_bytes: files that only older versions name.
        orphans, orphan_bytes: files that no version in the log names: being staged, or left by a process
            that was killed.
        problems: what is wrong.

    """

    version: int | None
    entries: int
    files: int
    rows: int
    bytes: int
    older_files: int
    older_bytes: int
    orphans: int
    orphan_bytes: int
    problems: tuple[TableProblem, ...]


def verify_files(
    table: Table,
    scope: Scope | None = None,
    *,
    rows: bool = False,
    progress: Progress = unseen,
) -> Verification:
    """Look at the log and at every file of the newest version.

    Args:
        table: the table.
        scope: the table's partitions, of which the content is compared with what their commits recorded.
        rows: read every row, to compare statistics and content; without it, the files' footers are read.
        progress: the callback that gets how many files are done, of how many.

    Raises:
        TableNotFound: if there is no table.

    """
    try:
        handle = table.open()
    except TableNotFound:
        raise
    except PracticusAssetsError as error:
        text = f"the table cannot be opened: {error}"
        problems = [*_log(table), TableProblem("log", LOG, text, "Restore its log from a backup.")]
        return Verification(None, 0, 0, 0, 0, 0, 0, 0, 0, tuple(problems))
    problems = list(_log(table))
    files = handle.files()
    present = listed(table)
    check = _Files(table, handle, scope or Scope(), rows=rows)
    for done, file in enumerate(files):
        progress(done, len(files))
        problems += check.look_at(file, present.get(file.path))
    progress(len(files), len(files))
    problems += check.content()
    current = {file.path for file in files}
    named: set[str] = set()
    read = 0
    try:
        for entry in entries(table, handle.version):
            read += 1
            named |= {stored_path(action["path"]) for action in (*entry.added, *entry.removed)}
    except PracticusAssetsError:
        pass  # the log's problems have the entry that cannot be read
    older = [info.size for path, info in present.items() if path in named and path not in current]
    orphans = [info.size for path, info in present.items() if path not in named and path not in current]
    return Verification(
        version=handle.version,
        entries=read,
        files=len(files),
        rows=sum(file.rows or 0 for file in files),
        bytes=sum(file.size for file in files),
        older_files=len(older),
        older_bytes=sum(older),
        orphans=len(orphans),
        orphan_bytes=sum(orphans),
        problems=tuple(problems),
    )


def _log(table: Table) -> Iterator[TableProblem]:
    for problem in LogFolder(table).problems():
        yield TableProblem("log", problem.file, problem.text, problem.advice)


class _Files:
    """Looks at one file after the other."""

    def __init__(self, table: Table, handle: TableVersion, scope: Scope, *, rows: bool) -> None:
        if rows:
            refuse_unsupported(handle, handle.partition_by)
        self._table = table
        self._schema = handle.schema
        self._rows = rows
        self._scope = scope
        self._version = handle.version
        self._bounds = scope.on(self._schema)
        self._fingerprints: dict[str, Fingerprint] = {}
        self._files: dict[str, list[DataFile]] = defaultdict(list)

    def look_at(self, file: DataFile, info: pyarrow.fs.FileInfo | None) -> list[TableProblem]:
        """Return what is wrong with a file of the version; `info` is what the folder says of it."""
        if info is None:
            return [
                TableProblem("missing file", file.path, "the log names it, and it is not there.", _RESTORE)
            ]
        if info.size != file.size:
            text = f"it has {info.size:,} bytes, and the log says {file.size:,}."
            return [TableProblem("damaged file", file.path, text, _REPLACE)]
        try:
            actual = self._read(file) if self._rows else self._footer(file)
        except PracticusAssetsError as error:
            return [TableProblem("damaged file", file.path, f"it cannot be read: {error}", _REPLACE)]
        problems = [("rows", actual.wrong_rows(file)), ("statistics", actual.wrong_statistics(file))]
        return [TableProblem(kind, file.path, text, _REPLACE) for kind, text in problems if text]

    def content(self) -> list[TableProblem]:
        """Return the partitions whose rows are not those that were committed; needs all rows."""
        if not self._rows:
            return []
        problems = []
        for key, origin in origins(self._table, self._version, self._scope, self._schema).items():
            now = str(self._fingerprints.get(key, Fingerprint()))
            committed = origin.fingerprint
            if (
                committed is None
                or same_rows(committed, now)
                or self._is_as_of(origin.version, key, committed)
            ):
                continue
            text = f"its rows have the fingerprint {now}, and version {origin.version} committed "
            text += f"{committed}."
            problems.append(TableProblem("content", key, text, _REWRITE))
        return problems

    def _is_as_of(self, version: int, key: str, committed: str) -> bool:
        """Whether a partition's rows are those of a fingerprint, which may be by an older algorithm.

        Only the columns count that the table had when the fingerprint was committed.
        """
        fingerprint = Fingerprint.alike(committed)
        if fingerprint is None:
            return True  # a newer release's: nothing is known
        try:
            names = self._table.open(version).schema.names
            for file in self._files[key]:
                for batch in read_file(self._table, file, self._schema, names):
                    fingerprint.add_rows(batch, names)
        except (PracticusAssetsError, KeyError):
            return False  # a file that cannot be read is a problem of its own
        return str(fingerprint) == committed

    def _footer(self, file: DataFile) -> Contents:
        with self._table.parquet(file.path) as parquet:
            return Contents.of_footer(parquet.metadata, self._schema)

    def _read(self, file: DataFile) -> Contents:
        actual = Contents()
        key = self._key(file)
        if key is not None:
            self._files[key].append(file)
        for batch in read_file(self._table, file, self._schema):
            actual.add(batch, file)
            if key is not None:
                self._fingerprints.setdefault(key, Fingerprint()).add_rows(batch, self._schema.names)
        return actual

    def _key(self, file: DataFile) -> str | None:
        part = self._bounds.part_of(file.values)
        if self._scope.is_whole_table:
            return WHOLE_TABLE
        return self._scope.keys[part] if part is not None else None
