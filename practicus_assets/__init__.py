"""Dagster assets that are Delta tables: audited, then committed in one transaction, or not at all.

The names below are public, and so are the modules `errors` and `testing`. Each name is imported at its
first use, so that the command line and a program that only reads tables do not wait for Dagster.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from practicus_assets.assets.io_manager import DeltaIOManager
    from practicus_assets.assets.release_asset import release_asset
    from practicus_assets.assets.table_asset import table_asset
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
    from practicus_assets.lake.contracts.audit import AuditFailed
    from practicus_assets.lake.contracts.contract import Column, Contract, RowRule, TableRule
    from practicus_assets.lake.delta.snapshot import Snapshot
    from practicus_assets.lake.upkeep.releases import Release
    from practicus_assets.operations.jobs import (
        difference_job,
        history_job,
        maintenance_job,
        maintenance_schedule,
        rollback_job,
        verification_job,
    )
    from practicus_assets.workers.executor import worker_executor
    from practicus_assets.workers.request.tags import worker_tags
    from practicus_assets.workers.request.worker import Worker

_ERRORS = "practicus_assets.errors"
_CONTRACT = "practicus_assets.lake.contracts.contract"
_JOBS = "practicus_assets.operations.jobs"

_MODULES = {  # of each public name
    "AuditFailed": "practicus_assets.lake.contracts.audit",
    "Column": _CONTRACT,
    "CommitConflict": _ERRORS,
    "CommitStateUnknown": _ERRORS,
    "Contract": _CONTRACT,
    "DataRefused": _ERRORS,
    "DeclarationError": _ERRORS,
    "DeltaIOManager": "practicus_assets.assets.io_manager",
    "LossyValues": _ERRORS,
    "OutOfScope": _ERRORS,
    "PracticusAssetsError": _ERRORS,
    "Release": "practicus_assets.lake.upkeep.releases",
    "RowRule": _CONTRACT,
    "SchemaMismatch": _ERRORS,
    "Snapshot": "practicus_assets.lake.delta.snapshot",
    "StoreFailed": _ERRORS,
    "TableNotFound": _ERRORS,
    "TableRule": _CONTRACT,
    "UnsupportedTable": _ERRORS,
    "VersionGone": _ERRORS,
    "Worker": "practicus_assets.workers.request.worker",
    "WorkerCrashed": _ERRORS,
    "WorkerFailed": _ERRORS,
    "WorkerLost": _ERRORS,
    "WorkerOutOfMemory": _ERRORS,
    "WorkerRejected": _ERRORS,
    "WorkerTimedOut": _ERRORS,
    "difference_job": _JOBS,
    "history_job": _JOBS,
    "maintenance_job": _JOBS,
    "maintenance_schedule": _JOBS,
    "release_asset": "practicus_assets.assets.release_asset",
    "rollback_job": _JOBS,
    "table_asset": "practicus_assets.assets.table_asset",
    "verification_job": _JOBS,
    "worker_executor": "practicus_assets.workers.executor",
    "worker_tags": "practicus_assets.workers.request.tags",
}

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
    "worker_tags",
]


def __getattr__(name: str) -> Any:
    """Import a public name (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted({*globals(), *__all__})
