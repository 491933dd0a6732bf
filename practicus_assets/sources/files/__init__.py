"""Files: tables that lie as Parquet, CSV, JSON lines, Arrow or Delta in a folder or an object store."""
