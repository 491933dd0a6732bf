"""Beginnings: contracts that rows happen to keep, and contracts as Python source to paste."""
