"""Contracts as files: YAML of the Open Data Contract Standard, read and written.

What one of both cannot say is named, and nothing of it is dropped in silence.
"""
