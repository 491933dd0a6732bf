"""Tables in memory, for tests: read and committed to as tables on a store are, by one process."""

import io
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.fs
from deltalake import CommitProperties, Schema, write_deltalake
from deltalake.transaction import AddAction, RemoveAction

from practicus_assets.errors import TableNotFound
from practicus_assets.lake.delta.data_file import DataFile, row_count
from practicus_assets.lake.delta.files import read_file
from practicus_assets.lake.delta.table import Table, TableVersion
from practicus_assets.lake.partitions.bounds import Bounds
from practicus_assets.lake.partitions.values import deserialized, serialized

_FEATURES = frozenset({"timestampNtz"})  # the protocol needs not be raised for it


@dataclass(frozen=True)
class MemoryTable(Table):
    """A Delta table that lives as long as this object.

    Its files are Parquet, in memory. There is no log: a version is the list of its files.

    Attributes:
        versions: the table's versions, oldest first; none if there is no table.
        contents: the bytes of each file, by its path.
        besides: the tables whose names are this one's with a suffix, by that.

    """

    versions: list["MemoryVersion"] = field(default_factory=list, repr=False, compare=False, hash=False)
    contents: dict[str, bytes] = field(default_factory=dict, repr=False, compare=False, hash=False)
    besides: dict[str, "MemoryTable"] = field(default_factory=dict, repr=False, compare=False, hash=False)

    @classmethod
    def named(cls, name: str) -> "MemoryTable":
        """Return the place of a table that does not exist yet."""
        return cls(name, f"memory://{name}")

    def beside(self, suffix: str) -> "MemoryTable":
        """Return the table whose name is this one's with a suffix, the same one each time."""
        if suffix not in self.besides:
            self.besides[suffix] = MemoryTable.named(f"{self.name}{suffix}")
        return self.besides[suffix]

    def filesystem(self) -> pyarrow.fs.FileSystem:
        """Return the table's files as a pyarrow file system."""
        return self._filesystem

    def reader(self) -> pyarrow.fs.FileSystem:
        """Return the table's files as a pyarrow file system."""
        return self._filesystem

    @cached_property
    def _filesystem(self) -> pyarrow.fs.FileSystem:
        return pyarrow.fs.PyFileSystem(_Files(self.contents))

    def files_in(self, folder: str = "", *, recursive: bool = False) -> list[pyarrow.fs.FileInfo]:  # noqa: ARG002 no folder is asked for alone
        """Return the files below a folder."""
        paths = [path for path in self.contents if path.startswith(f"{folder}/" if folder else "")]
        kind = pyarrow.fs.FileType.File
        return [pyarrow.fs.FileInfo(path, kind, size=len(self.contents[path])) for path in paths]

    def open(self, version: int | None = None) -> TableVersion:
        """Return the newest version, or the given one."""
        if not self.versions:
            raise TableNotFound(f"there is no table {self.name} in memory.", "Write its rows first.")
        return self.versions[-1 if version is None else version]

    def create(
        self,
        files: Sequence[AddAction],
        schema: pa.Schema,
        partition_by: Sequence[str],
        configuration: Mapping[str, str],
        properties: CommitProperties,  # noqa: ARG002 there is no log
        *,
        description: str = "",  # noqa: ARG002 there is no log
    ) -> None:
        """Create the table with these files, as version 0."""
        first = MemoryVersion(self, pa.schema([]), tuple(partition_by), configuration)
        self.versions.append(first.followed(files, (), schema))


class MemoryVersion(TableVersion):
    """One version of a table in memory.

    Args:
        table: the table.
        schema: its columns.
        partition_by: its partition columns.
        configuration: its properties.
        files: its files.

    """

    def __init__(
        self,
        table: MemoryTable,
        schema: pa.Schema,
        partition_by: tuple[str, ...],
        configuration: Mapping[str, str],
        files: Sequence[DataFile] = (),
    ) -> None:
        self.table = table
        self.version = len(table.versions)
        self.id = table.versions[0].id if table.versions else str(uuid.uuid4())
        self.partition_by = partition_by
        self.configuration = configuration
        self.features = _FEATURES
        self.schema = schema
        self.column_metadata = {}
        self._memory = table
        self._files = tuple(files)

    def files(self, bounds: Bounds | None = None) -> Sequence[DataFile]:
        """Return the files of a scope, all by default."""
        return [f for f in self._files if bounds is None or bounds.part_of(f.values) is not None]

    @property
    def row_count(self) -> int | None:
        """How many rows the table has."""
        return row_count(self._files)

    @property
    def size(self) -> int:
        """How many bytes its files have."""
        return sum(file.size for file in self._files)

    def followed(
        self, actions: Iterable[AddAction | RemoveAction], selected: Iterable[DataFile], schema: pa.Schema
    ) -> "MemoryVersion":
        """Return the next version.

        Args:
            actions: the files that are added or removed.
            selected: further files that are removed.
            schema: the table's columns.

        """
        schema = pa.schema(Schema.from_arrow(schema).to_arrow())  # as delta-rs gives them back
        actions = list(actions)
        removed = {file.path for file in selected}
        removed |= {action.path for action in actions if isinstance(action, RemoveAction)}
        kept = [file for file in self.files() if file.path not in removed]
        added = [self._added(action, schema) for action in actions if isinstance(action, AddAction)]
        return MemoryVersion(self._memory, schema, self.partition_by, self.configuration, [*kept, *added])

    def _added(self, action: AddAction, schema: pa.Schema) -> DataFile:
        values = {
            column: None if text is None else deserialized(text, schema.field(column).type)
            for column, text in action.partition_values.items()
        }
        rows = json.loads(action.stats)["numRecords"]
        return DataFile(action.path, action.size, rows, 0, values, {}, {}, {})

    def moved_to(self, version: int) -> TableVersion:
        """Return a later version."""
        return self.table.open(version)

    def caught_up(self) -> TableVersion:
        """Return the newest version."""
        return self.table.open()

    def transaction_version(self, app_id: str) -> int | None:  # noqa: ARG002 nobody else commits
        """Return None: no attempt at the same work came before."""
        return None

    def count_selected(self, filters: Sequence[tuple[str, str, Sequence[str]]]) -> int:
        """Return how many files an overwrite with these partition filters would remove."""
        return len(self._selected(filters))

    def _selected(self, filters: Sequence[tuple[str, str, Sequence[str]]]) -> list[DataFile]:
        return [file for file in self.files() if all(_holds(file, *condition) for condition in filters)]

    def select(
        self, columns: Sequence[str], bounds: Bounds | None, predicate: str | None = None
    ) -> Iterator[pa.RecordBatchReader]:
        """Return streams of the rows of a scope.

        SQL is DataFusion's inside of delta-rs, which reads a store: rows that a predicate selects from lie in
        a temporary folder for a moment.

        Args:
            columns: the names of the columns to read.
            bounds: the scope; None for no row.
            predicate: a SQL condition that the rows must satisfy.

        """
        if predicate is not None:
            with TemporaryDirectory() as folder:
                write_deltalake(folder, self._rows(self.schema.names, bounds))
                stored = Table.from_uri(Path(folder)).open()
                whole = Bounds((), (), ())
                rows = [stream.read_all() for stream in stored.select(columns, whole, predicate)]
            return (table.to_reader() for table in rows)
        return iter([self._rows(columns, bounds)])

    def _rows(self, columns: Sequence[str], bounds: Bounds | None) -> pa.RecordBatchReader:
        schema = pa.schema([self.schema.field(name) for name in columns])
        files = [
            file for file in self.files() if bounds is not None and bounds.part_of(file.values) is not None
        ]
        batches = (batch for file in files for batch in read_file(self.table, file, self.schema, columns))
        return pa.RecordBatchReader.from_batches(schema, batches)

    def commit(
        self,
        actions: Sequence[AddAction | RemoveAction],
        schema: pa.Schema,
        properties: CommitProperties,  # noqa: ARG002 there is no log
        *,
        mode: str = "append",
        filters: Sequence[tuple[str, str, Sequence[str]]] | None = None,
    ) -> None:
        """Commit files that are added or removed, as the next version."""
        selected = self._selected(filters or ()) if mode == "overwrite" else ()
        self._memory.versions.append(self.followed(actions, selected, schema))


def _holds(file: DataFile, column: str, operator: str, wanted: Any) -> bool:
    """Return whether a file satisfies a partition filter of delta-rs, which compares values as texts."""
    value = file.values.get(column)
    if value is None:
        return False
    text = serialized(value)
    if operator == "in":
        return text in wanted
    return bool(text >= wanted if operator == ">=" else text <= wanted)


class _Files(pyarrow.fs.FileSystemHandler):  # type: ignore[misc] # pyarrow ships no types
    """Files in memory, as pyarrow's file systems want them: what transactions do not ask for is refused."""

    def __init__(self, contents: dict[str, bytes]) -> None:
        self._contents = contents

    def get_type_name(self) -> str:
        return "memory"

    def normalize_path(self, path: str) -> str:
        return path

    def open_input_file(self, path: str) -> pa.NativeFile:
        if path not in self._contents:
            raise FileNotFoundError(path)
        return pa.BufferReader(self._contents[path])

    def open_input_stream(self, path: str) -> pa.NativeFile:
        return self.open_input_file(path)

    def open_output_stream(self, path: str, metadata: Mapping[str, str] | None) -> pa.NativeFile:  # noqa: ARG002 pyarrow's signature
        return pa.PythonFile(_Written(self._contents, path), mode="w")

    def delete_file(self, path: str) -> None:
        self._contents.pop(path, None)

    def get_file_info(self, paths: Sequence[str]) -> list[pyarrow.fs.FileInfo]:
        found, missing = pyarrow.fs.FileType.File, pyarrow.fs.FileType.NotFound
        return [pyarrow.fs.FileInfo(path, found if path in self._contents else missing) for path in paths]

    def _refuse(self, *_: Any) -> None:
        raise NotImplementedError

    get_file_info_selector = create_dir = delete_dir = delete_dir_contents = _refuse
    delete_root_dir_contents = move = copy_file = open_append_stream = _refuse


class _Written(io.BytesIO):
    """A file that is being written: it is there once it is closed."""

    def __init__(self, contents: dict[str, bytes], path: str) -> None:
        super().__init__()
        self._contents = contents
        self._path = path

    def close(self) -> None:
        if not self.closed:
            self._contents[self._path] = self.getvalue()
        super().close()
