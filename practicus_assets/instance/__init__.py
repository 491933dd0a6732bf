"""What a Dagster instance has recorded: materializations, and attempts that failed.

Assets and workers ask here instead of reading Dagster's event log themselves.
"""
