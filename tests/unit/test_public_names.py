"""What users may import; a change here is a change of the public face."""

import practicus_assets


def test_the_public_names_are_these() -> None:
    assert practicus_assets.__all__ == [
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
    assert all(hasattr(practicus_assets, name) for name in practicus_assets.__all__)
