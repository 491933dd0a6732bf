"""Failures of PostgreSQL: errors of its driver in our words, without values of rows and without secrets."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from practicus_assets.destinations.export import Export
from practicus_assets.errors import ExportConflict, ExportFailed, LossyValues, PracticusAssetsError
from practicus_assets.redaction import redacted
from practicus_assets.sources.postgresql.answer import LOST_STATES
from practicus_assets.wording import in_short

_LONGEST = 300
_ADVICE = {  # by SQLSTATE, or by the class that it begins with
    "42501": "Grant the user of the connection what the message names.",
    "3F000": "Create the schema: exports make tables, and no schemas.",
    "3D000": "Create the database, or correct its name.",
    "28": "Correct the user or the password of the connection.",
    "23": "Change the constraint there, or the table's rows: a contract refuses such rows before.",
    "53": "Give the server more of what it lacks, then run again.",
    "25006": "Export to the primary server: this one takes no writes.",
    "40": "Run again.",
}


def is_unsettled(error: BaseException) -> bool:
    """Return whether an error of a commit leaves open whether it landed."""
    state = getattr(error, "sqlstate", None) or ""
    return not isinstance(error, PracticusAssetsError) and (not state or state[:2] in {"08", "57"})


@contextmanager
def making_markers(schema: str, statement: str) -> Iterator[None]:
    """Say what to do where the table of markers may not be made in a block."""
    try:
        yield
    except Exception as error:
        if getattr(error, "sqlstate", None) != "42501":
            raise
        raise ExportFailed(
            f"the user of the connection may not create the table of markers in the schema {schema!r}.",
            f"Let its owner run there: {statement}; and grant SELECT, INSERT, UPDATE and DELETE on it.",
        ) from None


def translated(error: Exception, export: Export, address: str) -> PracticusAssetsError | None:
    """Return an error of the driver in our words; None for other errors."""
    if type(error).__module__.partition(".")[0] != "adbc_driver_manager":
        return None
    state = str(getattr(error, "sqlstate", None) or "")
    message = _message(error)
    if state == "55P03":
        return ExportConflict(
            f"another export of the same rows to {export.target}, or somebody else's transaction, did not "
            "end in time.",
            "Run again when it has ended; pg_stat_activity shows who waits for whom.",
        )
    if state[:2] == "22":
        shown = message if export.snapshot.sample_rows else message.partition(":")[0].partition('"')[0]
        return LossyValues(
            f"{export.target} refused values: {shown.strip()}{_column(error)} (SQLSTATE {state}).",
            "Fix them in the table, or widen the column there.",
        )
    advice = _ADVICE.get(state) or _ADVICE.get(state[:2]) or "Repair it, then run again."
    if not state or state.startswith(LOST_STATES):
        return ExportFailed(
            f"{address} cannot be reached, or went away: {message}.",
            "Repair the server or the connection, then run again.",
        )
    return ExportFailed(f"{address} refused: {message} (SQLSTATE {state}).", advice)


def _message(error: Exception) -> str:
    """Return the server's own message: its first line alone, for the next ones hold values of rows."""
    details = dict(getattr(error, "details", None) or [])
    primary = details.get("PG_DIAG_MESSAGE_PRIMARY", b"")
    text = bytes(primary).decode(errors="replace")
    if not text:
        whole = str(error)
        found = re.search(r"[^\W\d_]{4,}:  (.*)", whole)  # the severity, in the server's language
        text = found[1] if found else whole.partition("\n")[0]
    return in_short(redacted(text, {}), _LONGEST).rstrip(".")


def _column(error: Exception) -> str:
    """Return the column that COPY was about, as the end of a sentence."""
    found = re.search(r"COPY .*, line \d+, column (.*?)(?:: |$)", str(error), re.MULTILINE)
    return f", in column {found[1]!r}" if found else ""
