"""What a run of a range of partitions costs: a table's, and beside it Dagster's events alone.

python benchmarks/backfill.py [PARTITIONS …]

A table of so many partitions is materialized in one run, by `table_asset` with a contract of two rules. Then
an asset written by hand gives Dagster the same metadata of each partition, writes nothing and checks nothing.
Each has a SQLite instance of its own. It prints the processor time of each.
"""

import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any

import dagster as dg
import pyarrow as pa

from practicus_assets import Column, Contract, DeltaIOManager, table_asset

COUNTS = (365, 1_000)
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


def _run(asset: dg.AssetsDefinition, instance: dg.DagsterInstance, count: int) -> float:
    keys = _keys(count)
    tags = dict(zip(_RANGE, (keys[0], keys[-1]), strict=True))
    with tempfile.TemporaryDirectory() as root:
        resources = {"io_manager": DeltaIOManager(root_uri=root)}
        began = time.process_time()
        assert dg.materialize([asset], instance=instance, tags=tags, resources=resources).success
        return time.process_time() - began


def main(*counts: str) -> None:
    """Print two times for each number of partitions."""
    for count in [int(text) for text in counts] or COUNTS:
        partitions = dg.StaticPartitionsDefinition(_keys(count))
        with dg.instance_for_test() as instance:
            ours = _run(_ours(partitions), instance, count)
            events = instance.fetch_materializations(dg.AssetKey("table"), limit=count).records
            recorded = {e.partition_key: e.asset_materialization.metadata for e in events}
        with dg.instance_for_test() as instance:
            alone = _run(_by_hand(partitions, recorded), instance, count)
        print(
            f"{count:>6,} partitions: {ours:7.2f} s, of Dagster's events alone {alone:7.2f} s; "
            f"{(ours - alone) / count * 1e3:.1f} ms of each partition are ours",
            flush=True,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
