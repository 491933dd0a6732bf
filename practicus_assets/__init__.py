"""Dagster assets that are Delta tables: audited, then committed in one transaction, or not at all."""

from practicus_assets.errors import (
    CommitConflict,
    CommitStateUnknown,
    DataRefused,
    DeclarationError,
    LossyValues,
    OutOfScope,
    PracticusAssetsError,
    SchemaMismatch,
    StoreFailed,
    TableNotFound,
    UnsupportedTable,
    VersionGone,
)
from practicus_assets.io_manager import DeltaIOManager
from practicus_assets.lake.audit import AuditFailed
from practicus_assets.lake.contract import Column, Contract, RowRule, TableRule
from practicus_assets.lake.snapshot import Snapshot
from practicus_assets.table_asset import table_asset

__all__ = [
    "AuditFailed",
    "Column",
    "CommitConflict",
    "CommitStateUnknown",
    "Contract",
    "DataRefused",
    "DeclarationError",
    "DeltaIOManager",
    "LossyValues",
    "OutOfScope",
    "PracticusAssetsError",
    "RowRule",
    "SchemaMismatch",
    "Snapshot",
    "StoreFailed",
    "TableNotFound",
    "TableRule",
    "UnsupportedTable",
    "VersionGone",
    "table_asset",
]
