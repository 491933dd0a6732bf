"""Formats of files: Parquet, CSV, JSON lines and Arrow, compressed or not."""
