"""Pieces of work for a transaction, and what a table holds before and after each."""

import os
import uuid
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import quote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from practicus_assets.errors import PracticusAssetsError
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.transactions.options import Mode, WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction
from tests.kit import partitions, read

SPELLINGS: dict[str, Callable[[Path], str]] = {  # of one local root, each of which is the same place inside
    "plain": str,
    "relative": os.path.relpath,
    "home": lambda path: f"~/{os.path.relpath(path, Path.home())}",
    "file url": lambda path: f"file://localhost{quote(str(path.parent))}/my%20lake-{path.name}",
    "odd characters": lambda path: f"{path.parent}/./läke #1? {path.name}/",
    "link": lambda path: str(_linked(path)),
}


ONLY = os.environ.get("SPELLING", "")  # the spelling of all local roots; without, each has its turn


def rotated(name: str) -> Iterator[Callable[[Path], str]]:
    """Yield the spellings, over and over, beginning at one that depends on a test's name alone."""
    spellings = [SPELLINGS[ONLY]] if ONLY else list(SPELLINGS.values())
    first = zlib.crc32(name.encode()) % len(spellings)
    return cycle(spellings[first:] + spellings[:first])


def _linked(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    link = path.with_name(f"link-{path.name}")
    link.symlink_to(path)
    return link


Row = tuple[str, int, str]  # partition, identifier, value
State = Counter[Row] | None  # None: there is no table

NAME = "t"


@dataclass(frozen=True)
class Place:
    """A lake that an attack uses up: its root, and the options that reach it."""

    root_uri: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def table(self) -> Table:
        """The table that is attacked."""
        return Table.at(self.root_uri, [NAME], self.options)

    def through(self, options: Mapping[str, str]) -> "Place":
        """Return the same lake reached by other options."""
        return replace(self, options={**self.options, **options})

    def state(self, name: str = NAME) -> State:
        """Return every row that delta-rs alone reads from the newest version of a table."""
        table = Table.at(self.root_uri, [name], self.options)
        try:
            handle = DeltaTable(table.uri, storage_options=dict(self.options))
        except TableNotFoundError:
            return None
        return Counter((row["p"], row["id"], row["v"]) for row in read(handle, "p, id, v"))


@dataclass(frozen=True)
class Work:
    """What one step wants of a table; every attempt at it is the same work.

    Attributes:
        mode: of the transaction; a merge is by `id`.
        partitions: the scope; none for the whole table.
        rows: the output.
        wide: whether the output has a further column.
        run: the run.
        attempt: 1 for the first.

    """

    mode: Mode
    partitions: tuple[str, ...]
    rows: tuple[Row, ...]
    wide: bool = False
    run: str = field(default_factory=lambda: str(uuid.uuid4()))
    attempt: int = 1

    def again(self) -> "Work":
        """Return the next attempt."""
        return replace(self, attempt=self.attempt + 1)

    def begin(self, place: Place) -> Transaction:
        """Begin the attempt's transaction."""
        return Transaction(
            place.table,
            partitions(*self.partitions) if self.partitions else Scope(),
            WriteOptions(
                partition_by=["p"], mode=self.mode, merge_keys=["p", "id"] if self.mode == "merge" else []
            ),
            provenance=Provenance(run_id=self.run, step="s", attempt=self.attempt),
        )

    def carry_out(self, place: Place) -> int:
        """Make the attempt; return the version that it committed."""
        return self.begin(place).write(self.data()).version

    def data(self) -> pa.RecordBatchReader:
        """Return the output, as a stream."""
        p, ids, v = zip(*self.rows, strict=True) if self.rows else ((), (), ())
        columns = {
            "p": pa.array(p, pa.string()),
            "id": pa.array(ids, pa.int64()),
            "v": pa.array(v, pa.string()),
        }
        if self.wide:
            columns["extra"] = pa.array(ids, pa.int64())
        return pa.table(columns).to_reader()

    def after(self, before: State) -> Counter[Row]:
        """Return what the table holds once the work has landed on what it held."""
        old = before or Counter()
        if self.mode == "append":
            return old + Counter(self.rows)
        replaced = {(p, i) for p, i, _ in self.rows}
        kept = {
            row: count
            for row, count in old.items()
            if (self.partitions and row[0] not in self.partitions)
            or (self.mode == "merge" and row[:2] not in replaced)
        }
        return Counter(kept) + Counter(self.rows)


def rows(partition: str, value: str, *ids: int) -> tuple[Row, ...]:
    """Return rows of one partition."""
    return tuple((partition, i, value) for i in ids)


OLD = rows("a", "old", 0, 1, 2) + rows("b/c d", "old", 0, 1) + rows("z", "old", 0)
_NEW = rows("a", "new", 1, 2, 3, 4) + rows("b/c d", "new", 7)

CASES: dict[str, tuple[tuple[Row, ...] | None, Callable[[], Work]]] = {
    "create": (None, lambda: Work("replace", (), _NEW)),
    "replace": (OLD, lambda: Work("replace", ("a", "b/c d"), _NEW)),
    "append": (OLD, lambda: Work("append", ("a",), _NEW[:4])),
    "merge": (OLD, lambda: Work("merge", ("a", "b/c d"), _NEW)),
    "add a column": (OLD, lambda: Work("replace", ("a", "b/c d"), _NEW, wide=True)),
}


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended.

    Attributes:
        kind: whether it landed.
        version: the table's version that holds its rows, if it landed.
        error, text: the error's name and text, if it did not.
        ours: whether the error is one of the package's.

    """

    kind: Literal["landed", "raised"]
    version: int = -1
    error: str = ""
    text: str = ""
    ours: bool = True


class Attempted(Protocol):
    """What a writer can be given to do."""

    def carry_out(self, place: Place) -> int:
        """Do it; return the version that it committed, or that it worked on."""


def attempt(work: Attempted, place: Place) -> Outcome:
    """Make one attempt."""
    try:
        version = work.carry_out(place)
    except Exception as error:  # noqa: BLE001 whatever it is, it is judged
        ours = isinstance(error, PracticusAssetsError)
        return Outcome("raised", -1, type(error).__name__, str(error), ours)
    return Outcome("landed", version)


def in_order(start: State, landed: Iterable[tuple[Work, Outcome]]) -> Counter[Row]:
    """Return what the table holds after these commits, one after the other by their versions."""
    state = Counter(start or ())
    for work, _ in sorted(landed, key=lambda pair: pair[1].version):
        state = work.after(state)
    return state


def until_landed(work: Work, place: Place, attempts: int = 4) -> list[Outcome]:
    """Make further attempts, as a retry policy does, until one lands; return how each ended."""
    ended = []
    for _ in range(attempts):
        work = work.again()
        ended.append(attempt(work, place))
        if ended[-1].kind == "landed":
            break
    return ended


def wrong_after_retry(work: Work, place: Place, after: object) -> str | None:
    """Try again after a kill, and return what is wrong: the first attempt has to land, and be right.

    Args:
        work: what the killed process did.
        place: where.
        after: what is to be there then.

    """
    later = until_landed(work, place)
    if len(later) > 1 or later[0].kind != "landed":
        return f"the retry did not land at once: {later}"
    return None if place.state() == after else f"after the retry: {place.state()}"
