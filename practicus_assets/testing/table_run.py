"""Runs of tables in memory: what a run would have stored and recorded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from practicus_assets.errors import DeclarationError, TableNotFound
from practicus_assets.lake.contracts.audit import AuditResult
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.rows.frames import read_as

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


@dataclass(frozen=True)
class TableRun:
    """What a run of one table did.

    Attributes:
        rows: the rows that the function returned, with the columns and types that the table stores.
        audits: the result of each rule of the contract, and of each check of the function; what failed here
            does not keep the rows from the table.
        metadata: what the function adds to the materialization's metadata, as plain values.
        is_materialized: False if the function of a table asset returned nothing, which `X | None` as its
            annotation and `output_required=False` allow. Of a plain asset, Dagster records that it returned
            None.
        after: the whole table after the run; None if there is none.
        rejected: the rows that rules of severity "QUARANTINE" keep from the table, with the names of these
            rules as `_rejected_by`; None if there are none.

    """

    rows: pa.Table
    audits: Sequence[AuditResult] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    is_materialized: bool = True
    after: Snapshot | None = field(default=None, repr=False)
    rejected: pa.Table | None = None

    @property
    def table(self) -> Snapshot:
        """The whole table after the run, as other tables read it.

        Raises:
            TableNotFound: if the run did not make it, and it did not exist before.

        """
        if self.after is None:
            raise TableNotFound(
                "the function returned nothing, and there was no table before.",
                "Give the table's rows as existing, or look at after, which is None then.",
            )
        return self.after

    def to_pandas(self) -> "pd.DataFrame":
        """Return the rows as a pandas DataFrame, as an input of another table has them."""
        frame: pd.DataFrame = read_as(self.rows.to_reader(), None)
        return frame

    def to_polars(self) -> "pl.DataFrame":
        """Return the rows as a polars DataFrame.

        Raises:
            DeclarationError: if polars is not installed.

        """
        try:
            import polars as pl  # noqa: PLC0415 not everybody has it
        except ImportError as error:
            raise DeclarationError(
                "polars is not installed.", "Install it: pip install 'practicus-assets[polars]'."
            ) from error
        frame: pl.DataFrame = read_as(self.rows.to_reader(), pl.DataFrame)
        return frame

    def broken(self) -> list[str]:
        """Return the names of the rules and checks that failed, of severity "WARN" or "QUARANTINE"."""
        return [audit.name for audit in self.audits if not audit.passed]
