"""The destination that a system is."""

from practicus_assets.destinations.destination import Destination
from practicus_assets.errors import DeclarationError
from practicus_assets.sources.system import System


def destination_of(system: System | Destination) -> Destination:
    """Return a system as something that rows are brought to.

    Raises:
        DeclarationError: if rows cannot be brought there.

    """
    if isinstance(system, Destination):
        return system
    raise DeclarationError(
        f"to is {system!r}, to which nothing is exported.", "Give a PostgreSQL, a MySQL or Files."
    )
