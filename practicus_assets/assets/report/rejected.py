"""Rejected rows: the asset by which Dagster shows those of a table, and what a run reports of them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import dagster as dg
import pyarrow.compute as pc

from practicus_assets.assets.report import names
from practicus_assets.assets.report.column_schema import table_schema
from practicus_assets.assets.report.markdown import escaped
from practicus_assets.assets.report.preview import preview
from practicus_assets.errors import DeclarationError
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.transactions.quarantine.columns import RULES
from practicus_assets.lake.transactions.quarantine.rejected_table import SUFFIX
from practicus_assets.wording import number_of, printable

_EVENTS = 200  # of partitions in one run: Dagster takes about 0.1 s for each


def rejected_rows(table: dg.AssetsDefinition) -> dg.AssetSpec:
    """Return the rows that a table's contract rejects as an asset, for the lineage and as an input of others.

        defs = dg.Definitions(assets=[orders, rejected_rows(orders)])

    Its table is that of the asset, with `__rejected` after the name; runs of the asset write it.

    Args:
        table: a table asset, whose contract has a rule of severity "QUARANTINE".

    Raises:
        DeclarationError: if it is none, or if no rule rejects rows.

    """
    contract = getattr(table, "contract", None)
    if not isinstance(contract, Contract) or not contract.rejects:
        raise DeclarationError(
            f'{table!r} is no table asset of which a rule has the severity "QUARANTINE".'
            if contract is None
            else f'no rule of the contract of {table.key.to_user_string()} has the severity "QUARANTINE".',
            'Give a Column or a RowRule of its contract severity="QUARANTINE".',
        )
    spec = table.get_asset_spec()
    kept = (names.PARTITION_EXPR, names.PARTITION_BY, names.IO_MANAGER_KEY)
    metadata = {name: spec.metadata[name] for name in kept if name in spec.metadata}
    path = spec.metadata.get(names.PATH)
    if path is not None:
        metadata[names.PATH] = f"{getattr(path, 'value', path)}{SUFFIX}"
    return dg.AssetSpec(
        rejected_key(spec.key),
        deps=[spec.key],
        description=f"The rows that the contract of {spec.key.to_user_string()} rejects.",
        metadata=metadata,
        group_name=spec.group_name,
        owners=spec.owners,
        kinds={"deltalake"},
        partitions_def=spec.partitions_def,
    )


def rejected_key(key: dg.AssetKey) -> dg.AssetKey:
    """Return the key of the asset that a table's rejected rows are."""
    return dg.AssetKey([*key.path[:-1], f"{key.path[-1]}{SUFFIX}"])


def refuse_shared(key: dg.AssetKey, graph: Any) -> None:
    """Raise DeclarationError if another asset of a step's job writes the table of the rejected rows."""
    other = rejected_key(key)
    if graph.has(other) and graph.get(other).is_materializable:
        raise DeclarationError(
            f"the asset {other.to_user_string()} writes the table to which the rows go that the contract of "
            f"{key.to_user_string()} rejects.",
            "Give it another name.",
        )


def rejected_metadata(key: dg.AssetKey, rows: int) -> dict[str, Any]:
    """Return what a materialization of a table says of the rows that its run rejected."""
    return {names.REJECTED_ROWS: rows, names.REJECTED: dg.MetadataValue.asset(rejected_key(key))}


def rejected_events(key: dg.AssetKey, table: Table, scope: Scope) -> Iterator[dg.AssetMaterialization]:
    """Yield an event for each partition that has rejected rows now, 200 at most; one for a run of one.

    Args:
        key: the key of the asset whose rows they would have been.
        table: the table of rejected rows.
        scope: the partitions of the run.

    """
    whole = Snapshot.of(table, scope=scope)
    parts: Iterable[tuple[str | None, Snapshot]] = [(None, whole)]
    if scope.keys:
        parts = whole.by_partition(with_rows=len(scope.keys) > 1).items()
    for partition, snapshot in islice(parts, _EVENTS):
        count = names.PARTITION_ROW_COUNT if partition is not None else names.ROW_COUNT
        metadata: dict[str, Any] = {
            count: snapshot.row_count,
            names.VERSION: snapshot.version,
            names.TABLE_NAME: table.name,
            names.TABLE_URI: table.uri,
            names.STORAGE_KIND: "deltalake",
            names.COLUMN_SCHEMA: table_schema(snapshot.schema, None),
        }
        metadata = {names.SUMMARY: _summary(key, partition, snapshot), **metadata}
        if table.sample_rows and snapshot.row_count:
            metadata[names.PREVIEW] = preview(snapshot, table.sample_rows)
        yield dg.AssetMaterialization(
            rejected_key(key),
            description=f"Rows that the contract of {key.to_user_string()} rejects.",
            metadata={name: value for name, value in metadata.items() if value is not None},
            partition=partition,
        )


def _summary(key: dg.AssetKey, partition: str | None, snapshot: Snapshot) -> dg.MarkdownMetadataValue:
    """Return which rules reject how many rows, of all that are there."""
    by_rule: Counter[str] = Counter()
    rows = 0
    for batch in snapshot.scan([RULES]) if snapshot.row_count != 0 else ():
        rows += batch.num_rows
        for each in pc.value_counts(batch.column(RULES).flatten()):
            by_rule[each["values"].as_py()] += each["counts"].as_py()
    of = f", partition {escaped(printable(partition))}" if partition is not None else ""
    kept_out = f"**{number_of(rows, 'row')}** kept out of {escaped(key.to_user_string())}{of}"
    lines = [f"- {escaped(printable(rule))}: {number_of(n, 'row')}" for rule, n in by_rule.most_common()]
    return dg.MetadataValue.md("\n".join([f"{kept_out}:", "", *lines]) if lines else f"{kept_out}.")
