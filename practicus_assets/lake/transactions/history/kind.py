"""Kinds of histories: of changes, or of lists. The rows of one mean something else in the other."""

import pyarrow as pa

from practicus_assets.errors import DeclarationError
from practicus_assets.lake.delta.log import entries
from practicus_assets.lake.delta.table import TableVersion
from practicus_assets.lake.rows.histories.declaration import VALID_FROM
from practicus_assets.lake.transactions.attempt import Attempt

DELETE_UNMATCHED = "deleteUnmatched"  # in a commit's operationParameters, if a history is one of lists


def refuse_other_kind(attempt: Attempt, schema: pa.Schema) -> None:
    """Raise DeclarationError if the table is a history of the other kind.

    A table that was replaced since holds rows that are of neither kind, and so does one whose log was
    cleaned of the last commit of a history.

    Args:
        attempt: the attempt, at a history.
        schema: the table's columns after the commit.

    Raises:
        StoreFailed: if the log cannot be read.

    """
    history, began = attempt.options.history, attempt.began
    assert history is not None, "the attempt is at a history"
    found = _kind_of(began) if began is not None else None
    if found is None or found[1] == history.is_of_lists or not _has_validity(attempt, schema):
        return
    version, was_of_lists = found
    anew = "or build another table: give the asset another key, and run all of it."
    if was_of_lists:
        raise DeclarationError(
            f"the table is a history of lists since version {version} or before, and without "
            "delete_unmatched=True its rows are changes: keys that a list lacked would be valid again.",
            f"Write delete_unmatched=True; {anew}",
        )
    raise DeclarationError(
        f"the table is a history of changes since version {version} or before, and delete_unmatched=True "
        "takes its rows for lists of all keys: keys would end where others changed.",
        f"Leave delete_unmatched out; {anew}",
    )


def _kind_of(table: TableVersion) -> tuple[int, bool] | None:
    """Return the last commit of a history, and whether it is one of lists; None if the log has none."""
    newest = table.version  # whose rows count
    for entry in entries(table.table, table.version):
        if entry.version > newest or entry.record is None:
            continue
        if entry.record.given is not None:
            return entry.version, DELETE_UNMATCHED in entry.info.get("operationParameters", {})
        if entry.record.restores_version is not None:
            newest = entry.record.restores_version
    return None


def _has_validity(attempt: Attempt, schema: pa.Schema) -> bool:
    """Whether the table has a row that a history made; one that was replaced since says no time."""
    return any(
        batch.column(VALID_FROM).null_count < batch.num_rows
        for batch in attempt.old_rows(schema)([VALID_FROM])
    )
