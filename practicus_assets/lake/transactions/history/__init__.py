"""Histories: the rows that a run gives, and all rows that a table has with them.

They depend on the rows that were ever given, and not on the order in which they came.
"""
