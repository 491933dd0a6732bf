"""Staged files: rows on their way into Parquet files that no commit names yet."""
