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
    TableNotFound,
    UnsupportedTable,
    VersionGone,
)
from practicus_assets.io_manager import DeltaIOManager
from practicus_assets.lake.audit import AuditFailed
from practicus_assets.lake.contract import Column, Contract, RowRule, TableRule
from practicus_assets.lake.release import Release
from practicus_assets.lake.snapshot import Snapshot
from practicus_assets.operations import (
    maintenance_job,
    maintenance_schedule,
    rollback_job,
    verification_job,
)
from practicus_assets.releases import release_asset
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
    "Release",
    "RowRule",
    "SchemaMismatch",
    "Snapshot",
    "TableNotFound",
    "TableRule",
    "UnsupportedTable",
    "VersionGone",
    "maintenance_job",
    "maintenance_schedule",
    "release_asset",
    "rollback_job",
    "table_asset",
    "verification_job",
]
