"""What an operator does to tables, and the Dagster jobs that do it."""
