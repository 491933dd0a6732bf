"""What one more commit costs in a table that has many commits, or many partitions, already.

python benchmarks/growth.py FOLDER [--commits 1 1000 20000] [--partitions 1 100 1000 10000 50000]
                            [--interval 20] [--rounds 100]

For each number a table is made twice, by its log alone: as delta-rs makes it, with a checkpoint each hundred
commits, and as ours are, with records, transaction identifiers and the given interval. Then both replace one
partition with other rows, in turns, so often that all checkpoints of a round trip are among them. It prints
means of processor time, and medians just after a checkpoint and just before the next.
"""

import argparse
import json
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, median

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable, PostCommitHookProperties, Schema, write_deltalake
from partitions import added, statistics_of

from practicus_assets.lake.delta.table import CHECKPOINT_INTERVAL, Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.transaction import Transaction

COMMITS = (1, 1_000, 20_000)
PARTITIONS = (1, 100, 1_000, 10_000, 50_000)
ROWS = 10
NAMES = [f"c{number}" for number in range(8)]
SCHEMA = pa.schema([("p", pa.string()), *((name, pa.int64()) for name in NAMES)])
KEEPS_LOG = {"delta.enableExpiredLogCleanup": "false"}
HOOKS = PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False)
NEAR = 5  # commits after a checkpoint, or before the next


def _value(number: int) -> str:
    return f"k{number:09}"


def _rows(seed: int) -> pa.Table:
    numbers = np.random.default_rng(seed).integers(0, 1 << 40, (len(NAMES), ROWS))
    columns = {name: pa.array(row) for name, row in zip(NAMES, numbers, strict=True)}
    return pa.table({"p": [_value(0)] * ROWS, **columns})


def _raw(place: Path, seed: int) -> None:
    predicate = f"p = '{_value(0)}'"
    write_deltalake(
        place, _rows(seed), mode="overwrite", predicate=predicate, post_commithook_properties=HOOKS
    )


def _ours(place: Path, seed: int) -> None:
    options = WriteOptions(partition_by=("p",))
    Transaction(Table.from_uri(place), Scope.of([_value(0)], ["p"]), options).write(_rows(seed))


def _fill(place: Path, commits: int, partitions: int, interval: int | None) -> None:
    """Write a table's log: a first commit with a file of each partition, which is not there, and others."""
    every = {"delta.checkpointInterval": str(interval)} if interval else {}
    configuration = KEEPS_LOG | every
    DeltaTable.create(place, Schema.from_arrow(SCHEMA), partition_by=["p"], configuration=configuration)
    log = place / "_delta_log"
    statistics = statistics_of(NAMES)
    adds = (added(_value(number), number, statistics) for number in range(partitions))
    first = "\n".join(json.dumps({"add": add}) for add in adds)
    (log / f"{1:020}.json").write_text(first, encoding="ascii")
    if interval:
        _ours(place, 0)
        *_, newest = sorted(log.glob("*.json"))
        like = [json.loads(line) for line in newest.read_text(encoding="utf-8").splitlines()]
    else:
        _raw(place, 0)
        like = [{"commitInfo": {"timestamp": 1_700_000_000_000, "operation": "WRITE"}}]
    others = [action for action in like if "add" not in action and "remove" not in action]
    for version in range(3, 3 + commits):
        text = "\n".join(map(json.dumps, others))
        for action in others:
            if "txn" in action:
                text = text.replace(
                    action["txn"]["appId"], f"practicus_assets/{uuid.uuid4()}/table/0123456789abcdef"
                )
        (log / f"{version:020}.json").write_text(text, encoding="utf-8")
    DeltaTable(place).create_checkpoint()


def _measure(place: Path, write: Callable[[Path, int], None], seed: int) -> tuple[int, float]:
    """Return how many commits there were since the checkpoint, and the milliseconds of the next one."""
    log = place / "_delta_log"
    pointer = json.loads((log / "_last_checkpoint").read_text(encoding="utf-8"))
    newest = pointer["version"]
    while (log / f"{newest + 1:020}.json").exists():
        newest += 1
    began = time.process_time()
    write(place, seed)
    return newest - pointer["version"], (time.process_time() - began) * 1e3


def _print(what: str, took: dict[str, list[tuple[int, float]]], intervals: dict[str, int]) -> None:
    means = {}
    for name, samples in took.items():
        means[name] = fmean(spent for _, spent in samples)
        near = median(spent for since, spent in samples if since < NEAR)
        last = intervals[name] - 1
        far = median(spent for since, spent in samples if last - NEAR <= since < last)
        print(
            f"{what}, {name:13} {means[name]:7.1f} ms; after a checkpoint {near:7.1f}, before one {far:7.1f}"
        )
    ours, raw = means.values()
    print(f"{what}, added         {ours - raw:7.1f} ms", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--commits", type=int, nargs="*", default=COMMITS)
    parser.add_argument("--partitions", type=int, nargs="*", default=PARTITIONS)
    parser.add_argument("--interval", type=int, default=int(CHECKPOINT_INTERVAL))
    parser.add_argument("--rounds", type=int, default=100)
    arguments = parser.parse_args()
    cases = [(f"{count:>6,} commits   ", count, 100) for count in arguments.commits]
    cases += [(f"{count:>6,} partitions", 1, count) for count in arguments.partitions]
    intervals = {"a transaction": arguments.interval, "delta-rs": 100}
    for what, commits, partitions in cases:
        places = {"a transaction": arguments.folder / "ours", "delta-rs": arguments.folder / "raw"}
        _fill(places["a transaction"], commits, partitions, arguments.interval)
        _fill(places["delta-rs"], commits, partitions, None)
        took: dict[str, list[tuple[int, float]]] = {name: [] for name in places}
        for turn in range(arguments.rounds):
            for name, write in (("a transaction", _ours), ("delta-rs", _raw)):
                took[name].append(_measure(places[name], write, 1 + turn))
        _print(what, took, intervals)
        for place in places.values():
            shutil.rmtree(place)


if __name__ == "__main__":
    main()
