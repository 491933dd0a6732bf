"""Transactions: stage, audit and commit the rows of one scope.

Staged files are invisible until one commit names them; a commit is a compare-and-swap on the table's
newest version, and carries a record of who made it.
"""
