"""Configurations: what a run of each job on tables is told."""

import dagster as dg
from pydantic import Field

from practicus_assets.fields import NamedFields
from practicus_assets.operations.defaults import RELEASES, RETENTION_HOURS


class HistoryConfig(NamedFields, dg.Config):
    """What a run of the history job shows."""

    table: str = Field(description="The table's name, with '/' between the parts of its asset key.")
    limit: int = Field(default=20, ge=1, description="How many commits to show, the newest first.")


class DiffConfig(NamedFields, dg.Config):
    """What a run of the diff job compares."""

    table: str = Field(description="The table's name, with '/' between the parts of its asset key.")
    before: str = Field(description="The version to compare with, or the run that made it.")
    after: str = Field(description="The version to compare, or the run that made it.")
    samples: int = Field(default=5, ge=0, description="How many rows to show that only one version has.")


class VerifyConfig(NamedFields, dg.Config):
    """What a run of the verify job does."""

    tables: list[str] = Field(default=[], description="The names of the tables to verify; none for all.")
    rows: bool = Field(
        default=False, description="Read every row, and compare statistics and content with the commits."
    )
    repair: bool = Field(
        default=False, description="Report to Dagster what the lake holds, where it believes otherwise."
    )


class RollbackConfig(NamedFields, dg.Config):
    """What a run of the rollback job does."""

    table: str = Field(description="The table's name, with '/' between the parts of its asset key.")
    to: str = Field(description="The version to go back to, or the run that made it.")
    partitions: list[str] = Field(
        default=[], description="The keys of the partitions that go back; none for all that changed since."
    )
    undo_newer: bool = Field(default=False, description="Undo several commits, not only a single one.")
    apply: bool = Field(default=False, description="Do it; without it, a run only shows what it would undo.")


class MaintainConfig(NamedFields, dg.Config):
    """What a run of the maintain job does, in the order of the fields."""

    tables: list[str] = Field(default=[], description="The names of the tables to maintain; none for all.")
    compact: bool = Field(default=True, description="Rewrite partitions that have several small files.")
    z_order: list[str] = Field(
        default=[], description="Sort the rows of each partition by these columns, instead of compacting."
    )
    checkpoint: bool = Field(default=True, description="Write a checkpoint of the log.")
    vacuum: bool = Field(default=True, description="Delete files that only older versions need, and orphans.")
    expire: bool = Field(default=True, description="Delete log entries that only older versions need.")
    retention_hours: float = Field(
        default=RETENTION_HOURS,
        ge=0,
        description="Versions that were the newest within these hours stay readable.",
    )
    releases: int = Field(
        default=RELEASES, ge=0, description="How many of the newest releases stay readable."
    )
    artifact_days: float | None = Field(
        default=None,
        ge=0,
        description="Delete artifacts of tasks that are older, but for those of each task's newest run.",
    )
    apply: bool = Field(default=False, description="Do it; without it, a run only shows what it would do.")
