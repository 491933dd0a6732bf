"""Layered tables: the place of an asset's table, and of that in the base which it lies over."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from practicus_assets.errors import DeclarationError, ReleaseRefused, TableNotFound
from practicus_assets.lake.delta.snapshot import Snapshot, opened
from practicus_assets.lake.delta.table import Table, TableVersion
from practicus_assets.lake.layers.claims import Claims
from practicus_assets.lake.layers.layered import layers_of
from practicus_assets.lake.layers.open_table import opened_if_any
from practicus_assets.lake.partitions.scope import Scope

Version = int | datetime | None


@dataclass(frozen=True)
class LayeredTable:
    """A table of a lake.

    Attributes:
        own: its place below the lake's root, the only one that is written.
        base: its place in the base, which is only read; None for a lake without a base.
        root_uri, base_uri: the two roots; empty for a lake without a base.

    """

    own: Table
    base: Table | None = None
    root_uri: str = ""
    base_uri: str = ""

    def pinned(
        self, scope: Scope, own: Version = None, base: Version = None
    ) -> tuple[Snapshot, tuple[TableVersion, ...]]:
        """Return a snapshot, and the versions that it reads.

        Args:
            scope: the partitions to read.
            own: the version of the own table, or a moment; the newest by default.
            base: that of the base's table.

        Raises:
            TableNotFound: if there is no table at these versions, neither here nor in the base.
            VersionGone: if a version was vacuumed away.

        """
        if self.base is None:
            at = opened(self.own, own)
            return Snapshot(at, scope), (at,)
        layers = opened_if_any(self.own, own), opened_if_any(self.base, base)
        if layers == (None, None):
            raise TableNotFound(
                f"there is no Delta table at {self.own.uri}, and none in the base, at {self.base.uri}.",
                f"Materialize {self.own.name} first, or correct the base.",
            )
        return layers_of(*layers, scope)

    def of_author(self, scope: Scope, version: int | datetime) -> tuple[Snapshot, tuple[TableVersion, ...]]:
        """Return a snapshot of a version that an input's author pins; of the base's, if it has a number.

        Raises:
            DeclarationError: for a number, where the own root has the table as well.
            TableNotFound, VersionGone: as above.

        """
        if self.base is None or isinstance(version, datetime):
            return self.pinned(scope, version, version)
        if self.own.open_if_exists() is not None:
            raise DeclarationError(
                f"version={version} is a number of the base's table, and {self.own.uri} is there, too.",
                "Pin a moment, a datetime with a time zone; or delete the table's folder in the own root.",
            )
        at = opened(self.base, version)
        return Snapshot(at, scope), (at,)

    def base_at(self, version: Version) -> TableVersion | None:
        """Return the base's table at a version; None if there is none, or no base."""
        return opened_if_any(self.base, version) if self.base is not None else None


def refuse_release_of_layers(tables: Iterable[LayeredTable]) -> None:
    """Raise ReleaseRefused for tables of which an own root has only some partitions: a release names no base.

    Raises:
        ReleaseRefused: naming the first of them.

    """
    for table in tables:
        if table.base is None or table.base.open_if_exists() is None:
            continue
        own = table.own.open_if_exists()
        if own is None or not Claims.of(own).is_whole_table:
            raise ReleaseRefused(
                f"rows of {table.own.name} are read in the base, {table.base_uri}, and a release would "
                "have only those of the own root.",
                "Nothing was written. Promote the tables, and release them in the base's lake.",
            )
