"""Upkeep: what is done to a table that exists: history, verification, rollback, releases, maintenance."""
