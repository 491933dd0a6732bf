"""Notebooks: what people ask of a snapshot in SQL, and how it looks there."""
