"""Fingerprints of rows: hashes of values, their sums, and the algorithms that old logs are by."""
