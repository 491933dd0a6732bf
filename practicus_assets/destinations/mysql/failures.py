"""Failures of MySQL: errors of its driver in our words, without values of rows and without secrets."""

from practicus_assets.destinations.export import Export
from practicus_assets.errors import (
    ExportConflict,
    ExportFailed,
    LossyValues,
    PracticusAssetsError,
    SourceFailed,
)
from practicus_assets.wording import in_short

_LONGEST = 300
_VALUES = {1048, 1264, 1265, 1292, 1366, 1367, 1406, 1411, 3140, 3819, 4025}  # that the server refused
_CONSTRAINTS = {1062, 1452, 1557, 1586}  # whose messages show values
_LOST = {2006, 2013, 2055, 1053, 1317, 1927, 4031, 0}
_ADVICE = {
    1044: "Grant the user SELECT, INSERT, UPDATE, DELETE and, for practicus_exports, CREATE.",
    1045: "Correct the user or the password of the connection.",
    1049: "Create the database, or correct its name.",
    1142: "Grant the user SELECT, INSERT, UPDATE, DELETE and, for practicus_exports, CREATE.",
    1213: "Run again: the server ended one of two transactions that waited for each other.",
    1290: "Export to the primary server: this one takes no writes.",
    1698: "Correct the user or the password of the connection.",
    1836: "Export to the primary server: this one takes no writes.",
}


def is_unsettled(error: BaseException) -> bool:
    """Return whether an error of a commit leaves open whether it landed."""
    if isinstance(error, PracticusAssetsError):
        return False
    return isinstance(error, OSError) or _code(error) in _LOST


def _code(error: BaseException) -> int:
    code = error.args[0] if error.args else 0
    return code if isinstance(code, int) else 0


def translated(error: Exception, export: Export, address: str) -> PracticusAssetsError | None:
    """Return an error of the driver, or of its connection, in our words; None for other errors."""
    if isinstance(error, SourceFailed):  # the connection is that of sources
        return ExportFailed(error.problem, error.advice)
    if type(error).__module__.partition(".")[0] != "pymysql" and not isinstance(error, OSError):
        return None
    return _translated(error, export, address)


def _translated(error: Exception, export: Export, address: str) -> PracticusAssetsError:
    code = _code(error)
    message = in_short(str(error.args[-1]) if error.args else str(error), _LONGEST).rstrip(".")
    if code == 1205:  # noqa: PLR2004 the server's number
        return ExportConflict(
            f"another export to {export.target}, or somebody else's transaction, did not end in time.",
            "Run again when it has ended; SHOW PROCESSLIST and information_schema.innodb_trx show it.",
        )
    shown = message if export.snapshot.sample_rows else f"error {code}"
    if code in _VALUES:
        return LossyValues(
            f"{export.target} refused values: {shown} ({code}).", "Fix them, or widen the column there."
        )
    if code in _CONSTRAINTS:
        constraint = message.rpartition(" for key ")[2] if code == 1062 else ""  # noqa: PLR2004 the server's number
        what = (
            f"a value twice for the key {constraint}" if constraint else "a value that breaks a foreign key"
        )
        return ExportFailed(
            f"{export.target} refused {what} ({code}).",
            "Change the constraint there, or the table's rows: a contract refuses such rows before.",
        )
    if code in _LOST or isinstance(error, OSError):
        return ExportFailed(
            f"{address} cannot be reached, or went away: {message}.",
            "Repair the server or the connection, then run again.",
        )
    return ExportFailed(
        f"{address} refused: {message} ({code}).", _ADVICE.get(code, "Repair it, then run again.")
    )
