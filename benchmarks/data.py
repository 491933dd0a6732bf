"""The rows that are written: eight columns of mixed types, the same ones each time."""

import os
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

FIRST_DAY = date(2000, 1, 1)
KEPT = Path(__file__).parents[1] / ".bench" / "data"
_CHUNK_ROWS = 7_600  # as a reader of files brings them
_KEPT_ROWS = 500_000  # of so many, making them takes longer than reading them
_SHOPS = [f"shop-{number:02}" for number in range(20)]


def day(number: int) -> date:
    """Return a day by its number, 0 for the first."""
    return FIRST_DAY + timedelta(days=number)


def events(rows: int, days: range = range(1), seed: int = 0) -> pa.Table:
    """Return rows, sorted by day, the same number for each day.

    Many rows are made once, and read from a file by the ways that come later.

    Args:
        rows: the number of rows.
        days: the numbers of the days that they are spread over.
        seed: rows of different seeds differ in each of `amount` and `code`.

    """
    if rows < _KEPT_ROWS:
        return _made(rows, days, seed)
    file = KEPT / f"{rows}-{days.start}-{days.stop}-{seed}.arrow"
    if not file.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        table, part = _made(rows, days, seed), file.with_suffix(f".{os.getpid()}")
        with pa.ipc.new_file(part, table.schema) as writer:
            writer.write_table(table)
        part.replace(file)
    with pa.OSFile(str(file)) as stored:  # not mapped, so that the rows count as memory that is held
        return pa.ipc.open_file(stored).read_all()


def _made(rows: int, days: range, seed: int) -> pa.Table:
    generator = np.random.default_rng(seed)
    of_day = np.repeat(np.array([day(number) for number in days], dtype="datetime64[D]"), rows // len(days))
    n = len(of_day)
    table = pa.table(
        {
            "day": pa.array(of_day),
            "id": np.arange(n, dtype=np.int64),
            "shop": pa.DictionaryArray.from_arrays(
                pa.array(generator.integers(0, len(_SHOPS), n), pa.int32()), _SHOPS
            ).cast(pa.string()),
            "code": pa.array(np.char.add(f"c{seed}-", generator.integers(0, 1 << 40, n).astype(str))),
            "amount": generator.random(n) * 1000,
            "quantity": pa.array(generator.integers(1, 100, n), pa.int32()),
            "paid": pa.array(generator.random(n) < 0.9),
            "at": pa.array(
                1_600_000_000_000_000 + generator.integers(0, 10**13, n), pa.timestamp("us", "UTC")
            ),
        }
    )
    return pa.Table.from_batches(table.to_batches(_CHUNK_ROWS), table.schema)
