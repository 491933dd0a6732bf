"""Upkeep of existing tables: history, diffs, verification, rollback, releases, maintenance.

What an operator needs, in terms of one table and without Dagster. A rollback and a compaction are
transactions like any other.
"""
