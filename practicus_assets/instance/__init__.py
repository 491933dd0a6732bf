"""What a Dagster instance has recorded."""
