"""The report of a commit to Dagster: metadata, check results, column schemas and data versions.

Names of metadata and tags are here, once. Nothing in here decides what is committed.
"""
