"""Answers: what a SQL query on a snapshot gives, once it is asked for."""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import QueryBuilder

from practicus_assets.errors import (
    DeclarationError,
    PracticusAssetsError,
    SchemaMismatch,
    StoreFailed,
    did_you_mean,
    naming,
)
from practicus_assets.lake.delta.failures import in_one_line
from practicus_assets.lake.delta.notebooks.html import rows_html
from practicus_assets.lake.delta.table import Table, TableVersion
from practicus_assets.lake.partitions.values import identifier
from practicus_assets.lake.rows.casts import exact_batch
from practicus_assets.lake.rows.frames import RowSource, polars_frame, read_as
from practicus_assets.lake.rows.types import stored_type

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

Select = tuple[TableVersion, str, list[str]]
"""A version of a table, the name by which SELECTs call it, and the SELECTs, which have the same columns."""

_SHOWN_ROWS = 10
_NO_FIELD = re.compile(r"No field named (.+?)\.(?: |$)")
_COMPUTED = "Arrow error: "  # of a value, such as a division by zero; a file's errors are Parquet's
_NO_TABLE = re.compile(r"table '(.+?)' not found")


def alias_of(number: int) -> str:
    """Return the name that a version of a table has in an engine, which no query of a person calls it by."""
    return f"snapshot_of_table_{number}"


class Answer(RowSource):
    """What a SQL query on a snapshot answers; it is read each time that rows are asked for.

    Whatever takes Arrow streams takes it as it is, and a table asset may return it.

    Args:
        query: the query.
        table: the table's place.
        columns: the names of the snapshot's columns.
        selects: the SELECTs that together read the snapshot's rows.

    Attributes:
        query: as above.
        schema: the answer's columns, as Arrow types.

    Raises:
        DeclarationError: if the query is no text.
        SchemaMismatch: if it is no query, or names a table or a column that is not there.

    """

    def __init__(self, query: str, table: Table, columns: Sequence[str], selects: Sequence[Select]) -> None:
        if not isinstance(query, str) or not query.strip():
            raise DeclarationError(f"query={query!r} is no SQL.", 'Write sql("SELECT count(*) FROM …").')
        self.query = query.strip().rstrip(";")
        self._table = table
        self._name = table.name.rpartition("/")[2]
        self._columns = list(columns)
        self._engine = self._built(selects)
        with naming(table.name):
            # only a query can stand in parentheses: what writes, or are several statements, cannot
            self._executed(f"EXPLAIN SELECT * FROM ({self.query}\n)")  # noqa: S608 it is the author's

    @cached_property
    def schema(self) -> pa.Schema:
        """The answer's columns, as Arrow types."""
        return _plain(self._executed(f"SELECT * FROM ({self.query}\n) LIMIT 0").schema)  # noqa: S608 as above

    def scan(self) -> pa.RecordBatchReader:
        """Stream the rows, in the order that the query asks for."""
        reader = self._executed(self.query)
        schema = _plain(reader.schema)
        return pa.RecordBatchReader.from_batches(schema, self._batches(reader, schema))

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table."""
        return self.scan().read_all()

    def to_pandas(self) -> "pd.DataFrame":
        """Return the rows as a pandas DataFrame; an integer column with nulls is `Int64`, not floats."""
        frame: pd.DataFrame = read_as(self.scan(), None)
        return frame

    def to_polars(self) -> "pl.DataFrame":
        """Return the rows as a polars DataFrame; raises DeclarationError if polars is not installed."""
        frame: pl.DataFrame = polars_frame(self.scan())
        return frame

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Give all rows to whoever takes Arrow streams (the Arrow PyCapsule interface)."""
        return self.scan().__arrow_c_stream__(requested_schema)

    def _built(self, selects: Sequence[Select]) -> QueryBuilder:
        """Return an engine in which the rows of the snapshot alone have the name of the table."""
        engine: QueryBuilder | None = None
        with self._table.reaching("a query"):
            for at, alias, _ in selects:
                engine = at.in_engine(alias, engine)
            assert engine is not None, "there is a table"
            rows = " UNION ALL ".join(select for _, _, read in selects for select in read)
            engine.execute(f"CREATE VIEW {identifier(self._name)} AS {rows}")
        return engine

    def _executed(self, sql: str) -> pa.RecordBatchReader:
        try:
            with self._table.reaching("a query"):
                return pa.RecordBatchReader.from_stream(self._engine.execute(sql))
        except PracticusAssetsError as error:
            if error.__cause__ is None:
                raise
            raise self._refused(error.__cause__) from error.__cause__

    def _batches(self, reader: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        try:
            with self._table.reading():
                for batch in reader:
                    yield exact_batch(batch, schema)
        except StoreFailed as error:
            text = in_one_line(error.__cause__ or error)
            if _COMPUTED not in text:
                raise
            why = text.rpartition(_COMPUTED)[2] if self._table.sample_rows else "a value does not allow it"
            with naming(self._table.name):
                raise SchemaMismatch(f"the query cannot be computed: {why}.", "Fix it.") from error.__cause__

    def _refused(self, cause: BaseException) -> SchemaMismatch:
        """Return the error for a query that the engine refuses, in our words."""
        text = in_one_line(cause)
        column, table = _NO_FIELD.search(text), _NO_TABLE.search(text)
        if column is not None:
            name = column[1].rpartition(".")[2].strip('"')
            return SchemaMismatch(
                f"the query names the column {name!r}, and there are {self._columns}.",
                did_you_mean(name, self._columns, "Name one of these."),
            )
        if table is not None:
            name = table[1].rpartition("datafusion.public.")[2]
            return SchemaMismatch(
                f"the query names the table {name!r}, and there is only {self._name!r}.",
                "To join tables, give them to one engine: duckdb.sql takes snapshots as they are.",
            )
        syntax = re.search(r"Expected: (.+?), found: (.+?)(?: at Line.*)?\"?\)?$", text)
        why = re.sub(r"^.*?(?:Error during planning|not implemented): ", "", text)
        why = "it is no query, or writes" if why.endswith("not implemented yet") else why
        if syntax is not None:
            why = f"expected is {'its end' if syntax[1] == ')' else syntax[1]}, and there is {syntax[2]}"
        return SchemaMismatch(
            f"this is no query on {self._name}: {why}.",
            f"Write one SELECT, e.g. SELECT count(*) FROM {identifier(self._name)}.",  # noqa: S608 a text
        )

    def _repr_html_(self) -> str:
        head, count = [], 0
        reader = self.scan()
        for batch in reader:
            head.append(batch)
            count += batch.num_rows
            if count > _SHOWN_ROWS:
                break
        return rows_html(pa.Table.from_batches(head, reader.schema), _SHOWN_ROWS)

    def __repr__(self) -> str:
        columns = ", ".join(f"{field.name}: {field.type}" for field in self.schema)
        return f"Answer({columns})"


def _plain(schema: pa.Schema) -> pa.Schema:
    """Return columns with the types that Delta tables have, and not as views of the engine."""
    return pa.schema([pa.field(field.name, _plain_type(field)) for field in schema])


def _plain_type(field: pa.Field) -> Any:
    try:
        return stored_type(field.type, field.name)
    except SchemaMismatch:  # such as the difference of two times, which no table can have
        return field.type
