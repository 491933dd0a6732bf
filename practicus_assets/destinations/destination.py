"""Destinations: what an export needs of another system."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from practicus_assets.errors import DeclarationError

if TYPE_CHECKING:
    from practicus_assets.destinations.export import Export, Exported

WAIT_S = 600.0  # for another export of the same rows to end
MARKERS = "practicus_exports"


class Destination(ABC):
    """A system that rows of tables are brought to."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """The kind as Dagster's UI spells it, e.g. "postgresql"."""

    @property
    @abstractmethod
    def address(self) -> str:
        """Where it is, without credentials, e.g. `postgresql://db:5432/shop`."""

    @property
    def pool(self) -> str | None:
        """The Dagster pool that bounds the steps which use it at once; None if they need no bound."""
        return None

    @abstractmethod
    def refuse_target(self, target: str) -> None:
        """Refuse the name of a target that cannot be one, without connecting.

        Raises:
            DeclarationError: naming it.

        """

    @abstractmethod
    def write(self, export: "Export") -> "Exported":
        """Replace the rows of a scope there, all of them or none, unless they are there already.

        Raises:
            ExportConflict: if rows of a newer version are there, or of another table; or if another export
                of the same rows does not end.
            ExportFailed: if the system refuses, or goes away.
            SchemaMismatch: if the target lacks columns, or has them of types that do not hold the values.
            LossyValues: for values that the target cannot hold.

        """


def two_names(target: str, first: str) -> tuple[str, str]:
    """Return the two parts of a target's name; the first is filled in where it has one part.

    Raises:
        DeclarationError: if it has none.

    """
    before, dot, after = target.partition(".")
    parts = (before, after) if dot else (first, before)
    if not all(parts):
        raise DeclarationError(
            f"{target!r} names no table of another system.", "Write it as schema.table, or as table."
        )
    return parts
