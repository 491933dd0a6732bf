"""Defaults of operations, which a command says in its help without importing the operation."""

RETENTION_HOURS = 7 * 24
RELEASES = 10
