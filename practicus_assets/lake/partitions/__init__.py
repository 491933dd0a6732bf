"""Partitions: which rows a transaction replaces, as keys, typed bounds and Delta's partition values.

A scope names partitions by text; bounds are the same scope on a table's typed columns, as Python, SQL and
JSON.
"""
