"""Reads a table of MariaDB by each driver, and prints rows per second, CPU and memory of one run.

python benchmarks/mysql_drivers.py [ROWS] [--drivers FOLDER]

A driver that is not installed is left out. Those beside PyMySQL are no dependencies; they go into a folder of
their own: pip install --target FOLDER --no-deps asyncmy arrow-odbc connectorx mariadb mariadb-binary
mysql-connector-python. arrow-odbc also needs Debian's packages odbc-mariadb and unixodbc.
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

_BATCH = 65_536
_TABLE = "flights"
_QUERY = "SELECT * FROM flights"
_COLUMNS = """
    id bigint PRIMARY KEY, n int NOT NULL, flag tinyint(1), ratio float, amount double, price decimal(18,4),
    code char(3), name varchar(100), note text, day date, at datetime(6), instant timestamp NULL
"""
_VALUES = """
    seq, seq % 1000, IF(seq % 7 = 0, NULL, seq % 2), seq / 3, SQRT(seq), seq * 1.2345,
    ELT(1 + seq % 3, 'JFK', 'LGA', 'EWR'), CONCAT('name ', MD5(seq)),
    IF(seq % 5 = 0, NULL, CONCAT('a longer note é ', seq)), '2013-01-01' + INTERVAL seq % 365 DAY,
    '2013-01-01' + INTERVAL seq * 7 SECOND + INTERVAL seq * 13 % 1000000 MICROSECOND,
    '2013-01-01' + INTERVAL seq * 31 % 31536000 SECOND
"""

Login = dict[str, Any]
Batches = Iterator[pa.RecordBatch | pa.Table]


def _rows_to_arrow(fetch: Callable[[], list[Any]], names: list[str]) -> Batches:
    """Make tables of rows that a driver has made objects of, as a reader by hand does."""
    while rows := fetch():
        yield pa.table([pa.array(column) for column in zip(*rows, strict=True)], names=names)


def practicus_assets(login: Login) -> Batches:
    """Read by `MySQL(…).table(…)`."""
    from practicus_assets.lake.partitions.scope import Scope
    from practicus_assets.sources.mysql.system import MySQL

    system = MySQL(**login)
    with system.session() as session:
        yield from system.table(_TABLE).read(session, Scope())


def pymysql(login: Login) -> Batches:
    """Read by PyMySQL's unbuffered cursor, with its own conversions."""
    import pymysql as driver

    with driver.connect(**login) as connection, connection.cursor(driver.cursors.SSCursor) as cursor:
        cursor.execute(_QUERY)
        yield from _rows_to_arrow(lambda: list(cursor.fetchmany(_BATCH)), [d[0] for d in cursor.description])


def pymysql_raw(login: Login) -> Batches:
    """Read by PyMySQL's unbuffered cursor, which hands bytes over."""
    import pymysql as driver
    from pymysql.converters import encoders

    with (
        driver.connect(**login, conv=encoders, use_unicode=False) as connection,
        connection.cursor(driver.cursors.SSCursor) as cursor,
    ):
        cursor.execute(_QUERY)
        yield from _rows_to_arrow(lambda: list(cursor.fetchmany(_BATCH)), [d[0] for d in cursor.description])


def asyncmy(login: Login) -> Batches:
    """Read by asyncmy, whose protocol is compiled, with bytes."""
    import asyncmy as driver
    from asyncmy.cursors import SSCursor

    loop = asyncio.new_event_loop()
    login = {**login, "db": login["database"]}
    del login["database"]
    connection = loop.run_until_complete(driver.connect(**login, conv={}, use_unicode=False))
    cursor = connection.cursor(SSCursor)
    loop.run_until_complete(cursor.execute(_QUERY))
    names = [column[0] for column in cursor.description]
    yield from _rows_to_arrow(lambda: list(loop.run_until_complete(cursor.fetchmany(_BATCH))), names)
    connection.close()
    loop.close()


def mysql_connector(login: Login) -> Batches:
    """Read by Oracle's connector with its C extension, raw."""
    import mysql.connector as driver

    connection = driver.connect(**login, use_pure=False)
    cursor = connection.cursor(raw=True)
    cursor.execute(_QUERY)
    yield from _rows_to_arrow(lambda: cursor.fetchmany(_BATCH), list(cursor.column_names))


def mariadb(login: Login) -> Batches:
    """Read by MariaDB's connector, by the binary protocol."""
    import mariadb as driver

    connection = driver.connect(**login)
    cursor = connection.cursor(buffered=False, binary=True)
    cursor.execute(_QUERY)
    yield from _rows_to_arrow(lambda: cursor.fetchmany(_BATCH), [d[0] for d in cursor.description])


def arrow_odbc(login: Login) -> Batches:
    """Read by arrow-odbc and odbc-mariadb; texts without a length need a limit, 4,000 here."""
    import arrow_odbc as driver

    names = {"Server": "host", "Port": "port", "UID": "user", "PWD": "password", "Database": "database"}
    text = ";".join(f"{name}={login[field]}" for name, field in names.items())
    yield from driver.read_arrow_batches_from_odbc(
        query=_QUERY,
        connection_string=f"Driver=MariaDB Unicode;{text}",
        batch_size=_BATCH // 4,
        max_text_size=4000,
    )


def connectorx(login: Login) -> Batches:
    """Read by connectorx, which holds the whole result."""
    import connectorx as driver

    url = "mysql://{user}:{password}@{host}:{port}/{database}".format(**login)
    yield driver.read_sql(url, _QUERY, return_type="arrow")


WAYS = {
    way.__name__: way
    for way in (
        practicus_assets,
        pymysql,
        pymysql_raw,
        asyncmy,
        mysql_connector,
        mariadb,
        arrow_odbc,
        connectorx,
    )
}


def read(way: str, login: Login) -> dict[str, Any]:
    """Read the table by one way, and return what it took and what came."""
    began, cpu, rows, types = time.perf_counter(), time.process_time(), 0, set()
    for batch in WAYS[way](login):
        rows += batch.num_rows
        types.add(" ".join(str(type_) for type_ in batch.schema.types))
    return {
        "rows": rows,
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
        "types": sorted(types),
    }


def to_delta(way: str, login: Login, folder: str) -> dict[str, Any]:
    """Write the table into a Delta table, and return what it took."""
    import deltalake
    import pandas as pd

    began, cpu = time.perf_counter(), time.process_time()
    if way == "pandas":
        import pymysql as driver

        with driver.connect(**login, cursorclass=driver.cursors.SSCursor) as connection:
            for chunk in pd.read_sql(_QUERY, connection, chunksize=_BATCH):
                deltalake.write_deltalake(folder, chunk, mode="append")
    else:
        batches = WAYS[way](login)
        first = next(batches)
        reader = pa.RecordBatchReader.from_batches(first.schema, (b for bs in ([first], batches) for b in bs))
        deltalake.write_deltalake(folder, reader, mode="overwrite")
    return {
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
        "rows": deltalake.DeltaTable(folder).count(),
    }


def main() -> None:
    """Start a server, load the table, and read it by each way in a process of its own."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("rows", nargs="?", type=int, default=1_000_000)
    arguments.add_argument("--drivers", default="")
    arguments.add_argument("--way")
    arguments.add_argument("--delta")
    given = arguments.parse_args()
    if given.way:
        sys.path.append(given.drivers)
        login = json.loads(sys.stdin.read())
        print(json.dumps(to_delta(given.way, login, given.delta) if given.delta else read(given.way, login)))
        return
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.servers.mariadb import MariaDB

    with MariaDB() as server, tempfile.TemporaryDirectory() as folder:
        server.create_database("bench")
        server.execute(f"CREATE TABLE {_TABLE} ({_COLUMNS})", database="bench")
        insert = f"INSERT INTO {_TABLE} SELECT {_VALUES} FROM seq_1_to_{given.rows}"  # noqa: S608 constants
        server.execute(insert, database="bench")
        login = {"host": server.host, "port": server.port, "user": server.user}
        login |= {"password": server.password, "database": "bench"}
        for name in [*WAYS, "pandas to Delta", "practicus_assets to Delta"]:
            way, _, delta = name.partition(" to ")
            command = [sys.executable, "-W", "ignore", __file__, "--way", way, "--drivers", given.drivers]
            command += ["--delta", f"{folder}/{way}"] if delta else []
            done = subprocess.run(
                command, input=json.dumps(login), capture_output=True, text=True, check=False
            )
            if done.returncode:
                lines = done.stderr.strip().splitlines() or [f"ended by signal {-done.returncode}"]
                print(f"{name:26} {lines[-1][:90]}")
                continue
            answer = json.loads(done.stdout.splitlines()[-1])
            print(
                f"{name:26} {answer['rows'] / answer['seconds']:>10,.0f} rows/s  {answer['cpu']:6.1f} s CPU  "
                f"{answer['peak_mb']:>6,.0f} MB  {' | '.join(answer.get('types', []))}"
            )


if __name__ == "__main__":
    main()
