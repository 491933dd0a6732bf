"""Rehearsals: transactions on tables in memory, for tests."""

from practicus_assets.errors import PracticusAssetsError
from practicus_assets.lake.delta.record import TransactionRecord
from practicus_assets.lake.transactions.attempt import Attempt
from practicus_assets.lake.transactions.landing import Landing
from practicus_assets.lake.transactions.stage.staged import Staged, delete_files
from practicus_assets.lake.transactions.swap import Swap
from practicus_assets.lake.transactions.transaction import Transaction


class Rehearsal(Transaction):
    """A transaction on a `MemoryTable`: it does all but to race others for the next version."""

    def _land(
        self,
        attempt: Attempt,
        staged: Staged,
        record: TransactionRecord,
        kind: type[Landing],  # noqa: ARG002 nobody else commits
    ) -> tuple[int, TransactionRecord]:
        try:
            Swap(attempt, staged).on(attempt.table.open_if_exists(), record)
        except PracticusAssetsError as error:
            delete_files(attempt.table, [file.path for file in staged.files])
            error.nothing_written = True
            raise
        return attempt.table.open().version, record
