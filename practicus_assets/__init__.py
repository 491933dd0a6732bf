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
    WorkerCrashed,
    WorkerFailed,
    WorkerLost,
    WorkerOutOfMemory,
    WorkerRejected,
    WorkerTimedOut,
)
from practicus_assets.assets.io_manager import DeltaIOManager
from practicus_assets.lake.contracts.audit import AuditFailed
from practicus_assets.lake.contracts.contract import Column, Contract, RowRule, TableRule
from practicus_assets.lake.upkeep.releases import Release
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.operations.jobs import (
    difference_job,
    history_job,
    maintenance_job,
    maintenance_schedule,
    rollback_job,
    verification_job,
)
from practicus_assets.assets.release_asset import release_asset
from practicus_assets.assets.table_asset import table_asset
from practicus_assets.workers.executor import worker_executor
from practicus_assets.workers.request.worker import Worker

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
    "StoreFailed",
    "TableNotFound",
    "TableRule",
    "UnsupportedTable",
    "VersionGone",
    "Worker",
    "WorkerCrashed",
    "WorkerFailed",
    "WorkerLost",
    "WorkerOutOfMemory",
    "WorkerRejected",
    "WorkerTimedOut",
    "difference_job",
    "history_job",
    "maintenance_job",
    "maintenance_schedule",
    "release_asset",
    "rollback_job",
    "table_asset",
    "verification_job",
    "worker_executor",
]
