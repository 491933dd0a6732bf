"""Delta Lake without an orchestrator: scopes, contracts, snapshots and transactions.

Nothing in here imports Dagster. Its rooms import one way: upkeep, transactions, contracts and delta,
partitions, rows.
"""
