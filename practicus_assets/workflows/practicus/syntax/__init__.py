"""Syntax: what the syntax tree of a dag file says: its values, tasks and their order."""
