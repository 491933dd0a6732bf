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
from practicus_assets.lake.delta.root import LOG, resolved
from practicus_assets.lake.delta.snapshot import Snapshot, opened
from practicus_assets.lake.delta.table import Table, TableVersion
from practicus_assets.lake.delta.table_folder import TableFolder, options_of
from practicus_assets.lake.layers.layered import layers_of
from practicus_assets.lake.partitions.scope import Partition, Scope
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
    base_uri: str | os.PathLike[str] | None = None,
    base_storage_options: Mapping[str, str] | None = None,
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
        base_uri: the root that the lake lies over, if it lies over one, as `DeltaIOManager` has it. What the
            lake's own root does not have of the table is read there; a version is then a moment.
        base_storage_options: those of the base; by default as for the lake.

    Raises:
        TableNotFound: if there is no such table; the text names those that are there.
        VersionGone: if the log no longer reaches that version.
        OutOfScope: for partitions that the table cannot have.
        DeclarationError: for a root, a name, a version or partitions that are none; over a base, for the
            number of a version.

    """
    parts = name.split("/") if isinstance(name, str) else name
    if not isinstance(parts, Sequence) or not all(isinstance(part, str) for part in parts):
        raise DeclarationError(f"name={name!r} is no name.", 'Write open_table("lake", "shop/orders").')
    table = Table.at(root_uri, list(parts), storage_options)
    if base_uri is not None:
        base = Table.at(base_uri, list(parts), base_storage_options or storage_options, read_only=True)
        with naming(table.name):
            return _over(base, table, version, partitions)
    with naming(table.name):
        try:
            at = opened(table, version)
        except TableNotFound as error:
            if version is not None and table.open_if_exists() is not None:
                raise
            raise _missing(table, resolved(root_uri), storage_options, error) from None
        return Snapshot.of_partitions(at, partitions)


def _over(
    base: Table, own: Table, version: int | datetime | None, partitions: Iterable[Partition] | None
) -> Snapshot:
    """Return the snapshot of a table that an own root, its base or both have."""
    if version is not None and not isinstance(version, datetime):
        raise DeclarationError(
            f"version={version!r} is a number, and the own root and the base each have their own.",
            "Give a moment, a datetime with a time zone.",
        )
    above, below = opened_if_any(own, version), opened_if_any(base, version)
    at = above or below
    if at is None:
        raise TableNotFound(
            f"there is no Delta table at {own.uri}, and none in the base, at {base.uri}.",
            "Correct the name or the roots, or give a later moment."
            if version is not None
            else "Correct the name or the roots.",
        )
    scope = Scope() if partitions is None else Scope.of(partitions, at.partition_by)
    snapshot, _ = layers_of(above, below, scope or Scope())
    return snapshot.without_rows() if scope is None else snapshot


def opened_if_any(table: Table, version: int | datetime | None) -> TableVersion | None:
    """Open a version of a table, or return None where there is no table at it."""
    try:
        return opened(table, version)
    except TableNotFound:
        return None


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
