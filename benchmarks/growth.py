"""What one more commit costs in a table that has many already: delta-rs alone, and our transaction.

python benchmarks/growth.py FOLDER [COMMITS …]

A table of a hundred days gets so many commits, with the checkpoints of delta-rs and without the expiry of the
log, as our tables are. Then both replace one day with other rows, in turns. It prints medians of processor
time: while the log has few entries since its checkpoint, and while it has nearly as many as it gets.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from data import day, events
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, write_deltalake

from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.transactions.options import WriteOptions
from practicus_assets.lake.transactions.transaction import Transaction

COMMITS = (1, 1_000, 20_000)
DAYS, ROWS = 100, 10
INTERVAL = 100  # commits between two checkpoints, as delta-rs has it
PLACES = {"1 to 10": 1, "86 to 95": 86}
ROUNDS, PAIRS = 5, 5
HOOKS = PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False)
Write = Callable[[str, int], object]


def _raw(uri: str, seed: int) -> None:
    rows, predicate = events(ROWS, range(50, 51), seed), f"day = '{day(50)}'"
    write_deltalake(uri, rows, mode="overwrite", predicate=predicate, post_commithook_properties=HOOKS)


def _ours(uri: str, seed: int) -> None:
    scope, options = Scope.of([day(50)], ["day"]), WriteOptions(partition_by=("day",))
    Transaction(Table.from_uri(uri), scope, options).write(events(ROWS, range(50, 51), seed))


def _grow(uri: str, until: Callable[[int], bool]) -> None:
    """Add commits that change no row until the version is the wanted one."""
    handle = DeltaTable(uri)
    while not until(handle.version()):
        properties = CommitProperties({"n": str(handle.version())}, max_commit_retries=0)
        handle.create_write_transaction(
            [],
            "append",
            handle.schema(),
            ["day"],
            commit_properties=properties,
            post_commithook_properties=HOOKS,
        )
        handle.update_incremental()


def _taken(write: Write, uri: str, seed: int) -> float:
    began = time.process_time()
    write(uri, seed)
    return (time.process_time() - began) * 1e3


def _measure(uri: str, commits: int) -> None:
    taken: dict[tuple[str, Write], list[float]] = {}
    for turn in range(ROUNDS):
        for place, first in PLACES.items():
            _grow(uri, lambda version, first=first: version % INTERVAL == first - 1)  # type: ignore[misc]
            for pair in range(PAIRS):
                for write in (_raw, _ours) if pair % 2 else (_ours, _raw):
                    seed = 1_000 * turn + 10 * pair + (write is _ours)
                    taken.setdefault((place, write), []).append(_taken(write, uri, seed))
    for place in PLACES:
        raw, ours = median(taken[place, _raw]), median(taken[place, _ours])
        print(
            f"{commits:>7,} commits, {place:>8} since the checkpoint: {raw:6.1f} ms by delta-rs, "
            f"{ours:6.1f} ms by a transaction, {ours - raw:5.1f} added",
            flush=True,
        )


def main(folder: str, *counts: str) -> None:
    """Print two lines for each number of commits."""
    uri = str(Path(folder).resolve() / "growing")
    write_deltalake(uri, events(ROWS * DAYS, range(DAYS)), partition_by=["day"])
    for commits in [int(count) for count in counts] or COMMITS:
        _grow(uri, lambda version, commits=commits: version + 1 >= commits)  # type: ignore[misc]
        _measure(uri, commits)


if __name__ == "__main__":
    main(*sys.argv[1:])
