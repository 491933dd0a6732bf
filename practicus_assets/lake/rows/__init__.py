"""Rows: the author's frames as Arrow batches, exact types, schemas and fingerprints."""
