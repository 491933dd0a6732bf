"""A system for tests: tables as Parquet files below a folder of each version, of which sessions see one.

A session's state can be read by other sessions, in any process, as long as the session is open.
"""

import datetime as dt
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from practicus_assets.errors import SourceChanged, SourceFailed
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.sources.relation import NO_ROWS, Relation
from practicus_assets.sources.system import Session, System


@dataclass(frozen=True)
class Shelf(System):
    """Tables below a folder.

    Attributes:
        folder: the folder; text, or what gives it when a session begins.
        shares: whether sessions have a state that others can read.
        log: a file to which sessions write a line when they are opened and closed.

    """

    folder: Any
    shares: bool = True
    limited: bool = False
    secret: str = field(default="", repr=False)
    kind: ClassVar[str] = "shelf"

    @property
    def path(self) -> Path:
        return Path(str(self.folder.get_value() if hasattr(self.folder, "get_value") else self.folder))

    @property
    def address(self) -> str:
        return "shelf://tests"

    @property
    def pool(self) -> str | None:
        return "source/shelf" if self.limited else None

    def session(self, state: str | None = None) -> "ShelfSession":
        return ShelfSession(self, state)

    def table(self, name: str, **options: Any) -> "ShelfTable":
        return ShelfTable(self, name, **options)

    def put(self, **tables: pa.Table) -> None:
        """Make a new version of the shelf, with these tables beside those that it has."""
        version = self.newest + 1
        folder = self.path / "versions" / f"{version:05}.new"
        folder.mkdir(parents=True)
        old = self.path / "versions" / f"{self.newest:05}"
        kept = {path.stem: pq.read_table(path) for path in old.glob("*.parquet")}
        for name, table in {**kept, **tables}.items():
            pq.write_table(table, folder / f"{name}.parquet")
        folder.rename(folder.with_suffix(""))

    @property
    def newest(self) -> int:
        versions = [int(path.name) for path in (self.path / "versions").glob("[0-9]*") if not path.suffix]
        return max(versions, default=0)

    @property
    def open(self) -> list[str]:
        """The sessions that are open now."""
        return sorted(path.name for path in (self.path / "open").glob("*"))

    @property
    def lines(self) -> list[str]:
        """What sessions did: "open 1", "close 1"."""
        log = self.path / "log"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


class ShelfSession(Session):
    def __init__(self, shelf: Shelf, state: str | None) -> None:
        self._shelf, self._wanted = shelf, state
        self.version = 0
        self.token = secrets.token_hex(4)

    def __enter__(self) -> Self:
        if (self._shelf.path / "down").exists():
            raise SourceFailed(f"{self._shelf.address} cannot be reached.", "Start it.")
        if self._wanted is None:
            self.version = self._shelf.newest
        else:
            version, _, exporter = self._wanted.partition("-")
            if exporter not in self._shelf.open:
                raise SourceChanged(f"{self._shelf.address} has no state {self._wanted} any more.")
            self.version = int(version)
        folder = self._shelf.path / "open"
        folder.mkdir(exist_ok=True)
        (folder / self.token).touch()
        if self._shelf.shares:
            self.state = self._wanted or f"{self.version}-{self.token}"
        self._note("open")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        (self._shelf.path / "open" / self.token).unlink()
        self._note("close")

    def _note(self, what: str) -> None:
        with (self._shelf.path / "log").open("a", encoding="utf-8") as log:
            log.write(f"{what} {self.version} {len(self._shelf.open)}\n")


@dataclass(frozen=True)
class ShelfTable(Relation[ShelfSession]):
    shelf: Shelf
    table: str
    batch_rows: int = 2
    fails_after: int | None = None
    types: Mapping[str, pa.DataType] = field(default_factory=dict, compare=False)

    @property
    def system(self) -> Shelf:
        return self.shelf

    @property
    def name(self) -> str:
        return self.table

    def typed(self, columns: Mapping[str, pa.DataType]) -> Self:
        return replace(self, types=columns)

    def _path(self, session: ShelfSession) -> Path:
        path = self.shelf.path / "versions" / f"{session.version:05}" / f"{self.table}.parquet"
        if not path.exists():
            raise SourceFailed(f"there is no table {self.table} in {self.shelf.address}.", "Fix its name.")
        return path

    def schema(self, session: ShelfSession) -> pa.Schema:
        return pq.read_schema(self._path(session))

    def read(
        self, session: ShelfSession, scope: Scope, columns: Sequence[str] | None = None
    ) -> pa.RecordBatchReader:
        rows = pq.read_table(self._path(session))
        if not scope.is_whole_table:
            bounds = scope.on(rows.schema)
            values = rows.select(list(bounds.columns)).to_pylist()
            rows = rows.filter(pa.array([bounds.part_of(row) is not None for row in values]))
        rows = rows.select(list(columns)) if columns is not None else rows

        def stream() -> Iterator[pa.RecordBatch]:
            for number, batch in enumerate(rows.to_batches(max_chunksize=self.batch_rows)):
                if number == self.fails_after or not (self.shelf.path / "open" / session.token).exists():
                    raise SourceFailed(f"{self.shelf.address} went away.", "Run again.")
                yield batch

        return pa.RecordBatchReader.from_batches(rows.schema, stream())

    def versions(
        self, session: ShelfSession, scopes: Sequence[Scope], updated_at: str | None = None
    ) -> list[str]:
        rows = [self.read(session, scope).read_all() for scope in scopes]
        return [str(pc.sum(each["n"]).as_py()) if each.num_rows else NO_ROWS for each in rows]

    def changed(
        self, session: ShelfSession, columns: Sequence[str], updated_at: str, since: dt.datetime
    ) -> pa.RecordBatchReader:
        rows = pq.read_table(self._path(session))
        late = rows.filter(pc.greater_equal(rows[updated_at], pa.scalar(since, rows[updated_at].type)))
        return late.group_by(list(columns)).aggregate([]).select(list(columns)).to_reader()
