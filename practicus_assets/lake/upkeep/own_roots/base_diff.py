"""Base diffs: what a table of an own root would change in the base that it lies over."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from practicus_assets.errors import CommitConflict, PromotionRefused, naming
from practicus_assets.lake.delta.data_file import DataFile, by_part
from practicus_assets.lake.delta.protocol import refuse_unsupported
from practicus_assets.lake.delta.table import TableVersion
from practicus_assets.lake.layers.layered import layers_of
from practicus_assets.lake.partitions.scope import WHOLE_TABLE, Scope
from practicus_assets.lake.upkeep.diff import Pair, PartitionDiff, comparable
from practicus_assets.lake.upkeep.own_roots.changes import TwoTables, changes_of, refuse_moved
from practicus_assets.lake.upkeep.progress import Progress, unseen


@dataclass(frozen=True)
class BaseDiff:
    """What changed from the base to the own root that lies over it.

    Attributes:
        base_version: the newest version of the base's table; None if there is none.
        own_version: the newest version of the own table; None if there is none, so that nothing changed.
        columns_before: the base's columns, with their types.
        columns_after: those that readers of the own lake see.
        rows_before: how many rows the base's table has; None if its log does not say it.
        rows_after: how many rows readers of the own lake see; None if the logs do not say it.
        partitions: those whose rows differ.
        same: how many partitions the own root has of which the base has the same rows.
        lost: some rows that only the base has.
        gained: some rows that only the own root has.
        conflict: why the changes could not be promoted as they are; empty if they could.

    """

    base_version: int | None = None
    own_version: int | None = None
    columns_before: Mapping[str, str] = field(default_factory=dict)
    columns_after: Mapping[str, str] = field(default_factory=dict)
    rows_before: int | None = 0
    rows_after: int | None = 0
    partitions: tuple[PartitionDiff, ...] = ()
    same: int = 0
    lost: tuple[Mapping[str, Any], ...] = ()
    gained: tuple[Mapping[str, Any], ...] = ()
    conflict: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether readers of the own lake see what the base has."""
        return not self.partitions and self.columns_before == self.columns_after


def diff_base(tables: TwoTables, within: Scope, *, samples: int = 5, progress: Progress = unseen) -> BaseDiff:
    """Compare a table of an own root with that of the base.

    Partitions of which both logs have a fingerprint are compared by it; only where these differ, or a log
    does not say it, are rows read.

    Args:
        tables: the two tables.
        within: every partition that the asset has now; the whole table for an asset without partitions.
        samples: how many lost and gained rows to return at most; never more than the table's `sample_rows`.
        progress: the callback that gets how many partitions are done, of how many.

    Raises:
        PromotionRefused: if the own root has a part of a partition, or rows of no partition of the asset.
        VersionGone: if files, or the beginning of the own table's log, were vacuumed away.
        UnsupportedTable: for features that files alone do not tell, such as deletion vectors.

    """
    with naming(tables.own.name):
        changes = changes_of(tables, within)
        at, below, scope = changes.at, changes.below, changes.scope
        seen = layers_of(at, below, Scope())[0] if at is not None or below is not None else None
        before = _columns(below.schema) if below is not None else {}
        conflict = ""
        partitions: list[PartitionDiff] = []
        lost: list[Mapping[str, Any]] = []
        gained: list[Mapping[str, Any]] = []
        if scope is not None and at is not None:
            try:
                refuse_moved(changes)
            except (CommitConflict, PromotionRefused) as error:
                conflict = error.problem
            samples = min(samples, tables.own.sample_rows)
            for number, (key, pair, counts) in enumerate(_pairs(tables, at, below, scope)):
                progress(number, len(changes.fingerprints))
                partition = {", ".join(scope.columns): key} if scope.columns else {}
                partitions.append(PartitionDiff(partition, *counts, len(pair.lost), len(pair.gained)))
                lost += pair.sample(0, samples - len(lost))
                gained += pair.sample(1, samples - len(gained))
        return BaseDiff(
            below.version if below is not None else None,
            at.version if at is not None else None,
            before,
            _columns(seen.schema) if seen is not None else {},
            below.row_count if below is not None else 0,
            seen.table_row_count if seen is not None else 0,
            tuple(partitions),
            changes.same,
            tuple(lost),
            tuple(gained),
            conflict,
        )


def _columns(schema: pa.Schema) -> dict[str, str]:
    return {f.name: str(f.type) for f in schema}


def _pairs(
    tables: TwoTables, at: TableVersion, below: TableVersion | None, scope: Scope
) -> Iterator[tuple[str, Pair, tuple[int, int]]]:
    """Yield the rows of each partition in the base and in the own root, and how many there are."""
    files: list[Mapping[int, list[DataFile]]] = []
    for version in (below, at):
        if version is not None:
            refuse_unsupported(version, version.partition_by)
        files.append(by_part(version.files, scope.on(version.schema)) if version is not None else {})
    schemas = [below.schema if below is not None else at.schema, at.schema]
    columns = comparable(*schemas)
    for number, key in enumerate(scope.keys or (WHOLE_TABLE,)):
        old, new = files[0].get(number, []), files[1].get(number, [])
        pair = Pair((tables.base, tables.own), schemas, columns, (old, new))
        yield key, pair, (_rows(old), _rows(new))


def _rows(files: list[DataFile]) -> int:
    return sum(file.rows or 0 for file in files)
