"""Terms: how a table asset is stored, and what it promises."""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from practicus_assets.assets.settings import TableSettings
from practicus_assets.assets.splits.declared import DeclaredSplits
from practicus_assets.engines.spark.spark_connect import SparkConnect
from practicus_assets.lake.contracts.contract import Contract


@dataclass(frozen=True)
class TableTerms:
    """What the definition of a table asset says of its table.

    Attributes:
        settings: how the table is stored.
        contract: what it promises; None for nothing.
        author_specs: the checks that the author gives results of, beside those of the contract.
        output_required: whether each run must materialize the asset.
        reuse: whether a run ends before the function if its rows are there already.
        splits: the splits of its steps; None if each step calls the function once.
        engine: the engine of its function's queries; None if the function computes in its own process.

    """

    settings: TableSettings
    contract: Contract | None = None
    author_specs: Sequence[dg.AssetCheckSpec] = ()
    output_required: bool = True
    reuse: bool = False
    splits: DeclaredSplits | None = None
    engine: SparkConnect | None = None

    @property
    def has_processes(self) -> bool:
        """Whether a step has other processes beside its own make the rows: splits, or a server of its own."""
        return self.splits is not None or (self.engine is not None and self.engine.address is None)
