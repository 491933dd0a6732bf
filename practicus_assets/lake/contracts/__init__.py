"""Contracts: what a table promises, and the audit that checks it.

A contract is declared by an author, or read from a pandera model; an audit runs it on record batches as
they pass. Neither knows where the rows are stored.
"""
