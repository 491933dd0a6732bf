"""What a table costs beside a plain `write_deltalake` of the same rows: medians and ratios of one run.

python -W ignore benchmarks/tables.py [ROWS [ROUNDS]]

Wall time depends on what else the machine does; CPU time does less so. A ratio is that to the plain write
in the same rounds, which take turns.
"""

import logging
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import dagster as dg
import deltalake
import numpy as np
import pyarrow as pa

from practicus_assets import Column, Contract, DeltaIOManager, table_asset
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.transaction import Transaction

CHUNK_ROWS = 7_600  # as a reader of files brings them
SHOPS = [f"shop-{number:02}" for number in range(20)]
CONTRACT = Contract(
    {
        "id": Column("int64", nullable=False, minimum=0),
        "amount": Column("float64", nullable=False, minimum=0),
        "shop": Column("string", nullable=False, allowed=SHOPS),
    },
    unique=[["id"]],
)

Work = Callable[[Path, int], object]
Seconds = tuple[float, float]  # by the wall's clock, and of the CPUs


def rows_of(count: int, seed: int) -> pa.Table:
    """Return random rows of eight columns of seven types."""
    generator = np.random.default_rng(seed)
    ids = np.arange(count)
    seconds = generator.integers(0, 86_400 * 365, count)
    moments = np.datetime64("2024-01-01", "us") + seconds * np.timedelta64(1, "s")
    quantity = generator.integers(1, 100, count, dtype=np.int32)
    table = pa.table(
        {
            "id": ids,
            "amount": np.round(generator.gamma(2, 40, count), 2),
            "quantity": pa.array(quantity, mask=generator.integers(0, 10, count) == 0),
            "shop": pa.array(SHOPS).take(pa.array(generator.integers(0, len(SHOPS), count))),
            "code": pa.array(np.char.add("order-", generator.permutation(ids).astype(str))),
            "day": pa.array(moments.astype("datetime64[D]")),
            "at": pa.array(moments, pa.timestamp("us", "UTC")),
            "paid": generator.integers(0, 2, count) == 1,
        }
    )
    return pa.Table.from_batches(table.to_batches(CHUNK_ROWS))


def measured(works: dict[str, Work], rounds: int) -> tuple[dict[str, Seconds], dict[str, int]]:
    """Return the median seconds of each work, and the bytes of its table; the works take turns."""
    spent: dict[str, list[Seconds]] = {name: [] for name in works}
    with tempfile.TemporaryDirectory() as root:
        for number in range(rounds + 1):
            for name, work in works.items():
                began, cpu = time.perf_counter(), time.process_time()
                work(Path(root, name.replace(" ", "-")), number)
                if number:  # the first is for warming up
                    spent[name].append((time.perf_counter() - began, time.process_time() - cpu))
        sizes = {}
        for name in works:
            table = deltalake.DeltaTable(Path(root, name.replace(" ", "-")))
            sizes[name] = sum(pa.table(table.get_add_actions(flatten=True))["size_bytes"].to_pylist())
    medians = {
        name: (statistics.median(wall for wall, _ in times), statistics.median(cpu for _, cpu in times))
        for name, times in spent.items()
    }
    return medians, sizes


def whole_tables(count: int, rounds: int) -> None:
    """Print what rewriting a table costs, with rows that differ and with the same ones."""
    tables = [rows_of(count, seed) for seed in (0, 1)]

    def plain(folder: Path, number: int) -> None:
        deltalake.write_deltalake(folder, tables[number % 2], mode="overwrite")

    def rewritten(folder: Path, number: int) -> None:
        assert Transaction(Table.from_uri(folder)).write(tables[number % 2]).changed

    def audited(folder: Path, number: int) -> None:
        assert Transaction(Table.from_uri(folder), contract=CONTRACT).write(tables[number % 2]).changed

    def unchanged(folder: Path, number: int) -> None:
        assert Transaction(Table.from_uri(folder)).write(tables[0]).changed == (number == 0)

    def first(folder: Path, _: int) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        Transaction(Table.from_uri(folder)).write(tables[0])

    works = {
        "write_deltalake": plain,
        "rewritten": rewritten,
        "rewritten, audited": audited,
        "first write": first,
        "the same rows again": unchanged,
    }
    wanted = {"rewritten": 1.15, "rewritten, audited": 1.25, "first write": 1.15, "the same rows again": 1.0}
    medians, sizes = measured(works, rounds)
    wall, cpu = medians["write_deltalake"]
    print(f"\n{count:,} rows of 8 columns, {rounds} rounds")
    print(f"{'':24}{'seconds':>9}{'ratio':>7}{'CPU s':>9}{'ratio':>7}{'wanted':>8}{'MB':>8}")
    for name, (seconds, cpu_seconds) in medians.items():
        want = f"{wanted[name]:.2f}" if name in wanted else ""
        print(
            f"{name:24}{seconds:9.3f}{seconds / wall:7.2f}{cpu_seconds:9.3f}{cpu_seconds / cpu:7.2f}"
            f"{want:>8}{sizes[name] / 1e6:8.1f}"
        )


def small_runs(rounds: int) -> None:
    """Print what a run of one asset of 1,000 rows adds to the plain write, by hand and by this package."""
    rows = rows_of(1_000, 0)
    logging.disable(logging.ERROR)
    instance = dg.DagsterInstance.ephemeral()
    place = {"folder": Path()}

    @dg.asset
    def by_hand() -> dg.MaterializeResult[None]:
        deltalake.write_deltalake(place["folder"], rows, mode="overwrite")
        table = deltalake.DeltaTable(place["folder"])
        metadata = {"dagster/row_count": rows.num_rows, "delta/version": table.version()}
        return dg.MaterializeResult(metadata=metadata)

    @table_asset(name="table_asset")
    def ours() -> pa.Table:
        return rows

    def plain(folder: Path, _: int) -> None:
        deltalake.write_deltalake(folder, rows, mode="overwrite")

    def hand(folder: Path, _: int) -> None:
        place["folder"] = folder
        assert dg.materialize([by_hand], instance=instance).success

    def asset(folder: Path, _: int) -> None:
        resources = {"io_manager": DeltaIOManager(root_uri=str(folder.parent))}
        assert dg.materialize([ours], instance=instance, resources=resources).success

    medians, _ = measured({"write_deltalake": plain, "asset by hand": hand, "table_asset": asset}, rounds)
    raw = medians["write_deltalake"][0]
    by_hand_ms = (medians["asset by hand"][0] - raw) * 1e3
    ours_ms = (medians["table_asset"][0] - raw) * 1e3
    print(
        f"\n1,000 rows, one run in process, {rounds} rounds: added to the plain write of {raw * 1e3:.1f} ms"
    )
    print(f"asset by hand {by_hand_ms:8.1f} ms\ntable_asset   {ours_ms:8.1f} ms, wanted {by_hand_ms:.1f}")


def main() -> None:
    """Print all tables."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    versions = ", ".join(f"{name} {version(name)}" for name in ("deltalake", "dagster", "pyarrow", "numpy"))
    print(f"{versions}, Python {platform.python_version()}, {platform.processor() or platform.machine()}")
    whole_tables(count, rounds)
    small_runs(3 * rounds)


if __name__ == "__main__":
    main()
