"""Audits ten million rows batch by batch: our contract against pandera, in one run. Prints ratios.

python benchmarks/contracts.py [ROWS]
"""

import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version

import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa

from practicus_assets import Column, Contract
from practicus_assets.lake.contracts.audit import Audit

BATCH = 131_072
SHOPS = [f"shop-{i:02}" for i in range(20)]

OURS = Contract(
    {
        "id": Column("int64", nullable=False, minimum=0),
        "amount": Column("float64", nullable=False, minimum=0, maximum=1),
        "shop": Column("string", nullable=False, allowed=SHOPS),
        "code": Column("string", nullable=False, pattern="c[0-9]+"),
    }
)
WITH_UNIQUE = Contract(OURS.columns, unique=[["id"]])
PANDERA = pandera.DataFrameSchema(
    {
        "id": pandera.Column("int64", pandera.Check.ge(0)),
        "amount": pandera.Column("float64", pandera.Check.in_range(0, 1)),
        "shop": pandera.Column(str, pandera.Check.isin(SHOPS)),
        "code": pandera.Column(str, pandera.Check.str_matches("^c[0-9]+$")),
    }
)


def batches(rows: int) -> Iterator[pa.RecordBatch]:
    """Yield the same random rows each time."""
    generator = np.random.default_rng(0)
    shops = np.array(SHOPS)
    for start in range(0, rows, BATCH):
        n = min(BATCH, rows - start)
        ids = np.arange(start, start + n)
        yield pa.record_batch(
            {
                "id": ids,
                "amount": generator.random(n),
                "shop": shops[generator.integers(0, len(SHOPS), n)],
                "code": np.char.add("c", ids.astype(str)),
            }
        )


def seconds(rows: int, check: Callable[[pa.RecordBatch], object], end: Callable[[], object]) -> float:
    """Return how long the checks take, without making the rows."""
    spent = 0.0
    for batch in batches(rows):
        began = time.perf_counter()
        check(batch)
        spent += time.perf_counter() - began
    began = time.perf_counter()
    end()
    return spent + time.perf_counter() - began


def ours(contract: Contract, rows: int) -> float:
    """Audit with a contract."""
    audit = Audit(contract.checks)
    return seconds(rows, audit.observe, lambda: audit.finish([], {}))


def main() -> None:
    """Print seconds and ratios."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    base = ours(OURS, rows)
    other = seconds(rows, lambda b: PANDERA.validate(b.to_pandas(), lazy=True), lambda: None)
    unique = ours(WITH_UNIQUE, rows)
    print(f"{rows:,} rows, batches of {BATCH:,}, pandas {pd.__version__}, pandera {version('pandera')}")
    print(f"contract                       {base:6.2f} s   1.0")
    print(f"pandera, each batch            {other:6.2f} s   {other / base:.1f}")
    print(f"contract with a unique column  {unique:6.2f} s   {unique / base:.1f}")


if __name__ == "__main__":
    main()
