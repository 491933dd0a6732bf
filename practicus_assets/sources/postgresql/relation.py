"""Relations of PostgreSQL: tables and queries, read as streams of exact types."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from practicus_assets.errors import SchemaMismatch, SourceChanged, SourceFailed, did_you_mean
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.sources.postgresql import catalogue
from practicus_assets.sources.postgresql.answer import Answer
from practicus_assets.sources.postgresql.parameters import NativeOperand, SettingParameters
from practicus_assets.sources.postgresql.session import PostgreSQLSession
from practicus_assets.sources.postgresql.types import Native, Reading, reading
from practicus_assets.sources.postgresql.values import converted, refuse_dimensions, stored
from practicus_assets.sources.sql import versions
from practicus_assets.sources.sql.conditions import condition, types_of
from practicus_assets.sources.sql.names import quoted
from practicus_assets.sources.sql.relation import DatabaseRelation
from practicus_assets.wording import names_of

_DENIED = "42501"
_GONE = ("42P01", "42703")  # undefined table, undefined column
_ADVICE = {  # by SQLSTATE
    _DENIED: "Let the role read it: GRANT SELECT ON … TO ….",
    "25006": "A source only reads: its transaction is READ ONLY.",
    "40001": "A replica takes rows away from readers that are slow: raise its max_standby_streaming_delay.",
    "55P03": "Somebody has the table locked, e.g. by ALTER TABLE: run again.",
    "57014": "Somebody, or a limit of the server, ended the query.",
}


@dataclass(frozen=True, repr=False)
class PostgreSQLRelation(DatabaseRelation[PostgreSQLSession]):
    """A table or a query; made by `PostgreSQL.table` and `PostgreSQL.query`."""

    quote: ClassVar[str] = '"'
    namespace: ClassVar[str] = "schema"
    alias: ClassVar[str] = "query"
    times: ClassVar[str] = "a timestamp or a date"

    def schema(self, session: PostgreSQLSession) -> pa.Schema:
        """Return the columns; see `Relation.schema`."""
        with self._naming():
            readings = self._readings(self._natives(session))
        return pa.schema([pa.field(each.column, each.type_) for each in readings.values()])

    def read(
        self, session: PostgreSQLSession, scope: Scope, columns: Sequence[str] | None = None
    ) -> pa.RecordBatchReader:
        """Stream the rows of a scope; see `Relation.read`."""
        with self._naming():
            natives = self._natives(session)
            readings = self._readings(natives, columns)
            operands = self._operands(session, scope.columns, natives)
        parameters = SettingParameters()
        where = condition(scope.on(types_of(operands)), operands, parameters)
        expressions = [each.expression(quoted(each.column, '"')) for each in readings.values()]
        arrays = [each for each in readings.values() if each.is_array]
        expressions += [f"pg_catalog.array_ndims({quoted(each.column, chr(34))})" for each in arrays]
        statement = f"SELECT {', '.join(expressions)} FROM {self.source}"
        statement += f" WHERE {where}" if where is not None else ""
        schema = pa.schema([pa.field(each.column, each.type_) for each in readings.values()])

        def stream() -> Iterator[pa.RecordBatch]:
            first_row = 0
            with self._naming(is_known=True):
                for batch in session.stream(statement, parameters.values):
                    yield self._converted(batch, schema, list(readings.values()), first_row)
                    first_row += batch.num_rows

        return pa.RecordBatchReader.from_batches(schema, stream())

    def versions(
        self, session: PostgreSQLSession, scopes: Sequence[Scope], updated_at: str | None = None
    ) -> list[str]:
        """Return the data version of each scope; see `Relation.versions`."""
        with self._naming():
            natives = self._natives(session)
            if updated_at is None:
                values = ", ".join(quoted(column, '"') for column in natives)
                contents = f"sum(pg_catalog.hashtextextended(ROW({values})::text, 0))::text"
            else:
                [operand] = self._operands(session, [updated_at], natives).values()
                contents = f"max({operand.text})::text"
            operands = self._operands(session, scopes[0].columns if scopes else (), natives)
            bounds = [scope.on(types_of(operands)) for scope in scopes]
            found: list[str] = []
            for group in versions.groups(bounds):
                parameters = SettingParameters()
                wanted = [bounds[number] for number in group]
                statement = versions.statement(self.source, contents, wanted, operands, parameters)
                rows = [
                    row
                    for batch in session.stream(statement, parameters.values)
                    for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
                ]
                found += versions.texts(rows, len(wanted))
        return found

    def changed(
        self, session: PostgreSQLSession, columns: Sequence[str], updated_at: str, since: dt.datetime
    ) -> pa.RecordBatchReader:
        """Stream the partition values of changed rows; see `Relation.changed`."""
        with self._naming():
            natives = self._natives(session)
            [moment] = self._operands(session, [updated_at], natives).values()
            operands = self._operands(session, columns, natives)
        schema = types_of({column: operands[column] for column in columns})
        parameters = SettingParameters()
        where = self.changed_since(since, updated_at, moment, operands, parameters)
        texts = [
            f"{each.text}::text" if pa.types.is_string(each.type_) else each.text
            for each in operands.values()
        ]
        statement = f"SELECT DISTINCT {', '.join(texts)} FROM {self.source} WHERE {where}"
        readings = [Reading(f.name, Native("", ""), f.type, f.type, str) for f in schema]

        def stream() -> Iterator[pa.RecordBatch]:
            with self._naming(is_known=True):
                for batch in session.stream(statement, parameters.values):
                    yield self._converted(batch, schema, readings, 0)

        return pa.RecordBatchReader.from_batches(schema, stream())

    def _natives(self, session: PostgreSQLSession) -> dict[str, Native]:
        """Return the relation's columns with their types in the database."""
        if self.parts:
            table = catalogue.table(session, self.parts)
            if table is None or table.kind not in catalogue.READABLE:
                raise self._absent(session)
            natives = catalogue.columns_of(session, table.oid)
        else:
            pairs = catalogue.columns_of_query(session, self.text)
            natives = dict(pairs)
            if len(natives) < len(pairs):
                names = [name for name, _ in pairs]
                twice = sorted({name for name in names if names.count(name) > 1})
                raise SchemaMismatch(
                    f"{self.label} gives the {names_of('column', twice)} more than once.",
                    "Name each once: AS ….",
                )
        self.refuse_unknown_types(natives)
        return natives

    def _readings(
        self, natives: Mapping[str, Native], columns: Sequence[str] | None = None
    ) -> dict[str, Reading]:
        wanted = self.wanted(natives, columns)
        return {each: reading(each, natives[each], self.declared.get(each)) for each in wanted}

    def _operands(
        self, session: PostgreSQLSession, columns: Sequence[str], natives: Mapping[str, Native]
    ) -> dict[str, NativeOperand]:
        """Return what columns of a scope are: columns of the relation, or expressions."""
        expressions = [each for each in columns if each not in natives]
        types = catalogue.types_of(session, self.source, [f"({each})" for each in expressions])
        known = {**natives, **dict(zip(expressions, types, strict=True))}
        return {
            each: _operand(
                each,
                quoted(each, '"') if each in natives else f"({each})",
                known[each],
                self.declared.get(each),
            )
            for each in columns
        }

    def _converted(
        self,
        batch: pa.RecordBatch,
        schema: pa.Schema,
        readings: Sequence[Reading],
        first_row: int,
    ) -> pa.RecordBatch:
        """Return a batch of the driver with a relation's types; the arrays' dimensions follow its columns."""
        arrays = [each for each in readings if each.is_array]
        for each, dimensions in zip(arrays, batch.columns[len(readings) :], strict=True):
            refuse_dimensions(dimensions, each, first_row)
        columns = []
        for each, array in zip(readings, batch.columns, strict=False):
            if stored(array.type) != each.wire:
                raise SourceChanged(
                    f"column {each.column!r} of {self.label} became {array.type} while it was read.",
                    "Run again.",
                )
            columns.append(converted(array, each, first_row))
        return pa.record_batch(columns, schema=schema)

    @contextmanager
    def _naming(self, *, is_known: bool = False) -> Iterator[None]:
        """Say in errors what was read.

        Args:
            is_known: whether the relation and its columns were there before.

        """
        try:
            yield
        except Answer as refused:
            what = f"{self.label} of {self.database.address}"
            if refused.lost:
                raise SourceFailed(
                    f"the connection was lost while {what} was read: {refused.text}.", "Run again."
                ) from None
            if is_known and refused.sqlstate in _GONE:
                raise SourceChanged(
                    f"{what} changed while it was read: {refused.text}.", "Run again."
                ) from None
            raise SourceFailed(
                f"{what} cannot be read: {refused.text}.", _ADVICE.get(refused.sqlstate, "")
            ) from None

    def _absent(self, session: PostgreSQLSession) -> SourceFailed:
        """Return the error for a table that is not there."""
        names = catalogue.table_names(session)
        near = did_you_mean(self.label, names) or did_you_mean(
            self.parts[-1], {name.partition(".")[2]: name for name in names}
        )
        return SourceFailed(
            f"there is no table or view {self.label} in {self.database.address}.",
            near or "Look at its name, in which case counts, and whether the role may use its schema.",
        )


def _operand(column: str, text: str, native: Native, declared: pa.DataType | None) -> NativeOperand:
    """Return what a condition is on; in the column's own type, so that its index is used."""
    try:
        return NativeOperand(
            text, reading(column, native, None).type_, native.spelled, is_enum=native.kind == "e"
        )
    except SchemaMismatch:
        how = reading(column, native, declared)
        if pa.types.is_string(how.type_):
            return NativeOperand(f"({how.expression(text)})", how.type_, "text")
        return NativeOperand(text, how.type_, native.spelled)
