"""Files: tables that lie as Parquet, CSV, JSON lines or Arrow in a folder or an object store."""
