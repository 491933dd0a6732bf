"""Delta tables on a store: their log, files, protocol and snapshots.

Everything that reads a table, or asks what a store can do. Errors of delta-rs, Arrow and the store are
translated here, once.
"""
