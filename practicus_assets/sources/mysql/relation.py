"""Relations of MySQL and MariaDB: tables and queries, read as streams of exact types."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

import pyarrow as pa

from practicus_assets.errors import DeclarationError, SourceFailed, did_you_mean
from practicus_assets.lake.partitions.bounds import Bounds
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.sources.mysql.checksum import checksum
from practicus_assets.sources.mysql.failures import is_absent, is_of_characters
from practicus_assets.sources.mysql.fields import GEOMETRY, Field, schema_of
from practicus_assets.sources.mysql.parameters import BoundParameters, bytes_of
from practicus_assets.sources.mysql.session import MySQLSession
from practicus_assets.sources.sql import versions
from practicus_assets.sources.sql.conditions import Operand, condition, types_of
from practicus_assets.sources.sql.names import quoted
from practicus_assets.sources.sql.relation import DatabaseRelation

_Result = TypeVar("_Result")

ZeroDates = Literal["refuse", "null"]

_QUOTE = "`"
_TABLES = "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = "


@dataclass(frozen=True, repr=False)
class MySQLRelation(DatabaseRelation[MySQLSession]):
    """A table or a query; made by `MySQL.table` and `MySQL.query`.

    Attributes:
        zero_dates: what becomes of dates that no calendar has.

    """

    quote: ClassVar[str] = _QUOTE
    namespace: ClassVar[str] = "database"
    alias: ClassVar[str] = "relation"
    times: ClassVar[str] = "a timestamp, a datetime or a date"

    zero_dates: ZeroDates = "refuse"

    def __post_init__(self) -> None:
        """Refuse what would be taken for the other choice."""
        if self.zero_dates not in ("refuse", "null"):
            raise DeclarationError(f"zero_dates is {self.zero_dates!r}.", 'Write "refuse" or "null".')

    def schema(self, session: MySQLSession) -> pa.Schema:
        """Return the columns; see `Relation.schema`."""
        return self._schema(list(self._fields(session).values()))

    def read(
        self, session: MySQLSession, scope: Scope, columns: Sequence[str] | None = None
    ) -> pa.RecordBatchReader:
        """Stream the rows of a scope; see `Relation.read`."""
        known = self._fields(session)
        fields = [known[column] for column in self.wanted(known, columns)]
        operands = self._operands(session, scope.columns, known)
        bounds = scope.on(types_of(operands))
        listed = ", ".join(map(self._selected, fields))

        def run(parameters: BoundParameters) -> pa.RecordBatchReader:
            where = condition(bounds, operands, parameters)
            statement = f"SELECT {listed} FROM {self.source}" + (f" WHERE {where}" if where else "")
            if self.text and where is None and columns is None and not any(map(self._is_cast, fields)):
                statement = self.text  # whose ORDER BY counts
            return session.read(
                statement,
                parameters.values,
                self.label,
                expected=self._schema(fields),
                zero_dates_are_null=self.zero_dates == "null",
            )

        return _run(run)

    def versions(
        self, session: MySQLSession, scopes: Sequence[Scope], updated_at: str | None = None
    ) -> list[str]:
        """Return the data version of each scope; see `Relation.versions`."""
        known = self._fields(session)
        if updated_at is None:
            contents = checksum({quoted(each.name, _QUOTE): each for each in known.values()})
        else:
            [operand] = self._operands(session, [updated_at], known).values()
            contents = f"CAST(MAX({operand.text}) AS CHAR)"
        operands = self._operands(session, scopes[0].columns if scopes else (), known)
        bounds = [scope.on(types_of(operands)) for scope in scopes]
        found: list[str] = []
        for group in versions.groups(bounds):
            wanted = [bounds[number] for number in group]

            def run(parameters: BoundParameters, wanted: Sequence[Bounds] = wanted) -> list[tuple[Any, ...]]:
                statement = versions.statement(self.source, contents, wanted, operands, parameters)
                return session.rows(statement, parameters.values, self.label)

            found += versions.texts(_run(run), len(wanted))
        return found

    def changed(
        self, session: MySQLSession, columns: Sequence[str], updated_at: str, since: dt.datetime
    ) -> pa.RecordBatchReader:
        """Stream the partition values of changed rows; see `Relation.changed`."""
        known = self._fields(session)
        [moment] = self._operands(session, [updated_at], known).values()
        operands = self._operands(session, columns, known)
        parameters = BoundParameters()
        where = self.changed_since(since, updated_at, moment, operands, parameters)
        listed = [  # by its bytes: DISTINCT would take what a collation calls the same for one
            f"{bytes_of(each.text) if pa.types.is_string(each.type_) else each.text} AS c{number}"
            for number, each in enumerate(operands.values())
        ]
        statement = f"SELECT DISTINCT {', '.join(listed)} FROM {self.source} WHERE {where}"
        rows = session.read(statement, parameters.values, self.label)
        schema = types_of({column: operands[column] for column in columns})

        def stream() -> Iterator[pa.RecordBatch]:
            for batch in rows:
                by_number = dict(zip(operands, batch.columns, strict=True))
                arrays = [by_number[each.name].cast(each.type) for each in schema]
                yield pa.record_batch(arrays, schema=schema)

        return pa.RecordBatchReader.from_batches(schema, stream())

    def _fields(self, session: MySQLSession) -> dict[str, Field]:
        """Return the relation's columns as the server describes them."""
        try:
            fields = session.fields(self.text or f"SELECT * FROM {self.source}", self.label)
        except SourceFailed as error:
            if self.parts and is_absent(error.__cause__):
                raise self._absent(session) from None
            raise
        known = {each.name: each for each in fields}
        if len({name.lower() for name in known}) < len(fields):
            schema_of(fields, {})  # names the column
        self.refuse_unknown_types(known)
        return known

    def _schema(self, fields: Sequence[Field]) -> pa.Schema:
        return pa.schema(
            [
                (
                    each.name,
                    pa.string() if self._is_cast(each) else each.type_for(self.declared.get(each.name)),
                )
                for each in fields
            ]
        )

    def _is_cast(self, known: Field) -> bool:
        """Whether the server is to make texts of a column, because its author declares so."""
        declared = self.declared.get(known.name)
        is_text = declared is not None and pa.types.is_string(declared)
        return is_text and not known.is_readable() and known.code != GEOMETRY

    def _selected(self, known: Field) -> str:
        column = quoted(known.name, _QUOTE)
        return f"CAST({column} AS CHAR) AS {column}" if self._is_cast(known) else column

    def _operands(
        self, session: MySQLSession, columns: Sequence[str], known: Mapping[str, Field]
    ) -> dict[str, Operand]:
        """Return what columns of a scope are: columns of the relation, or expressions."""
        texts = {each: quoted(each, _QUOTE) if each in known else f"({each})" for each in columns}
        expressions = [each for each in columns if each not in known]
        fields = dict(known)
        if expressions:
            listed = ", ".join(f"{texts[each]} AS c{number}" for number, each in enumerate(expressions))
            answer = session.fields(f"SELECT {listed} FROM {self.source}", f"{self.label} by {expressions}")
            fields.update(zip(expressions, answer, strict=True))
        return {each: Operand(texts[each], _condition_type(fields[each]), "") for each in columns}

    def _absent(self, session: MySQLSession) -> SourceFailed:
        """Return the error for a table that is not there."""
        *database, table = self.parts
        where = _TABLES + ("?" if database else "DATABASE()")
        names = [str(name) for [name] in session.rows(where, database, "information_schema.tables")]
        return SourceFailed(
            f"there is no table or view {self.label} in {self.database.address}.",
            did_you_mean(table, names, "Look at its name, and whether the user may read it."),
        )


def _run(run: Callable[[BoundParameters], _Result]) -> _Result:
    """Run a statement; without the comparison by collations, where one knows not all characters."""
    try:
        return run(BoundParameters())
    except SourceFailed as error:
        if not is_of_characters(error.__cause__):
            raise
        return run(BoundParameters(by_collation=False))


def _condition_type(known: Field) -> pa.DataType:
    """Return the type of a column in conditions: that of whole numbers, where they are read as decimals."""
    type_ = known.type_for()
    return pa.uint64() if type_ == pa.decimal128(20, 0) and known.is_unsigned else type_
