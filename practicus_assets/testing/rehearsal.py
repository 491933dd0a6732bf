"""Rehearsals: transactions on tables in memory, for tests."""

from practicus_assets.errors import PracticusAssetsError
from practicus_assets.lake.delta.record import TransactionRecord
from practicus_assets.lake.transactions.stage.staged import Staged
from practicus_assets.lake.transactions.swap import Swap
from practicus_assets.lake.transactions.transaction import Transaction


class Rehearsal(Transaction):
    """A transaction on a `MemoryTable`: it does all but to race others for the next version."""

    def _land(self, staged: Staged, record: TransactionRecord) -> tuple[int, TransactionRecord]:
        try:
            Swap(self._attempt, staged).on(self._attempt.began, record)
        except PracticusAssetsError as error:
            self.discard(staged)
            error.nothing_written = True
            raise
        return self._table.open().version, record
