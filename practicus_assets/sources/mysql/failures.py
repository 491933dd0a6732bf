"""Failures: what the server or the connection says, as errors that tell what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from ssl import SSLCertVerificationError

from pymysql import err
from pymysql.constants import CR, ER

from practicus_assets.errors import SourceChanged, SourceFailed

# codes that PyMySQL has no names for
_KILLED = 1927  # MariaDB
_STATEMENT_TIMES = (1969, 3024)  # max_statement_time of MariaDB, max_execution_time of MySQL
_INTERRUPTED_FOR_IDLENESS = (4031,)  # MySQL
_LOST = {
    *(CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST, CR.CR_SERVER_LOST_EXTENDED),
    *(ER.SERVER_SHUTDOWN, ER.FORCING_CLOSE, ER.NEW_ABORTING_CONNECTION, _KILLED, *_INTERRUPTED_FOR_IDLENESS),
}
_NOT_REACHED = {
    *(CR.CR_CONN_HOST_ERROR, CR.CR_CONNECTION_ERROR),
    *(ER.CON_COUNT_ERROR, ER.TOO_MANY_USER_CONNECTIONS, ER.USER_LIMIT_REACHED, ER.HANDSHAKE_ERROR),
}
_LOGIN = {ER.ACCESS_DENIED_ERROR, ER.HOST_NOT_PRIVILEGED, ER.HOST_IS_BLOCKED, 1698, 1862, 3118, 4151}
_DENIED = {
    *(ER.DBACCESS_DENIED_ERROR, ER.TABLEACCESS_DENIED_ERROR, ER.COLUMNACCESS_DENIED_ERROR),
    *(ER.SPECIFIC_ACCESS_DENIED_ERROR, ER.VIEW_NO_EXPLAIN, ER.PROCACCESS_DENIED_ERROR),
}
_CHARACTERS = {ER.CANT_AGGREGATE_2COLLATIONS, ER.CANT_AGGREGATE_NCOLLATIONS, 3854}
_READ_ONLY = 1792
_CHANGED = {ER.TABLE_DEF_CHANGED}
_EXPLAINED = 300  # characters of the server's own words


def code_of(error: BaseException) -> int:
    """Return the number by which servers and clients of MySQL know an error; 0 if it has none."""
    code = error.args[0] if isinstance(error, err.MySQLError) and error.args else 0
    return code if isinstance(code, int) else 0


def is_lost(error: BaseException) -> bool:
    """Return whether the connection is gone, so that another one may do."""
    return isinstance(error, err.InterfaceError | OSError) or code_of(error) in _LOST


def may_connect_later(error: BaseException) -> bool:
    """Return whether a connection may succeed if it is tried again: the server is busy, or not up yet."""
    cause = getattr(error, "original_exception", None)
    if isinstance(cause, SSLCertVerificationError):
        return False
    return is_lost(error) or code_of(error) in _NOT_REACHED


def words_of(error: BaseException) -> str:
    """Return what the server or the connection says, in short."""
    text = str(error.args[-1]) if isinstance(error, err.MySQLError) and error.args else str(error)
    return f"{' '.join(text.split())[:_EXPLAINED].rstrip('.')} ({code_of(error) or type(error).__name__})"


def is_absent(error: BaseException | None) -> bool:
    """Return whether an error is that of a table that is not there."""
    return error is not None and code_of(error) in {ER.NO_SUCH_TABLE, ER.BAD_TABLE_ERROR}


def is_of_characters(error: BaseException | None) -> bool:
    """Return whether a text was refused because the column's character set has not all of its characters."""
    return error is not None and code_of(error) in _CHARACTERS


@contextmanager
def failing(what: str, address: str, user: str) -> Iterator[None]:
    """Raise what goes wrong with a server as an error of this package.

    Args:
        what: what is read, as a part of a sentence: "orders cannot be read".
        address: where the system is.
        user: who reads.

    """
    try:
        yield
    except (err.MySQLError, OSError) as error:
        raise _failure(error, what, address, user) from error
    except RuntimeError as error:  # PyMySQL's for passwords that it needs another package to encrypt
        if "cryptography" not in str(error) and "pynacl" not in str(error).lower():
            raise
        raise SourceFailed(
            f"{what}: {address} wants the password encrypted, for which PyMySQL needs another package.",
            "Encrypt the connection with ssl_mode=\"REQUIRED\", or pip install 'PyMySQL[rsa,ed25519]'.",
        ) from error


def _failure(error: BaseException, what: str, address: str, user: str) -> SourceFailed:  # noqa: PLR0911 a table
    code, words = code_of(error), words_of(error)
    problem = f"{what} from {address}: {words}."
    if code in _LOGIN:
        return SourceFailed(problem, f"Check the password of user {user!r}, and from where it may connect.")
    if code in _DENIED:
        return SourceFailed(problem, f"Grant it: GRANT SELECT ON … TO {user!r}.")
    if code == ER.BAD_DB_ERROR:
        return SourceFailed(problem, "Name a database that the server has; SHOW DATABASES lists them.")
    if code in _CHANGED:
        return SourceChanged(problem, "A table was altered after the session began: run again.")
    if code == _READ_ONLY:
        return SourceFailed(problem, "A source only reads: write one SELECT.")
    if code in _STATEMENT_TIMES:
        return SourceFailed(
            problem, "The server ends statements that take so long: read fewer rows, or raise its limit."
        )
    if isinstance(getattr(error, "original_exception", None), SSLCertVerificationError):
        return SourceFailed(
            problem, "Name the certificate's issuer in ssl_ca, or the host as it is certified."
        )
    if code in _NOT_REACHED:
        return SourceFailed(problem, "Check the host, the port, and whether the server is up.")
    if is_lost(error):
        return SourceFailed(problem, "Find out why the connection ended, and run again.")
    return SourceFailed(problem, "Repair it there, and run again.")
