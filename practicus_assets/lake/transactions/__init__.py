"""Transactions: stage, audit and commit the rows of one scope."""
