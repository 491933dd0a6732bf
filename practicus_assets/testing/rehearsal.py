"""Rehearsals: transactions on tables in memory, for tests."""

from pathlib import Path
from typing import Any

from practicus_assets.errors import PracticusAssetsError
from practicus_assets.lake.delta.record import TransactionRecord
from practicus_assets.lake.transactions.attempt import Attempt
from practicus_assets.lake.transactions.engine_files.staged_parquet import StagedParquet
from practicus_assets.lake.transactions.landing import Landed, Landing
from practicus_assets.lake.transactions.stage.staged import Staged, delete_files
from practicus_assets.lake.transactions.swap import Swap
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.testing.memory import MemoryTable


class Rehearsal(Transaction):
    """A transaction on a `MemoryTable`: it does all but to race others for the next version."""

    def stage(self, data: Any, part: str | None = None) -> Staged:
        """Stage rows; files that an engine wrote into a folder of the test are taken into memory first."""
        table = self.attempt.table
        if isinstance(data, StagedParquet) and isinstance(table, MemoryTable):
            folder = Path(data.uri)
            files = [path for path in folder.rglob("*") if path.is_file()]
            data = self.staging()
            below = data.uri.removeprefix(f"{table.uri}/")
            table.contents.update({f"{below}/{p.relative_to(folder)}": p.read_bytes() for p in files})
        return super().stage(data, part)

    def _land(
        self,
        attempt: Attempt,
        staged: Staged,
        record: TransactionRecord,
        kind: type[Landing],  # noqa: ARG002 nobody else commits
    ) -> Landed:
        try:
            Swap(attempt, staged).on(attempt.table.open_if_exists(), record)
        except PracticusAssetsError as error:
            delete_files(attempt.table, [file.path for file in staged.files])
            error.nothing_written = True
            raise
        return Landed(attempt.table.open().version, record)
