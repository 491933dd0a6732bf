"""Dagster assets that are Delta tables: audited, then committed in one transaction, or not at all.

The names below are public, and so is the module `errors`. Each name is imported at its
first use, so that the command line and a program that only reads tables do not wait for Dagster.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from practicus_assets.assets.io_manager import DeltaIOManager
    from practicus_assets.assets.release_asset import build_release_asset
    from practicus_assets.assets.report.rejected import rejected_rows
    from practicus_assets.assets.table_asset import table_asset
    from practicus_assets.automation.catch_up_schedule import build_catch_up_schedule
    from practicus_assets.automation.condition_sensor import build_condition_sensor
    from practicus_assets.automation.conditions import on_missing, on_new_code, when_inputs_ready
    from practicus_assets.automation.foreign_commits_sensor import build_foreign_commits_sensor
    from practicus_assets.automation.partition_freshness import build_partition_freshness_checks
    from practicus_assets.automation.release_sensor import build_release_sensor
    from practicus_assets.engines.spark.spark_connect import SparkConnect
    from practicus_assets.engines.splits import Split, Splits
    from practicus_assets.errors import (
        AuditFailed,
        CommitConflict,
        CommitStateUnknown,
        DataRefused,
        DeclarationError,
        EngineFailed,
        ExportConflict,
        ExportFailed,
        LossyValues,
        NotificationFailed,
        OperationRefused,
        OutOfScope,
        PracticusAssetsError,
        PromotionRefused,
        ReadOnlyLake,
        ReleaseRefused,
        RemovalRefused,
        ReplacementRefused,
        RollbackRefused,
        SchemaMismatch,
        SourceChanged,
        SourceFailed,
        StoreFailed,
        TableNotFound,
        TaskFailed,
        UnsupportedTable,
        VersionGone,
        WorkerCrashed,
        WorkerFailed,
        WorkerLost,
        WorkerOutOfMemory,
        WorkerOutOfStorage,
        WorkerRejected,
        WorkerTimedOut,
    )
    from practicus_assets.external.export_asset import export_asset
    from practicus_assets.external.source import Source
    from practicus_assets.external.source_sensor import build_source_sensor
    from practicus_assets.lake.contracts.column import Column
    from practicus_assets.lake.contracts.contract import Contract
    from practicus_assets.lake.contracts.odcs.left_out import ContractFileWarning
    from practicus_assets.lake.contracts.rule import RowRule, TableRule
    from practicus_assets.lake.delta.snapshot import Snapshot
    from practicus_assets.lake.layers.open_table import open_table
    from practicus_assets.lake.transactions.engine_files.staged_parquet import StagedParquet
    from practicus_assets.lake.upkeep.releases import Release
    from practicus_assets.notifications.mail import Email
    from practicus_assets.notifications.notification_sensor import build_notification_sensor
    from practicus_assets.notifications.receiver import Log
    from practicus_assets.notifications.webhook import Webhook
    from practicus_assets.operations.configs import (
        DiffConfig,
        HistoryConfig,
        MaintainConfig,
        RollbackConfig,
        VerifyConfig,
    )
    from practicus_assets.operations.jobs.diff import build_diff_job
    from practicus_assets.operations.jobs.history import build_history_job
    from practicus_assets.operations.jobs.maintain import build_maintain_job, build_maintain_schedule
    from practicus_assets.operations.jobs.rollback import build_rollback_job
    from practicus_assets.operations.jobs.verify import build_verify_job
    from practicus_assets.planning.plan_job import PlanConfig, build_plan_job
    from practicus_assets.sources.files.formats.csv import CSV
    from practicus_assets.sources.files.store import Files
    from practicus_assets.sources.mysql.system import MySQL
    from practicus_assets.sources.postgresql.system import PostgreSQL
    from practicus_assets.tasks.task_asset import task_asset
    from practicus_assets.workers.executor import worker_executor
    from practicus_assets.workers.request.tags import worker_tags
    from practicus_assets.workers.request.worker import Worker
    from practicus_assets.workflows.practicus.folder import workflow_from_folder
    from practicus_assets.workflows.workflow import workflow

_NAMES = {  # public ones, by the module that has them
    "practicus_assets.assets.io_manager": ("DeltaIOManager",),
    "practicus_assets.assets.release_asset": ("build_release_asset",),
    "practicus_assets.assets.report.rejected": ("rejected_rows",),
    "practicus_assets.assets.table_asset": ("table_asset",),
    "practicus_assets.automation.catch_up_schedule": ("build_catch_up_schedule",),
    "practicus_assets.automation.condition_sensor": ("build_condition_sensor",),
    "practicus_assets.automation.conditions": ("on_missing", "on_new_code", "when_inputs_ready"),
    "practicus_assets.engines.spark.spark_connect": ("SparkConnect",),
    "practicus_assets.engines.splits": ("Split", "Splits"),
    "practicus_assets.errors": (
        "AuditFailed",
        "CommitConflict",
        "CommitStateUnknown",
        "DataRefused",
        "DeclarationError",
        "ExportConflict",
        "ExportFailed",
        "LossyValues",
        "EngineFailed",
        "NotificationFailed",
        "OperationRefused",
        "OutOfScope",
        "PracticusAssetsError",
        "PromotionRefused",
        "ReadOnlyLake",
        "ReleaseRefused",
        "RemovalRefused",
        "ReplacementRefused",
        "RollbackRefused",
        "SchemaMismatch",
        "SourceChanged",
        "SourceFailed",
        "StoreFailed",
        "TableNotFound",
        "TaskFailed",
        "UnsupportedTable",
        "VersionGone",
        "WorkerCrashed",
        "WorkerFailed",
        "WorkerLost",
        "WorkerOutOfMemory",
        "WorkerOutOfStorage",
        "WorkerRejected",
        "WorkerTimedOut",
    ),
    "practicus_assets.automation.partition_freshness": ("build_partition_freshness_checks",),
    "practicus_assets.automation.foreign_commits_sensor": ("build_foreign_commits_sensor",),
    "practicus_assets.automation.release_sensor": ("build_release_sensor",),
    "practicus_assets.external.export_asset": ("export_asset",),
    "practicus_assets.external.source": ("Source",),
    "practicus_assets.external.source_sensor": ("build_source_sensor",),
    "practicus_assets.lake.contracts.column": ("Column",),
    "practicus_assets.lake.contracts.contract": ("Contract",),
    "practicus_assets.lake.contracts.odcs.left_out": ("ContractFileWarning",),
    "practicus_assets.lake.contracts.rule": ("RowRule", "TableRule"),
    "practicus_assets.lake.delta.snapshot": ("Snapshot",),
    "practicus_assets.lake.layers.open_table": ("open_table",),
    "practicus_assets.lake.transactions.engine_files.staged_parquet": ("StagedParquet",),
    "practicus_assets.lake.upkeep.releases": ("Release",),
    "practicus_assets.notifications.mail": ("Email",),
    "practicus_assets.notifications.notification_sensor": ("build_notification_sensor",),
    "practicus_assets.notifications.receiver": ("Log",),
    "practicus_assets.notifications.webhook": ("Webhook",),
    "practicus_assets.operations.jobs.diff": ("build_diff_job",),
    "practicus_assets.operations.jobs.history": ("build_history_job",),
    "practicus_assets.operations.configs": (
        "DiffConfig",
        "HistoryConfig",
        "MaintainConfig",
        "RollbackConfig",
        "VerifyConfig",
    ),
    "practicus_assets.operations.jobs.maintain": ("build_maintain_job", "build_maintain_schedule"),
    "practicus_assets.operations.jobs.rollback": ("build_rollback_job",),
    "practicus_assets.operations.jobs.verify": ("build_verify_job",),
    "practicus_assets.planning.plan_job": ("PlanConfig", "build_plan_job"),
    "practicus_assets.sources.files.formats.csv": ("CSV",),
    "practicus_assets.sources.files.store": ("Files",),
    "practicus_assets.tasks.task_asset": ("task_asset",),
    "practicus_assets.sources.mysql.system": ("MySQL",),
    "practicus_assets.sources.postgresql.system": ("PostgreSQL",),
    "practicus_assets.workers.executor": ("worker_executor",),
    "practicus_assets.workers.request.tags": ("worker_tags",),
    "practicus_assets.workers.request.worker": ("Worker",),
    "practicus_assets.workflows.practicus.folder": ("workflow_from_folder",),
    "practicus_assets.workflows.workflow": ("workflow",),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "CSV",
    "AuditFailed",
    "Column",
    "CommitConflict",
    "CommitStateUnknown",
    "Contract",
    "ContractFileWarning",
    "DataRefused",
    "DeclarationError",
    "DeltaIOManager",
    "DiffConfig",
    "Email",
    "EngineFailed",
    "ExportConflict",
    "ExportFailed",
    "Files",
    "HistoryConfig",
    "Log",
    "LossyValues",
    "MaintainConfig",
    "MySQL",
    "NotificationFailed",
    "OperationRefused",
    "OutOfScope",
    "PlanConfig",
    "PostgreSQL",
    "PracticusAssetsError",
    "PromotionRefused",
    "ReadOnlyLake",
    "Release",
    "ReleaseRefused",
    "RemovalRefused",
    "ReplacementRefused",
    "RollbackConfig",
    "RollbackRefused",
    "RowRule",
    "SchemaMismatch",
    "Snapshot",
    "Source",
    "SourceChanged",
    "SourceFailed",
    "SparkConnect",
    "Split",
    "Splits",
    "StagedParquet",
    "StoreFailed",
    "TableNotFound",
    "TableRule",
    "TaskFailed",
    "UnsupportedTable",
    "VerifyConfig",
    "VersionGone",
    "Webhook",
    "Worker",
    "WorkerCrashed",
    "WorkerFailed",
    "WorkerLost",
    "WorkerOutOfMemory",
    "WorkerOutOfStorage",
    "WorkerRejected",
    "WorkerTimedOut",
    "build_catch_up_schedule",
    "build_condition_sensor",
    "build_diff_job",
    "build_foreign_commits_sensor",
    "build_history_job",
    "build_maintain_job",
    "build_maintain_schedule",
    "build_notification_sensor",
    "build_partition_freshness_checks",
    "build_plan_job",
    "build_release_asset",
    "build_release_sensor",
    "build_rollback_job",
    "build_source_sensor",
    "build_verify_job",
    "export_asset",
    "on_missing",
    "on_new_code",
    "open_table",
    "rejected_rows",
    "table_asset",
    "task_asset",
    "when_inputs_ready",
    "worker_executor",
    "worker_tags",
    "workflow",
    "workflow_from_folder",
]


def __getattr__(name: str) -> Any:
    """Import a public name (PEP 562), or ask the installation for its version."""
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("practicus-assets")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted({*globals(), *__all__})
