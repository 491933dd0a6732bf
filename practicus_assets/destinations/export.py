"""Exports: which rows of a table go where, and what became of them."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from practicus_assets.errors import DeclarationError, did_you_mean
from practicus_assets.lake.delta.log import entries
from practicus_assets.lake.delta.origins import newest_changes, recorded_fingerprint
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.bounds import Bounds
from practicus_assets.lake.partitions.recorded import RecordedScope
from practicus_assets.lake.partitions.scope import WHOLE_TABLE, Scope, Window
from practicus_assets.lake.rows.fingerprints.fingerprint import EMPTY
from practicus_assets.wording import names_of

if TYPE_CHECKING:
    from practicus_assets.lake.delta.data_file import DataFile

WHOLE = RecordedScope((), ((),))  # of the marker of a whole table
_ENTRIES = 100  # of the log, which are asked for the fingerprint of a partition

Outcome = Literal["exported", "already there"]


@dataclass(frozen=True)
class Exported:
    """What became of an export.

    Attributes:
        outcome: whether rows were written, or were there already.
        rows: how many rows of the scope are there now.
        recovered: whether an attempt that did not learn of its commit had written them.

    """

    outcome: Outcome
    rows: int
    recovered: bool = False


@dataclass(frozen=True)
class Export:
    """Rows of one version of a table, on their way to another system.

    Attributes:
        table: the table.
        snapshot: the version, and the partitions of it that go there.
        target: the name there, such as `public.orders`.
        columns: the name there of each column that goes there; none for all columns by their own names.
        create: whether a target that is not there is made.
        key: the columns that tell rows of the whole table apart, by their names in the table; for `create`.
        required: the columns that hold no null, by their names in the table; for `create`.
        grain: what tells this way of dividing the table into partitions from others, e.g. daily ones from
            hourly ones; exports of one grain may run side by side.
        run_id: the run, for the marker.

    """

    table: Table
    snapshot: Snapshot
    target: str
    columns: Mapping[str, str] = field(default_factory=dict)
    create: bool = False
    key: Sequence[str] = ()
    required: Sequence[str] = ()
    grain: str = ""
    run_id: str = ""

    def __post_init__(self) -> None:
        """Refuse columns that the table does not have, or that meet there.

        Raises:
            DeclarationError: naming them.

        """
        existing = self.snapshot.schema.names
        unknown = [name for name in self.columns if name not in existing]
        if unknown:
            raise DeclarationError(
                f"columns names the {names_of('column', unknown)}, and the table has {existing}.",
                did_you_mean(unknown[0], existing, "Name columns of the table."),
            )
        names = list(self.columns.values())
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise DeclarationError(f"columns has {names_of('name', doubled)} twice.", "Name each once.")
        missing = [name for name in self.scope.columns if self.columns and name not in self.columns]
        if missing:
            raise DeclarationError(
                f"columns lacks the partition {names_of('column', missing)}.",
                "Export it too: by it, the rows of a partition are found there.",
            )

    @property
    def scope(self) -> Scope:
        """The partitions that go there."""
        return self.snapshot.scope

    @cached_property
    def names(self) -> dict[str, str]:
        """The name there of each column that goes there, by its name in the table."""
        return dict(self.columns) or {name: name for name in self.snapshot.schema.names}

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns that go there, by their names there."""
        fields = [self.snapshot.schema.field(name) for name in self.names]
        return pa.schema([f.with_name(self.names[f.name]) for f in fields])

    @cached_property
    def bounds(self) -> Bounds:
        """The scope on the columns there."""
        bounds = self.scope.on(self.snapshot.schema)
        return Bounds(tuple(self.names[name] for name in bounds.columns), bounds.types, bounds.parts)

    @cached_property
    def parts(self) -> dict[str, RecordedScope]:
        """The scope of each partition, by key; of the whole table by `WHOLE_TABLE`."""
        recorded = [
            Bounds(self.bounds.columns, self.bounds.types, (part,)).recorded for part in self.bounds.parts
        ]
        return dict(zip(self.scope.keys, recorded, strict=True)) or {WHOLE_TABLE: WHOLE}

    @cached_property
    def recorded(self) -> RecordedScope:
        """All of the scope, as markers keep it."""
        return self.bounds.recorded if self.bounds.columns else WHOLE

    @property
    def layout(self) -> str:
        """What exports have in common whose partitions are the same or apart; empty for the whole table."""
        if self.scope.is_whole_table:
            return ""
        kinds = ["window" if isinstance(condition, Window) else "key" for condition in self.scope.parts[0]]
        return json.dumps([list(self.bounds.columns), kinds, self.grain])

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Stream the rows, by the names that columns have there."""
        for batch in self.snapshot.scan(list(self.names)):
            yield pa.record_batch(batch.columns, schema=self.schema)

    @cached_property
    def data_versions(self) -> dict[str, str]:
        """The data version of each partition, by key: a text that is another one for other rows.

        It is made of the fingerprint that the newest commit recorded, so that rows which were only stored
        anew count as the same; where the log says none, of the files that hold the rows.
        """
        at = self.table.open(self.snapshot.version)
        bounds = self.scope.on(at.schema)
        keys = list(self.parts)
        files: list[list[DataFile]] = [[] for _ in keys]
        for file in at.files():
            part = bounds.part_of(file.values)
            if part is not None:
                files[part].append(file)
        commits = newest_changes(islice(entries(self.table, at.version), _ENTRIES), bounds)
        columns = [(name, there, str(at.schema.field(name).type)) for name, there in self.names.items()]
        versions = {}
        for number, key in enumerate(keys):
            commit = commits.get(number)
            content: object = None
            if commit is not None:
                content = recorded_fingerprint(commit, key, bounds.one(number))
            if not set(bounds.columns) <= set(at.partition_by):  # files do not tell partitions apart
                content = content or [at.id, at.version]
            elif not files[number]:
                content = EMPTY
            content = content or sorted((f.path, f.rows or 0, f.deleted) for f in files[number])
            text = json.dumps([content, columns])
            versions[key] = hashlib.sha256(text.encode()).hexdigest()[:32]
        return versions

    def rows_by_part(self, rows: int) -> dict[str, int]:
        """Return how many of the rows each partition has; if the log does not say, the first all."""
        keys = list(self.parts)
        counts = {key: count or 0 for key, count in self.snapshot.partition_rows.items()}
        if set(counts) != set(keys) or sum(counts.values()) != rows:
            counts = {key: rows if key == keys[0] else 0 for key in keys}
        return counts
