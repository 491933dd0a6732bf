"""Markers: which data of which version are there, kept beside the rows and written together with them."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from practicus_assets.destinations.export import WHOLE, Export
from practicus_assets.errors import ExportConflict
from practicus_assets.lake.partitions.recorded import RecordedScope
from practicus_assets.wording import number_of


@dataclass(frozen=True)
class Marker:
    """What is there of one partition, or of a whole table.

    Attributes:
        scope: the partition.
        layout: what exports have in common that may run side by side; empty for the whole table.
        table_name, table_id: the table, and the id by which Delta knows it.
        version: the newest version of the table whose rows these are.
        data_version: the data version of the rows; empty once others replaced some of them.
        rows: how many rows there are.
        run_id: the run that wrote them.

    """

    scope: RecordedScope
    layout: str
    table_name: str
    table_id: str
    version: int
    data_version: str
    rows: int
    run_id: str

    @property
    def scope_json(self) -> str:
        """The partition as text."""
        return json.dumps(self.scope.to_json())

    @property
    def scope_id(self) -> str:
        """A short text that tells the partition from every other."""
        return scope_id(self.scope)

    @classmethod
    def of_export(cls, export: Export, key: str, rows: int, versions: Mapping[str, int]) -> "Marker":
        """Return the marker of one partition of an export.

        Args:
            export: the export.
            key: the partition.
            rows: how many rows there are.
            versions: the versions of what was there with the same rows, by the ids of their scopes.

        """
        scope, snapshot = export.parts[key], export.snapshot
        data_version = export.data_versions[key]
        return cls(
            scope,
            export.layout,
            export.table.name,
            snapshot.table_id,
            max(snapshot.version, versions.get(scope_id(scope), 0)),
            data_version,
            rows,
            export.run_id,
        )


@dataclass(frozen=True)
class Standing:
    """How an export stands to what is there.

    Attributes:
        present: whether all of it is there already.
        versions: the newest version that has the rows of each partition, by the ids of their scopes, if they
            are there.
        rows: how many rows of it are there, if it is.
        run_ids: the runs that wrote them, if it is.
        replaced: the ids of the scopes whose markers its own replace.
        broken: the ids of further scopes, of which it replaces some rows.

    """

    present: bool
    replaced: tuple[str, ...]
    broken: tuple[str, ...] = ()
    versions: Mapping[str, int] = field(default_factory=dict)
    rows: int = 0
    run_ids: frozenset[str] = frozenset()


def standing(export: Export, markers: Iterable[Marker]) -> Standing:
    """Return how an export stands to the markers of its target.

    Raises:
        ExportConflict: if rows of a newer version are there, or rows of another table.

    """
    own = {scope_id(scope): key for key, scope in export.parts.items()}
    whole = export.scope.is_whole_table
    there = [m for m in markers if whole or m.scope == WHOLE or export.recorded.overlaps(m.scope)]
    same: Mapping[str, Marker] = {marker.scope_id: marker for marker in there if marker.scope_id in own}
    if len(same) == len(own) and all(
        marker.data_version == export.data_versions[own[name]] and marker.table_id == export.snapshot.table_id
        for name, marker in same.items()
    ):
        runs = frozenset(marker.run_id for marker in same.values())
        versions = {name: marker.version for name, marker in same.items()}
        rows = sum(marker.rows for marker in same.values())
        return Standing(present=True, replaced=tuple(same), versions=versions, rows=rows, run_ids=runs)
    for marker in there:
        _refuse_other(export, marker)
    replaced = tuple(marker.scope_id for marker in there if whole or marker.scope_id in own)
    broken = tuple(m.scope_id for m in there if m.scope_id not in replaced and m.data_version)
    return Standing(present=False, replaced=replaced, broken=broken)


def may_share(export: Export, markers: Iterable[Marker]) -> bool:
    """Return whether exports of other partitions may run beside one.

    They may where everything that is there was divided into partitions in the same way: then the partitions
    of two exports are the same or apart. The first export of a way is always alone.
    """
    layouts = {marker.layout for marker in markers if marker.layout}
    return bool(export.layout) and layouts == {export.layout}


def scope_id(scope: RecordedScope) -> str:
    """Return a short text that tells a partition from every other."""
    return hashlib.sha256(json.dumps(scope.to_json(), sort_keys=True).encode()).hexdigest()


def _refuse_other(export: Export, marker: Marker) -> None:
    """Raise ExportConflict if what is there is not an older version of the same table."""
    mine = export.snapshot
    if marker.table_id != mine.table_id:
        raise ExportConflict(
            f"{export.target} has rows of another table: {marker.table_name} with the id {marker.table_id}, "
            f"exported by run {marker.run_id or 'unknown'}; this one has the id {mine.table_id}.",
            "Export to another target; or, if the table was made anew, delete the markers of "
            f"{export.target} in practicus_exports, and run again.",
        )
    if marker.version > mine.version:
        raise ExportConflict(
            f"{export.target} has rows of version {marker.version} of the table already, exported by run "
            f"{marker.run_id or 'unknown'}, and this run exports version {mine.version}.",
            "Nothing is to be done: the newer rows stay. To bring older rows there, roll the table back, "
            "which is a newer version.",
        )


def count_problem(found: int, sent: int) -> str:
    """Return what is wrong where rows were counted there after they were sent."""
    return f"{number_of(sent, 'row')} of the scope were sent, and {number_of(found, 'row')} are there"
