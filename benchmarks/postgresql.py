"""Ways of reading a table of PostgreSQL, each in a process of its own, taking turns in one run.

    python benchmarks/postgresql.py postgresql://user:password@host/database --rows 1000000 --only source adbc

Makes the table `benchmark_orders` of eight columns there, if it is not. `connectorx` and `psycopg` are used
if they are installed. Prints for each way the median of seconds, its ratio to the first way's, CPU seconds of
the process that reads, and its peak memory over what it takes for one row.
"""

import argparse
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from statistics import median

import pyarrow as pa

COLUMNS = (
    ("id", "n::bigint", pa.int64()),
    ("shop", "(n % 1000)::int", pa.int32()),
    ("amount", "(n * 1.37 % 100000)::numeric(12, 2)", pa.decimal128(12, 2)),
    ("customer", "'customer ' || n % 5000", pa.string()),
    ("ordered_at", "timestamptz '2020-01-01Z' + n * interval '1 second'", pa.timestamp("us", "UTC")),
    ("score", "sqrt(n)", pa.float64()),
    ("paid", "n % 7 = 0", pa.bool_()),
    ("due", "date '2020-01-01' + (n % 1000)::int", pa.date32()),
)
SCHEMA = pa.schema([(name, type_) for name, _, type_ in COLUMNS])
Rows = Callable[[str, int], int]


def query(rows: int) -> str:
    """Return the query that is read."""
    return f"SELECT * FROM benchmark_orders WHERE id <= {rows}"  # noqa: S608 a number


def source(url: str, rows: int) -> int:
    """Read as a source does, batch by batch."""
    from practicus_assets import PostgreSQL
    from practicus_assets.lake.partitions.scope import Scope

    relation = PostgreSQL.from_url(url).query(query(rows))
    with relation.system.session() as session:
        return sum(batch.num_rows for batch in relation.read(session, Scope()))


def source_to_delta(url: str, rows: int) -> int:
    """Read as a source does, and commit one transaction of the lake."""
    from practicus_assets import PostgreSQL
    from practicus_assets.lake.delta.table import Table
    from practicus_assets.lake.partitions.scope import Scope
    from practicus_assets.lake.transactions.transaction import Transaction

    relation = PostgreSQL.from_url(url).query(query(rows))
    with tempfile.TemporaryDirectory() as folder, relation.system.session() as session:
        table = Table("orders", f"{folder}/orders")
        Transaction(table, Scope()).write(relation.read(session, Scope()))
        return rows


def pandas_to_delta(url: str, rows: int) -> int:
    """Read by hand into pandas, and write with delta-rs."""
    import pandas as pd
    import psycopg2
    from deltalake import write_deltalake

    with tempfile.TemporaryDirectory() as folder, psycopg2.connect(url) as connection:
        cursor = connection.cursor()
        cursor.execute(query(rows))
        frame = pd.DataFrame(cursor.fetchall(), columns=SCHEMA.names)
        write_deltalake(f"{folder}/orders", pa.Table.from_pandas(frame, SCHEMA))
        return len(frame)


def adbc(url: str, rows: int) -> int:
    """Read with the driver alone: numerics stay texts."""
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(query(rows))
        return sum(batch.num_rows for batch in cursor.fetch_record_batch())


def copy_csv(url: str, rows: int) -> int:
    """COPY as CSV, parsed by pyarrow; all of the text in memory."""
    import psycopg2
    from pyarrow import csv

    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        text = io.BytesIO()
        cursor.copy_expert(f"COPY ({query(rows)}) TO STDOUT (FORMAT csv)", text)
        text.seek(0)
        types = {**{field.name: field.type for field in SCHEMA}, "ordered_at": pa.string()}
        convert = csv.ConvertOptions(column_types=types, true_values=["t"], false_values=["f"])
        return csv.read_csv(
            text, csv.ReadOptions(column_names=SCHEMA.names), convert_options=convert
        ).num_rows


def psycopg2_cursor(url: str, rows: int) -> int:
    """Read with a cursor of the server, and make Arrow tables of Python's rows."""
    import psycopg2

    with psycopg2.connect(url) as connection, connection.cursor("stream") as cursor:
        cursor.itersize = 50_000
        cursor.execute(query(rows))
        return _tables(lambda: cursor.fetchmany(50_000))


def psycopg_binary(url: str, rows: int) -> int:
    """Read likewise with psycopg 3, in the binary format."""
    import psycopg

    with psycopg.connect(url) as connection, connection.cursor("stream", binary=True) as cursor:
        cursor.itersize = 50_000
        cursor.execute(query(rows))
        return _tables(lambda: cursor.fetchmany(50_000))


def connectorx(url: str, rows: int) -> int:
    """Read all rows into memory with connectorx."""
    import connectorx as cx

    return int(cx.read_sql(url, query(rows), return_type="arrow").num_rows)


def _tables(fetch: Callable[[], list[tuple[object, ...]]]) -> int:
    """Make Arrow tables of rows of Python, as long as there are some."""
    count = 0
    while rows := fetch():
        columns = zip(*rows, strict=True)
        count += pa.table(
            [pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
        ).num_rows
    return count


WAYS: dict[str, Rows] = {
    "source": source,
    "adbc": adbc,
    "copy-csv": copy_csv,
    "psycopg2": psycopg2_cursor,
    "psycopg": psycopg_binary,
    "connectorx": connectorx,
    "source-to-delta": source_to_delta,
    "pandas-to-delta": pandas_to_delta,
}


def one(way: str, url: str, rows: int) -> None:
    """Read once in this process, and print what it took."""
    WAYS[way](url, 1)  # imports, and what a first use loads
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.perf_counter()
    count = WAYS[way](url, rows)
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert count == rows, (way, count)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"seconds": seconds, "cpu": cpu, "MB": (after.ru_maxrss - before.ru_maxrss) / 1024}))


def prepare(url: str, rows: int) -> None:
    """Make the table, if it is not there with as many rows."""
    import psycopg2

    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('benchmark_orders')")
        if cursor.fetchone() != (None,):
            cursor.execute("SELECT count(*) FROM benchmark_orders")
            if (cursor.fetchone() or (0,))[0] >= rows:
                return
            cursor.execute("DROP TABLE benchmark_orders")
        listed = ", ".join(f"{expression} AS {name}" for name, expression, _ in COLUMNS)
        made = f"SELECT {listed} FROM generate_series(1, {rows}) AS n"  # noqa: S608 of this file
        cursor.execute(f"CREATE TABLE benchmark_orders AS {made}")
        cursor.execute("ANALYZE benchmark_orders")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--one", choices=WAYS)
    asked = parser.parse_args()
    if asked.one:
        one(asked.one, asked.url, asked.rows)
        return
    prepare(asked.url, asked.rows)
    found: dict[str, list[dict[str, float]]] = {way: [] for way in asked.only}
    for _ in range(asked.turns):
        for way in asked.only:
            arguments = [
                sys.executable,
                __file__,
                asked.url,
                "--rows",
                str(asked.rows),
                "--one",
                way,
            ]
            done = subprocess.run(arguments, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{way}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
            else:
                found[way].append(json.loads(done.stdout.splitlines()[-1]))
    unit = median(turn["seconds"] for turn in found[asked.only[0]])
    print(f"{asked.rows:,} rows; ratios to {asked.only[0]}")
    for way, turns in found.items():
        if turns:
            seconds, cpu, memory = (median(turn[name] for turn in turns) for name in ("seconds", "cpu", "MB"))
            speed = asked.rows / seconds / 1e3
            print(f"{way:>16}  {seconds:7.2f} s  {seconds / unit:5.2f}  {speed:8.0f} krows/s", end="")
            print(f"  cpu {cpu:6.2f} s  {memory:7.0f} MB")


if __name__ == "__main__":
    main()
