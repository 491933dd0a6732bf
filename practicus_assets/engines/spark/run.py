"""One run of an engine: a session, the inputs of a function as DataFrames, and its rows as staged Parquet."""

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from practicus_assets.engines.spark.inputs import SparkInput, spark_schema
from practicus_assets.engines.spark.lost_pods import is_of_connection
from practicus_assets.engines.spark.retries import UNREAD, reading_again, unread, while_running
from practicus_assets.engines.spark.server import Server
from practicus_assets.engines.spark.spark_connect import SparkConnect
from practicus_assets.engines.spark.stores import tables_of, uri_of, variables_of
from practicus_assets.engines.spark.workers import SailWorkers
from practicus_assets.errors import (
    DataRefused,
    DeclarationError,
    EngineFailed,
    PracticusAssetsError,
    SchemaMismatch,
)
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table_folder import TableFolder
from practicus_assets.lake.rows.annotations import written
from practicus_assets.lake.transactions.engine_files.staged_parquet import StagedParquet
from practicus_assets.redaction import redacted

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession

_LONGEST = 2000  # characters of an engine's message
_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    # times as Delta has them, and not as INT96
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.compression.codec": "zstd",
    # statistics of files leave out NaN, which is larger than all numbers in Spark
    "spark.sql.parquet.filterPushdown": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.files.ignoreCorruptFiles": "false",
}


class SparkRun:
    """What a step does with its engine.

    Args:
        engine: as it was declared.
        session: the session.

    """

    def __init__(self, engine: SparkConnect, session: "SparkSession") -> None:
        self._engine = engine
        self._session = session
        self._inputs: list[SparkInput] = []

    def given(self, value: Any) -> Any:
        """Return an input as the function gets it: a DataFrame of a snapshot; None for none.

        Raises:
            DeclarationError: if the value is no table of a lake.
            UnsupportedTable, EngineFailed: as `SparkInput` does.

        """
        if value is None:
            return None
        if isinstance(value, dict):
            return {key: self.given(part) for key, part in value.items()}
        if not isinstance(value, Snapshot):
            raise DeclarationError(
                f"an input that is annotated as a DataFrame of Spark is a {type(value).__qualname__}.",
                "Only tables of a lake, which a DeltaIOManager loads, are read by an engine.",
            )
        read = SparkInput(value, self._engine.server)
        self._inputs.append(read)
        return read.frame(self._session)

    def staged(
        self,
        rows: Any,
        partition_by: Sequence[str],
        types: Mapping[str, pa.DataType],
        place: Callable[[], StagedParquet],
    ) -> Any:
        """Let the engine write the rows that a function returned; return them as `Transaction.stage` takes.

        Args:
            rows: what the function returned.
            partition_by: the table's partition columns.
            types: the types of columns that the contract or the table says.
            place: returns where the engine writes.

        Raises:
            DataRefused: if they are no DataFrame of Spark.
            SchemaMismatch: if a partition column has a type that the names of folders would lose.
            VersionGone: if a file of an input vanished meanwhile.
            EngineFailed: if the engine wrote nothing though there are rows.

        """
        from pyspark.sql.connect.dataframe import DataFrame  # noqa: PLC0415 the extra spark

        if not isinstance(rows, DataFrame):
            raise DataRefused(
                f"the function returned a {written(type(rows))}, and the table has an engine.",
                "Return the DataFrame of Spark itself; without engine= the asset takes other rows.",
            )
        folders = [column for column in partition_by if column in rows.columns]
        for column in folders:
            known = spark_schema(pa.schema([(column, types.get(column, pa.string()))]))[column].dataType
            own = rows.schema[column].dataType
            if own != known:  # the names of folders are texts
                name = own.simpleString()
                raise SchemaMismatch(
                    f"the partition column {column!r} is {name} and would become {known.simpleString()}.",
                    f"Declare it, contract=Contract({{{column!r}: {name!r}}}), or cast it.",
                )
        staging = place()
        uri = uri_of(staging.uri, self._engine.server)
        # a client that has lost its server asks for the same again: that is not to add to the first files
        rows.write.mode("overwrite").partitionBy(*folders).parquet(uri)
        for read in self._inputs:
            read.refuse_vanished()
        files = TableFolder("", staging.uri, staging.storage_options).files_in(recursive=True)
        if any(file.path.endswith(".parquet") for file in files):
            return staging
        if rows.limit(1).count():
            raise EngineFailed(
                f"{self._engine.name} wrote no file, and the query has rows.",
                "Look whether the engine reaches the lake at the same place.",
            )
        return rows.limit(0).toArrow()


@contextmanager
def running(engine: SparkConnect, table: TableFolder, inputs: Iterable[Any] = ()) -> Iterator[SparkRun]:
    """Connect to an engine's server, which is started if the engine has no address, and end both afterwards.

    Args:
        engine: as it was declared.
        table: the table that is written.
        inputs: what is read: snapshots, snapshots by partition, or None.

    Raises:
        DeclarationError: if a package, Apache Spark or Java is missing.
        UnsupportedTable: if one server does not reach all of them.
        EngineFailed: if the server does not start or ends, or for any error of the engine.

    """
    engine.refuse_missing()
    tables = [table, *(each for value in inputs for each in tables_of(value))]
    secrets = {
        f"{number} {name}": value
        for number, each in enumerate(tables)
        for name, value in each.storage_options.items()
    }
    uri_of(table.uri, engine.server)
    os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"  # so that pyspark's functions look for no JVM here
    with warnings.catch_warnings(), _with_prompt():
        warnings.simplefilter("ignore", FutureWarning)  # of pandas 3, of which nothing is used here
        from pyspark.errors import PySparkException  # noqa: PLC0415 the extra spark
        from pyspark.sql.connect.session import SparkSession  # noqa: PLC0415

    with ExitStack() as stack:
        reasons = stack.enter_context(unread())
        server = None
        if engine.address is None:
            reach = variables_of(tables)
            workers = SailWorkers(engine.workers, inputs, reach) if engine.workers is not None else None
            server = stack.enter_context(Server(engine.server, reach, workers))
        try:
            address = server.address if server is not None else engine.address or ""
            session = SparkSession.builder.remote(address).create()
            stack.callback(_quietly, session.stop)
            own = [while_running(server)] if server is not None else session.client.get_retry_policies()
            session.client.set_retry_policies([*own, reading_again()])
            for name, value in _SETTINGS.items():
                session.conf.set(name, value)
            yield SparkRun(engine, session)
        except PracticusAssetsError:
            raise
        except Exception as error:
            is_of_engine = isinstance(error, PySparkException) or _is_rpc(error)
            text, shown = str(error), redacted(redacted(str(error), os.environ), secrets)
            if is_of_engine and server is not None and (trouble := server.trouble(text)):
                raise EngineFailed(
                    f"{engine.name}: {redacted(trouble, secrets)}. It says: {_short(shown).rstrip('.')}.",
                    "Run again; if its pods lack something, give it to SparkConnect(worker=...) first.",
                ) from None
            if server is not None and (end := server.end_of()):
                raise EngineFailed(
                    f"{engine.name} failed: {end}. It says: {server.last_messages(secrets) or 'nothing'}.",
                    "The kernel kills it when memory runs out: give the worker more, then run again.",
                ) from None
            if not is_of_engine:
                raise
            cause = error if text == shown and len(text) < _LONGEST else None
            said = f"{engine.name} says: {type(error).__name__}: {_short(shown)}"
            if UNREAD in text and reasons:
                said += f" ({_short(redacted(redacted(reasons[-1], os.environ), secrets))})"
            raise EngineFailed(said, _advice(shown)) from cause


@contextmanager
def _with_prompt() -> Iterator[None]:
    """Let pyspark be imported by a process without a main file, which it takes for doctests and ends."""
    has_prompt = hasattr(sys, "ps1")
    if not has_prompt:
        sys.ps1 = ""
    try:
        yield
    finally:
        if not has_prompt:
            del sys.ps1


def _advice(said: str) -> str:
    """Return what to do about an error of an engine whose server and pods are well, as far as is known."""
    if "worker task slots" in said:
        return "Give the engine more workers, or the query fewer partitions: all of its tasks run at once."
    if UNREAD in said:
        return "An answer of its server could not be read, which passes: run again."
    if is_of_connection(said):
        return "It lost a connection, to one of its workers or to a store: run again."
    return "Correct the query."


def _is_rpc(error: Exception) -> bool:
    return type(error).__module__.partition(".")[0] == "grpc"


def _short(text: str) -> str:
    """Return a message without the stack of a JVM."""
    lines = [
        line
        for line in text.split("JVM stacktrace:", maxsplit=1)[0].splitlines()
        if not line.startswith("\tat ")
    ]
    return " ".join(" ".join(lines).split())[:_LONGEST]


def _quietly(stop: Callable[[], None]) -> None:
    """Stop a session whose server may be gone."""
    try:
        stop()
    except Exception:  # noqa: BLE001 what the step raises is what matters
        return
