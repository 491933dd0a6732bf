"""What users may import.

The list repeats `__all__` on purpose: a name that comes, goes or changes breaks or promises something to
users, so it takes two deliberate edits, and the second one is seen in review.
"""

import importlib.metadata
import subprocess
import sys

import practicus_assets

NAMES = [
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


def test_the_public_names_are_these() -> None:
    assert practicus_assets.__all__ == NAMES
    assert all(hasattr(practicus_assets, name) for name in practicus_assets.__all__)
    assert set(NAMES) <= set(dir(practicus_assets))


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    assert not hasattr(practicus_assets, "Transaction")


def test_the_lake_is_used_without_loading_dagster_or_pandas() -> None:
    script = (
        "import sys; from practicus_assets import Contract, Snapshot; "
        "print([name for name in ('dagster', 'kubernetes', 'pandas') if name in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert loaded.stdout.strip() == "[]"


def test_the_version_is_that_of_the_installation() -> None:
    assert practicus_assets.__version__ == importlib.metadata.version("practicus-assets")
    assert "importlib.metadata" not in vars(practicus_assets)
