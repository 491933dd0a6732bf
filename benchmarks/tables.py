"""What a transaction costs beside a plain `write_deltalake` of the same rows: medians and ratios of one run.

python -W ignore benchmarks/tables.py [ROWS [ROUNDS]]
"""

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import deltalake
import numpy as np
import pyarrow as pa

from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.transaction import Transaction

CHUNK_ROWS = 7_600
CONTRACT = Contract(
    {
        "id": Column("int64", nullable=False, minimum=0),
        "amount": Column("float64", nullable=False, minimum=0),
        "shop": Column("string", nullable=False, allowed=[f"shop-{i:02}" for i in range(20)]),
    },
    unique=[["id"]],
)


def rows_of(count: int, seed: int) -> pa.Table:
    """Return random rows of eight columns, in chunks as a reader of files would bring them."""
    generator = np.random.default_rng(seed)
    ids = np.arange(count)
    start = np.datetime64("2024-01-01", "us")
    seconds = generator.integers(0, 86_400 * 365, count)
    quantity = generator.integers(1, 100, count, dtype=np.int32)
    table = pa.table(
        {
            "id": ids,
            "amount": np.round(generator.gamma(2, 40, count), 2),
            "quantity": pa.array(quantity, mask=generator.integers(0, 10, count) == 0),
            "shop": pa.array([f"shop-{i:02}" for i in range(20)]).take(
                pa.array(generator.integers(0, 20, count))
            ),
            "code": pa.array(np.char.add("order-", generator.permutation(ids).astype(str))),
            "day": pa.array((start + seconds * np.timedelta64(1, "s")).astype("datetime64[D]")),
            "at": pa.array(start + seconds * np.timedelta64(1, "s"), pa.timestamp("us", "UTC")),
            "paid": generator.integers(0, 2, count) == 1,
        }
    )
    return pa.Table.from_batches(table.to_batches(CHUNK_ROWS))


@dataclass
class Work:
    """One row of what is printed: a piece of work, what it is compared with, and the ratio that is wanted."""

    name: str
    run: Callable[[Path, int], object]
    wanted: str = ""


def main() -> None:
    """Print seconds, ratios to the plain write, and the ratios that are wanted."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    tables = [rows_of(count, seed) for seed in (0, 1)]
    again = tables[0]

    def raw(folder: Path, number: int) -> None:
        deltalake.write_deltalake(folder, tables[number % 2], mode="overwrite")

    def ours(folder: Path, number: int) -> None:
        assert Transaction(Table.from_uri(folder)).write(tables[number % 2]).changed

    def audited(folder: Path, number: int) -> None:
        Transaction(Table.from_uri(folder), contract=CONTRACT).write(tables[number % 2])

    def unchanged(folder: Path, number: int) -> None:
        commit = Transaction(Table.from_uri(folder)).write(again)
        assert commit.changed == (number == 0)

    works = [
        Work("write_deltalake", raw),
        Work("rewritten", ours, "1.15"),
        Work("rewritten, audited", audited, "1.25"),
        Work("the same rows again", unchanged, "1.00"),
    ]
    seconds: dict[str, list[float]] = {work.name: [] for work in works}
    with tempfile.TemporaryDirectory() as root:
        for number in range(rounds + 1):
            for work in works:
                folder = Path(root, work.name.replace(" ", "-"))
                began = time.perf_counter()
                work.run(folder, number)
                if number:  # the first writes are warm-up
                    seconds[work.name].append(time.perf_counter() - began)
        sizes = {
            name: deltalake.DeltaTable(Path(root, name.replace(" ", "-"))).get_add_actions(flatten=True)
            for name in seconds
        }
        shutil.rmtree(root, ignore_errors=True)
        Path(root).mkdir()
    plain = statistics.median(seconds[works[0].name])
    print(
        f"{count:,} rows, 8 columns, {rounds} rounds, deltalake {version('deltalake')}, "
        f"pyarrow {pa.__version__}"
    )
    for work in works:
        median = statistics.median(seconds[work.name])
        size = sum(pa.table(sizes[work.name])["size_bytes"].to_pylist())
        wanted = f"wanted {work.wanted}" if work.wanted else ""
        print(f"{work.name:24} {median:7.3f} s {median / plain:6.2f} {wanted:12} {size / 1e6:8.1f} MB")


if __name__ == "__main__":
    main()
