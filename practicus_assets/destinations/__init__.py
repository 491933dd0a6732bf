"""Destinations: rows of a table, brought to other systems in one transaction there.

Nothing in here imports Dagster.
"""
