"""The reader of a source: what the parameter of an asset's function gets."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg
import pyarrow as pa

from practicus_assets.assets.io_manager import DeltaIOManager
from practicus_assets.assets.metadata.input_settings import InputSettings
from practicus_assets.assets.report.column_schema import table_schema
from practicus_assets.assets.report.names import COLUMN_SCHEMA, COLUMNS
from practicus_assets.assets.runs import reading, record_source, step_of
from practicus_assets.errors import DeclarationError, SourceChanged, SourceFailed, naming, naming_page
from practicus_assets.external import names
from practicus_assets.external.declaration import Declaration
from practicus_assets.external.reads import Readers, Reads
from practicus_assets.external.sessions import Sessions
from practicus_assets.lake.delta.record import SourceRead
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.rows.frames import read_as
from practicus_assets.lake.rows.samples import SAMPLE_ROWS, sampling
from practicus_assets.sources.declared import asked, conformed_rows, declared_schema
from practicus_assets.sources.system import Session
from practicus_assets.workers.launch.held import held, loaders


class SourceReader(dg.IOManager):
    """Gives the rows of one source to the assets that read it.

    Args:
        declaration: the source's declaration.
        run_id: the run whose steps read it in this process; None outside of a run.

    """

    def __init__(self, declaration: Declaration, run_id: str | None = None) -> None:
        self._declaration = declaration
        self._reads = Reads.of_run(run_id)

    def close(self) -> None:
        """Let go of what is still open."""
        self._reads.leave()

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:  # noqa: ARG002 Dagster's signature
        """Refuse to write: a source is somebody else's."""
        raise DeclarationError(
            f"{context.asset_key.to_user_string()} is a source, and sources are not written.",
            "Give the asset that makes a table another key.",
        )

    @naming_page()
    def load_input(self, context: dg.InputContext) -> Any:
        """Return the rows of the run's partitions, as the parameter's annotation asks.

        Raises:
            SourceFailed: if the system cannot be reached or read.
            DataRefused: for values that are not as declared.

        """
        with reading(context):
            return self._load(context)

    def _load(self, context: dg.InputContext) -> Any:
        name, annotation = context.asset_key.to_user_string(), context.dagster_type.typing_type
        if annotation is Snapshot:
            raise DeclarationError(
                f"{name} is a source, and only tables of the lake have a Snapshot.",
                f"Annotate {context.name} as pd.DataFrame, pa.Table, pa.RecordBatchReader, pl.DataFrame or "
                "pl.LazyFrame.",
            )
        settings = InputSettings.from_metadata(context.definition_metadata or {})
        if settings != InputSettings(settings.columns):
            raise DeclarationError(
                f"{name} is a source, and of an input's settings only {COLUMNS} is one for it.",
                "Choose rows in a query of the source, or by its partitions.",
            )
        with _showing(context, name):
            return read_as(self._read(context, name, settings.columns), annotation)

    def _read(
        self, context: dg.InputContext, name: str, columns: Sequence[str] | None
    ) -> pa.RecordBatchReader:
        relation, contract = self._declaration.relation, self._declaration.contract
        step = step_of(context)
        readers = _readers(step)
        reads = self._reads.of_step(step, readers)
        sessions = reads.sessions(self._declaration)
        session = sessions.take(relation.system, reads.key)
        with _failing(sessions, session):
            schema = declared_schema(relation.schema(session), contract)
            schema = pa.schema([schema.field(column) for column in asked(name, columns, schema)])
            scope = self._scope(context)
            rows = relation.read(session, scope, columns) if scope is not None else None
        consistency = _consistency(self._declaration, sessions, session, len(readers))
        self._report(context, schema, scope, {names.STATE: session.state, names.CONSISTENCY: consistency})
        if rows is None:
            sessions.give_back(session)
            return schema.empty_table().to_reader()

        def stream() -> Iterator[pa.RecordBatch]:
            with _showing(context, name), _failing(sessions, session):
                yield from conformed_rows(rows, schema, contract)
            sessions.give_back(session)  # one whose rows are not read to the end is closed with the step

        return pa.RecordBatchReader.from_batches(schema, stream())

    def _scope(self, context: dg.InputContext) -> Scope | None:
        """Return what is read: all rows of a source without partitions; None if no partition maps."""
        if not context.has_asset_partitions:
            return Scope()
        keys = context.asset_partition_keys
        return self._declaration.scope(context.asset_partitions_def, keys) if keys else None

    def _report(
        self, context: dg.InputContext, schema: pa.Schema, scope: Scope | None, seen: dict[str, str | None]
    ) -> None:
        """Say what is read in the event of the input, and in the provenance of the step's commit."""
        relation = self._declaration.relation
        metadata: dict[str, Any] = {
            names.ADDRESS: relation.system.address,
            names.RELATION: relation.name,
            COLUMN_SCHEMA: table_schema(schema, self._declaration.contract),
            **{name: text for name, text in seen.items() if text is not None},
        }
        if context.has_asset_partitions:
            metadata[names.PARTITIONS] = str(scope) if scope is not None else "none"
        # `add_input_metadata` observes the asset, too: without a data version, and for one partition at most
        shown = dict(dg.AssetObservation(context.asset_key, metadata=metadata).metadata)
        context._user_generated_metadata = shown  # noqa: SLF001
        step, name = step_of(context), context.asset_key.to_user_string()
        if step is not None:
            state = seen[names.STATE] or ""
            record_source(step, SourceRead(name, relation.system.address, relation.name, state))


def _readers(step: Any) -> Readers:
    """Return the systems that each step of this process reads."""
    if step is None:
        return {}
    plan = step.execution_plan
    return {
        each.key: [
            loader.declaration.relation.system
            for loader in loaders(step.job_def, each)
            if isinstance(getattr(loader, "declaration", None), Declaration)
        ]
        for each in plan.steps
        if each.key in plan.step_keys_to_execute
    }


def _consistency(declaration: Declaration, sessions: Sessions, session: Session, steps: int) -> str:
    """Return in words what else sees the state that is read, in a process that runs so many steps."""
    system = declaration.relation.system
    if session.state is None and not sessions.is_first(session):
        return f"this input alone reads this state: a {system.kind} session cannot give its state to another"
    if declaration.consistent == "step":
        return "every input of this step reads this state"
    if steps > 1 or (session.state is not None and session.state == held(system.address)):
        return "every step of the run reads this state"
    return "every input of this step reads this state; steps in other processes read states of their own"


@contextmanager
def _failing(sessions: Sessions, session: Session) -> Iterator[None]:
    """Take note of a session that fails."""
    try:
        yield
    except SourceChanged:
        sessions.lose(session)
        raise
    except SourceFailed:
        sessions.doubt(session)
        raise


@contextmanager
def _showing(context: dg.InputContext, name: str) -> Iterator[None]:
    """Name the source in an error that passes, and show values in it only where the step's lake allows it."""
    step = step_of(context)
    resources = step.resources if step is not None else ()
    lakes = [resource for resource in resources if isinstance(resource, DeltaIOManager)]
    with naming(name), sampling(min([lake.sample_rows for lake in lakes], default=SAMPLE_ROWS)):
        yield
