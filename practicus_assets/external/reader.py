"""The reader of a source: what the parameter of an asset's function gets."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg
import pyarrow as pa

from practicus_assets.assets.io_manager import DeltaIOManager
from practicus_assets.assets.report.column_schema import table_schema
from practicus_assets.assets.report.names import COLUMN_SCHEMA, COLUMNS
from practicus_assets.assets.runs import step_of
from practicus_assets.errors import DeclarationError, SourceFailed, naming
from practicus_assets.external import names
from practicus_assets.external.declaration import Declaration
from practicus_assets.external.sessions import Sessions
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.rows.frames import read_as
from practicus_assets.lake.rows.samples import SAMPLE_ROWS, sampling
from practicus_assets.sources.declared import asked, conformed_rows, declared_schema
from practicus_assets.sources.system import Session


class SourceReader(dg.IOManager):
    """Gives the rows of one source to the assets that read it.

    Args:
        declaration: the source's declaration.

    """

    def __init__(self, declaration: Declaration) -> None:
        self._declaration = declaration
        self._sessions = Sessions(declaration.relation.system.address)

    def close(self) -> None:
        """Close every session that is still open."""
        self._sessions.close()

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:  # noqa: ARG002 Dagster's signature
        """Refuse to write: a source is somebody else's."""
        raise DeclarationError(
            f"{context.asset_key.to_user_string()} is a source, and sources are not written.",
            "Give the asset that makes a table another key.",
        )

    def load_input(self, context: dg.InputContext) -> Any:
        """Return the rows of the run's partitions, as the parameter's annotation asks.

        Raises:
            SourceFailed: if the system cannot be reached or read.
            DataRefused: for values that are not as declared.

        """
        name, annotation = context.asset_key.to_user_string(), context.dagster_type.typing_type
        if annotation is Snapshot:
            raise DeclarationError(
                f"{name} is a source, and only tables of the lake have a Snapshot.",
                f"Annotate {context.name} as pd.DataFrame, pa.Table, pa.RecordBatchReader, pl.DataFrame or "
                "pl.LazyFrame.",
            )
        columns = (context.definition_metadata or {}).get(COLUMNS)
        if isinstance(columns, str):
            raise DeclarationError(
                f"{COLUMNS} is the text {columns!r}.", f"Write {{{COLUMNS!r}: [{columns!r}]}}."
            )
        with _showing(context, name):
            return read_as(self._read(context, name, columns), annotation)

    def _read(
        self, context: dg.InputContext, name: str, columns: Sequence[str] | None
    ) -> pa.RecordBatchReader:
        relation, contract = self._declaration.relation, self._declaration.contract
        step = step_of(context)
        session = self._sessions.take(relation.system, step.step.key if step is not None else "")
        with self._losing(session):
            schema = declared_schema(relation.schema(session), contract)
            schema = pa.schema([schema.field(column) for column in asked(name, columns, schema)])
            scope = self._scope(context)
            rows = relation.read(session, scope, schema.names) if scope is not None else None
        self._report(context, schema, session.state, scope)
        if rows is None:
            self._sessions.give_back(session)
            return schema.empty_table().to_reader()

        def stream() -> Iterator[pa.RecordBatch]:
            with _showing(context, name), self._losing(session):
                yield from conformed_rows(rows, schema, contract)
            self._sessions.give_back(session)  # one whose rows nobody took stays taken, and is closed later

        return pa.RecordBatchReader.from_batches(schema, stream())

    @contextmanager
    def _losing(self, session: Session) -> Iterator[None]:
        """Close a session that fails."""
        try:
            yield
        except SourceFailed:
            self._sessions.lose(session)
            raise

    def _scope(self, context: dg.InputContext) -> Scope | None:
        """Return what is read: all rows of a source without partitions; None if no partition maps."""
        if not context.has_asset_partitions:
            return Scope()
        keys = context.asset_partition_keys
        return self._declaration.scope(context.asset_partitions_def, keys) if keys else None

    def _report(
        self, context: dg.InputContext, schema: pa.Schema, state: str | None, scope: Scope | None
    ) -> None:
        """Say in the event of the input what was read; no observation, for those are of what changed."""
        relation = self._declaration.relation
        metadata = {
            names.ADDRESS: relation.system.address,
            names.RELATION: relation.name,
            COLUMN_SCHEMA: table_schema(schema, self._declaration.contract),
        }
        if context.has_asset_partitions:
            metadata[names.PARTITIONS] = str(scope) if scope is not None else "none"
        if state is not None:
            metadata[names.STATE] = state
        context.add_input_metadata(metadata)
        list(context.consume_events())


@contextmanager
def _showing(context: dg.InputContext, name: str) -> Iterator[None]:
    """Name the source in an error that passes, and show values in it only where the step's lake allows it."""
    step = step_of(context)
    resources = step.resources if step is not None else ()
    lakes = [resource for resource in resources if isinstance(resource, DeltaIOManager)]
    with naming(name), sampling(min([lake.sample_rows for lake in lakes], default=SAMPLE_ROWS)):
        yield


def source_resource(declaration: Declaration) -> dg.IOManagerDefinition:
    """Return the resource that reads a source; Dagster makes it for a run, or a step in its own process."""

    def make(_: dg.InitResourceContext) -> Iterator[SourceReader]:
        reader = SourceReader(declaration)
        try:
            yield reader
        finally:
            reader.close()

    make_in_context: Any = contextmanager(make)
    return dg.IOManagerDefinition(make_in_context, description=f"Reads {declaration.relation.name}.")
