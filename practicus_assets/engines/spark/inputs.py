"""Inputs of an engine: pinned snapshots as Spark DataFrames over exact lists of files."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from practicus_assets.engines.spark.spark_connect import ServerKind
from practicus_assets.engines.spark.stores import uri_of
from practicus_assets.errors import EngineFailed, UnsupportedTable, VersionGone, naming
from practicus_assets.lake.delta.data_file import DataFile
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import TableVersion
from practicus_assets.lake.layers.listed_files import listed_files
from practicus_assets.lake.partitions.values import text_of
from practicus_assets.wording import number_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession

_MOST_PARTITIONS = 2000  # each is a branch of the plan; Sail takes 1.5 s for 200
# with these, rows and columns are as the files have them; deletion vectors are looked at file by file
_FEATURES = {
    *("appendOnly", "changeDataFeed", "checkConstraints", "deletionVectors", "domainMetadata"),
    *("generatedColumns", "identityColumns", "invariants", "rowTracking", "timestampNtz", "v2Checkpoint"),
}
_ADVICE = "Annotate the input with Snapshot or pl.LazyFrame, in an asset without engine."


class SparkInput:
    """One snapshot, as the engine reads it.

    Args:
        snapshot: what is read.
        kind: the kind of the server.

    Raises:
        UnsupportedTable: if its rows are not those of a list of files.

    """

    def __init__(self, snapshot: Snapshot, kind: ServerKind) -> None:
        self._snapshot = snapshot
        self._at, self._files = listed_files(snapshot)
        self._table = self._at.table
        with naming(self._table.name):
            _refuse_unlisted(self._at, self._files)
            self._uris = {file.path: uri_of(f"{self._table.uri}/{file.path}", kind) for file in self._files}

    def frame(self, session: "SparkSession") -> "DataFrame":
        """Return the rows as a DataFrame.

        Raises:
            UnsupportedTable: if there are too many partitions for one plan.
            EngineFailed: if the engine counts other rows than the log.

        """
        from pyspark.sql import functions as F  # noqa: N812, PLC0415 the extra spark

        schema = spark_schema(self._snapshot.schema)
        partition_by = [name for name in self._at.partition_by if name in self._snapshot.schema.names]
        stored = [
            name
            for name, field in zip(self._snapshot.schema.names, self._snapshot.schema, strict=True)
            if name not in partition_by and not pa.types.is_null(field.type)
        ]
        inside = _struct([schema[name] for name in stored])
        groups: dict[tuple[Any, ...], list[DataFile]] = {}
        for file in self._files:
            groups.setdefault(tuple(file.values.get(name) for name in partition_by), []).append(file)
        if len(groups) > _MOST_PARTITIONS:
            with naming(self._table.name):
                raise UnsupportedTable(
                    f"{number_of(len(groups), 'partition')} of it would be read at once; an engine is given "
                    f"{_MOST_PARTITIONS} at most.",
                    "Map the asset's partitions to fewer of the input's.",
                )

        def part(values: Sequence[Any], files: Sequence[DataFile]) -> "DataFrame":
            frame = session.read.schema(inside).parquet(*(self._uris[file.path] for file in files))
            constants = dict(zip(partition_by, values, strict=True))
            return frame.select(
                *(
                    F.col(_quoted(name))
                    if name in stored
                    else F.lit(text_of(constants.get(name))).cast(schema[name].dataType).alias(name)
                    for name in self._snapshot.schema.names
                )
            )

        if not groups:
            return session.createDataFrame([], schema)
        frame = _union([part(values, files) for values, files in groups.items()])
        self._refuse_other_count(frame)
        return frame

    def refuse_vanished(self) -> None:
        """Raise VersionGone if a file is gone by now: an engine may have passed over it in silence."""
        missing = self._table.missing([file.path for file in self._files])
        if missing:
            with naming(self._table.name):
                raise VersionGone(
                    f"{number_of(len(missing), 'file')} of its version {self._snapshot.version} "
                    f"{'was' if len(missing) == 1 else 'were'} deleted while the engine read it, such as "
                    f"{missing[0]}.",
                    "Run again, on the newest version.",
                )

    def _refuse_other_count(self, frame: "DataFrame") -> None:
        counts = [file.rows for file in self._files]
        if None in counts:
            return
        expected, counted = sum(count or 0 for count in counts), frame.count()
        if counted != expected:
            self.refuse_vanished()
            with naming(self._table.name):
                raise EngineFailed(
                    f"the engine reads {number_of(counted, 'row')} of its version {self._snapshot.version}, "
                    f"which has {expected}.",
                    "Look whether the engine reaches the lake at the same place.",
                )


def spark_schema(schema: pa.Schema) -> Any:
    """Return Arrow's columns as a Spark `StructType`, all of them nullable."""
    from pyspark.sql.pandas.types import from_arrow_schema  # noqa: PLC0415 the extra spark

    return _struct(from_arrow_schema(schema, prefer_timestamp_ntz=True).fields)


def _struct(fields: Sequence[Any]) -> Any:
    from pyspark.sql.types import StructField, StructType  # noqa: PLC0415 the extra spark

    return StructType([StructField(field.name, field.dataType, nullable=True) for field in fields])


def _union(frames: Sequence["DataFrame"]) -> "DataFrame":
    """Return the rows of all, by a tree of unions: a chain of them takes a plan of its depth."""
    while len(frames) > 1:
        pairs = [frames[i : i + 2] for i in range(0, len(frames), 2)]
        frames = [pair[0].union(pair[1]) if len(pair) > 1 else pair[0] for pair in pairs]
    return frames[0]


def _refuse_unlisted(at: TableVersion, files: Sequence[DataFile]) -> None:
    """Raise UnsupportedTable if a file's rows or columns are not the table's as they are."""
    problems = sorted(at.features - _FEATURES)
    if _mode(at.configuration) != "none":
        problems.append("delta.columnMapping.mode")
    if any(file.deleted for file in files):
        problems.append("deletion vectors")
    if any("://" in file.path or file.path.startswith("/") for file in files):
        problems.append("files of other tables")
    if problems:
        raise UnsupportedTable(
            f"the table has {', '.join(problems)}, so that its rows are not those of its files.", _ADVICE
        )


def _mode(configuration: Mapping[str, str]) -> str:
    return configuration.get("delta.columnMapping.mode", "none")


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
