"""Every operation on a table that the package offers, on a small lake, and how it may end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from practicus_assets.errors import PracticusAssetsError
from practicus_assets.lake.delta.origins import origins
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.lake.upkeep.compaction import compact
from practicus_assets.lake.upkeep.diff import diff_versions
from practicus_assets.lake.upkeep.history import read_history, version_of
from practicus_assets.lake.upkeep.releases import Release, publish, releases
from practicus_assets.lake.upkeep.retention import (
    Removable,
    checkpoint,
    remove,
    unneeded_entries,
    unneeded_files,
)
from practicus_assets.lake.upkeep.rollback import carry_out, plan_rollback
from practicus_assets.lake.upkeep.verify import verify_files
from tests import kit

Operation = Callable[["Lake"], Any]

NEWEST = 4


@dataclass(frozen=True)
class Lake:
    """A lake's root, and the options that reach it."""

    root_uri: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def table(self) -> Table:
        """Its only table."""
        return Table.at(self.root_uri, ["t"], self.options)

    @property
    def releases(self) -> list[Release]:
        """Its releases, the newest first."""
        return releases(self.root_uri, self.options)

    def publish(self, name: str) -> Release:
        """Publish the table's newest version as a release."""
        return publish(self.root_uri, name, {"t": NEWEST}, self.options)


def fill(lake: Lake) -> None:
    """Make a table of five versions with a checkpoint of the second, and a release of it."""
    table = lake.table
    kit.write(table, "a", 1, 2)
    kit.write(table, "b", 3)
    checkpoint(table)
    kit.write(table, "a", 4, mode="append")
    kit.write(table, "b", 5)
    kit.write(table, "a", 6, mode="append")
    lake.publish("first")


def snapshot_of(lake: Lake, version: int | None = None) -> Snapshot:
    """Return the newest version, or the given one."""
    return Snapshot(lake.table.open(version))


def rows_of(snapshot: Snapshot) -> list[kit.Row]:
    return sorted(snapshot.scan().read_all().to_pylist(), key=repr)


def replaced(lake: Lake) -> Any:
    return landed(kit.write(lake.table, "a", 7))


def appended(lake: Lake) -> Any:
    return landed(kit.write(lake.table, "a", 8, mode="append"))


def merged(lake: Lake) -> Any:
    options = WriteOptions(partition_by=["p"], mode="merge", merge_keys=["n"])
    transaction = Transaction(lake.table, kit.partitions("a"), options)
    return landed(transaction.write(kit.table_of("a", 2, 9)))


def rolled_back(lake: Lake) -> Any:
    plan = plan_rollback(lake.table, 0, kit.partitions("a", "b"), whole=True)
    return landed(carry_out(lake.table, plan, Provenance(), undo_newer=True))


def landed(commit: Any) -> Any:
    return commit.version, commit.partition_rows


def removed(lake: Lake, removable: Removable) -> Any:
    return len(removable.paths), remove(lake.table, removable)


def origin_versions(lake: Lake) -> Any:
    table, scope = lake.table, kit.partitions("a", "b")
    by_key = origins(table, NEWEST, scope, table.open().schema)
    return {key: origin.version for key, origin in by_key.items()}


def differences(lake: Lake) -> Any:
    diff = diff_versions(lake.table, 0, NEWEST)
    return diff.partitions, diff.lost, diff.gained


def problems_of(lake: Lake, *, rows: bool) -> Any:
    return [problem.kind for problem in verify_files(lake.table, rows=rows).problems]


def tomorrow() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


OPERATIONS: dict[str, Operation] = {
    "open": lambda lake: snapshot_of(lake).version,
    "open a version": lambda lake: snapshot_of(lake, 1).version,
    "scan": lambda lake: rows_of(snapshot_of(lake)),
    "scan a partition": lambda lake: rows_of(Snapshot(lake.table.open(), kit.partitions("a"))),
    "row_count": lambda lake: snapshot_of(lake).row_count,
    "partition_rows": lambda lake: Snapshot(lake.table.open(), kit.partitions("a")).partition_rows,
    "history": lambda lake: [(e.version, e.operation, e.rows_in) for e in read_history(lake.table)],
    "version_of": lambda lake: version_of(lake.table, "1"),
    "origins": origin_versions,
    "diff": differences,
    "verify": lambda lake: problems_of(lake, rows=False),
    "verify rows": lambda lake: problems_of(lake, rows=True),
    "releases": lambda lake: [release.versions for release in lake.releases],
    "read a release": lambda lake: rows_of(Release.open(lake.root_uri, None, lake.options).snapshot("t")),
    "replace": replaced,
    "append": appended,
    "merge": merged,
    "rollback": rolled_back,
    "compact": lambda lake: compact(lake.table).partitions,
    "z-order": lambda lake: compact(lake.table, order_by=["n"]).partitions,
    "checkpoint": lambda lake: checkpoint(lake.table),
    "vacuum": lambda lake: removed(lake, unneeded_files(lake.table, tomorrow())),
    "expire the log": lambda lake: removed(lake, unneeded_entries(lake.table, tomorrow())),
    "publish": lambda lake: lake.publish("second").versions,
}


def failing(name: str, lake: Lake) -> tuple[Any, str]:
    """Return what an operation answers, and what is wrong with the error that it ends with instead."""
    try:
        return OPERATIONS[name](lake), ""
    except PracticusAssetsError as error:
        is_named = error.table or lake.root_uri in str(error) or " t " in str(error)
        return error, "" if is_named and error.advice else f"no table or no advice: {error}"
    except BaseException as error:  # noqa: BLE001 a panic of delta-rs is no Exception
        return error, f"a raw {type(error).__name__}: {error}"
