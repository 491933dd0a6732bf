"""Rows: an author's frames as Arrow batches, exact types, schemas and fingerprints.

Conversions change no value, or fail and name the value. Nothing in here knows tables or files.
"""
