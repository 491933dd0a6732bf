"""An export to PostgreSQL beside the hand-written ways: COPY from a DataFrame, and pandas' to_sql.

    PYTHONPATH=. python benchmarks/exports.py 1000000
    PYTHONPATH=. python benchmarks/exports.py 10000000 export

It measures all ways, or those that are named, on a PostgreSQL of its own. Each way is a process, which
reads the same table from the lake. It prints seconds, their ratio to the first way's, and by how much the
process grew, in MB.
"""

import io
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from practicus_assets.destinations.export import Export
from practicus_assets.destinations.systems import destination_of
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.sources.postgresql.system import PostgreSQL
from tests.servers.postgresql import PostgreSQL as Server

COLUMNS = (
    "id bigint, day date, amount double precision, note text, at timestamptz, price numeric(21,2), "
    "kind text, flag boolean"
)


def rows(count: int) -> pa.Table:
    """Return rows of eight columns."""
    numbers = np.arange(count)
    return pa.table(
        {
            "id": numbers,
            "day": pa.array(numbers % 3650, pa.int32()).cast(pa.date32()),
            "amount": numbers / 7,
            "note": pa.array([f"note {n}" for n in range(count)]),
            "at": pa.array(numbers * 1_000_003, pa.timestamp("us", "UTC")),
            "price": pa.array(numbers % 10**9, pa.int64())
            .cast(pa.decimal128(19, 0))
            .cast(pa.decimal128(21, 2))
            .cast(pa.decimal128(18, 2)),
            "kind": pa.array(["a", "b", "c", "d"] * (count // 4 + 1))[:count],
            "flag": numbers % 2 == 0,
        }
    )


def export(table: Table, login: dict[str, object]) -> None:
    """Export the table as `export_asset` does."""
    to = destination_of(PostgreSQL(**login))
    to.write(Export(table, Snapshot.of(table), "export"))


def copy(table: Table, login: dict[str, object]) -> None:
    """Copy a DataFrame as CSV with psycopg2."""
    import psycopg2

    frame = Snapshot.of(table).to_pandas()
    buffer = io.StringIO()
    frame.to_csv(buffer, index=False, header=False)
    buffer.seek(0)
    names = {"dbname": login["database"], **{k: v for k, v in login.items() if k != "database"}}
    with psycopg2.connect(**names) as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM copy")
        cursor.copy_expert("COPY copy FROM STDIN (FORMAT csv)", buffer)


def to_sql(table: Table, login: dict[str, object]) -> None:
    """Write a DataFrame with pandas."""
    import sqlalchemy as sa

    names = {"username": login["user"], **{k: login[k] for k in ("password", "host", "port", "database")}}
    url = sa.URL.create("postgresql+psycopg2", **names)
    Snapshot.of(table).to_pandas().to_sql(
        "to_sql", sa.create_engine(url), if_exists="append", index=False, method="multi", chunksize=1000
    )


def _peak_mb() -> float:
    """Return the most memory that this process has had; `getrusage` would count its parent's."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def _measured(way: object, table: Table, login: dict[str, object], answer: object) -> None:
    before = _peak_mb()
    began = time.monotonic()
    way(table, login)
    seconds = time.monotonic() - began
    answer.send((seconds, _peak_mb() - before))


def main(count: int, names: list[str]) -> None:
    """Print one line per way; of those that are named, if any are."""
    ways = [way for way in (export, copy, to_sql) if way.__name__ in names or not names]
    spawn = multiprocessing.get_context("spawn")
    with Server() as server, tempfile.TemporaryDirectory() as folder:
        table = Table.at(Path(folder), ["rows"])
        Transaction(table, Scope()).write(rows(count))
        login = {
            "host": server.host, "port": server.port, "user": server.user,
            "password": server.password, "database": "postgres",
        }  # fmt: skip
        first = 0.0
        for way in ways:
            server.execute(f"CREATE TABLE {way.__name__} ({COLUMNS})")
            mine, theirs = spawn.Pipe()
            process = spawn.Process(target=_measured, args=(way, table, login, theirs))
            process.start()
            seconds, grown = mine.recv()
            process.join()
            [(found,)] = server.execute(f"SELECT count(*) FROM {way.__name__}")  # noqa: S608 constants
            assert found == count
            first = first or seconds
            times = f"{seconds:8.1f} s {seconds / first:6.2f} x {grown:8.0f} MB"
            print(f"{way.__name__:<8} {count:>10,} rows {times}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, sys.argv[2:])
