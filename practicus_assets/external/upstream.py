"""The upstream of an export: the table whose rows it brings to another system."""

from dataclasses import dataclass

import dagster as dg

from practicus_assets.assets.settings import TableSettings
from practicus_assets.lake.contracts.contract import Contract


@dataclass(frozen=True)
class Upstream:
    """The table that is exported.

    Attributes:
        key: its asset key.
        settings: how it is stored.
        io_manager_key: the resource key of its lake.
        contract: what it promises; None if that is not known here.
        partition_columns: the columns that hold its partition keys.

    """

    key: dg.AssetKey
    settings: TableSettings
    io_manager_key: str
    contract: Contract | None = None
    partition_columns: tuple[str, ...] = ()
