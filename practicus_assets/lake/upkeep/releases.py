"""Releases: which version of each of several tables belong together, recorded in one commit.

They are kept in a Delta table of their own, `_releases` below the lake's root, one row for each table of a
release. Its commit is the one atomic write: a reader finds all rows of a release, or none.

Rows are read for ever. Columns that may be null may be added: readers ignore those that they do not know, and
writers leave them null. None changes its meaning: rows that a reader of the present format would misread
raise `FORMAT`, and that reader refuses the table, since it knows neither the next number nor which versions
to keep. Rows from before there was a column `format` are of format 0.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pyarrow as pa

from practicus_assets.errors import (
    CommitConflict,
    ReleaseRefused,
    TableNotFound,
    UnsupportedTable,
    VersionGone,
    did_you_mean,
    naming,
)
from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Partition
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.pauses import pauses
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.lake.upkeep.mixture import refuse_mixed
from practicus_assets.parameters import named_parameters

FOLDER = "_releases"
FORMAT = 1
_TRIES = 20

_CONTRACT = Contract(
    columns={
        "number": Column("int64", "1 for the first release of the lake", nullable=False, minimum=1),
        "name": Column("string", "of the release", nullable=False),
        "published_at": Column(pa.timestamp("us", "UTC"), "by the publisher's clock", nullable=False),
        "run_id": Column("string", "of the run that published it; empty for none", nullable=False),
        "table": Column("string", "of the lake", nullable=False),
        "version": Column("int64", "that belongs to the release", nullable=False, minimum=0),
        "table_id": Column("string", "by which Delta knows the table", nullable=False),
        "format": Column("int64", "of the row; null for 0", minimum=1),
    },
    unique=[["name", "table"], ["number", "table"]],
)


@dataclass(frozen=True)
class Release:
    """One version of each of several tables of a lake.

        release = Release.open("s3://bucket/lake", storage_options=options)
        orders = release.snapshot("sales/orders", partitions=["2024-01-01"]).to_pandas()

    Attributes:
        root_uri: the lake's root, as it was given.
        number: the release's number, 1 for the lake's first.
        name: the release's name; no two releases of a lake have the same.
        published_at: when it was published, by the publisher's clock.
        run_id: the id of the run that published it; empty for none.
        versions: the version of each table, by the table's name.
        table_ids: the id by which Delta knows each table, by the table's name.
        storage_options: delta-rs's own, e.g. `AWS_REGION`; never shown.

    """

    root_uri: str
    number: int
    name: str
    published_at: datetime
    run_id: str
    versions: Mapping[str, int]
    table_ids: Mapping[str, str] = field(repr=False)
    storage_options: Mapping[str, str] = field(repr=False, compare=False)

    @classmethod
    @named_parameters
    def open(
        cls, root_uri: str, name: str | None = None, storage_options: Mapping[str, str] | None = None
    ) -> "Release":
        """Return the newest release of a lake, or the one with a name.

        Args:
            root_uri: the lake's root: a folder, or an object store prefix such as `s3://bucket/lake`.
            name: the release's name; by default the newest release is returned.
            storage_options: delta-rs's own, e.g. `AWS_REGION`.

        Raises:
            TableNotFound: if there is no such release.
            UnsupportedTable: if a release of the lake was published in a newer format.
            DeclarationError: for a root that cannot be used.

        """
        published = releases(root_uri, storage_options)
        chosen = next((release for release in published if name in (None, release.name)), None)
        if chosen is None:
            what = "no release" if name is None else f"no release {name!r}"
            names = [release.name for release in published]
            raise TableNotFound(
                f"the lake {root_uri} has {what}.",
                did_you_mean(name, names, "practicus-assets release list shows all."),
            )
        return chosen

    @named_parameters
    def snapshot(self, table: str, partitions: Iterable[Partition] | None = None) -> Snapshot:
        """Return a table as it is in the release.

        Args:
            table: the table's name, with `/` between the parts of its key.
            partitions: the partitions to read, as `Snapshot.open` takes them; by default all.

        Raises:
            TableNotFound: if the release does not have the table.
            VersionGone: if the version was removed since, or the table was deleted and created again.
            OutOfScope: for partitions that the table cannot have.
            DeclarationError: for partitions that are none.

        """
        if table not in self.versions:
            raise TableNotFound(
                f"the release {self.name!r} has no table {table!r}; it has {sorted(self.versions)}.",
                did_you_mean(table, self.versions, "Fix the name, or publish a release with that table."),
            )
        place = Table.at(self.root_uri, table.split("/"), self.storage_options)
        handle = place.open(self.versions[table])
        if handle.id != self.table_ids[table]:
            raise VersionGone(
                f"the table {table} was deleted and created again since the release {self.name!r}.",
                "Read a newer release.",
            )
        with naming(table):
            return Snapshot.of_partitions(handle, partitions)


def releases(
    root_uri: str, storage_options: Mapping[str, str] | None = None, *, after: int = 0
) -> list[Release]:
    """Return the releases of a lake, the newest first.

    Args:
        root_uri: the lake's root.
        storage_options: the lake's options.
        after: the number of the release after which releases are returned.

    Raises:
        UnsupportedTable: if one of them was published in a newer format.

    """
    place = _place(root_uri, storage_options)
    handle = place.open_if_exists()
    return _read(root_uri, storage_options, Snapshot(handle), after) if handle is not None else []


def publish(
    root_uri: str,
    name: str,
    versions: Mapping[str, int],
    storage_options: Mapping[str, str] | None = None,
    *,
    run_id: str = "",
    mixed: bool = False,
) -> Release:
    """Publish a release: one commit records the versions of all its tables.

    If the same run has published the same name and versions before, that release is returned and nothing
    is written.

    Args:
        root_uri: the lake's root.
        name: the release's name.
        versions: the version of each table, by the table's name.
        storage_options: the lake's options.
        run_id: the id of the run that publishes; empty for none.
        mixed: publish even if a table was computed from other rows of another table than those released.

    Raises:
        ReleaseRefused: if the name is taken, or the versions do not belong together.
        TableNotFound, VersionGone: if a version cannot be read.

    """
    if not versions or not name.strip():
        raise ReleaseRefused("a release needs a name and at least one table.", "Give both.")
    tables = {table: Table.at(root_uri, table.split("/"), storage_options) for table in versions}
    handles = {table: place.open(versions[table]) for table, place in tables.items()}
    if not mixed:
        refuse_mixed(tables, versions)
    wanted = Release(
        root_uri,
        0,
        name,
        datetime.now(UTC),
        run_id,
        dict(versions),
        {table: handle.id for table, handle in handles.items()},
        storage_options or {},
    )
    waits = pauses()
    for _ in range(_TRIES):
        published = _published(wanted)
        if published is not None:
            return published
        time.sleep(next(waits))
    raise CommitConflict(f"{_TRIES} other releases were published meanwhile.", "Publish it again.")


def kept_versions(
    root_uri: str, newest: int, storage_options: Mapping[str, str] | None = None
) -> dict[str, dict[int, str]]:
    """Return the versions of each table that the newest releases need, with the name of one that does."""
    kept: dict[str, dict[int, str]] = {}
    for release in reversed(releases(root_uri, storage_options)[:newest]):
        for table, version in release.versions.items():
            kept.setdefault(table, {})[version] = release.name
    return kept


def _published(wanted: Release) -> Release | None:
    """Commit the release on top of those that are there; return None if another one was faster."""
    place = _place(wanted.root_uri, wanted.storage_options)
    transaction = Transaction(
        place,
        options=WriteOptions(mode="append"),
        contract=_CONTRACT,
        provenance=Provenance(run_id=wanted.run_id or wanted.name, step=f"release {wanted.name}"),
    )
    began = transaction.began
    before = (
        _read(wanted.root_uri, wanted.storage_options, Snapshot.of(place, began)) if began is not None else []
    )
    same = next((release for release in before if release.name == wanted.name), None)
    if same is not None:
        if (same.versions, same.run_id) == (wanted.versions, wanted.run_id):
            return same
        raise ReleaseRefused(
            f"there is a release {wanted.name!r} already, of {same.published_at:%Y-%m-%d %H:%M} UTC.",
            "Nothing was written. Give another name.",
        )
    release = replace(wanted, number=before[0].number + 1 if before else 1)
    rows = _rows(release)
    if began is not None:
        later = [field for field in place.open(began).schema if field.name not in rows.column_names]
        for field in later:  # a later release of this package added them
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    try:
        transaction.write(rows)
    except CommitConflict:
        return None
    return release


def _rows(release: Release) -> pa.Table:
    """Return a release as rows of the table of releases, one for each of its tables."""
    tables = sorted(release.versions)
    count = len(tables)
    return pa.table(
        {
            "number": pa.array([release.number] * count, pa.int64()),
            "name": [release.name] * count,
            "published_at": pa.array([release.published_at] * count, pa.timestamp("us", "UTC")),
            "run_id": [release.run_id] * count,
            "table": tables,
            "version": pa.array([release.versions[table] for table in tables], pa.int64()),
            "table_id": [release.table_ids[table] for table in tables],
            "format": pa.array([FORMAT] * count, pa.int64()),
        }
    )


def _place(root_uri: str, storage_options: Mapping[str, str] | None) -> Table:
    return Table.at(root_uri, [FOLDER], storage_options)


def _read(
    root_uri: str, storage_options: Mapping[str, str] | None, snapshot: Snapshot, after: int = 0
) -> list[Release]:
    by_number: dict[int, list[Mapping[str, object]]] = {}
    with naming(FOLDER):
        later = f"number > {after}" if after else None
        for row in snapshot.scan(predicate=later).read_all().to_pylist():
            if (row.get("format") or 0) > FORMAT:
                raise UnsupportedTable(
                    f"release {row['name']!r} is of format {row['format']}, and this release of "
                    f"practicus-assets reads formats up to {FORMAT}.",
                    "Run a newer release of practicus-assets, such as the one that published it.",
                )
            by_number.setdefault(row["number"], []).append(row)
    return [
        _release(root_uri, storage_options, number, by_number[number])
        for number in sorted(by_number, reverse=True)
    ]


def _release(
    root_uri: str,
    storage_options: Mapping[str, str] | None,
    number: int,
    rows: Sequence[Mapping[str, object]],
) -> Release:
    first = rows[0]
    published_at = first["published_at"]
    assert isinstance(published_at, datetime)
    return Release(
        root_uri,
        number,
        str(first["name"]),
        published_at,
        str(first["run_id"]),
        {str(row["table"]): int(str(row["version"])) for row in rows},
        {str(row["table"]): str(row["table_id"]) for row in rows},
        storage_options or {},
    )
