"""One table's part in a step: its rows through a transaction, its checks, and what Dagster records."""
