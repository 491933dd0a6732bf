"""Lists: what each table of a code location is, as it is declared; no table is opened."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import dagster as dg

from practicus_assets.assets.catalog import TableEntry
from practicus_assets.planning.planner import Surroundings
from practicus_assets.planning.workers import worker_of
from practicus_assets.redaction import redacted


@dataclass(frozen=True)
class ListedTable:
    """A table as it is declared.

    Attributes:
        table: the table's name.
        key: the asset's key.
        group: the asset's group.
        partitions: its partitions in words; empty for none.
        partition_count: how many there are; None for none, and where only an instance knows them.
        location: where it lives.
        worker: what the step of its newest partition asks for, as far as it is given.
        owners: the asset's owners.
        is_written: whether a run here writes it.
        description: the asset's description.

    """

    table: str
    key: str
    group: str
    partitions: str
    partition_count: int | None
    location: str
    worker: Mapping[str, str]
    owners: tuple[str, ...]
    is_written: bool
    description: str


def listed(around: Surroundings) -> Iterator[ListedTable]:
    """Yield the tables of a code location by their names; external assets that may be tables are among them.

    Args:
        around: the definitions, and the instance that knows dynamic partitions.

    """
    for entry in sorted(around.entries.values(), key=lambda entry: entry.name):
        node = around.graph.get(entry.key)
        is_unknown = isinstance(entry.partitions_def, dg.DynamicPartitionsDefinition) and not around.instance
        keys = [] if is_unknown else list(map(str, entry.partition_keys(around.store)))
        yield ListedTable(
            table=entry.name,
            key=entry.key.to_user_string(),
            group=node.group_name or "",
            partitions=_partitions(entry, keys, is_unknown=is_unknown),
            partition_count=None if entry.partitions_def is None or is_unknown else len(keys),
            location=redacted(entry.table.uri, {}),
            worker=_worker(entry, keys, around),
            owners=tuple(node.owners or ()),
            is_written=entry.is_written,
            description=(node.description or "").strip(),
        )


def _partitions(entry: TableEntry, keys: list[str], *, is_unknown: bool) -> str:
    partitions_def = entry.partitions_def
    if partitions_def is None:
        return ""
    if is_unknown:
        return "dynamic; only an instance knows them"
    columns = ", ".join(entry.settings.columns)
    by = f" by {columns}" if columns else ""
    ends = f", {keys[0]} … {keys[-1]}" if len(keys) > 1 else f", {keys[0]}" if keys else ""
    return f"{len(keys):,}{by}{ends}"


def _worker(entry: TableEntry, keys: list[str], around: Surroundings) -> Mapping[str, str]:
    if around.configuration is None or not entry.is_written:
        return {}
    return worker_of(around.graph.get(entry.key).assets_def, keys[-1:], around.configuration, around.store)
