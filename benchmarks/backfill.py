"""What a run of a range of partitions costs: a table's, and beside it Dagster's events alone.

python benchmarks/backfill.py [PARTITIONS …]

A table of so many partitions is materialized in one run, by `table_asset` with a contract of two rules. Then
an asset written by hand gives Dagster the same metadata of each partition, writes nothing and checks nothing.
Each has a database of its own: SQLite's files, and a PostgreSQL server of this machine, without and with what
Dagster has for such runs. It prints seconds, and those of this process's processor in brackets.
"""

import os
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any
from unittest.mock import patch

import dagster as dg
import pyarrow as pa

from practicus_assets import Column, Contract, DeltaIOManager, table_asset
from tests.servers.postgresql import PostgreSQL

COUNTS = (365, 1_000)
SETTINGS: dict[str, dict[str, str]] = {
    "as it comes": {},
    "batches of 500": {"DAGSTER_EVENT_BATCH_SIZE": "500"},
    "and one planned event": {
        "DAGSTER_EVENT_BATCH_SIZE": "500",
        "DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS": "true",
    },
}
_RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
_Metadata = Mapping[str, Any]


def _keys(count: int) -> list[str]:
    return [f"k{number:05}" for number in range(count)]


def _ours(partitions: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    @table_asset(
        partitions_def=partitions,
        partition_by="k",
        contract=Contract(
            unique=[["k", "x"]], columns={"k": Column(pa.string()), "x": Column(pa.int64(), nullable=False)}
        ),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def table(context: dg.AssetExecutionContext) -> pa.Table:
        keys = context.partition_keys
        return pa.table({"k": [key for key in keys for _ in range(10)], "x": [*range(10)] * len(keys)})

    return table


def _by_hand(
    partitions: dg.PartitionsDefinition[str], recorded: Mapping[str, _Metadata]
) -> dg.AssetsDefinition:
    @dg.asset(partitions_def=partitions, backfill_policy=dg.BackfillPolicy.single_run())
    def table(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        for key, metadata in recorded.items():
            context.add_asset_metadata(metadata, context.asset_key, key)
        return dg.MaterializeResult()

    return table


def _run(asset: dg.AssetsDefinition, instance: dg.DagsterInstance, count: int) -> tuple[float, float]:
    """Run all partitions of an asset; return the seconds, and those of the processor."""
    keys = _keys(count)
    tags = dict(zip(_RANGE, (keys[0], keys[-1]), strict=True))
    quiet = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
    with tempfile.TemporaryDirectory() as root:
        resources = {"io_manager": DeltaIOManager(root_uri=root)}
        began, used = time.perf_counter(), time.process_time()
        options: Any = {"instance": instance, "tags": tags, "resources": resources, "run_config": quiet}
        assert dg.materialize([asset], **options).success
        return time.perf_counter() - began, time.process_time() - used


def _instance(server: PostgreSQL | None) -> Any:
    """Return a new instance, with a database of its own, as a context manager."""
    return dg.instance_for_test(server.dagster_storage() if server is not None else None)


def main(*counts: str) -> None:
    """Print what each number of partitions takes, by database and settings."""
    with PostgreSQL() as postgresql:
        databases = {"SQLite": None, "PostgreSQL": postgresql}
        each = [(database, setting) for database in databases for setting in SETTINGS]
        for count in [int(text) for text in counts] or COUNTS:
            partitions = dg.StaticPartitionsDefinition(_keys(count))
            for database, setting in each:
                with patch.dict(os.environ, SETTINGS[setting]):
                    with _instance(databases[database]) as instance:
                        ours = _run(_ours(partitions), instance, count)
                        events = instance.fetch_materializations(dg.AssetKey("table"), limit=count).records
                        recorded = {e.partition_key: e.asset_materialization.metadata for e in events}
                    with _instance(databases[database]) as instance:
                        alone = _run(_by_hand(partitions, recorded), instance, count)
                print(
                    f"{count:>6,} partitions, {database}, {setting}: {ours[0]:.2f} s ({ours[1]:.2f} s), of "
                    f"Dagster's events alone {alone[0]:.2f} s ({alone[1]:.2f} s)",
                    flush=True,
                )


if __name__ == "__main__":
    main(*sys.argv[1:])
