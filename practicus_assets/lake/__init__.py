"""Delta Lake without an orchestrator: scopes, contracts, snapshots and transactions."""
