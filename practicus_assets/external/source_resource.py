"""The resource by which the steps of a run read a source."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg

from practicus_assets.external.declaration import Declaration

if TYPE_CHECKING:
    from practicus_assets.external.reader import SourceReader
    from practicus_assets.workers.launch.held import Hold


class SourceResource(dg.IOManagerDefinition):
    """The resource that reads a source; Dagster makes it for a run, or for a step in a process of its own.

    It has `worker_executor` keep a session open in the run's process, whose state all steps of the run read.

    Args:
        declaration: the source's declaration.

    """

    def __init__(self, declaration: Declaration) -> None:
        self.declaration = declaration

        def make(context: dg.InitResourceContext) -> "Iterator[SourceReader]":
            from practicus_assets.external.reader import SourceReader  # noqa: PLC0415 definitions do without

            reader = SourceReader(declaration, context.run.run_id if context.run is not None else None)
            try:
                yield reader
            finally:
                reader.close()

        in_context: Any = contextmanager(make)
        super().__init__(in_context, description=f"Reads {declaration.relation.name}.")

    def hold_key(self) -> str | None:
        """Return the address of the system whose state the steps of a run share; None if they share none."""
        system = self.declaration.relation.system
        return system.address if self.declaration.consistent == "run" and system.shares_state else None

    def hold(self, sharers: Sequence[Any]) -> "Hold":
        """Open a session, and keep it open for its state.

        Raises:
            SourceFailed: if the system cannot be reached.

        """
        from practicus_assets.external.kept_state import KeptState  # noqa: PLC0415 as above

        relations = [sharer.declaration.relation for sharer in sharers]
        return KeptState(self.declaration.relation.system, relations)
