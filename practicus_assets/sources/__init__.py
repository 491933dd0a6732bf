"""Sources: tables of other systems, as Arrow streams.

Nothing in here imports Dagster. A system is reached by a session; a relation is what is read in it.
"""
