"""Real Dagster on real Delta tables in a temporary folder."""
