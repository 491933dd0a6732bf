"""The destination that a system is."""

from functools import partial
from typing import Any

from practicus_assets.destinations.destination import WAIT_S, Destination
from practicus_assets.errors import DeclarationError, ExportFailed
from practicus_assets.sources.files.storage_options import revealed_options
from practicus_assets.sources.files.store import Files
from practicus_assets.sources.mysql.system import MySQL
from practicus_assets.sources.postgresql.system import PostgreSQL
from practicus_assets.sources.system import System

_LONGEST_S = 4 * 3600


def destination_of(system: System | Destination, wait_s: float = WAIT_S) -> Destination:
    """Return a system as something that rows are brought to.

    Args:
        system: the system.
        wait_s: how long to wait for another export of the same rows.

    Raises:
        DeclarationError: if rows cannot be brought there.

    """
    if isinstance(system, Destination):
        return system
    if isinstance(system, PostgreSQL):
        from practicus_assets.destinations.postgresql.writer import PostgreSQLDestination  # noqa: PLC0415 of one system

        return PostgreSQLDestination(partial(_postgresql, system), system.address, system.pool, wait_s)
    if isinstance(system, MySQL):
        return _mysql(system, wait_s)
    if isinstance(system, Files):
        from practicus_assets.destinations.files.writer import FilesDestination  # noqa: PLC0415 of one system

        return FilesDestination(partial(_objects, system), system.address, system.kind)
    raise DeclarationError(
        f"to is {system!r}, to which nothing is exported.", "Give a PostgreSQL, a MySQL or Files."
    )


def _mysql(system: MySQL, wait_s: float) -> Destination:
    try:
        from practicus_assets.destinations.mysql.writer import MySQLDestination  # noqa: PLC0415 an extra
        from practicus_assets.sources.mysql.connection import connected  # noqa: PLC0415 an extra
    except ImportError as error:
        raise DeclarationError(
            "exports to MySQL need its driver.", "pip install 'practicus-assets[mysql]'"
        ) from error
    # a statement may take long: the server deletes many rows, or waits for another export
    connect = partial(connected, system.login, read_timeout=_LONGEST_S, write_timeout=_LONGEST_S)
    return MySQLDestination(connect, system.address, system.database, pool=system.pool, wait_s=wait_s)


def _objects(system: Files) -> Any:
    """Return the objects of a store, with its credentials read."""
    from practicus_assets.destinations.files.objects import Objects  # noqa: PLC0415 of one system

    return Objects(system.address, revealed_options(system.storage_options, system.address))


def _postgresql(system: PostgreSQL) -> Any:
    """Return a connection that commits only when it is asked to.

    Raises:
        DeclarationError: if the driver is not installed, or a credential is not there.
        ExportFailed: for an address that libpq cannot read: what it says of it repeats secrets.

    """
    try:
        from adbc_driver_postgresql import dbapi  # noqa: PLC0415 an extra
    except ImportError as error:
        raise DeclarationError(
            "exports to PostgreSQL need its driver.", "pip install 'practicus-assets[postgresql]'"
        ) from error
    address, secrets = system.conninfo()
    try:
        return dbapi.connect(address)
    except Exception as error:
        if any(secret in str(error) for secret in secrets):
            raise ExportFailed(
                f"libpq cannot read how to connect to {system.address}.", "Fix its URL or its parameters."
            ) from None
        raise
