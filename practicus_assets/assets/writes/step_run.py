"""The run of one step of a table asset: its function's rows through a transaction."""

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import Any

import dagster as dg

from practicus_assets.assets.io_manager import lake_of
from practicus_assets.assets.report.outcome import cut_own_frames
from practicus_assets.assets.runs import until_end
from practicus_assets.assets.writes.table_write import TableWrite
from practicus_assets.assets.writes.terms import TableTerms
from practicus_assets.errors import naming, naming_page

Call = Callable[[Mapping[str, Any]], Any]


class StepRun:
    """A step that runs.

    Args:
        context: the step's context.
        terms: how its table is stored, and what it promises.
        io_manager_key: the resource key of its lake.

    """

    def __init__(self, context: dg.AssetExecutionContext, terms: TableTerms, io_manager_key: str) -> None:
        self._context = context
        self._terms = terms
        self._io_manager_key = io_manager_key

    def events(
        self, call: Call, inputs: Mapping[str, Any], places: Collection[str], frames: Collection[str]
    ) -> Iterator[Any]:
        """Commit the rows, and yield what Dagster records of them.

        Args:
            call: the author's function, which takes the inputs.
            inputs: what Dagster loaded, by parameter.
            places: the parameters that get a place for an engine's files.
            frames: those that get DataFrames of the engine.

        """
        with until_end(self._context), naming_page():
            context, splits = self._context, self._terms.splits
            with naming(context.asset_key.to_user_string(), nothing_written=True):
                lake = lake_of(context, self._io_manager_key)
            write = TableWrite(context, context.asset_key, lake, self._terms)
            if not write.is_landed:
                try:
                    given = {**inputs, **{name: write.staging() for name in places}}
                    if splits is not None:
                        from practicus_assets.assets.splits.staging import staged  # noqa: PLC0415 few have splits

                        write.prepare_parts(partial(staged, context, splits, inputs))
                    elif not self._prepare(write, call, given, frames):
                        yield from write.news()
                        return
                    write.land()
                except Exception as error:
                    yield from write.refused(error)
                    cut_own_frames(error)
                    raise
            yield from write.report()

    def _prepare(
        self, write: TableWrite, call: Call, inputs: Mapping[str, Any], frames: Collection[str]
    ) -> bool:
        """Stage and audit the rows that a call returns; return False if there are none."""
        engine = self._terms.engine
        if engine is None:
            return write.prepare(partial(call, inputs))
        from practicus_assets.engines.spark.run import running  # noqa: PLC0415 few assets have an engine

        read = {name: inputs[name] for name in frames if name in inputs}
        with write.refusing(), running(engine, write.table, read.values()) as run:
            of_engine = {name: run.given(value) for name, value in read.items()}

            def stage(rows: Any) -> Any:
                return run.staged(rows, write.partition_by, write.types, write.staging)

            return write.prepare(partial(call, {**inputs, **of_engine}), stage)
