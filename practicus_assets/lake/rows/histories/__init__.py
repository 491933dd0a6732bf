"""Histories: rows with the time in which each is valid (SCD type 2), and what becomes of their versions."""
