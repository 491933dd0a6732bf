"""`open_table`: a table of a lake by its name, for notebooks and scripts."""

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from practicus_assets.errors import (
    DeclarationError,
    PracticusAssetsError,
    TableNotFound,
    did_you_mean,
    naming,
)
from practicus_assets.lake.delta.log_files import LOG
from practicus_assets.lake.delta.root import resolved
from practicus_assets.lake.delta.snapshot import Snapshot, opened
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.delta.table_folder import TableFolder, options_of
from practicus_assets.lake.partitions.scope import Partition
from practicus_assets.parameters import named_parameters
from practicus_assets.wording import enumerated

_LISTED_FOLDERS = 100  # requests that an error is worth
_SHOWN_NAMES = 12


@named_parameters
def open_table(
    root_uri: str | os.PathLike[str],
    name: str | Sequence[str],
    version: int | datetime | None = None,
    *,
    partitions: Iterable[Partition] | None = None,
    storage_options: Mapping[str, str] | None = None,
) -> Snapshot:
    """Pin a table of a lake at its newest version, or at the given one, by the name of its asset.

        orders = open_table("lake", "orders")
        orders.to_pandas(columns=["order_id", "amount"], predicate="amount > 1000")
        orders.sql("SELECT shop, sum(amount) AS total FROM orders GROUP BY shop").to_pandas()

    Args:
        root_uri: the lake's root, as `DeltaIOManager` has it: a folder, or a prefix such as
            `s3://bucket/lake`.
        name: the asset's key: `"orders"`, `"shop/orders"`, or its parts as a list.
        version: the version's number, or a moment with a time zone; see `Snapshot.open`.
        partitions: the partitions to read; see `Snapshot.open`.
        storage_options: delta-rs's own, e.g. `AWS_REGION`.

    Raises:
        TableNotFound: if there is no such table; the text names those that are there.
        VersionGone: if the log no longer reaches that version.
        OutOfScope: for partitions that the table cannot have.
        DeclarationError: for a root, a name, a version or partitions that are none.

    """
    parts = name.split("/") if isinstance(name, str) else name
    if not isinstance(parts, Sequence) or not all(isinstance(part, str) for part in parts):
        raise DeclarationError(f"name={name!r} is no name.", 'Write open_table("lake", "shop/orders").')
    table = Table.at(root_uri, list(parts), storage_options)
    with naming(table.name):
        try:
            at = opened(table, version)
        except TableNotFound as error:
            if version is not None and table.open_if_exists() is not None:
                raise
            raise _missing(table, resolved(root_uri), storage_options, error) from None
        return Snapshot.of_partitions(at, partitions)


def tables_in(root_uri: str, storage_options: Mapping[str, str] | None) -> tuple[list[str], bool]:
    """Return the names of the tables of a lake, as its folders show them, and whether these are all.

    Folders whose names begin with `_` or `.`, and those of partitions, are not looked into; no more than a
    hundred folders are listed, one request each.

    Raises:
        StoreFailed: if they cannot be listed.

    """
    root = TableFolder("", root_uri, options_of(storage_options))
    names, waiting, listed = [], [""], 0
    while waiting and listed < _LISTED_FOLDERS:
        folder = waiting.pop(0)
        listed += 1
        folders = root.folders_in(folder)
        if LOG in folders and folder:
            names.append(folder)
        inner = [each for each in folders if not each.startswith(("_", ".")) and "=" not in each]
        waiting += [f"{folder}/{each}" if folder else each for each in inner]
    return sorted(names), not waiting


def _missing(
    table: Table, root_uri: str, storage_options: Mapping[str, str] | None, error: TableNotFound
) -> TableNotFound:
    """Return the error that there is no table, with the names of those that are there."""
    try:
        names, is_all = tables_in(root_uri, storage_options)
    except PracticusAssetsError:
        return error
    shown = names[:_SHOWN_NAMES]
    more = len(names) - len(shown)
    further = [f"{more:,} more"] if more else []
    there = enumerated([*shown, *further]) + ("" if is_all else ", and folders that were not looked into")
    advice = f"The lake has {there}." if names else "The lake has no tables: correct its root."
    question = did_you_mean(table.name, names, most=3)
    return TableNotFound(f"there is no Delta table at {table.uri}.", f"{question} {advice}".strip())
