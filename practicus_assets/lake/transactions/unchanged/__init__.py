"""Unchanged rows: whether a table holds already what an attempt would commit, or would compute."""
