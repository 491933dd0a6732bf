"""Partitions: which rows a transaction replaces, as keys, typed bounds and Delta's partition values."""
