"""Quarantine: rows that break rules, kept beside their table in a table of their own."""
